//! How fast bytes go by: sent ones by the time they left, acknowledged ones by the time they arrived.

const BUCKETS: usize = 128;
const BUCKET_US: i64 = 5_000;
/// The window is half a second long: fifteen frames of ordinary video.
const WINDOW_BUCKETS: i64 = 100;
/// The short window, for what has just changed.
const RECENT_BUCKETS: i64 = 40;
/// Shorter than this tells more of a burst than of a rate.
const MIN_SPAN_US: i64 = 100_000;

/// Bytes over the last half second, in steps of 5 ms.
///
/// The bytes of the first step in the window are not counted and the time before it neither, so that a stream of frames reads
/// as its rate wherever the window cuts it.
#[derive(Debug, Clone)]
pub struct RateWindow {
    buckets: [u32; BUCKETS],
    newest: Option<i64>,
}

impl Default for RateWindow {
    fn default() -> Self {
        RateWindow { buckets: [0; BUCKETS], newest: None }
    }
}

impl RateWindow {
    /// Counts bytes at `at_us`. What lies before the window is not counted.
    pub fn add(&mut self, at_us: i64, bytes: u32) {
        let at = at_us.div_euclid(BUCKET_US);
        let newest = *self.newest.get_or_insert(at);
        if at <= newest - WINDOW_BUCKETS {
            return;
        }
        for step in (newest + 1..=at).take(BUCKETS) {
            self.buckets[slot(step)] = 0;
        }
        if at - newest > BUCKETS as i64 {
            self.buckets = [0; BUCKETS];
        }
        self.newest = Some(newest.max(at));
        let bucket = &mut self.buckets[slot(at)];
        *bucket = bucket.saturating_add(bytes);
    }

    /// Bits a second until the newest byte; `None` if there is too little to tell.
    pub fn rate_bps(&self) -> Option<u64> {
        let newest = self.newest?;
        self.rate_until(newest, WINDOW_BUCKETS)
    }

    /// The same over the last 200 ms only: quicker, and less exact.
    pub fn recent_bps(&self) -> Option<u64> {
        let newest = self.newest?;
        self.rate_until(newest, RECENT_BUCKETS)
    }

    /// Bits a second until `until_us`, with the silence before it.
    pub fn rate_until_bps(&self, until_us: i64) -> Option<u64> {
        self.rate_until(until_us.div_euclid(BUCKET_US).max(self.newest?), WINDOW_BUCKETS)
    }

    fn rate_until(&self, until: i64, buckets: i64) -> Option<u64> {
        let newest = self.newest?;
        let mut steps = (until - buckets + 1..=newest).filter(|step| self.buckets[slot(*step)] > 0);
        let first = steps.next()?;
        let bytes: u64 = steps.map(|step| u64::from(self.buckets[slot(step)])).sum();
        let span_us = (until - first) * BUCKET_US;
        (span_us >= MIN_SPAN_US).then(|| bytes * 8_000_000 / span_us as u64)
    }
}

fn slot(step: i64) -> usize {
    step.rem_euclid(BUCKETS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_as_their_rate() {
        let mut window = RateWindow::default();
        for frame in 0..60i64 {
            window.add(frame * 33_333, 4_166);
            if frame >= 15 {
                let bps = window.rate_bps().unwrap();
                assert!((970_000..1_030_000).contains(&bps), "{frame}: {bps}");
            }
        }
        let silent = window.rate_until_bps(59 * 33_333 + 250_000).unwrap();
        assert!((400_000..600_000).contains(&silent), "{silent}");
        assert_eq!(window.rate_until_bps(10_000_000), None);
    }

    #[test]
    fn times_that_jump_do_not_make_a_rate() {
        let mut window = RateWindow::default();
        window.add(0, 1_000);
        assert_eq!(window.rate_bps(), None);
        window.add(i64::from(i32::MAX) * 1_000, 1_000);
        assert_eq!(window.rate_bps(), None);
        window.add(-5_000_000, 1_000);
        assert_eq!(window.rate_bps(), None);
        window.add(i64::from(i32::MAX) * 1_000 + 200_000, 1_000);
        assert_eq!(window.rate_bps(), Some(40_000));
    }
}
