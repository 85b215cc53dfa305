//! Structured input: decisions read off a fuzzer's bytes.

/// A cursor over a fuzzer's bytes. It never fails: past the end everything is zero, so that every input is a whole program and a
/// shortened one still does what its beginning says.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Begins at the front of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Whether all bytes have been used: time to stop.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `len` bytes, or as many as there are.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A piece of up to 255 bytes, its length in front of it.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.u8());
        self.bytes(len)
    }

    /// A piece of up to 65535 bytes, its length in front of it.
    pub fn long_piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16());
        self.bytes(len)
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

    /// The lowest bit of a byte.
    pub fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// A number below `bound`, which is not 0, out of one byte.
    pub fn below(&mut self, bound: u8) -> usize {
        usize::from(self.u8() % bound)
    }

    /// One of these, which are not none and at most 255.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u8)]
    }

    /// As many bytes as the array has, filled up with zeros.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes(N);
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_zeros_past_the_end() {
        let mut choices = Choices::new(&[7, 2, 8, 9, 1, 2, 3, 255, 5]);
        assert_eq!(choices.u8(), 7);
        assert_eq!(choices.piece(), [8, 9]);
        assert_eq!(choices.u16(), 0x0102);
        assert_eq!(choices.one_of(&["a", "b"]), "b");
        assert!(!choices.is_empty());
        assert_eq!(choices.piece(), [5], "cut at the end");
        assert!(choices.is_empty());
        assert_eq!((choices.u64(), choices.flag(), choices.below(3), choices.rest()), (0, false, 0, &[][..]));
    }
}
