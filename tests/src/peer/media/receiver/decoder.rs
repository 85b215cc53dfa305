//! A decoder that decodes nothing, but knows of every frame whether it could: when it is whole, and all that it depends on was
//! decoded.
use std::collections::BTreeSet;

use super::{FrameId, Violation};
use crate::peer::media::frame::Marks;
use crate::peer::media::track::TrackSpec;

/// Frames further back than this are not referred to.
const MAX_PICTURES_BACK: u32 = 16;
/// More spatial layers than any track has.
const MAX_SPATIAL_LAYERS: usize = 4;

/// What a packet led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The frame goes on.
    Nothing,
    /// A frame was decoded.
    Decoded,
    /// A frame was whole, but what it depends on was lost.
    Undecodable,
}

/// The decoder's state.
#[derive(Debug)]
pub(super) struct Decoder {
    video: bool,
    /// The frame that is arriving, and the index that is due; `None`: its beginning was lost.
    arriving: Option<(Marks, u16)>,
    encoding: u8,
    /// Picture number and spatial layer.
    decoded: BTreeSet<(u32, u8)>,
    /// By spatial layer: something was lost, and since then no frame of the base temporal layer was decoded. All that comes
    /// behind such a frame depends on nothing before it.
    damaged: [bool; MAX_SPATIAL_LAYERS],
    begun: bool,
}

impl Decoder {
    /// One that has seen nothing. What comes first may already be the rest of something lost.
    pub(super) fn new(track: &TrackSpec) -> Self {
        Decoder {
            video: track.codec.is_video(),
            arriving: None,
            encoding: 0,
            decoded: BTreeSet::new(),
            damaged: [true; MAX_SPATIAL_LAYERS],
            begun: false,
        }
    }

    pub(super) fn expect_no_loss(&mut self) {
        self.damaged = [false; MAX_SPATIAL_LAYERS];
    }

    /// Something is lost that came before the next packet.
    pub(super) fn on_gap(&mut self) {
        self.arriving = None;
        self.damaged = [true; MAX_SPATIAL_LAYERS];
    }

    /// The next packet in order. What is wrong with its numbers is the business of others.
    pub(super) fn on_packet(&mut self, marks: &Marks) -> Result<Outcome, Violation> {
        let due = match self.arriving {
            Some((arriving, due)) if arriving.same_frame(marks) => Some(due),
            _ => marks.is_first().then_some(0),
        };
        if due != Some(marks.index) {
            self.arriving = None;
            return Ok(Outcome::Nothing);
        }
        self.arriving = Some((*marks, marks.index + 1));
        if marks.is_last() { self.decode(marks) } else { Ok(Outcome::Nothing) }
    }

    fn decode(&mut self, marks: &Marks) -> Result<Outcome, Violation> {
        self.arriving = None;
        if !self.video {
            return Ok(Outcome::Decoded);
        }
        let begins = !std::mem::replace(&mut self.begun, true);
        if marks.starts_decoding() || marks.encoding != self.encoding {
            self.encoding = marks.encoding;
            self.decoded.clear();
        }
        let layer = usize::from(marks.spatial_id) % MAX_SPATIAL_LAYERS;
        if let Some((picture, spatial_id)) = self.missing_reference(marks) {
            let excused = self.damaged[usize::from(spatial_id) % MAX_SPATIAL_LAYERS];
            return match (excused, begins) {
                (true, _) => Ok(Outcome::Undecodable),
                (false, true) => Err(Violation::StartsWithoutKeyframe(FrameId::of(marks))),
                (false, false) => {
                    // Once is enough to report: until the next keyframe it goes on like this.
                    self.damaged = [true; MAX_SPATIAL_LAYERS];
                    Err(Violation::ReferenceNotForwarded { frame: FrameId::of(marks), picture, spatial_id })
                }
            };
        }
        if marks.temporal_id == 0 {
            self.damaged[layer] = false;
        }
        let oldest = marks.number.saturating_sub(MAX_PICTURES_BACK);
        while self.decoded.first().is_some_and(|(number, _)| *number < oldest) {
            self.decoded.pop_first();
        }
        self.decoded.insert((marks.number, marks.spatial_id));
        Ok(Outcome::Decoded)
    }

    /// Picture and spatial layer of a frame that this one refers to and that was not decoded.
    fn missing_reference(&self, marks: &Marks) -> Option<(u32, u8)> {
        let back = u32::from(marks.references.pictures_back);
        let own_layer = (back > 0).then(|| (marks.number.wrapping_sub(back), marks.spatial_id));
        let lower_layer = marks.references.lower_layer.then(|| (marks.number, marks.spatial_id - 1));
        own_layer.into_iter().chain(lower_layer).find(|reference| !self.decoded.contains(reference))
    }
}
