//! What a client receives: counted by what stands in the clear, decrypted only where latency is measured, and acknowledged, so
//! that the server goes on sending all that it can.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sansfu::wire::rtp;

use super::path::Path;
use super::source::stamp;
use super::stats::{Histogram, Totals};
use super::stream::{Arrived, ReceivedStream};
use crate::peer::rtcp::{self, Arrival, ReportBlock, Rtcp, TransportFeedback, tick_of_us};
use crate::peer::rtp::extend;

/// The time between two packets of transport-wide feedback.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);
/// The time between two receiver reports, and between two requests for a first keyframe.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// A receiver report has no room for more (RFC 3550 section 6.4.2).
const MOST_BLOCKS: usize = 31;
/// Numbers further apart are no loss but another beginning.
const MOST_STATUSES: u64 = 2_000;
/// "defined by profile" of one-byte header extensions (RFC 8285 section 4.2).
const ONE_BYTE_PROFILE: [u8; 2] = [0xbe, 0xde];

/// A consumer, as the server has described it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Of its stream.
    pub ssrc: u32,
    /// Of what is sent again.
    pub rtx_ssrc: Option<u32>,
    /// Whether it begins with a keyframe.
    pub is_video: bool,
    /// The id of the header extension with the transport-wide number.
    pub transport_cc: Option<u8>,
}

/// The consumers of one client.
#[derive(Debug)]
pub struct Receiving {
    is_full: bool,
    own_ssrc: u32,
    tracks: BTreeMap<u32, Track>,
    feedback: Feedback,
    feedback_due_at: Instant,
    report_due_at: Instant,
}

#[derive(Debug)]
struct Track {
    is_video: bool,
    stream: ReceivedStream,
    /// What was expected when the measurement began.
    expected_before: u64,
    /// The middle of the last sender report's NTP time, and when it came.
    last_report: Option<(u32, Instant)>,
}

impl Receiving {
    /// Nothing yet. A full one decrypts.
    pub fn new(now: Instant, is_full: bool, own_ssrc: u32) -> Self {
        Receiving {
            is_full,
            own_ssrc,
            tracks: BTreeMap::new(),
            feedback: Feedback::default(),
            feedback_due_at: now + FEEDBACK_INTERVAL,
            report_due_at: now + REPORT_INTERVAL,
        }
    }

    /// There is a further consumer.
    pub fn add(&mut self, offer: Offer) {
        let track = Track {
            is_video: offer.is_video,
            stream: ReceivedStream::default(),
            expected_before: 0,
            last_report: None,
        };
        self.tracks.insert(offer.ssrc, track);
        self.feedback.extension_id = self.feedback.extension_id.or(offer.transport_cc);
    }

    /// A packet of one of the tracks, or of something else, came at that time since 1970. Says whether it was media.
    pub fn handle_rtp(
        &mut self,
        packet: &mut [u8],
        came_at: Duration,
        path: &mut Path,
        totals: &mut Totals,
        latency: &mut Histogram,
    ) -> bool {
        let Some((ssrc, number)) = rtp::stream_position(packet) else { return false };
        self.feedback.on_packet(packet, ssrc, came_at);
        let Some(track) = self.tracks.get_mut(&ssrc) else {
            totals.extra += 1;
            return false;
        };
        let bytes = packet.len() as u64;
        if self.is_full {
            let Some(length) = path.open_rtp(packet) else {
                totals.refused += 1;
                return false;
            };
            if let Some(sent_at) = stamp::read(&packet[..length]) {
                latency.record(came_at.saturating_sub(sent_at));
            }
        }
        match track.stream.on_packet(number) {
            Arrived::New { expected } => {
                totals.expected += expected;
                totals.received += 1;
                totals.received_bytes += bytes;
            }
            Arrived::Double => totals.refused += 1,
        }
        true
    }

    /// Takes what the server says of what it sends.
    pub fn handle_rtcp(&mut self, now: Instant, compound: &[u8]) {
        for packet in rtcp::parse(compound).unwrap_or_default() {
            if let Rtcp::SenderReport(ssrc, info, _) = packet
                && let Some(track) = self.tracks.get_mut(&ssrc)
            {
                track.last_report = Some((rtcp::middle_32(info.ntp_time), now));
            }
        }
    }

    /// Sends what is due.
    pub fn poll(&mut self, now: Instant, path: &mut Path) {
        if self.feedback_due_at <= now {
            self.feedback_due_at = now + FEEDBACK_INTERVAL;
            if let Some(feedback) = self.feedback.take(self.own_ssrc) {
                path.send_rtcp(rtcp::write(&[Rtcp::TransportFeedback(feedback)]));
            }
        }
        if self.report_due_at <= now {
            self.report_due_at = now + REPORT_INTERVAL;
            self.report(now, path);
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Instant {
        self.feedback_due_at.min(self.report_due_at)
    }

    /// A measurement begins.
    pub fn begin_measurement(&mut self) {
        for track in self.tracks.values_mut() {
            track.expected_before = track.stream.counts().0;
        }
    }

    /// Tracks of which nothing has come since the measurement began.
    pub fn silent_tracks(&self) -> u64 {
        self.tracks.values().filter(|track| track.stream.counts().0 == track.expected_before).count() as u64
    }

    fn report(&mut self, now: Instant, path: &mut Path) {
        let own_ssrc = self.own_ssrc;
        let silent = self.tracks.iter().filter(|(_, track)| track.is_video && !track.stream.has_begun());
        let requests: Vec<Rtcp> =
            silent.map(|(ssrc, _)| Rtcp::Pli { sender_ssrc: own_ssrc, media_ssrc: *ssrc }).collect();
        let begun = self.tracks.iter_mut().filter(|(_, track)| track.stream.has_begun());
        let blocks: Vec<ReportBlock> = begun.map(|(ssrc, track)| track.report(now, *ssrc)).collect();
        let reports =
            blocks.chunks(MOST_BLOCKS).map(|blocks| Rtcp::ReceiverReport(own_ssrc, blocks.to_vec()));
        let packets: Vec<Rtcp> = reports.chain(requests).collect();
        // Each compound fits a datagram.
        packets.chunks(1).for_each(|packets| path.send_rtcp(rtcp::write(packets)));
    }
}

impl Track {
    fn report(&mut self, now: Instant, ssrc: u32) -> ReportBlock {
        let mut block = self.stream.report(ssrc);
        if let Some((middle, came_at)) = self.last_report {
            block.last_sr = middle;
            block.delay_since_last_sr = (now.duration_since(came_at).as_secs_f64() * 65_536.0) as u32;
        }
        block
    }
}

/// Collects when packets came, for transport-wide feedback.
#[derive(Debug, Default)]
struct Feedback {
    extension_id: Option<u8>,
    media_ssrc: u32,
    /// Extended numbers above 2¹⁶, and times in microseconds since the first packet's.
    arrived: Vec<(u64, i64)>,
    highest: u64,
    /// The first number that the next feedback tells of.
    next_base: u64,
    /// When the first packet came.
    start: Option<Duration>,
    count: u8,
}

impl Feedback {
    fn on_packet(&mut self, packet: &[u8], ssrc: u32, came_at: Duration) {
        let Some(number) = self.extension_id.and_then(|id| transport_number(packet, id)) else { return };
        let start = *self.start.get_or_insert(came_at);
        let number = match self.highest {
            0 => 1 << 16 | u64::from(number),
            highest => extend(number, highest),
        };
        self.next_base = if self.highest == 0 { number } else { self.next_base };
        self.highest = self.highest.max(number);
        self.media_ssrc = ssrc;
        // The clock may have been set back.
        let came_us = came_at.checked_sub(start).unwrap_or_default().as_micros() as i64;
        self.arrived.push((number, came_us));
    }

    fn take(&mut self, sender_ssrc: u32) -> Option<TransportFeedback> {
        let base = self.next_base.max(self.highest.saturating_sub(MOST_STATUSES));
        // What comes after it was told to be lost stays lost.
        self.arrived.retain(|(number, _)| *number >= base);
        if self.arrived.is_empty() {
            return None;
        }
        self.arrived.sort_unstable();
        let mut arrivals = vec![Arrival::Lost; (self.highest + 1 - base) as usize];
        for (number, came_us) in self.arrived.drain(..) {
            arrivals[(number - base) as usize] = Arrival::AtTick(tick_of_us(came_us));
        }
        self.next_base = self.highest + 1;
        self.count = self.count.wrapping_add(1);
        Some(TransportFeedback {
            sender_ssrc,
            media_ssrc: self.media_ssrc,
            feedback_count: self.count,
            base: base as u16,
            arrivals,
        })
    }
}

/// The transport-wide number of a packet, which stands in the clear.
fn transport_number(packet: &[u8], id: u8) -> Option<u16> {
    let first = *packet.first()?;
    if first & 0x10 == 0 {
        return None;
    }
    let (head, rest) = packet.get(12 + 4 * usize::from(first & 0x0f)..)?.split_first_chunk::<4>()?;
    let mut block = rest.get(..4 * usize::from(u16::from_be_bytes([head[2], head[3]])))?;
    if head[..2] != ONE_BYTE_PROFILE {
        return None;
    }
    while let Some((&element, rest)) = block.split_first() {
        let bytes = if element == 0 { 0 } else { usize::from(element & 0x0f) + 1 };
        if element >> 4 == id && bytes == 2 {
            return Some(u16::from_be_bytes(*rest.first_chunk()?));
        }
        block = rest.get(bytes..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::rtp::RtpHeader;

    fn packet(number: u16) -> Vec<u8> {
        RtpHeader { payload_type: 96, marker: false, sequence_number: 7, timestamp: 0, ssrc: 9 }
            .packet(&[(4, b"abc"), (5, &number.to_be_bytes()), (1, b"0")], b"payload")
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_secs(1_800_000_000) + Duration::from_millis(ms)
    }

    #[test]
    fn the_number_is_found_in_the_clear() {
        assert_eq!(transport_number(&packet(0x1234), 5), Some(0x1234));
        assert_eq!(transport_number(&packet(0x1234), 6), None);
        let plain = RtpHeader { payload_type: 96, marker: false, sequence_number: 7, timestamp: 0, ssrc: 9 };
        assert_eq!(transport_number(&plain.packet(&[], b"payload"), 5), None);
        let whole = packet(1);
        for bytes in 0..20 {
            assert_eq!(transport_number(&whole[..bytes], 5), None, "{bytes}");
        }
    }

    #[test]
    fn feedback_tells_what_came_and_what_did_not_over_the_wrap() {
        let mut feedback = Feedback { extension_id: Some(5), ..Feedback::default() };
        assert_eq!(feedback.take(1), None);
        for (number, at) in [(65_534, 0), (65_535, 1), (2, 9), (1, 3)] {
            feedback.on_packet(&packet(number), 9, ms(at));
        }
        let told = feedback.take(1).unwrap();
        assert_eq!((told.base, told.media_ssrc), (65_534, 9));
        let tick = |ms: i64| Arrival::AtTick(4 * ms);
        assert_eq!(told.arrivals, [tick(0), tick(1), Arrival::Lost, tick(3), tick(9)]);
        assert_eq!(feedback.take(1), None);
        feedback.on_packet(&packet(0), 9, ms(10));
        assert_eq!(feedback.take(1), None, "told to be lost before");
        feedback.on_packet(&packet(4), 9, ms(12));
        let told = feedback.take(1).unwrap();
        assert_eq!((told.base, told.arrivals), (3, vec![Arrival::Lost, tick(12)]));
    }

    #[test]
    fn a_long_gap_is_told_by_its_end() {
        let mut feedback = Feedback { extension_id: Some(5), ..Feedback::default() };
        feedback.on_packet(&packet(0), 9, ms(0));
        feedback.on_packet(&packet(30_000), 9, ms(5));
        let told = feedback.take(1).unwrap();
        assert_eq!(told.arrivals.len(), MOST_STATUSES as usize + 1);
        assert_eq!(told.arrivals.last(), Some(&Arrival::AtTick(20)));
    }
}
