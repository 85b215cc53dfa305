//! The bandwidth towards a client: its estimate, the pacer behind it, and when to share it out anew.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::arena::Id;
use crate::bwe::estimate::{BandwidthEstimator, BitrateLimits, Probe};
use crate::bwe::pacer::Pacer;
use crate::id::tag;
use crate::outbox::QueuedPacket;
use crate::rate::RateCounter;

/// The estimate is never lower, in bits a second.
const MIN_BPS: u64 = 30_000;

/// The time between two share-outs that nobody asked for: rates of layers change by themselves.
const ALLOCATION_INTERVAL: Duration = Duration::from_millis(500);

/// And between two that a changed estimate asks for.
const MIN_ALLOCATION_INTERVAL: Duration = Duration::from_millis(100);

/// A change of the estimate by this many percent is worth a share-out.
const NOTABLE_PERCENT: u64 = 3;

/// What is given has to fit with room to spare (see [`allocate`](crate::allocate)), so more than it is looked for.
const SPARE_PERCENT: u64 = 30;

/// The time between two reports of the estimate.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Retransmissions take this much of the estimate at most, in percent. A queue that overflows loses packet after packet, each of
/// which is asked for again and again: without a bound the answers alone keep it full.
const RESEND_PERCENT: u64 = 50;

/// And in one go what that is in this time, or the bits of a few packets.
const RESEND_BURST: Duration = Duration::from_millis(500);
const MIN_RESEND_BURST_BITS: u64 = 48_000;

/// What a client tells of what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandwidthFeedback {
    /// When each packet came (transport-wide congestion control).
    TransportWide,
    /// What it takes its bandwidth to be (REMB).
    Estimate,
}

/// A packet that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub struct PacedPacket {
    /// The packet; its transport-wide number is not decided yet.
    pub packet: QueuedPacket,
    /// Whether it gets the time at which it leaves; one that is sent again under its own SSRC is the same to the last byte.
    pub gets_time: bool,
    /// Whether it gets a transport-wide number.
    pub numbered: bool,
    /// Its size on the wire.
    pub bytes: usize,
}

/// The bandwidth towards one client.
#[derive(Debug)]
pub struct OutgoingBandwidth {
    /// Its estimate.
    pub estimator: BandwidthEstimator,
    /// How the client tells of it; `None`: nothing is known of the path, and all is sent.
    feedback: Option<BandwidthFeedback>,
    /// It has told. Until then the start is believed, and nothing is held back: some who could tell never do.
    has_told: bool,
    limits: BitrateLimits,
    pacer: Pacer,
    waiting: VecDeque<PacedPacket>,
    waiting_bytes: usize,
    /// Bits sent again lately, less what may have been since; and when that was reckoned.
    resent_bits: u64,
    resent_at: Option<Instant>,
    /// When the first that waits may leave.
    release_at: Option<Instant>,
    allocate_at: Option<Instant>,
    /// Time of the last share-out, and the estimate that was shared.
    allocated: Option<(Instant, u64)>,
    /// What the consumers would take if the path carried it.
    wanted_bps: u64,
    reported: Option<(Instant, BandwidthReport)>,
    /// What was sent again.
    resent: RateCounter,
}

/// What is told of the estimate: mediasoup's `bwe` trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandwidthReport {
    /// What the consumers would take.
    pub desired_bps: u64,
    /// That, within the limits.
    pub effective_desired_bps: u64,
    /// The estimate.
    pub available_bps: u64,
}

impl OutgoingBandwidth {
    /// Nothing is known yet but where to start.
    pub fn new(start_bps: u64) -> Self {
        let limits = BitrateLimits { start_bps, min_bps: MIN_BPS, max_bps: None };
        OutgoingBandwidth {
            estimator: BandwidthEstimator::new(limits),
            feedback: None,
            has_told: false,
            limits,
            pacer: Pacer::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            resent_bits: 0,
            resent_at: None,
            release_at: None,
            allocate_at: None,
            allocated: None,
            wanted_bps: 0,
            reported: None,
            resent: RateCounter::default(),
        }
    }

    /// The client can tell; what it can tell best counts.
    pub fn enable(&mut self, feedback: BandwidthFeedback) {
        if self.feedback != Some(BandwidthFeedback::TransportWide) {
            self.feedback = Some(feedback);
        }
    }

    /// Sets the lowest and the highest estimate, in bits a second.
    pub fn set_limits(&mut self, now: Instant, min_bps: Option<u64>, max_bps: Option<u64>) {
        self.limits = BitrateLimits { min_bps: min_bps.unwrap_or(MIN_BPS), max_bps, ..self.limits };
        self.estimator.set_limits(now, self.limits);
        self.allocate_at = Some(now);
    }

    /// The lowest estimate, where it was set, and the highest.
    pub fn limits(&self) -> (Option<u64>, Option<u64>) {
        (Some(self.limits.min_bps).filter(|min_bps| *min_bps != MIN_BPS), self.limits.max_bps)
    }

    /// The client has told of what arrives.
    pub fn on_told(&mut self) {
        self.has_told = true;
    }

    /// What there is to be shared; `None`: no limit is known.
    pub fn available_bps(&self) -> Option<u64> {
        self.feedback.map(|_| self.estimate_bps())
    }

    /// What the path is taken to carry.
    pub fn estimate_bps(&self) -> u64 {
        if self.has_told {
            return self.estimator.estimate_bps();
        }
        let most = self.limits.max_bps.unwrap_or(u64::MAX);
        self.limits.start_bps.max(self.limits.min_bps).min(most)
    }

    /// Whether a packet leaves at once; else it has to wait ([`Self::wait`]).
    pub fn may_send(&mut self, now: Instant, bytes: usize) -> bool {
        if self.feedback.is_none() || !self.has_told {
            return true;
        }
        if !self.waiting.is_empty() {
            return false;
        }
        self.pacer.set_rate(self.estimator.estimate_bps());
        match self.pacer.release(now, bytes, bytes) {
            Ok(()) => true,
            Err(at) => {
                self.release_at = Some(at);
                false
            }
        }
    }

    /// Whether there is room for a retransmission. What there is no room for is asked for again.
    pub fn may_resend(&mut self, now: Instant) -> bool {
        if self.feedback.is_none() || !self.has_told {
            return true;
        }
        let rate_bps = self.estimate_bps() * RESEND_PERCENT / 100;
        let passed = now.saturating_duration_since(self.resent_at.replace(now).unwrap_or(now));
        self.resent_bits = self.resent_bits.saturating_sub(bits_in(rate_bps, passed));
        self.resent_bits < bits_in(rate_bps, RESEND_BURST).max(MIN_RESEND_BURST_BITS)
    }

    /// So many bytes are sent again.
    pub fn on_resent(&mut self, now: Instant, bytes: usize) {
        self.resent.add(now, bytes);
        self.resent_bits = self.resent_bits.saturating_add(bytes as u64 * 8);
    }

    /// What is being sent again, in bits a second.
    pub fn resent_bps(&self, now: Instant) -> u64 {
        self.resent.rate_bps(now)
    }

    /// Lets a packet wait for its turn.
    pub fn wait(&mut self, packet: PacedPacket) {
        self.waiting_bytes += packet.bytes;
        self.waiting.push_back(packet);
    }

    /// The next packet whose turn has come.
    pub fn release(&mut self, now: Instant) -> Option<PacedPacket> {
        let first = *self.waiting.front()?;
        self.pacer.set_rate(self.estimator.estimate_bps());
        match self.pacer.release(now, first.bytes, self.waiting_bytes) {
            Ok(()) => {
                self.waiting_bytes -= first.bytes;
                self.waiting.pop_front();
                self.release_at = if self.waiting.is_empty() { None } else { Some(now) };
                Some(first)
            }
            Err(at) => {
                self.release_at = Some(at);
                None
            }
        }
    }

    /// Drops what waits of one consumer, or with `None` everything.
    pub fn drop_waiting(&mut self, consumer: Option<Id<tag::Consumer>>) {
        self.waiting.retain(|waiting| consumer.is_some_and(|consumer| waiting.packet.consumer != consumer));
        self.waiting_bytes = self.waiting.iter().map(|waiting| waiting.bytes).sum();
        if self.waiting.is_empty() {
            self.release_at = None;
        }
    }

    /// How many packets wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A packet leaves. `number`: its transport-wide number.
    pub fn on_sent(&mut self, now: Instant, number: Option<u16>, bytes: usize, is_padding: bool) {
        if self.feedback.is_none() {
            return;
        }
        if is_padding {
            self.pacer.on_sent_unpaced(now, bytes);
        }
        match number {
            Some(number) => self.estimator.on_sent(now, number, bytes, self.estimator.current_probe()),
            None => self.estimator.on_sent_unnumbered(now, bytes),
        }
    }

    /// Packets with these numbers were dropped at our own socket after they had been counted as sent.
    pub fn on_dropped(&mut self, now: Instant, numbers: impl Iterator<Item = u16>) {
        numbers.for_each(|number| self.estimator.on_dropped(now, number));
    }

    /// Padding to send now. Only who tells when each packet came can tell what became of it.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        if self.feedback != Some(BandwidthFeedback::TransportWide) {
            return None;
        }
        self.estimator.poll_probe(now)
    }

    /// The estimate may have changed: if so, sees to it that it is shared out anew.
    pub fn note_change(&mut self, now: Instant) {
        let earliest = self.allocated.map_or(now, |(at, _)| at + MIN_ALLOCATION_INTERVAL);
        let (estimate_bps, shared_bps) = (self.estimate_bps(), self.allocated.map_or(0, |(_, bps)| bps));
        let is_notable = estimate_bps.abs_diff(shared_bps) * 100 > shared_bps * NOTABLE_PERCENT;
        if is_notable {
            let at = earliest.max(now);
            self.allocate_at = Some(self.allocate_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Whether it is to be shared out now.
    pub fn is_allocation_due(&self, now: Instant) -> bool {
        self.allocate_at.is_some_and(|at| at <= now)
    }

    /// It was shared out; the consumers would take `wanted_bps`. `again`: there is something to choose, so that it is to be looked
    /// at now and then.
    pub fn on_allocated(&mut self, now: Instant, wanted_bps: u64, again: bool) {
        self.wanted_bps = wanted_bps;
        self.estimator.set_wanted(now, wanted_bps + wanted_bps * SPARE_PERCENT / 100);
        self.allocated = Some((now, self.estimate_bps()));
        self.allocate_at = again.then(|| now + ALLOCATION_INTERVAL);
    }

    /// What is to be told of the estimate now.
    pub fn report(&mut self, now: Instant) -> Option<BandwidthReport> {
        let available_bps = self.available_bps().filter(|_| self.wanted_bps > 0)?;
        let report = BandwidthReport {
            desired_bps: self.wanted_bps,
            effective_desired_bps: self.wanted_bps.min(self.limits.max_bps.unwrap_or(u64::MAX)),
            available_bps,
        };
        let is_due =
            |(at, before): (Instant, BandwidthReport)| now >= at + REPORT_INTERVAL && before != report;
        let due = self.reported.is_none_or(is_due);
        due.then(|| {
            self.reported = Some((now, report));
            report
        })
    }

    /// When to see to it next.
    pub fn deadline(&self) -> Option<Instant> {
        let numbered = self.feedback == Some(BandwidthFeedback::TransportWide);
        let estimator = self.estimator.deadline().filter(|_| numbered);
        [estimator, self.release_at, self.allocate_at].into_iter().flatten().min()
    }
}

/// What a rate makes of a time.
fn bits_in(rate_bps: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate_bps) * time.as_micros() / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    #[test]
    fn retransmissions_take_half_of_the_estimate_at_most() {
        let start = Instant::now();
        let mut bandwidth = OutgoingBandwidth::new(200_000);
        let resend = |bandwidth: &mut OutgoingBandwidth, now| {
            let may = bandwidth.may_resend(now);
            if may {
                bandwidth.on_resent(now, 1_200);
            }
            may
        };
        let for_ten_seconds = |bandwidth: &mut OutgoingBandwidth| {
            let asked = (0..10_000).map(|ms| start + Duration::from_millis(ms));
            asked.filter(|now| resend(bandwidth, *now)).count()
        };
        assert_eq!(for_ten_seconds(&mut bandwidth), 10_000, "no limit is known");
        bandwidth.enable(BandwidthFeedback::TransportWide);
        assert_eq!(for_ten_seconds(&mut bandwidth), 10_000, "nothing was told");
        bandwidth.on_told();
        bandwidth.resent_bits = 0;
        let estimate_bps = bandwidth.available_bps().unwrap();
        let sent_bits = for_ten_seconds(&mut bandwidth) as u64 * 1_200 * 8;
        let allowed_bits = estimate_bps / 2 * 10;
        assert!((allowed_bits..allowed_bits + 60_000).contains(&sent_bits), "{sent_bits} of {allowed_bits}");
    }
}
