//! An estimate of the bandwidth from a sender to us, for senders that do not number their packets transport-wide
//! (draft-alvestrand-rmcat-remb-03).
use std::time::{Duration, Instant};

use crate::rate::RateCounter;

/// Where the estimate starts. However little a sender sends, it may grow back to this.
const START_BPS: u64 = 500_000;

/// The estimate is never cut below this.
const MIN_BPS: u64 = 50_000;

/// What a sender may send beyond one and a half times of what it sends.
const HEADROOM_BPS: u64 = 200_000;

/// Growth in percent a second.
const GROWTH_PERCENT: u64 = 8;

/// Loss above this (10 %, in units of 1/256) shows that the path is full.
const LOSS_LIMIT: u8 = 25;

/// What is left of the incoming rate after such loss, in percent.
const CUT_PERCENT: u64 = 85;

/// A fall by this many percent is reported at once.
const FALL_PERCENT: u64 = 3;

/// Time between reports, and from the first packet to the first one.
const INTERVAL: Duration = Duration::from_secs(1);
const FIRST_AFTER: Duration = Duration::from_millis(200);

/// What to tell a sender in REMB messages, once a second while it sends.
///
/// The estimate knows only the incoming rate and loss. It grows as long as the sender makes use of it: at most to one and a
/// half times of what comes in and 200 kbit/s more, doubling each second until loss first shows the limit, and by 8 % a
/// second from then on. Loss over 10 % cuts it to 85 % of what comes in. This is the floor on which an estimate from arrival
/// times can be built: it keeps an encoder from staying at its start bitrate and from flooding a path, no more.
#[derive(Debug, Clone)]
pub struct RembEstimator {
    max_bps: Option<u64>,
    estimate_bps: u64,
    /// Loss has not shown the limit yet.
    starting: bool,
    rate: RateCounter,
    grown_at: Option<Instant>,
    reported: Option<(u64, Instant)>,
    due: Option<Instant>,
    /// The next packet makes a report due at once.
    urgent: bool,
}

impl RembEstimator {
    /// Never estimates more than `max_bps`.
    pub fn new(max_bps: Option<u64>) -> Self {
        RembEstimator {
            max_bps,
            estimate_bps: START_BPS,
            starting: true,
            rate: RateCounter::default(),
            grown_at: None,
            reported: None,
            due: None,
            urgent: false,
        }
    }

    /// Counts a packet of the sender.
    pub fn on_packet(&mut self, now: Instant, bytes: usize) {
        self.rate.add(now, bytes);
        self.grown_at.get_or_insert(now);
        if self.urgent {
            self.due = Some(now);
        } else if self.due.is_none() {
            let due = self.reported.map_or(now + FIRST_AFTER, |(_, at)| at + INTERVAL);
            self.due = Some(due.max(now));
        }
    }

    /// A report interval of one of the sender's streams ended with this share of packets lost, in units of 1/256.
    pub fn on_loss(&mut self, now: Instant, fraction_lost: u8) {
        let cut = (self.rate.rate_bps(now) * CUT_PERCENT / 100).max(MIN_BPS);
        if fraction_lost <= LOSS_LIMIT || cut >= self.estimate_bps {
            return;
        }
        self.estimate_bps = cut;
        self.starting = false;
        self.grown_at = Some(now);
        let reported = self.reported.map_or(0, |(bps, _)| bps);
        if self.limited() * 100 <= reported * (100 - FALL_PERCENT) {
            self.due = Some(now);
        }
    }

    /// Sets the most to ever estimate; told with the next packet.
    pub fn set_max_bitrate(&mut self, max_bps: Option<u64>) {
        if self.max_bps != max_bps {
            self.max_bps = max_bps;
            self.urgent = true;
        }
    }

    /// What to tell the sender now, in bits a second.
    pub fn poll(&mut self, now: Instant) -> Option<u64> {
        self.due.filter(|&due| due <= now)?;
        self.grow(now);
        self.due = None;
        self.urgent = false;
        self.reported = Some((self.limited(), now));
        Some(self.limited())
    }

    /// When to call [`Self::poll`]; `None` while the sender sends nothing.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What the sender was told last, in bits a second.
    pub fn estimate_bps(&self) -> Option<u64> {
        self.reported.map(|(bps, _)| bps)
    }

    fn grow(&mut self, now: Instant) {
        let Some(grown_at) = self.grown_at.replace(now) else { return };
        let passed_ms = now.saturating_duration_since(grown_at).min(INTERVAL).as_millis() as u64;
        let percent = if self.starting { 100 } else { GROWTH_PERCENT };
        let grown = self.estimate_bps.saturating_add(self.estimate_bps * percent * passed_ms / 100_000);
        let incoming = self.rate.rate_bps(now);
        let used = (incoming * 3 / 2 + HEADROOM_BPS).max(START_BPS);
        // A sender that sends less for a while keeps what it once had.
        self.estimate_bps = self.estimate_bps.max(grown.min(used));
    }

    fn limited(&self) -> u64 {
        self.max_bps.map_or(self.estimate_bps, |max| max.min(self.estimate_bps))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends at `rate` (of the last estimate) from `from_ms` to `to_ms`; what was told when.
    fn send(
        estimator: &mut RembEstimator,
        start: Instant,
        (from_ms, to_ms): (u32, u32),
        rate: impl Fn(u64) -> u64,
    ) -> Vec<(u32, u64)> {
        let mut told = Vec::new();
        for ms in (from_ms..to_ms).step_by(10) {
            let now = start + ms * MS;
            let bps = rate(estimator.estimate_bps().unwrap_or(300_000));
            estimator.on_packet(now, (bps / 800) as usize);
            if estimator.deadline().is_some_and(|at| at <= now) {
                told.push((ms, estimator.poll(now).unwrap()));
            }
        }
        told
    }

    #[test]
    fn a_sender_is_led_up_from_its_start_bitrate() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(None);
        assert_eq!((estimator.deadline(), estimator.estimate_bps()), (None, None));
        let told = send(&mut estimator, start, (0, 8_000), |estimate| estimate.min(2_500_000));
        let times: Vec<_> = told.iter().map(|&(ms, _)| ms).collect();
        assert_eq!(times, [200, 1_200, 2_200, 3_200, 4_200, 5_200, 6_200, 7_200]);
        assert_eq!(told[0].1, 500_000);
        assert!(told[5].1 > 2_500_000, "{told:?}");
        let most = 2_500_000 * 3 / 2 + HEADROOM_BPS;
        assert!(told[7].1 > 3_000_000 && told[7].1 <= most, "{told:?}");
    }

    #[test]
    fn loss_cuts_at_once_and_growth_is_slow_from_then_on() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(None);
        send(&mut estimator, start, (0, 6_000), |_| 2_000_000);
        let now = start + 6_000 * MS;
        estimator.on_loss(now, 25);
        assert!(estimator.deadline().is_some_and(|at| at > now), "10 % is no congestion");
        estimator.on_loss(now, 26);
        assert_eq!(estimator.deadline(), Some(now));
        let cut = estimator.poll(now).unwrap();
        assert!((1_600_000..=1_700_000).contains(&cut), "{cut}");
        let told = send(&mut estimator, start, (6_000, 9_500), |estimate| estimate);
        assert_eq!(told.len(), 3);
        for pair in told.windows(2) {
            assert!((1_079..=1_080).contains(&(pair[1].1 * 1_000 / pair[0].1)), "{told:?}");
        }
    }

    #[test]
    fn a_fall_that_is_small_waits_for_its_turn() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(None);
        send(&mut estimator, start, (0, 300), |_| 300_000);
        estimator.rate = RateCounter::default();
        estimator.rate.add(start + 300 * MS, 490_000 * 100 / 85 / 8);
        estimator.on_loss(start + 300 * MS, 255);
        assert_eq!(estimator.deadline(), Some(start + 1_200 * MS), "2 % less");
    }

    #[test]
    fn a_sender_that_sends_little_keeps_what_it_had() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(None);
        send(&mut estimator, start, (0, 6_000), |_| 2_000_000);
        let before = estimator.estimate_bps().unwrap();
        let told = send(&mut estimator, start, (6_000, 9_000), |_| 30_000);
        assert!(told.iter().all(|&(_, bps)| bps == before), "{told:?} {before}");
    }

    #[test]
    fn silence_costs_nothing() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(None);
        send(&mut estimator, start, (0, 300), |_| 300_000);
        estimator.poll(start + 1_200 * MS);
        assert_eq!((estimator.deadline(), estimator.poll(start + 9_000 * MS)), (None, None));
        estimator.on_packet(start + 9_000 * MS, 100);
        assert_eq!(estimator.deadline(), Some(start + 9_000 * MS));
    }

    #[test]
    fn the_limit_holds_and_changes_are_told_soon() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(Some(400_000));
        assert_eq!(send(&mut estimator, start, (0, 300), |_| 2_000_000), [(200, 400_000)]);
        estimator.set_max_bitrate(Some(100_000));
        assert_eq!(send(&mut estimator, start, (300, 400), |_| 2_000_000), [(300, 100_000)]);
        estimator.set_max_bitrate(None);
        let told = send(&mut estimator, start, (400, 500), |_| 2_000_000);
        assert!(told.len() == 1 && told[0].1 >= 500_000, "{told:?}");
    }

    #[test]
    fn it_is_never_cut_to_nothing() {
        let start = Instant::now();
        let mut estimator = RembEstimator::new(None);
        send(&mut estimator, start, (0, 300), |_| 300_000);
        estimator.on_loss(start + 60_000 * MS, 255);
        assert_eq!(estimator.poll(start + 60_000 * MS), Some(MIN_BPS));
    }
}
