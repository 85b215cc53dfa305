//! Packets of a frame made equally long, so that they leave by one system call.
//!
//! Encoders cut a frame into packets that differ by a byte or two. The kernel segments a run only if all its datagrams but the
//! last are equally long, so each such frame would take two calls or more, and the calls are most of what sending costs. A byte
//! or two of RTP padding (RFC 3550 section 5.1) joins them.
use crate::arena::Id;
use crate::id::tag;
use crate::outbox::QueuedPacket;

/// The longest padding that is worth a call: less than a hundredth of a packet.
const MAX_PADDING: u16 = 8;

/// Sees to the packets at the end of a queue that are about equally long.
///
/// Invariant: all of them but the last are as long as the longest, padding and all.
#[derive(Debug, Default)]
pub struct Equaliser {
    alike: Option<Alike>,
}

#[derive(Debug, Clone, Copy)]
struct Alike {
    consumer: Id<tag::Consumer>,
    /// The place of the first of them in the queue.
    first: usize,
    shortest: u16,
    longest: u16,
}

impl Equaliser {
    /// Decides about the padding of what is queued when a packet has been added to it. `O(1)` on average: what a run has got is
    /// padded anew at most [`MAX_PADDING`] times.
    pub fn on_queued(&mut self, queue: &mut [QueuedPacket]) {
        let Some((last, before)) = queue.split_last_mut() else { return };
        let length = last.payload_len;
        let alike = self.alike.filter(|alike| last.may_pad && alike.consumer == last.consumer);
        let joined = alike.map(|alike| Alike {
            shortest: alike.shortest.min(length),
            longest: alike.longest.max(length),
            ..alike
        });
        let Some(joined) = joined.filter(|joined| joined.longest - joined.shortest <= MAX_PADDING) else {
            let (consumer, first) = (last.consumer, before.len());
            let alone = Alike { consumer, first, shortest: length, longest: length };
            self.alike = last.may_pad.then_some(alone);
            return;
        };
        let has_grown = alike.is_some_and(|alike| alike.longest < joined.longest);
        // Where the longest is as it was, only the one that was the last before has none yet.
        let from = if has_grown { joined.first } else { before.len().saturating_sub(1) };
        for packet in before.get_mut(from..).unwrap_or_default() {
            packet.padding = (joined.longest - packet.payload_len) as u8;
        }
        self.alike = Some(joined);
    }

    /// The queue was taken, or has lost packets: what is in it stays as it is.
    pub fn reset(&mut self) {
        self.alike = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Content;
    use crate::stream::frame::NumberOffsets;

    fn packet(consumer: u64, payload_len: u16, may_pad: bool) -> QueuedPacket {
        QueuedPacket {
            consumer: Id::from_bits(consumer),
            producer: Id::from_bits(0),
            encoding: 0,
            payload_type: 96,
            marker: false,
            content: Content::Payload,
            payload_len,
            may_pad,
            padding: 0,
            stored_seq: 0,
            index: 0,
            timestamp: 0,
            ssrc: 0,
            transport_sequence: 0,
            abs_send_time: 0,
            offsets: NumberOffsets::default(),
            decode_targets: None,
            is_probe: false,
        }
    }

    fn paddings(packets: &[(u64, u16, bool)]) -> Vec<u8> {
        let (mut equaliser, mut queue) = (Equaliser::default(), Vec::new());
        for (consumer, length, may_pad) in packets {
            queue.push(packet(*consumer, *length, *may_pad));
            equaliser.on_queued(&mut queue);
        }
        queue.iter().map(|packet| packet.padding).collect()
    }

    #[test]
    fn packets_of_a_frame_become_equally_long_but_for_the_last() {
        let frame = [1_188, 1_189, 1_189, 1_188].map(|length| (1, length, true));
        assert_eq!(paddings(&frame), [1, 0, 0, 0]);
        assert_eq!(paddings(&[(1, 1_000, true), (1, 1_008, true)]), [8, 0]);
        let falling = [1_003, 1_002, 1_001, 1_000].map(|length| (1, length, true));
        assert_eq!(paddings(&falling), [0, 1, 2, 0]);
        let rising = [1_000, 1_001, 1_002, 1_003].map(|length| (1, length, true));
        assert_eq!(paddings(&rising), [3, 2, 1, 0]);
    }

    #[test]
    fn packets_that_are_not_alike_stay_as_they_are() {
        let different = [(1, 1_000, true), (1, 1_009, true), (1, 1_010, true)];
        assert_eq!(paddings(&different), [0, 1, 0], "too different");
        let others = [(1, 1_000, true), (2, 1_001, true), (1, 1_001, true)];
        assert_eq!(paddings(&others), [0, 0, 0], "of two consumers");
        let fixed = [(1, 1_000, false), (1, 1_001, true), (1, 1_002, false), (1, 1_003, true)];
        assert_eq!(paddings(&fixed), [0, 0, 0, 0], "not to grow");
    }

    #[test]
    fn lengths_that_drift_are_joined_as_far_as_they_go() {
        let drifting = [1_000, 1_004, 1_008, 1_012, 1_016].map(|length| (1, length, true));
        assert_eq!(paddings(&drifting), [8, 4, 0, 4, 0]);
    }

    #[test]
    fn a_queue_that_has_changed_is_left_alone() {
        let mut equaliser = Equaliser::default();
        let mut queue = vec![packet(1, 1_000, true), packet(1, 1_001, true)];
        equaliser.on_queued(&mut queue[..1]);
        equaliser.reset();
        equaliser.on_queued(&mut queue);
        assert_eq!(queue[0].padding, 0);
        equaliser.on_queued(&mut []);
    }
}
