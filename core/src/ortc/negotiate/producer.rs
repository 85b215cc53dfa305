//! A producer's parameters against the router's capabilities.

use serde::{Deserialize, Serialize};

use super::checks::{check_header_extension_uris, check_producer_parameters};
use super::matching::{Strictness, codecs_match};
use super::{nth_ssrc, ssrc_base};
use crate::ortc::h264::{PROFILE_LEVEL_ID, answered_profile_level_id};
use crate::ortc::{
    Codec, HeaderExtensionUri, MediaKind, OrtcError, ProducerType, RtcpParameters, RtpCapabilities,
    RtpCodecCapability, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters,
    RtpParameters,
};

/// All that follows from a producer's parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct NegotiatedProducer {
    /// The client's parameters, with an encoding if there was none and H264 levels settled.
    pub rtp_parameters: RtpParameters,
    /// From the client's numbers to the router's.
    pub mapping: ProducerMapping,
    /// What consumers are derived from.
    pub consumable_rtp_parameters: RtpParameters,
    /// Simple, simulcast or SVC.
    pub producer_type: ProducerType,
}

/// From a producer's payload types and streams to the router's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerMapping {
    /// Media codecs in the producer's order, then RTX codecs.
    pub codecs: Vec<CodecMapping>,
    /// One per encoding, in their order.
    pub encodings: Vec<EncodingMapping>,
}

impl ProducerMapping {
    /// The router's payload type for one of the producer's.
    pub fn mapped_payload_type(&self, payload_type: u8) -> Option<u8> {
        let codec = self.codecs.iter().find(|codec| codec.payload_type == payload_type)?;
        Some(codec.mapped_payload_type)
    }
}

/// A payload type of the producer and the router's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodecMapping {
    /// The producer's.
    pub payload_type: u8,
    /// The router's.
    pub mapped_payload_type: u8,
}

/// A stream of the producer and its SSRC inside the router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodingMapping {
    /// The producer's SSRC, if announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    /// The producer's RID, if announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// The router's.
    pub mapped_ssrc: u32,
}

/// The whole negotiation of a new producer, apart from what depends on the others in its transport
/// ([`TransportCname`](super::TransportCname), [`check_unique_in_transport`](super::check_unique_in_transport)).
///
/// `random` gives any 32-bit numbers.
pub fn negotiate_producer(
    kind: MediaKind,
    mut rtp_parameters: RtpParameters,
    router: &RtpCapabilities,
    random: impl FnMut() -> u32,
) -> Result<NegotiatedProducer, OrtcError> {
    if rtp_parameters.encodings.is_empty() {
        rtp_parameters.encodings.push(RtpEncodingParameters::default());
    }
    let mapping = producer_mapping(&mut rtp_parameters, router, random)?;
    check_header_extension_uris(&rtp_parameters)?;
    let producer_type = check_producer_parameters(kind, &rtp_parameters)?;
    let consumable_rtp_parameters = consumable_rtp_parameters(kind, &rtp_parameters, router, &mapping)?;
    Ok(NegotiatedProducer { rtp_parameters, mapping, consumable_rtp_parameters, producer_type })
}

/// Finds the router's codec for each of the producer's, and gives each encoding an SSRC: consecutive ones from a random
/// number on.
///
/// The `profile-level-id` of H264 codecs is rewritten to the level that both can do. One codec without a match fails
/// the whole (`Unsupported`); an RTX codec must name a media codec of the same parameters (`InvalidParameters`).
pub fn producer_mapping(
    parameters: &mut RtpParameters,
    router: &RtpCapabilities,
    mut random: impl FnMut() -> u32,
) -> Result<ProducerMapping, OrtcError> {
    let mut codecs = Vec::new();
    for (index, codec) in parameters.codecs.iter_mut().enumerate().filter(|(_, codec)| !codec.is_rtx()) {
        let matched = router
            .codecs
            .iter()
            .find(|candidate| codecs_match(codec, *candidate, Strictness::Strict))
            .ok_or_else(|| unsupported(index, codec))?;
        if codec.mime_type.codec() == Codec::H264
            && let Some(settled) = answered_profile_level_id(&codec.parameters, &matched.parameters)
        {
            codec.parameters.insert(PROFILE_LEVEL_ID, settled);
        }
        codecs.push(CodecMapping {
            payload_type: codec.payload_type,
            mapped_payload_type: payload_type_of(matched)?,
        });
    }
    for (index, rtx) in parameters.codecs.iter().enumerate().filter(|(_, codec)| codec.is_rtx()) {
        codecs.push(map_rtx(parameters, router, &codecs, index, rtx)?);
    }
    let base = ssrc_base(&mut random);
    let encodings = parameters
        .encodings
        .iter()
        .enumerate()
        .map(|(index, encoding)| EncodingMapping {
            ssrc: encoding.ssrc,
            rid: encoding.rid.clone(),
            mapped_ssrc: nth_ssrc(base, index),
        })
        .collect();
    Ok(ProducerMapping { codecs, encodings })
}

/// What consumers are derived from: the producer's codecs with the router's numbers, feedback and header extensions.
///
/// `mapping` must come from the same parameters and router.
pub fn consumable_rtp_parameters(
    kind: MediaKind,
    parameters: &RtpParameters,
    router: &RtpCapabilities,
    mapping: &ProducerMapping,
) -> Result<RtpParameters, OrtcError> {
    let mut codecs = Vec::new();
    for codec in parameters.codecs.iter().filter(|codec| !codec.is_rtx()) {
        let foreign =
            || OrtcError::invalid(format!("payload type {} is not in the mapping", codec.payload_type));
        let payload_type = mapping.mapped_payload_type(codec.payload_type).ok_or_else(foreign)?;
        let of_router = router.codec_with_payload_type(payload_type).ok_or_else(foreign)?;
        let mut media = in_use(of_router, payload_type);
        media.parameters = codec.parameters.clone();
        codecs.push(media);
        if let Some(rtx) = router.rtx_for(payload_type) {
            codecs.push(in_use(rtx, payload_type_of(rtx)?));
        }
    }
    let encodings = parameters.encodings.iter().zip(&mapping.encodings);
    Ok(RtpParameters {
        mid: None,
        codecs,
        header_extensions: consumable_header_extensions(kind, parameters, router),
        encodings: encodings
            .map(|(encoding, mapping)| consumable_encoding(encoding, mapping.mapped_ssrc))
            .collect(),
        rtcp: RtcpParameters { cname: parameters.rtcp.cname.clone(), reduced_size: true },
        msid: parameters.msid.clone(),
    })
}

fn map_rtx(
    parameters: &RtpParameters,
    router: &RtpCapabilities,
    media: &[CodecMapping],
    index: usize,
    rtx: &RtpCodecParameters,
) -> Result<CodecMapping, OrtcError> {
    let apt = rtx.parameters.apt();
    let named = apt.and_then(|apt| parameters.codec_with_payload_type(apt));
    let Some(named) = named.filter(|named| !named.is_rtx()) else {
        return Err(OrtcError::invalid(format!(
            "codecs[{index}].parameters.apt must be the payload type of a media codec of the same parameters"
        )));
    };
    let of_router = media
        .iter()
        .find(|mapping| mapping.payload_type == named.payload_type)
        .and_then(|mapping| router.rtx_for(mapping.mapped_payload_type))
        .ok_or_else(|| unsupported(index, rtx))?;
    Ok(CodecMapping { payload_type: rtx.payload_type, mapped_payload_type: payload_type_of(of_router)? })
}

fn consumable_header_extensions(
    kind: MediaKind,
    parameters: &RtpParameters,
    router: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    // Only the producer's clock can have stamped the capture time; all others can be written by the router itself.
    let has_capture_time = parameters.header_extension_id(HeaderExtensionUri::AbsCaptureTime).is_some();
    let usable = router.header_extensions.iter().filter(|extension| {
        extension.kind == kind
            && extension.direction.sends()
            && (has_capture_time || extension.known() != Some(HeaderExtensionUri::AbsCaptureTime))
    });
    usable
        .map(|extension| RtpHeaderExtensionParameters {
            uri: extension.uri.clone(),
            id: extension.preferred_id,
            encrypt: extension.preferred_encrypt,
            parameters: Default::default(),
        })
        .collect()
}

fn consumable_encoding(encoding: &RtpEncodingParameters, mapped_ssrc: u32) -> RtpEncodingParameters {
    RtpEncodingParameters {
        ssrc: Some(mapped_ssrc),
        rid: None,
        rtx: None,
        codec_payload_type: None,
        ..encoding.clone()
    }
}

fn in_use(codec: &RtpCodecCapability, payload_type: u8) -> RtpCodecParameters {
    RtpCodecParameters {
        mime_type: codec.mime_type.clone(),
        payload_type,
        clock_rate: codec.clock_rate,
        channels: codec.channels,
        parameters: codec.parameters.clone(),
        rtcp_feedback: codec.rtcp_feedback.clone(),
    }
}

fn payload_type_of(codec: &RtpCodecCapability) -> Result<u8, OrtcError> {
    codec.preferred_payload_type.ok_or_else(|| {
        OrtcError::invalid(format!("the router's {} has no preferredPayloadType", codec.mime_type))
    })
}

fn unsupported(index: usize, codec: &RtpCodecParameters) -> OrtcError {
    OrtcError::unsupported(format!(
        "codecs[{index}]: unsupported codec {} with payload type {}",
        codec.mime_type, codec.payload_type
    ))
}
