//! When to ask a sender for a keyframe.
use std::time::{Duration, Instant};

/// How many times a request that no keyframe answered is repeated.
const MAX_REPEATS: u8 = 5;

/// Lets through one keyframe request per interval and stream, and remembers the one that came too early.
///
/// Any number of receivers may want a keyframe at once (each that joins, each that lost too much), but encoding one is dear
/// and shows as a dip in quality. So a wish within the interval after a request waits for the end of it, and a keyframe
/// that arrives meanwhile fulfils it. The request itself may get lost: one that no keyframe answers is repeated each
/// interval, five times at most, since a sender that is paused will not answer.
#[derive(Debug, Clone)]
pub struct KeyframeRequests {
    interval: Duration,
    sent_at: Option<Instant>,
    /// A keyframe is wished for that has not come; a request for it may have been sent.
    wanted: bool,
    repeats_left: u8,
}

impl Default for KeyframeRequests {
    fn default() -> Self {
        KeyframeRequests::new(Duration::from_secs(1))
    }
}

impl KeyframeRequests {
    /// At most one request per `interval`.
    pub const fn new(interval: Duration) -> Self {
        KeyframeRequests { interval, sent_at: None, wanted: false, repeats_left: 0 }
    }

    /// Somebody needs a keyframe. Whether to send a request now; otherwise it becomes due at [`Self::deadline`].
    pub fn request(&mut self, now: Instant) -> bool {
        self.wanted = true;
        self.repeats_left = MAX_REPEATS;
        if self.sent_at.is_some_and(|sent_at| now < sent_at + self.interval) {
            return false;
        }
        self.sent_at = Some(now);
        true
    }

    /// A keyframe arrived: nothing is wished for any more.
    pub fn on_keyframe(&mut self) {
        self.wanted = false;
    }

    /// Forgets what is wished for: the sender was paused or closed.
    pub fn cancel(&mut self) {
        self.wanted = false;
    }

    /// Whether the remembered or repeated request is to be sent now.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.deadline().is_none_or(|at| now < at) {
            return false;
        }
        self.sent_at = Some(now);
        self.repeats_left -= 1;
        self.wanted = self.repeats_left > 0;
        true
    }

    /// When to call [`Self::poll`].
    pub fn deadline(&self) -> Option<Instant> {
        self.sent_at.filter(|_| self.wanted && self.repeats_left > 0).map(|sent_at| sent_at + self.interval)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_goes_at_once_and_the_next_waits_for_the_interval() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        assert!(requests.request(start));
        requests.on_keyframe();
        assert_eq!(requests.deadline(), None);
        assert!(!requests.request(start + 300 * MS) && !requests.request(start + 500 * MS));
        assert_eq!(requests.deadline(), Some(start + 1_000 * MS));
        assert!(!requests.poll(start + 999 * MS));
        assert!(requests.poll(start + 1_000 * MS));
        assert!(!requests.poll(start + 1_000 * MS), "once");
    }

    #[test]
    fn a_keyframe_fulfils_the_one_that_waits() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.request(start);
        requests.request(start + 100 * MS);
        requests.on_keyframe();
        assert_eq!(requests.deadline(), None);
        assert!(!requests.poll(start + 5_000 * MS));
        assert!(requests.request(start + 5_000 * MS));
    }

    #[test]
    fn an_unanswered_one_is_repeated_but_not_for_ever() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::new(500 * MS);
        assert!(requests.request(start));
        let mut sent = Vec::new();
        while let Some(at) = requests.deadline() {
            assert!(requests.poll(at));
            sent.push(at - start);
        }
        assert_eq!(sent, [500 * MS, 1_000 * MS, 1_500 * MS, 2_000 * MS, 2_500 * MS]);
        assert!(requests.request(start + 10_000 * MS), "a new wish starts anew");
    }

    #[test]
    fn cancelling_forgets() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.request(start);
        requests.cancel();
        assert_eq!(requests.deadline(), None);
    }
}
