//! What a packet is to the layers of its stream, whatever the codec says it in.
//!
//! A payload descriptor (VP8, VP9) or a dependency descriptor (AV1, and any codec that has one; it also works where the payload
//! is encrypted end to end) is read once per packet into a [`FrameInfo`]. Whoever chooses layers needs nothing else.
mod structure;

use self::structure::Structure;
use crate::wire::codec::dependency_descriptor::{
    ActiveDecodeTargets, DependencyDescriptor, MAX_SPATIAL_LAYERS, MAX_TEMPORAL_LAYERS,
};
use crate::wire::codec::vp8::Vp8Descriptor;
use crate::wire::codec::vp9::Vp9Descriptor;
use crate::wire::codec::{self, Codec, PictureId};

/// The layers of a stream up to these: what a receiver can choose to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layers {
    /// Highest spatial layer, 0 to 3.
    pub spatial: u8,
    /// Highest temporal layer, 0 to 7.
    pub temporal: u8,
}

/// A set of [`Layers`], one bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayersSet(u32);

/// What a packet is to the layers of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameInfo {
    /// Spatial layer of its frame.
    pub spatial_id: u8,
    /// Temporal layer of its frame.
    pub temporal_id: u8,
    /// It has the first byte of its frame. Always true where that cannot be told.
    pub start: bool,
    /// It has the last byte of its frame.
    pub end: bool,
    /// A receiver that has nothing can begin here.
    pub keyframe: bool,
    /// For whom it is.
    pub members: LayersSet,
    /// Who can begin here, coming from the next lower temporal layer or, if the frame is for that one too, from any lower one.
    pub switches: LayersSet,
    /// Where the payload numbers its picture.
    pub picture: Option<PictureNumbers>,
    /// Number of the frame in its dependency descriptor.
    pub frame_number: u16,
    /// The layers that are sent at present: what is above them is as good as the nearest of them.
    pub active: LayersSet,
    /// What it is to the chains of its stream, where that has chains.
    pub chains: Option<ChainInfo>,
}

/// What a frame is to the chains of its stream (RTP Payload Format For AV1, section A.5): a chain has the frames without which the
/// layers that it protects cannot be decoded any more. The sets name layers that decode targets are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainInfo {
    /// The layers of whose chains it is.
    pub essential: LayersSet,
    /// The layers whose chains need nothing that was before it.
    pub restarts: LayersSet,
    /// For each spatial layer, how many frames back the one before it in a chain is, the nearest of several; 0: nowhere.
    pub previous: [u8; MAX_SPATIAL_LAYERS],
    /// The frames that it refers to, bit 0 for the one before; all bits where one is more than 32 frames back.
    pub references: u32,
    /// In the whole stream all frames of lower spatial layers are part of what is sent of higher ones.
    pub is_nested: bool,
}

/// The numbers of a picture in its payload descriptor (RFC 7741 section 4.2, RFC 9628 section 4.2), and where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureNumbers {
    /// PictureID.
    pub id: PictureId,
    /// Byte of the payload at which it begins.
    pub id_at: u8,
    /// TL0PICIDX and the byte at which it stands.
    pub tl0_index: Option<(u8, u8)>,
}

/// What is added to the numbers of a payload and its dependency descriptor so that they go on over a change of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NumberOffsets {
    /// To PictureID, modulo its length.
    pub picture_id: u16,
    /// To TL0PICIDX.
    pub tl0_index: u8,
    /// To the frame number of the dependency descriptor.
    pub frame_number: u16,
}

/// Reads the frames of one stream (SSRC).
#[derive(Debug)]
pub struct FrameReader {
    codec: Codec,
    /// Spatial layers of VP9, as its scalability structure told last.
    spatial_layers: u8,
    structure: Option<Box<Structure>>,
    /// The one before, for packets that come late.
    previous: Option<Box<Structure>>,
    /// For each spatial layer, where its chains needed nothing from before for the last time: an extended sequence number.
    restarted_at: [u64; MAX_SPATIAL_LAYERS],
}

impl Layers {
    /// Everything.
    pub const HIGHEST: Layers =
        Layers { spatial: MAX_SPATIAL_LAYERS as u8 - 1, temporal: MAX_TEMPORAL_LAYERS as u8 - 1 };
}

impl LayersSet {
    /// All layers.
    pub const ALL: LayersSet = LayersSet(u32::MAX);
    /// None.
    pub const NONE: LayersSet = LayersSet(0);

    /// Those from this temporal layer up, in the spatial layers that `spatial` names.
    fn from(temporal: u8, spatial: impl Fn(u8) -> bool) -> Self {
        let row = (0xFFu32 << temporal.min(Layers::HIGHEST.temporal)) & 0xFF;
        let rows = (0..MAX_SPATIAL_LAYERS as u8).filter(|layer| spatial(*layer));
        LayersSet(rows.fold(0, |bits, layer| bits | row << (layer * 8)))
    }

    /// Only these.
    pub fn of(layers: Layers) -> Self {
        LayersSet(Self::bit(layers))
    }

    /// All temporal layers of a spatial one.
    pub const fn row(spatial: u8) -> Self {
        if spatial < MAX_SPATIAL_LAYERS as u8 { LayersSet(0xFF << (spatial * 8)) } else { Self::NONE }
    }

    fn insert(&mut self, layers: Layers) {
        self.0 |= Self::bit(layers);
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: LayersSet) -> Self {
        LayersSet(self.0 | other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn intersection(self, other: LayersSet) -> Self {
        LayersSet(self.0 & other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub const fn without(self, other: LayersSet) -> Self {
        LayersSet(self.0 & !other.0)
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The highest of its layers within these, spatial layers counting first; where there is none, the lowest of all that it has.
    pub fn nearest(self, layers: Layers) -> Layers {
        let temporal = layers.temporal.min(Layers::HIGHEST.temporal);
        let within =
            |spatial: u8| (self.0 >> (spatial * 8)) as u8 & (0xFF >> (Layers::HIGHEST.temporal - temporal));
        let row =
            (0..=layers.spatial.min(Layers::HIGHEST.spatial)).rev().find(|spatial| within(*spatial) != 0);
        match row {
            Some(spatial) => Layers { spatial, temporal: 7 - within(spatial).leading_zeros() as u8 },
            None if self.is_empty() => layers,
            None => {
                let lowest = self.0.trailing_zeros() as u8;
                Layers { spatial: lowest / 8, temporal: lowest % 8 }
            }
        }
    }

    /// Whether `layers` are in it.
    #[inline]
    pub fn contains(self, layers: Layers) -> bool {
        self.0 & Self::bit(layers) != 0
    }

    fn bit(layers: Layers) -> u32 {
        let Layers { spatial, temporal } = layers;
        1 << (spatial.min(Layers::HIGHEST.spatial) * 8 + temporal.min(Layers::HIGHEST.temporal))
    }
}

impl FrameInfo {
    /// A packet of a stream without layers.
    pub const fn without_layers(keyframe: bool, end: bool) -> Self {
        FrameInfo {
            spatial_id: 0,
            temporal_id: 0,
            start: true,
            end,
            keyframe,
            members: LayersSet::ALL,
            switches: LayersSet::ALL,
            picture: None,
            frame_number: 0,
            active: LayersSet::ALL,
            chains: None,
        }
    }

    /// Whether a higher spatial layer needs it.
    pub fn is_for_higher_spatial_layers(&self) -> bool {
        self.spatial_id < Layers::HIGHEST.spatial
            && self.members.contains(Layers { spatial: self.spatial_id + 1, ..Layers::HIGHEST })
    }
}

impl NumberOffsets {
    /// Adds them to the numbers in a copy of the payload.
    pub fn apply_to_payload(self, picture: &PictureNumbers, payload: &mut [u8]) {
        let id_at = usize::from(picture.id_at);
        let id = picture.id.value.wrapping_add(self.picture_id);
        if picture.id.is_long {
            if let Some(bytes) = payload.get_mut(id_at..id_at + 2) {
                bytes.copy_from_slice(&(id | 0x8000).to_be_bytes());
            }
        } else if let Some(byte) = payload.get_mut(id_at) {
            *byte = id as u8 & 0x7F;
        }
        if let Some((index, at)) = picture.tl0_index
            && let Some(byte) = payload.get_mut(usize::from(at))
        {
            *byte = index.wrapping_add(self.tl0_index);
        }
    }

    /// Adds them to the frame number of a copy of a dependency descriptor: the 16 bits behind the first byte (section A.8.1).
    pub fn apply_to_dependency_descriptor(self, descriptor: &mut [u8]) {
        if let Some([high, low]) = descriptor.get_mut(1..3) {
            let number = u16::from_be_bytes([*high, *low]).wrapping_add(self.frame_number);
            [*high, *low] = number.to_be_bytes();
        }
    }
}

impl FrameReader {
    /// For packets of this codec.
    pub const fn new(codec: Codec) -> Self {
        FrameReader {
            codec,
            spatial_layers: 1,
            structure: None,
            previous: None,
            restarted_at: [0; MAX_SPATIAL_LAYERS],
        }
    }

    /// The codec changed within the stream.
    pub fn set_codec(&mut self, codec: Codec) {
        if self.codec != codec {
            *self = FrameReader::new(codec);
        }
    }

    /// The stream begins anew.
    pub fn forget(&mut self) {
        *self = FrameReader::new(self.codec);
    }

    /// Whether the packets behind this one are read by what this one has brought.
    pub fn has_structure_since(&self, ext_seq: u64) -> bool {
        [&self.structure, &self.previous].into_iter().flatten().any(|structure| structure.since == ext_seq)
    }

    /// Reads a packet; `dependency_descriptor` is empty where there is none.
    pub fn read(
        &mut self,
        ext_seq: u64,
        marker: bool,
        payload: &[u8],
        dependency_descriptor: &[u8],
    ) -> FrameInfo {
        let mut info = self.read_payload(marker, payload);
        if !dependency_descriptor.is_empty() {
            self.read_dependency_descriptor(ext_seq, dependency_descriptor, &mut info);
        }
        info
    }

    fn read_payload(&mut self, marker: bool, payload: &[u8]) -> FrameInfo {
        let keyframe = codec::is_keyframe(self.codec, payload).unwrap_or(false);
        let plain = FrameInfo::without_layers(keyframe, marker);
        match self.codec {
            Codec::Vp8 => Vp8Descriptor::parse(payload).map_or(plain, |descriptor| vp8(&descriptor, plain)),
            Codec::Vp9 => Vp9Descriptor::parse(payload).map_or(plain, |descriptor| {
                let told = descriptor.scalability_structure.as_ref();
                let known = told.map_or(self.spatial_layers, |structure| structure.spatial_layer_count);
                self.spatial_layers = known.max(descriptor.spatial_id() + 1);
                vp9(&descriptor, self.spatial_layers, plain)
            }),
            _ => plain,
        }
    }

    fn read_dependency_descriptor(&mut self, ext_seq: u64, value: &[u8], info: &mut FrameInfo) {
        let known = self.structure_of(ext_seq).map(|known| &known.templates);
        let Some(mut descriptor) = DependencyDescriptor::parse(value, known) else { return };
        let begins = descriptor.structure.is_some() && descriptor.frame_differences.is_empty();
        if let Some(templates) = descriptor.structure.take() {
            self.take_structure(Structure::new(*templates, ext_seq));
        }
        let Some(structure) = self.structure_of(ext_seq) else { return };
        if let Some(active) = descriptor.active_decode_targets {
            structure.set_active(ext_seq, active);
        }
        let sets = structure.sets(&descriptor);
        *info = FrameInfo {
            spatial_id: descriptor.spatial_id,
            temporal_id: descriptor.temporal_id,
            start: descriptor.mandatory.start_of_frame,
            end: descriptor.mandatory.end_of_frame,
            keyframe: begins && descriptor.mandatory.start_of_frame && descriptor.spatial_id == 0,
            members: sets.members,
            switches: sets.switches,
            picture: info.picture,
            frame_number: descriptor.mandatory.frame_number,
            active: sets.active,
            chains: sets.chains,
        };
        self.note_restarts(ext_seq, info);
    }

    /// A frame that refers to none begins the chains that need nothing from before it.
    fn note_restarts(&mut self, ext_seq: u64, frame: &FrameInfo) {
        let begins = |chains: &ChainInfo| frame.start && chains.references == 0;
        let Some(chains) = frame.chains.filter(begins) else { return };
        for (spatial, at) in (0..).zip(&mut self.restarted_at) {
            if frame.active.intersection(LayersSet::row(spatial)).without(chains.restarts).is_empty() {
                *at = ext_seq.max(*at);
            }
        }
    }
}

impl FrameReader {
    /// The layers that are sent at present.
    pub fn active(&self) -> LayersSet {
        self.structure.as_ref().map_or(LayersSet::ALL, |structure| structure.active())
    }

    /// What a receiver of these layers of a packet's stream can decode, and whether that is all that is sent; `None` where the
    /// packet's structure is not known.
    pub fn decodable(&self, ext_seq: u64, layers: Layers) -> Option<(ActiveDecodeTargets, bool)> {
        let both = [&self.structure, &self.previous];
        let structure = both.into_iter().flatten().find(|structure| structure.since <= ext_seq)?;
        Some(structure.decodable(layers))
    }

    /// The layers that cannot be decoded any more since the packets up to `last` are lost, those next to the gap being of `before`
    /// and `after` (section A.6). `None` where the stream has no chains, so that nothing can be said.
    pub fn lost(
        &self,
        last: u64,
        before: Option<&FrameInfo>,
        after: Option<&FrameInfo>,
    ) -> Option<LayersSet> {
        let Some(after) = after else {
            let structure = self.structure.as_ref().filter(|structure| structure.has_chains());
            return structure.map(|_| LayersSet::ALL);
        };
        let chains = after.chains?;
        let in_part = |frame: &FrameInfo| frame.chains.map_or(LayersSet::ALL, |chains| chains.essential);
        let mut lost = if after.start { LayersSet::NONE } else { chains.essential };
        if let Some(before) = before.filter(|before| !before.end) {
            lost = lost.union(in_part(before));
        }
        let before = before.filter(|before| before.chains.is_some());
        let apart = before.map_or(u16::MAX, |before| after.frame_number.wrapping_sub(before.frame_number));
        for (spatial, (previous, restarted_at)) in (0..).zip(chains.previous.iter().zip(&self.restarted_at)) {
            if (1..apart).contains(&u16::from(*previous)) {
                lost = lost.union(LayersSet::row(spatial));
            }
            if *restarted_at > last {
                lost = lost.without(LayersSet::row(spatial));
            }
        }
        Some(lost)
    }

    /// The structure that a packet is read by: the one that came with it or last before it.
    fn structure_of(&mut self, ext_seq: u64) -> Option<&mut Structure> {
        let both = [self.structure.as_deref_mut(), self.previous.as_deref_mut()];
        both.into_iter().flatten().find(|structure| structure.since <= ext_seq)
    }

    fn take_structure(&mut self, structure: Structure) {
        match &self.structure {
            Some(newest) if newest.since > structure.since => {
                let previous = self.previous.as_ref().map_or(0, |previous| previous.since);
                if structure.since >= previous {
                    self.previous = Some(Box::new(structure));
                }
            }
            Some(newest) if newest.since == structure.since => {}
            _ => self.previous = self.structure.replace(Box::new(structure)),
        }
    }
}

fn vp8(descriptor: &Vp8Descriptor, plain: FrameInfo) -> FrameInfo {
    let temporal_id = descriptor.temporal_layer.map_or(0, |layer| layer.temporal_id);
    let members = LayersSet::from(temporal_id, |_| true);
    let is_sync = descriptor.temporal_layer.is_some_and(|layer| layer.layer_sync);
    FrameInfo {
        temporal_id,
        start: descriptor.is_frame_start(),
        members,
        switches: if is_sync { members } else { LayersSet::NONE },
        // Behind the two bytes that say which fields there are.
        picture: descriptor.picture_id.map(|id| picture_numbers(id, 2, 0, descriptor.tl0_picture_index)),
        ..plain
    }
}

fn vp9(descriptor: &Vp9Descriptor, spatial_layers: u8, plain: FrameInfo) -> FrameInfo {
    let (spatial_id, temporal_id) = (descriptor.spatial_id(), descriptor.temporal_id());
    let spatial_id = spatial_id.min(Layers::HIGHEST.spatial);
    let for_upper = !descriptor.not_reference_for_upper_spatial_layers;
    let members = match descriptor.layers {
        Some(_) => LayersSet::from(temporal_id, |layer| {
            // Above the highest layer that there is, that is what there is.
            let layer = layer.min(spatial_layers - 1);
            layer == spatial_id || (for_upper && layer > spatial_id)
        }),
        None => LayersSet::ALL,
    };
    let is_switch = descriptor.layers.is_some_and(|layers| layers.switching_up_point);
    let tl0_index = descriptor.layers.and_then(|layers| layers.tl0_picture_index);
    FrameInfo {
        spatial_id,
        temporal_id,
        start: descriptor.start_of_frame,
        end: descriptor.end_of_frame,
        members,
        switches: if is_switch { members } else { LayersSet::NONE },
        // Behind the first byte; the layers are between it and TL0PICIDX.
        picture: descriptor.picture_id.map(|id| picture_numbers(id, 1, 1, tl0_index)),
        ..plain
    }
}

/// `between`: how many bytes stand between PictureID and TL0PICIDX.
fn picture_numbers(id: PictureId, id_at: u8, between: u8, tl0_index: Option<u8>) -> PictureNumbers {
    let end = id_at + if id.is_long { 2 } else { 1 };
    PictureNumbers { id, id_at, tl0_index: tl0_index.map(|index| (index, end + between)) }
}

#[cfg(test)]
mod tests;
