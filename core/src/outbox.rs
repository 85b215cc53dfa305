//! What is waiting to leave the machine: control datagrams, media packets by transport, events, deadlines, counters.
//!
//! Two kinds of datagram are kept apart. Control datagrams (STUN, DTLS, RTCP) are few and small: they are rendered when they
//! are decided and lie here as bytes. Media packets are many: what is queued is a [`QueuedPacket`], and the bytes are made in
//! `poll_output`.
//!
//! Invariant: a `QueuedPacket` says everything that was decided about a packet (sequence number, SRTP index, transport-wide
//! number, send time). Rendering it decides nothing.
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::arena::Id;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::Event;
use crate::ice::Tuple;
use crate::id::{TransportId, tag};
use crate::ring::Ring;
use crate::stats::SfuStats;
use crate::stream::frame::NumberOffsets;
use crate::timer::TimerQueue;
use crate::wire::codec::dependency_descriptor::ActiveDecodeTargets;

/// The largest number of datagrams in one transmit: the kernel's `UDP_MAX_SEGMENTS` is 64 on older kernels.
pub const MAX_SEGMENTS: usize = 64;

/// The largest transmit in bytes: what fits into one IPv4 UDP datagram before it is cut into segments.
pub const MAX_RUN_BYTES: usize = 65_507;

/// Everything that waits to leave.
#[derive(Debug)]
pub struct Outbox {
    /// Rendered control datagrams.
    pub control: ControlQueue,
    /// Events not polled yet.
    pub events: Ring<Event>,
    /// Transports that have queued packets, each once, in the order in which they got them.
    pub dirty: VecDeque<TransportId>,
    /// The deadline of each transport.
    pub timers: TimerQueue<TransportId>,
    /// Counters.
    pub stats: SfuStats,
    /// Wall-clock time.
    pub clock: Clock,
}

/// A media packet as it was decided, at most 96 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedPacket {
    /// Whose header extensions it gets.
    pub consumer: Id<tag::Consumer>,
    /// Whose payload it carries.
    pub producer: Id<tag::Producer>,
    /// Which of the producer's encodings.
    pub encoding: u8,
    /// The payload type as the client sees it.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// What of the stored packet it carries.
    pub content: Content,
    /// Bytes behind the header, without padding; of use only where it may be padded.
    pub payload_len: u16,
    /// Whether it may be padded: not where it may be sent again under its own number, and not without a payload.
    pub may_pad: bool,
    /// Bytes of padding behind the payload, so that it is as long as others.
    pub padding: u8,
    /// The extended sequence number under which the payload is stored.
    pub stored_seq: u64,
    /// The extended sequence number as sent: its low half is the sequence number, the whole the SRTP index.
    pub index: u64,
    /// The RTP timestamp as sent.
    pub timestamp: u32,
    /// The SSRC as sent.
    pub ssrc: u32,
    /// The transport-wide sequence number, where the extension is negotiated.
    pub transport_sequence: u16,
    /// The absolute send time (24 bits), where the extension is negotiated.
    pub abs_send_time: u32,
    /// What is added to the numbers in the payload.
    pub offsets: NumberOffsets,
    /// What its dependency descriptor is to tell of the decode targets; `None`: what it tells as it is.
    pub decode_targets: Option<ActiveDecodeTargets>,
    /// It is sent only to probe for bandwidth.
    pub is_probe: bool,
}

/// What of a stored packet a queued packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Its payload.
    Payload,
    /// Nothing: its number was given out before it turned out to be empty.
    Empty,
    /// Its payload behind this original sequence number (RFC 4588 section 4).
    Retransmission(u16),
    /// Nothing but this original sequence number: that packet was empty.
    EmptyRetransmission(u16),
    /// So many bytes of padding (RFC 3550 section 5.1), and of no stored packet.
    Padding(u8),
}

/// Rendered datagrams, in order.
#[derive(Debug)]
pub struct ControlQueue {
    bytes: Vec<u8>,
    entries: VecDeque<ControlEntry>,
    max_bytes: usize,
    dropped: u64,
}

#[derive(Debug)]
struct ControlEntry {
    path: Tuple,
    range: Range<usize>,
}

/// What a datagram is to the call: what a socket that is full has to keep, and what it may drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransmitClass {
    /// STUN, DTLS and RTCP: the connection hangs on it. Never to be dropped as long as there is memory.
    Control,
    /// Sound: little of it, and heard when it is missing. To be kept for as long as control is, behind it.
    Audio,
    /// Pictures, and padding: to be dropped first.
    Video,
}

/// A run of datagrams for one destination, by its place in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where from and to.
    pub path: Tuple,
    /// What they are to the call.
    pub class: TransmitClass,
    /// The bytes.
    pub range: Range<usize>,
    /// The length of each datagram but the last.
    pub segment_size: usize,
    /// How many datagrams.
    pub segments: usize,
}

impl Content {
    /// Whether it goes out by the retransmission stream, as a packet of its own.
    pub fn is_retransmission(self) -> bool {
        !matches!(self, Content::Payload | Content::Empty)
    }
}

impl Outbox {
    /// Nothing waiting; limits from `config`.
    pub fn new(config: &Config, clock: Clock) -> Self {
        Outbox {
            control: ControlQueue::new(config.max_queued_control_bytes),
            events: Ring::new(config.max_queued_events),
            dirty: VecDeque::new(),
            timers: TimerQueue::new(),
            stats: SfuStats::default(),
            clock,
        }
    }

    /// Queues an event.
    pub fn event(&mut self, event: Event) {
        if self.events.push(event).is_err() {
            self.stats.dropped_events += 1;
        }
    }

    /// Whether nothing waits: no datagram, no event, no timer.
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.events.is_empty() && self.dirty.is_empty() && self.timers.is_empty()
    }

    /// The earliest deadline and whose it is.
    pub fn deadline(&self) -> Option<(Instant, TransportId)> {
        self.timers.next()
    }
}

impl ControlQueue {
    /// An empty queue of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        ControlQueue { bytes: Vec::new(), entries: VecDeque::new(), max_bytes, dropped: 0 }
    }

    /// Queues the datagram that `write` appends to the buffer. When `write` says false or appends nothing, nothing is queued.
    ///
    /// `write` gets the buffer and the place where its datagram begins.
    pub fn push_with(&mut self, path: Tuple, write: impl FnOnce(&mut Vec<u8>, usize) -> bool) {
        let start = self.bytes.len();
        let wanted = write(&mut self.bytes, start) && self.bytes.len() > start;
        if wanted && self.bytes.len() <= self.max_bytes {
            self.entries.push_back(ControlEntry { path, range: start..self.bytes.len() });
            return;
        }
        self.dropped += u64::from(wanted);
        self.bytes.truncate(start);
    }

    /// Takes the oldest datagram, with those behind it that can go in one run.
    pub fn pop_run(&mut self) -> Option<Run> {
        let first = self.entries.pop_front()?;
        let mut run = Run::new(first.path, TransmitClass::Control, first.range);
        while let Some(next) = self.entries.front() {
            if next.path != run.path || !run.extend(next.range.clone()) {
                break;
            }
            self.entries.pop_front();
        }
        Some(run)
    }

    /// Forgets the bytes of what was taken; call when a taken run has been sent and nothing is left.
    pub fn reset(&mut self) {
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }

    /// The bytes of a run.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many datagrams did not fit.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Run {
    /// A run of one datagram.
    pub fn new(path: Tuple, class: TransmitClass, range: Range<usize>) -> Self {
        let segment_size = range.len();
        Run { path, class, range, segment_size, segments: 1 }
    }

    /// Appends the datagram that lies right behind, if the run stays one that the kernel can cut: all but the last of equal
    /// length, the last not longer, not too many, not too long.
    pub fn extend(&mut self, next: Range<usize>) -> bool {
        let all_full = self.range.len() == self.segments * self.segment_size;
        let fits = next.start == self.range.end
            && next.len() <= self.segment_size
            && self.segments < MAX_SEGMENTS
            && next.end - self.range.start <= MAX_RUN_BYTES;
        if !(all_full && fits) {
            return false;
        }
        self.range.end = next.end;
        self.segments += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ice::Protocol;

    fn path(port: u16) -> Tuple {
        Tuple {
            local: ([127, 0, 0, 1], 1).into(),
            remote: ([127, 0, 0, 1], port).into(),
            protocol: Protocol::Udp,
        }
    }

    fn push(queue: &mut ControlQueue, port: u16, length: usize) {
        queue.push_with(path(port), |bytes, start| {
            bytes.resize(start + length, port as u8);
            true
        });
    }

    #[test]
    fn runs_are_what_segmentation_can_cut() {
        let mut queue = ControlQueue::new(10_000);
        for (port, length) in [(1, 100), (1, 100), (1, 40), (1, 100), (2, 100), (2, 120)] {
            push(&mut queue, port, length);
        }
        let runs: Vec<_> = std::iter::from_fn(|| queue.pop_run()).collect();
        let shape: Vec<_> = runs
            .iter()
            .map(|run| (run.path.remote.port(), run.segment_size, run.segments, run.range.len()))
            .collect();
        assert_eq!(shape, [(1, 100, 3, 240), (1, 100, 1, 100), (2, 100, 1, 100), (2, 120, 1, 120)]);
        assert!(queue.bytes(runs[2].range.clone()).iter().all(|&byte| byte == 2));
    }

    #[test]
    fn a_run_has_at_most_the_segments_of_the_kernel() {
        let mut queue = ControlQueue::new(100_000);
        (0..MAX_SEGMENTS + 1).for_each(|_| push(&mut queue, 1, 10));
        assert_eq!(queue.pop_run().unwrap().segments, MAX_SEGMENTS);
        assert_eq!(queue.pop_run().unwrap().segments, 1);
        assert!(queue.pop_run().is_none());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_leaves_nothing() {
        let mut queue = ControlQueue::new(100);
        push(&mut queue, 1, 60);
        push(&mut queue, 1, 60);
        queue.push_with(path(1), |bytes, _| {
            bytes.extend([1, 2, 3]);
            false
        });
        assert_eq!((queue.dropped(), queue.bytes.len()), (1, 60));
        queue.pop_run().unwrap();
        queue.reset();
        push(&mut queue, 1, 100);
        assert_eq!(queue.pop_run().unwrap().range, 0..100);
    }
}
