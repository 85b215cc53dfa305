//! STUN requests as clients make them (RFC 8489, RFC 8445 section 7.1), with everything chosen by the caller.
use aws_lc_rs::hmac;

const MAGIC_COOKIE: u32 = 0x2112_a442;

/// A binding request.
#[derive(Debug, Clone)]
pub struct BindingRequest {
    /// `local fragment of the server:fragment of the client`.
    pub username: String,
    /// The server's password; `None`: no MESSAGE-INTEGRITY.
    pub password: Option<String>,
    /// The transaction.
    pub transaction: [u8; 12],
    /// Whether USE-CANDIDATE is there.
    pub use_candidate: bool,
}

impl BindingRequest {
    /// Its bytes, FINGERPRINT at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x00, 0x01, 0, 0];
        bytes.extend(MAGIC_COOKIE.to_be_bytes());
        bytes.extend(self.transaction);
        attribute(&mut bytes, 0x0006, self.username.as_bytes());
        attribute(&mut bytes, 0x0024, &0x6e00_01ff_u32.to_be_bytes());
        attribute(&mut bytes, 0x802a, &7_u64.to_be_bytes());
        if self.use_candidate {
            attribute(&mut bytes, 0x0025, &[]);
        }
        if let Some(password) = &self.password {
            set_length(&mut bytes, 24);
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
            let tag = hmac::sign(&key, &bytes);
            attribute(&mut bytes, 0x0008, tag.as_ref());
        }
        set_length(&mut bytes, 8);
        let fingerprint = crc32(&bytes) ^ 0x5354_554e;
        attribute(&mut bytes, 0x8028, &fingerprint.to_be_bytes());
        set_length(&mut bytes, 0);
        bytes
    }
}

/// Puts the right FINGERPRINT at the end of a message that was changed behind its first 20 bytes.
pub fn refresh_fingerprint(bytes: &mut [u8]) {
    let Some(at) = bytes.len().checked_sub(8).filter(|at| *at >= 20) else { return };
    let fingerprint = crc32(&bytes[..at]) ^ 0x5354_554e;
    bytes[at + 4..].copy_from_slice(&fingerprint.to_be_bytes());
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn set_length(bytes: &mut [u8], to_come: usize) {
    let length = (bytes.len() - 20 + to_come) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_library_takes_the_request() {
        let request = BindingRequest {
            username: "server:client".to_owned(),
            password: Some("secret".to_owned()),
            transaction: [7; 12],
            use_candidate: true,
        };
        let mut bytes = request.to_bytes();
        let parsed = str0m::ice::StunMessage::parse(&bytes).unwrap();
        assert!(parsed.is_binding_request() && parsed.use_candidate());
        assert_eq!(parsed.split_username(), Some(("server", "client")));
        let same = bytes.clone();
        refresh_fingerprint(&mut bytes);
        assert_eq!(bytes, same);
        // The check value of CRC-32.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
