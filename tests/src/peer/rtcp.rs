//! RTCP packets as a client writes and reads them: RFC 3550 section 6, RFC 4585, RFC 5104, REMB, and transport-wide feedback.
mod transport_cc;

use std::fmt;

pub(crate) use transport_cc::tick_of_us;
pub use transport_cc::{Arrival, TransportFeedback};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// One packet of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rtcp {
    /// Sender report: who, about what it sent, and about what it receives.
    SenderReport(u32, SenderInfo, Vec<ReportBlock>),
    /// Receiver report: who, and about what it receives.
    ReceiverReport(u32, Vec<ReportBlock>),
    /// Canonical names by SSRC. Other items are skipped.
    SourceDescription(Vec<(u32, String)>),
    /// These SSRCs are no more.
    Bye(Vec<u32>),
    /// Sequence numbers missing, in the order of the packet.
    Nack {
        /// Who asks.
        sender_ssrc: u32,
        /// Of which stream.
        media_ssrc: u32,
        /// Which.
        lost: Vec<u16>,
    },
    /// Picture loss indication.
    Pli {
        /// Who asks.
        sender_ssrc: u32,
        /// Of which stream.
        media_ssrc: u32,
    },
    /// Full intra request: who asks; of which streams, each with its command number.
    Fir(u32, Vec<(u32, u8)>),
    /// Receiver estimated maximum bitrate.
    Remb {
        /// Who estimates.
        sender_ssrc: u32,
        /// Bits a second.
        bitrate_bps: u64,
        /// For which streams together.
        ssrcs: Vec<u32>,
    },
    /// When packets of a transport arrived.
    TransportFeedback(TransportFeedback),
    /// Any other: packet type and count or format.
    Other(u8, u8),
}

/// What a sender report says about what was sent (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Seconds since 1900 with 32 bits of fraction.
    pub ntp_time: u64,
    /// The same instant on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packet_count: u32,
    /// Payload bytes sent so far.
    pub octet_count: u32,
}

/// What is reported about a received stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits; negative when duplicates came.
    pub cumulative_lost: i32,
    /// Highest sequence number with the count of its cycles above.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 if none.
    pub last_sr: u32,
    /// The time since that came, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// Bytes that are not a compound RTCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcpError;

impl fmt::Display for RtcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not RTCP")
    }
}

/// Whether a datagram is RTCP and not RTP (RFC 5761 section 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.len() >= 8 && datagram[0] >> 6 == 2 && (192..=223).contains(&datagram[1])
}

/// Reads a compound packet.
///
/// # Errors
/// If any packet in it is cut off or not of version 2.
pub fn parse(mut datagram: &[u8]) -> Result<Vec<Rtcp>, RtcpError> {
    let mut packets = Vec::new();
    while !datagram.is_empty() {
        let head = datagram.get(..4).filter(|head| head[0] >> 6 == 2).ok_or(RtcpError)?;
        let len = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        let mut body = datagram.get(4..len).ok_or(RtcpError)?;
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*body.last().ok_or(RtcpError)?);
            body = body.get(..body.len().checked_sub(padding).ok_or(RtcpError)?).ok_or(RtcpError)?;
        }
        packets.push(parse_one(head[1], head[0] & 0x1F, &mut Cursor(body)).ok_or(RtcpError)?);
        datagram = &datagram[len..];
    }
    Ok(packets)
}

/// Writes a compound packet.
pub fn write(packets: &[Rtcp]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for packet in packets {
        let start = out.len();
        out.extend([0; 4]);
        let (packet_type, count) = write_body(packet, &mut out);
        while !(out.len() - start).is_multiple_of(4) {
            out.push(0);
        }
        let words = ((out.len() - start) / 4 - 1) as u16;
        out[start] = 2 << 6 | count as u8;
        out[start + 1] = packet_type;
        out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
    out
}

/// The middle 32 bits of an NTP time, as report blocks carry it.
pub fn middle_32(ntp_time: u64) -> u32 {
    (ntp_time >> 16) as u32
}

/// A reader that fails at the end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse_one(packet_type: u8, count: u8, body: &mut Cursor<'_>) -> Option<Rtcp> {
    Some(match (packet_type, count) {
        (SENDER_REPORT, _) => {
            let ssrc = body.u32()?;
            let info = SenderInfo {
                ntp_time: body.u64()?,
                rtp_timestamp: body.u32()?,
                packet_count: body.u32()?,
                octet_count: body.u32()?,
            };
            Rtcp::SenderReport(ssrc, info, parse_blocks(body, count)?)
        }
        (RECEIVER_REPORT, _) => Rtcp::ReceiverReport(body.u32()?, parse_blocks(body, count)?),
        (SOURCE_DESCRIPTION, _) => Rtcp::SourceDescription(parse_names(body, count)?),
        (GOODBYE, _) => Rtcp::Bye((0..count).map(|_| body.u32()).collect::<Option<_>>()?),
        (TRANSPORT_FEEDBACK, 1) => parse_nack(body)?,
        (TRANSPORT_FEEDBACK, 15) => Rtcp::TransportFeedback(TransportFeedback::parse(body)?),
        (PAYLOAD_FEEDBACK, 1) => Rtcp::Pli { sender_ssrc: body.u32()?, media_ssrc: body.u32()? },
        (PAYLOAD_FEEDBACK, 4) => {
            let sender_ssrc = body.u32()?;
            body.u32()?;
            let mut entries = Vec::new();
            while !body.is_empty() {
                entries.push((body.u32()?, body.u8()?));
                body.take(3)?;
            }
            Rtcp::Fir(sender_ssrc, entries)
        }
        (PAYLOAD_FEEDBACK, 15) if body.0.get(8..12) == Some(b"REMB") => parse_remb(body)?,
        _ => Rtcp::Other(packet_type, count),
    })
}

fn parse_blocks(body: &mut Cursor<'_>, count: u8) -> Option<Vec<ReportBlock>> {
    let block = |body: &mut Cursor<'_>| {
        let (ssrc, loss) = (body.u32()?, body.u32()?);
        Some(ReportBlock {
            ssrc,
            fraction_lost: (loss >> 24) as u8,
            // 24 bits with their sign.
            cumulative_lost: (loss << 8) as i32 >> 8,
            highest_sequence: body.u32()?,
            jitter: body.u32()?,
            last_sr: body.u32()?,
            delay_since_last_sr: body.u32()?,
        })
    };
    (0..count).map(|_| block(body)).collect()
}

fn parse_names(body: &mut Cursor<'_>, count: u8) -> Option<Vec<(u32, String)>> {
    let mut names = Vec::new();
    for _ in 0..count {
        let len_before = body.0.len();
        let ssrc = body.u32()?;
        loop {
            let kind = body.u8()?;
            if kind == 0 {
                break;
            }
            let len = body.u8()?;
            let text = body.take(usize::from(len))?;
            if kind == 1 {
                names.push((ssrc, String::from_utf8_lossy(text).into_owned()));
            }
        }
        // Chunks end at a multiple of four bytes (RFC 3550 section 6.5).
        body.take((4 - (len_before - body.0.len()) % 4) % 4)?;
    }
    Some(names)
}

fn parse_nack(body: &mut Cursor<'_>) -> Option<Rtcp> {
    let (sender_ssrc, media_ssrc) = (body.u32()?, body.u32()?);
    let mut lost = Vec::new();
    while !body.is_empty() {
        let (first, following) = (body.u16()?, body.u16()?);
        lost.push(first);
        lost.extend((0..16).filter(|bit| following >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1)));
    }
    Some(Rtcp::Nack { sender_ssrc, media_ssrc, lost })
}

fn parse_remb(body: &mut Cursor<'_>) -> Option<Rtcp> {
    let sender_ssrc = body.u32()?;
    body.take(8)?;
    let word = body.u32()?;
    let exponent = word >> 18 & 0x3F;
    let bitrate_bps = u64::from(word & 0x3_FFFF).checked_shl(exponent)?;
    let ssrcs = (0..word >> 24).map(|_| body.u32()).collect::<Option<_>>()?;
    Some(Rtcp::Remb { sender_ssrc, bitrate_bps, ssrcs })
}

/// Appends what follows the first word; returns the packet type and the count or format of that.
fn write_body(packet: &Rtcp, out: &mut Vec<u8>) -> (u8, usize) {
    match packet {
        Rtcp::SenderReport(ssrc, info, blocks) => {
            words(out, &[*ssrc]);
            out.extend(info.ntp_time.to_be_bytes());
            words(out, &[info.rtp_timestamp, info.packet_count, info.octet_count]);
            write_blocks(blocks, out);
            (SENDER_REPORT, blocks.len())
        }
        Rtcp::ReceiverReport(ssrc, blocks) => {
            words(out, &[*ssrc]);
            write_blocks(blocks, out);
            (RECEIVER_REPORT, blocks.len())
        }
        Rtcp::SourceDescription(names) => {
            for (ssrc, name) in names {
                let start = out.len();
                words(out, &[*ssrc]);
                out.extend([1, name.len() as u8]);
                out.extend_from_slice(name.as_bytes());
                out.push(0);
                out.resize(start + (out.len() - start).next_multiple_of(4), 0);
            }
            (SOURCE_DESCRIPTION, names.len())
        }
        Rtcp::Bye(ssrcs) => {
            words(out, ssrcs);
            (GOODBYE, ssrcs.len())
        }
        Rtcp::Nack { sender_ssrc, media_ssrc, lost } => {
            words(out, &[*sender_ssrc, *media_ssrc]);
            write_lost(lost, out);
            (TRANSPORT_FEEDBACK, 1)
        }
        Rtcp::Pli { sender_ssrc, media_ssrc } => {
            words(out, &[*sender_ssrc, *media_ssrc]);
            (PAYLOAD_FEEDBACK, 1)
        }
        Rtcp::Fir(sender_ssrc, entries) => {
            words(out, &[*sender_ssrc, 0]);
            for (ssrc, number) in entries {
                words(out, &[*ssrc, u32::from(*number) << 24]);
            }
            (PAYLOAD_FEEDBACK, 4)
        }
        Rtcp::Remb { sender_ssrc, bitrate_bps, ssrcs } => {
            words(out, &[*sender_ssrc, 0]);
            out.extend_from_slice(b"REMB");
            let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(18);
            let mantissa = (bitrate_bps >> exponent) as u32;
            words(out, &[(ssrcs.len() as u32) << 24 | exponent << 18 | mantissa]);
            words(out, ssrcs);
            (PAYLOAD_FEEDBACK, 15)
        }
        Rtcp::TransportFeedback(feedback) => {
            feedback.write(out);
            (TRANSPORT_FEEDBACK, 15)
        }
        Rtcp::Other(packet_type, count) => (*packet_type, usize::from(*count)),
    }
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

fn write_blocks(blocks: &[ReportBlock], out: &mut Vec<u8>) {
    for block in blocks {
        let loss = u32::from(block.fraction_lost) << 24 | block.cumulative_lost as u32 & 0xFF_FFFF;
        words(
            out,
            &[
                block.ssrc,
                loss,
                block.highest_sequence,
                block.jitter,
                block.last_sr,
                block.delay_since_last_sr,
            ],
        );
    }
}

/// Packet ids with bitmasks of the 16 following ones (RFC 4585 section 6.2.1). `lost` is in ascending order, wrapping.
fn write_lost(lost: &[u16], out: &mut Vec<u8>) {
    let mut rest = lost;
    while let Some((&first, following)) = rest.split_first() {
        let covered = following.iter().take_while(|number| number.wrapping_sub(first) <= 16).count();
        let mask = following[..covered].iter().fold(0u16, |mask, n| mask | 1 << (n.wrapping_sub(first) - 1));
        out.extend(first.to_be_bytes());
        out.extend(mask.to_be_bytes());
        rest = &following[covered..];
    }
}

#[cfg(test)]
mod tests;
