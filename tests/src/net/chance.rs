//! Chance in whole numbers: the same draws decide the same in every build and on every machine.
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often something happens: so many times in 2^32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(u64);

const ONE: u64 = 1 << 32;

impl Probability {
    /// Not at all.
    pub const NEVER: Self = Probability(0);
    /// Every time.
    pub const ALWAYS: Self = Probability(ONE);

    /// `numerator` in `denominator` times; always if that is one or more, or if `denominator` is 0.
    pub const fn ratio(numerator: u32, denominator: u32) -> Self {
        if numerator >= denominator {
            return Probability::ALWAYS;
        }
        Probability(numerator as u64 * ONE / denominator as u64)
    }

    /// So many times in a hundred.
    pub const fn percent(times: u32) -> Self {
        Probability::ratio(times, 100)
    }

    /// So many times in a thousand.
    pub const fn per_mille(times: u32) -> Self {
        Probability::ratio(times, 1_000)
    }

    /// The odds of `self` (how often it happens for each time that it does not) times `factor`, at most 1.
    pub(super) const fn odds_times(self, factor: Probability) -> Self {
        if self.0 >= ONE {
            return Probability::ALWAYS;
        }
        let times = self.0 as u128 * factor.0 as u128 / (ONE - self.0) as u128;
        Probability(if times > ONE as u128 { ONE } else { times as u64 })
    }

    /// Whether it happens, by a uniform draw.
    pub(super) const fn happens(self, draw: u32) -> bool {
        (draw as u64) < self.0
    }
}

/// A generator of the seed's `stream`: streams of one seed know nothing of each other.
pub(super) fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// `N` uniform numbers.
pub(super) fn draws<const N: usize>(generator: &mut ChaCha8Rng) -> [u32; N] {
    std::array::from_fn(|_| generator.next_u32())
}

/// A uniform number in `0..bound` (0 if there is none) by a uniform draw.
pub(super) fn below(bound: usize, draw: u32) -> usize {
    ((bound as u128 * u128::from(draw)) >> 32) as usize
}

/// A uniform time shorter than `duration` (or none, if that is none) by a uniform draw.
pub(super) fn part_of(duration: Duration, draw: u32) -> Duration {
    Duration::from_nanos(((duration.as_nanos() * u128::from(draw)) >> 32) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_exact_at_their_ends_and_nowhere_beyond() {
        assert!(!Probability::NEVER.happens(0));
        assert!(Probability::ALWAYS.happens(u32::MAX));
        let half = Probability::percent(50);
        assert!(half.happens(u32::MAX / 2) && !half.happens(u32::MAX / 2 + 1));
        assert_eq!(half, Probability::per_mille(500));
        assert_eq!(Probability::percent(101), Probability::ALWAYS);
        assert_eq!(Probability::ratio(0, 0), Probability::ALWAYS);
        assert_eq!(Probability::ratio(0, 1), Probability::NEVER);
    }

    #[test]
    fn odds_multiply() {
        // 1 : 3 times a half is 1 : 6 as odds, which is how often it happens for each time that it does not.
        assert_eq!(Probability::percent(25).odds_times(Probability::percent(50)), Probability::ratio(1, 6));
        assert_eq!(Probability::ALWAYS.odds_times(Probability::ratio(1, 9)), Probability::ALWAYS);
        assert_eq!(Probability::percent(99).odds_times(Probability::ALWAYS), Probability::ALWAYS);
        assert_eq!(Probability::NEVER.odds_times(Probability::ALWAYS), Probability::NEVER);
    }

    #[test]
    fn numbers_and_times_stay_below_their_bounds() {
        assert_eq!([below(10, 0), below(10, u32::MAX), below(0, u32::MAX)], [0, 9, 0]);
        let second = Duration::from_secs(1);
        assert_eq!(part_of(second, 1 << 31), second / 2);
        assert!(part_of(second, u32::MAX) < second);
        assert_eq!(part_of(Duration::ZERO, u32::MAX), Duration::ZERO);
    }

    #[test]
    fn streams_differ_and_repeat() {
        let drawn = |seed, stream| draws::<4>(&mut generator(seed, stream));
        assert_eq!(drawn(1, 2), drawn(1, 2));
        assert_ne!(drawn(1, 2), drawn(1, 3));
        assert_ne!(drawn(1, 2), drawn(2, 2));
    }
}
