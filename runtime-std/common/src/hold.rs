//! How long a worker waits for more before it sends.
use std::time::{Duration, Instant};

/// Nothing waits by default. With a hold, what the first datagram of a turn has caused waits for those that come right behind it:
/// longer runs to each client, fewer system calls, and that much more latency.
#[derive(Debug, Default)]
pub struct Hold {
    longest: Duration,
    until: Option<Instant>,
}

impl Hold {
    /// Holds for so long at most; zero: not at all.
    pub fn new(longest: Duration) -> Hold {
        Hold { longest, until: None }
    }

    /// Datagrams have come: the hold begins, if it has not.
    pub fn begin(&mut self, now: Instant) {
        if !self.longest.is_zero() {
            self.until.get_or_insert(now + self.longest);
        }
    }

    /// Until when to hold; `None`: nothing is held, or not any more.
    pub fn until(&mut self) -> Option<Instant> {
        // The clock is read only by those who hold.
        let until = self.until?;
        if until > Instant::now() {
            return Some(until);
        }
        self.until = None;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_held_by_default() {
        let mut hold = Hold::default();
        hold.begin(Instant::now());
        assert_eq!(hold.until(), None);
    }

    #[test]
    fn a_hold_is_counted_from_the_first_datagram_and_ends() {
        let mut hold = Hold::new(Duration::from_secs(3600));
        let first = Instant::now();
        hold.begin(first);
        hold.begin(first + Duration::from_secs(5));
        assert_eq!(hold.until(), Some(first + Duration::from_secs(3600)));
        let mut over = Hold::new(Duration::from_nanos(1));
        over.begin(first);
        assert_eq!((over.until(), over.until), (None, None));
    }
}
