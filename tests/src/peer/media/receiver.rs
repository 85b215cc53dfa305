//! The receiving side of a consumer: what a browser's `RTCRtpReceiver` does with the packets, and a judge of them.
//!
//! ```text
//! let mut receiver = RtpReceiver::new(&consumer_parameters, spec, now);
//! receiver.handle_rtp(now, &packet)?;   // Err: a rule was broken
//! receiver.handle_rtcp(now, &compound);
//! receiver.poll(now, &mut packets)?;    // at receiver.deadline(): NACK, PLI and receiver reports to be sent
//! receiver.counters().frames_decoded
//! ```
//!
//! Packets are put in order, then `order` judges their numbers and `decoder` whether a decoder could use them. What is lost
//! on the way is no violation; what a forwarder left out or changed is.
mod decoder;
mod gaps;
mod order;
mod report;
mod violation;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sansfu::ortc::{HeaderExtensionUri, RtpParameters};

use self::decoder::Decoder;
use self::gaps::Gaps;
use self::order::OrderRules;
use self::report::Reception;
pub use self::violation::Violation;
use super::frame::{
    Marks, PictureNumbers, active_decode_targets, dependency_descriptor, is_for_any, recognise,
};
use super::random::mix;
use super::track::TrackSpec;
use crate::peer::rtcp::{self, Rtcp};
use crate::peer::rtp::{RtpHeader, RtpPacket, extend};

/// How many decoded frames are remembered.
const MAX_DECODED: usize = 4_096;
/// How many packets that were handed on are remembered, to tell duplicates from other packets of the same number.
const MAX_PASSED: usize = 512;
/// A jump of the sequence number beyond this is no loss.
const MAX_JUMP: u64 = 5_000;
/// A decoder that has nothing to start with asks for a keyframe after this time.
const KEYFRAME_PATIENCE: Duration = Duration::from_millis(200);
/// And again after this.
const KEYFRAME_REPEAT: Duration = Duration::from_millis(600);
/// The time between two receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A consumer's stream that is received.
#[derive(Debug)]
pub struct RtpReceiver {
    track: TrackSpec,
    format: Format,
    /// The SSRC of its RTCP.
    own_ssrc: u32,
    active: bool,
    /// Extended number of the next packet in order. Extended numbers begin above 2¹⁶.
    next: Option<u64>,
    highest: u64,
    waiting: BTreeMap<u64, Packet>,
    passed: VecDeque<(u64, Packet)>,
    gaps: Gaps,
    order: OrderRules,
    decoder: Decoder,
    reception: Reception,
    next_report_at: Instant,
    /// When to ask for a keyframe, if nothing is decoded by then.
    keyframe_request_at: Option<Instant>,
    decoded: VecDeque<(Instant, FrameId)>,
    counters: ReceiverCounters,
    freeze_since: Option<Instant>,
    ended: bool,
}

/// A frame that was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameId {
    /// The encoding's index in its track.
    pub encoding: u8,
    /// The picture's number in its encoding.
    pub number: u32,
    /// Spatial layer.
    pub spatial_id: u8,
    /// Temporal layer.
    pub temporal_id: u8,
    /// Whether the picture is a keyframe.
    pub keyframe: bool,
}

/// The layers that arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentLayers {
    /// The encoding.
    pub encoding: u8,
    /// The highest spatial layer of the last picture decoded, or of the one before if that is still arriving.
    pub spatial_id: u8,
    /// The highest temporal layer of the last pictures.
    pub temporal_id: u8,
}

/// What a receiver has seen and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Media packets, each counted once, repaired ones as well.
    pub packets: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after they were given up.
    pub late: u64,
    /// Packets that came by RTX and were missing.
    pub repaired: u64,
    /// Packets that were given up.
    pub lost: u64,
    /// Packets without payload.
    pub empty: u64,
    /// Frames decoded, each spatial layer counted.
    pub frames_decoded: u64,
    /// Frames that were whole, but what they depend on was lost.
    pub frames_undecodable: u64,
    /// Sequence numbers asked for, repetitions counted.
    pub nacked: u64,
    /// Keyframe requests sent.
    pub keyframe_requests: u64,
    /// The longest time between two decoded frames while active.
    pub longest_freeze: Duration,
}

/// What the packets have to look like.
#[derive(Debug, Clone)]
struct Format {
    ssrc: u32,
    payload_type: u8,
    /// SSRC and payload type.
    rtx: Option<(u32, u8)>,
    clock_rate: u32,
    nack: bool,
    pli: bool,
    mid: Option<(u8, String)>,
    dependency_descriptor: Option<u8>,
}

/// A packet that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    timestamp: u32,
    marker: bool,
    /// `None`: a packet without payload, which only fills a number.
    content: Option<(Marks, PictureNumbers)>,
}

impl RtpReceiver {
    /// A consumer of `track` that was just created with these parameters.
    ///
    /// # Panics
    /// If the parameters have no codec or no SSRC.
    pub fn new(parameters: &RtpParameters, track: TrackSpec, now: Instant) -> Self {
        let format = Format::new(parameters);
        let video = track.codec.is_video();
        RtpReceiver {
            own_ssrc: mix(u64::from(format.ssrc)) as u32 | 1,
            active: true,
            next: None,
            highest: 0,
            waiting: BTreeMap::new(),
            passed: VecDeque::new(),
            gaps: Gaps::new(format.nack),
            order: OrderRules::new(&track),
            decoder: Decoder::new(&track),
            reception: Reception::new(format.clock_rate),
            next_report_at: now + REPORT_INTERVAL,
            keyframe_request_at: (video && format.pli).then_some(now + KEYFRAME_PATIENCE),
            decoded: VecDeque::new(),
            counters: ReceiverCounters::default(),
            freeze_since: None,
            ended: false,
            format,
            track,
        }
    }

    /// From now on nothing is lost, so that a stream that begins with anything but a keyframe is a violation.
    pub fn expect_no_loss(&mut self) {
        self.decoder.expect_no_loss();
    }

    /// Takes an RTP packet in the clear.
    ///
    /// # Errors
    /// The first rule that it breaks, or that those break that it lets through.
    pub fn handle_rtp(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Violation> {
        let packet = RtpPacket::parse(bytes).map_err(Violation::NotRtp)?;
        let header = packet.header;
        self.check_extensions(&packet)?;
        if header.ssrc == self.format.ssrc {
            if header.payload_type != self.format.payload_type {
                return Err(Violation::PayloadType(header.payload_type));
            }
            let sequence = self.extend(header.sequence_number);
            self.reception.on_packet(now, sequence, header.timestamp);
            return self.on_media(now, sequence, header, &packet, packet.payload, false);
        }
        let Some((ssrc, payload_type)) = self.format.rtx else { return Err(Violation::Ssrc(header.ssrc)) };
        if header.ssrc != ssrc {
            return Err(Violation::Ssrc(header.ssrc));
        }
        if header.payload_type != payload_type {
            return Err(Violation::PayloadType(header.payload_type));
        }
        let Some((original, payload)) = packet.payload.split_at_checked(2) else {
            return Ok(()); // padding, to probe for bandwidth
        };
        let original = u16::from_be_bytes([original[0], original[1]]);
        let sequence = self.extend(original);
        self.on_media(now, sequence, header, &packet, payload, true)
    }

    /// Takes a compound RTCP packet; what is about other streams is ignored.
    pub fn handle_rtcp(&mut self, now: Instant, compound: &[u8]) {
        for packet in rtcp::parse(compound).unwrap_or_default() {
            match packet {
                Rtcp::SenderReport(ssrc, info, _) if ssrc == self.format.ssrc => {
                    self.reception.on_sender_report(now, info.ntp_time);
                }
                Rtcp::Bye(ssrcs) => self.ended |= ssrcs.contains(&self.format.ssrc),
                _ => {}
            }
        }
    }

    /// Appends the RTCP that is due, and goes on behind what is given up.
    ///
    /// # Errors
    /// The first rule that is broken by packets behind a gap that was given up.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) -> Result<(), Violation> {
        let mut outcome = Ok(());
        if self.next.is_some_and(|next| self.gaps.is_hopeless(next, now)) {
            outcome = self.skip_gap(now);
        }
        if self.active {
            let lost = self.gaps.due(now);
            if !lost.is_empty() {
                self.counters.nacked += lost.len() as u64;
                let media_ssrc = self.format.ssrc;
                out.push(rtcp::write(&[Rtcp::Nack { sender_ssrc: self.own_ssrc, media_ssrc, lost }]));
            }
            if self.keyframe_request_at.is_some_and(|at| at <= now) {
                self.keyframe_request_at = Some(now + KEYFRAME_REPEAT);
                self.counters.keyframe_requests += 1;
                let media_ssrc = self.format.ssrc;
                out.push(rtcp::write(&[Rtcp::Pli { sender_ssrc: self.own_ssrc, media_ssrc }]));
            }
        }
        if self.next_report_at <= now {
            self.next_report_at = now + REPORT_INTERVAL;
            if let Some(block) = self.reception.report(now, self.format.ssrc) {
                out.push(rtcp::write(&[Rtcp::ReceiverReport(self.own_ssrc, vec![block])]));
            }
        }
        outcome
    }

    /// When to poll next.
    pub fn deadline(&self) -> Instant {
        let mut at = self.next_report_at;
        if let Some(gap_at) = self.next.and_then(|next| self.gaps.deadline(next, self.active)) {
            at = at.min(gap_at);
        }
        match self.keyframe_request_at {
            Some(request_at) if self.active => at.min(request_at),
            _ => at,
        }
    }

    /// The consumer or its producer was paused (inactive), or both go on: while inactive nothing is asked for; every time that
    /// it becomes active, the stream may once go on under another timestamp offset and other picture numbers.
    pub fn set_active(&mut self, now: Instant, active: bool) {
        if active == self.active {
            return;
        }
        if active {
            self.order.allow_restart();
        }
        self.active = active;
        self.freeze_since = None;
        if active && self.track.codec.is_video() && self.format.pli {
            self.keyframe_request_at = Some(now + KEYFRAME_PATIENCE);
        }
    }

    /// The stream may once go on under another timestamp offset and other picture numbers, without having been inactive: its
    /// source was replaced.
    pub fn allow_restart(&mut self) {
        self.order.allow_restart();
    }

    /// The last frames decoded, oldest first.
    pub fn decoded(&self) -> impl DoubleEndedIterator<Item = &(Instant, FrameId)> {
        self.decoded.iter()
    }

    /// When the last frame was decoded.
    pub fn last_decoded_at(&self) -> Option<Instant> {
        self.decoded.back().map(|(at, _)| *at)
    }

    /// The layers that arrive.
    pub fn current_layers(&self) -> Option<CurrentLayers> {
        let &(_, last) = self.decoded.back()?;
        let recent = self.decoded.iter().rev().map(|(_, frame)| *frame);
        let recent =
            recent.take_while(|frame| frame.encoding == last.encoding && frame.number + 8 > last.number);
        // The last picture may still be arriving.
        let spatial = recent.clone().filter(|frame| frame.number + 2 > last.number);
        Some(CurrentLayers {
            encoding: last.encoding,
            spatial_id: spatial.map(|frame| frame.spatial_id).max()?,
            temporal_id: recent.map(|frame| frame.temporal_id).max()?,
        })
    }

    /// What was seen and done so far.
    pub fn counters(&self) -> &ReceiverCounters {
        &self.counters
    }

    /// Whether the sender said goodbye.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The stream's SSRC.
    pub fn ssrc(&self) -> u32 {
        self.format.ssrc
    }

    /// The SSRC of the retransmissions.
    pub fn rtx_ssrc(&self) -> Option<u32> {
        self.format.rtx.map(|(ssrc, _)| ssrc)
    }

    /// What it is a consumer of.
    pub fn track(&self) -> &TrackSpec {
        &self.track
    }

    fn extend(&self, sequence_number: u16) -> u64 {
        let first = 0x1_0000 | u64::from(sequence_number);
        if self.next.is_none() { first } else { extend(sequence_number, self.highest) }
    }

    fn check_extensions(&self, packet: &RtpPacket<'_>) -> Result<(), Violation> {
        let Some((id, mid)) = &self.format.mid else { return Ok(()) };
        match packet.extension(*id) {
            Some(value) if value != mid.as_bytes() => {
                Err(Violation::Mid(String::from_utf8_lossy(value).into_owned()))
            }
            _ => Ok(()),
        }
    }

    fn on_media(
        &mut self,
        now: Instant,
        sequence: u64,
        header: RtpHeader,
        packet: &RtpPacket<'_>,
        payload: &[u8],
        repair: bool,
    ) -> Result<(), Violation> {
        let (timestamp, marker) = (header.timestamp, header.marker);
        let content = if payload.is_empty() {
            self.counters.empty += 1;
            None
        } else {
            let recognised = recognise(&self.track, payload)
                .map_err(|mismatch| Violation::Payload(sequence as u16, mismatch))?;
            let frame_number = self.read_descriptor(packet, &recognised.marks)?;
            Some((recognised.marks, PictureNumbers { frame_number, ..recognised.numbers }))
        };
        self.insert(now, sequence, Packet { timestamp, marker, content }, repair)
    }

    /// The part of a dependency descriptor that needs no structure: of a frame's packets, first, last, and its number, which is
    /// returned.
    fn read_descriptor(&self, packet: &RtpPacket<'_>, marks: &Marks) -> Result<Option<u16>, Violation> {
        let value = self.format.dependency_descriptor.and_then(|id| packet.extension(id));
        let Some(value) = value else { return Ok(None) };
        let wrong = || Violation::DependencyDescriptor(*marks);
        let layers = self.track.encodings[usize::from(marks.encoding)].layers;
        let active = active_decode_targets(layers, marks, value);
        // A receiver that was told of no decode target that a frame is for may leave the frame out.
        if active.is_some_and(|active| !is_for_any(layers, marks, active)) {
            return Err(wrong());
        }
        let expected = dependency_descriptor(layers, marks, active);
        match *value {
            [first, high, low, ref rest @ ..] if first == expected[0] && *rest == expected[3..] => {
                Ok(Some(u16::from_be_bytes([high, low])))
            }
            _ => Err(wrong()),
        }
    }

    fn insert(&mut self, now: Instant, sequence: u64, packet: Packet, repair: bool) -> Result<(), Violation> {
        let next = *self.next.get_or_insert_with(|| {
            // What is missing of the first frame may still come.
            let before = packet.content.map_or(0, |(marks, _)| u64::from(marks.index));
            self.highest = sequence - before - 1;
            self.highest + 1
        });
        if sequence < next || self.waiting.contains_key(&sequence) {
            return self.on_repetition(sequence, packet);
        }
        if sequence > self.highest + MAX_JUMP {
            return Err(Violation::SequenceJump { from: self.highest as u16, to: sequence as u16 });
        }
        self.counters.packets += 1;
        let was_missing = self.gaps.on_arrived(sequence);
        self.counters.repaired += u64::from(was_missing && repair);
        if sequence > self.highest {
            self.gaps.on_gap(now, self.highest + 1..sequence);
            self.highest = sequence;
        }
        self.waiting.insert(sequence, packet);
        let outcome = self.advance(now);
        if self.waiting.contains_key(&sequence) && self.completes_keyframe(sequence, &packet) {
            return outcome.and(self.jump_to_keyframe(now, sequence, &packet));
        }
        outcome
    }

    fn on_repetition(&mut self, sequence: u64, packet: Packet) -> Result<(), Violation> {
        let passed = || self.passed.iter().rev().find(|(passed, _)| *passed == sequence).map(|(_, p)| p);
        match self.waiting.get(&sequence).or_else(passed) {
            // What is sent again may be empty where the original was to be left out after all.
            Some(known) if *known == packet || packet.content.is_none() => self.counters.duplicates += 1,
            Some(_) => return Err(Violation::SequenceReused(sequence as u16)),
            None => self.counters.late += 1,
        }
        Ok(())
    }

    /// Hands on what is in order.
    fn advance(&mut self, now: Instant) -> Result<(), Violation> {
        let mut outcome = Ok(());
        while let Some((sequence, packet)) = self.next.and_then(|next| self.waiting.remove_entry(&next)) {
            self.next = Some(sequence + 1);
            if self.passed.len() == MAX_PASSED {
                self.passed.pop_front();
            }
            self.passed.push_back((sequence, packet));
            let Some((marks, _)) = packet.content else {
                self.order.on_filler();
                continue;
            };
            outcome = outcome.and(self.order.on_packet(&packet)).and(self.decode(now, &marks));
        }
        outcome
    }

    fn decode(&mut self, now: Instant, marks: &Marks) -> Result<(), Violation> {
        use decoder::Outcome;
        match self.decoder.on_packet(marks)? {
            Outcome::Nothing => {}
            Outcome::Undecodable => {
                self.counters.frames_undecodable += 1;
                if self.format.pli && self.keyframe_request_at.is_none() {
                    self.keyframe_request_at = Some(now);
                }
            }
            Outcome::Decoded => self.on_decoded(now, marks),
        }
        Ok(())
    }

    fn on_decoded(&mut self, now: Instant, marks: &Marks) {
        if marks.starts_decoding() {
            self.keyframe_request_at = None;
        }
        let frozen = self.freeze_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.counters.longest_freeze = self.counters.longest_freeze.max(frozen);
        self.freeze_since = self.active.then_some(now);
        self.counters.frames_decoded += 1;
        if self.decoded.len() == MAX_DECODED {
            self.decoded.pop_front();
        }
        self.decoded.push_back((now, FrameId::of(marks)));
    }

    /// Whether the frame that this packet belongs to is a decoder's start, and all here.
    fn completes_keyframe(&self, sequence: u64, packet: &Packet) -> bool {
        let Some((marks, _)) = packet.content.filter(|(marks, _)| marks.starts_decoding()) else {
            return false;
        };
        let first = sequence - u64::from(marks.index);
        let of_frame = |waiting: &Packet| waiting.content.is_some_and(|(other, _)| other.same_frame(&marks));
        let there = self.waiting.range(first..first + u64::from(marks.count));
        there.filter(|(_, waiting)| of_frame(waiting)).count() == usize::from(marks.count)
    }

    /// A decoder does not wait for what comes before a keyframe.
    fn jump_to_keyframe(&mut self, now: Instant, sequence: u64, packet: &Packet) -> Result<(), Violation> {
        let index = packet.content.map_or(0, |(marks, _)| u64::from(marks.index));
        self.give_up_until(sequence - index);
        self.advance(now)
    }

    /// Goes on with the first packet behind the gap.
    fn skip_gap(&mut self, now: Instant) -> Result<(), Violation> {
        let behind = self.waiting.keys().next().copied().unwrap_or(self.highest + 1);
        self.give_up_until(behind);
        self.advance(now)
    }

    /// What is missing before `sequence` is lost, and what has come of it is of no use.
    fn give_up_until(&mut self, sequence: u64) {
        self.waiting = self.waiting.split_off(&sequence);
        self.counters.lost += self.gaps.forget_before(sequence);
        self.next = Some(sequence);
        self.order.on_gap();
        self.decoder.on_gap();
    }
}

impl FrameId {
    /// Of the frame that a packet belongs to.
    pub fn of(marks: &Marks) -> Self {
        FrameId {
            encoding: marks.encoding,
            number: marks.number,
            spatial_id: marks.spatial_id,
            temporal_id: marks.temporal_id,
            keyframe: marks.keyframe,
        }
    }
}

impl Format {
    fn new(parameters: &RtpParameters) -> Self {
        let codec = parameters.media_codec().expect("a consumer has a media codec");
        let encoding = parameters.encodings.first().expect("a consumer has an encoding");
        let rtx_codec = parameters.rtx_for(codec.payload_type);
        let id = |uri| parameters.header_extension_id(uri);
        Format {
            ssrc: encoding.ssrc.expect("a consumer's encoding has an SSRC"),
            payload_type: codec.payload_type,
            rtx: encoding.rtx.zip(rtx_codec).map(|(rtx, codec)| (rtx.ssrc, codec.payload_type)),
            clock_rate: codec.clock_rate,
            nack: codec.has_feedback("nack", ""),
            pli: codec.has_feedback("nack", "pli"),
            mid: id(HeaderExtensionUri::Mid).zip(parameters.mid.clone()),
            dependency_descriptor: id(HeaderExtensionUri::DependencyDescriptor),
        }
    }
}

#[cfg(test)]
mod tests;
