//! From the sequence numbers of received streams to the one continuous row that a receiver sees, and back.
use std::collections::VecDeque;

use crate::seq;

/// Most segments remembered. Every dropped run of packets and every new source makes one; a stream of 60 frames a second of
/// which every other one is dropped fills this in four seconds, longer than packets are kept for retransmission.
const MAX_SEGMENTS: usize = 128;

/// Maps the extended sequence numbers of what is received to those of what is sent, without gaps of its own making.
///
/// The row of input numbers is cut into segments, within which output is input plus a constant. A new segment begins where
/// packets are dropped on purpose (their numbers close up) and where another source begins ([`SequenceMap::restart`]).
/// Numbers that have not arrived yet keep their place in the output, so that a late packet still fits and the receiver sees
/// true losses as gaps.
///
/// `S` is what is to be remembered of a source.
#[derive(Debug, Clone)]
pub struct SequenceMap<S> {
    /// In the order of their outputs; the last `run_length` belong to the current source.
    segments: VecDeque<Segment<S>>,
    run_length: usize,
    /// One more than the highest input mapped or dropped of the current source.
    next_in: u64,
    /// One more than the highest output given.
    next_out: u64,
}

/// Inputs from `start_in` on become outputs from `start_out` on.
#[derive(Debug, Clone, Copy)]
struct Segment<S> {
    start_in: u64,
    start_out: u64,
    source: S,
}

/// What becomes of the number of a packet that is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropOutcome {
    /// The receiver will not notice: nothing is to be done.
    Dropped,
    /// Higher numbers have been given already, so this one stays in the output: send an empty packet with it, padding only,
    /// or the receiver will take it for lost.
    TooLate {
        /// The extended output number.
        reserved_out: u64,
    },
}

/// Where a packet that was sent came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<S> {
    /// As given to [`SequenceMap::restart`].
    pub source: S,
    /// The extended input number.
    pub in_seq: u64,
    /// The extended output number.
    pub out_seq: u64,
}

impl<S: Copy + PartialEq> SequenceMap<S> {
    /// A map whose first output will be `first_out`. It maps nothing before the first [`Self::restart`].
    pub const fn new(first_out: u64) -> Self {
        SequenceMap { segments: VecDeque::new(), run_length: 0, next_in: 0, next_out: first_out }
    }

    /// From here on the source is another, beginning at `first_in`: a new stream, or the same one after a pause. The next output is
    /// the one after the highest given.
    pub fn restart(&mut self, first_in: u64, source: S) {
        // Numbers that were reserved for what did not come any more are free again.
        while self.segments.back().is_some_and(|segment| segment.start_out >= self.next_out) {
            self.segments.pop_back();
        }
        self.run_length = 0;
        self.next_in = first_in;
        self.push(Segment { start_in: first_in, start_out: self.next_out, source });
    }

    /// The output of an input: the next one, or, when it is late, the one that was kept for it. `None` when it is from before
    /// the restart, was dropped, or is too old.
    #[inline]
    pub fn map(&mut self, in_seq: u64) -> Option<u64> {
        let out_seq = self.reserved(in_seq)?;
        self.next_in = self.next_in.max(in_seq + 1);
        self.next_out = self.next_out.max(out_seq + 1);
        Some(out_seq)
    }

    /// Leaves an input out.
    pub fn drop(&mut self, in_seq: u64) -> DropOutcome {
        let Some(out_seq) = self.reserved(in_seq) else { return DropOutcome::Dropped };
        if in_seq < self.next_in {
            self.next_out = self.next_out.max(out_seq + 1);
            return DropOutcome::TooLate { reserved_out: out_seq };
        }
        self.next_in = in_seq + 1;
        match self.segments.back_mut() {
            Some(last) if last.start_in == in_seq => last.start_in = in_seq + 1,
            Some(last) => {
                let segment = Segment { start_in: in_seq + 1, start_out: out_seq, ..*last };
                self.push(segment);
            }
            None => {}
        }
        DropOutcome::Dropped
    }

    /// Where the packet came from that was sent with this number, as a NACK names it. `None` when no such number was given, or
    /// it was too long ago.
    pub fn inverse(&self, out_seq: u16) -> Option<Origin<S>> {
        let out_seq = seq::extend(self.next_out.checked_sub(1)?, out_seq);
        if out_seq >= self.next_out {
            return None;
        }
        let index = self.segments.partition_point(|segment| segment.start_out <= out_seq).checked_sub(1)?;
        let segment = self.segments.get(index)?;
        Some(Origin {
            source: segment.source,
            in_seq: segment.start_in + (out_seq - segment.start_out),
            out_seq,
        })
    }

    /// Whether an input is older than another one of the current source that has been mapped or dropped.
    pub fn is_late(&self, in_seq: u64) -> bool {
        in_seq < self.next_in
    }

    /// The highest output given; one below the first one before that.
    pub fn highest_out(&self) -> u64 {
        self.next_out.saturating_sub(1)
    }

    /// The output that an input has or would have.
    #[inline]
    fn reserved(&self, in_seq: u64) -> Option<u64> {
        let last = self.segments.back()?;
        if in_seq >= last.start_in {
            return Some(last.start_out + (in_seq - last.start_in));
        }
        let run_start = self.segments.len() - self.run_length;
        let mut after = last;
        for segment in self.segments.range(run_start..).rev().skip(1) {
            if in_seq >= segment.start_in {
                let out_seq = segment.start_out + (in_seq - segment.start_in);
                return Some(out_seq).filter(|&out_seq| out_seq < after.start_out);
            }
            after = segment;
        }
        None
    }

    fn push(&mut self, segment: Segment<S>) {
        if self.segments.len() >= MAX_SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(segment);
        self.run_length = (self.run_length + 1).min(self.segments.len());
    }
}

#[cfg(test)]
mod tests;
