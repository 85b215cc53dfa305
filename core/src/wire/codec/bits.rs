//! Reading numbers of any width, highest bit first.

/// A bit cursor over untrusted bytes. Every read is checked.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// An unsigned number of `width` bits, at most 32.
    pub(super) fn bits(&mut self, width: usize) -> Option<u32> {
        let mut value = 0u64;
        let mut needed = width;
        while needed > 0 {
            let byte = *self.bytes.get(self.position / 8)?;
            let available = 8 - self.position % 8;
            let taken = available.min(needed);
            let chunk = u32::from(byte) >> (available - taken) & ((1 << taken) - 1);
            value = value << taken | u64::from(chunk);
            self.position += taken;
            needed -= taken;
        }
        Some(value as u32)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    /// An unsigned number below `count`, in as few bits as the value needs: `ns(n)` of the AV1 specification, section 4.10.7.
    pub(super) fn below(&mut self, count: u32) -> Option<u32> {
        let width = (u32::BITS - count.leading_zeros()) as usize;
        let short_values = (1u32 << width) - count;
        let value = self.bits(width.saturating_sub(1))?;
        if value < short_values {
            return Some(value);
        }
        Some((value << 1) - short_values + self.bits(1)?)
    }
}
