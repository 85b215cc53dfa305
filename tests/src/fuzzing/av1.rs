//! AV1 payloads (RTP Payload Format For AV1, section 4).

use sansfu::wire::codec::av1::{AggregationHeader, elements, is_keyframe};

use crate::choices::Choices;

/// Any payload: its elements lie in it one behind the other. And elements that are packed come out as they are.
pub fn av1(data: &[u8]) {
    elements_lie_in_order(data);
    packed_elements_come_out(data);
}

fn elements_lie_in_order(data: &[u8]) {
    let mut rest = data.get(1..).unwrap_or_default();
    let count = data.first().map_or(0, |header| usize::from(header >> 4 & 3));
    let found: Vec<&[u8]> = elements(data).collect();
    for (index, element) in found.iter().enumerate() {
        if index + 1 == count {
            assert_eq!(element, &rest);
            rest = &[];
            continue;
        }
        let (len, len_len) = read_leb128(rest).expect("a length in front of the element");
        assert_eq!(len, element.len() as u64);
        rest = &rest[len_len..];
        assert_eq!(rest.get(..element.len()), Some(*element));
        rest = &rest[element.len()..];
    }
    // The walk ends at the end, or where the next length or element is cut off.
    let is_cut = read_leb128(rest).is_none_or(|(len, len_len)| len_len as u64 + len > rest.len() as u64);
    assert!(rest.is_empty() || is_cut);

    let header = AggregationHeader::parse(data);
    assert_eq!(header.is_some(), !data.is_empty());
    let is_sequence_header = |element: &&[u8]| element.first().is_some_and(|byte| byte >> 3 & 15 == 1);
    // N set and Z clear.
    let expected =
        data.first().is_some_and(|byte| byte & 0x88 == 0x08) && found.iter().any(is_sequence_header);
    assert_eq!(is_keyframe(data), expected);
}

fn packed_elements_come_out(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let flags = choices.u8() & 0xC8;
    let extra_groups = choices.below(4) as usize;
    let has_count = choices.flag();
    let mut packed = Vec::new();
    while !choices.is_exhausted() && packed.len() < if has_count { 3 } else { 200 } {
        packed.push(choices.piece());
    }
    let count = if has_count { packed.len() } else { 0 };
    let mut payload = vec![flags | (count as u8) << 4];
    for (index, element) in packed.iter().enumerate() {
        if index + 1 != count {
            write_leb128(element.len(), extra_groups, &mut payload);
        }
        payload.extend_from_slice(element);
    }
    // An empty element without a length cannot be told from none.
    if has_count && packed.last().is_some_and(|last| last.is_empty()) {
        packed.pop();
    }
    assert!(elements(&payload).eq(packed.iter().copied()));
    elements_lie_in_order(&payload);
}

/// With more groups than the value needs, which the AV1 specification allows (section 4.10.5).
fn write_leb128(value: usize, extra_groups: usize, out: &mut Vec<u8>) {
    let mut groups = vec![(value & 0x7F) as u8];
    if value > 0x7F {
        groups.push((value >> 7) as u8);
    }
    groups.extend(std::iter::repeat_n(0, extra_groups));
    let last = groups.len() - 1;
    groups[..last].iter_mut().for_each(|group| *group |= 0x80);
    out.extend(groups);
}

/// Value and length in bytes; at most eight of these, and a value of at most 32 bits.
fn read_leb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let len = 1 + bytes.iter().take(8).position(|byte| byte & 0x80 == 0)?;
    let value = bytes[..len].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7F));
    (value <= u32::MAX.into()).then_some((value, len))
}
