//! STUN (RFC 8489) as far as an ICE-Lite server meets it: a view of what came, and a writer of answers.
//!
//! The `is` crate's parser is not used for what comes from the network: it reports a request without USERNAME,
//! MESSAGE-INTEGRITY or PRIORITY as unreadable, where RFC 8489 section 9.1.3 asks for an answer, knows no nomination
//! attribute, does not list unknown attributes, and allocates to say so. It is the other end in the tests.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

/// Length of the STUN header, bytes.
const HEADER_LEN: usize = 20;

/// The value that tells STUN from what else comes to a port (RFC 8489 section 5).
const MAGIC_COOKIE: u32 = 0x2112_A442;

/// Length of the value of MESSAGE-INTEGRITY, bytes.
const INTEGRITY_LEN: usize = 20;

/// What the CRC of FINGERPRINT is combined with (RFC 8489 section 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// How many unknown attributes an answer lists; of more, the first ones.
const MAX_UNKNOWN: usize = 8;

const METHOD_BINDING: u16 = 0x0001;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
/// Of draft-thatcher-ice-renomination, as libwebrtc sends it.
const NOMINATION: u16 = 0xC001;

/// Attributes that must be understood and are, though a binding request has no use for them: MAPPED-ADDRESS, ERROR-CODE,
/// UNKNOWN-ATTRIBUTES, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, XOR-MAPPED-ADDRESS.
const UNUSED: [u16; 7] = [0x0001, ERROR_CODE, UNKNOWN_ATTRIBUTES, 0x0014, 0x0015, 0x001C, XOR_MAPPED_ADDRESS];

/// The class of a message (RFC 8489 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// A well-formed STUN message; nothing of it is proved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    pub(super) class: Class,
    pub(super) is_binding: bool,
    pub(super) username: Option<&'a [u8]>,
    pub(super) priority: Option<u32>,
    pub(super) use_candidate: bool,
    pub(super) nomination: Option<u32>,
    pub(super) is_controlled: bool,
    /// Offset of the attribute MESSAGE-INTEGRITY.
    integrity_at: Option<usize>,
    /// Whether FINGERPRINT is there, last and right.
    pub(super) has_valid_fingerprint: bool,
    unknown: [u16; MAX_UNKNOWN],
    unknown_count: usize,
}

impl<'a> Message<'a> {
    /// Reads a message that fills `bytes`; `None` if it is no STUN or not well formed.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let kind = read_u16(bytes, 0)?;
        let length = usize::from(read_u16(bytes, 2)?);
        if kind >> 14 != 0 || read_u32(bytes, 4)? != MAGIC_COOKIE {
            return None;
        }
        if length % 4 != 0 || bytes.len() != HEADER_LEN + length {
            return None;
        }
        let class = match kind & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        };
        let mut message = Self {
            bytes,
            class,
            is_binding: kind & !0x0110 == METHOD_BINDING,
            username: None,
            priority: None,
            use_candidate: false,
            nomination: None,
            is_controlled: false,
            integrity_at: None,
            has_valid_fingerprint: false,
            unknown: [0; MAX_UNKNOWN],
            unknown_count: 0,
        };
        message.read_attributes()?;
        Some(message)
    }

    fn read_attributes(&mut self) -> Option<()> {
        let mut at = HEADER_LEN;
        while at < self.bytes.len() {
            let kind = read_u16(self.bytes, at)?;
            let length = usize::from(read_u16(self.bytes, at + 2)?);
            let value = self.bytes.get(at + 4..at + 4 + length)?;
            let next = at + 4 + length.next_multiple_of(4);
            // FINGERPRINT is the last attribute; behind MESSAGE-INTEGRITY nothing else counts, for it is not protected
            // (RFC 8489 sections 14.5 and 14.7).
            if kind == FINGERPRINT {
                let is_last = next == self.bytes.len();
                self.has_valid_fingerprint = is_last && value == fingerprint(self.bytes.get(..at)?);
            } else if self.integrity_at.is_none() {
                self.read_attribute(kind, value, at)?;
            }
            at = next;
        }
        (at == self.bytes.len()).then_some(())
    }

    /// Of an attribute that occurs twice the first one counts (RFC 8489 section 14).
    fn read_attribute(&mut self, kind: u16, value: &'a [u8], at: usize) -> Option<()> {
        match kind {
            USERNAME => self.username = self.username.or(Some(value)),
            MESSAGE_INTEGRITY => {
                let _: [u8; INTEGRITY_LEN] = value.try_into().ok()?;
                self.integrity_at = Some(at);
            }
            PRIORITY => self.priority = self.priority.or(Some(u32::from_be_bytes(value.try_into().ok()?))),
            USE_CANDIDATE => self.use_candidate = true,
            NOMINATION => {
                self.nomination = self.nomination.or(Some(u32::from_be_bytes(value.try_into().ok()?)));
            }
            ICE_CONTROLLED => self.is_controlled = true,
            _ if kind < 0x8000 && !UNUSED.contains(&kind) => {
                if let Some(unknown) = self.unknown.get_mut(self.unknown_count) {
                    *unknown = kind;
                    self.unknown_count += 1;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// What USERNAME says before the colon, which is for the receiver to know.
    pub(super) fn local_username_fragment(&self) -> Option<&'a [u8]> {
        self.username?.split(|byte| *byte == b':').next()
    }

    /// Whether MESSAGE-INTEGRITY is there.
    pub(super) fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// Whether MESSAGE-INTEGRITY is there and made with the password `key` (RFC 8489 section 14.5).
    pub(super) fn verify_integrity(&self, key: &hmac::Key) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let (Some(protected), Some(value)) =
            (self.bytes.get(..at), self.bytes.get(at + 4..at + 4 + INTEGRITY_LEN))
        else {
            return false;
        };
        let tag = integrity(key, protected);
        constant_time::verify_slices_are_equal(tag.as_ref(), value).is_ok()
    }

    /// The attributes that would have to be understood and are not, at most eight.
    pub(super) fn unknown_attributes(&self) -> &[u16] {
        self.unknown.get(..self.unknown_count).unwrap_or(&[])
    }

    /// Twelve bytes that the answer repeats.
    fn transaction_id(&self) -> &'a [u8] {
        self.bytes.get(8..HEADER_LEN).unwrap_or(&[])
    }
}

/// Whether `bytes` may be STUN: the header's fixed parts. Cheap, for a first look at a datagram.
pub(super) fn local_username_fragment(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(Message::parse(bytes)?.local_username_fragment()?).ok()
}

/// What an error answer says (RFC 8489 section 14.8, RFC 8445 section 7.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400: an attribute is missing, or the method is none of ours.
    BadRequest,
    /// 401: the user name or the integrity is wrong.
    Unauthenticated,
    /// 420: an attribute must be understood and is not.
    UnknownAttribute,
    /// 487: the other side must be the controlling one, since we are ICE-Lite.
    RoleConflict,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::UnknownAttribute => 420,
            Self::RoleConflict => 487,
        }
    }

    fn reason(self) -> &'static [u8] {
        match self {
            Self::BadRequest => b"Bad Request",
            Self::Unauthenticated => b"Unauthenticated",
            Self::UnknownAttribute => b"Unknown Attribute",
            Self::RoleConflict => b"Role Conflict",
        }
    }
}

/// Appends the answer that a request was well received, with the address that it came from.
pub(super) fn write_success(request: &Message<'_>, remote: SocketAddr, key: &hmac::Key, out: &mut Vec<u8>) {
    let start = write_header(0x0101, request, out);
    let port = remote.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let mut mask = [0; 16];
    for (to, from) in mask.iter_mut().zip(MAGIC_COOKIE.to_be_bytes().iter().chain(request.transaction_id())) {
        *to = *from;
    }
    let family = |family: u8| [0, family, (port >> 8) as u8, port as u8];
    // An IPv4 client on an IPv6 socket knows itself by its IPv4 address.
    match remote.ip().to_canonical() {
        IpAddr::V4(address) => {
            write_attribute_header(XOR_MAPPED_ADDRESS, 8, out);
            out.extend_from_slice(&family(1));
            out.extend(address.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
        IpAddr::V6(address) => {
            write_attribute_header(XOR_MAPPED_ADDRESS, 20, out);
            out.extend_from_slice(&family(2));
            out.extend(address.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
    }
    finish(start, Some(key), out);
}

/// Appends the answer that a request was refused. Without a `key`, which a request that proved nothing does not get, it has
/// no MESSAGE-INTEGRITY.
pub(super) fn write_error(
    request: &Message<'_>,
    code: ErrorCode,
    key: Option<&hmac::Key>,
    out: &mut Vec<u8>,
) {
    // The method is repeated, whatever it is.
    let kind = read_u16(request.bytes, 0).unwrap_or(METHOD_BINDING) | 0x0110;
    let start = write_header(kind, request, out);
    let reason = code.reason();
    write_attribute_header(ERROR_CODE, 4 + reason.len(), out);
    out.extend_from_slice(&[0, 0, (code.number() / 100) as u8, (code.number() % 100) as u8]);
    out.extend_from_slice(reason);
    pad(start, out);
    if code == ErrorCode::UnknownAttribute {
        write_attribute_header(UNKNOWN_ATTRIBUTES, 2 * request.unknown_attributes().len(), out);
        for unknown in request.unknown_attributes() {
            out.extend_from_slice(&unknown.to_be_bytes());
        }
        pad(start, out);
    }
    finish(start, key, out);
}

fn write_header(kind: u16, request: &Message<'_>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    out.extend_from_slice(request.transaction_id());
    start
}

fn write_attribute_header(kind: u16, length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(length as u16).to_be_bytes());
}

fn pad(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    out.resize(start + length.next_multiple_of(4), 0);
}

/// Appends MESSAGE-INTEGRITY and FINGERPRINT and sets the length.
fn finish(start: usize, key: Option<&hmac::Key>, out: &mut Vec<u8>) {
    if let Some(key) = key {
        let tag = integrity(key, out.get(start..).unwrap_or(&[]));
        write_attribute_header(MESSAGE_INTEGRITY, INTEGRITY_LEN, out);
        out.extend_from_slice(tag.as_ref());
    }
    let length = out.len() - start - HEADER_LEN + 8;
    if let Some(field) = out.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&(length as u16).to_be_bytes());
    }
    let fingerprint = fingerprint(out.get(start..).unwrap_or(&[]));
    write_attribute_header(FINGERPRINT, 4, out);
    out.extend_from_slice(&fingerprint);
}

/// The code over what precedes MESSAGE-INTEGRITY, with a length in the header as if it were the last attribute.
fn integrity(key: &hmac::Key, protected: &[u8]) -> hmac::Tag {
    let length = protected.len() - HEADER_LEN.min(protected.len()) + 4 + INTEGRITY_LEN;
    let mut context = hmac::Context::with_key(key);
    context.update(protected.get(..2).unwrap_or(&[]));
    context.update(&(length as u16).to_be_bytes());
    context.update(protected.get(4..).unwrap_or(&[]));
    context.sign()
}

fn fingerprint(covered: &[u8]) -> [u8; 4] {
    (crc32(covered) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// CRC-32 of ITU V.42, reflected, a byte at a time.
fn crc32(bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = crc32_table();
    !bytes.iter().fold(u32::MAX, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const fn crc32_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
