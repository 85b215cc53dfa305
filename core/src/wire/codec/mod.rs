//! What a forwarding server reads from payloads: where keyframes start, and the layers that a packet belongs to.

pub mod av1;
mod bits;
pub mod dependency_descriptor;
pub mod h264;
pub mod opus;
pub mod vp8;
pub mod vp9;

/// A codec whose payloads can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 (RTP Payload Format For AV1).
    Av1,
    /// Anything else: forwarded without looking into it.
    Other,
}

impl Codec {
    /// From what follows the slash in a MIME type, such as `VP8` in `video/VP8`. Upper and lower case are the same (RFC 4855
    /// section 3).
    pub fn from_mime_subtype(subtype: &str) -> Self {
        const KNOWN: [(&str, Codec); 5] = [
            ("opus", Codec::Opus),
            ("VP8", Codec::Vp8),
            ("VP9", Codec::Vp9),
            ("H264", Codec::H264),
            ("AV1", Codec::Av1),
        ];
        let known = KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(subtype));
        known.map_or(Self::Other, |&(_, codec)| codec)
    }

    /// Whether its payloads tell where a keyframe begins.
    pub fn has_keyframes(self) -> bool {
        matches!(self, Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1)
    }
}

/// Whether this payload begins a keyframe: a receiver that has seen nothing can start to decode with this packet. `None` if
/// the codec has no keyframes or its payloads cannot be read.
pub fn is_keyframe(codec: Codec, payload: &[u8]) -> Option<bool> {
    match codec {
        Codec::Vp8 => Some(vp8::is_keyframe(payload)),
        Codec::Vp9 => Some(vp9::is_keyframe(payload)),
        Codec::H264 => Some(h264::is_keyframe(payload)),
        Codec::Av1 => Some(av1::is_keyframe(payload)),
        Codec::Opus | Codec::Other => None,
    }
}

/// Number of a picture, as VP8 and VP9 carry it in 7 or 15 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The number, below 2⁷ or 2¹⁵.
    pub value: u16,
    /// Whether it has 15 bits.
    pub is_long: bool,
}

impl PictureId {
    /// Reads the one or two bytes; the highest bit of the first tells which (RFC 7741 section 4.2, RFC 9628 section 4.2).
    fn read(reader: &mut super::reader::Reader<'_>) -> Option<Self> {
        let first = reader.u8()?;
        let high = u16::from(first & 0x7F);
        if first & 0x80 == 0 {
            return Some(Self { value: high, is_long: false });
        }
        Some(Self { value: high << 8 | u16::from(reader.u8()?), is_long: true })
    }
}

#[cfg(test)]
mod tests;
