//! Additive increase, multiplicative decrease (draft-ietf-rmcat-gcc-02 section 5.5): the rate that the delay allows.
use super::trend::Usage;

/// What is kept of the throughput on over-use, in percent: less when a queue stands that has to drain.
const KEPT_PERCENT: u64 = 86;
const MIN_KEPT_PERCENT: u64 = 40;
/// Throughput of less than this, in percent of the rate, does not wait for the last decrease to show.
const COLLAPSED_PERCENT: u64 = 65;
/// A queue up to this drains by itself soon; each further piece of it costs one percent more.
const SMALL_QUEUE_US: i64 = 20_000;
const QUEUE_US_PER_PERCENT: u64 = 3_000;
/// Below this the queue counts as drained.
const DRAINED_US: i64 = 15_000;
/// Growth while no limit is known, in percent a second.
const FAST_GROWTH_PERCENT: u64 = 12;
/// Growth near the limit is this many times the root of the rate, in bits a second each second: 40 kbit/s at 1 Mbit/s. Growing
/// less than in proportion is what makes flows that share a path meet.
const SLOW_GROWTH: u64 = 40;
/// Response time for which that holds.
const USUAL_RESPONSE_US: i64 = 200_000;
/// Within this many percent of the limit growth is slow.
const NEAR_PERCENT: u64 = 75;
/// Throughput so far beyond the limit shows that the limit is another one.
const BEYOND_PERCENT: u64 = 118;
/// The rate grows at most to one and a half times of what gets through, and a little.
const HEADROOM_BPS: u64 = 10_000;
const MAX_STEP_US: i64 = 500_000;

/// What is known when the rate is updated.
#[derive(Debug, Clone, Copy)]
pub struct PathState {
    /// The time, in µs.
    pub now_us: i64,
    /// What the detector says.
    pub usage: Usage,
    /// How long packets wait, in µs.
    pub queue_us: i64,
    /// What gets through the bottleneck, in bits a second.
    pub throughput_bps: Option<u64>,
    /// What the path carries although the delay grows, in bits a second: the delay is that of a burst.
    pub carried_bps: u64,
    /// Time from a change of the rate to the feedback that shows it, in µs.
    pub response_us: i64,
    /// Less is sent than allowed: what gets through says nothing of the path.
    pub is_application_limited: bool,
}

/// The rate control.
#[derive(Debug, Clone)]
pub struct RateControl {
    rate_bps: u64,
    /// What got through when the path was last full.
    capacity_bps: Option<u64>,
    /// The rate to return to once the queue has drained.
    resume_bps: Option<u64>,
    updated_us: Option<i64>,
    decreased_us: Option<i64>,
}

impl RateControl {
    /// Starts at `rate_bps`.
    pub const fn new(rate_bps: u64) -> Self {
        RateControl { rate_bps, capacity_bps: None, resume_bps: None, updated_us: None, decreased_us: None }
    }

    /// Takes in feedback; whether the rate was decreased.
    pub fn update(&mut self, path: PathState) -> bool {
        let passed_us = path.now_us - self.updated_us.replace(path.now_us).unwrap_or(path.now_us);
        match path.usage {
            Usage::Overusing => return self.decrease(path),
            Usage::Underusing => {}
            Usage::Normal if path.queue_us > DRAINED_US * 2 => {}
            Usage::Normal => self.increase(path, passed_us.clamp(0, MAX_STEP_US)),
        }
        if path.queue_us < DRAINED_US
            && let Some(resume_bps) = self.resume_bps.take()
        {
            self.rate_bps = self.rate_bps.max(resume_bps);
        }
        false
    }

    /// Something else than the delay shows what the path carries.
    pub fn set_rate(&mut self, rate_bps: u64) {
        self.rate_bps = rate_bps;
        self.resume_bps = None;
    }

    /// The path was full at this rate, or no limit is known any more.
    pub fn note_capacity(&mut self, capacity_bps: Option<u64>) {
        self.capacity_bps = capacity_bps;
    }

    /// The rate, in bits a second.
    pub const fn rate_bps(&self) -> u64 {
        self.rate_bps
    }

    /// When the rate was last decreased.
    pub const fn decreased_us(&self) -> Option<i64> {
        self.decreased_us
    }

    fn decrease(&mut self, path: PathState) -> bool {
        let throughput = path.throughput_bps.unwrap_or(self.rate_bps);
        let is_answered = self.decreased_us.is_none_or(|at| path.now_us - at >= path.response_us);
        if !is_answered && throughput * 100 >= self.rate_bps * COLLAPSED_PERCENT {
            return false;
        }
        let capacity = match self.capacity_bps {
            Some(known) if throughput * 100 > known * 70 && throughput * 100 < known * 130 => {
                (known * 3 + throughput) / 4
            }
            _ => throughput,
        };
        // A sender that sends little measures little, which says nothing of the path.
        if !path.is_application_limited {
            self.capacity_bps = Some(capacity);
        }
        let excess_us = (path.queue_us - SMALL_QUEUE_US).max(0) as u64;
        let kept = KEPT_PERCENT.saturating_sub(excess_us / QUEUE_US_PER_PERCENT).max(MIN_KEPT_PERCENT);
        let target = (throughput * kept / 100).max(path.carried_bps);
        self.decreased_us = Some(path.now_us);
        self.resume_bps = (kept < KEPT_PERCENT).then_some(throughput * KEPT_PERCENT / 100);
        let decreased = target < self.rate_bps;
        self.rate_bps = self.rate_bps.min(target);
        decreased
    }

    fn increase(&mut self, path: PathState, passed_us: i64) {
        if path.is_application_limited {
            return;
        }
        let Some(throughput) = path.throughput_bps else { return };
        if self.capacity_bps.is_some_and(|known| throughput * 100 > known * BEYOND_PERCENT) {
            self.capacity_bps = None;
        }
        let near = self.capacity_bps.is_some_and(|known| self.rate_bps * 100 > known * NEAR_PERCENT);
        let per_second = if near {
            let response_us = path.response_us.clamp(USUAL_RESPONSE_US * 2 / 3, USUAL_RESPONSE_US * 2);
            self.rate_bps.isqrt() * SLOW_GROWTH * USUAL_RESPONSE_US as u64 / response_us as u64
        } else {
            self.rate_bps * FAST_GROWTH_PERCENT / 100
        };
        let grown = self.rate_bps + (per_second * passed_us as u64 / 1_000_000).max(1);
        let most = throughput + throughput / 2 + HEADROOM_BPS;
        self.rate_bps = self.rate_bps.max(grown.min(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(now_ms: i64, usage: Usage, throughput_bps: u64) -> PathState {
        PathState {
            now_us: now_ms * 1_000,
            usage,
            queue_us: 0,
            throughput_bps: Some(throughput_bps),
            carried_bps: 0,
            response_us: 150_000,
            is_application_limited: false,
        }
    }

    #[test]
    fn over_use_leaves_most_of_what_gets_through_once_a_response_time() {
        let mut control = RateControl::new(1_000_000);
        assert!(control.update(path(0, Usage::Overusing, 900_000)));
        assert_eq!(control.rate_bps(), 774_000);
        assert!(!control.update(path(100, Usage::Overusing, 700_000)));
        assert!(control.update(path(150, Usage::Overusing, 700_000)));
        assert_eq!(control.rate_bps(), 602_000);
        assert!(
            control.update(path(160, Usage::Overusing, 200_000)),
            "a fall to less than half is answered at once"
        );
    }

    #[test]
    fn growth_is_slow_near_the_limit_and_fast_away_from_it() {
        let mut control = RateControl::new(1_000_000);
        for ms in (0..=1_000).step_by(100) {
            control.update(path(ms, Usage::Normal, 1_000_000));
        }
        let fast = control.rate_bps();
        assert!((1_100_000..1_140_000).contains(&fast), "{fast}");
        control.update(path(1_100, Usage::Overusing, 1_000_000));
        for ms in (1_200..=2_100).step_by(100) {
            control.update(path(ms, Usage::Normal, 850_000));
        }
        let slow = control.rate_bps();
        assert!((910_000..935_000).contains(&slow), "{slow}");
        control.update(path(2_200, Usage::Normal, 1_300_000));
        assert!(control.rate_bps() > slow + 10_000, "the limit is another one");
    }

    #[test]
    fn it_does_not_outgrow_what_gets_through_and_an_idle_sender_changes_nothing() {
        let mut control = RateControl::new(1_000_000);
        for ms in (0..60_000).step_by(100) {
            control.update(path(ms, Usage::Normal, 800_000));
        }
        assert_eq!(control.rate_bps(), 1_210_000);
        let idle = PathState { is_application_limited: true, ..path(61_000, Usage::Normal, 10_000) };
        control.update(idle);
        assert_eq!(control.rate_bps(), 1_210_000);
    }

    #[test]
    fn a_burst_of_a_sender_that_sends_little_does_not_cut_below_what_is_carried() {
        let mut control = RateControl::new(1_000_000);
        control.update(PathState { carried_bps: 800_000, ..path(0, Usage::Overusing, 700_000) });
        assert_eq!(control.rate_bps(), 800_000);
    }

    #[test]
    fn a_long_queue_drains_first_and_then_the_rate_returns() {
        let mut control = RateControl::new(3_000_000);
        control.update(PathState { queue_us: 300_000, ..path(0, Usage::Overusing, 1_000_000) });
        assert_eq!(control.rate_bps(), 400_000);
        control.update(PathState { queue_us: 100_000, ..path(300, Usage::Underusing, 1_000_000) });
        assert_eq!(control.rate_bps(), 400_000);
        control.update(PathState { queue_us: 5_000, ..path(600, Usage::Normal, 1_000_000) });
        assert!(control.rate_bps() >= 850_000);
    }
}
