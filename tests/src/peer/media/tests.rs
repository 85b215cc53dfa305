//! A sender and a receiver with a scripted path between them.
mod structures;
mod through_core;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sansfu::ortc::RtpParameters;
use serde_json::json;

use super::congestion::TransportNumbers;
use super::feedback::FeedbackGenerator;
use super::random::Random;
use super::receiver::ReceiverCounters;
use super::sender::FirstSequence;
use super::track::tests::every_track;
use super::*;
use crate::peer::rtcp::is_rtcp;
use crate::peer::rtp::RtpPacket;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SEED: u64 = 77;
/// One way.
const DELAY: Duration = Duration::from_millis(20);

/// What the path does with the n-th RTP packet: when its copies arrive, late by how much.
pub(super) type Path = Box<dyn FnMut(u64, &[u8]) -> Vec<Duration>>;

/// Whom a datagram is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Sender,
    Receiver,
    /// Packets of the encodings that are not received count as arrived at the transport.
    Transport,
}

/// A track from one end to the other. The receiver has the parameters of one encoding.
pub(super) struct Call {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) sender: RtpSender,
    pub(super) receiver: RtpReceiver,
    pub(super) feedback: FeedbackGenerator,
    pub(super) path: Path,
    pub(super) violations: Vec<Violation>,
    /// Everything that arrived, for comparing runs.
    pub(super) arrived: Vec<(Duration, Vec<u8>)>,
    ssrcs: [Option<u32>; 2],
    queue: BTreeMap<(Instant, u64), (To, Vec<u8>)>,
    sent: u64,
    queued: u64,
}

/// What a consumer of one encoding of a track would be told if the server changed no numbers.
pub(super) fn parameters_of(track: &TrackSpec, encoding: usize) -> RtpParameters {
    let numbers = track.numbers(SEED);
    let (ssrc, rtx) = numbers.ssrcs[encoding];
    let mut parameters = track.rtp_parameters(SEED);
    parameters["encodings"] = json!([{"ssrc": ssrc}]);
    if let Some(ssrc) = rtx {
        parameters["encodings"][0]["rtx"] = json!({"ssrc": ssrc});
    }
    RtpParameters::from_json(&parameters).unwrap()
}

pub(super) fn start() -> Instant {
    Instant::now()
}

impl Call {
    pub(super) fn new(track: TrackSpec, encoding: usize) -> Self {
        let start = start();
        let parameters = parameters_of(&track, encoding);
        let numbers = track.numbers(SEED);
        let (ssrc, rtx) = numbers.ssrcs[encoding];
        let transport_cc = numbers.extension(sansfu::ortc::HeaderExtensionUri::TransportCc).unwrap();
        let mut sender = RtpSender::new(track.clone(), SEED, start);
        sender.share_transport(&TransportNumbers::default());
        Call {
            start,
            now: start,
            sender,
            receiver: RtpReceiver::new(&parameters, track, start),
            feedback: FeedbackGenerator::new(transport_cc, 1),
            path: Box::new(|_, _| vec![Duration::ZERO]),
            violations: Vec::new(),
            arrived: Vec::new(),
            ssrcs: [Some(ssrc), rtx],
            queue: BTreeMap::new(),
            sent: 0,
            queued: 0,
        }
    }

    pub(super) fn with_path(mut self, path: impl FnMut(u64, &[u8]) -> Vec<Duration> + 'static) -> Self {
        self.path = Box::new(path);
        self
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let deadlines = [
                self.sender.deadline(),
                Some(self.receiver.deadline()),
                self.feedback.deadline(),
                self.queue.keys().next().map(|(at, _)| *at),
            ];
            let next = deadlines.into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        let mut out = Vec::new();
        self.sender.poll(now, &mut out);
        for datagram in out.drain(..) {
            self.send_to_receiver(datagram);
        }
        let outcome = self.receiver.poll(now, &mut out);
        self.violations.extend(outcome.err());
        self.feedback.poll(now, &mut out);
        for datagram in out {
            self.enqueue(now + DELAY, To::Sender, datagram);
        }
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, datagram) = entry.remove();
            match (to, is_rtcp(&datagram)) {
                (To::Sender, _) => self.sender.handle_rtcp(now, &datagram),
                (To::Transport, _) => self.feedback.on_rtp(now, &datagram),
                (To::Receiver, true) => self.receiver.handle_rtcp(now, &datagram),
                (To::Receiver, false) => {
                    self.feedback.on_rtp(now, &datagram);
                    self.violations.extend(self.receiver.handle_rtp(now, &datagram).err());
                    self.arrived.push((now - self.start, datagram));
                }
            }
        }
    }

    fn send_to_receiver(&mut self, datagram: Vec<u8>) {
        if is_rtcp(&datagram) {
            return self.enqueue(self.now + DELAY, To::Receiver, datagram);
        }
        let ssrc = RtpPacket::parse(&datagram).unwrap().header.ssrc;
        if !self.ssrcs.contains(&Some(ssrc)) {
            return self.enqueue(self.now + DELAY, To::Transport, datagram);
        }
        for late in (self.path)(self.sent, &datagram) {
            self.enqueue(self.now + DELAY + late, To::Receiver, datagram.clone());
        }
        self.sent += 1;
    }

    fn enqueue(&mut self, at: Instant, to: To, datagram: Vec<u8>) {
        self.queue.insert((at, self.queued), (to, datagram));
        self.queued += 1;
    }

    pub(super) fn counters(&self) -> ReceiverCounters {
        *self.receiver.counters()
    }
}

fn is_media(track: &TrackSpec, datagram: &[u8]) -> bool {
    let numbers = track.numbers(SEED);
    RtpPacket::parse(datagram).unwrap().header.payload_type == numbers.payload_type
}

/// Each track with each of its encodings.
fn every_encoding() -> impl Iterator<Item = (TrackSpec, usize)> {
    every_track().into_iter().flat_map(|track| (0..track.encodings.len()).map(move |i| (track.clone(), i)))
}

#[test]
fn over_a_good_path_everything_is_decoded() {
    for (track, encoding) in every_encoding() {
        let mut call = Call::new(track.clone(), encoding);
        call.receiver.expect_no_loss();
        call.run_for(2_000 * MS);
        assert_eq!(call.violations, [], "{track:?}");
        let a_second = if track.codec.is_video() { 30 } else { 50 };
        let spatial = u64::from(track.encodings[encoding].layers.spatial);
        let counters = call.counters();
        assert!(counters.frames_decoded >= 2 * a_second * spatial - 3 * spatial, "{track:?} {counters:?}");
        assert_eq!((counters.lost, counters.nacked, counters.keyframe_requests), (0, 0, 0));
        assert!(counters.longest_freeze <= 40 * MS);
        let layers = call.receiver.current_layers().unwrap();
        assert_eq!(layers.encoding, encoding as u8);
        assert_eq!(layers.spatial_id + 1, track.encodings[encoding].layers.spatial);
        assert_eq!(layers.temporal_id + 1, track.encodings[encoding].layers.temporal);
        assert!(call.sender.counters().reports >= 1);
    }
}

#[test]
fn what_was_decoded_is_what_was_sent() {
    let mut call = Call::new(TrackSpec::vp9_svc(1, Layers::parse("L3T3_KEY").unwrap()), 0);
    call.run_for(1_000 * MS);
    let sent: Vec<FrameId> = call.sender.sent_frames().map(|sent| FrameId::of(&sent.frame.marks)).collect();
    let decoded: Vec<FrameId> = call.receiver.decoded().map(|(_, frame)| *frame).collect();
    assert!(decoded.len() > 80);
    assert_eq!(decoded, sent[..decoded.len()]);
}

#[test]
fn lost_packets_are_repaired() {
    for (track, encoding) in every_encoding() {
        let counted = track.clone();
        let mut call = Call::new(track.clone(), encoding).with_path(move |n, datagram| {
            // Every repair arrives; of the media every eleventh packet does not.
            if is_media(&counted, datagram) && n % 11 == 10 { vec![] } else { vec![Duration::ZERO] }
        });
        let resent_as_is = !track.rtx;
        if resent_as_is {
            // A packet that is sent again as it is looks like any other: this one is lost only once.
            let mut seen = std::collections::BTreeSet::new();
            call.path = Box::new(move |n, datagram| {
                let sequence = RtpPacket::parse(datagram).unwrap().header.sequence_number;
                if n % 11 == 10 && seen.insert(sequence) { vec![] } else { vec![Duration::ZERO] }
            });
        }
        call.run_for(3_000 * MS);
        assert_eq!(call.violations, [], "{track:?}");
        let counters = call.counters();
        assert_eq!((counters.lost, counters.frames_undecodable), (0, 0), "{track:?} {counters:?}");
        assert!(counters.nacked > 5 && call.sender.counters().repairs > 5, "{track:?} {counters:?}");
        assert!(call.sender.counters().nacked_unknown == 0);
        assert!(counters.longest_freeze < 250 * MS, "{track:?} {counters:?}");
    }
}

#[test]
fn reordered_and_doubled_packets_do_no_harm() {
    for (track, encoding) in every_encoding() {
        let mut call = Call::new(track.clone(), encoding).with_path(|n, _| match n % 13 {
            3 => vec![5 * MS],
            7 => vec![Duration::ZERO, MS],
            9 => vec![35 * MS, 90 * MS],
            _ => vec![Duration::ZERO],
        });
        call.run_for(2_000 * MS);
        assert_eq!(call.violations, [], "{track:?}");
        let counters = call.counters();
        assert!(counters.duplicates > 3, "{counters:?}");
        assert_eq!((counters.lost, counters.frames_undecodable), (0, 0), "{track:?} {counters:?}");
    }
}

#[test]
fn after_an_outage_a_keyframe_is_asked_for_and_comes() {
    for (track, encoding) in every_encoding().filter(|(track, _)| track.codec.is_video()) {
        let mut call = Call::new(track.clone(), encoding);
        call.run_for(1_000 * MS);
        let before = call.counters().frames_decoded;
        assert!(before > 20);
        call.path = Box::new(|_, _| Vec::new());
        call.run_for(2_000 * MS);
        call.path = Box::new(|_, _| vec![Duration::ZERO]);
        // A simulcast encoding comes on again only when the rate has recovered.
        call.run_for(8_000 * MS);
        assert_eq!(call.violations, [], "{track:?}");
        let counters = call.counters();
        assert!(counters.frames_decoded > before + 30, "{track:?} {counters:?}");
        assert!(counters.longest_freeze >= 2_000 * MS);
        let last = call.receiver.last_decoded_at().unwrap();
        assert!(call.now - last < 100 * MS, "{track:?}");
    }
}

#[test]
fn sequence_numbers_wrap() {
    for (track, encoding) in every_encoding().filter(|(track, _)| track.rtx) {
        let mut call = Call::new(track.clone(), encoding);
        call.sender = RtpSender::with_first_sequence(track, SEED, call.start, FirstSequence::NearWrap);
        call.path = Box::new(|n, _| if n % 9 == 8 { vec![] } else { vec![Duration::ZERO] });
        call.run_for(1_000 * MS);
        assert_eq!(call.violations, []);
        assert!(call.counters().repaired > 2 && call.counters().frames_decoded > 20);
    }
}

/// Bursts of loss, delays that change the order, copies; now and then an outage. Good again from the n-th packet on.
fn rough_path(seed: u64, good_from: u64) -> Path {
    let mut random = Random::new(seed);
    let mut outage = 0;
    Box::new(move |n, _| {
        if n >= good_from {
            return vec![Duration::ZERO];
        }
        if random.below(200) == 0 {
            outage = random.below(60);
        }
        if outage > 0 {
            outage -= 1;
            return vec![];
        }
        match random.below(20) {
            0 => vec![],
            1 => vec![MS * random.below(60), MS * random.below(200)],
            2 | 3 => vec![MS * random.below(40)],
            _ => vec![MS * random.below(3)],
        }
    })
}

#[test]
fn nothing_that_a_path_does_is_a_violation_and_media_recovers() {
    for seed in 0..3 {
        for (track, encoding) in every_encoding() {
            let mut call = Call::new(track.clone(), encoding);
            call.path = rough_path(seed * 100 + u64::from(track.id), 400);
            call.run_for(6_000 * MS);
            assert_eq!(call.violations, [], "{track:?} seed {seed}");
            let is_on = call.sender.encoding_rates_bps().nth(encoding).is_some_and(|rate| rate > 0);
            let last = call.receiver.last_decoded_at().unwrap();
            let good = call.receiver.counters().packets > 400;
            assert!(!is_on || !good || call.now - last < 300 * MS, "{track:?} {:?}", call.counters());
        }
    }
}

#[test]
fn runs_repeat_themselves() {
    for (track, encoding) in every_encoding() {
        let run = || {
            let mut call = Call::new(track.clone(), encoding)
                .with_path(|n, _| if n % 17 == 3 { vec![] } else { vec![MS * (n % 5) as u32] });
            call.run_for(1_500 * MS);
            (call.arrived, *call.receiver.counters(), call.violations)
        };
        assert!(run() == run());
    }
}
