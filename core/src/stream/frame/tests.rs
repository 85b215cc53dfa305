use super::*;

fn layers(spatial: u8, temporal: u8) -> Layers {
    Layers { spatial, temporal }
}

fn read(codec: Codec, payload: &[u8]) -> FrameInfo {
    FrameReader::new(codec).read(1, true, payload, &[])
}

/// Which of the layers up to L3T3 are in a set, as rows of spatial layers.
fn rows(set: LayersSet) -> [[bool; 3]; 3] {
    [0, 1, 2].map(|spatial| [0, 1, 2].map(|temporal| set.contains(layers(spatial, temporal))))
}

#[test]
fn a_stream_without_layers_is_for_everybody() {
    for (codec, payload) in [(Codec::Opus, &[1, 2][..]), (Codec::H264, &[0x65, 1]), (Codec::Vp8, &[])] {
        let info = read(codec, payload);
        assert_eq!((info.members, info.start, info.end, info.picture), (LayersSet::ALL, true, true, None));
    }
}

#[test]
fn temporal_layers_and_numbers_of_vp8() {
    // X S; I L T; PictureID 0x1234; TL0PICIDX 9; TID 1, Y.
    let payload = [0x90, 0xE0, 0x92, 0x34, 9, 0x60, 0x01];
    let info = read(Codec::Vp8, &payload);
    assert_eq!((info.temporal_id, info.start, info.keyframe), (1, true, false));
    assert_eq!(rows(info.members), [[false, true, true]; 3]);
    assert_eq!(info.switches, info.members);
    let mut copy = payload;
    let offsets = NumberOffsets { picture_id: 0x7000, tl0_index: 250, frame_number: 7 };
    offsets.apply_to_payload(&info.picture.unwrap(), &mut copy);
    assert_eq!(copy, [0x90, 0xE0, 0x82, 0x34, 3, 0x60, 0x01], "modulo 2^15 and 2^8");
    // Without Y nobody can begin here; a 7-bit PictureID stays one.
    let payload = [0x90, 0xA0, 0x7F, 0x40, 0x01];
    let info = read(Codec::Vp8, &payload);
    assert_eq!(info.switches, LayersSet::NONE);
    let mut copy = payload;
    NumberOffsets { picture_id: 2, ..offsets }.apply_to_payload(&info.picture.unwrap(), &mut copy);
    assert_eq!(copy, [0x90, 0xA0, 0x01, 0x40, 0x01]);
}

#[test]
fn spatial_layers_of_vp9_by_who_refers_to_them() {
    let mut reader = FrameReader::new(Codec::Vp9);
    // I L B E, and Z or not; PictureID 5; TID, U, SID, D; TL0PICIDX.
    let mut frame = |first: u8, spatial: u8, temporal: u8| {
        reader.read(1, true, &[0xA0 | first, 5, temporal << 5 | 0x10 | spatial << 1, 77, 0], &[])
    };
    assert!(rows(frame(0x4D, 0, 0).members) == [[true; 3]; 3], "no more layers are known");
    frame(0x4C, 2, 0);
    let lower = frame(0x4C, 0, 1);
    assert_eq!(rows(lower.members), [[false, true, true]; 3], "referred to from above");
    assert!(lower.is_for_higher_spatial_layers() && lower.start && lower.end && !lower.keyframe);
    let alone = frame(0x45, 1, 0);
    assert_eq!(rows(alone.members), [[false; 3], [true; 3], [false; 3]], "of k-SVC");
    assert!(!alone.is_for_higher_spatial_layers() && !alone.start && alone.end);
    assert_eq!(alone.picture.unwrap().tl0_index, Some((77, 3)));
    assert!(frame(0x08, 0, 0).keyframe && !frame(0x08, 1, 0).keyframe);
    assert!(read(Codec::Vp9, &[0x8C, 5, 0]).members == LayersSet::ALL, "no layer indices");
}

#[test]
fn the_dependency_descriptor_says_who_needs_a_frame() {
    let mut reader = FrameReader::new(Codec::Other);
    // A keyframe of L1T2 by hand: start, end, template 0, frame 0x0102; a structure of two decode targets with templates
    // T0 (switch, switch), T1 (absent, discardable), no chains, no sizes.
    let bits = "11000000 0000000100000010 10000 000000 00001 01 11 1010 0001 0 1 0000 0 0 0";
    let info = reader.read(100, true, &[], &bytes(bits));
    assert_eq!((info.keyframe, info.start, info.frame_number), (true, true, 0x0102));
    assert_eq!(rows(info.members), [[true; 3]; 3]);
    assert_eq!(rows(info.switches), [[true; 3]; 3]);
    let upper = reader.read(101, true, &[], &[0xC1, 0x01, 0x03]);
    assert_eq!((upper.temporal_id, upper.keyframe), (1, false));
    assert_eq!(rows(upper.members), [[false, true, true]; 3]);
    assert_eq!(upper.switches, LayersSet::NONE);
    let before = reader.read(99, true, &[], &[0xC1, 0x01, 0x01]);
    assert_eq!(before.members, LayersSet::ALL, "of another structure, which is not known");
    let mut copy = [0xC1, 0xFF, 0xFF];
    NumberOffsets { frame_number: 3, ..NumberOffsets::default() }.apply_to_dependency_descriptor(&mut copy);
    assert_eq!(copy, [0xC1, 0, 2]);
}

#[test]
fn the_nearest_layers_of_a_set() {
    let set =
        LayersSet::of(layers(0, 0)).union(LayersSet::of(layers(0, 2))).union(LayersSet::of(layers(2, 1)));
    let nearest = [
        (layers(0, 0), layers(0, 0)),
        (layers(0, 1), layers(0, 0)),
        (layers(1, 7), layers(0, 2)),
        (layers(2, 0), layers(0, 0)),
        (layers(3, 7), layers(2, 1)),
    ];
    for (wished, found) in nearest {
        assert_eq!(set.nearest(wished), found);
    }
    assert_eq!(LayersSet::of(layers(2, 1)).nearest(layers(0, 0)), layers(2, 1), "there is nothing within");
    assert_eq!(LayersSet::NONE.nearest(layers(1, 1)), layers(1, 1));
    assert_eq!(LayersSet::ALL.nearest(layers(1, 5)), layers(1, 5));
    assert_eq!(LayersSet::row(2).nearest(layers(2, 5)), layers(2, 5));
    assert!(LayersSet::row(4).is_empty() && LayersSet::row(1).intersection(LayersSet::row(2)).is_empty());
}

/// L2T1 by hand: the upper layer refers to the lower one; a chain for each decode target, the lower layer in both.
fn l2t1(reader: &mut FrameReader) -> FrameInfo {
    let bits = "11000000 0000000000001010 10000 000000 00001 00 10 00 11 1010 1010 0010 0010 \
                0 1 0001 0 1 0000 0 1 0001 1 0000 0 11 0 1 0000 0000 0010 0001 0001 0001 0001 0001 0";
    reader.read(100, true, &[], &bytes(bits))
}

#[test]
fn chains_by_the_layers_that_they_protect() {
    let mut reader = FrameReader::new(Codec::Av1);
    let (key, both) = (l2t1(&mut reader), LayersSet::of(layers(0, 0)).union(LayersSet::of(layers(1, 0))));
    let chains = key.chains.unwrap();
    assert_eq!((key.keyframe, key.active), (true, both));
    assert_eq!((chains.essential, chains.restarts, chains.is_nested), (both, both, true));
    assert_eq!((chains.references, chains.previous), (0, [0; 4]));
    let upper = reader.read(101, true, &[], &[0xC2, 0, 11]);
    let chains = upper.chains.unwrap();
    assert_eq!((upper.spatial_id, chains.essential), (1, LayersSet::of(layers(1, 0))));
    assert_eq!((chains.restarts, chains.references, chains.previous), (LayersSet::NONE, 0b01, [1, 1, 0, 0]));
    let lower = reader.read(102, true, &[], &[0xC1, 0, 12]);
    assert_eq!((lower.chains.unwrap().references, lower.chains.unwrap().previous), (0b10, [2, 1, 0, 0]));

    let lost = |before: &FrameInfo, after: &FrameInfo| reader.lost(105, Some(before), Some(after)).unwrap();
    assert!(lost(&key, &upper).is_empty(), "what was lost had no frame");
    assert_eq!(lost(&key, &lower), LayersSet::row(1), "the upper frame");
    let part = FrameInfo { end: false, ..lower };
    let next = FrameInfo { frame_number: 13, ..upper };
    assert_eq!(lost(&part, &next), both, "the end of the lower frame");
    let part = FrameInfo { start: false, ..upper };
    assert_eq!(lost(&key, &part), LayersSet::of(layers(1, 0)), "the beginning of the upper frame");
    assert_eq!(reader.lost(105, None, None), Some(LayersSet::ALL));
    assert_eq!(
        reader.lost(99, Some(&key), Some(&lower)),
        Some(LayersSet::NONE),
        "the chains began anew behind it"
    );
}

#[test]
fn active_decode_targets_hold_until_others_are_told() {
    let mut reader = FrameReader::new(Codec::Av1);
    l2t1(&mut reader);
    let told = |ext_seq, layers| reader.decodable(ext_seq, layers).map(|(told, is_all)| (told.mask, is_all));
    assert_eq!((told(99, layers(1, 0)), told(100, layers(1, 0))), (None, Some((0b11, true))));
    assert_eq!(told(100, layers(0, 7)), Some((0b01, false)));
    // Only the lower one; a packet that comes late tells nothing of what is now.
    let off = reader.read(110, true, &[], &bytes("11000001 0000000000001100 01000 01"));
    assert_eq!((off.active, off.active), (LayersSet::of(layers(0, 0)), reader.active()));
    reader.read(105, true, &[], &bytes("11000001 0000000000001011 01000 11"));
    assert_eq!(reader.active(), off.active);
    assert_eq!(
        reader.decodable(110, layers(1, 0)).map(|(told, is_all)| (told.mask, is_all)),
        Some((0b01, true))
    );
    reader.read(111, true, &[], &bytes("11000001 0000000000001101 01000 11"));
    assert_eq!(reader.active().nearest(layers(1, 0)), layers(1, 0));
}

/// Whatever is sent: nothing panics, nothing is written outside the numbers, and who gets nothing cannot begin.
#[test]
fn any_bytes_can_be_read_and_rewritten() {
    let mut rng = crate::rng::Rng::from_seed([3; 32]);
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus, Codec::Other] {
        let mut reader = FrameReader::new(codec);
        for ext_seq in 0..20_000 {
            let mut random =
                |most: u32| -> Vec<u8> { (0..rng.below(most)).map(|_| rng.next_u32() as u8).collect() };
            let (payload, descriptor) = (random(24), random(40));
            let late = u64::from(rng.below(40));
            let info = reader.read(1_000 + ext_seq - late.min(ext_seq), true, &payload, &descriptor);
            let offsets = NumberOffsets { picture_id: 7, tl0_index: 9, frame_number: 11 };
            let mut copy = payload.clone();
            if let Some(picture) = &info.picture {
                offsets.apply_to_payload(picture, &mut copy);
            }
            let changed = copy.iter().zip(&payload).filter(|(new, old)| new != old).count();
            assert!(copy.len() == payload.len() && changed <= 3, "{payload:?} {copy:?}");
            let mut copy = descriptor.clone();
            offsets.apply_to_dependency_descriptor(&mut copy);
            assert!(copy.len() == descriptor.len() && copy.get(3..) == descriptor.get(3..));
            for (spatial, temporal) in (0..4).flat_map(|spatial| (0..8).map(move |t| (spatial, t))) {
                let layers = layers(spatial, temporal);
                assert!(!info.switches.contains(layers) || info.members.contains(layers), "{info:?}");
            }
        }
    }
}

fn bytes(bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
    let whole = |chunk: &[u8]| (0..8).fold(0, |byte, bit| byte << 1 | chunk.get(bit).copied().unwrap_or(0));
    bits.chunks(8).map(whole).collect()
}
