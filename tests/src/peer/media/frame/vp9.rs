//! VP9: the payload descriptor (RFC 9628 section 4.2) and the first bytes of the uncompressed header.
use super::{Marks, PictureNumbers};
use crate::peer::media::layers::Layers;

/// Frame marker, key frame, shown; sync code.
const KEYFRAME_HEADER: [u8; 4] = [0x82, 0x49, 0x83, 0x42];
/// Frame marker, no key frame, shown.
const INTERFRAME_HEADER: [u8; 1] = [0x86];

/// As libwebrtc writes it: a 15-bit picture id always; layer indices where there are layers; the scalability structure with
/// the first packet of a key picture.
pub(super) fn write_header(
    layers: Layers,
    flexible_mode: bool,
    marks: &Marks,
    numbers: PictureNumbers,
    out: &mut Vec<u8>,
) {
    let has_layers = layers.spatial > 1 || layers.temporal > 1;
    let has_structure = marks.starts_decoding() && marks.is_first();
    let inter_picture = marks.references.pictures_back > 0;
    let referred_by_upper =
        !marks.last_of_picture && (marks.keyframe || !layers.key_only) && layers.spatial > 1;
    let bits = [
        true,               // I
        inter_picture,      // P
        has_layers,         // L
        flexible_mode,      // F
        marks.is_first(),   // B
        marks.is_last(),    // E
        has_structure,      // V
        !referred_by_upper, // Z
    ];
    out.push(bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    out.extend((numbers.picture_id.unwrap_or(0) | 0x8000).to_be_bytes());
    if has_layers {
        let lower_layer = u8::from(marks.references.lower_layer);
        out.push(
            marks.temporal_id << 5 | u8::from(marks.layer_sync) << 4 | marks.spatial_id << 1 | lower_layer,
        );
        if !flexible_mode {
            out.push(numbers.tl0_picture_index.unwrap_or(0));
        }
    }
    if flexible_mode && inter_picture {
        out.push(marks.references.pictures_back << 1);
    }
    if has_structure {
        write_structure(layers, flexible_mode, out);
    }
    match (marks.is_first(), marks.starts_decoding()) {
        (true, true) => out.extend(KEYFRAME_HEADER),
        (true, false) => out.extend(INTERFRAME_HEADER),
        _ => {}
    }
}

/// Where the marks begin, and the numbers on the way there.
pub(super) fn find_marks(payload: &[u8]) -> Option<(usize, PictureNumbers)> {
    let first = *payload.first()?;
    let has = |bit: u8| first & bit != 0;
    let picture_id = u16::from_be_bytes(payload.get(1..3)?.try_into().ok()?);
    if !has(0x80) || picture_id & 0x8000 == 0 {
        return None;
    }
    let mut numbers = PictureNumbers { picture_id: Some(picture_id & 0x7FFF), ..PictureNumbers::default() };
    let mut at = 3;
    let flexible_mode = has(0x10);
    if has(0x20) {
        at += 1;
        if !flexible_mode {
            numbers.tl0_picture_index = Some(*payload.get(at)?);
            at += 1;
        }
    }
    if flexible_mode && has(0x40) {
        // P_DIFF with the bit N for another one.
        while *payload.get(at)? & 1 == 1 {
            at += 1;
        }
        at += 1;
    }
    if has(0x02) {
        at += structure_len(payload.get(at..)?)?;
    }
    let frame_header = match (has(0x08), payload.get(at)? & 0x04) {
        (false, _) => 0,
        (true, 0) => KEYFRAME_HEADER.len(),
        (true, _) => INTERFRAME_HEADER.len(),
    };
    Some((at + frame_header, numbers))
}

/// N_S, Y and G, sizes, and in non-flexible mode the picture group.
fn write_structure(layers: Layers, flexible_mode: bool, out: &mut Vec<u8>) {
    let has_group = !flexible_mode;
    out.push((layers.spatial - 1) << 5 | 0x10 | u8::from(has_group) << 3);
    for spatial_id in 0..layers.spatial {
        let shift = layers.spatial - 1 - spatial_id;
        out.extend((1280u16 >> shift).to_be_bytes());
        out.extend((720u16 >> shift).to_be_bytes());
    }
    if has_group {
        let period = layers.period();
        out.push(period as u8);
        for position in period..2 * period {
            let back = layers.references(position, 0).pictures_back;
            let sync = u8::from(layers.is_layer_sync(position));
            out.extend([layers.temporal_id(position) << 5 | sync << 4 | 1 << 2, back]);
        }
    }
}

fn structure_len(bytes: &[u8]) -> Option<usize> {
    let head = *bytes.first()?;
    let mut len = 1;
    if head & 0x10 != 0 {
        len += 4 * (usize::from(head >> 5) + 1);
    }
    if head & 0x08 != 0 {
        let pictures = *bytes.get(len)?;
        len += 1;
        for _ in 0..pictures {
            len += 1 + usize::from(bytes.get(len)? >> 2 & 3);
        }
    }
    Some(len)
}
