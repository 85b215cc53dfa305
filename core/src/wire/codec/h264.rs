//! H.264 payloads (RFC 6184 section 5).

use crate::wire::reader::Reader;

/// NAL unit types (ITU-T H.264 table 7-1, RFC 6184 table 1).
mod nal_unit_type {
    pub const SEQUENCE_PARAMETER_SET: u8 = 7;
    pub const STAP_A: u8 = 24;
    pub const FU_A: u8 = 28;
}

/// Whether this payload begins a keyframe: it has a sequence parameter set, which encoders send right before an IDR picture;
/// alone, in an aggregation packet, or as the first fragment of one.
///
/// An IDR slice alone does not count: whoever started with it, when the packet with the parameter sets before it was lost on
/// the way to us, would have a picture that cannot be decoded, and no gap to ask about.
pub fn is_keyframe(payload: &[u8]) -> bool {
    let Some((&indicator, rest)) = payload.split_first() else { return false };
    match indicator & 0x1F {
        nal_unit_type::STAP_A => aggregated_types(rest).any(begins_keyframe),
        nal_unit_type::FU_A => {
            rest.first().is_some_and(|header| header & 0x80 != 0 && begins_keyframe(header & 0x1F))
        }
        single => begins_keyframe(single),
    }
}

fn begins_keyframe(nal_unit_type: u8) -> bool {
    nal_unit_type == nal_unit_type::SEQUENCE_PARAMETER_SET
}

/// The types of the NAL units in an aggregation packet, each behind its length in 16 bits. Ends at one that is cut off.
fn aggregated_types(units: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut reader = Reader::new(units);
    std::iter::from_fn(move || {
        let len = reader.u16()?;
        let unit = reader.take(usize::from(len))?;
        unit.first().map(|header| header & 0x1F)
    })
}
