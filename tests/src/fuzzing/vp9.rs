//! VP9 payload descriptors (RFC 9628 section 4.2).

use sansfu::wire::codec::PictureId;
use sansfu::wire::codec::vp9::{ScalabilityStructure, Vp9Descriptor, is_keyframe};

/// What was read and is written again reads the same; every field is there when its bit says so; nothing cut off is read.
pub fn vp9(data: &[u8]) {
    let Some(descriptor) = Vp9Descriptor::parse(data) else {
        assert!(!is_keyframe(data));
        return;
    };
    assert!(descriptor.len <= data.len());
    let is_set = |mask: u8| data[0] & mask != 0;
    assert_eq!(descriptor.picture_id.is_some(), is_set(0x80));
    assert_eq!(descriptor.layers.is_some(), is_set(0x20));
    assert_eq!(!descriptor.reference_differences.is_empty(), is_set(0x40) && is_set(0x10));
    assert_eq!(descriptor.scalability_structure.is_some(), is_set(0x02));
    let layers = descriptor.layers;
    assert_eq!(
        layers.is_some_and(|layers| layers.tl0_picture_index.is_some()),
        is_set(0x20) && !is_set(0x10)
    );
    assert_eq!(
        (descriptor.spatial_id(), descriptor.temporal_id()),
        layers.map_or((0, 0), |l| (l.spatial_id, l.temporal_id))
    );
    if let Some(structure) = &descriptor.scalability_structure {
        let sizes = structure.resolutions.len();
        assert!(sizes == 0 || sizes == usize::from(structure.spatial_layer_count));
    }
    // B set, P clear, SID 0 or no layers, and something behind the descriptor.
    let expected = data[0] & 0x48 == 0x08 && descriptor.spatial_id() == 0 && descriptor.len < data.len();
    assert_eq!(is_keyframe(data), expected);

    for len in 0..descriptor.len {
        assert_eq!(Vp9Descriptor::parse(&data[..len]), None, "cut to {len}");
    }
    let written = write(&descriptor);
    assert!(written.len() <= descriptor.len, "only references of the picture group are left out");
    let again = Vp9Descriptor::parse(&written).expect("what was written can be read");
    assert_eq!(again, Vp9Descriptor { len: written.len(), ..descriptor });
}

fn write(descriptor: &Vp9Descriptor) -> Vec<u8> {
    let bit = |set: bool, at: u32| u8::from(set) << at;
    let mut out = vec![
        bit(descriptor.picture_id.is_some(), 7)
            | bit(descriptor.inter_picture_predicted, 6)
            | bit(descriptor.layers.is_some(), 5)
            | bit(descriptor.flexible_mode, 4)
            | bit(descriptor.start_of_frame, 3)
            | bit(descriptor.end_of_frame, 2)
            | bit(descriptor.scalability_structure.is_some(), 1)
            | bit(descriptor.not_reference_for_upper_spatial_layers, 0),
    ];
    match descriptor.picture_id {
        Some(PictureId { value, is_long: true }) => out.extend((value | 0x8000).to_be_bytes()),
        Some(PictureId { value, is_long: false }) => out.push(value as u8),
        None => {}
    }
    if let Some(layers) = descriptor.layers {
        out.push(
            layers.temporal_id << 5
                | bit(layers.switching_up_point, 4)
                | layers.spatial_id << 1
                | bit(layers.inter_layer_dependent, 0),
        );
        out.extend(layers.tl0_picture_index);
    }
    for (index, difference) in descriptor.reference_differences.iter().enumerate() {
        let is_last = index + 1 == descriptor.reference_differences.len();
        out.push(difference << 1 | bit(!is_last, 0));
    }
    if let Some(structure) = &descriptor.scalability_structure {
        write_structure(structure, &mut out);
    }
    out
}

fn write_structure(structure: &ScalabilityStructure, out: &mut Vec<u8>) {
    let has_sizes = !structure.resolutions.is_empty();
    let has_group = structure.picture_group_len > 0;
    out.push((structure.spatial_layer_count - 1) << 5 | u8::from(has_sizes) << 4 | u8::from(has_group) << 3);
    for size in &structure.resolutions {
        out.extend(size.width.to_be_bytes());
        out.extend(size.height.to_be_bytes());
    }
    if has_group {
        out.push(structure.picture_group_len);
        out.extend(std::iter::repeat_n(0, usize::from(structure.picture_group_len)));
    }
}
