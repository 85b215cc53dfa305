//! RTCP datagrams: whatever is read is written, and read again the same, by this library and by another (RFC 3550 section 6).

use sansfu::wire::ntp::NtpTime;
use sansfu::wire::rtcp::{
    Dlrr, FirEntry, Pli, ReportBlock, RtcpView, SdesItem, SenderInfo, TransportFeedbackHeader, XrBlock,
    packets, write_bye, write_cname, write_dlrr, write_fir, write_nack, write_pli, write_receiver_report,
    write_remb, write_rrtr, write_sender_report, write_transport_feedback,
};

use super::transport_feedback::read_plainly as read_feedback_plainly;
use str0m::rtp::rtcp::Rtcp as Other;

/// Room for every transport-wide feedback that can be read.
const UNLIMITED_LEN: usize = 0x4_0000;

/// A datagram is read as its packets are, one by one; each packet's content survives being written and read again.
pub fn rtcp(data: &[u8]) {
    let whole: Vec<Content> = packets(data).map(Content::of).collect();
    let mut one_by_one = Vec::new();
    for frame in frames(data) {
        let read: Vec<Content> = packets(frame.bytes).map(Content::of).collect();
        assert!(read.len() <= 1);
        compare_feedback(&frame, read.first());
        one_by_one.extend(read);
    }
    assert_eq!(whole, one_by_one);
    for content in whole {
        rewrite(content);
    }
}

fn rewrite(content: Content) {
    let mut written = Vec::new();
    for part in content.parts() {
        let start = written.len();
        part.write(&mut written);
        let bytes = &written[start..];
        assert_eq!(frames(bytes).iter().map(|frame| frame.bytes.len()).sum::<usize>(), bytes.len());
        let again: Vec<Content> = packets(bytes).map(Content::of).collect();
        if bytes.is_empty() {
            assert!(part.is_nothing());
        } else if let (Content::Remb { bitrate_bps: u64::MAX, .. }, [Content::Remb { bitrate_bps, .. }]) =
            (&part, &again[..])
        {
            assert_eq!(*bitrate_bps, 0x3_FFFF << 46, "the highest that can be written");
        } else {
            assert_eq!(again, [part]);
            compare(&again[0], bytes);
        }
    }
}

/// Most sub-blocks that are written.
const MAX_DLRRS: usize = 5000;

/// One packet, with everything that its view shows.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    SenderReport(u32, SenderInfo, Vec<ReportBlock>),
    ReceiverReport(u32, Vec<ReportBlock>),
    /// For each source its canonical name, and how many other items there were.
    SourceDescription(Vec<(u32, Vec<Vec<u8>>, usize)>),
    Bye(Vec<u32>),
    Nack(u32, u32, Vec<u16>),
    TransportFeedback(TransportFeedbackHeader, Vec<(u16, Option<i16>)>),
    Pli(Pli),
    Fir(u32, Vec<FirEntry>),
    Remb {
        sender_ssrc: u32,
        bitrate_bps: u64,
        ssrcs: Vec<u32>,
    },
    ExtendedReport(u32, Vec<Block>),
}

#[derive(Clone, Debug, PartialEq)]
enum Block {
    ReceiverReferenceTime(NtpTime),
    Dlrr(Vec<Dlrr>),
}

impl Content {
    fn of(view: RtcpView<'_>) -> Self {
        match view {
            RtcpView::SenderReport(sr) => Self::SenderReport(sr.ssrc, sr.info, sr.report_blocks().collect()),
            RtcpView::ReceiverReport(rr) => {
                Self::ReceiverReport(rr.sender_ssrc, rr.report_blocks().collect())
            }
            RtcpView::SourceDescription(sdes) => Self::SourceDescription(
                sdes.chunks()
                    .map(|chunk| {
                        let names = chunk.items().filter_map(|item| match item {
                            SdesItem::Cname(name) => Some(name.to_vec()),
                            _ => None,
                        });
                        let names: Vec<_> = names.collect();
                        let others = chunk.items().count() - names.len();
                        (chunk.ssrc, names, others)
                    })
                    .collect(),
            ),
            RtcpView::Bye(bye) => Self::Bye(bye.ssrcs().collect()),
            RtcpView::Nack(nack) => {
                Self::Nack(nack.sender_ssrc, nack.media_ssrc, nack.sequence_numbers().collect())
            }
            RtcpView::TransportFeedback(feedback) => {
                let packets: Vec<_> = feedback.packets().collect();
                assert_eq!(packets.len(), usize::from(feedback.packet_status_count), "it was walked once");
                Self::TransportFeedback(feedback.header, packets)
            }
            RtcpView::Pli(pli) => Self::Pli(pli),
            RtcpView::Fir(fir) => Self::Fir(fir.sender_ssrc, fir.entries().collect()),
            RtcpView::Remb(remb) => Self::Remb {
                sender_ssrc: remb.sender_ssrc,
                bitrate_bps: remb.bitrate_bps,
                ssrcs: remb.ssrcs().collect(),
            },
            RtcpView::ExtendedReport(xr) => Self::ExtendedReport(
                xr.sender_ssrc,
                xr.blocks()
                    .map(|block| match block {
                        XrBlock::ReceiverReferenceTime(time) => Block::ReceiverReferenceTime(time),
                        XrBlock::Dlrr(dlrrs) => Block::Dlrr(dlrrs.iter().collect()),
                    })
                    .collect(),
            ),
        }
    }

    /// What the writers can say in one packet each: one source described by its name, one block reported.
    fn parts(self) -> Vec<Self> {
        match self {
            Self::SourceDescription(chunks) => {
                let names = |(ssrc, names, _): (u32, Vec<Vec<u8>>, usize)| {
                    names.into_iter().map(move |name| Self::SourceDescription(vec![(ssrc, vec![name], 0)]))
                };
                chunks.into_iter().flat_map(names).collect()
            }
            Self::ExtendedReport(ssrc, mut blocks) => {
                for block in &mut blocks {
                    if let Block::Dlrr(dlrrs) = block {
                        dlrrs.truncate(MAX_DLRRS);
                    }
                }
                blocks.into_iter().map(|block| Self::ExtendedReport(ssrc, vec![block])).collect()
            }
            Self::Nack(sender_ssrc, media_ssrc, mut asked) => {
                // The writer's order and repetitions are a matter of the target `nack`.
                asked.sort_unstable();
                asked.dedup();
                vec![Self::Nack(sender_ssrc, media_ssrc, asked)]
            }
            other => vec![other],
        }
    }

    /// Whether the message is one without anything in it, which is not written.
    fn is_nothing(&self) -> bool {
        match self {
            Self::Nack(_, _, asked) => asked.is_empty(),
            Self::TransportFeedback(_, packets) => packets.is_empty(),
            _ => false,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::SenderReport(ssrc, info, blocks) => write_sender_report(out, *ssrc, info, blocks),
            Self::ReceiverReport(ssrc, blocks) => write_receiver_report(out, *ssrc, blocks),
            Self::SourceDescription(chunks) => write_cname(out, chunks[0].0, &chunks[0].1[0]),
            Self::Bye(ssrcs) => write_bye(out, ssrcs),
            Self::Nack(sender_ssrc, media_ssrc, asked) => write_nack(out, *sender_ssrc, *media_ssrc, asked),
            Self::TransportFeedback(header, packets) => {
                let deltas: Vec<_> = packets.iter().map(|(_, delta)| *delta).collect();
                let written = write_transport_feedback(out, header, &deltas, UNLIMITED_LEN);
                assert_eq!(written, deltas.len());
            }
            Self::Pli(pli) => write_pli(out, *pli),
            Self::Fir(ssrc, entries) => write_fir(out, *ssrc, entries),
            Self::Remb { sender_ssrc, bitrate_bps, ssrcs } => {
                write_remb(out, *sender_ssrc, *bitrate_bps, ssrcs);
            }
            Self::ExtendedReport(ssrc, blocks) => match &blocks[0] {
                Block::ReceiverReferenceTime(time) => write_rrtr(out, *ssrc, *time),
                Block::Dlrr(dlrrs) => write_dlrr(out, *ssrc, dlrrs),
            },
        }
    }
}

/// Another library reads what was written; of its lists it keeps the first 31 entries, and it wants none to be empty.
fn compare(content: &Content, bytes: &[u8]) {
    match (content, Other::try_from(bytes)) {
        (Content::ReceiverReport(ssrc, blocks), Ok(Other::ReceiverReport(other))) => {
            assert_eq!(*ssrc, *other.sender_ssrc);
            assert_eq!(other.reports.len(), blocks.len());
            for (block, other) in blocks.iter().zip(other.reports.iter()) {
                assert_eq!((block.ssrc, block.fraction_lost), (*other.ssrc, other.fraction_lost));
                assert_eq!(block.cumulative_lost as u32 & 0xFF_FFFF, other.packets_lost);
                assert_eq!(block.extended_highest_sequence_number, other.max_seq);
                assert_eq!((block.jitter, block.last_sr), (other.jitter, other.last_sr_time));
                assert_eq!(block.delay_since_last_sr, other.last_sr_delay);
            }
        }
        (Content::Nack(sender_ssrc, media_ssrc, asked), Ok(Other::Nack(other))) => {
            assert_eq!((*sender_ssrc, *media_ssrc), (*other.sender_ssrc, *other.ssrc));
            let following = |entry: &str0m::rtp::rtcp::NackEntry| {
                let (first, bits) = (entry.pid, u32::from(entry.blp) << 1 | 1);
                (0..17u16).filter(move |at| bits >> at & 1 == 1).map(move |at| first.wrapping_add(at))
            };
            let read: Vec<u16> = other.reports.iter().flat_map(following).collect();
            assert_eq!(asked[..read.len()], read);
            assert!(read.len() == asked.len() || other.reports.len() == 31);
        }
        (Content::Pli(pli), Ok(Other::Pli(other))) => {
            assert_eq!((pli.sender_ssrc, pli.media_ssrc), (*other.sender_ssrc, *other.ssrc));
        }
        (Content::Fir(_, entries), Ok(Other::Fir(other))) => {
            let read: Vec<_> = other.reports.iter().map(|entry| (*entry.ssrc, entry.seq_no)).collect();
            let expected = entries.iter().map(|entry| (entry.ssrc, entry.sequence_number)).take(31);
            assert!(expected.eq(read));
        }
        // (It reads a bitrate of 0 as 2²³.)
        (Content::Remb { bitrate_bps: bitrate_bps @ 1.., ssrcs, .. }, Ok(Other::Remb(other))) => {
            assert_eq!((*bitrate_bps as f32, ssrcs), (other.bitrate, &other.ssrcs));
        }
        (Content::Bye(ssrcs), Ok(Other::Goodbye(other))) => {
            assert!(ssrcs.iter().copied().eq(other.reports.iter().map(|ssrc| **ssrc)));
        }
        _ => {}
    }
}

/// A packet of a datagram, cut by its length field.
struct Frame<'a> {
    bytes: &'a [u8],
    /// What follows the common header, less the padding.
    body: &'a [u8],
}

/// The packets up to the first whose version, length or padding is wrong.
fn frames(data: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    let mut rest = data;
    while let [first, _, high, low, ..] = *rest {
        let len = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        let Some(bytes) = rest.get(..len).filter(|_| first >> 6 == 2) else { break };
        let padding_len = match bytes[len - 1] {
            _ if first & 0x20 == 0 => 0,
            // The padding counts itself, and it begins behind the header.
            0 => break,
            padding_len => usize::from(padding_len),
        };
        if padding_len > len - 4 {
            break;
        }
        frames.push(Frame { bytes, body: &bytes[4..len - padding_len] });
        rest = &rest[len..];
    }
    frames
}

/// Transport-wide feedback is read as a reader that does it step by step reads it.
fn compare_feedback(frame: &Frame<'_>, read: Option<&Content>) {
    if (frame.bytes[0] & 0x1F, frame.bytes[1]) != (15, 205) {
        return;
    }
    let plain = read_feedback_plainly(frame.body);
    match read {
        Some(Content::TransportFeedback(_, packets)) => assert_eq!(Some(packets), plain.as_ref()),
        _ => assert_eq!((read, plain), (None, None)),
    }
}
