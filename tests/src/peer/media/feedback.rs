//! What the receiving end of a transport tells the sending one about all of its streams together: transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01) and REMB.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::peer::rtcp::{self, Arrival, Rtcp, TransportFeedback, tick_of_us};
use crate::peer::rtp::{RtpPacket, extend};

/// The time between two feedback packets.
const INTERVAL: Duration = Duration::from_millis(50);
/// Most packets that one feedback packet tells of; more than that apart is no loss but another beginning.
const MAX_STATUSES: u64 = 1_000;
/// What came longer than that before the newest packet is no longer told of: a delta reaches 8 s.
const MAX_AGE_US: i64 = 4_000_000;
/// Where the reference time counts from, ahead of the first packet, in microseconds: any but 0 will do.
const FIRST_ARRIVAL_US: i64 = 1_000_000;

/// Makes transport-wide feedback from the packets of one receiving transport.
#[derive(Debug)]
pub struct FeedbackGenerator {
    extension_id: u8,
    sender_ssrc: u32,
    media_ssrc: u32,
    start: Option<Instant>,
    /// Extended transport-wide numbers, beginning above 2¹⁶, and when each came.
    arrived: BTreeMap<u64, i64>,
    highest: u64,
    /// The first number that the next feedback packet tells of.
    next_base: Option<u64>,
    due_at: Option<Instant>,
    feedback_count: u8,
}

impl FeedbackGenerator {
    /// For a transport whose packets carry their transport-wide number in the extension of that id.
    pub fn new(extension_id: u8, sender_ssrc: u32) -> Self {
        FeedbackGenerator {
            extension_id,
            sender_ssrc,
            media_ssrc: 0,
            start: None,
            arrived: BTreeMap::new(),
            highest: 0,
            next_base: None,
            due_at: None,
            feedback_count: 0,
        }
    }

    /// An RTP packet came, in the clear. What is none, or has no number, is ignored.
    pub fn on_rtp(&mut self, now: Instant, packet: &[u8]) {
        let Ok(packet) = RtpPacket::parse(packet) else { return };
        let Some(&[high, low]) = packet.extension(self.extension_id) else { return };
        let number = u16::from_be_bytes([high, low]);
        let start = *self.start.get_or_insert(now);
        let number =
            if self.highest == 0 { 0x1_0000 | u64::from(number) } else { extend(number, self.highest) };
        self.media_ssrc = packet.header.ssrc;
        self.highest = self.highest.max(number);
        let base = *self.next_base.get_or_insert(number);
        if number < base && base - number < MAX_STATUSES && !self.arrived.contains_key(&number) {
            // Late: the next feedback tells of it again from there on.
            self.next_base = Some(number);
        }
        let arrival_us = FIRST_ARRIVAL_US + now.saturating_duration_since(start).as_micros() as i64;
        self.arrived.entry(number).or_insert(arrival_us);
        self.due_at.get_or_insert(now + INTERVAL);
    }

    /// Appends the feedback packet that is due, if any.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        if self.due_at.is_none_or(|due_at| due_at > now) {
            return;
        }
        self.due_at = None;
        let Some(base) = self.next_base else { return };
        let base = base.max((self.highest + 1).saturating_sub(MAX_STATUSES));
        let newest_us = self.arrived.values().copied().max().unwrap_or(0);
        let arrival = |number: u64| match self.arrived.get(&number) {
            Some(&at_us) if newest_us - at_us <= MAX_AGE_US => Arrival::AtTick(tick_of_us(at_us)),
            _ => Arrival::Lost,
        };
        let feedback = TransportFeedback {
            sender_ssrc: self.sender_ssrc,
            media_ssrc: self.media_ssrc,
            feedback_count: self.feedback_count,
            base: base as u16,
            arrivals: (base..=self.highest).map(arrival).collect(),
        };
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.next_base = Some(self.highest + 1);
        self.arrived = self.arrived.split_off(&self.highest.saturating_sub(MAX_STATUSES));
        out.push(rtcp::write(&[Rtcp::TransportFeedback(feedback)]));
    }

    /// When to poll next.
    pub fn deadline(&self) -> Option<Instant> {
        self.due_at
    }
}

/// A REMB message: the streams together are to stay below that rate.
pub fn remb(sender_ssrc: u32, bitrate_bps: u64, ssrcs: &[u32]) -> Vec<u8> {
    rtcp::write(&[Rtcp::Remb { sender_ssrc, bitrate_bps, ssrcs: ssrcs.to_vec() }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::rtp::RtpHeader;

    fn packet(number: u16) -> Vec<u8> {
        RtpHeader { payload_type: 96, marker: false, sequence_number: 0, timestamp: 0, ssrc: 7 }
            .packet(&[(5, &number.to_be_bytes())], b"x")
    }

    fn feedback(generator: &mut FeedbackGenerator, now: Instant) -> Option<TransportFeedback> {
        let mut out = Vec::new();
        generator.poll(now, &mut out);
        let packets = rtcp::parse(out.first()?).unwrap();
        match packets.into_iter().next() {
            Some(Rtcp::TransportFeedback(feedback)) => Some(feedback),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arrivals_and_losses_are_told_over_the_wrap() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut generator = FeedbackGenerator::new(5, 1);
        for (ms, number) in [(0, 65_534), (1, 65_535), (3, 1), (10, 2)] {
            generator.on_rtp(at(ms), &packet(number));
        }
        assert_eq!(generator.deadline(), Some(at(50)));
        assert_eq!(feedback(&mut generator, at(49)), None);
        let first = feedback(&mut generator, at(50)).unwrap();
        let ticks = |ms: i64| Arrival::AtTick(tick_of_us(FIRST_ARRIVAL_US + ms * 1_000));
        assert_eq!((first.base, first.media_ssrc), (65_534, 7));
        assert_eq!(first.arrivals, [ticks(0), ticks(1), Arrival::Lost, ticks(3), ticks(10)]);
        assert_eq!(generator.deadline(), None);

        // What was lost comes after all.
        generator.on_rtp(at(60), &packet(0));
        generator.on_rtp(at(61), &packet(3));
        let second = feedback(&mut generator, at(110)).unwrap();
        assert_eq!((second.base, second.feedback_count), (0, 1));
        assert_eq!(second.arrivals, [ticks(60), ticks(3), ticks(10), ticks(61)]);
    }

    #[test]
    fn packets_without_a_number_are_ignored() {
        let now = Instant::now();
        let mut generator = FeedbackGenerator::new(4, 1);
        generator.on_rtp(now, &packet(3));
        generator.on_rtp(now, &[0; 3]);
        assert_eq!(generator.deadline(), None);
    }

    #[test]
    fn remb_is_read_back() {
        let expected = Rtcp::Remb { sender_ssrc: 1, bitrate_bps: 250_000, ssrcs: vec![2] };
        assert_eq!(rtcp::parse(&remb(1, 250_000, &[2])), Ok(vec![expected]));
    }
}
