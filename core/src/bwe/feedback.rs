//! Feedback to a sender about the arrival of its packets (draft-holmer-rmcat-transport-wide-cc-extensions-01).
use std::time::{Duration, Instant};

use crate::rate::RateCounter;
use crate::seq;
use crate::wire::rtcp::{TransportFeedbackHeader, write_transport_feedback};

/// How many transport-wide numbers are remembered, a power of two.
const WINDOW: usize = 1_024;

/// Longest wait for feedback after a packet, and the shortest, which keeps the sender's estimate as lively as it can be.
const LONGEST_INTERVAL: Duration = Duration::from_millis(100);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);

/// Of what comes in, so much in percent may go back as feedback: libwebrtc's share.
const FEEDBACK_PERCENT: u64 = 5;

/// What a message is taken to weigh, in bytes: libwebrtc's IPv4, UDP and SRTCP around a message about a dozen packets.
const TYPICAL_MESSAGE_BYTES: u64 = 68;

/// Unreported numbers that make feedback due at once.
const NEARLY_FULL: u64 = WINDOW as u64 / 2;

/// Largest message, so that it fits any path's MTU with SRTCP and an IPv6 header.
const MAX_MESSAGE_BYTES: usize = 1_100;

/// Unit of arrival times and deltas.
const TICK_US: u128 = 250;

/// Packets behind the window in a row that show that the sender began to number anew.
const RESTART_RUN: u8 = 10;

/// Records when the packets of a transport arrived, by their transport-wide sequence numbers, and reports it.
///
/// Feedback is due 50 to 100 ms after the first unreported packet, so that it takes about 5 % of the rate at which packets
/// come, or at once when half of the window is unreported. A packet that arrives after its number was reported as missing is
/// reported once more, with all that follow it.
#[derive(Debug, Clone)]
pub struct TransportFeedbackRecorder {
    epoch: Instant,
    /// When each of the last numbers arrived, in ticks since the epoch modulo 2³², which is also where reference times wrap; 0
    /// when it did not. Empty before the first packet.
    arrivals: Vec<u32>,
    highest: u64,
    /// The first number to report next.
    next: u64,
    /// Since when there is something that was not reported.
    pending_since: Option<Instant>,
    rate: RateCounter,
    due: Option<Instant>,
    media_ssrc: u32,
    feedback_packet_count: u8,
    stale_run: u8,
    /// Of the last message: packets that did not arrive, and all.
    reported: (usize, usize),
}

impl TransportFeedbackRecorder {
    /// Reports arrival times relative to `epoch`, which may be any time that is not after the first packet.
    pub const fn new(epoch: Instant) -> Self {
        TransportFeedbackRecorder {
            epoch,
            arrivals: Vec::new(),
            highest: 0,
            next: 0,
            pending_since: None,
            rate: RateCounter::new(),
            due: None,
            media_ssrc: 0,
            feedback_packet_count: 0,
            stale_run: 0,
            reported: (0, 0),
        }
    }

    /// A packet of the stream `ssrc` with this transport-wide number arrived; it has `bytes`.
    pub fn on_packet(&mut self, now: Instant, twcc_seq: u16, ssrc: u32, bytes: usize) {
        self.rate.add(now, bytes);
        if !self.place(twcc_seq, now) {
            return;
        }
        self.media_ssrc = ssrc;
        let is_first = self.pending_since.is_none();
        let since = *self.pending_since.get_or_insert(now);
        let due = if self.highest - self.next >= NEARLY_FULL {
            now
        } else if is_first {
            since + self.interval(now)
        } else {
            return;
        };
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// Appends one feedback message if one is due, and says whether it did. Call it until it does not: what does not fit one
    /// message goes into the next.
    pub fn write(&mut self, now: Instant, out: &mut Vec<u8>, sender_ssrc: u32) -> bool {
        if !self.is_due(now) {
            return false;
        }
        let (reference, deltas) = self.deltas();
        let header = TransportFeedbackHeader {
            sender_ssrc,
            media_ssrc: self.media_ssrc,
            base_sequence_number: self.next as u16,
            reference_time_64ms: reference as i32,
            feedback_packet_count: self.feedback_packet_count,
        };
        let written = write_transport_feedback(out, &header, &deltas, MAX_MESSAGE_BYTES);
        self.next += written as u64;
        let reported = deltas.get(..written).unwrap_or_default();
        self.reported = (reported.iter().filter(|delta| delta.is_none()).count(), written);
        if written == 0 || self.next > self.highest {
            self.next = self.highest + 1;
            self.pending_since = None;
            self.due = None;
        }
        self.feedback_packet_count = self.feedback_packet_count.wrapping_add(u8::from(written > 0));
        written > 0
    }

    /// How many packets the last message told of as lost, and of how many it told.
    pub fn reported(&self) -> (usize, usize) {
        self.reported
    }

    /// Whether to call [`Self::write`] now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// When to call [`Self::write`].
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// How long a message may wait at the rate at which packets come.
    fn interval(&self, now: Instant) -> Duration {
        let feedback_bps = self.rate.rate_bps(now) * FEEDBACK_PERCENT / 100;
        let spacing_ms = (TYPICAL_MESSAGE_BYTES * 8 * 1_000).checked_div(feedback_bps).unwrap_or(u64::MAX);
        Duration::from_millis(spacing_ms).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    }

    /// Notes an arrival; whether it is news.
    fn place(&mut self, twcc_seq: u16, now: Instant) -> bool {
        // 0 stands for a packet that did not arrive; a quarter of a millisecond once in twelve days is no loss.
        let tick = ((now.saturating_duration_since(self.epoch).as_micros() / TICK_US) as u32).max(1);
        if self.arrivals.is_empty() {
            self.arrivals = vec![0; WINDOW];
            self.begin(0x1_0000 + u64::from(twcc_seq), tick);
            return true;
        }
        let ext_seq = seq::extend(self.highest, twcc_seq);
        if ext_seq >= self.highest + WINDOW as u64 {
            self.begin(ext_seq, tick);
        } else if ext_seq > self.highest {
            (self.highest + 1..ext_seq).for_each(|missing| self.set(missing, 0));
            self.set(ext_seq, tick);
            self.highest = ext_seq;
            // The places of those before have been given to others.
            self.next = self.next.max((ext_seq + 1).saturating_sub(WINDOW as u64));
        } else if ext_seq + NEARLY_FULL > self.highest {
            if self.arrival(ext_seq) != 0 {
                return false;
            }
            self.set(ext_seq, tick);
            self.next = self.next.min(ext_seq);
        } else {
            self.stale_run += 1;
            if self.stale_run < RESTART_RUN {
                return false;
            }
            self.begin(self.highest + u64::from(twcc_seq.wrapping_sub(self.highest as u16)), tick);
        }
        self.stale_run = 0;
        true
    }

    /// Starts with this number; all before is forgotten.
    fn begin(&mut self, ext_seq: u64, tick: u32) {
        self.arrivals.fill(0);
        self.set(ext_seq, tick);
        self.highest = ext_seq;
        self.next = ext_seq;
    }

    /// The reference time in units of 64 ms, and the deltas from `next` on, up to the first that does not fit its 16 bits.
    fn deltas(&self) -> (u32, heapless::Vec<Option<i16>, WINDOW>) {
        let mut deltas = heapless::Vec::new();
        let first = (self.next..=self.highest).map(|number| self.arrival(number)).find(|&tick| tick != 0);
        let reference = first.unwrap_or(0) >> 8;
        let mut last = reference << 8;
        for number in self.next..=self.highest {
            let tick = self.arrival(number);
            let delta = if tick == 0 {
                None
            } else {
                let Ok(delta) = i16::try_from(tick.wrapping_sub(last) as i32) else { break };
                last = tick;
                Some(delta)
            };
            if deltas.push(delta).is_err() {
                break;
            }
        }
        (reference, deltas)
    }

    fn arrival(&self, ext_seq: u64) -> u32 {
        self.arrivals.get(ext_seq as usize % WINDOW).copied().unwrap_or(0)
    }

    fn set(&mut self, ext_seq: u64, tick: u32) {
        if let Some(slot) = self.arrivals.get_mut(ext_seq as usize % WINDOW) {
            *slot = tick;
        }
    }
}

#[cfg(test)]
mod tests;
