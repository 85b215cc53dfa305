//! The sending side of a track: what a browser's `RTCRtpSender` puts on the wire, in the clear.
//!
//! ```text
//! let mut sender = RtpSender::new(TrackSpec::vp8(1), client_seed, start);
//! // `produce` with spec.rtp_parameters(client_seed), then whenever sender.deadline() is reached:
//! sender.poll(now, &mut packets);      // RTP and RTCP datagrams, to be protected and sent
//! sender.handle_rtcp(now, &compound);  // whatever RTCP comes; what is for others is ignored
//! ```
mod stream;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sansfu::ortc::HeaderExtensionUri;

use self::stream::{Extensions, SendStream};
use super::congestion::{Congestion, TransportNumbers};
use super::encoder::EncodedFrame;
use super::random::mix;
use super::track::{TrackNumbers, TrackSpec};
use crate::peer::rtcp::{self, Rtcp};

/// How many frames are remembered.
const MAX_SENT_FRAMES: usize = 2_048;
/// How many keyframe requests are remembered.
const MAX_REQUESTS: usize = 1_024;
/// Further requests for a keyframe of an encoding within this time are dropped, as libwebrtc does.
const KEYFRAME_REQUEST_SPACING: Duration = Duration::from_millis(300);
/// The time between two sender reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Parts of its highest bitrate, in percent, that must be left for an encoding to stay on, and to come on.
const STAY_ON_PERCENT: u64 = 30;
const COME_ON_PERCENT: u64 = 40;

/// Where sequence numbers begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FirstSequence {
    /// At random below 2¹⁵, so that it takes a while to the wrap (RFC 3711 section 3.3.1).
    #[default]
    Random,
    /// A few packets before the wrap.
    NearWrap,
}

/// A track that is sent.
#[derive(Debug)]
pub struct RtpSender {
    track: TrackSpec,
    numbers: TrackNumbers,
    start: Instant,
    streams: Vec<SendStream>,
    transport: TransportNumbers,
    congestion: Congestion,
    /// Of the next capture.
    next_tick: u64,
    next_report_at: Instant,
    paused: bool,
    muted: bool,
    audio_level: u8,
    sent_frames: VecDeque<SentFrame>,
    counters: SenderCounters,
    /// Retransmissions that wait for the next poll, and since when.
    repairs: Vec<Vec<u8>>,
    repairs_due_at: Instant,
}

/// A frame that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentFrame {
    /// When.
    pub at: Instant,
    /// What, and under which picture numbers.
    pub frame: EncodedFrame,
    /// The RTP sequence number of its first packet.
    pub first_sequence: u16,
}

/// What a sender has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SenderCounters {
    /// Media packets sent, without repairs.
    pub packets: u64,
    /// Payload bytes of those.
    pub payload_bytes: u64,
    /// Keyframes sent, of all encodings.
    pub keyframes: u64,
    /// Packets sent again.
    pub repairs: u64,
    /// Sequence numbers that were asked for.
    pub nacked: u64,
    /// Of those, how many were never sent or are long gone.
    pub nacked_unknown: u64,
    /// Requests for keyframes, with the encoding's index. Bounded; the oldest go first.
    pub keyframe_requests: VecDeque<(Instant, u8)>,
    /// Requests that came too soon after another.
    pub keyframe_requests_dropped: u64,
    /// REMB messages.
    pub rembs: u64,
    /// Transport-wide feedback messages.
    pub transport_feedbacks: u64,
    /// Receiver report blocks about streams of this sender.
    pub reports: u64,
}

impl RtpSender {
    /// A track that starts to be captured at `start`.
    pub fn new(track: TrackSpec, client_seed: u64, start: Instant) -> Self {
        Self::with_first_sequence(track, client_seed, start, FirstSequence::default())
    }

    /// The same, its sequence numbers beginning as told.
    pub fn with_first_sequence(
        track: TrackSpec,
        client_seed: u64,
        start: Instant,
        first: FirstSequence,
    ) -> Self {
        let numbers = track.numbers(client_seed);
        let seed = mix(client_seed) ^ mix(u64::from(track.id));
        let streams =
            (0..track.encodings.len()).map(|i| SendStream::new(&track, &numbers, i, seed, first)).collect();
        let highest_bps = track.encodings.iter().map(|encoding| encoding.max_bitrate_bps).sum();
        RtpSender {
            numbers,
            start,
            streams,
            transport: TransportNumbers::default(),
            congestion: Congestion::new(highest_bps),
            next_tick: 0,
            next_report_at: start + REPORT_INTERVAL / 4,
            paused: false,
            muted: false,
            audio_level: 30,
            sent_frames: VecDeque::new(),
            counters: SenderCounters::default(),
            repairs: Vec::new(),
            repairs_due_at: start,
            track,
        }
    }

    /// Takes transport-wide sequence numbers from those of a transport that it shares with other senders.
    pub fn share_transport(&mut self, numbers: &TransportNumbers) {
        self.transport = numbers.clone();
    }

    /// Appends what is due: RTP packets and, as one datagram for each, compound RTCP packets.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        out.append(&mut self.repairs);
        if self.paused {
            return;
        }
        while self.tick_at(self.next_tick) <= now {
            self.capture(now, out);
            self.next_tick += 1;
        }
        if self.next_report_at <= now {
            self.next_report_at = now + REPORT_INTERVAL;
            self.report(now, out);
        }
    }

    /// When to poll next; `None`: when something changes.
    pub fn deadline(&self) -> Option<Instant> {
        if !self.repairs.is_empty() {
            return Some(self.repairs_due_at);
        }
        (!self.paused).then(|| self.tick_at(self.next_tick).min(self.next_report_at))
    }

    /// Handles a compound packet. What is about streams of others, or no RTCP, is ignored. Repairs leave with the next poll,
    /// which is due at once.
    pub fn handle_rtcp(&mut self, now: Instant, compound: &[u8]) {
        for packet in rtcp::parse(compound).unwrap_or_default() {
            match packet {
                Rtcp::Nack { media_ssrc, lost, .. } => self.repair(now, media_ssrc, &lost),
                Rtcp::Pli { media_ssrc, .. } => self.on_keyframe_request(now, media_ssrc),
                Rtcp::Fir(sender_ssrc, entries) => {
                    for (ssrc, number) in entries {
                        let stream = self.streams.iter_mut().find(|stream| stream.ssrc() == ssrc);
                        if stream.is_some_and(|stream| stream.is_new_fir(sender_ssrc, number)) {
                            self.on_keyframe_request(now, ssrc);
                        }
                    }
                }
                Rtcp::Remb { bitrate_bps, .. } => {
                    self.counters.rembs += 1;
                    self.congestion.on_remb(bitrate_bps);
                }
                Rtcp::TransportFeedback(feedback) => {
                    self.counters.transport_feedbacks += 1;
                    self.congestion.on_feedback(now, &feedback);
                }
                Rtcp::ReceiverReport(_, blocks) | Rtcp::SenderReport(_, _, blocks) => {
                    for block in blocks {
                        let streams = &mut self.streams;
                        let known = streams.iter_mut().any(|stream| stream.on_report_block(block.ssrc));
                        self.counters.reports += u64::from(known);
                    }
                }
                _ => {}
            }
        }
    }

    /// Stops or goes on sending. Goes on with keyframes.
    pub fn set_paused(&mut self, now: Instant, paused: bool) {
        if self.paused && !paused {
            while self.tick_at(self.next_tick) < now {
                self.next_tick += 1;
            }
            self.next_report_at = now + REPORT_INTERVAL / 4;
            self.streams.iter_mut().for_each(|stream| stream.encoder.request_keyframe());
        }
        self.paused = paused;
    }

    /// Turns an encoding on or off, as `RTCRtpSender.setParameters` does with `active`. It comes on with a keyframe.
    pub fn set_encoding_active(&mut self, encoding: usize, active: bool) {
        self.streams[encoding].allowed = active;
    }

    /// Sends silence or a black picture: very small frames.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// The level that audio packets tell (RFC 6464): 0 is loudest, 127 is silence, in -dBov.
    pub fn set_audio_level(&mut self, level: u8) {
        self.audio_level = level;
    }

    /// The track ends: a compound packet that says so for all of its streams.
    pub fn goodbye(&self) -> Vec<u8> {
        let ssrcs: Vec<u32> = self.streams.iter().map(SendStream::ssrc).collect();
        rtcp::write(&[Rtcp::ReceiverReport(ssrcs[0], Vec::new()), Rtcp::Bye(ssrcs)])
    }

    /// What is sent.
    pub fn track(&self) -> &TrackSpec {
        &self.track
    }

    /// Its numbers on the wire.
    pub fn numbers(&self) -> &TrackNumbers {
        &self.numbers
    }

    /// The last frames sent, of all encodings, oldest first.
    pub fn sent_frames(&self) -> impl DoubleEndedIterator<Item = &SentFrame> {
        self.sent_frames.iter()
    }

    /// What was done so far.
    pub fn counters(&self) -> &SenderCounters {
        &self.counters
    }

    /// The bitrate in force for all encodings together.
    pub fn target_bps(&self) -> u64 {
        self.congestion.target_bps()
    }

    /// The bitrate of each encoding; 0: it is off.
    pub fn encoding_rates_bps(&self) -> impl Iterator<Item = u64> {
        self.streams.iter().map(|stream| stream.rate_bps)
    }

    fn tick_at(&self, tick: u64) -> Instant {
        let units = tick * u64::from(self.track.codec.frame_units());
        self.start + Duration::from_nanos(units * 1_000_000_000 / u64::from(self.track.codec.clock_rate()))
    }

    /// Encodes and packetizes what is captured now.
    fn capture(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        self.allocate();
        let capture = (self.next_tick * u64::from(self.track.codec.frame_units())) as u32;
        let frames_a_second = u64::from(self.track.codec.clock_rate() / self.track.codec.frame_units());
        for index in 0..self.streams.len() {
            let rate_bps = self.streams[index].rate_bps;
            if rate_bps == 0 {
                continue;
            }
            let bytes = if self.muted { 0 } else { rate_bps / 8 / frames_a_second };
            for frame in self.streams[index].encoder.encode(capture, bytes) {
                self.send_frame(now, index, frame, out);
            }
        }
    }

    fn send_frame(&mut self, now: Instant, index: usize, frame: EncodedFrame, out: &mut Vec<Vec<u8>>) {
        let stream = &mut self.streams[index];
        if self.sent_frames.len() == MAX_SENT_FRAMES {
            self.sent_frames.pop_front();
        }
        self.sent_frames.push_back(SentFrame { at: now, frame, first_sequence: stream.next_sequence() });
        self.counters.keyframes += u64::from(frame.marks.starts_decoding());
        for packet in 0..frame.marks.count {
            let bytes = self.streams[index].store(&self.track, frame, packet);
            self.counters.packets += 1;
            self.counters.payload_bytes += bytes as u64;
            out.push(self.extended(now, index, |stream, extensions| stream.render_newest(extensions)));
        }
    }

    /// What `render` makes of a packet that leaves at `now`, under the next transport-wide number.
    fn extended<T>(
        &mut self,
        now: Instant,
        index: usize,
        render: impl FnOnce(&mut SendStream, &Extensions<'_>) -> T,
    ) -> T {
        let number = self.transport.take();
        self.congestion.on_sent(number);
        let extensions = Extensions {
            numbers: &self.numbers,
            mid: &self.track.mid,
            send_time: abs_send_time(now.saturating_duration_since(self.start)),
            transport_sequence: number,
            audio_level: if self.muted { 127 } else { self.audio_level },
        };
        render(&mut self.streams[index], &extensions)
    }

    /// Shares the target bitrate among the encodings, the lowest first: what is left decides whether one is on.
    fn allocate(&mut self) {
        let mut left = self.congestion.target_bps();
        let mut lowest = true;
        for (stream, spec) in self.streams.iter_mut().zip(&self.track.encodings) {
            let was_on = stream.rate_bps > 0;
            let percent = if was_on { STAY_ON_PERCENT } else { COME_ON_PERCENT };
            let on = stream.allowed && (lowest || left * 100 >= spec.max_bitrate_bps * percent);
            stream.rate_bps = if on { left.min(spec.max_bitrate_bps).max(1) } else { 0 };
            lowest &= !stream.allowed;
            left -= stream.rate_bps.min(left);
            if on && !was_on {
                stream.encoder.request_keyframe();
            } else if !on {
                left = if stream.allowed { 0 } else { left };
            }
        }
    }

    fn repair(&mut self, now: Instant, media_ssrc: u32, lost: &[u16]) {
        let Some(index) = self.streams.iter().position(|stream| stream.ssrc() == media_ssrc) else { return };
        for &sequence in lost {
            self.counters.nacked += 1;
            if !self.streams[index].has_stored(sequence) {
                self.counters.nacked_unknown += 1;
                continue;
            }
            self.counters.repairs += 1;
            self.repairs_due_at = now;
            let repair =
                self.extended(now, index, |stream, extensions| stream.render_again(sequence, extensions));
            self.repairs.extend(repair);
        }
    }

    fn on_keyframe_request(&mut self, now: Instant, media_ssrc: u32) {
        let found = self.streams.iter_mut().zip(0..).find(|(stream, _)| stream.ssrc() == media_ssrc);
        let Some((stream, encoding)) = found else { return };
        if self.counters.keyframe_requests.len() == MAX_REQUESTS {
            self.counters.keyframe_requests.pop_front();
        }
        self.counters.keyframe_requests.push_back((now, encoding));
        if stream.keyframe_requested_at.is_some_and(|at| now < at + KEYFRAME_REQUEST_SPACING) {
            self.counters.keyframe_requests_dropped += 1;
            return;
        }
        stream.keyframe_requested_at = Some(now);
        stream.encoder.request_keyframe();
    }

    fn report(&self, now: Instant, out: &mut Vec<Vec<u8>>) {
        let passed = now.saturating_duration_since(self.start);
        for stream in self.streams.iter().filter(|stream| stream.rate_bps > 0 && stream.has_sent()) {
            let name = vec![(stream.ssrc(), self.numbers.cname.clone())];
            let info = stream.sender_info(passed, self.track.codec.clock_rate());
            out.push(rtcp::write(&[
                Rtcp::SenderReport(stream.ssrc(), info, Vec::new()),
                Rtcp::SourceDescription(name),
            ]));
        }
    }
}

/// Seconds with 18 bits of fraction, 24 bits in all (abs-send-time).
fn abs_send_time(since_start: Duration) -> [u8; 3] {
    let units = (since_start.as_nanos() << 18) / 1_000_000_000;
    let bytes = (units as u32).to_be_bytes();
    [bytes[1], bytes[2], bytes[3]]
}

impl TrackNumbers {
    /// The id of a header extension; `None`: it is not in use.
    pub fn extension(&self, uri: HeaderExtensionUri) -> Option<u8> {
        self.extensions.get(&uri).copied()
    }
}

#[cfg(test)]
mod tests;
