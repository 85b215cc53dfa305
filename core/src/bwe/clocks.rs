//! The two clocks of a path: ours, and the receiver's as its feedback shows it.
use std::time::{Duration, Instant};

/// The receiver's clock and ours may drift apart this much between two messages.
const MAX_CLOCK_JUMP_US: i64 = 10_000_000;

/// Our time, in µs since the first that was seen; it does not run backwards.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    epoch: Option<Instant>,
    last_us: i64,
}

impl Clock {
    /// It is `now`: the time, in µs.
    pub fn us(&mut self, now: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(now);
        let us = i64::try_from(now.saturating_duration_since(epoch).as_micros()).unwrap_or(i64::MAX / 2);
        self.last_us = self.last_us.max(us.min(i64::MAX / 2));
        self.last_us
    }

    /// The latest time that was seen.
    pub const fn last_us(&self) -> i64 {
        self.last_us
    }

    /// The instant at a time.
    pub fn instant(&self, us: i64) -> Option<Instant> {
        self.epoch?.checked_add(Duration::from_micros(u64::try_from(us).unwrap_or(0)))
    }
}

/// The receiver's time, whose reference wraps at 24 bits of 64 ms.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReceiverClock {
    /// The last reference as it was and unwrapped, in 64 ms, and when it came.
    last: Option<(i32, i64, i64)>,
    has_jumped: bool,
}

impl ReceiverClock {
    /// The reference time in µs, unwrapped.
    pub fn extend(&mut self, now_us: i64, reference_64ms: i32) -> i64 {
        let Some((last, unwrapped, came_us)) = self.last else {
            self.last = Some((reference_64ms, i64::from(reference_64ms), now_us));
            return i64::from(reference_64ms) * 64_000;
        };
        // Sign-extended from 24 bits: the shorter way round.
        let step = i64::from(reference_64ms.wrapping_sub(last) << 8 >> 8);
        self.has_jumped = (step * 64_000 - (now_us - came_us)).abs() > MAX_CLOCK_JUMP_US;
        self.last = Some((reference_64ms, unwrapped + step, now_us));
        (unwrapped + step) * 64_000
    }

    /// Whether the last reference does not compare with the one before it.
    pub const fn has_jumped(&self) -> bool {
        self.has_jumped
    }
}
