//! One sent RTP stream: its numbers, its counters, what its receiver says about it. The packets are kept elsewhere.
use std::time::{Duration, Instant};

use heapless::HistoryBuf;

use super::jitter::timestamp_units;
use super::score::{Interval, Score};
use crate::rate::RateCounter;
use crate::rng::Rng;
use crate::wire::ntp::{NtpTime, from_short_format};
use crate::wire::rtcp::{ReportBlock, SenderInfo};

/// The round trip that is assumed while none was measured.
pub const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// A packet is not sent again sooner than this, however short the round trip.
const MIN_RESEND_SPACING: Duration = Duration::from_millis(20);

/// How many resent packets are remembered (a power of two): two that share a place forget each other, and are then resent
/// once too often.
const RESENT_SLOTS: usize = 256;

/// First sequence numbers stay below this, so that packets reordered around the first one do not seem to be of the cycle
/// before, which would make an SRTP receiver guess a wrong rollover counter (RFC 3711 section 3.3.1).
const FIRST_SEQUENCE_LIMIT: u32 = 0x7fff;

/// What is decided about a stream when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendParams {
    /// The stream's SSRC.
    pub ssrc: u32,
    /// The SSRC of its retransmission stream; without one packets are sent again as they were.
    pub rtx_ssrc: Option<u32>,
    /// RTP timestamp units a second.
    pub clock_rate: u32,
    /// The canonical name for its source description (RFC 3550 section 6.5.1).
    pub cname: String,
}

/// One sent RTP stream (SSRC) with its retransmission stream.
#[derive(Debug, Clone)]
pub struct SendStream {
    params: SendParams,
    first_out: u64,
    next_rtx: u64,
    /// Timestamp and sending time of the newest packet, and its number.
    newest: Option<Newest>,
    rate: RateCounter,
    score: Score,
    /// Sender reports whose echo may still come: the middle of their NTP time, and when they were sent.
    reports: HistoryBuf<(u32, Instant), 4>,
    rtt: Option<Duration>,
    resent: ResentPackets,
    fraction_lost: u8,
    packets_lost: i32,
    jitter: u32,
    counters: Counters,
    /// The counters, and `packets_lost`, when the score was last updated.
    scored: (Counters, i32),
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    out_ext: u64,
    timestamp: u32,
    at: Instant,
}

/// Which packets were resent when, each in the place that its number gives it; no places until the first one is. Consumers are
/// many, so a place is kept to 8 bytes.
#[derive(Debug, Clone)]
struct ResentPackets {
    epoch: Option<Instant>,
    places: Vec<Resent>,
}

/// The low bits of the packet's number, 0 for none, and the time since the epoch modulo 2³² ms.
#[derive(Debug, Clone, Copy)]
struct Resent {
    out_ext: u32,
    at_ms: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    packets: u64,
    /// Of the payloads.
    bytes: u64,
    header_bytes: u64,
    discarded: u64,
    retransmitted: u64,
    repaired: u64,
    nacks: u64,
    nack_packets: u64,
    plis: u64,
    firs: u64,
}

/// Counters of a sent stream; all are sums since its start unless something else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendStats {
    /// Packets sent, retransmissions not included.
    pub packet_count: u64,
    /// Their bytes, with the RTP headers.
    pub byte_count: u64,
    /// Bits a second over the last second, retransmissions included.
    pub bitrate_bps: u64,
    /// Packets lost on the way, by the receiver's reports (it may be negative).
    pub packets_lost: i32,
    /// Share lost in the last report interval, in units of 1/256.
    pub fraction_lost: u8,
    /// Interarrival jitter in timestamp units, by the receiver's reports.
    pub jitter: u32,
    /// Packets that could not be sent.
    pub packets_discarded: u64,
    /// Packets sent again, each time counted.
    pub packets_retransmitted: u64,
    /// Packets sent again, counted once.
    pub packets_repaired: u64,
    /// NACK messages received.
    pub nack_count: u64,
    /// Packets asked for in them.
    pub nack_packet_count: u64,
    /// PLI messages received.
    pub pli_count: u64,
    /// FIR messages received.
    pub fir_count: u64,
    /// The last round trip measured.
    pub rtt: Option<Duration>,
    /// The score as of now, 0 to 10.
    pub score: u8,
}

impl SendStream {
    /// A stream of which nothing was sent yet; the first sequence numbers are drawn from `rng`.
    pub fn new(params: SendParams, rng: &mut Rng) -> Self {
        SendStream {
            params,
            first_out: first_sequence_number(rng),
            next_rtx: first_sequence_number(rng),
            newest: None,
            rate: RateCounter::default(),
            score: Score::default(),
            reports: HistoryBuf::new(),
            rtt: None,
            resent: ResentPackets { epoch: None, places: Vec::new() },
            fraction_lost: 0,
            packets_lost: 0,
            jitter: 0,
            counters: Counters::default(),
            scored: (Counters::default(), 0),
        }
    }

    /// A packet of the stream goes out for the first time.
    #[inline]
    pub fn on_sent(&mut self, now: Instant, out_ext: u64, timestamp: u32, payload_bytes: usize) {
        self.counters.packets += 1;
        self.counters.bytes += payload_bytes as u64;
        if self.newest.is_none_or(|newest| out_ext > newest.out_ext) {
            self.newest = Some(Newest { out_ext, timestamp, at: now });
        }
    }

    /// A packet of `bytes` was rendered, of which so many are its header. `is_first`: it has not been sent before.
    pub fn on_rendered(&mut self, now: Instant, header_bytes: usize, bytes: usize, is_first: bool) {
        if is_first {
            self.counters.header_bytes += header_bytes as u64;
        }
        self.rate.add(now, bytes);
    }

    /// A packet goes out again.
    pub fn on_resent(&mut self) {
        self.counters.retransmitted += 1;
    }

    /// A packet could not be sent.
    pub fn on_discarded(&mut self) {
        self.counters.discarded += 1;
    }

    /// Takes the next extended sequence number of the retransmission stream; the first is below 32768.
    pub fn next_rtx_ext(&mut self) -> u64 {
        let number = self.next_rtx;
        self.next_rtx += 1;
        number
    }

    /// A NACK message asked for `packets` packets.
    pub fn on_nack_received(&mut self, packets: usize) {
        self.counters.nacks += 1;
        self.counters.nack_packets += packets as u64;
    }

    /// Whether to send a packet again that a NACK asks for: not when it was sent again less than a round trip (at least 20 ms)
    /// ago, since that one may still be on its way. Where no `rtt` is known: [`DEFAULT_RTT`].
    pub fn on_nack_request(&mut self, now: Instant, rtt: Duration, out_ext: u64) -> bool {
        let before = self.resent.last(now, out_ext);
        if before.is_some_and(|ago| ago < rtt.max(MIN_RESEND_SPACING)) {
            return false;
        }
        self.resent.note(now, out_ext);
        self.counters.repaired += u64::from(before.is_none());
        true
    }

    /// A PLI came for the stream.
    pub fn on_pli_received(&mut self) {
        self.counters.plis += 1;
    }

    /// A FIR came for the stream.
    pub fn on_fir_received(&mut self) {
        self.counters.firs += 1;
    }

    /// The receiver reported on the stream. Returns the round trip time, if the block answers a sender report of ours
    /// (RFC 3550 section 6.4.1).
    pub fn on_receiver_report(&mut self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        self.fraction_lost = block.fraction_lost;
        self.packets_lost = block.cumulative_lost;
        self.jitter = block.jitter;
        self.update_score();
        let &(_, sent_at) = self.reports.iter().find(|(middle, _)| *middle == block.last_sr)?;
        let passed = now.saturating_duration_since(sent_at);
        let rtt = passed.saturating_sub(from_short_format(block.delay_since_last_sr));
        self.rtt = Some(rtt);
        Some(rtt)
    }

    /// The stream is not to be sent for now, or its receiver is gone: the score drops to 0.
    pub fn on_inactive(&mut self) {
        self.score.on_inactive();
    }

    /// What to report about the stream at `now`, which is `ntp_now` on the wall clock. `None` while nothing was sent.
    pub fn sender_report(&mut self, now: Instant, ntp_now: NtpTime) -> Option<SenderInfo> {
        let newest = self.newest?;
        self.reports.write((ntp_now.middle_32(), now));
        let passed = timestamp_units(now.saturating_duration_since(newest.at), self.params.clock_rate);
        Some(SenderInfo {
            ntp_time: ntp_now,
            rtp_timestamp: newest.timestamp.wrapping_add(passed),
            packet_count: self.counters.packets as u32,
            octet_count: self.counters.bytes as u32,
        })
    }

    /// The extended sequence number that the first packet has to carry: 1 to 32767.
    pub fn first_out(&self) -> u64 {
        self.first_out
    }

    /// The highest extended sequence number sent.
    pub fn highest_out(&self) -> Option<u64> {
        self.newest.map(|newest| newest.out_ext)
    }

    /// The stream's SSRC.
    pub fn ssrc(&self) -> u32 {
        self.params.ssrc
    }

    /// The SSRC of the retransmission stream.
    pub fn rtx_ssrc(&self) -> Option<u32> {
        self.params.rtx_ssrc
    }

    /// The canonical name.
    pub fn cname(&self) -> &str {
        &self.params.cname
    }

    /// Timestamp units a second.
    pub fn clock_rate(&self) -> u32 {
        self.params.clock_rate
    }

    /// The last round trip measured.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// The score, 0 to 10.
    pub fn score(&self) -> u8 {
        self.score.value()
    }

    /// Share that the receiver missed in its last report interval, in units of 1/256.
    pub fn fraction_lost(&self) -> u8 {
        self.fraction_lost
    }

    /// Bits a second over the last second, retransmissions included.
    pub fn bitrate_bps(&self, now: Instant) -> u64 {
        self.rate.rate_bps(now)
    }

    /// All counters.
    pub fn stats(&self, now: Instant) -> SendStats {
        let counters = self.counters;
        SendStats {
            packet_count: counters.packets,
            byte_count: counters.bytes + counters.header_bytes,
            bitrate_bps: self.rate.rate_bps(now),
            packets_lost: self.packets_lost,
            fraction_lost: self.fraction_lost,
            jitter: self.jitter,
            packets_discarded: counters.discarded,
            packets_retransmitted: counters.retransmitted,
            packets_repaired: counters.repaired,
            nack_count: counters.nacks,
            nack_packet_count: counters.nack_packets,
            pli_count: counters.plis,
            fir_count: counters.firs,
            rtt: self.rtt,
            score: self.score.value(),
        }
    }

    /// What was expected is what we sent: the receiver's own count may start anywhere.
    fn update_score(&mut self) {
        let (counters, (before, lost_before)) = (self.counters, self.scored);
        self.score.update(Interval {
            expected: saturate(counters.packets - before.packets),
            lost: self.packets_lost.saturating_sub(lost_before).max(0) as u32,
            repaired: saturate(counters.repaired - before.repaired),
            retransmitted: saturate(counters.retransmitted - before.retransmitted),
        });
        self.scored = (counters, self.packets_lost);
    }
}

impl ResentPackets {
    fn note(&mut self, now: Instant, out_ext: u64) {
        if self.places.is_empty() {
            self.epoch = Some(now);
            self.places = vec![Resent { out_ext: 0, at_ms: 0 }; RESENT_SLOTS];
        }
        let at_ms = self.since_epoch_ms(now);
        if let Some(place) = self.places.get_mut(out_ext as usize % RESENT_SLOTS) {
            *place = Resent { out_ext: out_ext as u32, at_ms };
        }
    }

    /// How long ago the packet was resent; `None` if it was not, or that is forgotten.
    fn last(&self, now: Instant, out_ext: u64) -> Option<Duration> {
        let place = self.places.get(out_ext as usize % RESENT_SLOTS)?;
        let passed_ms = self.since_epoch_ms(now).wrapping_sub(place.at_ms);
        (place.out_ext == out_ext as u32 && out_ext != 0).then(|| Duration::from_millis(passed_ms.into()))
    }

    fn since_epoch_ms(&self, now: Instant) -> u32 {
        self.epoch.map_or(0, |epoch| now.saturating_duration_since(epoch).as_millis() as u32)
    }
}

fn first_sequence_number(rng: &mut Rng) -> u64 {
    u64::from(1 + rng.below(FIRST_SEQUENCE_LIMIT - 1))
}

fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
