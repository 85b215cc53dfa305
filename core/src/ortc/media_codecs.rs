//! What a router can do, and the capabilities that it gets from its configured media codecs.

use serde_json::Value;

use super::capabilities::MAX_CODECS;
use super::codec_parameters::{CodecParameters, RtcpFeedback};
use super::json::Node;
use super::negotiate::matching::{Strictness, codecs_match};
use super::{
    HeaderExtensionDirection, HeaderExtensionUri, MediaKind, MimeType, OrtcError, RtpCapabilities,
    RtpCodecCapability, RtpHeaderExtension,
};

/// Dynamic payload types in the order in which they are given away (RFC 3551 section 6: 96 to 127).
const DYNAMIC_PAYLOAD_TYPES: [u8; 32] = [
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120,
    121, 122, 123, 124, 125, 126, 127, 96, 97, 98, 99,
];

/// Feedback of a supported codec.
#[derive(Clone, Copy)]
enum Feedback {
    None,
    TransportCc,
    NackTransportCc,
    Video,
}

/// A supported codec: MIME type, static payload type (RFC 3551), clock rate, channels, feedback.
type Supported = (&'static str, Option<u8>, u32, u8, Feedback);

/// Opus with this many channels, and channel mapping, streams and coupled streams.
const MULTI_OPUS: [(u8, &str, u64, u64); 3] =
    [(4, "0,1,2,3", 2, 2), (6, "0,4,1,2,3,5", 4, 2), (8, "0,6,1,2,3,4,5,7", 5, 3)];

const SUPPORTED: [Supported; 23] = [
    ("audio/opus", None, 48_000, 2, Feedback::NackTransportCc),
    ("audio/PCMU", Some(0), 8000, 1, Feedback::TransportCc),
    ("audio/PCMA", Some(8), 8000, 1, Feedback::TransportCc),
    ("audio/ISAC", None, 32_000, 1, Feedback::TransportCc),
    ("audio/ISAC", None, 16_000, 1, Feedback::TransportCc),
    ("audio/G722", Some(9), 8000, 1, Feedback::TransportCc),
    ("audio/iLBC", None, 8000, 1, Feedback::TransportCc),
    ("audio/SILK", None, 24_000, 1, Feedback::TransportCc),
    ("audio/SILK", None, 16_000, 1, Feedback::TransportCc),
    ("audio/SILK", None, 12_000, 1, Feedback::TransportCc),
    ("audio/SILK", None, 8000, 1, Feedback::TransportCc),
    ("audio/CN", Some(13), 32_000, 1, Feedback::None),
    ("audio/CN", Some(13), 16_000, 1, Feedback::None),
    ("audio/CN", Some(13), 8000, 1, Feedback::None),
    ("audio/telephone-event", None, 48_000, 1, Feedback::None),
    ("audio/telephone-event", None, 32_000, 1, Feedback::None),
    ("audio/telephone-event", None, 16_000, 1, Feedback::None),
    ("audio/telephone-event", None, 8000, 1, Feedback::None),
    ("video/VP8", None, 90_000, 1, Feedback::Video),
    ("video/VP9", None, 90_000, 1, Feedback::Video),
    ("video/H264", None, 90_000, 1, Feedback::Video),
    ("video/AV1", None, 90_000, 1, Feedback::Video),
    // Listed last so that the plain codecs above stay easy to read; see MULTI_OPUS for its three layouts.
    ("audio/multiopus", None, 48_000, 0, Feedback::NackTransportCc),
];

/// The media codecs of a router that is not configured otherwise: opus, PCMU, VP8, VP9 (profile 0), H264 (Constrained
/// Baseline, then Main, both with packetization mode 1) and AV1.
pub fn default_media_codecs() -> Vec<RtpCodecCapability> {
    let codec = |mime_type: &str, clock_rate, channels, parameters: CodecParameters| {
        let mime_type = MimeType::new(mime_type).ok()?;
        Some(RtpCodecCapability {
            parameters,
            ..RtpCodecCapability::new(mime_type, clock_rate, Some(channels))
        })
    };
    let h264 = |profile_level_id: &str| {
        CodecParameters::from([
            ("packetization-mode", 1.into()),
            ("profile-level-id", profile_level_id.into()),
            ("level-asymmetry-allowed", 1.into()),
        ])
    };
    [
        codec("audio/opus", 48_000, 2, CodecParameters::default()),
        codec("audio/PCMU", 8000, 1, CodecParameters::default()),
        codec("video/VP8", 90_000, 1, CodecParameters::default()),
        codec("video/VP9", 90_000, 1, CodecParameters::from([("profile-id", 0.into())])),
        codec("video/H264", 90_000, 1, h264("42e01f")),
        codec("video/H264", 90_000, 1, h264("4d0032")),
        codec("video/AV1", 90_000, 1, CodecParameters::default()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Reads the media codecs of a configuration: an array of codec capabilities.
pub fn media_codecs_from_json(value: &Value) -> Result<Vec<RtpCodecCapability>, OrtcError> {
    Node::root("mediaCodecs", value).required_list(MAX_CODECS, RtpCodecCapability::read)
}

/// The capabilities of a router with those media codecs.
///
/// Codecs stay in their order, each video codec followed by its RTX. A codec without preferred payload type gets its
/// static one, else the next of 100 to 127 and 96 to 99; so does each RTX. A preferred one is reserved only from its own
/// place in the list on. All header extensions are there, whatever the codecs.
///
/// Errors: [`Unsupported`](super::OrtcErrorKind::Unsupported) for a codec that is not in the table,
/// [`InvalidParameters`](super::OrtcErrorKind::InvalidParameters) for a payload type given twice,
/// [`Exhausted`](super::OrtcErrorKind::Exhausted) when the dynamic payload types are used up.
pub fn generate_router_rtp_capabilities(
    media_codecs: &[RtpCodecCapability],
) -> Result<RtpCapabilities, OrtcError> {
    let supported = supported_codecs();
    let mut free = DYNAMIC_PAYLOAD_TYPES.to_vec();
    let mut codecs: Vec<RtpCodecCapability> = Vec::new();
    for (index, wanted) in media_codecs.iter().enumerate() {
        let mut codec = supported
            .iter()
            .find(|codec| codecs_match(wanted, *codec, Strictness::Loose))
            .ok_or_else(|| unsupported(index, wanted))?
            .clone();
        let payload_type = match wanted.preferred_payload_type {
            Some(preferred) => {
                free.retain(|payload_type| *payload_type != preferred);
                preferred
            }
            None => match codec.preferred_payload_type {
                Some(static_payload_type) => static_payload_type,
                None => draw(&mut free)?,
            },
        };
        if codecs.iter().any(|codec| codec.preferred_payload_type == Some(payload_type)) {
            return Err(OrtcError::invalid(format!(
                "mediaCodecs[{index}].preferredPayloadType {payload_type} is already taken (duplicated \
                 codec.preferredPayloadType)"
            )));
        }
        codec.preferred_payload_type = Some(payload_type);
        codec.parameters.0.extend(wanted.parameters.0.clone());
        let rtx = if codec.kind == MediaKind::Video {
            Some(rtx_codec(payload_type, codec.clock_rate, draw(&mut free)?)?)
        } else {
            None
        };
        codecs.push(codec);
        codecs.extend(rtx);
    }
    Ok(RtpCapabilities { codecs, header_extensions: supported_header_extensions() })
}

fn unsupported(index: usize, codec: &RtpCodecCapability) -> OrtcError {
    let channels = codec.channels.map_or(String::new(), |channels| format!("/{channels}"));
    OrtcError::unsupported(format!(
        "mediaCodecs[{index}]: media codec not supported: {}/{}{channels}",
        codec.mime_type, codec.clock_rate
    ))
}

fn draw(free: &mut Vec<u8>) -> Result<u8, OrtcError> {
    if free.is_empty() {
        return Err(OrtcError::exhausted("cannot allocate more dynamic codec payload types"));
    }
    Ok(free.remove(0))
}

fn rtx_codec(apt: u8, clock_rate: u32, payload_type: u8) -> Result<RtpCodecCapability, OrtcError> {
    let mut rtx = RtpCodecCapability::new(MimeType::new("video/rtx")?, clock_rate, None);
    rtx.preferred_payload_type = Some(payload_type);
    rtx.parameters.insert("apt", u64::from(apt));
    Ok(rtx)
}

fn supported_codecs() -> Vec<RtpCodecCapability> {
    SUPPORTED.iter().flat_map(expand).collect()
}

/// One table row as capabilities: three for multiopus, else one.
fn expand(row: &Supported) -> Vec<RtpCodecCapability> {
    let (mime_type, payload_type, clock_rate, channels, feedback) = *row;
    let Ok(mime_type) = MimeType::new(mime_type) else { return Vec::new() };
    let codec = |channels, parameters| RtpCodecCapability {
        preferred_payload_type: payload_type,
        parameters,
        rtcp_feedback: feedback_list(feedback),
        ..RtpCodecCapability::new(mime_type.clone(), clock_rate, Some(channels))
    };
    match mime_type.codec() {
        super::Codec::MultiOpus => MULTI_OPUS
            .iter()
            .map(|(channels, mapping, streams, coupled)| {
                let parameters = CodecParameters::from([
                    ("channel_mapping", (*mapping).into()),
                    ("num_streams", (*streams).into()),
                    ("coupled_streams", (*coupled).into()),
                ]);
                codec(*channels, parameters)
            })
            .collect(),
        super::Codec::H264 => {
            vec![codec(channels, CodecParameters::from([("level-asymmetry-allowed", 1.into())]))]
        }
        _ => vec![codec(channels, CodecParameters::default())],
    }
}

fn feedback_list(feedback: Feedback) -> Vec<RtcpFeedback> {
    let list: &[(&str, &str)] = match feedback {
        Feedback::None => &[],
        Feedback::TransportCc => &[("transport-cc", "")],
        Feedback::NackTransportCc => &[("nack", ""), ("transport-cc", "")],
        Feedback::Video => {
            &[("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", ""), ("transport-cc", "")]
        }
    };
    list.iter().map(|(feedback_type, parameter)| RtcpFeedback::new(feedback_type, parameter)).collect()
}

fn supported_header_extensions() -> Vec<RtpHeaderExtension> {
    HeaderExtensionUri::ALL
        .into_iter()
        .flat_map(|uri| directions(uri).into_iter().map(move |(kind, direction)| (uri, kind, direction)))
        .map(|(uri, kind, direction)| RtpHeaderExtension {
            kind,
            uri: uri.as_str().to_owned(),
            preferred_id: uri.router_id(),
            preferred_encrypt: false,
            direction,
        })
        .collect()
}

/// For which media, and which way, a router has a header extension.
fn directions(uri: HeaderExtensionUri) -> Vec<(MediaKind, HeaderExtensionDirection)> {
    use HeaderExtensionDirection::{RecvOnly, SendRecv};
    use MediaKind::{Audio, Video};
    match uri {
        HeaderExtensionUri::Mid
        | HeaderExtensionUri::AbsSendTime
        | HeaderExtensionUri::AbsCaptureTime
        | HeaderExtensionUri::PlayoutDelay
        | HeaderExtensionUri::PacketId => vec![(Audio, SendRecv), (Video, SendRecv)],
        // Audio is measured on the way in, but never sent under transport-wide congestion control.
        HeaderExtensionUri::TransportCc => vec![(Audio, RecvOnly), (Video, SendRecv)],
        HeaderExtensionUri::Rid
        | HeaderExtensionUri::RepairedRid
        | HeaderExtensionUri::DependencyDescriptor => {
            vec![(Video, RecvOnly)]
        }
        HeaderExtensionUri::AudioLevel => vec![(Audio, SendRecv)],
        HeaderExtensionUri::VideoOrientation | HeaderExtensionUri::TransmissionOffset => {
            vec![(Video, SendRecv)]
        }
    }
}
