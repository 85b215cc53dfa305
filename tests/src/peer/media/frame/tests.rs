use sansfu::wire::codec;
use sansfu::wire::codec::dependency_descriptor::DependencyDescriptor;
use sansfu::wire::codec::vp8::Vp8Descriptor;
use sansfu::wire::codec::vp9::Vp9Descriptor;

use super::*;
use crate::peer::media::encoder::Encoder;
use crate::peer::media::layers::Layers;
use crate::peer::media::track::tests::every_track;

/// The packets of the first pictures of an encoding, the ninth a keyframe again.
fn packets(track: &TrackSpec, encoding: usize) -> Vec<(Marks, PictureNumbers, Vec<u8>)> {
    let mut encoder = Encoder::new(track, encoding, 5);
    let mut packets = Vec::new();
    for picture in 0..20 {
        if picture == 9 {
            encoder.request_keyframe();
        }
        for frame in encoder.encode(picture * 3_000, 2_500) {
            for index in 0..frame.marks.count {
                let marks = Marks { index, ..frame.marks };
                let mut payload = Vec::new();
                write_payload(track, &marks, frame.numbers, &mut payload);
                packets.push((marks, frame.numbers, payload));
            }
        }
    }
    packets
}

fn every_packet() -> impl Iterator<Item = (TrackSpec, Marks, PictureNumbers, Vec<u8>)> {
    every_track().into_iter().flat_map(|track| {
        packets(&track, track.encodings.len() - 1)
            .into_iter()
            .map(move |(marks, numbers, payload)| (track.clone(), marks, numbers, payload))
    })
}

#[test]
fn what_is_written_is_recognised() {
    for (track, marks, numbers, payload) in every_packet() {
        assert_eq!(recognise(&track, &payload), Ok(Recognised { marks, numbers }));
        assert!(payload.len() <= MAX_BODY_BYTES + 60, "fits a path of 1200 bytes with its headers");
        let other = TrackSpec { id: 99, ..track };
        assert_eq!(recognise(&other, &payload), Err(Mismatch::Track(marks.track)));
    }
}

#[test]
fn nothing_but_picture_numbers_may_change() {
    for track in every_track() {
        for (marks, numbers, payload) in packets(&track, 0).into_iter().step_by(11) {
            let lengths = (0..payload.len()).filter(|at| *at < 70 || at % 97 == 0);
            for at in lengths.clone() {
                for bit in [0x01, 0x80] {
                    let mut other = payload.clone();
                    other[at] ^= bit;
                    if let Ok(recognised) = recognise(&track, &other) {
                        assert_eq!(recognised.marks, marks);
                        assert_ne!(recognised.numbers, numbers, "byte {at} of {marks:?}");
                    }
                }
            }
            for len in lengths {
                assert!(recognise(&track, &payload[..len]).is_err());
            }
            let longer = [&payload[..], &[0]].concat();
            assert!(recognise(&track, &longer).is_err());
        }
    }
}

#[test]
fn the_server_sees_the_keyframes() {
    for (track, marks, _, payload) in every_packet() {
        let codec = match track.codec {
            Codec::Opus => codec::Codec::Opus,
            Codec::Vp8 => codec::Codec::Vp8,
            Codec::Vp9 => codec::Codec::Vp9,
            Codec::H264 => codec::Codec::H264,
            Codec::Av1 => codec::Codec::Av1,
        };
        let seen = codec::is_keyframe(codec, &payload);
        let begins = match track.codec {
            Codec::Opus => None,
            // The packet with the parameter sets, before the IDR slice.
            Codec::H264 => Some(marks.keyframe && marks.index == 0),
            _ => Some(marks.starts_decoding() && marks.is_first()),
        };
        assert_eq!(seen, begins, "{:?} {marks:?}", track.codec);
    }
}

#[test]
fn the_servers_vp8_reader_agrees() {
    for (track, marks, numbers, payload) in every_packet().filter(|(track, ..)| track.codec == Codec::Vp8) {
        let descriptor = Vp8Descriptor::parse(&payload).unwrap();
        assert_eq!(
            descriptor.picture_id.map(|id| (id.value, id.is_long)),
            numbers.picture_id.map(|id| (id, true))
        );
        assert_eq!(descriptor.tl0_picture_index, numbers.tl0_picture_index);
        assert_eq!(descriptor.is_frame_start(), marks.is_first());
        assert_eq!(descriptor.non_reference, !marks.is_reference);
        let layered = track.encodings[0].layers.temporal > 1;
        let layer = descriptor.temporal_layer.map(|layer| (layer.temporal_id, layer.layer_sync));
        assert_eq!(layer, layered.then_some((marks.temporal_id, marks.layer_sync)));
    }
}

#[test]
fn the_servers_vp9_reader_agrees() {
    for (track, marks, numbers, payload) in every_packet().filter(|(track, ..)| track.codec == Codec::Vp9) {
        let descriptor = Vp9Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.picture_id.map(|id| id.value), numbers.picture_id);
        assert_eq!(descriptor.flexible_mode, track.flexible_mode);
        assert_eq!((descriptor.start_of_frame, descriptor.end_of_frame), (marks.is_first(), marks.is_last()));
        assert_eq!(descriptor.inter_picture_predicted, marks.references.pictures_back > 0);
        assert_eq!(
            (descriptor.spatial_id(), descriptor.temporal_id()),
            (marks.spatial_id, marks.temporal_id)
        );
        if let Some(layers) = descriptor.layers {
            assert_eq!(layers.inter_layer_dependent, marks.references.lower_layer);
            assert_eq!(layers.tl0_picture_index, numbers.tl0_picture_index);
        }
        let back = Some(marks.references.pictures_back).filter(|back| track.flexible_mode && *back > 0);
        assert_eq!(descriptor.reference_differences.first().copied(), back);
        let structure = descriptor.scalability_structure.map(|structure| structure.spatial_layer_count);
        let layers = track.encodings[0].layers;
        assert_eq!(structure, (marks.starts_decoding() && marks.is_first()).then_some(layers.spatial));
    }
}

#[test]
fn the_servers_dependency_descriptor_reader_agrees() {
    let mut structure = None;
    for (track, marks, ..) in every_packet().filter(|(track, ..)| track.codec == Codec::Av1) {
        let layers = track.encodings[0].layers;
        let bytes = dependency_descriptor(layers, &marks, None);
        let descriptor = DependencyDescriptor::parse(&bytes, structure.as_deref()).unwrap();
        let mandatory = descriptor.mandatory;
        assert_eq!((mandatory.start_of_frame, mandatory.end_of_frame), (marks.is_first(), marks.is_last()));
        assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (marks.spatial_id, marks.temporal_id));
        let frame_number = marks.number * u32::from(layers.spatial) + u32::from(marks.spatial_id);
        assert_eq!(u32::from(mandatory.frame_number), frame_number);
        let mut differences: Vec<u16> = descriptor.frame_differences.to_vec();
        let own_layer = u16::from(marks.references.pictures_back) * u16::from(layers.spatial);
        let mut expected: Vec<u16> = [u16::from(marks.references.lower_layer), own_layer].to_vec();
        expected.retain(|difference| *difference > 0);
        differences.sort_unstable();
        expected.sort_unstable();
        assert_eq!(differences, expected, "{layers} {marks:?}");
        if let Some(new) = descriptor.structure {
            assert!(marks.starts_decoding() && marks.is_first());
            assert_eq!(new.decode_targets.len(), usize::from(layers.spatial * layers.temporal));
            let highest = new.decode_targets.last().unwrap();
            assert_eq!((highest.spatial_id, highest.temporal_id), (layers.spatial - 1, layers.temporal - 1));
            structure = Some(new);
        }
    }
}

#[test]
fn chains_are_the_frames_that_a_brute_force_search_finds() {
    for mode in ["L1T1", "L1T3", "L2T2", "L3T3", "L3T3_KEY", "L2T3_KEY"] {
        let layers = Layers::parse(mode).unwrap();
        let track = TrackSpec::av1_svc(1, layers);
        let frames: Vec<Marks> =
            packets(&track, 0).into_iter().map(|(marks, ..)| marks).filter(Marks::is_first).collect();
        let in_chain = |marks: &Marks, chain: u8| {
            let below = marks.keyframe || !layers.key_only;
            marks.temporal_id == 0 && (marks.spatial_id == chain || below && marks.spatial_id < chain)
        };
        let mut structure = None;
        for (at, marks) in frames.iter().enumerate() {
            let bytes = dependency_descriptor(layers, marks, None);
            let descriptor = DependencyDescriptor::parse(&bytes, structure.as_deref()).unwrap();
            structure = descriptor.structure.or(structure);
            for chain in 0..layers.spatial {
                let before = frames[..at].iter().rev().position(|other| in_chain(other, chain));
                let begins = marks.starts_decoding();
                let expected = if begins { 0 } else { before.map_or(0, |before| before + 1) };
                let found = descriptor.chain_differences[usize::from(chain)];
                assert_eq!(usize::from(found), expected, "{mode} chain {chain} {marks:?}");
            }
        }
    }
}
