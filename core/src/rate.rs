//! The rate of bytes and packets over a sliding window.
use std::time::{Duration, Instant};

const BUCKETS: usize = 20;
const BUCKET: Duration = Duration::from_millis(50);

/// Counts bytes over the last second in steps of 50 ms.
///
/// Adding costs O(1); reading is a sum over 20 numbers. The bucket that is being filled counts too, so the window is between
/// 950 and 1000 ms long.
#[derive(Debug, Clone)]
pub struct RateCounter {
    buckets: [u32; BUCKETS],
    /// The bucket being filled, and when it began.
    current: usize,
    began: Option<Instant>,
}

impl Default for RateCounter {
    fn default() -> Self {
        RateCounter::new()
    }
}

impl RateCounter {
    /// Nothing has been counted.
    pub const fn new() -> Self {
        RateCounter { buckets: [0; BUCKETS], current: 0, began: None }
    }

    /// Adds `bytes` at `now`; a `now` before the last one counts as the last one.
    #[inline]
    pub fn add(&mut self, now: Instant, bytes: usize) {
        self.advance(now);
        self.buckets[self.current] = self.buckets[self.current].saturating_add(bytes as u32);
    }

    /// Bits a second over the window that ends at `now`.
    pub fn rate_bps(&self, now: Instant) -> u64 {
        let Some(began) = self.began else { return 0 };
        let stale = steps(began, now);
        // The `stale` oldest buckets have left the window: they follow the current one in the circle.
        let bytes: u64 =
            (stale..BUCKETS).map(|age| u64::from(self.buckets[(self.current + 1 + age) % BUCKETS])).sum();
        bytes * 8 * 1_000 / (BUCKETS as u64 * BUCKET.as_millis() as u64)
    }

    #[inline]
    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        if now < began + BUCKET {
            return;
        }
        let steps = steps(began, now);
        for _ in 0..steps.min(BUCKETS) {
            self.current = (self.current + 1) % BUCKETS;
            self.buckets[self.current] = 0;
        }
        self.began = Some(if steps < BUCKETS { began + BUCKET * steps as u32 } else { now });
    }
}

fn steps(began: Instant, now: Instant) -> usize {
    let passed = now.saturating_duration_since(began).as_millis() / BUCKET.as_millis();
    passed.min(BUCKETS as u128) as usize
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_reads_as_its_rate() {
        let start = Instant::now();
        let mut rate = RateCounter::default();
        for ms in 0..3_000u64 {
            rate.add(start + Duration::from_millis(ms), 125);
        }
        let bps = rate.rate_bps(start + Duration::from_millis(3_000));
        assert!((950_000..=1_000_000).contains(&bps), "{bps}");
    }

    #[test]
    fn silence_empties_the_window() {
        let start = Instant::now();
        let mut rate = RateCounter::default();
        assert_eq!(rate.rate_bps(start), 0);
        rate.add(start, 1_000);
        assert_eq!(rate.rate_bps(start + Duration::from_millis(900)), 8_000);
        assert_eq!(rate.rate_bps(start + Duration::from_millis(1_000)), 0);
        rate.add(start + Duration::from_secs(100), 10);
        assert_eq!(rate.rate_bps(start + Duration::from_secs(100)), 80);
    }
}
