//! Sender and receiver reports (RFC 3550 section 6.4).

use super::packet_type::{RECEIVER_REPORT, SENDER_REPORT};
use super::writer::{packet, put_u32};
use crate::wire::ntp::NtpTime;
use crate::wire::reader::{Reader, sign_extend_24};

/// Length of a report block in bytes.
const REPORT_BLOCK_LEN: usize = 24;

/// Most report blocks that fit one report: the count has five bits.
const MAX_REPORT_BLOCKS: usize = 31;

/// What a sender tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When this report was sent, by the sender's wall clock.
    pub ntp_time: NtpTime,
    /// The same instant, as RTP timestamp of the stream.
    pub rtp_timestamp: u32,
    /// Packets sent since the start, wrapping.
    pub packet_count: u32,
    /// Payload bytes sent since the start, without headers and padding, wrapping.
    pub octet_count: u32,
}

/// How one stream is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream that the block is about.
    pub ssrc: u32,
    /// Part of the packets lost since the previous report, in units of 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; negative if there were more duplicates than losses. 24 bits: cut to -2²³ to 2²³ - 1 when
    /// written.
    pub cumulative_lost: i32,
    /// Highest sequence number received, extended by the count of wraps in the upper 16 bits.
    pub extended_highest_sequence_number: u32,
    /// Interarrival jitter, in units of the RTP timestamp.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report received, 0 if none.
    pub last_sr: u32,
    /// From receiving that report to sending this block, in units of 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            ssrc: reader.u32()?,
            fraction_lost: reader.u8()?,
            cumulative_lost: sign_extend_24(reader.u24()?),
            extended_highest_sequence_number: reader.u32()?,
            jitter: reader.u32()?,
            last_sr: reader.u32()?,
            delay_since_last_sr: reader.u32()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, self.ssrc);
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        put_u32(out, u32::from(self.fraction_lost) << 24 | lost);
        put_u32(out, self.extended_highest_sequence_number);
        put_u32(out, self.jitter);
        put_u32(out, self.last_sr);
        put_u32(out, self.delay_since_last_sr);
    }
}

/// View of a sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'a> {
    /// The stream that is sent.
    pub ssrc: u32,
    /// What its sender tells about it.
    pub info: SenderInfo,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self {
            ssrc: reader.u32()?,
            info: SenderInfo {
                ntp_time: NtpTime(reader.u64()?),
                rtp_timestamp: reader.u32()?,
                packet_count: reader.u32()?,
                octet_count: reader.u32()?,
            },
            blocks: reader.take(usize::from(count) * REPORT_BLOCK_LEN)?,
        })
    }

    /// What the sender itself receives, at most 31 blocks.
    pub fn report_blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        report_blocks(self.blocks)
    }
}

/// View of a receiver report.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub sender_ssrc: u32,
    blocks: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { sender_ssrc: reader.u32()?, blocks: reader.take(usize::from(count) * REPORT_BLOCK_LEN)? })
    }

    /// What is received, at most 31 blocks.
    pub fn report_blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        report_blocks(self.blocks)
    }
}

/// Appends a sender report. Blocks after the 31st are left out.
pub fn write_sender_report(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) {
    let blocks = blocks.get(..MAX_REPORT_BLOCKS).unwrap_or(blocks);
    packet(out, blocks.len() as u8, SENDER_REPORT, |out| {
        put_u32(out, ssrc);
        out.extend_from_slice(&info.ntp_time.0.to_be_bytes());
        put_u32(out, info.rtp_timestamp);
        put_u32(out, info.packet_count);
        put_u32(out, info.octet_count);
        blocks.iter().for_each(|block| block.write(out));
    });
}

/// Appends receiver reports: one, or as many as it takes for more than 31 blocks.
pub fn write_receiver_report(out: &mut Vec<u8>, sender_ssrc: u32, blocks: &[ReportBlock]) {
    let (head, tail) = blocks.split_at_checked(MAX_REPORT_BLOCKS).unwrap_or((blocks, &[]));
    write_one_receiver_report(out, sender_ssrc, head);
    for chunk in tail.chunks(MAX_REPORT_BLOCKS) {
        write_one_receiver_report(out, sender_ssrc, chunk);
    }
}

fn write_one_receiver_report(out: &mut Vec<u8>, sender_ssrc: u32, blocks: &[ReportBlock]) {
    packet(out, blocks.len() as u8, RECEIVER_REPORT, |out| {
        put_u32(out, sender_ssrc);
        blocks.iter().for_each(|block| block.write(out));
    });
}

fn report_blocks(bytes: &[u8]) -> impl Iterator<Item = ReportBlock> + '_ {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || ReportBlock::read(&mut reader))
}
