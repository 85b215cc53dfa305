//! VP8: the payload descriptor (RFC 7741 section 4.2) and the beginning of a frame (section 4.3, RFC 6386 section 9.1).
use super::{Marks, PictureNumbers};
use crate::peer::media::layers::Layers;

/// The frame tag, start code and a size of 640 × 480.
const KEYFRAME_HEADER: [u8; 10] = [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01];
/// The frame tag; its lowest bit says that it is no keyframe.
const INTERFRAME_HEADER: [u8; 3] = [0x11, 0x02, 0x00];

/// As libwebrtc writes it: a 15-bit picture id always; TL0PICIDX and TID where there are temporal layers.
pub(super) fn write_header(layers: Layers, marks: &Marks, numbers: PictureNumbers, out: &mut Vec<u8>) {
    let non_reference = if marks.is_reference { 0 } else { 0x20 };
    let start = if marks.is_first() { 0x10 } else { 0 };
    out.push(0x80 | non_reference | start);
    out.push(if layers.temporal > 1 { 0xE0 } else { 0x80 });
    out.extend((numbers.picture_id.unwrap_or(0) | 0x8000).to_be_bytes());
    if layers.temporal > 1 {
        out.push(numbers.tl0_picture_index.unwrap_or(0));
        out.push(marks.temporal_id << 6 | u8::from(marks.layer_sync) << 5);
    }
    match (marks.is_first(), marks.keyframe) {
        (true, true) => out.extend(KEYFRAME_HEADER),
        (true, false) => out.extend(INTERFRAME_HEADER),
        _ => {}
    }
}

/// Where the marks begin, and the numbers on the way there.
pub(super) fn find_marks(payload: &[u8]) -> Option<(usize, PictureNumbers)> {
    let &[first, present, ..] = payload else { return None };
    // X and I; no PID; no KEYIDX.
    if first & 0x87 != 0x80 || present & 0x9F != 0x80 {
        return None;
    }
    let picture_id = u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?);
    if picture_id & 0x8000 == 0 {
        return None;
    }
    let mut at = 4;
    let mut numbers = PictureNumbers { picture_id: Some(picture_id & 0x7FFF), ..PictureNumbers::default() };
    if present & 0x40 != 0 {
        numbers.tl0_picture_index = Some(*payload.get(at)?);
        at += 1;
    }
    at += usize::from(present & 0x20 != 0);
    let begins_frame = first & 0x10 != 0;
    let frame_header = match (begins_frame, *payload.get(at)? & 1) {
        (false, _) => 0,
        (true, 0) => KEYFRAME_HEADER.len(),
        (true, _) => INTERFRAME_HEADER.len(),
    };
    Some((at + frame_header, numbers))
}
