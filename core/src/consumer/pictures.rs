//! The pictures that a consumer sends: their numbers, and what was decided about each.
//!
//! Packets come late and are asked for again, and must then be treated as their picture was. So decisions are found by the
//! picture's RTP timestamp as it is sent, which grows over all changes of the source.
use std::collections::VecDeque;

use crate::seq::is_newer_timestamp;
use crate::stream::frame::{FrameInfo, Layers, NumberOffsets};

/// Most decisions remembered. Where every other picture of 60 a second is left out this is four seconds, longer than packets
/// are kept for retransmission.
const MAX_DECISIONS: usize = 128;

/// What was decided about a picture and those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// What is sent of it.
    pub(super) layers: Layers,
    /// What is added to its numbers.
    pub(super) offsets: NumberOffsets,
    /// Its dependency descriptors tell which decode targets can be decoded.
    pub(super) tells_targets: bool,
}

/// Numbers and decisions of one consumer.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    /// The encoding that the offsets are of.
    encoding: Option<u8>,
    offsets: NumberOffsets,
    /// PictureID, TL0PICIDX and frame number of the newest packet sent.
    last: Option<(u16, u8, u16)>,
    /// Timestamp of the newest picture that was left out.
    left_out: Option<u32>,
    /// Each with the timestamp of the first picture that it is about, in their order.
    decisions: VecDeque<(u32, Decision)>,
}

impl Pictures {
    /// An encoding begins with this frame, or begins again. Its numbers go on from the last ones; where decoders mind no gaps
    /// (`closes_up` is false) it keeps those that it has if that is behind the last ones, too.
    pub(super) fn begin(&mut self, encoding: u8, frame: &FrameInfo, closes_up: bool) {
        self.left_out = None;
        let is_same = self.encoding.replace(encoding) == Some(encoding);
        let Some((picture_id, tl0_index, frame_number)) = self.last else { return };
        let (id, index) = numbers(frame);
        let ahead = id.wrapping_add(self.offsets.picture_id).wrapping_sub(picture_id) & 0x7FFF;
        let frames_ahead =
            frame.frame_number.wrapping_add(self.offsets.frame_number).wrapping_sub(frame_number);
        if is_same && !closes_up && ahead < 0x4000 && frames_ahead < 0x8000 {
            return;
        }
        self.offsets = NumberOffsets {
            picture_id: picture_id.wrapping_add(1).wrapping_sub(id),
            tl0_index: tl0_index.wrapping_add(1).wrapping_sub(index),
            frame_number: frame_number.wrapping_add(1).wrapping_sub(frame.frame_number),
        };
    }

    /// A packet is sent, maybe late: the numbers of what is sent next must be behind its own.
    pub(super) fn on_sent(&mut self, frame: &FrameInfo, offsets: NumberOffsets) {
        let (id, index) = numbers(frame);
        let id = id.wrapping_add(offsets.picture_id);
        let index = index.wrapping_add(offsets.tl0_index);
        let number = frame.frame_number.wrapping_add(offsets.frame_number);
        let (last_id, last_index, last_number) = self.last.unwrap_or((id, index, number));
        // PictureID has 15 bits, or 7: then it is only compared with itself.
        let is_newer_id = id.wrapping_sub(last_id) & 0x7FFF < 0x4000;
        self.last = Some((
            if is_newer_id { id } else { last_id },
            if index.wrapping_sub(last_index) < 0x80 { index } else { last_index },
            if number.wrapping_sub(last_number) < 0x8000 { number } else { last_number },
        ));
    }

    /// A picture is left out, and the ids of those behind it close up.
    pub(super) fn leave_out(&mut self, timestamp: u32) {
        if self.left_out.replace(timestamp) != Some(timestamp) {
            self.offsets.picture_id = self.offsets.picture_id.wrapping_sub(1);
        }
    }

    /// Remembers what is sent of the picture that is the newest.
    pub(super) fn decide(&mut self, timestamp: u32, layers: Layers, tells_targets: bool) -> Decision {
        let decision = Decision { layers, offsets: self.offsets, tells_targets };
        match self.decisions.back_mut() {
            Some((_, last)) if *last == decision => {}
            Some((since, last)) if *since == timestamp => *last = decision,
            _ => {
                if self.decisions.len() >= MAX_DECISIONS {
                    self.decisions.pop_front();
                }
                self.decisions.push_back((timestamp, decision));
            }
        }
        decision
    }

    /// What was decided about a picture; of one of which nothing had come, what was about those before it. `None` when that is
    /// forgotten.
    pub(super) fn decision(&self, timestamp: u32) -> Option<Decision> {
        let is_about = |(since, _): &&(u32, Decision)| !is_newer_timestamp(*since, timestamp);
        self.decisions.iter().rev().find(is_about).map(|(_, decision)| *decision)
    }
}

fn numbers(frame: &FrameInfo) -> (u16, u8) {
    let Some(picture) = &frame.picture else { return (0, 0) };
    (picture.id.value, picture.tl0_index.map_or(0, |(index, _)| index))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: Layers = Layers { spatial: 0, temporal: 1 };

    #[test]
    fn a_late_packet_is_treated_as_its_picture_was() {
        let mut pictures = Pictures::default();
        let before = pictures.decide(u32::MAX - 10, Layers::HIGHEST, false);
        pictures.decide(10, Layers::HIGHEST, false);
        pictures.leave_out(20);
        pictures.leave_out(20);
        let after = pictures.decide(20, LAYERS, false);
        assert_eq!(after.offsets.picture_id, u16::MAX, "one picture, not two packets");
        assert_eq!(pictures.decisions.len(), 2);
        for (timestamp, decision) in
            [(u32::MAX - 10, before), (5, before), (19, before), (20, after), (90, after)]
        {
            assert_eq!(pictures.decision(timestamp), Some(decision), "{timestamp}");
        }
        assert_eq!(pictures.decision(u32::MAX - 11), None);
        assert_eq!(
            pictures.decide(20, Layers::HIGHEST, false),
            Decision { layers: Layers::HIGHEST, ..after }
        );
        assert_eq!(pictures.decisions.len(), 2, "changed while it comes");
    }

    #[test]
    fn memory_is_bounded() {
        let mut pictures = Pictures::default();
        for timestamp in 0..1_000 {
            pictures.leave_out(timestamp);
            pictures.decide(timestamp, LAYERS, false);
        }
        assert_eq!(pictures.decisions.len(), MAX_DECISIONS);
    }
}
