//! Packets of a frame made equally long, so that they leave by one system call.
//!
//! Encoders cut a frame into packets that differ by a byte or two. The kernel segments a run only if all its datagrams but the
//! last are equally long, so each such frame would take two calls or more, and the calls are most of what sending costs. A byte
//! or two of RTP padding (RFC 3550 section 5.1) joins them.
use crate::arena::Id;
use crate::id::tag;

/// The longest padding that is worth a call: less than a hundredth of a packet.
const MAX_PADDING: u16 = 8;

/// The length of a packet that is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Whose it is: only packets of one consumer are alike.
    pub consumer: Id<tag::Consumer>,
    /// Of its payload.
    pub bytes: u16,
    /// Whether it may be padded: one that is ever sent again under its own number must be the same to the last byte, and what is no
    /// packet of video comes alone.
    pub may_grow: bool,
}

/// Puts into `paddings` how many bytes of padding each packet gets. The last of equally long ones may be shorter, and gets none.
pub fn equalise(queued: &[Length], paddings: &mut Vec<u8>) {
    paddings.clear();
    let mut rest = queued;
    while let Some(first) = rest.first() {
        let (count, longest) = alike(first, rest);
        let (group, behind) = rest.split_at(count);
        let lengths = group.iter().enumerate().map(|(nth, packet)| match nth + 1 == count {
            true => 0,
            false => (longest - packet.bytes) as u8,
        });
        paddings.extend(lengths);
        rest = behind;
    }
}

/// How many packets from the first on are to be equally long, and how long.
fn alike(first: &Length, rest: &[Length]) -> (usize, u16) {
    let (mut shortest, mut longest, mut count) = (first.bytes, first.bytes, 1);
    if !first.may_grow {
        return (count, longest);
    }
    for packet in rest.iter().skip(1) {
        let (shorter, longer) = (shortest.min(packet.bytes), longest.max(packet.bytes));
        let is_alike = packet.consumer == first.consumer && packet.may_grow;
        if !is_alike || longer - shorter > MAX_PADDING {
            break;
        }
        (shortest, longest, count) = (shorter, longer, count + 1);
    }
    (count, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paddings(packets: &[(u64, u16, bool)]) -> Vec<u8> {
        let queued: Vec<Length> = packets
            .iter()
            .map(|(consumer, length, may_grow)| Length {
                consumer: Id::from_bits(*consumer),
                bytes: *length,
                may_grow: *may_grow,
            })
            .collect();
        let mut paddings = vec![9; 3];
        equalise(&queued, &mut paddings);
        paddings
    }

    #[test]
    fn packets_of_a_frame_become_equally_long_but_for_the_last() {
        let frame = [1_188, 1_189, 1_189, 1_188].map(|length| (1, length, true));
        assert_eq!(paddings(&frame), [1, 0, 0, 0]);
        assert_eq!(paddings(&[(1, 1_000, true), (1, 1_008, true)]), [8, 0]);
        assert!(paddings(&[]).is_empty());
    }

    #[test]
    fn packets_that_are_not_alike_stay_as_they_are() {
        assert_eq!(
            paddings(&[(1, 1_000, true), (1, 1_009, true), (1, 1_010, true)]),
            [0, 1, 0],
            "too different"
        );
        assert_eq!(
            paddings(&[(1, 1_000, true), (2, 1_001, true), (1, 1_001, true)]),
            [0, 0, 0],
            "of two consumers"
        );
        assert_eq!(
            paddings(&[(1, 1_000, false), (1, 1_001, true), (1, 1_002, false)]),
            [0, 0, 0],
            "not to grow"
        );
    }

    #[test]
    fn lengths_that_drift_are_joined_as_far_as_they_go() {
        let drifting = [1_000, 1_004, 1_008, 1_012, 1_016].map(|length| (1, length, true));
        assert_eq!(paddings(&drifting), [8, 4, 0, 4, 0]);
    }
}
