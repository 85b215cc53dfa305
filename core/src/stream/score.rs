//! The quality of a stream as one number, in mediasoup's scale from 0 (nothing arrives) to 10 (all arrives).

/// How many intervals are remembered.
const HISTORY: usize = 24;

/// What happened to the packets of a stream between two reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interval {
    /// Packets that should have arrived.
    pub expected: u32,
    /// Packets among them that did not arrive in the first place.
    pub lost: u32,
    /// Packets that a retransmission brought after all.
    pub repaired: u32,
    /// Retransmissions, repeated and useless ones included.
    pub retransmitted: u32,
}

/// The score of one stream: a weighted mean over its last intervals, of which the newest weighs most.
#[derive(Debug, Clone)]
pub struct Score {
    /// The scores of the last intervals, in a circle.
    history: [u8; HISTORY],
    length: usize,
    /// Where the next one goes.
    next: usize,
    value: u8,
}

impl Default for Score {
    fn default() -> Self {
        Score { history: [0; HISTORY], length: 0, next: 0, value: 10 }
    }
}

impl Score {
    /// Takes in an interval and returns the new score. An interval in which nothing was expected says nothing.
    pub fn update(&mut self, interval: Interval) -> u8 {
        if interval.expected > 0 {
            self.push(interval_score(interval));
        }
        self.value
    }

    /// Nothing arrives any more: the score is 0 at once, and what was before does not count when packets come again.
    pub fn on_inactive(&mut self) {
        self.length = 0;
        self.next = 0;
        self.value = 0;
    }

    /// The score, 0 to 10; 10 before the first report.
    pub fn value(&self) -> u8 {
        self.value
    }

    fn push(&mut self, score: u8) {
        self.history[self.next] = score;
        self.next = (self.next + 1) % HISTORY;
        self.length = (self.length + 1).min(HISTORY);
        let mut sum = 0;
        let mut weights = 0;
        // The oldest weighs 1, the newest as much as there are intervals.
        for weight in 1..=self.length {
            let index = (self.next + HISTORY - self.length + weight - 1) % HISTORY;
            sum += u32::from(self.history[index]) * weight as u32;
            weights += weight as u32;
        }
        // Rounded to the nearest.
        self.value = ((sum + weights / 2) / weights) as u8;
    }
}

/// The score of one interval: the fourth power of the share of packets that were delivered in time, so that 1 % of loss still
/// shows as 10 and 10 % as 7.
///
/// A repaired packet came late, so it makes good only a part of the loss: the less, the more of them there were and the more
/// retransmissions it took. (That weighing is mediasoup's.)
fn interval_score(interval: Interval) -> u8 {
    let Interval { expected, lost, repaired, retransmitted } = interval;
    let expected = f64::from(expected.max(1));
    let lost = f64::from(lost).min(expected);
    let repaired = f64::from(repaired).min(lost);
    let received = expected - lost;
    let made_good = if repaired > 0.0 && received > 0.0 {
        let effort = (repaired / f64::from(retransmitted.max(1))).min(1.0);
        repaired * fourth_power(received / (received + repaired)) * effort
    } else {
        0.0
    };
    let delivered = (expected - lost + made_good) / expected;
    (fourth_power(delivered) * 10.0 + 0.5) as u8
}

fn fourth_power(x: f64) -> f64 {
    x * x * x * x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score_of(expected: u32, lost: u32, repaired: u32, retransmitted: u32) -> u8 {
        Score::default().update(Interval { expected, lost, repaired, retransmitted })
    }

    #[test]
    fn loss_lowers_the_score() {
        let scores: Vec<_> = [0, 1, 5, 10, 20, 30, 50, 100].map(|lost| score_of(100, lost, 0, 0)).into();
        assert_eq!(scores, [10, 10, 8, 7, 4, 2, 1, 0]);
    }

    #[test]
    fn repairs_make_good_but_not_wholly() {
        assert_eq!(score_of(100, 20, 20, 20), 6);
        assert_eq!(score_of(100, 20, 20, 200), 4, "a repair that took ten retransmissions hardly counts");
        assert_eq!(score_of(100, 5, 5, 5), 10);
        assert_eq!(score_of(100, 100, 100, 100), 0, "nothing arrived in the first place");
    }

    #[test]
    fn numbers_out_of_their_range_stay_in_the_scale() {
        assert_eq!(score_of(10, u32::MAX, u32::MAX, u32::MAX), 0);
        assert_eq!(score_of(10, 0, u32::MAX, 0), 10);
        assert_eq!(score_of(u32::MAX, 0, 0, 0), 10);
    }

    #[test]
    fn the_newest_weighs_most_and_the_oldest_leave() {
        let mut score = Score::default();
        let good = Interval { expected: 100, ..Interval::default() };
        let bad = Interval { expected: 100, lost: 100, ..Interval::default() };
        assert_eq!(score.update(Interval::default()), 10, "nothing expected, nothing learnt");
        assert_eq!(score.update(bad), 0);
        assert_eq!(score.update(good), 7, "2 of 3 parts are good");
        for _ in 0..HISTORY {
            score.update(good);
        }
        assert_eq!(score.value(), 10);
        assert_eq!(score.update(bad), 9, "24 of 300 parts are bad");
        score.on_inactive();
        assert_eq!(score.value(), 0);
        assert_eq!(score.update(good), 10);
    }
}
