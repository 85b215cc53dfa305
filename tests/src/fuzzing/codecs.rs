//! What is asked of a payload without knowing its codec.

use sansfu::wire::codec::{Codec, av1, h264, is_keyframe, opus, vp8, vp9};

use crate::choices::Choices;

const CODECS: [Codec; 6] = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Other];

/// Each codec's own function is asked; names are told by RFC 4855's rule; Opus frames of silence are those of RFC 7587.
pub fn codecs(data: &[u8]) {
    for codec in CODECS {
        let expected = match codec {
            Codec::Vp8 => Some(vp8::is_keyframe(data)),
            Codec::Vp9 => Some(vp9::is_keyframe(data)),
            Codec::H264 => Some(h264::is_keyframe(data)),
            Codec::Av1 => Some(av1::is_keyframe(data)),
            Codec::Opus | Codec::Other => None,
        };
        assert_eq!(is_keyframe(codec, data), expected);
        assert_eq!(codec.has_keyframes(), expected.is_some());
    }
    // The table of contents and at most one byte more.
    assert_eq!(opus::is_dtx(data), data.get(2).is_none());

    let mut choices = Choices::from_bytes(data);
    let upper = choices.u64();
    let name = choices.pick(&["opus", "vp8", "vp9", "h264", "av1", "rtx", ""]);
    let mixed: String = name
        .chars()
        .enumerate()
        .map(|(at, c)| if upper >> at & 1 == 1 { c.to_ascii_uppercase() } else { c })
        .collect();
    let by_name = |name: &str| match name {
        "opus" => Codec::Opus,
        "vp8" => Codec::Vp8,
        "vp9" => Codec::Vp9,
        "h264" => Codec::H264,
        "av1" => Codec::Av1,
        _ => Codec::Other,
    };
    assert_eq!(Codec::from_mime_subtype(&mixed), by_name(name));
    let any = String::from_utf8_lossy(choices.rest());
    assert_eq!(Codec::from_mime_subtype(&any), by_name(&any.to_ascii_lowercase()));
}
