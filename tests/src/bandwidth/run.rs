//! One run: senders that share a bottleneck, their receivers, and what was measured.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sansfu::wire::rtcp::{RtcpView, packets};

use super::bottleneck::{Bottleneck, Passage, Path};
use super::measured::{Measured, SAMPLE_US};
use super::receiver::{Lie, Receiver};
use super::reno::Reno;
use super::sender::{Mode, Packet, Sender};
use crate::world::epoch;

/// Measuring begins then.
pub const STEADY_US: i64 = 10_000_000;
/// Where estimates start: mediasoup's default.
pub const START_BPS: u64 = 600_000;
const SECOND_US: i64 = 1_000_000;
const CROSS_PACKET: usize = 1_200;
/// How often the competing flow looks whether it hears anything.
const RENO_TICK_US: i64 = 100_000;

/// What happens to the path or to the flows in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The bottleneck carries so much from now on.
    Rate(u64),
    /// Nothing comes through, or it does again.
    Down(bool),
    /// A flow that does not care sends so much, in bits a second.
    Cross(u64),
    /// A flow that fills the queue until packets are lost begins, or ends.
    Reno(bool),
    /// The receivers' clocks are off by so much, in µs.
    ClockError(i64),
    /// The feedback lies, or it does not.
    Lie(Option<Lie>),
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
    /// Each begins so much after the one before it.
    pub stagger_us: i64,
    /// When what changes.
    pub changes: Vec<(i64, Change)>,
    /// How long it runs.
    pub length_us: i64,
}

impl Scenario {
    /// One flow over a path that stays as it is, for 40 s.
    pub fn steady(path: Path, mode: Mode) -> Self {
        Scenario { path, flows: vec![mode], stagger_us: 0, changes: Vec::new(), length_us: 40_000_000 }
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
    Acknowledged(u64),
    RenoTick,
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
    reno: Option<Reno>,
    feedback_lost: bool,
}

/// Runs a scenario; the seed decides on everything left to chance.
pub fn run(scenario: &Scenario, seed: u64) -> Vec<Measured> {
    run_observed(scenario, seed, |_, _, _| ())
}

/// The same; each 100 ms `observe` sees the time in µs, and of each flow its index and its sender.
pub fn run_observed(
    scenario: &Scenario,
    seed: u64,
    mut observe: impl FnMut(i64, usize, &Sender),
) -> Vec<Measured> {
    let flow = |(n, mode): (usize, &Mode)| {
        let sender = Sender::new(epoch(), START_BPS, *mode, seed ^ (n as u64) << 32);
        (sender, Receiver::default(), Measured::since(n as i64 * scenario.stagger_us))
    };
    let mut run = Run {
        events: BinaryHeap::new(),
        order: 0,
        now_us: 0,
        bottleneck: Bottleneck::new(scenario.path, seed),
        flows: scenario.flows.iter().enumerate().map(flow).collect(),
        modes: scenario.flows.clone(),
        drive_at_us: vec![i64::MAX; scenario.flows.len()],
        cross_bps: 0,
        reno: None,
        feedback_lost: false,
    };
    for (at_us, change) in &scenario.changes {
        run.push(*at_us, Event::Change(*change));
    }
    for flow in 0..run.flows.len() {
        run.push(flow as i64 * (7_919 + scenario.stagger_us), Event::Frame(flow));
    }
    run.push(0, Event::Sample);
    while let Some(Reverse((at_us, _, event))) = run.events.pop() {
        if at_us >= scenario.length_us {
            break;
        }
        run.now_us = at_us;
        let is_sample = event == Event::Sample;
        run.handle(event);
        if is_sample {
            run.flows.iter().enumerate().for_each(|(flow, (sender, ..))| observe(at_us, flow, sender));
        }
    }
    run.finish(scenario.length_us)
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
                if self.now_us < STEADY_US {
                    self.flows[flow].0.switches = 0;
                }
                self.flows[flow].0.on_frame(self.now_us);
                self.drive(flow);
                let due_us = self.now_us + self.flows[flow].0.next_frame_us();
                self.push(due_us, Event::Frame(flow));
            }
            Event::Drive(flow) if self.drive_at_us[flow] == self.now_us => self.drive(flow),
            Event::Drive(_) => {}
            Event::Arrive(flow, number, bytes, is_media) => {
                if is_media {
                    self.flows[flow].2.note_media(self.now_us);
                }
                if is_media && self.now_us >= STEADY_US {
                    self.flows[flow].2.media_bytes += bytes as u64;
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
            Event::Acknowledged(number) => {
                if let Some(reno) = &mut self.reno {
                    reno.on_acknowledged(self.now_us, number);
                }
                self.drive_reno();
            }
            Event::RenoTick => self.tick_reno(),
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
            measured.note_wait(self.now_us - packet.made_us + waited_us);
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
            Change::Reno(begins) => {
                self.reno = begins.then(|| Reno::new(self.now_us));
                self.tick_reno();
            }
            Change::Lie(lie) => self.flows.iter_mut().for_each(|(_, receiver, _)| receiver.lie = lie),
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

    fn tick_reno(&mut self) {
        let Some(reno) = &mut self.reno else { return };
        reno.on_time(self.now_us);
        self.push(self.now_us + RENO_TICK_US, Event::RenoTick);
        self.drive_reno();
    }

    fn drive_reno(&mut self) {
        while let Some(number) = self.reno.as_mut().and_then(Reno::send) {
            if let Passage::Arrives { at_us, .. } = self.bottleneck.send(self.now_us, CROSS_PACKET) {
                self.push(at_us + self.bottleneck.path().delay_us, Event::Acknowledged(number));
            }
        }
    }

    /// Notes the estimate and the queue, and once a second tells the round trip as reports would.
    fn sample(&mut self) {
        let queue_us = self.bottleneck.wait_us(self.now_us);
        let round_trip_us = self.bottleneck.path().delay_us * 2 + queue_us;
        for (sender, _, measured) in &mut self.flows {
            if self.now_us % SECOND_US == 0 && self.now_us > 0 && !self.feedback_lost {
                let now = sender.at(self.now_us);
                sender.estimator.on_rtt(now, std::time::Duration::from_micros(round_trip_us as u64));
            }
            measured.estimates_bps.push(sender.estimator.estimate_bps());
            measured.queues_us.push(queue_us);
        }
        self.push(self.now_us + SAMPLE_US, Event::Sample);
    }

    fn finish(self, length_us: i64) -> Vec<Measured> {
        let finished = |(sender, _, mut measured): (Sender, Receiver, Measured)| {
            measured.note_media(length_us);
            measured.switches = sender.switches;
            measured
        };
        self.flows.into_iter().map(finished).collect()
    }
}
