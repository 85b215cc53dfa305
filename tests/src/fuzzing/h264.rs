//! H.264 payloads (RFC 6184 section 5).

use sansfu::wire::codec::h264::is_keyframe;

use crate::choices::Choices;

/// NAL units in an aggregate. Every cut of it is read, which takes the square of their number.
const MAX_UNITS: usize = 32;

/// Any payload against a reader by position, and NAL units alone, aggregated and in fragments against each other.
pub fn h264(data: &[u8]) {
    assert_eq!(is_keyframe(data), has_key_unit(data));

    let mut choices = Choices::from_bytes(data);
    let mut aggregate = vec![24];
    let mut any = false;
    for _ in 0..MAX_UNITS {
        if choices.is_exhausted() {
            break;
        }
        // Types 1 to 23 are single NAL units.
        let header = choices.u8() & 0xE0 | (choices.below(23) as u8 + 1);
        let unit = [&[header], choices.piece()].concat();
        any |= is_keyframe(&unit);
        aggregate.extend((unit.len() as u16).to_be_bytes());
        aggregate.extend(&unit);
        fragments(&unit);
    }
    assert_eq!(is_keyframe(&aggregate), any);
    // A unit that is cut off counts for nothing: no packet of a keyframe was lost that an earlier unit does not tell.
    for len in 0..aggregate.len() {
        assert!(any || !is_keyframe(&aggregate[..len]));
    }
}

/// The first fragment is what the unit is, the others are nothing (section 5.8).
fn fragments(unit: &[u8]) {
    let indicator = unit[0] & 0xE0 | 28;
    let kind = unit[0] & 0x1F;
    let content = &unit[1..];
    assert_eq!(is_keyframe(&[&[indicator, 0x80 | kind], content].concat()), is_keyframe(unit));
    for later in [kind, 0x40 | kind] {
        assert!(!is_keyframe(&[&[indicator, later], content].concat()));
    }
}

fn has_key_unit(data: &[u8]) -> bool {
    let is_key = |byte: u8| byte & 0x1F == 7;
    match (data.first().map(|byte| byte & 0x1F), data.get(1)) {
        (Some(28), Some(header)) => header & 0x80 != 0 && is_key(*header),
        (Some(24), _) => {
            let mut at = 1;
            while at + 2 < data.len() {
                let len = usize::from(u16::from_be_bytes([data[at], data[at + 1]]));
                if len == 0 || at + 2 + len > data.len() {
                    return false;
                }
                if is_key(data[at + 2]) {
                    return true;
                }
                at += 2 + len;
            }
            false
        }
        (Some(kind), _) => kind < 24 && is_key(kind),
        (None, _) => false,
    }
}
