//! When to probe, and how high.
use super::probe::Length;

/// The first cluster, relative to the start bitrate, and those that follow as long as each shows more.
const RAMP_FACTOR: u64 = 3;
/// Later clusters, relative to the estimate.
const FACTOR: u64 = 2;
/// Time between probes that show nothing new: at first, how it grows, at most.
const MIN_INTERVAL_US: i64 = 1_300_000;
const MAX_INTERVAL_US: i64 = 3_600_000;
/// And so many times that for long clusters.
const CAREFUL_INTERVALS: i64 = 4;
/// Nothing is gained by less than this many percent.
const WORTH_PERCENT: u64 = 105;
/// A probe may go this many percent beyond what is wanted, so that what is wanted fits with room.
const BEYOND_WANTED_PERCENT: u64 = 120;

/// What decides on a probe.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// The time, in µs.
    pub now_us: i64,
    /// The estimate, in bits a second.
    pub estimate_bps: u64,
    /// What the streams would send, in bits a second.
    pub wanted_bps: u64,
    /// The highest estimate allowed.
    pub max_bps: u64,
    /// No over-use, no queue, no trial of the loss, no raise that has not had its chance.
    pub is_calm: bool,
    /// How far a cluster may go, in bits a second, and how long it is, in µs, after others have shown what was not there.
    pub careful: Option<(u64, i64)>,
}

/// Plans the probes of one path.
#[derive(Debug, Clone)]
pub struct ProbePlan {
    due_us: Option<i64>,
    interval_us: i64,
    is_ramping: bool,
    /// A rate that was known to work.
    recover_bps: Option<u64>,
    /// What the next cluster is to confirm.
    next: Option<Confirmation>,
    /// What the last one was to confirm.
    last: Option<Confirmation>,
}

/// What one cluster has shown and another is to confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// The rate that came through.
    pub rate_bps: u64,
    /// More had been sent: there is no more.
    pub is_limit: bool,
}

impl Default for ProbePlan {
    fn default() -> Self {
        ProbePlan {
            due_us: None,
            interval_us: MIN_INTERVAL_US,
            is_ramping: true,
            recover_bps: None,
            next: None,
            last: None,
        }
    }
}

impl ProbePlan {
    /// The rate of a cluster to start now, and its length.
    pub fn take(&mut self, now: Situation) -> Option<(u64, Length)> {
        let due_us = *self.due_us.get_or_insert(now.now_us);
        if due_us > now.now_us || !now.is_calm || !is_worth(now) {
            return None;
        }
        self.due_us = Some(now.now_us + self.interval_us);
        self.last = self.next.take();
        let most_bps = now.max_bps.min(now.wanted_bps.saturating_mul(BEYOND_WANTED_PERCENT) / 100);
        if let Some((target_bps, length_us)) = now.careful {
            self.last = None;
            return Some((target_bps.min(most_bps), Length::Patient(length_us)));
        }
        if let Some(confirmation) = self.last {
            return Some((confirmation.rate_bps, Length::Long));
        }
        let factor = if self.is_ramping { RAMP_FACTOR } else { FACTOR };
        let target_bps = self.recover_bps.take().unwrap_or(0).max(now.estimate_bps.saturating_mul(factor));
        Some((target_bps.min(most_bps), Length::Short))
    }

    /// The path carries more than was known: go on at once.
    pub fn on_gain(&mut self, now_us: i64) {
        self.interval_us = MIN_INTERVAL_US;
        self.due_us = Some(now_us);
    }

    /// The path may carry this: to be probed next, and longer. A short burst passes between the frames of others, or pushes them
    /// aside, so that more of it comes through than could stay.
    pub fn confirm(&mut self, now_us: i64, confirmation: Confirmation) {
        self.next = Some(confirmation);
        self.due_us = Some(now_us);
    }

    /// What the last cluster was to confirm, if it was one of that kind.
    pub const fn confirming(&self) -> Option<Confirmation> {
        self.last
    }

    /// The path does not carry more. `is_careful`: a long cluster has shown it.
    pub fn on_limit(&mut self, now_us: i64, is_careful: bool) {
        self.next = None;
        self.is_ramping = false;
        let intervals = if is_careful { CAREFUL_INTERVALS } else { 1 };
        self.due_us = Some(now_us + self.interval_us * intervals);
        self.interval_us = (self.interval_us * 3 / 2).min(MAX_INTERVAL_US);
    }

    /// The estimate was cut far below what had worked, or more is wanted: probe after `after_us`, and as high as
    /// `recover_bps` if that is known.
    pub fn request(&mut self, now_us: i64, after_us: i64, recover_bps: Option<u64>) {
        self.recover_bps = recover_bps.or(self.recover_bps);
        self.interval_us = MIN_INTERVAL_US;
        let at_us = now_us + after_us;
        self.due_us = Some(self.due_us.map_or(at_us, |due| due.min(at_us)));
    }

    /// Whether no limit has been found yet.
    pub const fn is_ramping(&self) -> bool {
        self.is_ramping
    }

    /// When [`take`](Self::take) is to be called next, if that is later.
    pub fn deadline_us(&self, now: Situation) -> Option<i64> {
        self.due_us.filter(|due| is_worth(now) && *due > now.now_us)
    }
}

/// Whether more is wanted than is known to be there, and allowed.
fn is_worth(now: Situation) -> bool {
    now.wanted_bps.min(now.max_bps) * 100 > now.estimate_bps.saturating_mul(WORTH_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(now_ms: i64, estimate_bps: u64, wanted_bps: u64) -> Situation {
        Situation {
            now_us: now_ms * 1_000,
            estimate_bps,
            wanted_bps,
            max_bps: 50_000_000,
            is_calm: true,
            careful: None,
        }
    }

    fn rate(plan: &mut ProbePlan, now: Situation) -> Option<u64> {
        plan.take(now).map(|(target_bps, _)| target_bps)
    }

    #[test]
    fn it_ramps_up_while_there_is_more_and_then_waits_longer_and_longer() {
        let mut plan = ProbePlan::default();
        assert_eq!(rate(&mut plan, situation(0, 600_000, 10_000_000)), Some(1_800_000));
        assert_eq!(rate(&mut plan, situation(100, 1_800_000, 10_000_000)), None);
        plan.on_gain(200_000);
        assert_eq!(rate(&mut plan, situation(200, 1_800_000, 10_000_000)), Some(5_400_000));
        plan.on_limit(400_000, false);
        assert_eq!(rate(&mut plan, situation(1_699, 2_000_000, 10_000_000)), None);
        assert_eq!(rate(&mut plan, situation(1_700, 2_000_000, 10_000_000)), Some(4_000_000));
        plan.on_limit(2_500_000, false);
        assert_eq!(plan.deadline_us(situation(2_500, 2_000_000, 10_000_000)), Some(4_450_000));
        for _ in 0..10 {
            plan.on_limit(0, false);
        }
        assert_eq!(plan.interval_us, MAX_INTERVAL_US);
    }

    #[test]
    fn what_is_to_be_confirmed_is_probed_next_and_once() {
        let mut plan = ProbePlan::default();
        assert_eq!(rate(&mut plan, situation(0, 600_000, 10_000_000)), Some(1_800_000));
        let confirmation = Confirmation { rate_bps: 1_200_000, is_limit: true };
        plan.confirm(100_000, confirmation);
        assert_eq!(plan.confirming(), None);
        assert_eq!(rate(&mut plan, situation(100, 600_000, 10_000_000)), Some(1_200_000));
        assert_eq!(plan.confirming(), Some(confirmation));
        plan.on_limit(200_000, false);
        assert_eq!(rate(&mut plan, situation(1_500, 1_200_000, 10_000_000)), Some(2_400_000));
        assert_eq!(plan.confirming(), None);
    }

    #[test]
    fn in_doubt_clusters_are_long_and_rare_and_what_was_to_be_confirmed_is_forgotten() {
        let mut plan = ProbePlan::default();
        plan.confirm(0, Confirmation { rate_bps: 1_200_000, is_limit: false });
        let careful =
            |ms| Situation { careful: Some((750_000, 900_000)), ..situation(ms, 600_000, 9_000_000) };
        assert_eq!(plan.take(careful(0)), Some((750_000, Length::Patient(900_000))));
        assert_eq!(plan.confirming(), None);
        plan.on_limit(1_000_000, true);
        assert_eq!(plan.take(careful(1_000 + 4 * 1_300 - 1)), None);
        assert_eq!(plan.take(careful(1_000 + 4 * 1_300)), Some((750_000, Length::Patient(900_000))));
    }

    #[test]
    fn nobody_probes_for_what_nobody_wants_or_may_have() {
        let mut plan = ProbePlan::default();
        assert_eq!(rate(&mut plan, situation(0, 600_000, 0)), None);
        assert_eq!(rate(&mut plan, situation(0, 600_000, 610_000)), None);
        assert_eq!(plan.deadline_us(situation(0, 600_000, 610_000)), None);
        assert_eq!(rate(&mut plan, situation(0, 600_000, 700_000)), Some(840_000));
        let limited = Situation { max_bps: 600_000, ..situation(9_000, 600_000, 9_000_000) };
        assert_eq!(rate(&mut plan, limited), None);
    }

    #[test]
    fn after_a_cut_it_aims_at_what_had_worked_as_soon_as_it_is_calm() {
        let mut plan = ProbePlan::default();
        plan.on_limit(0, false);
        plan.request(100_000, 500_000, Some(3_000_000));
        let hectic = Situation { is_calm: false, ..situation(600, 400_000, 9_000_000) };
        assert_eq!(rate(&mut plan, hectic), None);
        assert_eq!(rate(&mut plan, situation(700, 400_000, 9_000_000)), Some(3_000_000));
    }
}
