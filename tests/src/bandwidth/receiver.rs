//! The far end: writes transport-wide feedback, in bytes, about what arrived.
use std::collections::BTreeMap;

use crate::peer::rtcp::{Arrival, Rtcp, TransportFeedback, write};

/// Feedback is sent as often as this, in µs: more often when much has come.
const INTERVAL_US: i64 = 100_000;
const SHORT_INTERVAL_US: i64 = 50_000;
const MANY: usize = 16;
const TICK_US: i64 = 250;
/// Arrivals further apart do not fit one message.
const MAX_GAP_TICKS: i64 = 30_000;

/// What the receiver's clock shows when ours shows 0, so that nothing relies on them being alike.
const CLOCK_OFFSET_US: i64 = 77_000_000_123;

/// What feedback may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// All that was sent came, and all of a message at once.
    AllAtOnce,
    /// Each packet took twice as long after the one before as it did.
    Stretched,
    /// Each came at another time within two seconds, in no order.
    Scattered,
    /// Nothing came but every tenth packet.
    MostLost,
}

/// A receiver.
#[derive(Debug, Default)]
pub struct Receiver {
    /// Arrivals that were not reported, in ticks, by the number as it was sent, not wrapped.
    arrivals: BTreeMap<u64, i64>,
    next: u64,
    since_us: Option<i64>,
    feedback_count: u8,
    /// Added to the times that are told, in µs: a clock that was set, or lies.
    pub clock_error_us: i64,
    /// What it claims instead of the truth.
    pub lie: Option<Lie>,
}

impl Receiver {
    /// A packet arrived: when to ask for feedback.
    pub fn on_packet(&mut self, now_us: i64, number: u64) -> i64 {
        self.arrivals.insert(number, (now_us + CLOCK_OFFSET_US + self.clock_error_us) / TICK_US);
        let since_us = *self.since_us.get_or_insert(now_us);
        let is_many = self.arrivals.len() >= MANY;
        (since_us + if is_many { SHORT_INTERVAL_US } else { INTERVAL_US }).max(now_us)
    }

    /// The feedback that is due, if it is: a compound packet.
    pub fn feedback(&mut self, now_us: i64) -> Option<Vec<u8>> {
        let wait_us = if self.arrivals.len() >= MANY { SHORT_INTERVAL_US } else { INTERVAL_US };
        self.since_us.filter(|since| now_us - since >= wait_us)?;
        self.since_us = None;
        let arrivals = std::mem::take(&mut self.arrivals);
        let (first, last) = (*arrivals.keys().next()?, *arrivals.keys().next_back()?);
        let base = self.next.min(first).max(last.saturating_sub(4_000));
        self.next = last + 1;
        self.feedback_count = self.feedback_count.wrapping_add(1);
        let mut tick = *arrivals.values().next()?;
        let first_tick = tick;
        let told = (base..=last).map(|number| match self.told(number, arrivals.get(&number), first_tick) {
            Some(at) if (at - tick).abs() <= MAX_GAP_TICKS => {
                tick = at;
                Arrival::AtTick(at)
            }
            _ => Arrival::Lost,
        });
        let feedback = TransportFeedback {
            sender_ssrc: 1,
            media_ssrc: 2,
            feedback_count: self.feedback_count,
            base: base as u16,
            arrivals: told.collect(),
        };
        Some(write(&[Rtcp::TransportFeedback(feedback)]))
    }

    /// When a packet is said to have come, given when it did, and when the first of the message did.
    fn told(&self, number: u64, at: Option<&i64>, first: i64) -> Option<i64> {
        match self.lie {
            None => at.copied(),
            Some(Lie::AllAtOnce) => Some(first),
            Some(Lie::Stretched) => at.map(|at| first + (at - first) * 2),
            Some(Lie::Scattered) => {
                at.map(|_| first + (number.wrapping_mul(0x9E37_79B9) >> 7) as i64 % 8_000)
            }
            Some(Lie::MostLost) => at.filter(|_| number.is_multiple_of(10)).copied(),
        }
    }
}
