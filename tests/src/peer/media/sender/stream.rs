//! One RTP stream of a sender with its RTX stream: numbers, what is kept for repairs, and the packets' bytes.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sansfu::ortc::HeaderExtensionUri as Uri;

use super::FirstSequence;
use crate::peer::media::encoder::{EncodedFrame, Encoder};
use crate::peer::media::frame::{Marks, dependency_descriptor, write_payload};
use crate::peer::media::random::{Random, mix};
use crate::peer::media::track::{Codec, TrackNumbers, TrackSpec};
use crate::peer::rtcp::SenderInfo;
use crate::peer::rtp::RtpHeader;

/// How many packets are kept to be sent again.
const MAX_STORED: usize = 600;
/// Seconds from 1900 to where the simulated wall clock starts.
const NTP_START_S: u64 = 3_900_000_000;

/// One encoding on the wire.
#[derive(Debug)]
pub(super) struct SendStream {
    pub(super) encoder: Encoder,
    /// Whether the application wants it.
    pub(super) allowed: bool,
    /// 0: it is off.
    pub(super) rate_bps: u64,
    pub(super) keyframe_requested_at: Option<Instant>,
    ssrc: u32,
    payload_type: u8,
    /// SSRC, payload type and next sequence number of the RTX stream.
    rtx: Option<(u32, u8, u16)>,
    rid: Option<String>,
    next_sequence: u16,
    timestamp_offset: u32,
    last_fir: Option<(u32, u8)>,
    /// Until the receiver has reported on the streams, packets carry MID and RID (as libwebrtc does).
    acknowledged: bool,
    rtx_acknowledged: bool,
    packets: u32,
    octets: u32,
    /// Consecutive: the newest is the one before `next_sequence`.
    stored: VecDeque<StoredPacket>,
}

#[derive(Debug)]
struct StoredPacket {
    header: RtpHeader,
    payload: Vec<u8>,
    descriptor: Option<Vec<u8>>,
}

/// What the header extensions of a packet are made of.
pub(super) struct Extensions<'a> {
    pub(super) numbers: &'a TrackNumbers,
    pub(super) mid: &'a str,
    pub(super) send_time: [u8; 3],
    pub(super) transport_sequence: u16,
    /// In -dBov, 127 is silence.
    pub(super) audio_level: u8,
}

impl SendStream {
    pub(super) fn new(
        track: &TrackSpec,
        numbers: &TrackNumbers,
        encoding: usize,
        seed: u64,
        first: FirstSequence,
    ) -> Self {
        let mut random = Random::new(mix(seed) ^ encoding as u64);
        let (ssrc, rtx_ssrc) = numbers.ssrcs[encoding];
        let mut first_sequence = || match first {
            FirstSequence::Random => random.below(0x8000) as u16,
            FirstSequence::NearWrap => 0xFFFF - random.below(20) as u16,
        };
        let next_sequence = first_sequence();
        let rtx = rtx_ssrc.zip(numbers.rtx_payload_type).map(|(ssrc, pt)| (ssrc, pt, first_sequence()));
        SendStream {
            encoder: Encoder::new(track, encoding, random.next_u64()),
            allowed: true,
            rate_bps: 0,
            keyframe_requested_at: None,
            ssrc,
            payload_type: numbers.payload_type,
            rtx,
            rid: track.rid(encoding),
            next_sequence,
            timestamp_offset: random.next_u64() as u32,
            last_fir: None,
            acknowledged: false,
            rtx_acknowledged: false,
            packets: 0,
            octets: 0,
            stored: VecDeque::new(),
        }
    }

    /// Makes a packet of a frame and keeps it; returns the length of its payload.
    pub(super) fn store(&mut self, track: &TrackSpec, frame: EncodedFrame, index: u16) -> usize {
        let marks = Marks { index, ..frame.marks };
        if self.stored.len() == MAX_STORED {
            self.stored.pop_front();
        }
        let mut payload = Vec::with_capacity(usize::from(marks.len) + 40);
        write_payload(track, &marks, frame.numbers, &mut payload);
        let layers = track.encodings[usize::from(marks.encoding)].layers;
        let header = RtpHeader {
            payload_type: self.payload_type,
            marker: track.codec.is_video() && marks.is_last() && marks.last_of_picture,
            sequence_number: self.next_sequence,
            timestamp: self.timestamp_offset.wrapping_add(marks.capture),
            ssrc: self.ssrc,
        };
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        let len = payload.len();
        let descriptor = (track.codec == Codec::Av1).then(|| dependency_descriptor(layers, &marks, None));
        self.stored.push_back(StoredPacket { header, payload, descriptor });
        len
    }

    /// The bytes of the packet that was stored last.
    pub(super) fn render_newest(&self, extensions: &Extensions<'_>) -> Vec<u8> {
        let packet = self.stored.back().expect("a packet was stored");
        let rid = self.rid.as_deref().filter(|_| !self.acknowledged);
        let mid = !self.acknowledged;
        packet.render(packet.header, &packet.payload, extensions, mid, rid.map(|rid| (Uri::Rid, rid)))
    }

    /// A packet once more: by RTX where there is such a stream (RFC 4588 section 4), else as it was. `None` if it is gone.
    pub(super) fn render_again(&mut self, sequence: u16, extensions: &Extensions<'_>) -> Option<Vec<u8>> {
        let packet = self.stored.get(self.stored_place(sequence)?)?;
        let Some((ssrc, payload_type, next)) = &mut self.rtx else {
            let rid = self.rid.as_deref().filter(|_| !self.acknowledged);
            let mid = !self.acknowledged;
            let rid = rid.map(|rid| (Uri::Rid, rid));
            return Some(packet.render(packet.header, &packet.payload, extensions, mid, rid));
        };
        let header =
            RtpHeader { ssrc: *ssrc, payload_type: *payload_type, sequence_number: *next, ..packet.header };
        *next = next.wrapping_add(1);
        let mut payload = sequence.to_be_bytes().to_vec();
        payload.extend_from_slice(&packet.payload);
        let rid = self.rid.as_deref().filter(|_| !self.rtx_acknowledged);
        let rid = rid.map(|rid| (Uri::RepairedRid, rid));
        Some(packet.render(header, &payload, extensions, !self.rtx_acknowledged, rid))
    }

    /// Whether a packet can be sent again.
    pub(super) fn has_stored(&self, sequence: u16) -> bool {
        self.stored_place(sequence).is_some()
    }

    /// Whether a full intra request is not a repetition (RFC 5104 section 4.3.1.2).
    pub(super) fn is_new_fir(&mut self, sender_ssrc: u32, number: u8) -> bool {
        let command = Some((sender_ssrc, number));
        let is_new = self.last_fir != command;
        self.last_fir = command;
        is_new
    }

    /// The receiver knows an SSRC; whether it is the media stream's.
    pub(super) fn on_report_block(&mut self, ssrc: u32) -> bool {
        self.acknowledged |= ssrc == self.ssrc;
        self.rtx_acknowledged |= self.rtx.is_some_and(|(rtx, ..)| rtx == ssrc);
        ssrc == self.ssrc
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn next_sequence(&self) -> u16 {
        self.next_sequence
    }

    pub(super) fn has_sent(&self) -> bool {
        self.packets > 0
    }

    fn stored_place(&self, sequence: u16) -> Option<usize> {
        let back = usize::from(self.next_sequence.wrapping_sub(sequence));
        if back == 0 { None } else { self.stored.len().checked_sub(back) }
    }

    pub(super) fn sender_info(&self, since_start: Duration, clock_rate: u32) -> SenderInfo {
        let units = since_start.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        SenderInfo {
            ntp_time: ntp_time(since_start),
            rtp_timestamp: self.timestamp_offset.wrapping_add(units as u32),
            packet_count: self.packets,
            octet_count: self.octets,
        }
    }
}

impl StoredPacket {
    fn render(
        &self,
        header: RtpHeader,
        payload: &[u8],
        extensions: &Extensions<'_>,
        with_mid: bool,
        rid: Option<(Uri, &str)>,
    ) -> Vec<u8> {
        // RFC 6464 section 3: V says that there is voice.
        let voice = u8::from(extensions.audio_level < 127) << 7;
        let level = voice | extensions.audio_level;
        let transport_sequence = extensions.transport_sequence.to_be_bytes();
        let values: [Option<(Uri, &[u8])>; 6] = [
            Some((Uri::AudioLevel, std::slice::from_ref(&level))),
            Some((Uri::AbsSendTime, &extensions.send_time)),
            Some((Uri::TransportCc, &transport_sequence)),
            with_mid.then_some((Uri::Mid, extensions.mid.as_bytes())),
            rid.map(|(uri, rid)| (uri, rid.as_bytes())),
            self.descriptor.as_deref().map(|descriptor| (Uri::DependencyDescriptor, descriptor)),
        ];
        let elements: Vec<(u8, &[u8])> = values
            .into_iter()
            .flatten()
            .filter_map(|(uri, value)| Some((extensions.numbers.extension(uri)?, value)))
            .collect();
        header.packet(&elements, payload)
    }
}

fn ntp_time(since_start: Duration) -> u64 {
    let fraction = (u64::from(since_start.subsec_nanos()) << 32) / 1_000_000_000;
    (NTP_START_S + since_start.as_secs()) << 32 | fraction
}
