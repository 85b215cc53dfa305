//! What is counted: durations by how often they came, and packets.
use std::ops::Sub;
use std::time::Duration;

/// Buckets of one power of two: values are kept with an error of less than 1/64.
const PER_OCTAVE: u64 = 64;
const PER_OCTAVE_BITS: u32 = PER_OCTAVE.ilog2();

/// How often durations came, in microseconds, in buckets that grow with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        let value_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(value_us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.max_us = self.max_us.max(value_us);
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, more)| *own += more);
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly; `None` if there is none.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.max_us))
    }

    /// The shortest duration that `percent` of all do not exceed, as its bucket's upper end tells it; `None` if there is none.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        let reaches_rank = |count: &u64| {
            seen += count;
            seen >= rank
        };
        let bucket = self.counts.iter().position(reaches_rank)?;
        Some(Duration::from_micros(last_of(bucket).min(self.max_us)))
    }
}

/// Values below two octaves have a bucket each.
fn bucket_of(value: u64) -> usize {
    let shift = (value | PER_OCTAVE).ilog2() - PER_OCTAVE_BITS;
    (u64::from(shift) * PER_OCTAVE + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let first = (bucket - shift * PER_OCTAVE) << shift;
    first + ((1 << shift) - 1)
}

/// Packets of media, without what is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sent by publishers.
    pub sent: u64,
    /// Bytes of those, without SRTP, UDP and IP.
    pub sent_bytes: u64,
    /// Expected by receivers: from the first to the highest number of each stream.
    pub expected: u64,
    /// Those of them that came.
    pub received: u64,
    /// Bytes of those with SRTP, without UDP and IP.
    pub received_bytes: u64,
    /// Packets of retransmissions and probes.
    pub extra: u64,
    /// Packets that a key did not open, or that came twice.
    pub refused: u64,
    /// Keyframes that publishers were asked for.
    pub keyframe_requests: u64,
    /// Packets that publishers were asked for again.
    pub asked_again: u64,
}

impl Totals {
    /// Expected, and not come. What is under way when a run ends counts as lost.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// The share of lost packets, in percent.
    pub fn loss_percent(&self) -> f64 {
        if self.expected == 0 { 0.0 } else { self.lost() as f64 * 100.0 / self.expected as f64 }
    }

    /// With those of another thread.
    pub fn plus(self, other: Totals) -> Totals {
        self.each(other, |a, b| a + b)
    }

    fn each(self, other: Totals, of: impl Fn(u64, u64) -> u64) -> Totals {
        Totals {
            sent: of(self.sent, other.sent),
            sent_bytes: of(self.sent_bytes, other.sent_bytes),
            expected: of(self.expected, other.expected),
            received: of(self.received, other.received),
            received_bytes: of(self.received_bytes, other.received_bytes),
            extra: of(self.extra, other.extra),
            refused: of(self.refused, other.refused),
            keyframe_requests: of(self.keyframe_requests, other.keyframe_requests),
            asked_again: of(self.asked_again, other.asked_again),
        }
    }
}

/// What came between two moments.
impl Sub for Totals {
    type Output = Totals;

    fn sub(self, earlier: Totals) -> Totals {
        self.each(earlier, u64::saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(us: u64) -> Option<Duration> {
        Some(Duration::from_micros(us))
    }

    #[test]
    fn percentiles_of_few_are_exact() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.percentile(50.0), histogram.max()), (None, None));
        for value_us in [5, 1, 3, 2, 4, 0, 127, 100] {
            histogram.record(Duration::from_micros(value_us));
        }
        assert_eq!(histogram.percentile(50.0), us(3));
        assert_eq!(histogram.percentile(75.0), us(5));
        assert_eq!(histogram.percentile(75.1), us(100));
        assert_eq!(histogram.percentile(0.0), us(0));
        assert_eq!((histogram.percentile(100.0), histogram.max(), histogram.count()), (us(127), us(127), 8));
    }

    #[test]
    fn percentiles_of_many_are_within_a_bucket() {
        let mut histogram = Histogram::default();
        for value_us in 1..=1_000_000 {
            histogram.record(Duration::from_micros(value_us));
        }
        for percent in [1.0, 50.0, 90.0, 99.0, 99.9] {
            let exact_us = 10_000.0 * percent;
            let told_us = histogram.percentile(percent).unwrap().as_micros() as f64;
            assert!((exact_us..=exact_us * (1.0 + 1.0 / 64.0)).contains(&told_us), "{percent}: {told_us}");
        }
    }

    #[test]
    fn buckets_follow_upon_each_other() {
        let mut next = 0;
        for bucket in 0..2_000 {
            assert_eq!(bucket_of(next), bucket, "{next}");
            assert_eq!(bucket_of(last_of(bucket)), bucket);
            next = last_of(bucket) + 1;
        }
        assert_eq!(bucket_of(u64::MAX), bucket_of(u64::MAX - 1));
    }

    #[test]
    fn two_merged_are_as_one() {
        let (mut a, mut b, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
        for value_us in 0..1_000 {
            let part = if value_us % 3 == 0 { &mut a } else { &mut b };
            part.record(Duration::from_micros(value_us * value_us));
            both.record(Duration::from_micros(value_us * value_us));
        }
        a.merge(&b);
        assert_eq!(a, both);
    }

    #[test]
    fn totals_tell_loss_between_two_moments() {
        let before = Totals { expected: 10, received: 9, ..Totals::default() };
        let after = Totals { expected: 110, received: 99, ..Totals::default() };
        let between = after - before;
        assert_eq!((between.lost(), between.loss_percent()), (10, 10.0));
        assert_eq!(Totals::default().loss_percent(), 0.0);
        assert_eq!(before.plus(before).received, 18);
    }
}
