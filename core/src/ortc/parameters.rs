//! `RtpParameters`: what a producer sends or a consumer receives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::capabilities::{MAX_CODECS, MAX_PAYLOAD_TYPE, read_channels, read_mime_type};
use super::codec_parameters::{CodecParameters, RtcpFeedback};
use super::json::{MAX_STRING_BYTES, Node, json_dictionary};
use super::{HeaderExtensionUri, MediaKind, MimeType, OrtcError, RtpHeaderExtensionParameters};

/// Most encodings of one producer or consumer.
pub const MAX_ENCODINGS: usize = 16;
/// Most members of an encoding that are kept without being understood.
pub const MAX_OTHER_MEMBERS: usize = 32;
/// Most bytes of a MID, a RID or a CNAME: what a two-byte header extension or an SDES item can hold.
pub const MAX_IDENTIFIER_BYTES: usize = 255;

/// How a producer sends, or how a consumer receives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpParameters {
    /// The MID header extension's value (RFC 9143).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// Media and RTX codecs in use.
    pub codecs: Vec<RtpCodecParameters>,
    /// Header extensions in use.
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    /// The RTP streams: one, or one per simulcast layer, the lowest first.
    pub encodings: Vec<RtpEncodingParameters>,
    /// RTCP.
    pub rtcp: RtcpParameters,
    /// Media stream and track ids with a space between, as in SDP's `a=msid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msid: Option<String>,
}

json_dictionary!(RtpParameters, "rtpParameters");

impl RtpParameters {
    /// The codec with that payload type.
    pub fn codec_with_payload_type(&self, payload_type: u8) -> Option<&RtpCodecParameters> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }

    /// The first codec that is not RTX.
    pub fn media_codec(&self) -> Option<&RtpCodecParameters> {
        self.codecs.iter().find(|codec| !codec.mime_type.is_rtx())
    }

    /// The codec of an encoding: that of its `codecPayloadType`, else the first media codec.
    pub fn codec_of(&self, encoding: &RtpEncodingParameters) -> Option<&RtpCodecParameters> {
        match encoding.codec_payload_type {
            Some(payload_type) => self.codec_with_payload_type(payload_type),
            None => self.media_codec(),
        }
    }

    /// The RTX codec that retransmits that payload type.
    pub fn rtx_for(&self, payload_type: u8) -> Option<&RtpCodecParameters> {
        self.codecs
            .iter()
            .find(|codec| codec.mime_type.is_rtx() && codec.parameters.apt() == Some(payload_type))
    }

    /// The id of a header extension in use.
    pub fn header_extension_id(&self, uri: HeaderExtensionUri) -> Option<u8> {
        self.header_extensions
            .iter()
            .find(|extension| extension.uri == uri.as_str())
            .map(|extension| extension.id)
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        Ok(Self {
            mid: node.member("mid").optional_string(MAX_IDENTIFIER_BYTES)?,
            codecs: node.member("codecs").required_list(MAX_CODECS, RtpCodecParameters::read)?,
            header_extensions: node
                .member("headerExtensions")
                .list(MAX_CODECS, RtpHeaderExtensionParameters::read)?,
            encodings: node.member("encodings").list(MAX_ENCODINGS, RtpEncodingParameters::read)?,
            rtcp: RtcpParameters::read(&node.member("rtcp"))?,
            msid: node.member("msid").optional_string(MAX_STRING_BYTES)?,
        })
    }
}

/// A codec in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpCodecParameters {
    /// The codec.
    pub mime_type: MimeType,
    /// Its payload type in packets, 0 to 127.
    pub payload_type: u8,
    /// In Hz.
    pub clock_rate: u32,
    /// Audio: always there, 1 by default. Video: never there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// Format parameters.
    pub parameters: CodecParameters,
    /// Feedback in use.
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

json_dictionary!(RtpCodecParameters, "codec");

impl RtpCodecParameters {
    /// Whether it is retransmission and not a media codec.
    pub fn is_rtx(&self) -> bool {
        self.mime_type.is_rtx()
    }

    /// Whether exactly that feedback is in use.
    pub fn has_feedback(&self, feedback_type: &str, parameter: &str) -> bool {
        self.rtcp_feedback.iter().any(|feedback| feedback.is(feedback_type, parameter))
    }

    /// Audio or video, by the MIME type.
    pub fn kind(&self) -> MediaKind {
        self.mime_type.kind()
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let mime_type = read_mime_type(&node.member("mimeType"))?;
        Ok(Self {
            payload_type: node.member("payloadType").byte(0, MAX_PAYLOAD_TYPE)?,
            clock_rate: node.member("clockRate").word(1)?,
            channels: read_channels(&node.member("channels"), mime_type.kind())?,
            parameters: CodecParameters::read(&node.member("parameters"))?,
            rtcp_feedback: RtcpFeedback::read_list(&node.member("rtcpFeedback"))?,
            mime_type,
        })
    }
}

/// One RTP stream, perhaps with its RTX stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpEncodingParameters {
    /// Its SSRC, if announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    /// Its RID, if announced (RFC 8852).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// The payload type of its codec; the first media codec's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec_payload_type: Option<u8>,
    /// Its RTX stream, if announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtx: Option<RtpRtxParameters>,
    /// Whether it may fall silent (discontinuous transmission).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtx: Option<bool>,
    /// Layers inside the stream, verbatim; see [`ScalabilityMode`](super::ScalabilityMode).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scalability_mode: Option<String>,
    /// In bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<u64>,
    /// Every other member that the client gave (`active`, `scaleResolutionDownBy`, …), unread.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

json_dictionary!(RtpEncodingParameters, "encoding");

impl RtpEncodingParameters {
    const KNOWN_MEMBERS: [&'static str; 7] =
        ["ssrc", "rid", "codecPayloadType", "rtx", "dtx", "scalabilityMode", "maxBitrate"];

    /// The layers inside the stream; one of each when none or nonsense is given.
    pub fn layers(&self) -> super::ScalabilityMode {
        super::ScalabilityMode::parse_or_default(self.scalability_mode.as_deref())
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let codec_payload_type = node.member("codecPayloadType");
        let ssrc = node.member("ssrc");
        let rtx = node.member("rtx");
        Ok(Self {
            ssrc: if ssrc.is_absent() { None } else { Some(ssrc.word(0)?) },
            rid: node.member("rid").optional_string(MAX_IDENTIFIER_BYTES)?,
            codec_payload_type: if codec_payload_type.is_absent() {
                None
            } else {
                Some(codec_payload_type.byte(0, MAX_PAYLOAD_TYPE)?)
            },
            rtx: if rtx.is_absent() { None } else { Some(RtpRtxParameters::read(&rtx)?) },
            // Always a boolean behind this point, whatever was given: see rule 8 of the negotiation's tests.
            dtx: Some(node.member("dtx").value().and_then(Value::as_bool).unwrap_or(false)),
            scalability_mode: node.member("scalabilityMode").optional_string(MAX_STRING_BYTES)?,
            max_bitrate: read_bitrate(&node.member("maxBitrate"))?,
            other: read_other_members(node)?,
        })
    }
}

/// The RTX stream of an encoding (RFC 4588).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct RtpRtxParameters {
    /// Its SSRC.
    pub ssrc: u32,
}

json_dictionary!(RtpRtxParameters, "rtx");

impl RtpRtxParameters {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        Ok(Self { ssrc: node.member("ssrc").word(0)? })
    }
}

/// RTCP of a producer or a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtcpParameters {
    /// The canonical name in SDES (RFC 3550 section 6.5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cname: Option<String>,
    /// Whether reduced-size RTCP is used (RFC 5506): always, even when a client asks for the contrary.
    pub reduced_size: bool,
}

json_dictionary!(RtcpParameters, "rtcp");

impl RtcpParameters {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        if node.is_absent() {
            return Ok(Self::default());
        }
        node.expect_object()?;
        node.member("reducedSize").boolean_or_false()?;
        Ok(Self { cname: node.member("cname").optional_string(MAX_IDENTIFIER_BYTES)?, reduced_size: true })
    }
}

impl Default for RtcpParameters {
    fn default() -> Self {
        Self { cname: None, reduced_size: true }
    }
}

/// Any non-negative number; fractions of a bit are cut off.
fn read_bitrate(node: &Node<'_>) -> Result<Option<u64>, OrtcError> {
    match node.value() {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(bitrate) if bitrate >= 0.0 => Ok(Some(bitrate as u64)),
            _ => Err(node.error("must be a non-negative number")),
        },
    }
}

fn read_other_members(node: &Node<'_>) -> Result<BTreeMap<String, Value>, OrtcError> {
    let members = node.value().and_then(Value::as_object);
    let other = members
        .into_iter()
        .flatten()
        .filter(|(name, _)| !RtpEncodingParameters::KNOWN_MEMBERS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<BTreeMap<_, _>>();
    if other.len() > MAX_OTHER_MEMBERS {
        return Err(node.error(&format!("must not have more than {MAX_OTHER_MEMBERS} other members")));
    }
    Ok(other)
}
