//! Reading and writing numbers of any width, highest bit first.

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

    /// Bits read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bits not read yet.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.position
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

/// Appends bits to a buffer of at most `N` bytes.
#[derive(Debug, Default)]
pub(super) struct BitWriter<const N: usize> {
    bytes: heapless::Vec<u8, N>,
    /// Bits written so far.
    position: usize,
}

impl<const N: usize> BitWriter<N> {
    /// The lowest `width` bits of a number, at most 32. `None` when the buffer is full.
    pub(super) fn bits(&mut self, value: u32, width: usize) -> Option<()> {
        for at in (0..width).rev() {
            if self.position.is_multiple_of(8) {
                self.bytes.push(0).ok()?;
            }
            let bit = (value >> at & 1) as u8;
            *self.bytes.last_mut()? |= bit << (7 - self.position % 8);
            self.position += 1;
        }
        Some(())
    }

    /// The next `count` bits of a reader.
    pub(super) fn copy(&mut self, reader: &mut BitReader<'_>, count: usize) -> Option<()> {
        let mut left = count;
        while left > 0 {
            let width = left.min(32);
            self.bits(reader.bits(width)?, width)?;
            left -= width;
        }
        Some(())
    }

    /// What was written, with zeros up to the next whole byte.
    pub(super) fn finish(self) -> heapless::Vec<u8, N> {
        self.bytes
    }
}
