//! A reader of STUN messages for those who judge servers (RFC 8489, RFC 8445): strict, slow, and nothing of the core's. Clients
//! have one of their own, [`crate::peer::path::stun`].
use aws_lc_rs::hmac;

use crate::peer::path::stun::refresh_fingerprint;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LEN: usize = 20;
/// MESSAGE-INTEGRITY with its type and length.
const INTEGRITY_LEN: usize = 24;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stun<'a> {
    /// Class and method (RFC 8489 section 5): 0x0001 binding request, 0x0101 success response, 0x0111 error response.
    pub kind: u16,
    /// The transaction.
    pub transaction: [u8; 12],
    /// USERNAME.
    pub username: Option<&'a [u8]>,
    /// Whether there is a PRIORITY.
    pub has_priority: bool,
    /// Whether the sender takes itself for the controlled agent.
    pub is_controlled: bool,
    /// Whether there is an attribute that has to be understood and is not known.
    pub has_unknown: bool,
    /// What precedes MESSAGE-INTEGRITY, and its value.
    pub integrity: Option<(&'a [u8], &'a [u8])>,
    /// Whether the message ends with a right FINGERPRINT.
    pub has_fingerprint: bool,
}

impl<'a> Stun<'a> {
    /// Reads a message attribute by attribute; `None` if it is malformed.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let u16_at = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let has_right_length =
            usize::from(u16_at(2)?) + HEADER_LEN == bytes.len() && bytes.len().is_multiple_of(4);
        if header[0] & 0xc0 != 0 || header[4..8] != MAGIC_COOKIE || !has_right_length {
            return None;
        }
        let mut message = Stun {
            kind: u16_at(0)?,
            transaction: *header.last_chunk()?,
            username: None,
            has_priority: false,
            is_controlled: false,
            has_unknown: false,
            integrity: None,
            has_fingerprint: false,
        };
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let (kind, len) = (u16_at(at)?, usize::from(u16_at(at + 2)?));
            let value = bytes.get(at + 4..at + 4 + len)?;
            let next = at + 4 + len.next_multiple_of(4);
            if kind == 0x8028 {
                let mut right = bytes.to_vec();
                refresh_fingerprint(&mut right);
                message.has_fingerprint = next == bytes.len() && len == 4 && right == bytes;
            } else if message.integrity.is_none() {
                message.take(kind, value, &bytes[..at])?;
            }
            at = next;
        }
        Some(message)
    }

    /// Whether it is a binding request.
    pub fn is_binding_request(&self) -> bool {
        self.kind == 0x0001
    }

    /// Whether it is the success answer to one.
    pub fn is_success(&self) -> bool {
        self.kind == 0x0101
    }

    /// The username up to the colon: the server's fragment in what a client sends (RFC 8445 section 7.2.2).
    pub fn fragment(&self) -> Option<&'a str> {
        str::from_utf8(self.username?.split(|byte| *byte == b':').next()?).ok()
    }

    /// Whether `password` made its MESSAGE-INTEGRITY.
    pub fn is_made_with(&self, password: &str) -> bool {
        self.integrity.is_some_and(|(protected, tag)| integrity(protected, password) == *tag)
    }

    /// `None` if the value cannot be one of this attribute.
    fn take(&mut self, kind: u16, value: &'a [u8], before: &'a [u8]) -> Option<()> {
        let is_right = match kind {
            0x0008 => value.len() == 20,
            // PRIORITY and the nomination.
            0x0024 | 0xc001 => value.len() == 4,
            _ => true,
        };
        match kind {
            0x0006 => self.username = self.username.or(Some(value)),
            0x0008 => self.integrity = Some((before, value)),
            0x0024 => self.has_priority = true,
            0x8029 => self.is_controlled = true,
            // Known, and of no use in a request.
            0x0001 | 0x0009 | 0x000a | 0x0014 | 0x0015 | 0x001c | 0x0020 | 0x0025 => {}
            0..0x8000 => self.has_unknown = true,
            _ => {}
        }
        is_right.then_some(())
    }
}

/// The value of MESSAGE-INTEGRITY as the next attribute behind `protected` (RFC 8489 section 14.5).
pub fn integrity(protected: &[u8], password: &str) -> Vec<u8> {
    let mut covered = protected.to_vec();
    let length = (protected.len() - HEADER_LEN + INTEGRITY_LEN) as u16;
    covered[2..4].copy_from_slice(&length.to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hmac::sign(&key, &covered).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::path::stun::BindingRequest;

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
        assert!(read.is_binding_request() && !read.is_success() && read.has_fingerprint && read.has_priority);
        assert!(!read.has_unknown && !read.is_controlled);
        assert_eq!((read.fragment(), read.transaction), (Some("ours"), [7; 12]));
        assert!(read.is_made_with("secret") && !read.is_made_with("secreT"));
        assert_eq!(Stun::parse(&bytes[..bytes.len() - 1]), None);
    }
}
