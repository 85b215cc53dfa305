//! AV1 payloads (RTP Payload Format For AV1, sections 4.4 and 4.5).

use crate::wire::reader::Reader;

/// `OBU_SEQUENCE_HEADER` (AV1 specification section 6.2.2).
const OBU_SEQUENCE_HEADER: u8 = 1;

/// The first byte of every AV1 payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Z: the first element continues one of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub continued: bool,
    /// W: number of elements, 1 to 3; 0 if every element has its length in front.
    pub element_count: u8,
    /// N: the packet begins a coded video sequence.
    pub new_coded_video_sequence: bool,
}

impl AggregationHeader {
    /// Reads it from the front of a payload. `None` if that is empty.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        payload.first().map(|&byte| Self {
            continues: byte & 0x80 != 0,
            continued: byte & 0x40 != 0,
            element_count: byte >> 4 & 0x03,
            new_coded_video_sequence: byte & 0x08 != 0,
        })
    }
}

/// Whether this payload begins a keyframe: it begins a coded video sequence and has its sequence header.
pub fn is_keyframe(payload: &[u8]) -> bool {
    AggregationHeader::parse(payload).is_some_and(|header| {
        header.new_coded_video_sequence
            && !header.continues
            && elements(payload).any(|element| obu_type(element) == Some(OBU_SEQUENCE_HEADER))
    })
}

/// The OBUs, or pieces of them, in a payload. Ends at one that is cut off.
pub fn elements(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(payload.get(1..).unwrap_or_default());
    let count = AggregationHeader::parse(payload).map_or(0, |header| header.element_count);
    let mut index = 0;
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        index += 1;
        // With a count, the last element is what is left.
        let len = if index == usize::from(count) { reader.rest().len() } else { read_leb128(&mut reader)? };
        reader.take(len)
    })
}

fn obu_type(obu: &[u8]) -> Option<u8> {
    obu.first().map(|header| header >> 3 & 0x0F)
}

/// A length in little-endian groups of seven bits (AV1 specification section 4.10.5). `None` beyond 32 bits.
fn read_leb128(reader: &mut Reader<'_>) -> Option<usize> {
    let mut value = 0u64;
    for group in 0..8 {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7F) << (group * 7);
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok().map(|value| value as usize);
        }
    }
    None
}
