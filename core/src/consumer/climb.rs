//! When a consumer that was pushed down may climb again.
//!
//! A higher spatial layer costs a keyframe each time that it is begun. Where an estimate overshoots (a probe that a shaper lets
//! through in one go shows more than the path carries) the picture would go up and down every second, and stand while the
//! keyframes come. So whoever was pushed down stays for a while, the longer the sooner it happens again. Temporal layers cost
//! nothing, and follow at once.
use std::time::{Duration, Instant};

/// After the first time, and at most. mediasoup waits 10 s each time.
const SHORTEST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(12);

/// Who is pushed down within this time of being let up has climbed too early.
const TOO_EARLY: Duration = Duration::from_secs(10);

/// Holds a consumer down for a while.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClimbHold {
    until: Option<Instant>,
    length: Duration,
}

impl ClimbHold {
    /// Bandwidth allows fewer spatial layers than were sent.
    pub fn on_pushed_down(&mut self, now: Instant) {
        self.length = match self.until {
            Some(until) if now < until => self.length,
            Some(until) if now < until + TOO_EARLY => (self.length * 2).min(LONGEST),
            _ => SHORTEST,
        };
        self.until = Some(now + self.length);
    }

    /// Whether it may not climb to a higher spatial layer.
    pub fn is_held(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_the_sooner_it_is_pushed_down_again() {
        let (start, mut hold) = (Instant::now(), ClimbHold::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!hold.is_held(start));
        hold.on_pushed_down(at(0));
        hold.on_pushed_down(at(1));
        assert!(hold.is_held(at(3)) && !hold.is_held(at(4)), "pushed down twice in one go");
        for (pushed, free) in [(5, 11), (12, 24), (30, 42), (60, 63)] {
            hold.on_pushed_down(at(pushed));
            assert!(hold.is_held(at(free - 1)) && !hold.is_held(at(free)), "pushed down at {pushed} s");
        }
    }
}
