//! The rules about numbers: of packets within frames, of timestamps, of the marker, of the codec's picture numbers.
use super::{FrameId, Packet, Violation};
use crate::peer::media::frame::{Marks, PictureNumbers};
use crate::peer::media::layers::Layers;
use crate::peer::media::track::{Codec, TrackSpec};

/// A hundred milliseconds of video, and one for rounding.
const MAX_PUSH: u32 = 9_090;

/// Judges packets in the order of their sequence numbers.
#[derive(Debug)]
pub(super) struct OrderRules {
    codec: Codec,
    /// Of each encoding.
    spatial_layers: u8,
    is_simulcast: bool,
    /// A forwarder has something to choose: it may go to another encoding, leave pictures out, and stop for want of bandwidth.
    has_layers: bool,
    before: Option<Before>,
    /// Something was lost since then.
    gap: bool,
    /// A packet without payload has come since then: it fills the number of one that was lost on its way to the forwarder, who
    /// could not know that its picture was to be left out.
    filled: bool,
    /// How many times the stream may still go on under another timestamp offset and other picture numbers.
    restarts: u32,
}

/// The packet before.
#[derive(Debug, Clone, Copy)]
struct Before {
    packet: Packet,
    marks: Marks,
    numbers: PictureNumbers,
    /// RTP timestamp minus capture time.
    timestamp_offset: u32,
}

impl OrderRules {
    pub(super) fn new(track: &TrackSpec) -> Self {
        let spatial_layers = track.encodings.first().map_or(1, |encoding| encoding.layers.spatial);
        let of_track = &track.encodings;
        OrderRules {
            codec: track.codec,
            spatial_layers,
            is_simulcast: of_track.len() > 1,
            has_layers: of_track.len() > 1 || of_track.iter().any(|encoding| encoding.layers != Layers::ONE),
            before: None,
            gap: false,
            filled: false,
            restarts: 0,
        }
    }

    /// What comes next does not follow what was before.
    pub(super) fn on_gap(&mut self) {
        self.gap = true;
    }

    /// A packet without payload comes next.
    pub(super) fn on_filler(&mut self) {
        self.filled = self.has_layers;
    }

    pub(super) fn allow_restart(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
    }

    /// The next packet in order that has a payload.
    pub(super) fn on_packet(&mut self, packet: &Packet) -> Result<(), Violation> {
        let Some((marks, numbers)) = packet.content else { return Ok(()) };
        let (gap, filled) = (std::mem::take(&mut self.gap), std::mem::take(&mut self.filled));
        let now = Before {
            packet: *packet,
            marks,
            numbers,
            timestamp_offset: packet.timestamp.wrapping_sub(marks.capture),
        };
        let Some(before) = self.before.replace(now) else { return self.check_marker(&now) };
        let restarted = self.is_restart(&before, &now, gap);
        self.check_marker(&now)?;
        if !gap {
            self.check_follows(&before, &now, restarted)?;
        }
        check_timestamps(&before, &now, restarted, gap && self.is_simulcast)?;
        if !gap && !filled && !restarted && !before.marks.same_picture(&marks) {
            self.check_picture_numbers(&before, &now)?;
        }
        Ok(())
    }

    /// Whether the stream goes on under other numbers, and may: with a keyframe (that may be lost), after a change of activity.
    fn is_restart(&mut self, before: &Before, now: &Before, gap: bool) -> bool {
        let may_begin = !self.codec.is_video() || now.marks.starts_decoding() && now.marks.is_first() || gap;
        if self.restarts == 0 || !may_begin || before.marks.same_picture(&now.marks) {
            return false;
        }
        let same_encoding = before.marks.encoding == now.marks.encoding;
        // A picture may be left in the middle; its end would have had the marker.
        let cut_short = !before.marks.is_last() || self.codec.is_video() && !before.packet.marker;
        let other_numbers = || cut_short || self.check_picture_numbers(before, now).is_err();
        let differs =
            same_encoding && before.timestamp_offset != now.timestamp_offset || !gap && other_numbers();
        self.restarts -= u32::from(differs);
        differs
    }

    /// Video: the marker stands at the end of a picture and nowhere else (all four payload formats).
    fn check_marker(&self, now: &Before) -> Result<(), Violation> {
        let wrong = self.codec.is_video() && now.packet.marker && !now.marks.is_last();
        if wrong { Err(Violation::MarkerInsidePicture(FrameId::of(&now.marks))) } else { Ok(()) }
    }

    /// The rules for consecutive sequence numbers.
    fn check_follows(&self, before: &Before, now: &Before, restarted: bool) -> Result<(), Violation> {
        let frame = FrameId::of(&now.marks);
        if before.marks.same_frame(&now.marks) {
            let expected_index = before.marks.index + 1;
            let found = now.marks;
            return if found.index == expected_index {
                Ok(())
            } else {
                Err(Violation::FrameBroken { found, expected_index })
            };
        }
        let switched = before.marks.encoding != now.marks.encoding;
        if switched && !now.marks.starts_decoding() {
            return Err(Violation::SwitchWithoutKeyframe(frame));
        }
        if !now.marks.is_first() {
            return Err(Violation::FrameHeadless(frame));
        }
        let ended = before.marks.is_last();
        // A forwarder that stops for want of bandwidth may have lost the end of what it sent last; it goes on with a keyframe.
        let may_be_cut = self.has_layers && now.marks.starts_decoding();
        if !ended && !switched && !restarted && !may_be_cut {
            return Err(Violation::FrameCutShort(FrameId::of(&before.marks)));
        }
        let place = |marks: &Marks| (marks.number, marks.spatial_id);
        if !switched && place(&now.marks) <= place(&before.marks) {
            return Err(Violation::FrameOrder { before: FrameId::of(&before.marks), found: frame });
        }
        let same_picture = before.marks.same_picture(&now.marks);
        match before.packet.marker {
            true if same_picture => Err(Violation::MarkerInsidePicture(FrameId::of(&before.marks))),
            false if !same_picture && ended && !restarted && !may_be_cut && self.codec.is_video() => {
                Err(Violation::MarkerMissing(FrameId::of(&before.marks)))
            }
            _ => Ok(()),
        }
    }

    /// Picture numbers of a picture that follows another.
    fn check_picture_numbers(&self, before: &Before, now: &Before) -> Result<(), Violation> {
        let frame = FrameId::of(&now.marks);
        let switched = before.marks.encoding != now.marks.encoding;
        if let (Some(last), Some(found)) = (before.numbers.picture_id, now.numbers.picture_id) {
            // VP8's decoder takes a jump for a loss. VP9 refers to pictures by differences of their ids, so what is left out
            // keeps its ids; to another encoding they only have to grow.
            let step = match (self.codec, switched) {
                (Codec::Vp9, false) => now.marks.number.wrapping_sub(before.marks.number),
                (Codec::Vp9, true) if found.wrapping_sub(last) & 0x7FFF < 0x4000 && found != last => {
                    return Ok(());
                }
                _ => 1,
            };
            let expected = (u32::from(last) + step) as u16 & 0x7FFF;
            if found != expected {
                return Err(Violation::PictureId { frame, expected, found });
            }
        }
        if let (Some(last), Some(found)) = (before.numbers.frame_number, now.numbers.frame_number) {
            // Frames refer to each other by differences of these, so what is left out keeps its numbers.
            let expected = last.wrapping_add(frames_apart(&before.marks, &now.marks, self.spatial_layers));
            let is_ahead = found != last && found.wrapping_sub(last) < 0x8000;
            if if switched { !is_ahead } else { found != expected } {
                return Err(Violation::PictureId { frame, expected, found });
            }
        }
        if let (Some(last), Some(found)) = (before.numbers.tl0_picture_index, now.numbers.tl0_picture_index) {
            let expected = last.wrapping_add(u8::from(now.marks.temporal_id == 0));
            if found != expected {
                return Err(Violation::Tl0PictureIndex { frame, expected, found });
            }
        }
        Ok(())
    }
}

/// How many frames of all spatial layers there are from one to another of the same encoding.
fn frames_apart(before: &Marks, now: &Marks, spatial_layers: u8) -> u16 {
    let pictures = now.number.wrapping_sub(before.number);
    let frames = pictures.wrapping_mul(u32::from(spatial_layers)) + u32::from(now.spatial_id);
    frames.wrapping_sub(u32::from(before.spatial_id)) as u16
}

/// One timestamp for a picture; within an encoding they go on as the capture times; over a switch they grow.
fn check_timestamps(
    before: &Before,
    now: &Before,
    restarted: bool,
    switch_lost: bool,
) -> Result<(), Violation> {
    let frame = FrameId::of(&now.marks);
    let (last, found) = (before.packet.timestamp, now.packet.timestamp);
    if before.marks.same_picture(&now.marks) {
        return if last == found { Ok(()) } else { Err(Violation::TimestampsInPicture(frame)) };
    }
    if before.marks.encoding == now.marks.encoding && !restarted {
        let expected = now.marks.capture.wrapping_add(before.timestamp_offset);
        // Where another encoding was in a gap, this one was pushed on a little so that time does not go backwards.
        let pushed_by = (found.wrapping_sub(expected) as i32).unsigned_abs();
        return if pushed_by == 0 || switch_lost && pushed_by <= MAX_PUSH {
            Ok(())
        } else {
            Err(Violation::TimestampDrift { frame, expected, found })
        };
    }
    let ahead = found.wrapping_sub(last) as i32;
    if ahead > 0 { Ok(()) } else { Err(Violation::TimestampBackwards(frame)) }
}
