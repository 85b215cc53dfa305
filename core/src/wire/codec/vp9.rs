//! VP9 payload descriptor (RFC 9628 section 4.2).

use super::PictureId;
use crate::wire::reader::Reader;

/// Most spatial layers that a scalability structure describes.
pub const MAX_SPATIAL_LAYERS: usize = 8;

/// The descriptor in front of every VP9 payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// I: number of the picture (all spatial layers of one instant).
    pub picture_id: Option<PictureId>,
    /// P: predicted from an earlier picture.
    pub inter_picture_predicted: bool,
    /// F: flexible mode; the descriptor itself names the pictures that are referred to.
    pub flexible_mode: bool,
    /// B: the payload begins with the first byte of a layer frame.
    pub start_of_frame: bool,
    /// E: the payload ends with the last byte of a layer frame.
    pub end_of_frame: bool,
    /// Z: no higher spatial layer depends on this frame.
    pub not_reference_for_upper_spatial_layers: bool,
    /// L: the layers that the frame belongs to. A stream without them has one layer.
    pub layers: Option<LayerIndices>,
    /// P_DIFF, in flexible mode: how many pictures back those referred to are, 1 to 127.
    pub reference_differences: heapless::Vec<u8, 3>,
    /// V: the scalability structure of the pictures from here on.
    pub scalability_structure: Option<ScalabilityStructure>,
    /// Length of the descriptor in bytes.
    pub len: usize,
}

/// The layers of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerIndices {
    /// TID: 0 to 7, 0 is the base.
    pub temporal_id: u8,
    /// U: a receiver of lower temporal layers can switch up to this one here.
    pub switching_up_point: bool,
    /// SID: 0 to 7, 0 is the base.
    pub spatial_id: u8,
    /// D: predicted from the next lower spatial layer of the same picture.
    pub inter_layer_dependent: bool,
    /// TL0PICIDX, only in non-flexible mode: counts the pictures of the lowest temporal layer.
    pub tl0_picture_index: Option<u8>,
}

/// What the layers of a stream look like (RFC 9628 section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalabilityStructure {
    /// N_S + 1: number of spatial layers, 1 to 8.
    pub spatial_layer_count: u8,
    /// Sizes of the spatial layers from the base up, if given; then one for each.
    pub resolutions: heapless::Vec<Resolution, MAX_SPATIAL_LAYERS>,
    /// N_G: number of pictures in the described group, 0 if none is described.
    pub picture_group_len: u8,
}

/// Size of a spatial layer in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
}

impl Vp9Descriptor {
    /// Reads the descriptor at the front of a payload. `None` if it is cut off or names more references than allowed.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let first = reader.u8()?;
        let inter_picture_predicted = first & 0x40 != 0;
        let flexible_mode = first & 0x10 != 0;
        let picture_id = if first & 0x80 != 0 { Some(PictureId::read(&mut reader)?) } else { None };
        let layers =
            if first & 0x20 != 0 { Some(LayerIndices::read(&mut reader, flexible_mode)?) } else { None };
        let reference_differences = if flexible_mode && inter_picture_predicted {
            read_reference_differences(&mut reader)?
        } else {
            heapless::Vec::new()
        };
        let scalability_structure =
            if first & 0x02 != 0 { Some(ScalabilityStructure::read(&mut reader)?) } else { None };
        Some(Self {
            picture_id,
            inter_picture_predicted,
            flexible_mode,
            start_of_frame: first & 0x08 != 0,
            end_of_frame: first & 0x04 != 0,
            not_reference_for_upper_spatial_layers: first & 0x01 != 0,
            layers,
            reference_differences,
            scalability_structure,
            len: payload.len() - reader.rest().len(),
        })
    }

    /// The spatial layer, 0 if the stream has none.
    pub fn spatial_id(&self) -> u8 {
        self.layers.map_or(0, |layers| layers.spatial_id)
    }

    /// The temporal layer, 0 if the stream has none.
    pub fn temporal_id(&self) -> u8 {
        self.layers.map_or(0, |layers| layers.temporal_id)
    }
}

impl LayerIndices {
    fn read(reader: &mut Reader<'_>, flexible_mode: bool) -> Option<Self> {
        let byte = reader.u8()?;
        Some(Self {
            temporal_id: byte >> 5,
            switching_up_point: byte & 0x10 != 0,
            spatial_id: byte >> 1 & 0x07,
            inter_layer_dependent: byte & 0x01 != 0,
            tl0_picture_index: if flexible_mode { None } else { Some(reader.u8()?) },
        })
    }
}

impl ScalabilityStructure {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let head = reader.u8()?;
        let spatial_layer_count = (head >> 5) + 1;
        let mut resolutions = heapless::Vec::new();
        if head & 0x10 != 0 {
            for _ in 0..spatial_layer_count {
                resolutions.push(Resolution { width: reader.u16()?, height: reader.u16()? }).ok()?;
            }
        }
        let picture_group_len = if head & 0x08 != 0 { reader.u8()? } else { 0 };
        for _ in 0..picture_group_len {
            let reference_count = reader.u8()? >> 2 & 0x03;
            reader.take(usize::from(reference_count))?;
        }
        Some(Self { spatial_layer_count, resolutions, picture_group_len })
    }
}

/// Whether this payload begins a keyframe: the start of a picture's base layer, predicted from nothing.
pub fn is_keyframe(payload: &[u8]) -> bool {
    Vp9Descriptor::parse(payload).is_some_and(|descriptor| {
        descriptor.start_of_frame
            && !descriptor.inter_picture_predicted
            && descriptor.spatial_id() == 0
            && descriptor.len < payload.len()
    })
}

fn read_reference_differences(reader: &mut Reader<'_>) -> Option<heapless::Vec<u8, 3>> {
    let mut differences = heapless::Vec::new();
    loop {
        let byte = reader.u8()?;
        // A fourth one is an error.
        differences.push(byte >> 1).ok()?;
        if byte & 0x01 == 0 {
            return Some(differences);
        }
    }
}
