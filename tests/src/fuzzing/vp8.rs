//! VP8 payload descriptors (RFC 7741 section 4.2).

use sansfu::wire::codec::PictureId;
use sansfu::wire::codec::vp8::{TemporalLayer, Vp8Descriptor, is_keyframe};
use str0m::rtp::Vp8Descriptor as Other;

/// What was read and is written again reads the same, and another library reads the same.
pub fn vp8(data: &[u8]) {
    let Some(descriptor) = Vp8Descriptor::parse(data) else {
        assert!(data.len() < 6, "the longest descriptor has six bytes");
        assert!(Other::parse(data).is_err() && !is_keyframe(data));
        return;
    };
    assert!(descriptor.len <= data.len().min(6));
    let written = write(&descriptor, data[0] & 0x80 != 0);
    assert_eq!(Vp8Descriptor::parse(&written).as_ref(), Some(&descriptor));
    for len in 0..descriptor.len {
        assert_eq!(Vp8Descriptor::parse(&data[..len]), None, "cut to {len}");
    }
    assert_eq!(
        is_keyframe(data),
        data[0] & 0x17 == 0x10 && data.get(descriptor.len).is_some_and(|header| header & 1 == 0)
    );
    compare(data, &descriptor);
}

/// The other library wants a payload behind the descriptor, and a temporal layer with every TL0PICIDX as the RFC does.
fn compare(data: &[u8], descriptor: &Vp8Descriptor) {
    let lacks_layer = descriptor.tl0_picture_index.is_some() && descriptor.temporal_layer.is_none();
    let other = Other::parse(data);
    assert_eq!(other.is_ok(), descriptor.len < data.len() && !lacks_layer);
    let Ok(other) = other else { return };
    assert_eq!(other.picture_id(), descriptor.picture_id.map(|id| id.value));
    assert_eq!(other.tl0_pic_idx(), descriptor.tl0_picture_index);
    assert_eq!(other.key_idx(), descriptor.key_index);
    assert_eq!(other.starts_keyframe(data), is_keyframe(data));
}

fn write(descriptor: &Vp8Descriptor, is_extended: bool) -> Vec<u8> {
    let bit = |set: bool, at: u32| u8::from(set) << at;
    let mut out = vec![
        bit(is_extended, 7)
            | bit(descriptor.non_reference, 5)
            | bit(descriptor.start_of_partition, 4)
            | descriptor.partition_index,
    ];
    if !is_extended {
        return out;
    }
    out.push(
        bit(descriptor.picture_id.is_some(), 7)
            | bit(descriptor.tl0_picture_index.is_some(), 6)
            | bit(descriptor.temporal_layer.is_some(), 5)
            | bit(descriptor.key_index.is_some(), 4),
    );
    match descriptor.picture_id {
        Some(PictureId { value, is_long: true }) => out.extend((value | 0x8000).to_be_bytes()),
        Some(PictureId { value, is_long: false }) => out.push(value as u8),
        None => {}
    }
    out.extend(descriptor.tl0_picture_index);
    if descriptor.temporal_layer.is_some() || descriptor.key_index.is_some() {
        let layer = descriptor.temporal_layer.unwrap_or(TemporalLayer { temporal_id: 0, layer_sync: false });
        out.push(layer.temporal_id << 6 | bit(layer.layer_sync, 5) | descriptor.key_index.unwrap_or(0));
    }
    out
}
