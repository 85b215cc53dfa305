//! `RtpCapabilities`: what a router or an endpoint can do.

use serde::{Deserialize, Serialize};

use super::codec_parameters::{CodecParameters, RtcpFeedback};
use super::json::{Node, json_dictionary};
use super::{MediaKind, MimeType, OrtcError, RtpHeaderExtension};

/// Most codecs, and most header extensions, in one dictionary.
pub const MAX_CODECS: usize = 256;

/// The highest payload type: the field has 7 bits (RFC 3550 section 5.1).
pub(super) const MAX_PAYLOAD_TYPE: u8 = 127;

/// What a router or an endpoint can send or receive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpCapabilities {
    /// Media and RTX codecs, the preferred ones first.
    pub codecs: Vec<RtpCodecCapability>,
    /// Header extensions.
    pub header_extensions: Vec<RtpHeaderExtension>,
}

json_dictionary!(RtpCapabilities, "rtpCapabilities");

impl RtpCapabilities {
    /// The codec with that preferred payload type.
    pub fn codec_with_payload_type(&self, payload_type: u8) -> Option<&RtpCodecCapability> {
        self.codecs.iter().find(|codec| codec.preferred_payload_type == Some(payload_type))
    }

    /// The RTX codec that names that payload type as its `apt`.
    pub fn rtx_for(&self, payload_type: u8) -> Option<&RtpCodecCapability> {
        self.codecs
            .iter()
            .find(|codec| codec.mime_type.is_rtx() && codec.parameters.apt() == Some(payload_type))
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        Ok(Self {
            codecs: node.member("codecs").list(MAX_CODECS, RtpCodecCapability::read)?,
            header_extensions: node.member("headerExtensions").list(MAX_CODECS, RtpHeaderExtension::read)?,
        })
    }
}

/// A codec that somebody can use; also the form in which a router's media codecs are configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpCodecCapability {
    /// Always the kind of [`Self::mime_type`].
    pub kind: MediaKind,
    /// The codec.
    pub mime_type: MimeType,
    /// The payload type that its owner would use, 0 to 127.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_payload_type: Option<u8>,
    /// In Hz.
    pub clock_rate: u32,
    /// Audio: always there, 1 by default. Video: never there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// Format parameters.
    pub parameters: CodecParameters,
    /// Transport layer and codec-specific feedback.
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

json_dictionary!(RtpCodecCapability, "codec");

impl RtpCodecCapability {
    /// A codec without payload type, parameters and feedback; `channels` counts for audio only and is 1 by default.
    pub fn new(mime_type: MimeType, clock_rate: u32, channels: Option<u8>) -> Self {
        let kind = mime_type.kind();
        let channels = (kind == MediaKind::Audio).then(|| channels.unwrap_or(1));
        Self {
            kind,
            mime_type,
            preferred_payload_type: None,
            clock_rate,
            channels,
            parameters: CodecParameters::default(),
            rtcp_feedback: Vec::new(),
        }
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let mime_type = read_mime_type(&node.member("mimeType"))?;
        let payload_type = node.member("preferredPayloadType");
        let preferred_payload_type =
            if payload_type.is_absent() { None } else { Some(payload_type.byte(0, MAX_PAYLOAD_TYPE)?) };
        Ok(Self {
            kind: mime_type.kind(),
            preferred_payload_type,
            clock_rate: node.member("clockRate").word(1)?,
            channels: read_channels(&node.member("channels"), mime_type.kind())?,
            parameters: CodecParameters::read(&node.member("parameters"))?,
            rtcp_feedback: RtcpFeedback::read_list(&node.member("rtcpFeedback"))?,
            mime_type,
        })
    }
}

pub(super) fn read_mime_type(node: &Node<'_>) -> Result<MimeType, OrtcError> {
    let text = node.string(MimeType::MAX_BYTES)?;
    MimeType::new(&text).map_err(|_| node.error("must be audio/… or video/…"))
}

/// Audio has one channel unless a number says otherwise; video has none, whatever is said.
pub(super) fn read_channels(node: &Node<'_>, kind: MediaKind) -> Result<Option<u8>, OrtcError> {
    match kind {
        MediaKind::Video => Ok(None),
        MediaKind::Audio if node.value().is_some_and(serde_json::Value::is_number) => {
            node.byte(1, u8::MAX).map(Some)
        }
        MediaKind::Audio => Ok(Some(1)),
    }
}
