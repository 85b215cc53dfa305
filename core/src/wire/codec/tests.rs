// Bits are grouped by the fields that they belong to.
#![allow(clippy::unusual_byte_groupings)]

use super::vp8::{TemporalLayer, Vp8Descriptor};
use super::vp9::{LayerIndices, Resolution, Vp9Descriptor};
use super::*;

#[test]
fn mime_subtypes() {
    for (name, codec) in [
        ("opus", Codec::Opus),
        ("OPUS", Codec::Opus),
        ("vp8", Codec::Vp8),
        ("VP9", Codec::Vp9),
        ("h264", Codec::H264),
        ("AV1", Codec::Av1),
        ("AV1X", Codec::Other),
        ("", Codec::Other),
    ] {
        assert_eq!(Codec::from_mime_subtype(name), codec, "{name}");
    }
}

#[test]
fn dispatch() {
    assert_eq!(is_keyframe(Codec::Vp8, &[0x10, 0x00]), Some(true));
    assert_eq!(is_keyframe(Codec::H264, &[0x67]), Some(true));
    assert_eq!(is_keyframe(Codec::Vp9, &[]), Some(false));
    assert_eq!(is_keyframe(Codec::Av1, &[]), Some(false));
    assert_eq!(is_keyframe(Codec::Opus, &[0x67]), None);
    assert_eq!(is_keyframe(Codec::Other, &[0x67]), None);
    assert!(opus::is_dtx(&[0xF8, 0xFF]) && !opus::is_dtx(&[0xF8, 0xFF, 0xFE]));
}

#[test]
fn vp8_example_of_rfc_7741() {
    // Section 4.6.2: keyframe with a 15-bit picture id of 17.
    let payload = [0x90, 0x80, 0x80, 0x11, 0x10, 0x02];
    let descriptor = Vp8Descriptor::parse(&payload).unwrap();
    assert_eq!(descriptor.picture_id, Some(PictureId { value: 17, is_long: true }));
    assert!(descriptor.is_frame_start());
    assert_eq!(descriptor.len, 4);
    assert_eq!(descriptor.temporal_layer, None);
    assert!(vp8::is_keyframe(&payload));
}

#[test]
fn vp8_all_fields() {
    let payload = [0xB0, 0xF0, 0x7F, 200, 0b10_1_11111, 0x01];
    let descriptor = Vp8Descriptor::parse(&payload).unwrap();
    let expected = Vp8Descriptor {
        non_reference: true,
        start_of_partition: true,
        partition_index: 0,
        picture_id: Some(PictureId { value: 127, is_long: false }),
        tl0_picture_index: Some(200),
        temporal_layer: Some(TemporalLayer { temporal_id: 2, layer_sync: true }),
        key_index: Some(31),
        len: 5,
    };
    assert_eq!(descriptor, expected);
    assert!(!vp8::is_keyframe(&payload), "P bit set");
    for len in 0..5 {
        assert_eq!(Vp8Descriptor::parse(&payload[..len]), None, "cut to {len}");
    }
    // T without K and K without T share the byte all the same.
    let with_tid = Vp8Descriptor::parse(&[0x90, 0x20, 0x41]).unwrap();
    assert_eq!(
        (with_tid.temporal_layer.unwrap().temporal_id, with_tid.key_index, with_tid.len),
        (1, None, 3)
    );
    let with_key_index = Vp8Descriptor::parse(&[0x90, 0x10, 0x41]).unwrap();
    assert_eq!((with_key_index.temporal_layer, with_key_index.key_index), (None, Some(1)));
}

#[test]
fn vp8_keyframes_start_at_the_first_partition() {
    assert!(vp8::is_keyframe(&[0x10, 0x00]));
    assert!(!vp8::is_keyframe(&[0x00, 0x00]), "not a start");
    assert!(!vp8::is_keyframe(&[0x11, 0x00]), "second partition");
    assert!(!vp8::is_keyframe(&[0x10, 0x01]), "predicted");
    assert!(!vp8::is_keyframe(&[0x10]), "nothing behind the descriptor");
    assert!(!vp8::is_keyframe(&[]));
}

#[test]
fn vp9_non_flexible_with_structure() {
    let payload = [
        0xAE, // I, L, B, E, V
        0x81,
        0x02, // picture id 258
        0b010_1_001_1,
        77, // TID 2, U, SID 1, D, TL0PICIDX
        0b001_1_1_000,
        0x01,
        0x40,
        0x00,
        0xB4,
        0x02,
        0x80,
        0x01,
        0x68, // two layers
        2,
        0b000_0_00_00,
        0b001_1_10_00,
        1,
        2, // group of two pictures
        0xAA,
    ];
    let descriptor = Vp9Descriptor::parse(&payload).unwrap();
    assert_eq!(descriptor.picture_id, Some(PictureId { value: 258, is_long: true }));
    let layers = LayerIndices {
        temporal_id: 2,
        switching_up_point: true,
        spatial_id: 1,
        inter_layer_dependent: true,
        tl0_picture_index: Some(77),
    };
    assert_eq!(descriptor.layers, Some(layers));
    let structure = descriptor.scalability_structure.as_ref().unwrap();
    assert_eq!((structure.spatial_layer_count, structure.picture_group_len), (2, 2));
    let sizes = [Resolution { width: 320, height: 180 }, Resolution { width: 640, height: 360 }];
    assert_eq!(structure.resolutions, sizes);
    assert!(descriptor.start_of_frame && descriptor.end_of_frame && !descriptor.flexible_mode);
    assert_eq!(descriptor.len, payload.len() - 1);
    assert!(!vp9::is_keyframe(&payload), "second spatial layer");
    for len in 0..descriptor.len {
        assert_eq!(Vp9Descriptor::parse(&payload[..len]), None, "cut to {len}");
    }
}

#[test]
fn vp9_flexible_references() {
    // I, P, F, B, Z: 7-bit picture id, references 1 and 63 back.
    let payload = [0b1101_1001, 0x05, 0b0000001_1, 0b0111111_0, 0xAA];
    let descriptor = Vp9Descriptor::parse(&payload).unwrap();
    assert_eq!(descriptor.reference_differences, [1, 63]);
    assert!(descriptor.flexible_mode && descriptor.inter_picture_predicted);
    assert!(descriptor.not_reference_for_upper_spatial_layers);
    assert_eq!((descriptor.len, descriptor.spatial_id(), descriptor.temporal_id()), (4, 0, 0));
    assert!(!vp9::is_keyframe(&payload));
    // In flexible mode the layer indices have no TL0PICIDX.
    let with_layers = Vp9Descriptor::parse(&[0b0011_1000, 0b001_0_000_0, 0xAA]).unwrap();
    assert_eq!((with_layers.layers.unwrap().tl0_picture_index, with_layers.len), (None, 2));
    // A fourth reference.
    assert_eq!(Vp9Descriptor::parse(&[0b0101_0000, 3, 3, 3, 2, 0xAA]), None);
}

#[test]
fn vp9_keyframes() {
    assert!(vp9::is_keyframe(&[0x08, 0xAA]));
    assert!(vp9::is_keyframe(&[0x28, 0x00, 0x00, 0xAA]));
    assert!(!vp9::is_keyframe(&[0x08]), "no payload");
    assert!(!vp9::is_keyframe(&[0x00, 0xAA]), "not a start");
    assert!(!vp9::is_keyframe(&[0x48, 0xAA]), "predicted");
    assert!(!vp9::is_keyframe(&[0x28, 0x02, 0x00, 0xAA]), "spatial layer 1");
}

#[test]
fn h264_keyframes() {
    assert!(h264::is_keyframe(&[0x67, 0x42]), "sequence parameter set");
    assert!(!h264::is_keyframe(&[0x65, 0x88]), "IDR slice: its parameter sets may have been lost");
    assert!(!h264::is_keyframe(&[0x68]), "picture parameter set");
    assert!(!h264::is_keyframe(&[0x41, 0x9A]), "other slice");
    assert!(!h264::is_keyframe(&[]));
    // STAP-A of SPS, PPS; of AUD and slice; of AUD and SPS; with a unit that is cut off; with an empty one.
    assert!(h264::is_keyframe(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]));
    assert!(!h264::is_keyframe(&[0x78, 0, 1, 0x09, 0, 1, 0x41]));
    assert!(h264::is_keyframe(&[0x78, 0, 1, 0x09, 0, 1, 0x67]));
    assert!(!h264::is_keyframe(&[0x78, 0, 1, 0x09, 0, 9, 0x67]));
    assert!(!h264::is_keyframe(&[0x78, 0, 0, 0, 1]));
    // FU-A: start of a parameter set, its middle, start of a slice.
    assert!(h264::is_keyframe(&[0x7C, 0x87, 0x42]));
    assert!(!h264::is_keyframe(&[0x7C, 0x07, 0x42]));
    assert!(!h264::is_keyframe(&[0x7C, 0x85, 0x88]));
    assert!(!h264::is_keyframe(&[0x5C, 0x81, 0x9A]));
    assert!(!h264::is_keyframe(&[0x7C]));
}

#[test]
fn av1_keyframes() {
    // N, W = 2: sequence header with its length, then a frame.
    assert!(av1::is_keyframe(&[0x28, 3, 0x08, 1, 2, 0x30, 9, 9]));
    // W = 0: both with lengths; a length in two bytes.
    assert!(av1::is_keyframe(&[0x08, 2, 0x10, 0, 0x82, 0x00, 0x08, 1]));
    // W = 1, the sequence header alone, to be continued.
    assert!(av1::is_keyframe(&[0x58, 0x08, 1]));
    assert!(!av1::is_keyframe(&[0x20, 3, 0x08, 1, 2, 0x30, 9, 9]), "no new sequence");
    assert!(!av1::is_keyframe(&[0x28, 1, 0x10, 0x30]), "no sequence header");
    assert!(!av1::is_keyframe(&[0xA8, 3, 0x08, 1, 2, 0x30]), "a new sequence cannot continue a fragment");
    assert!(!av1::is_keyframe(&[0x08, 9, 0x08]), "cut off");
    assert!(!av1::is_keyframe(&[0x08]));
    assert!(!av1::is_keyframe(&[]));
}

#[test]
fn av1_elements() {
    let elements = |payload| av1::elements(payload).map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert_eq!(elements(&[0x20, 1, 7, 8, 9]), [vec![7], vec![8, 9]]);
    assert_eq!(elements(&[0x00, 1, 7, 2, 8, 9]), [vec![7], vec![8, 9]]);
    assert_eq!(elements(&[0x00, 1, 7, 3, 8, 9]), [vec![7]]);
    assert_eq!(elements(&[0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Vec::<Vec<u8>>::new());
    assert_eq!(elements(&[0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1]), Vec::<Vec<u8>>::new());
}
