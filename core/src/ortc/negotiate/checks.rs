//! What is refused of a producer although negotiation would pass it.

use crate::ortc::{Codec, MediaKind, OrtcError, ProducerType, RtpEncodingParameters, RtpParameters};

/// Refuses a header extension whose URI is unknown: clients only send what they negotiated.
pub fn check_header_extension_uris(parameters: &RtpParameters) -> Result<(), OrtcError> {
    for (index, extension) in parameters.header_extensions.iter().enumerate() {
        if extension.known().is_none() {
            return Err(OrtcError::invalid(format!(
                "headerExtensions[{index}].uri: invalid RtpHeaderExtensionUri: {}",
                extension.uri
            )));
        }
    }
    Ok(())
}

/// Refuses parameters that contradict themselves or that packets could not be assigned by, and says what type of
/// producer they make.
///
/// One encoding is SVC if it has more than one spatial or temporal layer (VP8 and H264 too), else simple. Several are
/// simulcast: VP8, VP9, H264 and AV1 (mediasoup refuses VP9 and AV1), without spatial layers inside an encoding.
pub fn check_producer_parameters(
    kind: MediaKind,
    parameters: &RtpParameters,
) -> Result<ProducerType, OrtcError> {
    check_codecs(kind, parameters)?;
    if let Some(index) = parameters.header_extensions.iter().position(|extension| extension.id == 0) {
        return Err(OrtcError::invalid(format!("headerExtensions[{index}].id must not be 0")));
    }
    for (index, encoding) in parameters.encodings.iter().enumerate() {
        check_encoding(parameters, index, encoding)?;
    }
    producer_type(kind, parameters)
}

/// Refuses an SSRC, RTX SSRC or MID that a producer of the same transport has already, or that is there twice; and a
/// RID likewise if no MID tells the producers apart.
pub fn check_unique_in_transport<'a>(
    parameters: &RtpParameters,
    others: impl IntoIterator<Item = &'a RtpParameters>,
) -> Result<(), OrtcError> {
    let mid = parameters.mid.as_deref().filter(|mid| !mid.is_empty());
    let own_ssrcs: Vec<u32> = ssrcs(parameters).collect();
    for (index, ssrc) in own_ssrcs.iter().enumerate() {
        if own_ssrcs.iter().take(index).any(|earlier| earlier == ssrc) {
            return Err(OrtcError::invalid(format!("encodings: ssrc {ssrc} is given twice")));
        }
    }
    if mid.is_none() && has_repeated_rid(parameters) {
        return Err(OrtcError::invalid("encodings: a rid is given twice, and there is no mid"));
    }
    for other in others {
        if mid.is_some() && other.mid.as_deref() == mid {
            return Err(OrtcError::invalid("mid is already used by a producer of this transport"));
        }
        if let Some(ssrc) = ssrcs(other).find(|ssrc| own_ssrcs.contains(ssrc)) {
            return Err(OrtcError::invalid(format!(
                "encodings: ssrc {ssrc} is already used by a producer of this transport"
            )));
        }
        if mid.is_none() && rids(parameters).any(|rid| rids(other).any(|used| used == rid)) {
            return Err(OrtcError::invalid(
                "encodings: a rid is already used by a producer of this transport, and there is no mid",
            ));
        }
    }
    Ok(())
}

fn check_codecs(kind: MediaKind, parameters: &RtpParameters) -> Result<(), OrtcError> {
    if parameters.media_codec().is_none() {
        return Err(OrtcError::invalid("codecs must have a media codec"));
    }
    for (index, codec) in parameters.codecs.iter().enumerate() {
        if codec.kind() != kind {
            return Err(OrtcError::invalid(format!("codecs[{index}].mimeType must be of the kind {kind}")));
        }
        if parameters.codecs.iter().take(index).any(|earlier| earlier.payload_type == codec.payload_type) {
            return Err(OrtcError::invalid(format!(
                "codecs[{index}].payloadType {} is given twice",
                codec.payload_type
            )));
        }
        if codec.is_rtx() && !names_media_codec(parameters, codec.parameters.apt()) {
            return Err(OrtcError::invalid(format!(
                "codecs[{index}].parameters.apt must be the payload type of a media codec"
            )));
        }
    }
    Ok(())
}

fn check_encoding(
    parameters: &RtpParameters,
    index: usize,
    encoding: &RtpEncodingParameters,
) -> Result<(), OrtcError> {
    if encoding.codec_payload_type.is_some() && !names_media_codec(parameters, encoding.codec_payload_type) {
        return Err(OrtcError::invalid(format!(
            "encodings[{index}].codecPayloadType must be the payload type of a media codec"
        )));
    }
    // 0 and '' stand for nothing here, as they do in mediasoup's worker.
    let has_ssrc = encoding.ssrc.is_some_and(|ssrc| ssrc != 0);
    let has_rid = encoding.rid.as_deref().is_some_and(|rid| !rid.is_empty());
    let has_mid = parameters.mid.as_deref().is_some_and(|mid| !mid.is_empty());
    let mid_suffices = parameters.encodings.len() == 1 && has_mid;
    if has_ssrc || has_rid || mid_suffices {
        return Ok(());
    }
    let problem = if parameters.encodings.len() == 1 {
        "must have ssrc or rid, since there is no mid"
    } else {
        "must have ssrc or rid"
    };
    Err(OrtcError::invalid(format!("encodings[{index}] {problem}")))
}

fn producer_type(kind: MediaKind, parameters: &RtpParameters) -> Result<ProducerType, OrtcError> {
    let layered = |encoding: &RtpEncodingParameters| {
        let layers = encoding.layers();
        layers.spatial_layers > 1 || layers.temporal_layers > 1
    };
    if kind == MediaKind::Audio
        && (parameters.encodings.len() > 1 || parameters.encodings.iter().any(layered))
    {
        return Err(OrtcError::invalid("encodings: audio must have one encoding without layers"));
    }
    match parameters.encodings.as_slice() {
        [] => Err(OrtcError::invalid("encodings must not be empty")),
        [encoding] if layered(encoding) => Ok(ProducerType::Svc),
        [_] => Ok(ProducerType::Simple),
        several => {
            check_simulcast(parameters, several)?;
            Ok(ProducerType::Simulcast)
        }
    }
}

fn check_simulcast(parameters: &RtpParameters, encodings: &[RtpEncodingParameters]) -> Result<(), OrtcError> {
    for (index, encoding) in encodings.iter().enumerate() {
        let codec = parameters.codec_of(encoding).map(|codec| codec.mime_type.codec());
        if !matches!(codec, Some(Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1)) {
            return Err(OrtcError::invalid(format!(
                "encodings[{index}]: its codec is not used with simulcast"
            )));
        }
        if encoding.layers().spatial_layers > 1 {
            return Err(OrtcError::invalid(format!(
                "encodings[{index}].scalabilityMode must not have spatial layers beside other encodings"
            )));
        }
    }
    Ok(())
}

fn names_media_codec(parameters: &RtpParameters, payload_type: Option<u8>) -> bool {
    payload_type
        .and_then(|payload_type| parameters.codec_with_payload_type(payload_type))
        .is_some_and(|codec| !codec.is_rtx())
}

/// SSRCs and RTX SSRCs; 0 is none.
fn ssrcs(parameters: &RtpParameters) -> impl Iterator<Item = u32> {
    let of_encoding = |encoding: &RtpEncodingParameters| [encoding.ssrc, encoding.rtx.map(|rtx| rtx.ssrc)];
    parameters.encodings.iter().flat_map(of_encoding).flatten().filter(|ssrc| *ssrc != 0)
}

fn rids(parameters: &RtpParameters) -> impl Iterator<Item = &str> {
    parameters.encodings.iter().filter_map(|encoding| encoding.rid.as_deref()).filter(|rid| !rid.is_empty())
}

fn has_repeated_rid(parameters: &RtpParameters) -> bool {
    rids(parameters)
        .enumerate()
        .any(|(index, rid)| rids(parameters).take(index).any(|earlier| earlier == rid))
}
