//! VP8 payload descriptor (RFC 7741 section 4.2).

use super::PictureId;
use crate::wire::reader::Reader;

/// The descriptor in front of every VP8 payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// N: no other frame depends on this one.
    pub non_reference: bool,
    /// S: the payload begins with the first byte of a partition.
    pub start_of_partition: bool,
    /// PID: index of that partition, 0 to 7.
    pub partition_index: u8,
    /// Number of the frame.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: counts the frames of the lowest temporal layer.
    pub tl0_picture_index: Option<u8>,
    /// TID and Y, if the stream has temporal layers.
    pub temporal_layer: Option<TemporalLayer>,
    /// KEYIDX, 0 to 31: counts keyframes.
    pub key_index: Option<u8>,
    /// Length of the descriptor in bytes.
    pub len: usize,
}

/// The temporal layer of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporalLayer {
    /// 0 to 3, 0 is the base.
    pub temporal_id: u8,
    /// Y: depends only on the base layer, so a receiver of lower layers can switch up here.
    pub layer_sync: bool,
}

impl Vp8Descriptor {
    /// Reads the descriptor at the front of a payload. `None` if it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload);
        let first = reader.u8()?;
        let has = if first & 0x80 == 0 { 0 } else { reader.u8()? };
        let (has_picture_id, has_tl0, has_tid, has_key_index) =
            (has & 0x80 != 0, has & 0x40 != 0, has & 0x20 != 0, has & 0x10 != 0);
        let picture_id = if has_picture_id { Some(PictureId::read(&mut reader)?) } else { None };
        let tl0_picture_index = if has_tl0 { Some(reader.u8()?) } else { None };
        // TID, Y and KEYIDX share a byte, there if either is.
        let shared = if has_tid || has_key_index { reader.u8()? } else { 0 };
        Some(Self {
            non_reference: first & 0x20 != 0,
            start_of_partition: first & 0x10 != 0,
            partition_index: first & 0x07,
            picture_id,
            tl0_picture_index,
            temporal_layer: has_tid
                .then_some(TemporalLayer { temporal_id: shared >> 6, layer_sync: shared & 0x20 != 0 }),
            key_index: has_key_index.then_some(shared & 0x1F),
            len: payload.len() - reader.rest().len(),
        })
    }

    /// Whether the payload begins with the first byte of a frame.
    pub fn is_frame_start(&self) -> bool {
        self.start_of_partition && self.partition_index == 0
    }
}

/// Whether this payload begins a keyframe: first partition, and the P bit of the frame header is 0 (RFC 7741 section 4.3).
pub fn is_keyframe(payload: &[u8]) -> bool {
    Vp8Descriptor::parse(payload).is_some_and(|descriptor| {
        descriptor.is_frame_start() && payload.get(descriptor.len).is_some_and(|header| header & 0x01 == 0)
    })
}
