//! Where a simulation's choices come from: a seed, or the bytes of a fuzzer.
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A source of choices.
///
/// A seed never runs out. Bytes do: then every choice is the first of its options, and [`Choices::is_exhausted`] says so, for
/// whoever would go on choosing without end. Small choices take few bytes, so that a fuzzer's mutation of one byte changes
/// one choice.
#[derive(Debug)]
pub struct Choices<'a> {
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Seed(Box<ChaCha8Rng>),
    Bytes(&'a [u8]),
}

impl<'a> Choices<'a> {
    /// Choices that follow from a seed.
    pub fn from_seed(seed: u64) -> Self {
        Choices { source: Source::Seed(Box::new(ChaCha8Rng::seed_from_u64(seed))) }
    }

    /// Choices that are read from bytes.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Choices { source: Source::Bytes(bytes) }
    }

    /// Whether nothing is left to choose by.
    pub fn is_exhausted(&self) -> bool {
        matches!(self.source, Source::Bytes([]))
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        let width = match bound {
            0 | 1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        self.number(width) % bound
    }

    /// A number from `low` to `high`, both possible.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `per_mille` of 1000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        // Exhausted bytes give 0: what is rare must not then happen always.
        self.below(1_000) >= 1_000 - per_mille.min(1_000)
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Clone>(&mut self, options: &[T]) -> T {
        options[self.below(options.len() as u32) as usize].clone()
    }

    fn number(&mut self, width: usize) -> u32 {
        match &mut self.source {
            Source::Seed(rng) => rng.next_u32(),
            Source::Bytes(bytes) => {
                let (taken, rest) = bytes.split_at(width.min(bytes.len()));
                *bytes = rest;
                taken.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_decide_and_stay_within_bounds() {
        let draw = |seed| {
            let mut choices = Choices::from_seed(seed);
            (0..200).map(|n| choices.between(n, n + n % 7)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().zip(0..).all(|(drawn, n)| (n..=n + n % 7).contains(drawn)));
        assert!(!Choices::from_seed(1).is_exhausted());
    }

    #[test]
    fn bytes_are_used_up_one_by_one_and_end_in_the_first_option() {
        let mut choices = Choices::from_bytes(&[7, 1, 2, 3]);
        assert_eq!(choices.below(5), 2);
        assert_eq!(choices.below(1), 0, "no choice, no byte");
        assert_eq!(choices.below(0x1_0000), 0x0102);
        assert!(!choices.is_exhausted());
        assert_eq!(choices.pick(&['a', 'b', 'c', 'd', 'e']), 'd');
        assert!(choices.is_exhausted());
        assert_eq!(choices.pick(&['x', 'y']), 'x');
        assert!(!choices.chance(999) && choices.chance(1_000));
    }
}
