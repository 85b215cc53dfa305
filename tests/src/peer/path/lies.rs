//! RTP and RTCP that is untrue, made to be sent under the right key: what a client can do that has been let in.

use super::misbehave::Draw;
use super::srtp::Srtp;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

#[derive(Debug, Clone, Copy)]
enum RtpLie {
    UnknownSsrc,
    UnknownPayloadType,
    EndlessExtension,
    GarbageExtension,
    SequenceJump,
    LongPadding,
    NothingButHeader,
    ManySources,
}

const RTP_LIES: [RtpLie; 8] = [
    RtpLie::UnknownSsrc,
    RtpLie::UnknownPayloadType,
    RtpLie::EndlessExtension,
    RtpLie::GarbageExtension,
    RtpLie::SequenceJump,
    RtpLie::LongPadding,
    RtpLie::NothingButHeader,
    RtpLie::ManySources,
];

#[derive(Debug, Clone, Copy)]
enum RtcpLie {
    NeverSent,
    AbsurdReports,
    AbsurdClock,
    NoBandwidth,
    EndlessBandwidth,
    TransportFeedback,
    Bye,
    KeyframeStorm,
    Truncated,
    Garbage,
}

const RTCP_LIES: [RtcpLie; 10] = [
    RtcpLie::NeverSent,
    RtcpLie::AbsurdReports,
    RtcpLie::AbsurdClock,
    RtcpLie::NoBandwidth,
    RtcpLie::EndlessBandwidth,
    RtcpLie::TransportFeedback,
    RtcpLie::Bye,
    RtcpLie::KeyframeStorm,
    RtcpLie::Truncated,
    RtcpLie::Garbage,
];

/// RTP packets of one kind of lie, about this client's streams where there are some.
pub(super) fn rtp(draw: &mut Draw<'_>, srtp: Option<&Srtp>) -> Vec<Vec<u8>> {
    let own: Vec<u32> = srtp.map(|srtp| srtp.sent_ssrcs().collect()).unwrap_or_default();
    let mut header = RtpHeader {
        payload_type: draw.one_of(&[0, 96, 97, 111]),
        sequence: draw.any() as u16,
        timestamp: draw.any(),
        ssrc: if own.is_empty() { draw.any() } else { draw.one_of(&own) },
    };
    let payload = [0x5a; 40];
    let packet = match draw.one_of(&RTP_LIES) {
        RtpLie::UnknownSsrc => {
            header.ssrc = draw.any();
            header.write(0x80, &payload)
        }
        RtpLie::UnknownPayloadType => {
            header.payload_type = draw.below(128) as u8;
            header.write(0x80, &payload)
        }
        RtpLie::EndlessExtension => header.write(0x90, &[&[0xbe, 0xde, 0xff, 0xff], &payload[..]].concat()),
        RtpLie::GarbageExtension => {
            // Elements of one byte or of two that claim to be longer than what holds them.
            let profile = draw.one_of(&[[0xbe, 0xde], [0x10, 0x00]]);
            let elements: Vec<u8> = (0..8).map(|_| draw.below(256) as u8).collect();
            header.write(0x90, &[&profile, &[0, 2], &elements[..], &payload[..]].concat())
        }
        RtpLie::SequenceJump => {
            let jumps = [0, 32_767, 32_768, 65_535, 1];
            let base = header.sequence;
            return jumps.map(|jump| header.at(base.wrapping_add(jump)).write(0x80, &payload)).to_vec();
        }
        RtpLie::LongPadding => {
            let padding = draw.one_of(&[0, 41, 255]);
            header.write(0xa0, &[&payload[..39], &[padding]].concat())
        }
        RtpLie::NothingButHeader => header.write(0x80, &[]),
        RtpLie::ManySources => header.write(0x8f, &payload),
    };
    vec![packet]
}

#[derive(Debug, Clone, Copy)]
struct RtpHeader {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl RtpHeader {
    fn at(self, sequence: u16) -> Self {
        RtpHeader { sequence, ..self }
    }

    fn write(self, first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, self.payload_type];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(rest);
        bytes
    }
}

/// RTCP compounds of one kind of lie, about streams that this client sends or receives, or that do not exist.
pub(super) fn rtcp(draw: &mut Draw<'_>, srtp: Option<&Srtp>) -> Vec<Vec<u8>> {
    let mut ssrcs: Vec<u32> =
        srtp.map(|srtp| srtp.received_ssrcs().chain(srtp.sent_ssrcs()).collect()).unwrap_or_default();
    ssrcs.push(draw.any());
    let sender = draw.one_of(&ssrcs);
    let media = draw.one_of(&ssrcs);
    let compound = match draw.one_of(&RTCP_LIES) {
        RtcpLie::NeverSent => {
            let items: Vec<u32> = (0..100).map(|_| draw.any()).collect();
            packet(TRANSPORT_FEEDBACK, 1, &[&[sender, media], &items[..]].concat())
        }
        RtcpLie::AbsurdReports => absurd_reports(draw, sender, &ssrcs),
        RtcpLie::AbsurdClock => {
            let words = [sender, draw.any(), draw.any(), draw.any(), u32::MAX, u32::MAX];
            packet(SENDER_REPORT, 0, &words)
        }
        // Exponent 0, mantissa 1; exponent 45, mantissa 2^17: 2^62 bits a second.
        RtcpLie::NoBandwidth => bandwidth(sender, 1, &ssrcs),
        RtcpLie::EndlessBandwidth => bandwidth(sender, 45 << 18 | 1 << 17, &ssrcs),
        RtcpLie::TransportFeedback => transport_feedback(draw, sender, media),
        RtcpLie::Bye => {
            let leaving: Vec<u32> = ssrcs.iter().copied().take(31).collect();
            packet(BYE, leaving.len() as u8, &leaving)
        }
        RtcpLie::KeyframeStorm => return vec![packet(PAYLOAD_FEEDBACK, 1, &[sender, media]); 100],
        RtcpLie::Truncated => {
            let whole = [absurd_reports(draw, sender, &ssrcs), bandwidth(sender, 1, &ssrcs)].concat();
            let length = 8 + draw.below(whole.len() - 8);
            whole[..length].to_vec()
        }
        RtcpLie::Garbage => {
            let words: Vec<u32> = (0..=draw.below(20)).map(|_| draw.any()).collect();
            let kind = SENDER_REPORT + draw.below(8) as u8;
            let first = packet(SOURCE_DESCRIPTION, draw.below(32) as u8, &[sender, draw.any()]);
            [first, packet(kind, draw.below(32) as u8, &words)].concat()
        }
    };
    vec![compound]
}

/// Reports on everything, with the largest and the smallest values.
fn absurd_reports(draw: &mut Draw<'_>, sender: u32, ssrcs: &[u32]) -> Vec<u8> {
    let reported: Vec<u32> = ssrcs.iter().copied().take(31).collect();
    let blocks = reported.iter().flat_map(|ssrc| {
        let mut extreme = || draw.one_of(&[0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
        [*ssrc, extreme(), extreme(), extreme(), extreme(), extreme()]
    });
    let words: Vec<u32> = std::iter::once(sender).chain(blocks).collect();
    packet(RECEIVER_REPORT, reported.len() as u8, &words)
}

/// REMB (draft-alvestrand-rmcat-remb-03) with that exponent and mantissa.
fn bandwidth(sender: u32, bits: u32, ssrcs: &[u32]) -> Vec<u8> {
    let count = ssrcs.len().min(255) as u32;
    let fixed = [sender, 0, u32::from_be_bytes(*b"REMB"), count << 24 | bits];
    packet(PAYLOAD_FEEDBACK, 15, &[&fixed, &ssrcs[..count as usize]].concat())
}

/// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01) on packets that never were, with fewer deltas
/// than it promises, or none.
fn transport_feedback(draw: &mut Draw<'_>, sender: u32, media: u32) -> Vec<u8> {
    let (base, count) = (draw.any() << 16, draw.one_of(&[0, 1, 7, 8_191, 65_535]));
    let chunks = draw.one_of(&[0x3fff_3fff, 0x5fff_5fff, 0xffff_ffff, 0x2001_0000]);
    let deltas: Vec<u32> = (0..draw.below(8)).map(|_| draw.any()).collect();
    let words = [&[sender, media, base | count, draw.any(), chunks], &deltas[..]].concat();
    packet(TRANSPORT_FEEDBACK, 15, &words)
}

/// RFC 3550 section 6.4.1: a packet of whole words, with its count or format in the first byte.
fn packet(kind: u8, count: u8, words: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0x80 | count, kind];
    bytes.extend((words.len() as u16).to_be_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes
}
