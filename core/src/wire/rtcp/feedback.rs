//! Feedback about single streams: NACK, PLI, FIR and REMB (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb-03).

use super::feedback_type::{APPLICATION, FIR, NACK, PLI};
use super::packet_type::{PAYLOAD_SPECIFIC_FEEDBACK, TRANSPORT_LAYER_FEEDBACK};
use super::writer::{packet, put_u32};
use crate::wire::reader::Reader;

/// What makes a REMB out of an application layer feedback message.
const REMB_IDENTIFIER: [u8; 4] = *b"REMB";

/// View of a generic NACK (RFC 4585 section 6.2.1).
#[derive(Clone, Copy, Debug)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    /// The stream that misses packets.
    pub media_ssrc: u32,
    items: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { sender_ssrc: reader.u32()?, media_ssrc: reader.u32()?, items: reader.rest() })
    }

    /// The sequence numbers asked for, in the order of the message. Up to 17 for every 4 bytes, possibly repeated: whoever
    /// answers limits how many it looks at.
    pub fn sequence_numbers(&self) -> impl Iterator<Item = u16> + 'a {
        self.items.as_chunks::<4>().0.iter().flat_map(|&[p0, p1, b0, b1]| {
            let packet_id = u16::from_be_bytes([p0, p1]);
            let following = u16::from_be_bytes([b0, b1]);
            // Bit 0 stands for the packet itself, bit n for the n-th after it.
            let mut bits = u32::from(following) << 1 | 1;
            std::iter::from_fn(move || {
                let offset = bits.trailing_zeros();
                bits &= bits.checked_sub(1)?;
                Some(packet_id.wrapping_add(offset as u16))
            })
        })
    }
}

/// Picture loss indication (RFC 4585 section 6.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender_ssrc: u32,
    /// The stream that needs a keyframe.
    pub media_ssrc: u32,
}

impl Pli {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { sender_ssrc: reader.u32()?, media_ssrc: reader.u32()? })
    }
}

/// View of a full intra request (RFC 5104 section 4.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender_ssrc: u32,
    entries: &'a [u8],
}

/// A stream that needs a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    /// The stream.
    pub ssrc: u32,
    /// Number of the request; the same number again is a repetition and not a new request.
    pub sequence_number: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let sender_ssrc = reader.u32()?;
        // The media SSRC of the header is unused; the entries name theirs.
        reader.u32()?;
        Some(Self { sender_ssrc, entries: reader.rest() })
    }

    /// The streams asked for.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = FirEntry> + 'a {
        self.entries.as_chunks::<8>().0.iter().map(|&[a, b, c, d, sequence_number, ..]| FirEntry {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence_number,
        })
    }
}

/// View of a receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 section 2.2).
#[derive(Clone, Copy, Debug)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender_ssrc: u32,
    /// The estimate in bits per second; what does not fit 64 bits is `u64::MAX`.
    pub bitrate_bps: u64,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let sender_ssrc = reader.u32()?;
        // The media SSRC of the header is always 0.
        reader.u32()?;
        if reader.array()? != REMB_IDENTIFIER {
            return None;
        }
        let ssrc_count = reader.u8()?;
        let bits = reader.u24()?;
        let (exponent, mantissa) = (bits >> 18, u64::from(bits & 0x3_FFFF));
        let fits = mantissa == 0 || mantissa.leading_zeros() >= exponent;
        Some(Self {
            sender_ssrc,
            bitrate_bps: if fits { mantissa.checked_shl(exponent).unwrap_or(0) } else { u64::MAX },
            ssrcs: reader.take(usize::from(ssrc_count) * 4)?,
        })
    }

    /// The streams that share the estimate.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.ssrcs.as_chunks::<4>().0.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }
}

/// Appends a generic NACK. `sequence_numbers` is sorted in the order of the stream (65535 before 0) and without repetitions;
/// if it is not, the message is longer than needed. Appends nothing for an empty list.
pub fn write_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, sequence_numbers: &[u16]) {
    let Some((&first, rest)) = sequence_numbers.split_first() else { return };
    packet(out, NACK, TRANSPORT_LAYER_FEEDBACK, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, media_ssrc);
        let (mut packet_id, mut following) = (first, 0u16);
        for &sequence_number in rest {
            let distance = sequence_number.wrapping_sub(packet_id);
            if (1..=16).contains(&distance) {
                following |= 1 << (distance - 1);
            } else {
                put_u32(out, u32::from(packet_id) << 16 | u32::from(following));
                (packet_id, following) = (sequence_number, 0);
            }
        }
        put_u32(out, u32::from(packet_id) << 16 | u32::from(following));
    });
}

/// Appends a picture loss indication.
pub fn write_pli(out: &mut Vec<u8>, pli: Pli) {
    packet(out, PLI, PAYLOAD_SPECIFIC_FEEDBACK, |out| {
        put_u32(out, pli.sender_ssrc);
        put_u32(out, pli.media_ssrc);
    });
}

/// Appends a full intra request.
pub fn write_fir(out: &mut Vec<u8>, sender_ssrc: u32, entries: &[FirEntry]) {
    packet(out, FIR, PAYLOAD_SPECIFIC_FEEDBACK, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, 0);
        for entry in entries {
            put_u32(out, entry.ssrc);
            put_u32(out, u32::from(entry.sequence_number) << 24);
        }
    });
}

/// Appends a receiver estimated maximum bitrate. The bitrate is rounded down to 18 significant bits. Streams after the 255th
/// are left out.
pub fn write_remb(out: &mut Vec<u8>, sender_ssrc: u32, bitrate_bps: u64, ssrcs: &[u32]) {
    let ssrcs = ssrcs.get(..255).unwrap_or(ssrcs);
    let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(18);
    let mantissa = (bitrate_bps >> exponent) as u32;
    packet(out, APPLICATION, PAYLOAD_SPECIFIC_FEEDBACK, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, 0);
        out.extend_from_slice(&REMB_IDENTIFIER);
        put_u32(out, (ssrcs.len() as u32) << 24 | exponent << 18 | mantissa);
        ssrcs.iter().for_each(|&ssrc| put_u32(out, ssrc));
    });
}
