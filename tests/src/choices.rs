//! Where choices come from: a seed, or the bytes of a fuzzer.
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A source of choices, which never fails.
///
/// A seed never runs out. Bytes do: past their end every choice is the first of its options and every byte is zero, so that
/// every input is a whole program and a shortened one still does what its beginning says; [`Choices::is_exhausted`] tells when
/// to stop. Small choices take few bytes, so that a fuzzer's mutation of one byte changes one choice.
#[derive(Debug, Clone)]
pub struct Choices<'a> {
    source: Source<'a>,
}

#[derive(Debug, Clone)]
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

    /// A number below `bound`; 0 if that is 0. A byte is taken even where there is one possibility only, so that what follows
    /// means the same when there are more; from a seed nothing is drawn then.
    pub fn below(&mut self, bound: u32) -> u32 {
        let number = match (&mut self.source, bound) {
            (Source::Seed(_), 0 | 1) => return 0,
            (Source::Seed(rng), _) => rng.next_u32(),
            (Source::Bytes(_), 0..=0x100) => self.u8().into(),
            (Source::Bytes(_), 0x101..=0x1_0000) => self.u16().into(),
            (Source::Bytes(_), _) => self.u32(),
        };
        number.checked_rem(bound).unwrap_or(0)
    }

    /// A number from `least` to before `end`; `least` when there is none between.
    pub fn range(&mut self, least: u32, end: u32) -> u32 {
        least + self.below(end.saturating_sub(least))
    }

    /// True in `per_mille` of 1000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        // Exhausted bytes give 0: what is rare must not then happen always.
        self.below(1_000) >= 1_000 - per_mille.min(1_000)
    }

    /// True in `percent` of 100 cases, out of one byte; never when nothing is left to choose by.
    pub fn percent(&mut self, percent: u32) -> bool {
        !self.is_exhausted() && self.below(100) >= 100 - percent.min(100)
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Clone>(&mut self, options: &[T]) -> T {
        options[self.below(options.len() as u32) as usize].clone()
    }

    /// The lowest bit of a byte.
    pub fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// A number.
    pub fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// A number.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A number.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// A number.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// Bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        if let Source::Seed(rng) = &mut self.source {
            rng.fill_bytes(&mut array);
        } else {
            let taken = self.bytes(N);
            array[..taken.len()].copy_from_slice(taken);
        }
        array
    }

    /// The next `len` bytes of the input, or as many as there are; none where a seed decides.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let Source::Bytes(bytes) = &mut self.source else { return &[] };
        let (taken, rest) = bytes.split_at(len.min(bytes.len()));
        *bytes = rest;
        taken
    }

    /// Everything that is left of the input.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// A piece of the input, up to 255 bytes, its length in front of it.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.u8());
        self.bytes(len)
    }

    /// A piece of the input, up to 65535 bytes, its length in front of it.
    pub fn long_piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16());
        self.bytes(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_decide_and_stay_within_bounds() {
        let draw = |seed| {
            let mut choices = Choices::from_seed(seed);
            (0..200).map(|n| choices.range(n, n + n % 7 + 1)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().zip(0..).all(|(drawn, n)| (n..=n + n % 7).contains(drawn)));
        let mut choices = Choices::from_seed(1);
        assert!(!choices.is_exhausted() && choices.bytes(3).is_empty());
        assert_ne!(choices.u64(), choices.u64());
    }

    #[test]
    fn a_seed_is_not_asked_where_there_is_no_choice() {
        let (mut one, mut other) = (Choices::from_seed(5), Choices::from_seed(5));
        assert_eq!((one.below(1), one.below(0), one.range(4, 4)), (0, 0, 4));
        assert_eq!(one.below(1 << 30), other.below(1 << 30));
    }

    #[test]
    fn bytes_are_used_up_one_by_one_and_end_in_the_first_option() {
        let mut choices = Choices::from_bytes(&[7, 9, 1, 2, 3, 99]);
        assert_eq!(choices.below(5), 2);
        assert_eq!(choices.below(1), 0, "no choice, but a byte");
        assert_eq!(choices.range(1, 0x1_0000), 1 + 0x0102);
        assert_eq!(choices.pick(&['a', 'b', 'c', 'd', 'e']), 'd');
        assert!(!choices.is_exhausted());
        assert!(choices.percent(1), "99 of 0 to 99");
        assert!(choices.is_exhausted());
        assert_eq!(choices.pick(&['x', 'y']), 'x');
        assert!(!choices.chance(999) && choices.chance(1_000) && !choices.percent(100));
    }

    #[test]
    fn pieces_are_read_in_order_and_zeros_past_the_end() {
        let mut choices = Choices::from_bytes(&[7, 2, 8, 9, 1, 2, 255, 5]);
        assert_eq!(choices.u8(), 7);
        assert_eq!(choices.piece(), [8, 9]);
        assert_eq!(choices.u16(), 0x0102);
        assert_eq!(choices.piece(), [5], "cut at the end");
        assert_eq!((choices.u64(), choices.flag(), choices.rest()), (0, false, &[][..]));
    }
}
