//! What one path towards a receiver carries: the parts of this folder put together behind one small interface.
use std::time::{Duration, Instant};

use super::acknowledged::RateWindow;
use super::aimd::{PathState, RateControl};
use super::arrival::ArrivalFilter;
use super::clocks::{Clock, ReceiverClock};
pub use super::history::ProbeId;
use super::history::{SentHistory, SentPacket};
use super::loss::LossControl;
pub use super::probe::Probe;
use super::probe::{ProbeResult, ProbeRunner};
use super::probe_plan::{Confirmation, ProbePlan, Situation};
use super::probe_trust::ProbeTrust;
use super::queue::QueueDelay;
use super::report::ReportControl;
use super::trend::TrendDetector;
pub use super::trend::Usage;
use super::watch::FeedbackWatch;
use crate::wire::rtcp::TransportFeedback;

/// No estimate is lower: a path that carries less carries no media.
const FLOOR_BPS: u64 = 5_000;
/// None is higher.
const CEILING_BPS: u64 = 10_000_000_000;
/// A round trip, until one was measured; and the longest one believed.
const USUAL_RTT_US: i64 = 200_000;
const MAX_RTT_US: i64 = 3_000_000;
/// Feedback waits for this long at most.
const FEEDBACK_INTERVAL_US: i64 = 100_000;
/// A sender that uses less of the estimate than the first, in percent, does not fill the path; one that uses more than the second
/// does.
const LIMITED_BELOW_PERCENT: u64 = 72;
const FILLED_ABOVE_PERCENT: u64 = 85;
/// What arrives may exceed what was sent lately by this, in percent: more is a lie about times.
const MAX_ACKNOWLEDGED_PERCENT: u64 = 120;
/// A path that delivers this much of what is sent, in percent, keeps up; it is then taken to carry this much of it.
const KEEPING_UP_PERCENT: u64 = 90;
const CARRIED_PERCENT: u64 = 115;
/// And one that delivers less than this much of it holds it up.
const HELD_UP_PERCENT: u64 = 92;
/// What was sent lately has risen if it is so much of what was sent before, in percent.
const RISEN_PERCENT: u64 = 150;
/// Behind a queue longer than this, the path has just become narrower.
const LONG_QUEUE_US: i64 = 50_000;
/// A queue shorter than this is no reason not to probe.
const CALM_QUEUE_US: i64 = 20_000;
/// A cut to less than this, in percent, is worth a probe soon, after this time.
const SHARP_CUT_PERCENT: u64 = 66;
const RECOVER_AFTER_US: i64 = 1_000_000;
/// A gain of less than this, in percent, is none.
const GAIN_PERCENT: u64 = 104;
/// A second cluster, at the rate that came through of a first one that was too high, has to come through to this percentage.
const CONFIRMED_PERCENT: u64 = 86;
/// Growth pauses for this long after packets were dropped at our own socket.
const BACKPRESSURE_US: i64 = 500_000;

/// Bounds of the estimate, in bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitrateLimits {
    /// Where it starts.
    pub start_bps: u64,
    /// It is never lower (which may be more than the path carries).
    pub min_bps: u64,
    /// It is never higher.
    pub max_bps: Option<u64>,
}

impl BitrateLimits {
    fn clamp(&self, bps: u64) -> u64 {
        bps.min(self.most()).max(self.min_bps).max(FLOOR_BPS)
    }

    fn most(&self) -> u64 {
        self.max_bps.unwrap_or(CEILING_BPS).min(CEILING_BPS)
    }
}

/// The inside of the estimator, for traces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EstimatorState {
    /// What the delay allows, in bits a second.
    pub delay_based_bps: u64,
    /// What loss allows, in bits a second; `None` while it limits nothing.
    pub loss_based_bps: Option<u64>,
    /// What arrives, in bits a second; `None` while that is not known.
    pub acknowledged_bps: Option<u64>,
    /// What the delay says.
    pub usage: Usage,
    /// Growth of the delay, in ms per ms.
    pub trend: f64,
    /// How long packets wait in queues, in µs.
    pub queue_us: i64,
    /// Share of packets lost lately, 0 to 1.
    pub loss: f64,
    /// Share of packets that the path loses whatever the rate, 0 to 0.5.
    pub inherent_loss: f64,
    /// The round trip, in µs.
    pub rtt_us: i64,
}

/// Estimates what a path carries, in bits a second of datagram payload, from what is sent and what the receiver tells.
#[derive(Debug)]
pub struct BandwidthEstimator {
    limits: BitrateLimits,
    clock: Clock,
    receiver_clock: ReceiverClock,
    history: SentHistory,
    sent: RateWindow,
    acknowledged: RateWindow,
    /// What has arrived, by the time it left.
    left: RateWindow,
    /// Highest rate sent lately.
    sent_peak_bps: u64,
    arrival: ArrivalFilter,
    trend: TrendDetector,
    queue: QueueDelay,
    rate: RateControl,
    loss: LossControl,
    /// Packets sent earlier do not count as lost: the path was down.
    loss_counts_from_us: i64,
    probe: ProbeRunner,
    plan: ProbePlan,
    trust: ProbeTrust,
    watch: FeedbackWatch,
    reports: ReportControl,
    has_feedback: bool,
    rtt_us: Option<i64>,
    feedback_rtt_us: Option<i64>,
    wanted_bps: u64,
    usage: Usage,
    is_application_limited: bool,
    backpressure_until_us: i64,
}

impl BandwidthEstimator {
    /// Starts at `limits.start_bps`.
    pub fn new(limits: BitrateLimits) -> Self {
        let start_bps = limits.clamp(limits.start_bps);
        BandwidthEstimator {
            limits,
            clock: Clock::default(),
            receiver_clock: ReceiverClock::default(),
            history: SentHistory::default(),
            sent: RateWindow::default(),
            acknowledged: RateWindow::default(),
            left: RateWindow::default(),
            sent_peak_bps: 0,
            arrival: ArrivalFilter::default(),
            trend: TrendDetector::default(),
            queue: QueueDelay::default(),
            rate: RateControl::new(start_bps),
            loss: LossControl::default(),
            loss_counts_from_us: 0,
            probe: ProbeRunner::default(),
            plan: ProbePlan::default(),
            trust: ProbeTrust::default(),
            watch: FeedbackWatch::default(),
            reports: ReportControl::new(start_bps),
            has_feedback: false,
            rtt_us: None,
            feedback_rtt_us: None,
            wanted_bps: 0,
            usage: Usage::Normal,
            is_application_limited: true,
            backpressure_until_us: 0,
        }
    }

    /// Sets other bounds; a start above the estimate counts while no feedback has come.
    pub fn set_limits(&mut self, now: Instant, limits: BitrateLimits) {
        let now_us = self.clock.us(now);
        self.limits = limits;
        if !self.has_feedback {
            let start_bps = limits.clamp(limits.start_bps);
            self.rate.set_rate(start_bps);
            self.reports = ReportControl::new(start_bps);
        }
        self.plan.request(now_us, 0, None);
    }

    /// A packet that carries the transport-wide number `transport_sequence` leaves. `bytes` is its size as datagram payload;
    /// `probe` the cluster it belongs to.
    pub fn on_sent(&mut self, now: Instant, transport_sequence: u16, bytes: usize, probe: Option<ProbeId>) {
        let now_us = self.clock.us(now);
        self.history.record(transport_sequence, now_us, bytes, probe);
        self.sent.add(now_us, bytes as u32);
        self.watch.on_sent(now_us);
        if let Some(id) = probe {
            self.probe.on_sent(now_us, id, bytes);
        }
    }

    /// A packet that is not numbered leaves.
    pub fn on_sent_unnumbered(&mut self, now: Instant, bytes: usize) {
        let now_us = self.clock.us(now);
        self.sent.add(now_us, bytes as u32);
    }

    /// A numbered packet was dropped at our own socket after [`on_sent`](Self::on_sent): it does not count as lost on the path,
    /// but there is no more to give for a moment.
    pub fn on_dropped(&mut self, now: Instant, transport_sequence: u16) {
        let now_us = self.clock.us(now);
        self.history.forget(transport_sequence);
        self.backpressure_until_us = now_us + BACKPRESSURE_US;
        self.probe.abort(now_us);
    }

    /// The receiver tells of arrivals.
    pub fn on_feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) {
        let now_us = self.clock.us(now);
        let reference_us = self.receiver_clock.extend(now_us, feedback.header.reference_time_64ms);
        if self.receiver_clock.has_jumped() {
            self.forget_times();
        }
        let (mut arrived_us, mut latest_sent_us) = (reference_us, None);
        for (number, delta) in feedback.packets() {
            let Some(delta) = delta else {
                self.take_lost(number);
                continue;
            };
            arrived_us += i64::from(delta) * 250;
            if let Some(packet) = self.history.take_received(number) {
                latest_sent_us = latest_sent_us.max(Some(packet.sent_us));
                self.take_arrived(&packet, arrived_us);
            }
        }
        let Some(latest_sent_us) = latest_sent_us else { return };
        self.has_feedback = true;
        let sample_us = (now_us - latest_sent_us).min(MAX_RTT_US);
        self.feedback_rtt_us = Some(self.feedback_rtt_us.map_or(sample_us, |rtt| (rtt * 7 + sample_us) / 8));
        if let Some(before_bps) = self.watch.on_feedback() {
            self.resume(now_us, before_bps);
        }
        self.update(now_us);
    }

    /// A receiver report tells of loss, in units of 1/256: counts while there is no transport-wide feedback.
    pub fn on_loss_report(&mut self, now: Instant, fraction_lost: u8) {
        let now_us = self.clock.us(now);
        let sent_bps = self.sent.rate_until_bps(now_us).unwrap_or(0);
        self.reports.on_loss(now_us, fraction_lost, sent_bps);
    }

    /// The receiver's own estimate: counts while there is no transport-wide feedback.
    pub fn on_remb(&mut self, now: Instant, bitrate_bps: u64) {
        self.clock.us(now);
        self.reports.on_remb(bitrate_bps);
    }

    /// A round trip was measured.
    pub fn on_rtt(&mut self, now: Instant, rtt: Duration) {
        self.clock.us(now);
        let sample_us = i64::try_from(rtt.as_micros()).unwrap_or(MAX_RTT_US).min(MAX_RTT_US);
        self.rtt_us = Some(self.rtt_us.map_or(sample_us, |rtt| (rtt * 7 + sample_us) / 8));
    }

    /// What the streams would send in all if the path carried it; 0: nothing.
    pub fn set_wanted(&mut self, now: Instant, wanted_bps: u64) {
        let now_us = self.clock.us(now);
        let is_more = wanted_bps > self.wanted_bps && wanted_bps > self.estimate_bps();
        let was_enough = self.wanted_bps <= self.estimate_bps();
        self.wanted_bps = wanted_bps;
        if is_more && was_enough {
            self.plan.request(now_us, 0, None);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now_us = self.clock.us(now);
        if let Some(lower_bps) = self.watch.poll(now_us, self.rtt_us(), self.rate.rate_bps()) {
            self.rate.set_rate(self.limits.clamp(lower_bps));
            self.reports.lower_to(lower_bps);
            self.probe.abort(now_us);
        }
        self.take_probe_result(now_us);
    }

    /// Padding to send now for a running probe, at most `bytes` of it, with [`on_sent`](Self::on_sent) and the cluster's id; to
    /// be asked again after that. `None`: nothing is due before [`deadline`](Self::deadline). Who cannot send it just does not.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        let now_us = self.clock.us(now);
        if !self.probe.is_busy() {
            let (target_bps, length) = self.plan.take(self.situation(now_us))?;
            self.probe.start(now_us, target_bps, length);
        }
        self.probe.poll(now_us)
    }

    /// The cluster that ordinary packets count into, too, while it runs.
    pub fn current_probe(&self) -> Option<ProbeId> {
        self.probe.current()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_probe`](Self::poll_probe) next.
    pub fn deadline(&self) -> Option<Instant> {
        let rtt_us = self.rtt_us();
        let plan = if self.probe.is_busy() {
            self.probe.deadline_us(rtt_us)
        } else {
            self.plan.deadline_us(self.situation(self.clock.last_us()))
        };
        let deadline_us = [self.watch.deadline_us(rtt_us), plan].into_iter().flatten().min()?;
        self.clock.instant(deadline_us)
    }

    /// What the path is taken to carry, in bits a second.
    pub fn estimate_bps(&self) -> u64 {
        if !self.has_feedback {
            return self.limits.clamp(self.reports.rate_bps());
        }
        let loss_based = self.loss.limit_bps().unwrap_or(u64::MAX);
        self.limits.clamp(self.rate.rate_bps().min(loss_based))
    }

    /// From sending a packet to hearing that it arrived, smoothed; `None` without transport-wide feedback.
    pub fn feedback_rtt(&self) -> Option<Duration> {
        self.feedback_rtt_us.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0)))
    }

    /// Whether less is sent than the estimate allows, so that nothing is learnt of the path but by probes.
    pub fn is_application_limited(&self) -> bool {
        self.is_application_limited
    }

    /// The inside, for traces.
    pub fn state(&self) -> EstimatorState {
        EstimatorState {
            delay_based_bps: self.rate.rate_bps(),
            loss_based_bps: self.loss.limit_bps(),
            acknowledged_bps: self.acknowledged.rate_bps(),
            usage: self.usage,
            trend: self.trend.trend(),
            queue_us: self.queue.delay_us(),
            loss: self.loss.recent(),
            inherent_loss: self.loss.inherent(),
            rtt_us: self.rtt_us(),
        }
    }

    fn take_lost(&mut self, number: u16) {
        let Some(packet) = self.history.mark_lost(number) else { return };
        if packet.sent_us >= self.loss_counts_from_us && !self.probe.has_disturbed(packet.sent_us) {
            self.loss.on_packet(packet.sent_us, true);
        }
    }

    fn take_arrived(&mut self, packet: &SentPacket, arrived_us: i64) {
        self.acknowledged.add(arrived_us, u32::from(packet.bytes));
        self.left.add(packet.sent_us, u32::from(packet.bytes));
        self.probe.on_arrived(packet, arrived_us);
        if packet.was_lost {
            self.loss.on_recovered();
            return;
        }
        if self.probe.has_disturbed(packet.sent_us) {
            return;
        }
        self.loss.on_packet(packet.sent_us, false);
        self.queue.on_packet(packet.sent_us, arrived_us);
        if let Some(variation) = self.arrival.on_packet(packet.sent_us, arrived_us) {
            self.trend.on_variation(variation);
        }
    }

    /// All packets of a message are taken in: decides.
    fn update(&mut self, now_us: i64) {
        let response_us = self.rtt_us() + FEEDBACK_INTERVAL_US;
        self.note_use(now_us);
        let queue_us = self.queue.delay_us();
        let is_standing = self.queue.is_standing(now_us, response_us);
        self.usage = if is_standing { Usage::Overusing } else { self.trend.usage() };
        let is_congested = self.loss.update(now_us, queue_us, self.rate.rate_bps());
        let before_bps = self.rate.rate_bps();
        let path = PathState {
            now_us,
            usage: self.usage,
            queue_us,
            throughput_bps: self.throughput_bps(),
            carried_bps: self.carried_bps(now_us),
            response_us,
            is_application_limited: self.is_application_limited || now_us < self.backpressure_until_us,
        };
        let decreased = self.rate.update(path);
        let rate_bps = self.limits.clamp(self.rate.rate_bps());
        if rate_bps != self.rate.rate_bps() {
            self.rate.set_rate(rate_bps);
        }
        self.trust.on_throughput(now_us, path.throughput_bps.unwrap_or(0));
        if self.is_raise_refuted(now_us, decreased, is_congested) {
            self.plan.on_limit(now_us, true);
        } else if decreased && rate_bps * 100 < before_bps * SHARP_CUT_PERCENT {
            self.plan.request(now_us, RECOVER_AFTER_US, None);
        }
        self.take_probe_result(now_us);
    }

    /// Whether the path does not carry what a probe has shown: a queue grows, or much is lost, where less comes through.
    fn is_raise_refuted(&mut self, now_us: i64, decreased: bool, is_congested: bool) -> bool {
        let through_bps = match is_congested {
            true => self.loss.limit_bps(),
            false => self.held_up_bps().filter(|_| decreased),
        };
        through_bps.is_some_and(|through_bps| self.trust.refute(now_us, through_bps))
    }

    /// How much of the estimate is used.
    fn note_use(&mut self, now_us: i64) {
        let sent_bps = self.sent.rate_until_bps(now_us).unwrap_or(0);
        self.sent_peak_bps = sent_bps.max(self.sent_peak_bps - self.sent_peak_bps / 16);
        let percent = sent_bps * 100 / self.estimate_bps().max(1);
        if percent < LIMITED_BELOW_PERCENT {
            self.is_application_limited = true;
        } else if percent > FILLED_ABOVE_PERCENT {
            self.is_application_limited = false;
        }
    }

    /// What gets through the bottleneck: what arrives, and what the path then loses by itself.
    fn throughput_bps(&self) -> Option<u64> {
        let most = self.sent_peak_bps * MAX_ACKNOWLEDGED_PERCENT / 100;
        let mut arriving = self.acknowledged.rate_bps()?;
        if self.queue.delay_us() > LONG_QUEUE_US {
            arriving = arriving.min(self.acknowledged.recent_bps().unwrap_or(arriving));
        }
        // A sender that has just begun to send more, such as a higher layer, is not measured by what it sent before.
        if self.has_risen() {
            arriving = arriving.max(self.acknowledged.recent_bps().unwrap_or(arriving));
        }
        let through = (arriving as f64 / (1.0 - self.loss.inherent())) as u64;
        Some(through.min(most))
    }

    /// The same over the shortest time that can be told, if what arrives left faster than it comes.
    fn held_up_bps(&self) -> Option<u64> {
        let (arriving_bps, left_bps) = (self.acknowledged.recent_bps()?, self.left.recent_bps()?);
        let is_held_up = arriving_bps * 100 < left_bps * HELD_UP_PERCENT;
        is_held_up.then(|| (arriving_bps as f64 / (1.0 - self.loss.inherent())) as u64)
    }

    /// Whether much more was sent lately, of what has arrived, than before.
    fn has_risen(&self) -> bool {
        let (all_bps, lately_bps) = (self.left.rate_bps(), self.left.recent_bps());
        all_bps.zip(lately_bps).is_some_and(|(all, lately)| lately * 100 > all * RISEN_PERCENT)
    }

    /// What the path carries for certain although the delay grows: a sender that sends less than it may, and whose packets
    /// arrive as fast as they leave, has made a queue by a burst. 0 if it does not keep up, or if all of the estimate is used.
    fn carried_bps(&self, now_us: i64) -> u64 {
        let sent_bps = self.sent.rate_until_bps(now_us).unwrap_or(0);
        // So has one that has just begun to send more: a higher layer begins with a keyframe.
        if self.has_risen() && self.queue.delay_us() < LONG_QUEUE_US {
            return self.rate.rate_bps();
        }
        let is_filled = sent_bps * 100 > self.estimate_bps() * FILLED_ABOVE_PERCENT;
        let through_bps = self.throughput_bps().unwrap_or(0);
        if is_filled || through_bps * 100 < sent_bps * KEEPING_UP_PERCENT {
            return 0;
        }
        sent_bps * CARRIED_PERCENT / 100
    }

    fn take_probe_result(&mut self, now_us: i64) {
        match self.probe.result(now_us, self.rtt_us()) {
            None => {}
            Some(Err(())) => self.plan.on_limit(now_us, self.is_careful(now_us)),
            Some(Ok(result)) => self.apply_probe(now_us, result),
        }
    }

    fn apply_probe(&mut self, now_us: i64, result: ProbeResult) {
        let found_bps = (result.rate_bps as f64 / (1.0 - self.loss.inherent())) as u64;
        let found_bps = self.limits.clamp(found_bps.min(result.sent_bps));
        let is_gain = found_bps * 100 > self.estimate_bps() * GAIN_PERCENT;
        if self.is_careful(now_us) {
            self.apply_careful(now_us, found_bps, is_gain, result.is_saturated);
        } else if let Some(confirmation) = self.plan.confirming() {
            let is_confirmed =
                !result.is_saturated || found_bps * 100 > confirmation.rate_bps * CONFIRMED_PERCENT;
            self.apply_confirmation(now_us, confirmation, is_confirmed);
        } else if is_gain && (result.is_saturated || !self.plan.is_ramping()) {
            self.plan.confirm(now_us, Confirmation { rate_bps: found_bps, is_limit: result.is_saturated });
        } else if is_gain {
            self.raise(now_us, found_bps, None);
            self.plan.on_gain(now_us);
        } else {
            // A first probe that shows less than the start rate is believed: nothing else is known yet.
            if result.is_saturated && self.plan.is_ramping() {
                self.rate.set_rate(found_bps.min(self.rate.rate_bps()));
                self.rate.note_capacity(Some(found_bps));
            }
            self.plan.on_limit(now_us, false);
        }
    }

    /// A long cluster needs no confirmation, and is itself one of what others have shown before it.
    fn apply_careful(&mut self, now_us: i64, found_bps: u64, is_gain: bool, is_limit: bool) {
        if is_limit && self.trust.refute(now_us, found_bps) {
            self.rate.set_rate(found_bps.min(self.rate.rate_bps()));
        } else if is_gain {
            self.raise(now_us, found_bps, is_limit.then_some(found_bps));
        }
        if is_gain && !is_limit {
            self.plan.on_gain(now_us);
        } else {
            self.plan.on_limit(now_us, true);
        }
    }

    /// Whether clusters have shown what was not there.
    fn is_careful(&self, now_us: i64) -> bool {
        self.trust.careful(now_us, self.estimate_bps()).is_some()
    }

    fn apply_confirmation(&mut self, now_us: i64, confirmation: Confirmation, is_confirmed: bool) {
        let rate_bps = confirmation.rate_bps;
        if is_confirmed {
            self.raise(now_us, rate_bps, confirmation.is_limit.then_some(rate_bps));
        }
        if is_confirmed && !confirmation.is_limit {
            self.plan.on_gain(now_us);
        } else {
            self.plan.on_limit(now_us, false);
        }
    }

    /// A probe has shown that the path carries more; `capacity_bps`: and how much, as no more came through.
    fn raise(&mut self, now_us: i64, found_bps: u64, capacity_bps: Option<u64>) {
        if capacity_bps.is_none() {
            // What came through unhindered may have been let through by a shaper.
            self.trust.on_raise(now_us, found_bps);
        }
        self.rate.note_capacity(capacity_bps);
        self.rate.set_rate(found_bps.max(self.rate.rate_bps()));
        self.loss.on_probe(found_bps);
    }

    /// Feedback is back after it had stopped at `before_bps`.
    fn resume(&mut self, now_us: i64, before_bps: u64) {
        self.rate.set_rate(self.rate.rate_bps().max(before_bps / 2));
        self.plan.request(now_us, 0, Some(before_bps));
        self.loss.discard();
        self.loss_counts_from_us = now_us;
        self.forget_times();
    }

    /// Times that come do not compare with those that were.
    fn forget_times(&mut self) {
        self.arrival.reset();
        self.trend.reset();
        self.queue = QueueDelay::default();
        (self.acknowledged, self.left) = (RateWindow::default(), RateWindow::default());
    }

    fn situation(&self, now_us: i64) -> Situation {
        let is_calm = self.usage == Usage::Normal
            && self.queue.delay_us() < CALM_QUEUE_US
            && !self.loss.is_on_trial()
            && !self.trust.is_waiting(now_us, self.throughput_bps().unwrap_or(0))
            && now_us >= self.backpressure_until_us;
        Situation {
            now_us,
            estimate_bps: self.estimate_bps(),
            wanted_bps: self.wanted_bps,
            max_bps: self.limits.most(),
            is_calm,
            careful: self.trust.careful(now_us, self.estimate_bps()),
        }
    }

    fn rtt_us(&self) -> i64 {
        self.rtt_us.or(self.feedback_rtt_us).unwrap_or(USUAL_RTT_US)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests;
