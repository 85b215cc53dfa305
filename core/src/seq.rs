//! Sequence numbers that wrap, and their extension to numbers that do not.

/// Whether `a` comes after `b` on the circle of 16-bit sequence numbers (RFC 1982 with SERIAL_BITS 16).
pub const fn is_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Whether `a` comes after `b` on the circle of 32-bit RTP timestamps.
pub const fn is_newer_timestamp(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// The extended number with the low 16 bits `seq` that lies nearest to `reference`; never below 0.
///
/// A number exactly half the circle away counts as older.
pub const fn extend(reference: u64, seq: u16) -> u64 {
    let forward = seq.wrapping_sub(reference as u16) as u64;
    if forward < 0x8000 || reference + forward < 0x1_0000 {
        reference + forward
    } else {
        reference + forward - 0x1_0000
    }
}

/// Extends the 16-bit numbers of one stream by the highest number seen so far.
///
/// The first number starts in the second cycle (65536 + seq), so that packets reordered before the first one still have a
/// place below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extender {
    highest: Option<u64>,
}

impl Extender {
    /// The extended number of `seq`; does not move the highest number (see [`Extender::advance`]).
    pub const fn extend(&self, seq: u16) -> u64 {
        match self.highest {
            Some(highest) => extend(highest, seq),
            None => 0x1_0000 + seq as u64,
        }
    }

    /// Extends `seq` and remembers it if it is the highest.
    pub fn advance(&mut self, seq: u16) -> u64 {
        let extended = self.extend(seq);
        if self.highest.is_none_or(|highest| extended > highest) {
            self.highest = Some(extended);
        }
        extended
    }

    /// The highest number so far.
    pub const fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_on_the_circle() {
        assert!(is_newer(0, 65_535) && !is_newer(65_535, 0));
        assert!(is_newer(0x7fff, 0) && !is_newer(0x8000, 0) && !is_newer(5, 5));
        assert!(is_newer_timestamp(5, u32::MAX) && !is_newer_timestamp(u32::MAX, 5));
    }

    #[test]
    fn extension_goes_both_ways_over_the_wrap() {
        assert_eq!(extend(0x1_ffff, 0), 0x2_0000);
        assert_eq!(extend(0x2_0000, 0xffff), 0x1_ffff);
        assert_eq!(extend(10, 0xffff), 0xffff, "never below zero");
        assert_eq!(extend(0x1_0000, 0x8000), 0x8000, "half the circle away is older");
    }

    #[test]
    fn extender_follows_a_stream_with_reordering() {
        let mut extender = Extender::default();
        assert_eq!(extender.advance(65_534), 0x1_fffe);
        assert_eq!(extender.advance(1), 0x2_0001);
        assert_eq!(extender.advance(65_535), 0x1_ffff);
        assert_eq!(extender.highest(), Some(0x2_0001));
        assert_eq!(extender.extend(3), 0x2_0003);
        assert_eq!(extender.highest(), Some(0x2_0001));
    }

    #[test]
    fn extension_agrees_with_the_true_number_within_half_a_circle() {
        for truth in [0x1_0000u64, 0x1_7fff, 0x1_8000, 0x2_ffff, 0xffff_ffff] {
            for offset in [-0x8000i64, -0x7fff, -1, 0, 1, 0x7fff] {
                let other = truth.saturating_add_signed(offset);
                assert_eq!(extend(truth, other as u16), other, "{truth:#x} {offset}");
            }
        }
    }
}
