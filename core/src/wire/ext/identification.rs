//! The names that tell to which media section or encoding a stream belongs (RFC 9143 section 15, RFC 8852).

use std::fmt;

/// Longest MID or RID that is accepted, in bytes. (The one-byte form of header extensions carries 16.)
pub const IDENTIFIER_MAX_LEN: usize = 32;

/// `urn:ietf:params:rtp-hdrext:sdes:mid`: the media section of a stream. A token (RFC 4566 section 9) of 1 to
/// [`IDENTIFIER_MAX_LEN`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mid(heapless::String<IDENTIFIER_MAX_LEN>);

/// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id` and `…:repaired-rtp-stream-id`: one encoding of a source. 1 to
/// [`IDENTIFIER_MAX_LEN`] letters, digits, `-` and `_` (RFC 8851 section 10; RFC 8852 section 3 asks for letters and digits
/// only, but SDP allows the other two and browsers send them).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid(heapless::String<IDENTIFIER_MAX_LEN>);

impl Mid {
    /// Reads an extension's or SDES item's value. `None` if it is empty, too long or has bytes that no token has.
    pub fn parse(value: &[u8]) -> Option<Self> {
        identifier(value, is_token_byte).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Rid {
    /// Reads an extension's or SDES item's value. `None` if it is empty, too long or has other bytes than allowed.
    pub fn parse(value: &[u8]) -> Option<Self> {
        identifier(value, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mid({})", self.0)
    }
}

impl fmt::Debug for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rid({})", self.0)
    }
}

fn identifier(value: &[u8], allowed: impl Fn(u8) -> bool) -> Option<heapless::String<IDENTIFIER_MAX_LEN>> {
    // Some senders fill up with zero bytes to keep the length of their packets constant.
    let len = value.iter().rposition(|&byte| byte != 0)? + 1;
    let value = value.get(..len)?;
    if !value.iter().all(|&byte| allowed(byte)) {
        return None;
    }
    heapless::String::try_from(std::str::from_utf8(value).ok()?).ok()
}

fn is_token_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x27 | 0x2A..=0x2B | 0x2D..=0x2E | 0x30..=0x39 | 0x41..=0x5A | 0x5E..=0x7E)
}
