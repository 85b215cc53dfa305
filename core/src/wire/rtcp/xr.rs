//! Extended reports: how a receiver that sends nothing learns the round-trip time (RFC 3611 sections 4.4 and 4.5).

use super::packet_type::EXTENDED_REPORT;
use super::writer::{packet, put_u32};
use crate::wire::ntp::NtpTime;
use crate::wire::reader::Reader;

/// Block types (RFC 3611 section 4).
mod block_type {
    pub const RECEIVER_REFERENCE_TIME: u8 = 4;
    pub const DLRR: u8 = 5;
}

/// View of an XR packet.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub sender_ssrc: u32,
    blocks: &'a [u8],
}

/// A report block.
#[derive(Clone, Copy, Debug)]
pub enum XrBlock<'a> {
    /// Receiver reference time: when the report was sent, by its sender's wall clock.
    ReceiverReferenceTime(NtpTime),
    /// Delay since the last receiver reference time, for each of several receivers.
    Dlrr(DlrrBlocks<'a>),
}

/// The sub-blocks of a DLRR block.
#[derive(Clone, Copy, Debug)]
pub struct DlrrBlocks<'a> {
    bytes: &'a [u8],
}

/// The answer to one receiver's reference time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dlrr {
    /// The receiver that is answered.
    pub ssrc: u32,
    /// The middle 32 bits of its reference time, 0 if none was received.
    pub last_rr: u32,
    /// From receiving that to sending this, in units of 1/65536 s.
    pub delay_since_last_rr: u32,
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { sender_ssrc: reader.u32()?, blocks: reader.rest() })
    }

    /// The blocks that this server has a use for; others are skipped. Ends at the first malformed one.
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'a>> + 'a {
        let mut reader = Reader::new(self.blocks);
        std::iter::from_fn(move || {
            loop {
                let [block_type, _, l0, l1] = reader.array()?;
                let bytes = reader.take(usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
                match block_type {
                    block_type::RECEIVER_REFERENCE_TIME => {
                        let ntp_time = NtpTime(Reader::new(bytes).u64()?);
                        return Some(XrBlock::ReceiverReferenceTime(ntp_time));
                    }
                    block_type::DLRR => return Some(XrBlock::Dlrr(DlrrBlocks { bytes })),
                    _ => {}
                }
            }
        })
    }
}

impl<'a> DlrrBlocks<'a> {
    /// The sub-blocks.
    pub fn iter(&self) -> impl Iterator<Item = Dlrr> + 'a {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || {
            Some(Dlrr { ssrc: reader.u32()?, last_rr: reader.u32()?, delay_since_last_rr: reader.u32()? })
        })
    }
}

/// Appends an XR packet with the receiver reference time.
pub fn write_rrtr(out: &mut Vec<u8>, sender_ssrc: u32, ntp_time: NtpTime) {
    packet(out, 0, EXTENDED_REPORT, |out| {
        put_u32(out, sender_ssrc);
        out.extend_from_slice(&[block_type::RECEIVER_REFERENCE_TIME, 0, 0, 2]);
        out.extend_from_slice(&ntp_time.0.to_be_bytes());
    });
}

/// Appends an XR packet with the delays since the last receiver reference times. Sub-blocks after the 5000th are left out.
pub fn write_dlrr(out: &mut Vec<u8>, sender_ssrc: u32, dlrrs: &[Dlrr]) {
    // Far below what the block's length field can say.
    let dlrrs = dlrrs.get(..5000).unwrap_or(dlrrs);
    packet(out, 0, EXTENDED_REPORT, |out| {
        put_u32(out, sender_ssrc);
        put_u32(out, (u32::from(block_type::DLRR) << 24) | (dlrrs.len() as u32 * 3));
        for dlrr in dlrrs {
            put_u32(out, dlrr.ssrc);
            put_u32(out, dlrr.last_rr);
            put_u32(out, dlrr.delay_since_last_rr);
        }
    });
}
