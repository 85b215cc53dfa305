//! The standing queue of a path: how much longer packets take than they did at best.

/// The lowest delay is taken over two steps of this.
const STEP_US: i64 = 50_000;
/// The best delay is that of the last steps of this, so that a clock that drifts or a new route does not count for ever.
const BASE_STEP_US: i64 = 5_000_000;
const BASE_STEPS: usize = 4;
/// A queue longer than this is over-use even if it does not grow.
const STANDING_US: i64 = 14_000;
/// What has been done against it takes a response time and this to show.
const PATIENCE_US: i64 = 100_000;
/// Then it has to have fallen to this many percent.
const FALLING_PERCENT: i64 = 85;
/// One that does not fall after so many tries is not ours.
const MAX_TRIES: u8 = 4;
/// How quickly the noise of the path is followed, one part in so many, and how many times of it are no queue.
const NOISE_PARTS: i64 = 16;
const NOISE_FACTOR: i64 = 3;
/// A greater step than this is a queue.
const MAX_NOISE_US: i64 = 30_000;
/// Delays that far apart are not of one clock.
const MAX_JUMP_US: i64 = 10_000_000;

/// Follows the one-way delay, of which only differences are known.
#[derive(Debug, Clone, Default)]
pub struct QueueDelay {
    /// Lowest delay of the step that is being filled and of the one before.
    current_us: Option<i64>,
    previous_us: Option<i64>,
    step_ends_us: i64,
    /// How much the lowest delays of steps differ from one to the next: jitter, which is no queue.
    noise_us: i64,
    /// Lowest of what steps gave, newest first.
    bases_us: [Option<i64>; BASE_STEPS],
    base_step_ends_us: i64,
    /// When a standing queue was last looked at, and how long it was.
    standing: Option<(i64, i64)>,
    tries: u8,
}

impl QueueDelay {
    /// A packet arrived.
    pub fn on_packet(&mut self, sent_us: i64, arrived_us: i64) {
        let delay_us = arrived_us - sent_us;
        if self.lowest_us().is_some_and(|lowest| (delay_us - lowest).abs() > MAX_JUMP_US) {
            *self = QueueDelay::default();
        }
        if sent_us >= self.step_ends_us {
            self.note_noise();
            self.previous_us = self.current_us.take().or(self.previous_us);
            self.step_ends_us = sent_us + STEP_US;
            self.note_base(sent_us);
        }
        self.current_us = Some(self.current_us.map_or(delay_us, |lowest| lowest.min(delay_us)));
    }

    /// How long packets wait at least, in µs, not counting what may be jitter.
    pub fn delay_us(&self) -> i64 {
        match (self.lowest_us(), self.bases_us.iter().flatten().min()) {
            (Some(lowest), Some(base)) => (lowest - base - self.noise_us * NOISE_FACTOR).max(0),
            _ => 0,
        }
    }

    /// Whether a queue stands and does not fall, to be asked with each feedback. A queue that stays whatever is sent belongs to
    /// others, or is no queue but a longer route: it is taken for the best delay in the end.
    pub fn is_standing(&mut self, now_us: i64, response_us: i64) -> bool {
        let delay_us = self.delay_us();
        if delay_us <= STANDING_US {
            (self.standing, self.tries) = (None, 0);
            return false;
        }
        let is_falling = match self.standing {
            Some((at, _)) if now_us - at < response_us + PATIENCE_US => return false,
            Some((_, before_us)) => delay_us * 100 < before_us * FALLING_PERCENT,
            None => false,
        };
        self.standing = Some((now_us, delay_us));
        if is_falling {
            self.tries = 0;
            return false;
        }
        self.tries += 1;
        if self.tries > MAX_TRIES {
            (self.standing, self.tries) = (None, 0);
            self.bases_us = [self.lowest_us(), None, None, None];
            return false;
        }
        true
    }

    /// Lowest delay of the last 100 to 200 ms.
    fn lowest_us(&self) -> Option<i64> {
        match (self.current_us, self.previous_us) {
            (Some(current), Some(previous)) => Some(current.min(previous)),
            (current, previous) => current.or(previous),
        }
    }

    fn note_noise(&mut self) {
        if let (Some(current), Some(previous)) = (self.current_us, self.previous_us) {
            let step_us = (current - previous).abs().min(MAX_NOISE_US);
            self.noise_us += (step_us - self.noise_us) / NOISE_PARTS;
        }
    }

    fn note_base(&mut self, sent_us: i64) {
        if sent_us >= self.base_step_ends_us {
            self.bases_us.rotate_right(1);
            self.bases_us[0] = None;
            self.base_step_ends_us = sent_us + BASE_STEP_US;
        }
        let Some(previous) = self.previous_us else { return };
        self.bases_us[0] = Some(self.bases_us[0].map_or(previous, |base| base.min(previous)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(queue: &mut QueueDelay, from_ms: i64, to_ms: i64, delay_us: impl Fn(i64) -> i64) {
        for ms in (from_ms..to_ms).step_by(10) {
            queue.on_packet(ms * 1_000, ms * 1_000 + delay_us(ms));
        }
    }

    #[test]
    fn it_is_what_comes_on_top_of_the_best() {
        let mut queue = QueueDelay::default();
        feed(&mut queue, 0, 1_000, |ms| -7_000_000 + ms % 30 * 1_000);
        assert_eq!(queue.delay_us(), 0);
        feed(&mut queue, 1_000, 2_000, |ms| -6_940_000 + ms % 30 * 1_000);
        assert!((55_000..=60_000).contains(&queue.delay_us()), "{}", queue.delay_us());
    }

    #[test]
    fn jitter_is_no_queue() {
        let mut queue = QueueDelay::default();
        for ms in (0..20_000).step_by(33) {
            // Delays of up to 50 ms, in no order.
            queue.on_packet(ms * 1_000, ms * 1_000 + ms * 7_919 % 50_000);
            if ms > 2_000 {
                assert!(!queue.is_standing(ms * 1_000, 100_000), "at {ms} ms: {}", queue.delay_us());
            }
        }
    }

    #[test]
    fn a_queue_that_stands_is_told_of_until_it_is_clear_that_it_is_not_ours() {
        let mut queue = QueueDelay::default();
        feed(&mut queue, 0, 1_000, |_| 20_000);
        assert!(!queue.is_standing(1_000_000, 100_000));
        feed(&mut queue, 1_000, 1_500, |_| 90_000);
        let told: Vec<_> = (0..10).map(|n| queue.is_standing(1_500_000 + n * 100_000, 100_000)).collect();
        assert_eq!(told, [true, false, true, false, true, false, true, false, false, false]);
        assert_eq!(queue.delay_us(), 0);
    }

    #[test]
    fn a_queue_that_drains_is_not_told_of() {
        let mut queue = QueueDelay::default();
        feed(&mut queue, 0, 1_000, |_| 20_000);
        feed(&mut queue, 1_000, 1_500, |_| 220_000);
        assert!(queue.is_standing(1_500_000, 100_000));
        feed(&mut queue, 1_500, 2_000, |_| 120_000);
        assert!(!queue.is_standing(2_000_000, 100_000));
    }

    #[test]
    fn a_longer_route_is_accepted_after_a_while_and_a_clock_that_is_set_at_once() {
        let mut queue = QueueDelay::default();
        feed(&mut queue, 0, 5_000, |_| 20_000);
        feed(&mut queue, 5_000, 31_000, |_| 80_000);
        assert_eq!(queue.delay_us(), 0);
        feed(&mut queue, 31_000, 31_500, |_| 3_600_000_000);
        assert_eq!(queue.delay_us(), 0);
        feed(&mut queue, 31_500, 32_000, |_| -3_600_000_000);
        assert_eq!(queue.delay_us(), 0);
    }
}
