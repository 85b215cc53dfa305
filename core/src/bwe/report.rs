//! The estimate for clients that send no transport-wide feedback: what their REMB messages say, or else what the loss in their
//! receiver reports allows (draft-ietf-rmcat-gcc-02 section 6).

/// Loss in units of 1/256: below the first (2 %) the rate grows, above the second (10 %) it falls by half of the loss.
const LITTLE_LOSS: u8 = 5;
const MUCH_LOSS: u8 = 25;
/// Growth and reactions at most once in this time.
const INTERVAL_US: i64 = 1_000_000;
const GROWTH_PERCENT: u64 = 8;

/// Follows the reports of one client.
#[derive(Debug, Clone, Copy)]
pub struct ReportControl {
    remb_bps: Option<u64>,
    rate_bps: u64,
    updated_us: Option<i64>,
}

impl ReportControl {
    /// Starts at `rate_bps`.
    pub const fn new(rate_bps: u64) -> Self {
        ReportControl { remb_bps: None, rate_bps, updated_us: None }
    }

    /// The client estimates that it can receive so much.
    pub fn on_remb(&mut self, bitrate_bps: u64) {
        self.remb_bps = Some(bitrate_bps);
    }

    /// A receiver report came; `sent_bps` is what is being sent.
    pub fn on_loss(&mut self, now_us: i64, fraction_lost: u8, sent_bps: u64) {
        if self.updated_us.is_some_and(|at| now_us - at < INTERVAL_US) {
            return;
        }
        self.updated_us = Some(now_us);
        if fraction_lost > MUCH_LOSS {
            self.rate_bps = self.rate_bps * (512 - u64::from(fraction_lost)) / 512;
        } else if fraction_lost < LITTLE_LOSS {
            let grown = self.rate_bps * (100 + GROWTH_PERCENT) / 100;
            // A sender that does not use the rate shows nothing by not losing.
            self.rate_bps = self.rate_bps.max(grown.min(sent_bps.saturating_mul(3) / 2));
        }
    }

    /// Nothing at all was heard of what was sent: goes on with no more than this.
    pub fn lower_to(&mut self, rate_bps: u64) {
        self.rate_bps = self.rate_bps.min(rate_bps);
    }

    /// What the reports allow, in bits a second.
    pub fn rate_bps(&self) -> u64 {
        self.remb_bps.unwrap_or(self.rate_bps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_moves_the_rate_once_a_second_and_remb_overrules_it() {
        let mut control = ReportControl::new(1_000_000);
        control.on_loss(0, 0, 1_000_000);
        assert_eq!(control.rate_bps(), 1_080_000);
        control.on_loss(500_000, 255, 1_000_000);
        assert_eq!(control.rate_bps(), 1_080_000);
        control.on_loss(1_000_000, 128, 1_000_000);
        assert_eq!(control.rate_bps(), 810_000);
        control.on_loss(2_000_000, 0, 100_000);
        assert_eq!(control.rate_bps(), 810_000);
        control.on_remb(333_000);
        assert_eq!(control.rate_bps(), 333_000);
    }
}
