//! What is measured of a flow, and what is read from that.
use std::ops::RangeInclusive;

/// Time between samples of the estimate and of the queue.
pub const SAMPLE_US: i64 = 100_000;
/// What was reached counts if it stays for this long.
const STAY_SAMPLES: usize = 10;
/// A queue up to this counts as drained: a frame takes that long through the bottleneck.
const DRAINED_US: i64 = 35_000;
const SECOND_US: i64 = 1_000_000;

/// What was measured of a flow.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Media that arrived while it counted.
    pub media_bytes: u64,
    /// Packets sent, and dropped at the queue's end, all the time.
    pub sent: u64,
    /// See `sent`.
    pub dropped: u64,
    /// How long the media that counts waited for the pacer and before the bottleneck, by ms.
    waits_ms: Vec<u64>,
    /// The estimate, each 100 ms.
    pub estimates_bps: Vec<u64>,
    /// How long a packet would have waited before the bottleneck, each 100 ms.
    pub queues_us: Vec<i64>,
    /// Time beyond a second each time that no media came for longer, in µs.
    pub frozen_us: i64,
    last_media_us: i64,
    /// Switches between layers.
    pub switches: u64,
}

impl Measured {
    /// Measures a flow that begins at `start_us`.
    pub fn since(start_us: i64) -> Self {
        Measured { last_media_us: start_us, ..Measured::default() }
    }

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

    /// How long after `from_us` a second began over which the mean estimate was within a tenth of `rate_bps`, in ms: that much
    /// was reached, and neither passed through nor overshot. Within the second it may swing by a quarter: whoever keeps the queue
    /// short swings by more than a tenth.
    pub fn converged_ms(&self, from_us: i64, rate_bps: u64) -> Option<i64> {
        let (mean_bps, all_bps) =
            (rate_bps * 9 / 10..=rate_bps * 11 / 10, rate_bps * 3 / 4..=rate_bps * 5 / 4);
        self.mean_within_ms(from_us, STAY_SAMPLES, mean_bps, all_bps)
    }

    /// How long after `from_us` the estimate came within these bounds and stayed for a second, in ms.
    pub fn within_ms(&self, from_us: i64, bounds_bps: RangeInclusive<u64>) -> Option<i64> {
        let stays = |span: &[u64]| span.iter().all(|bps| bounds_bps.contains(bps));
        let after = self.estimates_bps.get(sample(from_us)..)?.windows(STAY_SAMPLES).position(stays)?;
        Some(after as i64 * SAMPLE_US / 1_000)
    }

    /// How long after `from_us` five seconds began over which the mean estimate was within a fifth of `rate_bps`, in ms.
    pub fn mean_reached_ms(&self, from_us: i64, rate_bps: u64) -> Option<i64> {
        self.mean_within_ms(from_us, STAY_SAMPLES * 5, rate_bps * 8 / 10..=rate_bps * 12 / 10, 0..=u64::MAX)
    }

    /// How long after `from_us` the estimate was at most a tenth above `rate_bps` and the queue drained, in ms.
    pub fn relieved_ms(&self, from_us: i64, rate_bps: u64) -> Option<i64> {
        let both = self.estimates_bps.iter().zip(&self.queues_us).skip(sample(from_us) + 1);
        let is_relieved =
            |(bps, queue_us): (&u64, &i64)| *bps <= rate_bps * 11 / 10 && *queue_us <= DRAINED_US;
        Some((both.map(is_relieved).position(|is| is)? as i64 + 1) * SAMPLE_US / 1_000)
    }

    /// The lowest and highest estimate of a span of time.
    pub fn range_bps(&self, from_us: i64, to_us: i64) -> (u64, u64) {
        let span = &self.estimates_bps[sample(from_us)..sample(to_us)];
        (span.iter().copied().min().unwrap_or(0), span.iter().copied().max().unwrap_or(0))
    }

    /// The mean estimate of a span of time.
    pub fn mean_bps(&self, from_us: i64, to_us: i64) -> u64 {
        let span = &self.estimates_bps[sample(from_us)..sample(to_us)];
        span.iter().sum::<u64>() / span.len() as u64
    }

    /// A media packet passed the bottleneck after having waited so long.
    pub fn note_wait(&mut self, waited_us: i64) {
        let ms = (waited_us / 1_000) as usize;
        if self.waits_ms.len() <= ms {
            self.waits_ms.resize(ms + 1, 0);
        }
        self.waits_ms[ms] += 1;
    }

    /// Media arrived, or the run is over.
    pub fn note_media(&mut self, now_us: i64) {
        self.frozen_us += (now_us - self.last_media_us - SECOND_US).max(0);
        self.last_media_us = now_us;
    }

    fn mean_within_ms(
        &self,
        from_us: i64,
        samples: usize,
        mean_bps: RangeInclusive<u64>,
        all_bps: RangeInclusive<u64>,
    ) -> Option<i64> {
        let is_within = |span: &[u64]| {
            mean_bps.contains(&(span.iter().sum::<u64>() / samples as u64))
                && span.iter().all(|bps| all_bps.contains(bps))
        };
        let after = self.estimates_bps.get(sample(from_us)..)?.windows(samples).position(is_within)?;
        Some(after as i64 * SAMPLE_US / 1_000)
    }
}

const fn sample(at_us: i64) -> usize {
    (at_us / SAMPLE_US) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(estimates_bps: &[u64], queues_us: &[i64]) -> Measured {
        Measured {
            estimates_bps: estimates_bps.to_vec(),
            queues_us: queues_us.to_vec(),
            ..Measured::default()
        }
    }

    #[test]
    fn passing_through_is_not_convergence() {
        let mut estimates = vec![50, 100, 200, 300, 300];
        estimates.extend([105; 9]);
        estimates.extend([80; 9]);
        let measured = sampled(&estimates, &[]);
        assert_eq!(measured.within_ms(0, 90..=110), None, "nine samples are not a second");
        assert_eq!(measured.converged_ms(0, 100), Some(500));
        assert_eq!(measured.converged_ms(1_200_000, 100), None);
    }

    #[test]
    fn a_step_down_is_answered_when_the_queue_is_gone_as_well() {
        let measured = sampled(&[300, 300, 100, 100, 80], &[0, 90_000, 90_000, 50_000, 5_000]);
        assert_eq!(measured.relieved_ms(0, 100), Some(400));
    }

    #[test]
    fn a_freeze_counts_beyond_its_first_second() {
        let mut measured = Measured::default();
        [100_000, 900_000, 3_000_000, 3_500_000].iter().for_each(|at_us| measured.note_media(*at_us));
        assert_eq!(measured.frozen_us, 1_100_000);
        (0..100).for_each(|ms| measured.note_wait(ms * 1_000));
        assert_eq!(measured.wait_p95_ms(), 94);
    }
}
