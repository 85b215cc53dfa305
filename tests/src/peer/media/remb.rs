//! The receiving end's estimate of what gets through, where there is no transport-wide feedback: REMB
//! (draft-alvestrand-rmcat-remb-03).
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::feedback::remb;
use crate::peer::rtp::{RtpPacket, is_newer};

/// The time between two messages.
const INTERVAL: Duration = Duration::from_secs(1);
/// Never below this, nor above.
const MIN_BPS: u64 = 30_000;
const MAX_BPS: u64 = 20_000_000;

/// Makes REMB messages from the packets of one receiving transport.
///
/// More than 10 % lost in an interval: down to what came. Else: up by half.
#[derive(Debug)]
pub struct RembGenerator {
    sender_ssrc: u32,
    estimate_bps: u64,
    /// The highest sequence number of each SSRC.
    highest: BTreeMap<u32, u16>,
    received: u64,
    bytes: u64,
    /// Of how many numbers the streams have grown.
    expected: u64,
    due_at: Option<Instant>,
}

impl RembGenerator {
    /// Of a transport by which nothing has come.
    pub fn new(sender_ssrc: u32) -> Self {
        RembGenerator {
            sender_ssrc,
            estimate_bps: MAX_BPS,
            highest: BTreeMap::new(),
            received: 0,
            bytes: 0,
            expected: 0,
            due_at: None,
        }
    }

    /// An RTP packet came, in the clear. What is none is ignored.
    pub fn on_rtp(&mut self, now: Instant, packet: &[u8]) {
        let Ok(RtpPacket { header, .. }) = RtpPacket::parse(packet) else { return };
        self.due_at.get_or_insert(now + INTERVAL);
        self.received += 1;
        self.bytes += packet.len() as u64;
        let before = self.highest.entry(header.ssrc).or_insert(header.sequence_number.wrapping_sub(1));
        if is_newer(header.sequence_number, *before) {
            self.expected += u64::from(header.sequence_number.wrapping_sub(*before));
            *before = header.sequence_number;
        }
    }

    /// Appends the message that is due, if any.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if self.due_at.is_none_or(|due_at| due_at > now) {
            return;
        }
        // Without a packet there is nothing to estimate by.
        self.due_at = None;
        let lost = self.expected.saturating_sub(self.received);
        let estimate_bps = if lost * 10 > self.expected { self.bytes * 8 } else { self.estimate_bps * 3 / 2 };
        self.estimate_bps = estimate_bps.clamp(MIN_BPS, MAX_BPS);
        (self.received, self.bytes, self.expected) = (0, 0, 0);
        let ssrcs: Vec<u32> = self.highest.keys().copied().collect();
        out.push(remb(self.sender_ssrc, self.estimate_bps, &ssrcs));
    }

    /// When to poll next.
    pub fn deadline(&self) -> Option<Instant> {
        self.due_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::rtcp::{self, Rtcp};
    use crate::peer::rtp::RtpHeader;

    fn estimate_of(generator: &mut RembGenerator, now: Instant) -> u64 {
        let mut out = Vec::new();
        generator.poll(now, &mut out);
        match rtcp::parse(&out[0]).unwrap().first() {
            Some(Rtcp::Remb { bitrate_bps, ssrcs, .. }) if *ssrcs == [7] => *bitrate_bps,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn losses_lower_the_estimate_and_their_absence_raises_it() {
        let mut now = Instant::now();
        let mut generator = RembGenerator::new(1);
        assert_eq!(generator.deadline(), None, "nothing has come");
        let header = RtpHeader { payload_type: 96, marker: false, sequence_number: 0, timestamp: 0, ssrc: 7 };
        let mut sequence_number = 65_500_u16;
        let mut second = |generator: &mut RembGenerator, step: u16| {
            for _ in 0..50 {
                sequence_number = sequence_number.wrapping_add(step);
                generator.on_rtp(now, &RtpHeader { sequence_number, ..header }.packet(&[], &[0; 488]));
            }
            now += INTERVAL;
            estimate_of(generator, now)
        };
        assert_eq!(second(&mut generator, 1), MAX_BPS);
        // 50 packets of 500 bytes in a second.
        assert_eq!(second(&mut generator, 2), 200_000);
        assert_eq!(second(&mut generator, 1), 300_000);
    }
}
