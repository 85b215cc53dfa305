//! Numbers within a range, and chances, out of a fuzzer's bytes: what bodies with a model choose their steps by.

use super::Choices;

impl Choices<'_> {
    /// A number from `least` to before `end`, out of as many bytes as that takes; `least` when there is none between.
    pub fn range(&mut self, least: u32, end: u32) -> u32 {
        let count = end.saturating_sub(least);
        let number = match count {
            0..=0x100 => u32::from(self.u8()),
            0x101..=0x1_0000 => u32::from(self.u16()),
            _ => self.u32(),
        };
        least + number.checked_rem(count).unwrap_or(0)
    }

    /// Yes in about `percent` of a hundred cases; no when the bytes are used up.
    pub fn chance(&mut self, percent: u8) -> bool {
        !self.is_empty() && self.range(0, 100) >= 100 - u32::from(percent)
    }

    /// One of a list that is not empty.
    ///
    /// # Panics
    /// If the list is empty.
    pub fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.range(0, list.len() as u32) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lie_in_their_range_and_end_in_the_least() {
        let mut choices = Choices::new(&[7, 1, 2, 99]);
        assert_eq!((choices.range(2, 6), choices.range(0, 1_000)), (2 + 7 % 4, 0x102));
        assert!(choices.chance(1), "99 of 0 to 99");
        assert_eq!((choices.range(5, 9), choices.range(5, 5), choices.chance(100)), (5, 5, false));
        assert_eq!(choices.pick(&["first", "second"]), &"first");
    }
}
