//! What a receiver report says (RFC 3550 section 6.4.2 and appendix A).
use std::time::{Duration, Instant};

use crate::peer::rtcp::{ReportBlock, middle_32};

/// How a stream is received.
#[derive(Debug)]
pub(super) struct Reception {
    clock_rate: u32,
    first: Option<(u64, Instant)>,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// The difference of arrival and timestamp of the last packet, in timestamp units; and 16 times the jitter.
    transit: Option<u32>,
    jitter_q4: u32,
    /// NTP time of the last sender report, and when it came.
    last_sr: Option<(u64, Instant)>,
}

impl Reception {
    pub(super) fn new(clock_rate: u32) -> Self {
        Reception {
            clock_rate,
            first: None,
            highest: 0,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter_q4: 0,
            last_sr: None,
        }
    }

    /// A packet came; repairs are of another stream.
    pub(super) fn on_packet(&mut self, now: Instant, sequence: u64, timestamp: u32) {
        let (_, start) = *self.first.get_or_insert((sequence, now));
        self.highest = self.highest.max(sequence);
        self.received += 1;
        let since_start = now.saturating_duration_since(start);
        let arrival = since_start.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            // Appendix A.8.
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            self.jitter_q4 = self.jitter_q4 + difference - ((self.jitter_q4 + 8) >> 4).min(self.jitter_q4);
        }
    }

    pub(super) fn on_sender_report(&mut self, now: Instant, ntp_time: u64) {
        self.last_sr = Some((ntp_time, now));
    }

    /// The report about the stream; `None` before its first packet.
    pub(super) fn report(&mut self, now: Instant, ssrc: u32) -> Option<ReportBlock> {
        let (first, _) = self.first?;
        // The first packet to come need not be the first that was sent.
        let expected = (self.highest + 1).saturating_sub(first);
        let lost = expected as i64 - self.received as i64;
        let in_interval = expected - self.expected_before;
        let lost_in_interval = in_interval as i64 - (self.received - self.received_before) as i64;
        (self.expected_before, self.received_before) = (expected, self.received);
        let fraction = if in_interval == 0 || lost_in_interval <= 0 {
            0
        } else {
            (lost_in_interval * 256 / in_interval as i64).min(255)
        };
        let (last_sr, delay) = self.last_sr.map_or((0, Duration::ZERO), |(ntp_time, at)| {
            (middle_32(ntp_time), now.saturating_duration_since(at))
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            // Extended numbers begin above 2¹⁶: the count of cycles begins with 0.
            highest_sequence: (self.highest - 0x1_0000) as u32,
            jitter: self.jitter_q4 >> 4,
            last_sr,
            delay_since_last_sr: ((delay.as_nanos() << 16) / 1_000_000_000) as u32,
        })
    }
}
