//! RTP packets as a client writes and reads them (RFC 3550 section 5.1, header extensions of RFC 8285).
//!
//! Written for being obviously right: a second opinion on what the server makes.
use std::fmt;

const VERSION: u8 = 2;
const FIXED_HEADER_BYTES: usize = 12;
/// "defined by profile" of the one-byte form (RFC 8285 section 4.2).
const ONE_BYTE_PROFILE: u16 = 0xBEDE;
/// Of the two-byte form with the "appbits" 0 (section 4.3).
const TWO_BYTE_PROFILE: u16 = 0x1000;

/// The fixed header's fields that differ from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// 0 to 127.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence_number: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
}

/// A packet that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// The fixed header.
    pub header: RtpHeader,
    /// Header extensions: id and value, in their order.
    pub extensions: Vec<(u8, &'a [u8])>,
    /// What follows the header, without padding.
    pub payload: &'a [u8],
    /// Number of padding bytes behind it.
    pub padding_bytes: usize,
}

/// Why bytes are not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtpError {
    /// It ends before what it announces.
    CutOff,
    /// Not version 2.
    Version,
    /// Padding of no bytes, or of more than there are.
    Padding,
    /// A header extension is longer than its block, has the id 15, or the block is of an unknown profile.
    Extension,
}

impl fmt::Display for RtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not RTP: {self:?}")
    }
}

impl<'a> RtpPacket<'a> {
    /// Reads a packet in the clear.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let fixed = bytes.get(..FIXED_HEADER_BYTES).ok_or(RtpError::CutOff)?;
        if fixed[0] >> 6 != VERSION {
            return Err(RtpError::Version);
        }
        let header = RtpHeader {
            payload_type: fixed[1] & 0x7F,
            marker: fixed[1] & 0x80 != 0,
            sequence_number: be16(&fixed[2..]),
            timestamp: be32(&fixed[4..]),
            ssrc: be32(&fixed[8..]),
        };
        let csrc_bytes = 4 * usize::from(fixed[0] & 0x0F);
        let mut rest = bytes.get(FIXED_HEADER_BYTES + csrc_bytes..).ok_or(RtpError::CutOff)?;
        let mut extensions = Vec::new();
        if fixed[0] & 0x10 != 0 {
            let head = rest.get(..4).ok_or(RtpError::CutOff)?;
            let (profile, length) = (be16(head), 4 * usize::from(be16(&head[2..])));
            let block = rest.get(4..4 + length).ok_or(RtpError::CutOff)?;
            extensions = parse_extensions(profile, block)?;
            rest = &rest[4 + length..];
        }
        let padding_bytes = if fixed[0] & 0x20 == 0 {
            0
        } else {
            rest.last().map(|&last| usize::from(last)).filter(|&n| n > 0).ok_or(RtpError::Padding)?
        };
        let payload_len = rest.len().checked_sub(padding_bytes).ok_or(RtpError::Padding)?;
        Ok(RtpPacket { header, extensions, payload: &rest[..payload_len], padding_bytes })
    }

    /// The value of the extension with that id.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions.iter().find(|(other, _)| *other == id).map(|(_, value)| *value)
    }
}

impl RtpHeader {
    /// A packet with these extensions (id and value) and this payload. The two-byte form is used if any of them needs it: an id
    /// above 14, or a value that is empty or longer than 16 bytes.
    pub fn packet(&self, extensions: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_HEADER_BYTES + 48 + payload.len());
        let extension_bit = if extensions.is_empty() { 0 } else { 0x10 };
        out.push(VERSION << 6 | extension_bit);
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7F);
        out.extend(self.sequence_number.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        if !extensions.is_empty() {
            write_extensions(extensions, &mut out);
        }
        out.extend_from_slice(payload);
        out
    }
}

/// Whether `a` comes after `b` in RFC 1982's order.
pub fn is_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// The extended number nearest to `reference` whose low 16 bits are `number`. Never below 0: the caller starts at 2¹⁶ or more.
pub fn extend(number: u16, reference: u64) -> u64 {
    let ahead = number.wrapping_sub(reference as u16) as i16;
    reference.saturating_add_signed(i64::from(ahead))
}

fn parse_extensions(profile: u16, block: &[u8]) -> Result<Vec<(u8, &[u8])>, RtpError> {
    let two_byte = match profile {
        ONE_BYTE_PROFILE => false,
        _ if profile & 0xFFF0 == TWO_BYTE_PROFILE => true,
        _ => return Err(RtpError::Extension),
    };
    let mut extensions = Vec::with_capacity(8);
    let mut at = 0;
    while at < block.len() {
        if block[at] == 0 {
            at += 1; // padding between elements
            continue;
        }
        let (id, len, head) = if two_byte {
            (block[at], usize::from(*block.get(at + 1).ok_or(RtpError::Extension)?), 2)
        } else {
            (block[at] >> 4, usize::from(block[at] & 0x0F) + 1, 1)
        };
        if !two_byte && id == 15 {
            return Err(RtpError::Extension); // reserved (section 4.2); nobody sends it
        }
        extensions.push((id, block.get(at + head..at + head + len).ok_or(RtpError::Extension)?));
        at += head + len;
    }
    Ok(extensions)
}

fn write_extensions(extensions: &[(u8, &[u8])], out: &mut Vec<u8>) {
    let two_byte = extensions.iter().any(|(id, value)| *id > 14 || value.is_empty() || value.len() > 16);
    out.extend((if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE }).to_be_bytes());
    let length_at = out.len();
    out.extend([0, 0]);
    for (id, value) in extensions {
        if two_byte {
            out.extend([*id, value.len() as u8]);
        } else {
            out.push(id << 4 | (value.len() as u8 - 1));
        }
        out.extend_from_slice(value);
    }
    while !(out.len() - length_at - 2).is_multiple_of(4) {
        out.push(0);
    }
    let words = (out.len() - length_at - 2) / 4;
    out[length_at..length_at + 2].copy_from_slice(&(words as u16).to_be_bytes());
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        payload_type: 96,
        marker: true,
        sequence_number: 0xFFFE,
        timestamp: 0x0102_0304,
        ssrc: 0xA0B0_C0D0,
    };

    #[test]
    fn what_is_written_is_read() {
        let long = [7; 30];
        let forms: [&[(u8, &[u8])]; 4] = [
            &[],
            &[(1, b"0"), (14, &[1, 2, 3]), (5, &[0; 16])],
            &[(1, b"0"), (2, &long), (3, &[])],
            &[(200, &[9])],
        ];
        for extensions in forms {
            let bytes = HEADER.packet(extensions, b"payload");
            let packet = RtpPacket::parse(&bytes).unwrap();
            assert_eq!(packet.header, HEADER);
            assert_eq!(packet.extensions, extensions);
            assert_eq!(packet.payload, b"payload");
            for cut in 0..bytes.len() - b"payload".len() {
                assert!(RtpPacket::parse(&bytes[..cut]).is_err(), "cut to {cut}");
            }
        }
    }

    #[test]
    fn the_servers_reader_agrees() {
        let bytes = HEADER.packet(&[(3, b"abc"), (9, b"d")], b"payload");
        let view = sansfu::wire::rtp::RtpView::parse(&bytes).unwrap();
        assert_eq!((view.ssrc(), view.sequence_number()), (HEADER.ssrc, HEADER.sequence_number));
        assert_eq!((view.timestamp(), view.payload_type(), view.marker()), (HEADER.timestamp, 96, true));
        assert_eq!(view.payload(), b"payload");
        assert_eq!(view.extension(3), Some(&b"abc"[..]));
        let bytes = HEADER.packet(&[(3, &[7; 40]), (9, b"d")], b"payload");
        let view = sansfu::wire::rtp::RtpView::parse(&bytes).unwrap();
        assert_eq!((view.extension(3), view.extension(9)), (Some(&[7; 40][..]), Some(&b"d"[..])));
    }

    #[test]
    fn broken_packets_are_refused() {
        let mut bytes = HEADER.packet(&[], b"ab");
        bytes[0] |= 0x20;
        bytes[13] = 3;
        assert_eq!(RtpPacket::parse(&bytes), Err(RtpError::Padding));
        bytes[13] = 1;
        assert_eq!(RtpPacket::parse(&bytes).map(|packet| packet.padding_bytes), Ok(1));
        bytes[0] = 0x40;
        assert_eq!(RtpPacket::parse(&bytes), Err(RtpError::Version));
    }

    #[test]
    fn numbers_are_extended_to_the_nearest() {
        assert_eq!(extend(1, 0x1_FFFF), 0x2_0001);
        assert_eq!(extend(0xFFFF, 0x2_0001), 0x1_FFFF);
        assert!(is_newer(1, 0xFFFF) && !is_newer(0xFFFF, 1) && !is_newer(4, 4));
    }
}
