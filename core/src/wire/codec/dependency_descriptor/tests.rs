use super::DecodeTargetIndication::{Discardable, NotPresent, Required, Switch};
use super::*;

/// Bits written as text, `_` and spaces apart: what the specification's tables look like.
fn bytes(bits: &str) -> Vec<u8> {
    let digits: Vec<u8> = bits.bytes().filter(|b| matches!(b, b'0' | b'1')).map(|b| b - b'0').collect();
    digits
        .chunks(8)
        .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (i, bit)| byte | bit << (7 - i)))
        .collect()
}

/// L1T2: two templates and two decode targets, one chain, 640 × 360.
const L1T2: &str = "
    000011 00001            offset 3, 2 targets
    00 01 11                sid 0: tid 0 twice, tid 1
    10 10 11 11 00 01       indications of three templates
    0 1 0001 0 1 0000 0     no reference; 2 back; 1 back
    10                      one chain: ns(3) = 1
                            protected by chain 0: ns(1) has no bits
    0000 0010 0001          chain differences
    1 0000001001111111 0000000101100111";

fn digits(text: &str) -> String {
    // Explanations follow two or more spaces.
    text.lines()
        .filter_map(|line| line.trim_start().split("  ").next())
        .filter(|bits| bits.starts_with(['0', '1']))
        .collect()
}

fn with_structure(flags_after_structure: &str, tail: &str) -> Vec<u8> {
    bytes(&format!("1 1 000011 0000000000000101 1{flags_after_structure} {} {tail}", digits(L1T2)))
}

#[test]
fn structure_of_two_temporal_layers() {
    let descriptor = DependencyDescriptor::parse(&with_structure("0000", ""), None).unwrap();
    let expected =
        MandatoryFields { start_of_frame: true, end_of_frame: true, template_id: 3, frame_number: 5 };
    assert_eq!(descriptor.mandatory, expected);
    let structure = descriptor.structure.as_deref().unwrap();
    assert_eq!(structure.template_id_offset, 3);
    let layers: Vec<_> = structure.templates.iter().map(|t| (t.spatial_id, t.temporal_id)).collect();
    assert_eq!(layers, [(0, 0), (0, 0), (0, 1)]);
    let indications: Vec<Vec<_>> =
        structure.templates.iter().map(|t| t.decode_target_indications.iter().collect()).collect();
    assert_eq!(indications, [[Switch, Switch], [Required, Required], [NotPresent, Discardable]]);
    let differences: Vec<&[u8]> = structure.templates.iter().map(|t| &t.frame_differences[..]).collect();
    assert_eq!(differences, [&[][..], &[2], &[1]]);
    assert_eq!(structure.chain_count, 1);
    let chains: Vec<&[u8]> = structure.templates.iter().map(|t| &t.chain_differences[..]).collect();
    assert_eq!(chains, [[0], [2], [1]]);
    let target = |temporal_id| DecodeTarget { spatial_id: 0, temporal_id, protected_by: Some(0) };
    assert_eq!(structure.decode_targets, [target(0), target(1)]);
    assert_eq!(descriptor.resolution, Some(RenderResolution { width: 640, height: 360 }));
    assert_eq!(descriptor.active_decode_targets, Some(0b11), "a new structure makes all active");
}

#[test]
fn later_packets_refer_to_the_structure() {
    let first = DependencyDescriptor::parse(&with_structure("0000", ""), None).unwrap();
    let structure = first.structure.as_deref();
    let packet = bytes("0 1 000101 0000000000000110");
    assert_eq!(packet.len(), 3);
    let descriptor = DependencyDescriptor::parse(&packet, structure).unwrap();
    assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (0, 1));
    assert_eq!(descriptor.frame_differences, [1]);
    assert_eq!(descriptor.chain_differences, [1]);
    assert_eq!(descriptor.active_decode_targets, None);
    assert_eq!(descriptor.structure, None);
    assert_eq!(descriptor.resolution, Some(RenderResolution { width: 640, height: 360 }));

    assert_eq!(DependencyDescriptor::parse(&packet, None), None, "the structure was lost");
    for unknown in ["000010", "000110", "111111"] {
        let packet = bytes(&format!("00 {unknown} 0000000000000110"));
        assert_eq!(DependencyDescriptor::parse(&packet, structure), None);
    }
    assert_eq!(MandatoryFields::parse(&packet).unwrap().frame_number, 6);
    assert_eq!(MandatoryFields::parse(&packet[..2]), None);
}

#[test]
fn template_ids_wrap() {
    let mut structure =
        *DependencyDescriptor::parse(&with_structure("0000", ""), None).unwrap().structure.unwrap();
    structure.template_id_offset = 62;
    let templates: Vec<_> =
        [62, 63, 0, 1, 61].into_iter().map(|id| structure.template(id).is_some()).collect();
    assert_eq!(templates, [true, true, true, false, false]);
}

#[test]
fn custom_fields() {
    let first = DependencyDescriptor::parse(&with_structure("0000", ""), None).unwrap();
    let packet = bytes(
        "1 0 000011 1111111111111111  0 1 1 1 1   10   01 10   01 1111 10 00010000 11 111111111111 00  11111111",
    );
    let descriptor = DependencyDescriptor::parse(&packet, first.structure.as_deref()).unwrap();
    assert_eq!(descriptor.mandatory.frame_number, 65535);
    assert_eq!(descriptor.active_decode_targets, Some(0b10));
    assert!(descriptor.decode_target_indications.iter().eq([Discardable, Switch]));
    assert_eq!(descriptor.decode_target_indications.get(2), NotPresent);
    assert_eq!(descriptor.frame_differences, [16, 17, 4096]);
    assert_eq!(descriptor.chain_differences, [255]);
}

#[test]
fn active_targets_beside_a_new_structure() {
    let descriptor = DependencyDescriptor::parse(&with_structure("1000", "01"), None).unwrap();
    assert_eq!(descriptor.active_decode_targets, Some(0b01));
}

#[test]
fn cut_off_anywhere_is_refused() {
    let whole = with_structure("1111", "01  1111  01 0000 00  00000001");
    assert!(DependencyDescriptor::parse(&whole, None).is_some());
    for len in 0..whole.len() {
        assert_eq!(DependencyDescriptor::parse(&whole[..len], None), None, "cut to {len}");
    }
}

#[test]
fn limits() {
    let head = "1 1 000000 0000000000000000 10000 000000";
    let layers = |idcs: &str| {
        DependencyDescriptor::parse(&bytes(&format!("{head} 00000 {idcs} {}", "0".repeat(4000))), None)
    };
    assert!(layers("10 10 10 11").is_some(), "four spatial layers");
    assert!(layers("10 10 10 10 11").is_none());
    assert!(layers(&format!("{} 11", "01".repeat(7))).is_some(), "eight temporal layers");
    assert!(layers(&format!("{} 11", "01".repeat(8))).is_none());
    assert!(layers(&format!("{} 11", "00".repeat(63))).is_some(), "64 templates");
    assert!(layers(&format!("{} 11", "00".repeat(64))).is_none());

    let references = |count| {
        let text = format!("{head} 00000 11 00 {} {}", "1 0000".repeat(count), "0".repeat(40));
        DependencyDescriptor::parse(&bytes(&text), None)
    };
    assert!(references(8).is_some());
    assert!(references(9).is_none());

    // 32 decode targets with 32 chains: ns(33) of 32 is 111111, ns(32) has five bits.
    let text = format!(
        "{head} 11111 11 {} 0 111111 {} {} 0",
        "10".repeat(32),
        "11111".repeat(32),
        "0001".repeat(32)
    );
    let descriptor = DependencyDescriptor::parse(&bytes(&text), None).unwrap();
    assert_eq!(descriptor.active_decode_targets, Some(u32::MAX));
    assert_eq!(descriptor.chain_differences, [1; 32]);
    let structure = descriptor.structure.unwrap();
    assert_eq!(structure.chain_count, 32);
    assert!(structure.decode_targets.iter().all(|target| target.protected_by == Some(31)));
    assert_eq!(descriptor.resolution, None);
}

#[test]
fn numbers_below_five() {
    // The table of section A.8.2.
    for (value, code) in ["00", "01", "10", "110", "111"].into_iter().enumerate() {
        assert_eq!(BitReader::new(&bytes(code)).below(5), Some(value as u32));
    }
    assert_eq!(BitReader::new(&[]).below(1), Some(0));
    assert_eq!(BitReader::new(&[]).below(2), None);
}

fn told(value: &[u8], count: u8, mask: u32) -> Option<Vec<u8>> {
    ActiveDecodeTargets { count, mask }.write_into(value).map(|value| value.to_vec())
}

#[test]
fn active_targets_are_put_in() {
    let short = bytes("0 1 000101 0000000000000110");
    let expected = bytes("0 1 000101 0000000000000110  0 1 0 0 0  01");
    assert_eq!(told(&short, 2, 0b01), Some(expected.clone()));
    assert_eq!(told(&expected, 2, 0b10), Some(bytes("0 1 000101 0000000000000110  0 1 0 0 0  10")));
    assert_eq!(told(&with_structure("0000", ""), 2, 0b01), Some(with_structure("1000", "01")));
    assert_eq!(told(&with_structure("0000", ""), 3, 0b01), None, "of another structure");

    let custom = |flag: &str, mask: &str| {
        bytes(&format!("1 0 000011 1111111111111111  0 {flag} 1 1 1 {mask}  01 10   01 1111 00  11111111"))
    };
    // Without the structure nobody knows where custom fields end: what pads the last byte is taken along.
    let padded = [&custom("1", "10")[..], &[0]].concat();
    assert_eq!(told(&custom("0", ""), 2, 0b10), Some(padded));
    assert_eq!(told(&custom("1", "01"), 2, 0b10), Some(custom("1", "10")));
    for len in 0..3 {
        assert_eq!(told(&short[..len], 2, 0b01), None);
    }
    // A descriptor of 255 bytes has no room, unless what it has is nothing but padding.
    assert_eq!(told(&[&custom("0", ""), &[0; 248][..]].concat(), 2, 0b10), None);
    assert_eq!(told(&[&short, &[0; 252][..]].concat(), 2, 0b01), Some(expected));
}
