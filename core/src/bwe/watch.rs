//! Notices that feedback has stopped while packets are sent.

/// Without feedback for so many round trips, but within these bounds, something is wrong.
const ROUND_TRIPS: i64 = 3;
const MIN_WAIT_US: i64 = 600_000;
const MAX_WAIT_US: i64 = 1_500_000;
/// Then the rate is lowered, and again after each of these, to this share in percent.
const STEP_US: i64 = 500_000;
const KEPT_PERCENT: u64 = 70;

/// Watches the feedback of one path.
#[derive(Debug, Clone, Copy, Default)]
pub struct FeedbackWatch {
    /// When the first packet after the last feedback was sent, or the last step was taken.
    waiting_since_us: Option<i64>,
    last_sent_us: i64,
    before_bps: Option<u64>,
}

impl FeedbackWatch {
    /// A numbered packet leaves.
    pub fn on_sent(&mut self, now_us: i64) {
        self.waiting_since_us.get_or_insert(now_us);
        self.last_sent_us = now_us;
    }

    /// Feedback that tells of arrivals: the rate before it had stopped, if it had.
    pub fn on_feedback(&mut self) -> Option<u64> {
        self.waiting_since_us = None;
        self.before_bps.take()
    }

    /// The lower rate to go on with, if feedback is missing.
    pub fn poll(&mut self, now_us: i64, rtt_us: i64, rate_bps: u64) -> Option<u64> {
        let deadline_us = self.deadline_us(rtt_us).filter(|deadline| *deadline <= now_us)?;
        if self.last_sent_us < deadline_us - STEP_US {
            // Nothing is sent any more, so nothing is missing.
            self.waiting_since_us = None;
            return None;
        }
        self.waiting_since_us = Some(now_us);
        self.before_bps.get_or_insert(rate_bps);
        Some(rate_bps * KEPT_PERCENT / 100)
    }

    /// When [`poll`](Self::poll) has something to say.
    pub fn deadline_us(&self, rtt_us: i64) -> Option<i64> {
        let first_us = (rtt_us * ROUND_TRIPS).clamp(MIN_WAIT_US, MAX_WAIT_US);
        let wait_us = if self.before_bps.is_some() { STEP_US } else { first_us };
        self.waiting_since_us.map(|since| since + wait_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_feedback_lowers_the_rate_step_by_step_until_it_is_back() {
        let mut watch = FeedbackWatch::default();
        assert_eq!(watch.deadline_us(0), None);
        (0..20).for_each(|n| watch.on_sent(n * 100_000));
        assert_eq!(watch.poll(599_999, 50_000, 1_000_000), None);
        assert_eq!(watch.poll(600_000, 50_000, 1_000_000), Some(700_000));
        assert_eq!(watch.poll(1_000_000, 50_000, 700_000), None);
        assert_eq!(watch.poll(1_100_000, 50_000, 700_000), Some(490_000));
        assert_eq!(watch.on_feedback(), Some(1_000_000));
        assert_eq!((watch.on_feedback(), watch.deadline_us(0)), (None, None));
    }

    #[test]
    fn who_sends_nothing_misses_nothing() {
        let mut watch = FeedbackWatch::default();
        watch.on_sent(0);
        assert_eq!(watch.poll(1_500_000, 400_000, 1_000_000), None);
        assert_eq!(watch.deadline_us(400_000), None);
    }
}
