//! What the receiving side's feedback says about the rate to send at: a ceiling from REMB, and additive increase and
//! multiplicative decrease by the loss that transport-wide feedback tells of.
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::peer::rtcp::{Arrival, TransportFeedback};

/// Never below this.
const MIN_RATE_BPS: u64 = 30_000;
/// The rate changes at most this often.
const UPDATE_INTERVAL: Duration = Duration::from_millis(250);

/// The transport-wide sequence numbers of one transport: its senders hold clones.
#[derive(Debug, Clone, Default)]
pub struct TransportNumbers(Arc<AtomicU16>);

/// The rate that one sender is to keep to.
#[derive(Debug, Clone)]
pub struct Congestion {
    rate_bps: u64,
    highest_bps: u64,
    remb_bps: Option<u64>,
    /// Transport-wide numbers sent and not yet reported on, as bits.
    outstanding: Vec<u64>,
    received: u64,
    lost: u64,
    updated_at: Option<Instant>,
}

impl TransportNumbers {
    /// The next number.
    pub fn take(&self) -> u16 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Congestion {
    /// Starts with that rate, which is also the highest it goes to.
    pub fn new(highest_bps: u64) -> Self {
        Congestion {
            rate_bps: highest_bps,
            highest_bps,
            remb_bps: None,
            outstanding: Vec::new(),
            received: 0,
            lost: 0,
            updated_at: None,
        }
    }

    /// A packet left with that transport-wide number.
    pub fn on_sent(&mut self, number: u16) {
        if self.outstanding.is_empty() {
            self.outstanding = vec![0; 0x1_0000 / 64];
        }
        self.outstanding[usize::from(number >> 6)] |= 1 << (number & 63);
    }

    /// Packets were reported on.
    pub fn on_feedback(&mut self, now: Instant, feedback: &TransportFeedback) {
        for (number, arrival) in feedback.packets() {
            if self.forget(number) {
                match arrival {
                    Arrival::Lost => self.lost += 1,
                    Arrival::AtTick(_) => self.received += 1,
                }
            }
        }
        let updated_at = *self.updated_at.get_or_insert(now);
        let passed = now.saturating_duration_since(updated_at);
        if passed >= UPDATE_INTERVAL && self.received + self.lost > 0 {
            self.update(passed);
            self.updated_at = Some(now);
        }
    }

    /// The receiver estimates that no more than this gets through.
    pub fn on_remb(&mut self, bitrate_bps: u64) {
        self.remb_bps = Some(bitrate_bps);
    }

    /// The rate to send at.
    pub fn target_bps(&self) -> u64 {
        self.rate_bps.min(self.remb_bps.unwrap_or(u64::MAX)).max(MIN_RATE_BPS)
    }

    /// More than 10 % lost: down by half of the loss. Less than 2 %: up by 8 % a second.
    fn update(&mut self, passed: Duration) {
        let (lost, all) = (self.lost, self.lost + self.received);
        (self.lost, self.received) = (0, 0);
        if lost * 10 > all {
            self.rate_bps = (self.rate_bps - self.rate_bps * lost / all / 2).max(MIN_RATE_BPS);
        } else if lost * 50 < all {
            let step = self.rate_bps * passed.as_millis().min(1_000) as u64 * 8 / 100_000;
            self.rate_bps = (self.rate_bps + step + 1_000).min(self.highest_bps);
        }
    }

    /// Whether the number was outstanding.
    fn forget(&mut self, number: u16) -> bool {
        let Some(word) = self.outstanding.get_mut(usize::from(number >> 6)) else { return false };
        let bit = 1 << (number & 63);
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }
}
