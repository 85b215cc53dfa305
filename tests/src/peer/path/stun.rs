//! STUN as clients speak it (RFC 8489, RFC 8445 section 7.1): a writer with everything chosen by the caller, and a view of
//! what a server answers.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;

const MAGIC_COOKIE: u32 = 0x2112_a442;
const HEADER_LEN: usize = 20;
/// What the CRC of FINGERPRINT is combined with (RFC 8489 section 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_INDICATION: u16 = 0x0011;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// The priority of a peer-reflexive candidate (RFC 8445 section 7.1.1).
const PEER_REFLEXIVE: u32 = 0x6e00_01ff;

/// What tells a request from others, chosen by who asks.
pub type Transaction = [u8; 12];

/// The role of a client in ICE (RFC 8445 section 6.1.1), with its tie-breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It nominates.
    Controlling(u64),
    /// The server would have to nominate, which an ICE-Lite agent never does.
    Controlled(u64),
}

/// A binding request.
#[derive(Debug, Clone)]
pub struct BindingRequest {
    /// `local fragment of the server:fragment of the client`.
    pub username: String,
    /// The server's password; `None`: no MESSAGE-INTEGRITY.
    pub password: Option<String>,
    /// The transaction.
    pub transaction: Transaction,
    /// Whether USE-CANDIDATE is there.
    pub use_candidate: bool,
}

impl BindingRequest {
    /// Its bytes, FINGERPRINT at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_as(Role::Controlling(7))
    }

    /// Its bytes as a client in that role sends them.
    pub fn to_bytes_as(&self, role: Role) -> Vec<u8> {
        let mut writer = Writer::new(BINDING_REQUEST, self.transaction);
        writer.attribute(USERNAME, self.username.as_bytes());
        writer.attribute(PRIORITY, &PEER_REFLEXIVE.to_be_bytes());
        match role {
            Role::Controlling(tie_breaker) => writer.attribute(ICE_CONTROLLING, &tie_breaker.to_be_bytes()),
            Role::Controlled(tie_breaker) => writer.attribute(ICE_CONTROLLED, &tie_breaker.to_be_bytes()),
        }
        if self.use_candidate {
            writer.attribute(USE_CANDIDATE, &[]);
        }
        if let Some(password) = &self.password {
            writer.integrity(password);
        }
        writer.finish()
    }
}

/// A binding indication, as a keepalive (RFC 8445 section 11). Nobody answers it.
pub fn binding_indication(transaction: Transaction) -> Vec<u8> {
    Writer::new(BINDING_INDICATION, transaction).finish()
}

/// Puts the right FINGERPRINT at the end of a message that was changed behind its first 20 bytes.
pub fn refresh_fingerprint(bytes: &mut [u8]) {
    let Some(at) = bytes.len().checked_sub(8).filter(|at| *at >= HEADER_LEN) else { return };
    let fingerprint = crc32(&bytes[..at]) ^ FINGERPRINT_XOR;
    bytes[at + 4..].copy_from_slice(&fingerprint.to_be_bytes());
}

/// What a server says to a binding request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which request it answers.
    pub transaction: Transaction,
    /// What it says.
    pub outcome: Outcome,
    /// Everything before MESSAGE-INTEGRITY, its length as it was then, and the tag; `None` without the attribute.
    integrity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Success or error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// XOR-MAPPED-ADDRESS: the address from which the request came.
    Success(SocketAddr),
    /// ERROR-CODE.
    Error(u16),
}

impl Answer {
    /// Reads an answer with a right FINGERPRINT; `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = read_u16(bytes, 0)?;
        let length = usize::from(read_u16(bytes, 2)?);
        if bytes.get(4..8)? != MAGIC_COOKIE.to_be_bytes() || bytes.len() != HEADER_LEN + length {
            return None;
        }
        let transaction: Transaction = bytes.get(8..HEADER_LEN)?.try_into().ok()?;
        let (mut mapped, mut error, mut integrity, mut fingerprinted) = (None, None, None, false);
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let attribute = read_u16(bytes, at)?;
            let value_len = usize::from(read_u16(bytes, at + 2)?);
            let value = bytes.get(at + 4..at + 4 + value_len)?;
            match attribute {
                XOR_MAPPED_ADDRESS => mapped = read_xor_address(value, &transaction),
                ERROR_CODE => error = Some(u16::from(*value.get(2)?) * 100 + u16::from(*value.get(3)?)),
                MESSAGE_INTEGRITY => integrity = Some((integrity_text(bytes, at), value.to_vec())),
                FINGERPRINT => {
                    let expected = crc32(&bytes[..at]) ^ FINGERPRINT_XOR;
                    fingerprinted = value == expected.to_be_bytes() && at + 8 == bytes.len();
                }
                _ => {}
            }
            at += 4 + value_len.next_multiple_of(4);
        }
        let outcome = match kind {
            BINDING_SUCCESS => Outcome::Success(mapped?),
            BINDING_ERROR => Outcome::Error(error?),
            _ => return None,
        };
        fingerprinted.then_some(Answer { transaction, outcome, integrity })
    }

    /// Whether it was made with that password; `None` if it does not say (RFC 8489 section 9.1.3: an error 400 or 401 does
    /// not).
    pub fn is_authentic(&self, password: &str) -> Option<bool> {
        let (text, tag) = self.integrity.as_ref()?;
        Some(hmac::verify(&hmac_key(password), text, tag).is_ok())
    }
}

/// Writes a message attribute by attribute.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u16, transaction: Transaction) -> Self {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(MAGIC_COOKIE.to_be_bytes());
        bytes.extend(transaction);
        Writer(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(kind.to_be_bytes());
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn integrity(&mut self, password: &str) {
        set_length(&mut self.0, 24);
        let tag = hmac::sign(&hmac_key(password), &self.0);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref());
    }

    fn finish(mut self) -> Vec<u8> {
        set_length(&mut self.0, 8);
        let fingerprint = crc32(&self.0) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &fingerprint.to_be_bytes());
        set_length(&mut self.0, 0);
        self.0
    }
}

fn set_length(bytes: &mut [u8], to_come: usize) {
    let length = (bytes.len() - HEADER_LEN + to_come) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// What the tag of a MESSAGE-INTEGRITY at `at` covers: the message before it, with a length that ends with it (RFC 8489
/// section 14.5).
fn integrity_text(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut text = bytes[..at].to_vec();
    set_length(&mut text, 24);
    text
}

fn hmac_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// RFC 8489 section 14.2.
fn read_xor_address(value: &[u8], transaction: &Transaction) -> Option<SocketAddr> {
    let port = read_u16(value, 2)? ^ (MAGIC_COOKIE >> 16) as u16;
    let mask = [&MAGIC_COOKIE.to_be_bytes()[..], transaction].concat();
    let unmasked: Vec<u8> = value.get(4..)?.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    let ip = match value.get(1)? {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(unmasked).ok()?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(unmasked).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
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

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// The password of all samples of RFC 5769.
    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    /// RFC 5769 section 2.2 and 2.3: answers with either family.
    #[test]
    fn rfc_5769_sample_answers() {
        let v4 = hex(
            "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147
             e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96",
        );
        let v6 = hex(
            "01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147
             0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004
             c8fb0b4c",
        );
        let addresses = ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"];
        for (bytes, address) in [v4, v6].iter().zip(addresses) {
            let answer = Answer::parse(bytes).unwrap();
            assert_eq!(answer.outcome, Outcome::Success(address.parse().unwrap()));
            assert_eq!(answer.transaction[..4], hex("b7e7a701"));
            assert_eq!(answer.is_authentic(PASSWORD), Some(true));
            assert_eq!(answer.is_authentic("another"), Some(false));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 4;
                assert_eq!(Answer::parse(&damaged), None, "byte {at}");
                assert_eq!(Answer::parse(&bytes[..at]), None, "{at} bytes");
            }
        }
    }

    #[test]
    fn requests_and_indications_are_no_answers() {
        assert_eq!(Answer::parse(&binding_indication([1; 12])), None);
        let mut error = Writer::new(BINDING_ERROR, [2; 12]);
        error.attribute(ERROR_CODE, &[0, 0, 4, 87]);
        let answer = Answer::parse(&error.finish()).unwrap();
        assert_eq!((answer.outcome, answer.is_authentic("any")), (Outcome::Error(487), None));
    }
}
