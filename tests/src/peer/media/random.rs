//! Pseudo-random numbers that are a function of a seed: cheap, and the same everywhere.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of that seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// A number that depends on every bit of `value`.
#[inline]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// Appends `len` bytes that are a function of `seed`.
pub fn fill(seed: u64, len: usize, out: &mut Vec<u8>) {
    let mut random = Random::new(seed);
    let end = out.len() + len;
    out.reserve(len + 8);
    while out.len() < end {
        out.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    out.truncate(end);
}

/// Whether `bytes` are what [`fill`] makes.
pub fn is_fill(seed: u64, bytes: &[u8]) -> bool {
    let mut random = Random::new(seed);
    bytes.chunks(8).all(|chunk| random.next_u64().to_le_bytes()[..chunk.len()] == *chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_is_recognised_and_nothing_else() {
        for len in [0, 1, 7, 8, 9, 1_000] {
            let mut bytes = Vec::new();
            fill(3, len, &mut bytes);
            assert_eq!(bytes.len(), len);
            assert!(is_fill(3, &bytes));
            for at in 0..len {
                bytes[at] ^= 0x10;
                assert!(!is_fill(3, &bytes));
                bytes[at] ^= 0x10;
            }
        }
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(1);
        assert!((0..1_000).all(|_| random.below(7) < 7));
    }
}
