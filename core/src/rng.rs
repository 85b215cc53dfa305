//! The one seeded source of randomness.
//!
//! Everything random in the core (ICE credentials, SSRCs, certificate keys, tokens) is drawn here, so that the same seed and
//! the same inputs give the same outputs. ChaCha20 is a cryptographically secure generator: with a secret seed the values
//! are fit for credentials.
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A seeded cryptographically secure random generator (ChaCha20).
///
/// ```
/// use sansfu::rng::Rng;
/// assert_eq!(Rng::from_seed([7; 32]).next_u64(), Rng::from_seed([7; 32]).next_u64());
/// ```
#[derive(Debug, Clone)]
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// A generator whose whole future is given by `seed`.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Rng(ChaCha20Rng::from_seed(seed))
    }

    /// A generator of its own stream, so that what its owner draws does not shift anybody else's draws.
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        Rng::from_seed(seed)
    }

    /// Fills `buffer` with random bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill_bytes(buffer);
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // Multiply-shift with rejection of the few values that would favour the low results.
        let threshold = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// `length` random letters and digits: an `ice-char` string (RFC 8839 section 5.4), 5.95 bits each.
    pub fn alphanumeric(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(ALPHANUMERIC[self.below(62) as usize])).collect()
    }

    /// An SSRC that is neither 0 nor near the ends of the range, as eight decimal digits (mediasoup's habit: easy to read in
    /// logs, and clear of the SSRCs that clients reserve for probing).
    pub fn ssrc(&mut self) -> u32 {
        100_000_000 + self.below(900_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[rng.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1_200).contains(&n)), "{seen:?}");
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn forks_are_independent_streams() {
        let mut a = Rng::from_seed([2; 32]);
        let mut fork = a.fork();
        let mut b = Rng::from_seed([2; 32]);
        let mut other = b.fork();
        fork.next_u64();
        assert_eq!(a.next_u64(), b.next_u64(), "drawing from a fork shifts nothing");
        other.next_u64();
        assert_eq!(fork.next_u64(), other.next_u64());
    }

    #[test]
    fn strings_are_ice_chars() {
        let text = Rng::from_seed([3; 32]).alphanumeric(32);
        assert_eq!(text.len(), 32);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
