//! Whether two codecs are the same.

use crate::ortc::codec_parameters::{CodecParameters, ParameterValue};
use crate::ortc::h264::same_profile;
use crate::ortc::{Codec, MimeType, RtpCodecCapability, RtpCodecParameters};

/// How closely codecs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ortc) enum Strictness {
    /// MIME type, clock rate, channels, and the layout of multi-channel Opus.
    Loose,
    /// Also H264's packetization mode and profile, and VP9's profile.
    Strict,
}

/// A codec of either dictionary.
pub(in crate::ortc) trait ComparableCodec {
    fn mime_type(&self) -> &MimeType;
    fn clock_rate(&self) -> u32;
    fn channels(&self) -> Option<u8>;
    fn parameters(&self) -> &CodecParameters;
}

impl ComparableCodec for RtpCodecCapability {
    fn mime_type(&self) -> &MimeType {
        &self.mime_type
    }

    fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    fn channels(&self) -> Option<u8> {
        self.channels
    }

    fn parameters(&self) -> &CodecParameters {
        &self.parameters
    }
}

impl ComparableCodec for RtpCodecParameters {
    fn mime_type(&self) -> &MimeType {
        &self.mime_type
    }

    fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    fn channels(&self) -> Option<u8> {
        self.channels
    }

    fn parameters(&self) -> &CodecParameters {
        &self.parameters
    }
}

/// Whether the two are the same codec. Payload types and feedback never count.
pub(in crate::ortc) fn codecs_match(
    one: &impl ComparableCodec,
    other: &impl ComparableCodec,
    strictness: Strictness,
) -> bool {
    if one.mime_type() != other.mime_type()
        || one.clock_rate() != other.clock_rate()
        || one.channels() != other.channels()
    {
        return false;
    }
    let (one, codec, other) = (one.parameters(), one.mime_type().codec(), other.parameters());
    let strict = strictness == Strictness::Strict;
    match codec {
        Codec::MultiOpus => {
            one.get("num_streams") == other.get("num_streams")
                && one.get("coupled_streams") == other.get("coupled_streams")
        }
        Codec::H264 if strict => equal_or_zero(one, other, "packetization-mode") && same_profile(one, other),
        Codec::Vp9 if strict => equal_or_zero(one, other, "profile-id"),
        _ => true,
    }
}

/// Equal values of a parameter that is the number 0 when absent. The string `"0"` is not that number.
fn equal_or_zero(one: &CodecParameters, other: &CodecParameters, name: &str) -> bool {
    let zero = ParameterValue::from(0);
    one.get(name).unwrap_or(&zero) == other.get(name).unwrap_or(&zero)
}
