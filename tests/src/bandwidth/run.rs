//! One run: senders that share a bottleneck, their receivers, and what was measured.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sansfu::wire::rtcp::{RtcpView, packets};

use super::bottleneck::{Bottleneck, Passage, Path};
use super::receiver::Receiver;
use super::sender::{FRAME_US, Mode, Packet, Sender};
use crate::world::epoch;

/// Measuring begins then.
pub const STEADY_US: i64 = 10_000_000;
/// Where estimates start: mediasoup's default.
pub const START_BPS: u64 = 600_000;
const SECOND_US: i64 = 1_000_000;
const CROSS_PACKET: usize = 1_200;

/// What happens to the path or to the flows in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The bottleneck carries so much from now on.
    Rate(u64),
    /// Nothing comes through, or it does again.
    Down(bool),
    /// A flow that does not care sends so much, in bits a second.
    Cross(u64),
    /// The receivers' clocks are off by so much, in µs.
    ClockError(i64),
    /// The feedback is lost, or it is not.
    FeedbackLost(bool),
    /// The senders send only so much, in bits a second; 0: all they may.
    Limit(u64),
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The path at first.
    pub path: Path,
    /// A sender each.
    pub flows: Vec<Mode>,
    /// When what changes.
    pub changes: Vec<(i64, Change)>,
    /// How long it runs.
    pub length_us: i64,
}

impl Scenario {
    /// One flow over a path that stays as it is, for 40 s.
    pub fn steady(path: Path, mode: Mode) -> Self {
        Scenario { path, flows: vec![mode], changes: Vec::new(), length_us: 40_000_000 }
    }
}

/// What was measured of a flow.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Media that arrived after [`STEADY_US`].
    pub media_bytes: u64,
    /// Packets sent, and dropped at the queue's end, all the time.
    pub sent: u64,
    /// See `sent`.
    pub dropped: u64,
    /// Waits before the bottleneck of the media sent after [`STEADY_US`], in ms.
    waits_ms: Vec<u64>,
    /// The estimate, each 100 ms.
    pub estimates_bps: Vec<u64>,
    /// Time beyond a second each time that no media came for longer, in µs.
    pub frozen_us: i64,
    last_media_us: i64,
    /// Switches between layers.
    pub switches: u64,
}

impl Measured {
    /// The wait that 95 % of the media packets did not exceed, in ms.
    pub fn wait_p95_ms(&self) -> u64 {
        let all: u64 = self.waits_ms.iter().sum();
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen * 100 >= all * 95
        };
        self.waits_ms.iter().position(reached).unwrap_or(0) as u64
    }

    /// How long after `from_us` the estimate was first within these bounds, in ms.
    pub fn reached_ms(&self, from_us: i64, bounds_bps: std::ops::Range<u64>) -> Option<i64> {
        let first = (from_us / 100_000) as usize;
        let after = self.estimates_bps.get(first..)?.iter().position(|bps| bounds_bps.contains(bps))?;
        Some(after as i64 * 100)
    }

    /// The lowest and highest estimate of a span of time.
    pub fn range_bps(&self, from_us: i64, to_us: i64) -> (u64, u64) {
        let span = &self.estimates_bps[(from_us / 100_000) as usize..(to_us / 100_000) as usize];
        (span.iter().copied().min().unwrap_or(0), span.iter().copied().max().unwrap_or(0))
    }

    fn note_wait(&mut self, waited_us: i64) {
        let ms = (waited_us / 1_000) as usize;
        if self.waits_ms.len() <= ms {
            self.waits_ms.resize(ms + 1, 0);
        }
        self.waits_ms[ms] += 1;
    }

    fn note_media(&mut self, now_us: i64, bytes: usize) {
        self.frozen_us += (now_us - self.last_media_us - SECOND_US).max(0);
        self.last_media_us = now_us;
        if now_us >= STEADY_US {
            self.media_bytes += bytes as u64;
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Change(Change),
    Frame(usize),
    Drive(usize),
    Arrive(usize, u64, usize, bool),
    FeedbackDue(usize),
    Feedback(usize, Vec<u8>),
    Cross,
    Sample,
}

/// A run in progress.
struct Run {
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    order: u64,
    now_us: i64,
    bottleneck: Bottleneck,
    flows: Vec<(Sender, Receiver, Measured)>,
    modes: Vec<Mode>,
    /// When each flow is driven next: later events of that kind are stale.
    drive_at_us: Vec<i64>,
    cross_bps: u64,
    feedback_lost: bool,
}

/// Runs a scenario; the seed decides on everything left to chance.
pub fn run(scenario: &Scenario, seed: u64) -> Vec<Measured> {
    let flow =
        |mode: &Mode| (Sender::new(epoch(), START_BPS, *mode), Receiver::default(), Measured::default());
    let mut run = Run {
        events: BinaryHeap::new(),
        order: 0,
        now_us: 0,
        bottleneck: Bottleneck::new(scenario.path, seed),
        flows: scenario.flows.iter().map(flow).collect(),
        modes: scenario.flows.clone(),
        drive_at_us: vec![i64::MAX; scenario.flows.len()],
        cross_bps: 0,
        feedback_lost: false,
    };
    for (at_us, change) in &scenario.changes {
        run.push(*at_us, Event::Change(*change));
    }
    for flow in 0..run.flows.len() {
        run.push(flow as i64 * 7_919, Event::Frame(flow));
    }
    run.push(0, Event::Sample);
    while let Some(Reverse((at_us, _, event))) = run.events.pop() {
        if at_us >= scenario.length_us {
            break;
        }
        run.now_us = at_us;
        run.handle(event);
    }
    run.flows
        .into_iter()
        .map(|(sender, _, measured)| Measured { switches: sender.switches, ..measured })
        .collect()
}

impl Run {
    fn push(&mut self, at_us: i64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at_us, self.order, event)));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Change(change) => self.change(change),
            Event::Frame(flow) => {
                self.flows[flow].0.on_frame(self.now_us);
                self.drive(flow);
                self.push(self.now_us + FRAME_US, Event::Frame(flow));
            }
            Event::Drive(flow) if self.drive_at_us[flow] == self.now_us => self.drive(flow),
            Event::Drive(_) => {}
            Event::Arrive(flow, number, bytes, is_media) => {
                if is_media {
                    self.flows[flow].2.note_media(self.now_us, bytes);
                }
                let due_us = self.flows[flow].1.on_packet(self.now_us, number);
                self.push(due_us, Event::FeedbackDue(flow));
            }
            Event::FeedbackDue(flow) => {
                if let Some(bytes) = self.flows[flow].1.feedback(self.now_us) {
                    self.push(self.now_us + self.bottleneck.path().delay_us, Event::Feedback(flow, bytes));
                }
            }
            Event::Feedback(flow, bytes) => self.feedback(flow, &bytes),
            Event::Cross => self.cross(),
            Event::Sample => self.sample(),
        }
    }

    fn drive(&mut self, flow: usize) {
        let mut packets = Vec::new();
        let next = self.flows[flow].0.drive(self.now_us, |packet| packets.push(packet));
        for packet in packets {
            self.send(flow, packet);
        }
        self.drive_at_us[flow] = i64::MAX;
        if let Some(at_us) = next {
            self.drive_at_us[flow] = at_us.max(self.now_us + 1);
            self.push(self.drive_at_us[flow], Event::Drive(flow));
        }
    }

    fn send(&mut self, flow: usize, packet: Packet) {
        let passage = self.bottleneck.send(self.now_us, packet.bytes);
        let measured = &mut self.flows[flow].2;
        measured.sent += 1;
        let (Passage::Lost { waited_us } | Passage::Arrives { waited_us, .. }) = passage else {
            measured.dropped += 1;
            return;
        };
        if packet.is_media && self.now_us >= STEADY_US {
            measured.note_wait(waited_us);
        }
        if let Passage::Arrives { at_us, .. } = passage {
            self.push(at_us, Event::Arrive(flow, packet.number, packet.bytes, packet.is_media));
        }
    }

    fn feedback(&mut self, flow: usize, bytes: &[u8]) {
        if self.feedback_lost {
            return;
        }
        let sender = &mut self.flows[flow].0;
        let now = sender.at(self.now_us);
        for packet in packets(bytes) {
            if let RtcpView::TransportFeedback(feedback) = packet {
                sender.estimator.on_feedback(now, &feedback);
            }
        }
        self.drive(flow);
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Rate(rate_bps) => self.bottleneck.set_rate(rate_bps),
            Change::Down(is_down) => self.bottleneck.set_down(is_down),
            Change::FeedbackLost(is_lost) => self.feedback_lost = is_lost,
            Change::ClockError(us) => {
                self.flows.iter_mut().for_each(|(_, receiver, _)| receiver.clock_error_us = us);
            }
            Change::Cross(bps) => {
                self.cross_bps = bps;
                self.push(self.now_us, Event::Cross);
            }
            Change::Limit(bps) => {
                for (flow, mode) in self.modes.iter().enumerate() {
                    let mode = if bps == 0 { *mode } else { Mode::Constant(bps) };
                    self.flows[flow].0.set_mode(self.now_us, mode);
                }
            }
        }
    }

    fn cross(&mut self) {
        let Some(gap_us) = (CROSS_PACKET as u64 * 8_000_000).checked_div(self.cross_bps) else { return };
        self.bottleneck.send(self.now_us, CROSS_PACKET);
        self.push(self.now_us + gap_us as i64, Event::Cross);
    }

    /// Each 100 ms: the estimate, and once in ten times the round trip as reports would tell it.
    fn sample(&mut self) {
        let round_trip_us = self.bottleneck.path().delay_us * 2 + self.bottleneck.wait_us(self.now_us);
        for (sender, _, measured) in &mut self.flows {
            if self.now_us % SECOND_US == 0 && self.now_us > 0 && !self.feedback_lost {
                let now = sender.at(self.now_us);
                sender.estimator.on_rtt(now, std::time::Duration::from_micros(round_trip_us as u64));
            }
            measured.estimates_bps.push(sender.estimator.estimate_bps());
        }
        self.push(self.now_us + 100_000, Event::Sample);
    }
}
