//! H.264 in packetization mode 1 (RFC 6184 section 6.3): single NAL units, STAP-A with the parameter sets, FU-A.
use super::Marks;

const NON_IDR_SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SUPPLEMENTAL_INFORMATION: u8 = 6;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// nal_ref_idc 3, as libwebrtc's encoders give to all that is referred to.
const NRI: u8 = 0x60;

/// Constrained baseline, level 3.1.
const SEQUENCE_PARAMETER_SET: [u8; 9] = [0x67, 0x42, 0xE0, 0x1F, 0x8C, 0x8D, 0x40, 0x50, 0x1E];
const PICTURE_PARAMETER_SET: [u8; 4] = [0x68, 0xCE, 0x3C, 0x80];

/// A keyframe's first packet is a STAP-A: parameter sets, and the marks and the fill as supplemental information; the IDR slice
/// follows. Slices of one packet are single NAL units, others FU-A.
pub(super) fn write_header(marks: &Marks, out: &mut Vec<u8>) {
    if marks.keyframe && marks.is_first() {
        out.push(NRI | STAP_A);
        for unit in [&SEQUENCE_PARAMETER_SET[..], &PICTURE_PARAMETER_SET] {
            out.extend((unit.len() as u16).to_be_bytes());
            out.extend_from_slice(unit);
        }
        out.extend((marks.len + 1).to_be_bytes());
        out.push(SUPPLEMENTAL_INFORMATION);
        return;
    }
    let (unit_type, fragments, fragment) = if marks.keyframe {
        (IDR_SLICE, marks.count - 1, marks.index - 1)
    } else {
        (NON_IDR_SLICE, marks.count, marks.index)
    };
    if fragments == 1 {
        out.push(NRI | unit_type);
        return;
    }
    let start = if fragment == 0 { 0x80 } else { 0 };
    let end = if fragment + 1 == fragments { 0x40 } else { 0 };
    out.extend([NRI | FU_A, start | end | unit_type]);
}

/// Where the marks begin.
pub(super) fn find_marks(payload: &[u8]) -> Option<usize> {
    match payload.first()? & 0x1F {
        FU_A => Some(2),
        STAP_A => {
            let mut at = 1;
            loop {
                let len = usize::from(u16::from_be_bytes(payload.get(at..at + 2)?.try_into().ok()?));
                if payload.get(at + 2)? & 0x1F == SUPPLEMENTAL_INFORMATION {
                    return Some(at + 3);
                }
                at += 2 + len;
            }
        }
        _ => Some(1),
    }
}
