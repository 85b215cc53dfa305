//! One received RTP stream: what came, what is missing, and what to report about it.
use std::time::{Duration, Instant};

use super::jitter::Jitter;
use super::loss::LossCounter;
use super::nack::{NackGenerator, NackPoll};
use super::score::{Interval, Score};
use super::window::{Arrival, SequenceWindow};
use crate::rate::RateCounter;
use crate::wire::ntp::{NtpTime, to_short_format};
use crate::wire::rtcp::{ReportBlock, SenderInfo};

/// What is known about a stream before its first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveParams {
    /// The stream's SSRC.
    pub ssrc: u32,
    /// The SSRC of its retransmission stream, if it is known already ([`ReceiveStream::set_rtx_ssrc`]).
    pub rtx_ssrc: Option<u32>,
    /// RTP timestamp units a second.
    pub clock_rate: u32,
    /// Whether the sender answers NACKs.
    pub use_nack: bool,
}

/// What a packet is to its stream. `ext_seq` is the extended sequence number: it never wraps, starts between 65536 and
/// 131071, and its low 16 bits are the packet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A packet that was not there yet, in order or reordered.
    New {
        /// Its extended number.
        ext_seq: u64,
    },
    /// A packet that was asked for: a retransmission, or the packet itself, late.
    Recovered {
        /// Its extended number.
        ext_seq: u64,
    },
    /// The first packet that is accepted after the sender started anew, with numbers and maybe timestamps that do not go on
    /// from those before. `ext_seq` is higher than all before, but the numbers between were never sent.
    Restarted {
        /// Its extended number.
        ext_seq: u64,
    },
    /// A packet that was there already: drop it.
    Duplicate,
    /// A packet too far from the others, or one that belongs nowhere: drop it.
    TooOld,
}

/// One received RTP stream (SSRC), with its retransmission stream.
#[derive(Debug, Clone)]
pub struct ReceiveStream {
    params: ReceiveParams,
    window: SequenceWindow,
    loss: LossCounter,
    jitter: Jitter,
    nack: NackGenerator,
    rtx: RtxReception,
    rate: RateCounter,
    score: Score,
    sender_report: Option<(SenderInfo, Instant)>,
    last_packet_at: Option<Instant>,
    counters: Counters,
    /// `packets_repaired` and `packets_retransmitted` when the score was last updated.
    scored: (u64, u64),
}

/// The retransmission stream has sequence numbers and reports of its own.
#[derive(Debug, Clone, Default)]
struct RtxReception {
    window: SequenceWindow,
    loss: LossCounter,
    discarded: u64,
}

impl RtxReception {
    /// Counts a packet of the stream, or says why it is none.
    fn receive(&mut self, rtx_seq: u16) -> Result<(), Arrival> {
        match self.window.on_packet(rtx_seq) {
            Arrival::First { ext_seq } | Arrival::Newest { ext_seq, .. } | Arrival::Late { ext_seq } => {
                self.loss.on_packet(ext_seq, false);
            }
            Arrival::Restart { ext_seq } => self.loss.on_packet(ext_seq, true),
            arrival @ (Arrival::Duplicate | Arrival::Stale) => {
                self.discarded += 1;
                return Err(arrival);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    packets: u64,
    bytes: u64,
    discarded: u64,
    duplicates: u64,
    late: u64,
    retransmitted: u64,
    repaired: u64,
    nacks: u64,
    nack_packets: u64,
    plis: u64,
    firs: u64,
}

/// Counters of a received stream; all are sums since its start unless something else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiveStats {
    /// Packets, recovered ones included, duplicates not.
    pub packet_count: u64,
    /// Their bytes, as counted by the caller.
    pub byte_count: u64,
    /// Bits a second over the last second.
    pub bitrate_bps: u64,
    /// Packets lost on the way, before repair (RFC 3550: it may be negative).
    pub packets_lost: i32,
    /// Share lost in the last report interval, in units of 1/256.
    pub fraction_lost: u8,
    /// Packets dropped because they belonged nowhere.
    pub packets_discarded: u64,
    /// Retransmissions received by the RTX stream, useless ones included.
    pub packets_retransmitted: u64,
    /// Packets that came after they had been asked for.
    pub packets_repaired: u64,
    /// Packets of the retransmission stream itself that were duplicates or belonged nowhere.
    pub rtx_packets_discarded: u64,
    /// NACK messages sent.
    pub nack_count: u64,
    /// Packets asked for in them.
    pub nack_packet_count: u64,
    /// PLI messages sent.
    pub pli_count: u64,
    /// FIR messages sent.
    pub fir_count: u64,
    /// Interarrival jitter in timestamp units, as of now.
    pub jitter: u32,
    /// Packets received more than once.
    pub duplicates: u64,
    /// Packets that came out of order without having been asked for.
    pub late: u64,
    /// The score as of now, 0 to 10.
    pub score: u8,
}

impl ReceiveStream {
    /// A stream of which nothing has come yet.
    pub fn new(params: ReceiveParams) -> Self {
        ReceiveStream {
            params,
            window: SequenceWindow::default(),
            loss: LossCounter::default(),
            jitter: Jitter::new(params.clock_rate),
            nack: NackGenerator::default(),
            rtx: RtxReception::default(),
            rate: RateCounter::default(),
            score: Score::default(),
            sender_report: None,
            last_packet_at: None,
            counters: Counters::default(),
            scored: (0, 0),
        }
    }

    /// The SSRC of the retransmission stream became known (by its repaired RID, RFC 8852). Another one than before is another
    /// stream: its numbers start anew.
    pub fn set_rtx_ssrc(&mut self, rtx_ssrc: u32) {
        if self.params.rtx_ssrc != Some(rtx_ssrc) {
            self.params.rtx_ssrc = Some(rtx_ssrc);
            self.rtx = RtxReception::default();
        }
    }

    /// Takes in a packet of the stream itself. `size_bytes` is what the statistics shall count of it.
    #[inline]
    pub fn receive(&mut self, now: Instant, seq: u16, timestamp: u32, size_bytes: usize) -> Received {
        let arrival = self.window.on_packet(seq);
        let (ext_seq, received) = match arrival {
            Arrival::First { ext_seq } => (ext_seq, Received::New { ext_seq }),
            Arrival::Newest { ext_seq, previous } => {
                self.on_gap(now, previous + 1, ext_seq);
                (ext_seq, Received::New { ext_seq })
            }
            Arrival::Late { ext_seq } => (ext_seq, self.on_late(ext_seq)),
            Arrival::Restart { ext_seq } => {
                self.on_restart();
                (ext_seq, Received::Restarted { ext_seq })
            }
            Arrival::Duplicate | Arrival::Stale => return self.reject(arrival),
        };
        self.loss.on_packet(ext_seq, matches!(arrival, Arrival::Restart { .. }));
        if !matches!(received, Received::Recovered { .. }) {
            self.jitter.on_packet(now, timestamp);
        }
        self.count(now, size_bytes);
        received
    }

    /// Takes in a packet of the retransmission stream that repeats the packet `original_seq` ([`super::rtx::unwrap`]).
    pub fn receive_rtx(
        &mut self,
        now: Instant,
        original_seq: u16,
        size_bytes: usize,
        rtx_seq: u16,
    ) -> Received {
        if let Err(arrival) = self.rtx.receive(rtx_seq) {
            return self.reject(arrival);
        }
        self.counters.retransmitted += 1;
        let ext_seq = match self.window.on_retransmission(original_seq) {
            Arrival::Newest { ext_seq, previous } => {
                self.on_gap(now, previous + 1, ext_seq);
                ext_seq
            }
            Arrival::Late { ext_seq } => {
                self.nack.on_received(ext_seq);
                ext_seq
            }
            arrival => return self.reject(arrival),
        };
        self.counters.repaired += 1;
        self.count(now, size_bytes);
        Received::Recovered { ext_seq }
    }

    /// Takes in a packet of the retransmission stream that repeats nothing: padding, with which senders probe for bandwidth.
    pub fn receive_rtx_padding(&mut self, rtx_seq: u16) {
        if let Err(arrival) = self.rtx.receive(rtx_seq) {
            self.reject(arrival);
        }
    }

    /// A keyframe begins at `ext_seq`: what is missing before it is not worth a keyframe request.
    pub fn on_keyframe(&mut self, ext_seq: u64) {
        self.nack.on_keyframe(ext_seq);
    }

    /// The sender reported on the stream.
    pub fn on_sender_report(&mut self, now: Instant, info: SenderInfo) {
        self.sender_report = Some((info, now));
    }

    /// A PLI for the stream was sent.
    pub fn on_pli_sent(&mut self) {
        self.counters.plis += 1;
    }

    /// A FIR for the stream was sent.
    pub fn on_fir_sent(&mut self) {
        self.counters.firs += 1;
    }

    /// Nothing has come for so long that the stream counts as inactive: its score drops to 0.
    pub fn on_inactive(&mut self) {
        self.score.on_inactive();
    }

    /// The report blocks about the stream and about its retransmission stream, each if something has come of it. The interval
    /// that loss and score are about ends here.
    pub fn report_blocks(&mut self, now: Instant) -> [Option<ReportBlock>; 2] {
        [self.report_block(now), self.rtx_report_block()]
    }

    /// Appends to `out`, in order, the sequence numbers to ask for now; see [`NackGenerator::poll`].
    pub fn poll_nack(&mut self, now: Instant, rtt: Duration, out: &mut Vec<u16>) -> NackPoll {
        let poll = self.nack.poll(now, rtt, out);
        self.counters.nacks += u64::from(poll.requested > 0);
        self.counters.nack_packets += poll.requested as u64;
        poll
    }

    /// What made [`Self::poll_nack`] say that a keyframe is needed; see [`NackGenerator::given_up`].
    pub fn given_up(&self) -> &[(u64, u64)] {
        self.nack.given_up()
    }

    /// When to call [`Self::poll_nack`].
    #[inline]
    pub fn nack_deadline(&self) -> Option<Instant> {
        self.nack.deadline()
    }

    /// The stream's SSRC.
    pub fn ssrc(&self) -> u32 {
        self.params.ssrc
    }

    /// The SSRC of the retransmission stream.
    pub fn rtx_ssrc(&self) -> Option<u32> {
        self.params.rtx_ssrc
    }

    /// Timestamp units a second.
    pub fn clock_rate(&self) -> u32 {
        self.params.clock_rate
    }

    /// The highest extended sequence number so far.
    pub fn highest(&self) -> Option<u64> {
        self.window.highest()
    }

    /// When the last packet came that was of use.
    pub fn last_packet_at(&self) -> Option<Instant> {
        self.last_packet_at
    }

    /// The last sender report, and when it came: which RTP timestamp stands for which time of the sender's clock.
    pub fn sender_report(&self) -> Option<(SenderInfo, Instant)> {
        self.sender_report
    }

    /// The sender's clock and the RTP timestamp of the same instant, by the last sender report.
    pub fn sender_report_anchor(&self) -> Option<(NtpTime, u32)> {
        self.sender_report.map(|(info, _)| (info.ntp_time, info.rtp_timestamp))
    }

    /// The score, 0 to 10.
    pub fn score(&self) -> u8 {
        self.score.value()
    }

    /// Bits a second over the last second.
    pub fn bitrate_bps(&self, now: Instant) -> u64 {
        self.rate.rate_bps(now)
    }

    /// All counters.
    pub fn stats(&self, now: Instant) -> ReceiveStats {
        let counters = self.counters;
        ReceiveStats {
            packet_count: counters.packets,
            byte_count: counters.bytes,
            bitrate_bps: self.rate.rate_bps(now),
            packets_lost: self.loss.cumulative_lost(),
            fraction_lost: self.loss.fraction_lost(),
            packets_discarded: counters.discarded,
            packets_retransmitted: counters.retransmitted,
            packets_repaired: counters.repaired,
            rtx_packets_discarded: self.rtx.discarded,
            nack_count: counters.nacks,
            nack_packet_count: counters.nack_packets,
            pli_count: counters.plis,
            fir_count: counters.firs,
            jitter: self.jitter.value(),
            duplicates: counters.duplicates,
            late: counters.late,
            score: self.score.value(),
        }
    }

    #[inline]
    fn count(&mut self, now: Instant, size_bytes: usize) {
        self.counters.packets += 1;
        self.counters.bytes += size_bytes as u64;
        self.rate.add(now, size_bytes);
        self.last_packet_at = Some(now);
    }

    fn reject(&mut self, arrival: Arrival) -> Received {
        if arrival == Arrival::Duplicate {
            self.counters.duplicates += 1;
            Received::Duplicate
        } else {
            self.counters.discarded += 1;
            Received::TooOld
        }
    }

    #[inline]
    fn on_gap(&mut self, now: Instant, first: u64, end: u64) {
        if self.params.use_nack {
            self.nack.on_gap(now, first, end);
        }
    }

    fn on_late(&mut self, ext_seq: u64) -> Received {
        if self.nack.on_received(ext_seq).is_some_and(|requests| requests > 0) {
            self.counters.repaired += 1;
            Received::Recovered { ext_seq }
        } else {
            self.counters.late += 1;
            Received::New { ext_seq }
        }
    }

    fn on_restart(&mut self) {
        self.nack.clear();
        self.jitter.on_restart();
        // Its timestamp may be of another clock.
        self.sender_report = None;
    }

    fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let highest = self.loss.highest()?;
        let report = self.loss.report();
        self.score.update(Interval {
            expected: report.expected,
            lost: report.lost,
            repaired: saturate(self.counters.repaired - self.scored.0),
            retransmitted: saturate(self.counters.retransmitted - self.scored.1),
        });
        self.scored = (self.counters.repaired, self.counters.retransmitted);
        let (last_sr, delay_since_last_sr) = match self.sender_report {
            Some((info, at)) => {
                (info.ntp_time.middle_32(), to_short_format(now.saturating_duration_since(at)))
            }
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: self.params.ssrc,
            fraction_lost: report.fraction_lost,
            cumulative_lost: report.cumulative_lost,
            extended_highest_sequence_number: cycles_and_number(highest),
            jitter: self.jitter.value(),
            last_sr,
            delay_since_last_sr,
        })
    }

    fn rtx_report_block(&mut self) -> Option<ReportBlock> {
        let ssrc = self.params.rtx_ssrc?;
        let highest = self.rtx.loss.highest()?;
        let report = self.rtx.loss.report();
        Some(ReportBlock {
            ssrc,
            fraction_lost: report.fraction_lost,
            cumulative_lost: report.cumulative_lost,
            extended_highest_sequence_number: cycles_and_number(highest),
            ..ReportBlock::default()
        })
    }
}

/// Our extended numbers start in the second cycle, those of report blocks in the first.
fn cycles_and_number(ext_seq: u64) -> u32 {
    (ext_seq as u32).wrapping_sub(0x1_0000)
}

fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
