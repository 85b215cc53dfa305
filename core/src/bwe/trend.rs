//! The over-use detector: whether the delay grows, by the slope of a line through the latest delays and a threshold that adapts
//! (draft-ietf-rmcat-gcc-02 section 5.3 and 5.4, with a linear regression in place of the Kalman filter).
use super::arrival::DelayVariation;

/// Points that the line is laid through.
const WINDOW: usize = 20;
/// How much of the smoothed delay is kept from point to point.
const SMOOTHING: f64 = 0.9;
/// The slope is scaled so that it compares with a threshold in ms.
const GAIN: f64 = 4.0;
const MAX_SCALED_POINTS: u32 = 60;
/// The threshold in ms: at first, at least, at most, and how fast it follows the slope up and down, per ms.
const FIRST_THRESHOLD: f64 = 12.5;
const MIN_THRESHOLD: f64 = 6.0;
const MAX_THRESHOLD: f64 = 600.0;
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// A slope so far above the threshold is an outlier and does not move it.
const MAX_ADAPT_OFFSET: f64 = 15.0;
/// The slope has to be above the threshold this long.
const OVERUSE_TIME_MS: f64 = 10.0;

/// What the delay says of how the path is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Usage {
    /// The delay stays.
    #[default]
    Normal,
    /// The delay grows: more is sent than the path carries.
    Overusing,
    /// The delay falls: queues drain.
    Underusing,
}

/// Follows the delay of one path.
#[derive(Debug, Clone)]
pub struct TrendDetector {
    /// Time of arrival and smoothed delay in ms, oldest first from `next` on once full.
    points: [(f64, f64); WINDOW],
    filled: usize,
    next: usize,
    seen: u32,
    first_arrived_us: Option<i64>,
    accumulated_ms: f64,
    smoothed_ms: f64,
    threshold: f64,
    last_update_us: Option<i64>,
    trend: f64,
    previous_trend: f64,
    over_ms: Option<f64>,
    over_count: u32,
    usage: Usage,
}

impl Default for TrendDetector {
    fn default() -> Self {
        TrendDetector {
            points: [(0.0, 0.0); WINDOW],
            filled: 0,
            next: 0,
            seen: 0,
            first_arrived_us: None,
            accumulated_ms: 0.0,
            smoothed_ms: 0.0,
            threshold: FIRST_THRESHOLD,
            last_update_us: None,
            trend: 0.0,
            previous_trend: 0.0,
            over_ms: None,
            over_count: 0,
            usage: Usage::Normal,
        }
    }
}

impl TrendDetector {
    /// Takes in how a group of packets compares with the one before.
    pub fn on_variation(&mut self, variation: DelayVariation) {
        let first = *self.first_arrived_us.get_or_insert(variation.arrived_us);
        self.seen = (self.seen + 1).min(1_000);
        self.accumulated_ms += ms(variation.arrival_us - variation.departure_us);
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        self.points[self.next] = (ms(variation.arrived_us - first), self.smoothed_ms);
        self.next = (self.next + 1) % WINDOW;
        self.filled = (self.filled + 1).min(WINDOW);
        if self.filled == WINDOW {
            self.trend = self.slope().unwrap_or(self.trend);
        }
        self.detect(ms(variation.departure_us), variation.arrived_us);
    }

    /// Forgets the delays, not the threshold.
    pub fn reset(&mut self) {
        *self = TrendDetector { threshold: self.threshold, ..TrendDetector::default() };
    }

    /// What the latest delays say.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Growth of the delay, in ms per ms.
    pub fn trend(&self) -> f64 {
        self.trend
    }

    /// The slope of the line of least squares; `None` if all points have one time.
    fn slope(&self) -> Option<f64> {
        let count = WINDOW as f64;
        let (sum_x, sum_y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (mut numerator, mut denominator) = (0.0, 0.0);
        for (x, y) in self.points {
            numerator += (x - mean_x) * (y - mean_y);
            denominator += (x - mean_x) * (x - mean_x);
        }
        (denominator > 0.0).then(|| numerator / denominator)
    }

    fn detect(&mut self, departure_ms: f64, now_us: i64) {
        let scaled = f64::from(self.seen.min(MAX_SCALED_POINTS)) * self.trend * GAIN;
        if scaled > self.threshold {
            let over_ms = self.over_ms.map_or(departure_ms / 2.0, |over| over + departure_ms);
            self.over_ms = Some(over_ms);
            self.over_count += 1;
            if over_ms > OVERUSE_TIME_MS && self.over_count > 1 && self.trend >= self.previous_trend {
                self.over_ms = Some(0.0);
                self.over_count = 0;
                self.usage = Usage::Overusing;
            }
        } else {
            self.over_ms = None;
            self.over_count = 0;
            self.usage = if scaled < -self.threshold { Usage::Underusing } else { Usage::Normal };
        }
        self.previous_trend = self.trend;
        self.adapt(scaled, now_us);
    }

    /// The threshold follows the slope, quickly down and slowly up, so that a path that is noisy, or shared with flows that fill
    /// the queues, does not read as over-used all the time.
    fn adapt(&mut self, scaled: f64, now_us: i64) {
        let last = self.last_update_us.replace(now_us).unwrap_or(now_us);
        let size = scaled.abs();
        if size > self.threshold + MAX_ADAPT_OFFSET {
            return;
        }
        let follow = if size < self.threshold { FOLLOW_DOWN } else { FOLLOW_UP };
        let passed_ms = ms(now_us - last).clamp(0.0, 100.0);
        self.threshold += follow * (size - self.threshold) * passed_ms;
        self.threshold = self.threshold.clamp(MIN_THRESHOLD, MAX_THRESHOLD);
    }
}

fn ms(us: i64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups every 10 ms, each delayed by `growth_us` more than the one before.
    fn feed(detector: &mut TrendDetector, at_us: &mut i64, groups: usize, growth_us: i64) -> Vec<Usage> {
        (0..groups)
            .map(|_| {
                *at_us += 10_000 + growth_us;
                let variation = DelayVariation {
                    departure_us: 10_000,
                    arrival_us: 10_000 + growth_us,
                    arrived_us: *at_us,
                };
                detector.on_variation(variation);
                detector.usage()
            })
            .collect()
    }

    #[test]
    fn growing_delay_is_over_use_and_falling_delay_is_under_use() {
        let (mut detector, mut at_us) = (TrendDetector::default(), 0);
        assert!(feed(&mut detector, &mut at_us, 100, 0).iter().all(|usage| *usage == Usage::Normal));
        let usages = feed(&mut detector, &mut at_us, 30, 2_000);
        let first = usages.iter().position(|usage| *usage == Usage::Overusing).unwrap();
        assert!(first < 15, "after {first} groups");
        let usages = feed(&mut detector, &mut at_us, 40, -2_000);
        assert_eq!(usages.last(), Some(&Usage::Underusing));
        assert_eq!(feed(&mut detector, &mut at_us, 60, 0).last(), Some(&Usage::Normal));
    }

    #[test]
    fn the_threshold_adapts_to_noise() {
        let (mut detector, mut at_us) = (TrendDetector::default(), 0);
        let mut late = 0;
        for n in 0..4_000usize {
            // A slow swing of the delay, as of a queue that others fill and drain.
            let growth = if (n / 40).is_multiple_of(2) { 1_000 } else { -1_000 };
            let usages = feed(&mut detector, &mut at_us, 1, growth);
            late += usize::from(n >= 3_000 && usages[0] == Usage::Overusing);
        }
        assert!(detector.threshold > FIRST_THRESHOLD, "{}", detector.threshold);
        assert!(late < 500, "{late} of 1000");
        assert!(detector.trend().abs() < 0.2);
    }

    #[test]
    fn one_time_for_all_points_is_no_slope() {
        let mut detector = TrendDetector::default();
        for _ in 0..50 {
            detector.on_variation(DelayVariation { departure_us: 10_000, arrival_us: 0, arrived_us: 7 });
        }
        assert!(detector.trend().is_finite());
    }
}
