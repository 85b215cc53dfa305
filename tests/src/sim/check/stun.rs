//! A reader of STUN messages for the judge (RFC 8489), strict and slow.
use aws_lc_rs::{constant_time, hmac};

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LEN: usize = 20;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;

/// What a message says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stun {
    /// Class and method (section 5): 0x0001 binding request, 0x0101 success response, 0x0111 error response.
    pub(super) kind: u16,
    /// The transaction.
    pub(super) transaction: [u8; 12],
    /// The username up to the colon: the server's fragment (RFC 8445 section 7.2.2).
    pub(super) fragment: Option<String>,
    /// Where MESSAGE-INTEGRITY begins.
    integrity_at: Option<usize>,
}

impl Stun {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let length = usize::from(number(bytes, 2)?);
        if bytes.get(4..8)? != MAGIC_COOKIE || bytes.len() != HEADER_LEN + length || bytes[0] >= 4 {
            return None;
        }
        let transaction = bytes.get(8..20)?.try_into().ok()?;
        let mut message = Stun { kind: number(bytes, 0)?, transaction, fragment: None, integrity_at: None };
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let (kind, length) = (number(bytes, at)?, usize::from(number(bytes, at + 2)?));
            let value = bytes.get(at + 4..at + 4 + length)?;
            match kind {
                USERNAME if message.fragment.is_none() => {
                    let text = std::str::from_utf8(value).ok()?;
                    message.fragment = text.split(':').next().map(str::to_owned);
                }
                MESSAGE_INTEGRITY if message.integrity_at.is_none() => message.integrity_at = Some(at),
                _ => {}
            }
            at += 4 + length.next_multiple_of(4);
        }
        Some(message)
    }

    pub(super) fn is_binding_request(&self) -> bool {
        self.kind == 0x0001
    }

    pub(super) fn is_success(&self) -> bool {
        self.kind == 0x0101
    }

    /// Whether `password` made its MESSAGE-INTEGRITY (section 14.5).
    pub(super) fn is_made_with(&self, bytes: &[u8], password: &str) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let Some(tag) = bytes.get(at + 4..at + 24) else { return false };
        let mut signed = bytes[..at].to_vec();
        signed[2..4].copy_from_slice(&((at - HEADER_LEN + 24) as u16).to_be_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        constant_time::verify_slices_are_equal(hmac::sign(&key, &signed).as_ref(), tag).is_ok()
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::stun::BindingRequest;

    #[test]
    fn a_request_is_read_and_its_password_known() {
        let request = BindingRequest {
            username: "ours:theirs".to_owned(),
            password: Some("secret".to_owned()),
            transaction: [7; 12],
            use_candidate: true,
        };
        let bytes = request.to_bytes();
        let read = Stun::parse(&bytes).unwrap();
        assert!(read.is_binding_request() && !read.is_success());
        assert_eq!((read.fragment.as_deref(), read.transaction), (Some("ours"), [7; 12]));
        assert!(read.is_made_with(&bytes, "secret") && !read.is_made_with(&bytes, "secreT"));
        assert_eq!(Stun::parse(&bytes[..bytes.len() - 1]), None);
    }
}
