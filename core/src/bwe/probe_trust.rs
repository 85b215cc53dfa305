//! Whether what probes show is there to stay.
//!
//! Most shapers are buckets of tokens: what a silence has saved up passes at the line's rate, and with it a whole cluster, so that
//! the cluster shows the line and not the shaper. No short cluster can tell. So a raise by a probe stays unproved until as much has
//! really come through for a while, and no further cluster is sent before the raise has had its chance. If it is followed by a cut
//! to much less instead, it is refuted: then clusters go little beyond what is known, and as long as a bucket of some size needs to
//! run dry, a greater one after each refutation.

/// A raise is proved by throughput of this much of it, in percent, for this time.
const PROVED_PERCENT: u64 = 85;
const PROOF_US: i64 = 1_500_000;
/// A queue, or loss, at throughput of less than this much of it, in percent, refutes it.
const REFUTED_BELOW_PERCENT: u64 = 80;
/// One that is older was not what led to it.
const MAX_AGE_US: i64 = 15_000_000;
/// A single refutation may be the doing of others who share the path; two within this time are not.
const REPEATED_US: i64 = 10_000_000;
/// Who does not use so much of a raise within this time sends little: the next cluster has to be tried.
const USED_PERCENT: u64 = 70;
const CHANCE_US: i64 = 600_000;
/// Size of the bucket that is reckoned with after the first refutation, and at most.
const FIRST_BUCKET_BYTES: u64 = 32_000;
const MAX_BUCKET_BYTES: u64 = 192_000;
/// Bounds of the time that such a cluster takes.
const MIN_LENGTH_US: i64 = 200_000;
const MAX_LENGTH_US: i64 = 2_500_000;
/// How far beyond the estimate clusters go then, in percent: the queue that they make before feedback ends them stays short.
const CAREFUL_PERCENT: u64 = 125;
/// The path may carry this much of what it is taken to carry, in percent, as its rate swings below that.
const MOST_ABOVE_PERCENT: u64 = 108;
/// A raise to this much of what came through at the last refutation, in percent, dispels the doubt once it is proved.
const DISPELLED_PERCENT: u64 = 130;
/// The doubt is dropped after this time: at first, and at most after further refutations.
const FIRST_DOUBT_US: i64 = 20_000_000;
const MAX_DOUBT_US: i64 = 240_000_000;

#[derive(Debug, Clone, Copy)]
struct Raise {
    at_us: i64,
    to_bps: u64,
    /// So much of the time since then it was seen to come through.
    proved_us: i64,
    seen_us: i64,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// What came through.
    throughput_bps: u64,
    bucket_bytes: u64,
    until_us: i64,
    length_us: i64,
}

/// Follows the raises that probes have led to.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeTrust {
    raise: Option<Raise>,
    refuted_us: Option<i64>,
    doubt: Option<Doubt>,
}

impl ProbeTrust {
    /// A probe has raised the rate.
    pub fn on_raise(&mut self, now_us: i64, to_bps: u64) {
        self.raise = Some(Raise { at_us: now_us, to_bps, proved_us: 0, seen_us: now_us });
    }

    /// So much comes through.
    pub fn on_throughput(&mut self, now_us: i64, throughput_bps: u64) {
        let Some(raise) = &mut self.raise else { return };
        let passed_us = now_us - std::mem::replace(&mut raise.seen_us, now_us);
        if throughput_bps * 100 >= raise.to_bps * PROVED_PERCENT {
            raise.proved_us += passed_us;
        }
        if raise.proved_us >= PROOF_US {
            let to_bps = raise.to_bps;
            self.raise = None;
            if let Some(doubt) = &mut self.doubt
                && to_bps * 100 > doubt.throughput_bps * DISPELLED_PERCENT
            {
                doubt.until_us = doubt.until_us.min(now_us);
            }
        }
    }

    /// The path is full, and so much comes through: whether that refutes a raise.
    pub fn refute(&mut self, now_us: i64, throughput_bps: u64) -> bool {
        let refutes = |raise: &mut Raise| {
            now_us - raise.at_us < MAX_AGE_US && throughput_bps * 100 < raise.to_bps * REFUTED_BELOW_PERCENT
        };
        if self.raise.take_if(refutes).is_none() {
            return false;
        }
        let earlier_us = self.refuted_us.replace(now_us);
        if self.doubt.is_none() && earlier_us.is_none_or(|earlier_us| now_us - earlier_us > REPEATED_US) {
            return false;
        }
        let before = self.doubt;
        let bucket_bytes = match before {
            Some(doubt) if now_us <= doubt.until_us => (doubt.bucket_bytes * 2).min(MAX_BUCKET_BYTES),
            Some(doubt) => doubt.bucket_bytes,
            None => FIRST_BUCKET_BYTES,
        };
        let length_us = before.map_or(FIRST_DOUBT_US, |doubt| (doubt.length_us * 2).min(MAX_DOUBT_US));
        self.doubt = Some(Doubt { throughput_bps, bucket_bytes, until_us: now_us + length_us, length_us });
        true
    }

    /// Whether a raise has not had its chance yet: no time to probe further.
    pub fn is_waiting(&self, now_us: i64, throughput_bps: u64) -> bool {
        self.raise.is_some_and(|raise| {
            now_us < raise.at_us + CHANCE_US && throughput_bps * 100 < raise.to_bps * USED_PERCENT
        })
    }

    /// While a raise was refuted not long ago: how far a cluster may go from `estimate_bps`, and how long it is, in µs.
    pub fn careful(&self, now_us: i64, estimate_bps: u64) -> Option<(u64, i64)> {
        let doubt = self.doubt.filter(|doubt| now_us < doubt.until_us)?;
        let target_bps = estimate_bps.saturating_mul(CAREFUL_PERCENT) / 100;
        let excess_bps = (target_bps - estimate_bps * MOST_ABOVE_PERCENT / 100).max(1);
        let length_us = i64::try_from(doubt.bucket_bytes * 8_000_000 / excess_bps).unwrap_or(MAX_LENGTH_US);
        Some((target_bps, length_us.clamp(MIN_LENGTH_US, MAX_LENGTH_US)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    /// Raised to 2 Mbit/s and refuted at 1 Mbit/s, each a second later.
    fn refuted(trust: &mut ProbeTrust, at_us: i64) -> bool {
        trust.on_raise(at_us, 2_000_000);
        trust.refute(at_us + SECOND_US, 1_000_000)
    }

    #[test]
    fn what_is_refuted_twice_makes_clusters_careful_and_longer_each_time() {
        let mut trust = ProbeTrust::default();
        assert!(!refuted(&mut trust, 0), "others may have been the cause");
        assert_eq!(trust.careful(SECOND_US, 1_000_000), None);
        assert!(refuted(&mut trust, 5 * SECOND_US));
        let (target_bps, first_us) = trust.careful(6 * SECOND_US, 1_000_000).unwrap();
        assert_eq!(target_bps, 1_250_000);
        assert_eq!(first_us, 32_000 * 8_000_000 / 170_000);
        assert!(refuted(&mut trust, 10 * SECOND_US));
        let (_, second_us) = trust.careful(11 * SECOND_US, 1_000_000).unwrap();
        assert_eq!(second_us, MAX_LENGTH_US.min(first_us * 2));
        assert_eq!(trust.careful(11 * SECOND_US + 2 * FIRST_DOUBT_US, 1_000_000), None);
    }

    #[test]
    fn what_comes_through_proves_a_raise_and_one_far_above_the_old_limit_dispels_the_doubt() {
        let mut trust = ProbeTrust::default();
        (0..2).for_each(|n| _ = refuted(&mut trust, n * 2 * SECOND_US));
        assert!(trust.careful(4 * SECOND_US, 1_000_000).is_some());
        trust.on_raise(4 * SECOND_US, 1_200_000);
        (40..60).for_each(|n| trust.on_throughput(n * SECOND_US / 10, 1_100_000));
        assert!(!trust.refute(6 * SECOND_US, 500_000), "it was proved before");
        assert!(trust.careful(6 * SECOND_US, 1_000_000).is_some());
        trust.on_raise(6 * SECOND_US, 1_500_000);
        (60..80).for_each(|n| trust.on_throughput(n * SECOND_US / 10, 1_400_000));
        assert_eq!(trust.careful(8 * SECOND_US, 1_000_000), None);
    }

    #[test]
    fn a_raise_has_its_chance_before_the_next_cluster() {
        let mut trust = ProbeTrust::default();
        assert!(!trust.is_waiting(0, 0));
        trust.on_raise(0, 2_000_000);
        assert!(trust.is_waiting(CHANCE_US - 1, 600_000));
        assert!(!trust.is_waiting(CHANCE_US - 1, 1_500_000), "it is used");
        assert!(!trust.is_waiting(CHANCE_US, 600_000), "whoever sends little does not use it");
    }

    #[test]
    fn old_raises_and_those_that_nearly_come_through_are_not_refuted() {
        let mut trust = ProbeTrust::default();
        for (throughput_bps, after_us) in [(1_000_000, MAX_AGE_US), (1_700_000, SECOND_US)] {
            for n in 0..3 {
                trust.on_raise(n * SECOND_US, 2_000_000);
                assert!(!trust.refute(n * SECOND_US + after_us, throughput_bps));
            }
        }
        assert_eq!(trust.careful(3 * SECOND_US, 1_000_000), None);
    }
}
