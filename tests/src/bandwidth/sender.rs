//! The near end: video frames at 30 a second that follow the estimate, through the pacer, with padding for probes.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sansfu::allocate::{Demand, allocate};
use sansfu::bwe::estimate::{BandwidthEstimator, BitrateLimits, ProbeId};
use sansfu::bwe::pacer::Pacer;
use sansfu::consumer::ClimbHold;

/// Time between frames; cameras and encoders give each up to this much earlier or later. Without that, two senders would keep
/// in step, and one would always find the queue that the other has just made.
const FRAME_US: i64 = 33_333;
const FRAME_JITTER_US: i64 = 4_000;
const MAX_PACKET: usize = 1_200;
/// What a sender with layers can send, in bits a second.
const LADDER_BPS: [u64; 8] =
    [100_000, 300_000, 700_000, 1_200_000, 2_500_000, 4_000_000, 8_000_000, 10_000_000];
/// A keyframe is so many times as large as other frames; it is paid back by the following ones.
const KEYFRAME_FACTOR: u64 = 3;

/// How the sender uses the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sends as much as the estimate says.
    Elastic,
    /// Sends the layer that the core's allocation gives.
    Layers,
    /// Sends this much, in bits a second, if the estimate allows it.
    Constant(u64),
}

/// A packet that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Its transport-wide number, not wrapped.
    pub number: u64,
    /// Its size.
    pub bytes: usize,
    /// It carries media.
    pub is_media: bool,
    /// When the encoder gave it, in µs.
    pub made_us: i64,
}

/// A sender.
#[derive(Debug)]
pub struct Sender {
    /// What is being tested.
    pub estimator: BandwidthEstimator,
    pacer: Pacer,
    /// Size, and when it was made.
    queue: VecDeque<(usize, i64)>,
    queued_bytes: usize,
    next: u64,
    mode: Mode,
    layer: usize,
    climb: ClimbHold,
    /// Switches between layers.
    pub switches: u64,
    keyframe_due: bool,
    epoch: Instant,
    frame_jitter: ChaCha8Rng,
}

impl Sender {
    /// Starts at `start_bps`; `seed` decides when exactly frames come.
    pub fn new(epoch: Instant, start_bps: u64, mode: Mode, seed: u64) -> Self {
        let limits = BitrateLimits { start_bps, min_bps: 30_000, max_bps: None };
        let mut sender = Sender {
            estimator: BandwidthEstimator::new(limits),
            pacer: Pacer::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            next: 65_000,
            mode,
            layer: 0,
            climb: ClimbHold::default(),
            switches: 0,
            keyframe_due: true,
            epoch,
            frame_jitter: ChaCha8Rng::seed_from_u64(seed),
        };
        sender.estimator.set_wanted(epoch, sender.wanted_bps());
        sender
    }

    /// Uses the estimate in another way from now on.
    pub fn set_mode(&mut self, now_us: i64, mode: Mode) {
        self.mode = mode;
        self.estimator.set_wanted(self.at(now_us), self.wanted_bps());
    }

    /// A frame comes from the encoder.
    pub fn on_frame(&mut self, now_us: i64) {
        let bps = self.rate_bps(now_us);
        let mut bytes = bps * FRAME_US as u64 / 8_000_000;
        if self.mode == Mode::Layers && std::mem::take(&mut self.keyframe_due) {
            bytes *= KEYFRAME_FACTOR;
        }
        let bytes = (bytes as usize).max(50);
        let packets = bytes.div_ceil(MAX_PACKET);
        for n in 0..packets {
            let size = bytes * (n + 1) / packets - bytes * n / packets;
            self.queue.push_back((size, now_us));
            self.queued_bytes += size;
        }
    }

    /// How long after this frame the next one comes, in µs.
    pub fn next_frame_us(&mut self) -> i64 {
        let shift_us = (i64::from(self.frame_jitter.next_u32()) * FRAME_JITTER_US * 2) >> 32;
        FRAME_US - FRAME_JITTER_US + shift_us
    }

    /// Gives what leaves now to `send`, and returns when to ask again, if that is known.
    pub fn drive(&mut self, now_us: i64, mut send: impl FnMut(Packet)) -> Option<i64> {
        let now = self.at(now_us);
        self.estimator.handle_timeout(now);
        self.pacer.set_rate(self.estimator.estimate_bps());
        let mut paced = None;
        while let Some(&(bytes, made_us)) = self.queue.front() {
            if let Err(at) = self.pacer.release(now, bytes, self.queued_bytes) {
                paced = Some(at);
                break;
            }
            self.queue.pop_front();
            self.queued_bytes -= bytes;
            let number = self.number(now, bytes, self.estimator.current_probe());
            send(Packet { number, bytes, is_media: true, made_us });
        }
        while let Some(probe) = self.estimator.poll_probe(now) {
            let (number, bytes) = (self.number(now, probe.bytes, Some(probe.id)), probe.bytes);
            send(Packet { number, bytes, is_media: false, made_us: now_us });
        }
        let deadline = [paced, self.estimator.deadline()].into_iter().flatten().min()?;
        Some((deadline.saturating_duration_since(self.epoch).as_nanos() as i64 + 999) / 1_000)
    }

    /// A time of the simulation.
    pub fn at(&self, us: i64) -> Instant {
        self.epoch + Duration::from_micros(us as u64)
    }

    /// Tells the estimator of a packet that leaves: its number.
    fn number(&mut self, now: Instant, bytes: usize, probe: Option<ProbeId>) -> u64 {
        self.next += 1;
        self.estimator.on_sent(now, (self.next - 1) as u16, bytes, probe);
        self.next - 1
    }

    fn wanted_bps(&self) -> u64 {
        match self.mode {
            Mode::Elastic => 15_000_000,
            Mode::Layers => LADDER_BPS[LADDER_BPS.len() - 1],
            Mode::Constant(bps) => bps,
        }
    }

    fn rate_bps(&mut self, now_us: i64) -> u64 {
        let estimate = self.estimator.estimate_bps();
        match self.mode {
            Mode::Elastic => estimate,
            Mode::Constant(bps) => bps.min(estimate),
            Mode::Layers => {
                self.choose_layer(now_us, estimate);
                LADDER_BPS[self.layer]
            }
        }
    }

    /// As a router does for a consumer of simulcast, each layer of which begins with a keyframe.
    fn choose_layer(&mut self, now_us: i64, estimate: u64) {
        let now = self.at(now_us);
        let rates_bps = LADDER_BPS.to_vec();
        let allowed = if self.climb.is_held(now) { self.layer + 1 } else { rates_bps.len() };
        let demand = Demand { priority: 1, rates_bps, current: Some(self.layer), allowed };
        let layer = allocate(estimate, &[demand])[0].unwrap_or(0);
        if layer < self.layer {
            self.climb.on_pushed_down(now);
        }
        if layer != self.layer {
            (self.layer, self.keyframe_due) = (layer, true);
            self.switches += 1;
        }
    }
}
