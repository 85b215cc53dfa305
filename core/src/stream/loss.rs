//! Counting what was expected and what came (RFC 3550 appendix A.3).

/// Packets expected and received of one stream.
///
/// Duplicates and what retransmission brings by another stream are not to be counted in, so that the loss is that of the path.
#[derive(Debug, Clone, Default)]
pub struct LossCounter {
    /// The lowest and the highest number since the start or the last restart.
    run: Option<(u64, u64)>,
    expected_before_run: u64,
    received: u64,
    expected_at_report: u64,
    received_at_report: u64,
    fraction_lost: u8,
}

/// The loss as a report block says it, and the numbers of the interval since the report before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LossReport {
    /// Share of the packets lost in the interval, in units of 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; negative when packets came that were not expected any more.
    pub cumulative_lost: i32,
    /// Packets expected in the interval.
    pub expected: u32,
    /// Packets lost in the interval.
    pub lost: u32,
}

impl LossCounter {
    /// Counts a packet. With `restarted`, the numbers from the highest one to this one are no loss.
    pub fn on_packet(&mut self, ext_seq: u64, restarted: bool) {
        self.received += 1;
        match &mut self.run {
            Some((lowest, highest)) if !restarted => {
                *lowest = ext_seq.min(*lowest);
                *highest = ext_seq.max(*highest);
            }
            _ => {
                self.expected_before_run = self.expected();
                self.run = Some((ext_seq, ext_seq));
            }
        }
    }

    /// Closes the interval.
    pub fn report(&mut self) -> LossReport {
        let expected = self.expected().saturating_sub(self.expected_at_report);
        let received = self.received - self.received_at_report;
        let lost = expected.saturating_sub(received);
        self.expected_at_report = self.expected();
        self.received_at_report = self.received;
        self.fraction_lost = (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8;
        LossReport {
            fraction_lost: self.fraction_lost,
            cumulative_lost: self.cumulative_lost(),
            expected: saturate(expected),
            lost: saturate(lost),
        }
    }

    /// Packets lost since the start, cut to the signed 24 bits of a report block.
    pub fn cumulative_lost(&self) -> i32 {
        (self.expected() as i64 - self.received as i64).clamp(-0x80_0000, 0x7f_ffff) as i32
    }

    /// Share of the packets lost in the last closed interval, in units of 1/256.
    pub fn fraction_lost(&self) -> u8 {
        self.fraction_lost
    }

    /// The highest number counted.
    pub fn highest(&self) -> Option<u64> {
        self.run.map(|(_, highest)| highest)
    }

    /// Packets received.
    pub fn received(&self) -> u64 {
        self.received
    }

    fn expected(&self) -> u64 {
        self.expected_before_run + self.run.map_or(0, |(lowest, highest)| highest - lowest + 1)
    }
}

fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_formula_of_rfc_3550() {
        let mut loss = LossCounter::default();
        assert_eq!(loss.report(), LossReport::default());
        for ext_seq in (100..200).filter(|n| n % 4 != 1) {
            loss.on_packet(ext_seq, false);
        }
        let expected = LossReport { fraction_lost: 64, cumulative_lost: 25, expected: 100, lost: 25 };
        assert_eq!(loss.report(), expected);
        assert_eq!(loss.report(), LossReport { cumulative_lost: 25, ..LossReport::default() });
        for ext_seq in (101..200).step_by(4).chain(200..210) {
            loss.on_packet(ext_seq, false);
        }
        // 35 came of 10 expected in this interval: no loss, and the sum is made good.
        assert_eq!(loss.report(), LossReport { expected: 10, ..LossReport::default() });
    }

    #[test]
    fn all_lost_but_the_last_is_not_256() {
        let mut loss = LossCounter::default();
        loss.on_packet(0, false);
        loss.report();
        loss.on_packet(3_000, false);
        assert_eq!((loss.report().fraction_lost, loss.fraction_lost()), (255, 255));
    }

    #[test]
    fn a_restart_is_no_loss() {
        let mut loss = LossCounter::default();
        loss.on_packet(10, false);
        loss.on_packet(12, false);
        loss.on_packet(60_000, true);
        loss.on_packet(60_001, false);
        let expected = LossReport { fraction_lost: 51, cumulative_lost: 1, expected: 5, lost: 1 };
        assert_eq!((loss.report(), loss.highest(), loss.received()), (expected, Some(60_001), 4));
    }

    #[test]
    fn packets_before_the_first_are_expected_too() {
        let mut loss = LossCounter::default();
        loss.on_packet(10, false);
        loss.on_packet(8, false);
        assert_eq!(loss.report().cumulative_lost, 1);
    }

    #[test]
    fn the_sum_is_cut_to_24_bits() {
        let mut loss = LossCounter::default();
        loss.on_packet(0, false);
        loss.on_packet(1 << 30, false);
        assert_eq!(loss.cumulative_lost(), 0x7f_ffff);
    }
}
