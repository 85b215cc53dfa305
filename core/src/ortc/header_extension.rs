//! RTP header extensions (RFC 8285) in the dictionaries.

use serde::{Deserialize, Serialize};

use super::codec_parameters::CodecParameters;
use super::json::{MAX_STRING_BYTES, Node, json_dictionary};
use super::{MediaKind, OrtcError};

/// The header extensions that are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeaderExtensionUri {
    /// Media identification (RFC 9143).
    Mid,
    /// RtpStreamId (RFC 8852).
    Rid,
    /// RepairedRtpStreamId (RFC 8852).
    RepairedRid,
    /// Absolute send time.
    AbsSendTime,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc,
    /// Client-to-mixer audio level (RFC 6464).
    AudioLevel,
    /// Dependency descriptor of the AV1 RTP specification.
    DependencyDescriptor,
    /// Coordination of video orientation (3GPP TS 26.114).
    VideoOrientation,
    /// Transmission time offset (RFC 5450).
    TransmissionOffset,
    /// Absolute capture time.
    AbsCaptureTime,
    /// Playout delay.
    PlayoutDelay,
    /// mediasoup's packet id, used between routers.
    PacketId,
}

impl HeaderExtensionUri {
    /// All of them, in the order of the ids that a router gives.
    pub const ALL: [Self; 12] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AbsSendTime,
        Self::TransportCc,
        Self::AudioLevel,
        Self::DependencyDescriptor,
        Self::VideoOrientation,
        Self::TransmissionOffset,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::PacketId,
    ];

    /// The extension of that URI, if it is known; URIs are compared exactly (RFC 8285 section 5).
    pub fn parse(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == uri)
    }

    /// The URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::PacketId => "urn:mediasoup:params:rtp-hdrext:packet-id",
        }
    }

    /// The id that every router gives it, 1 to 12.
    pub fn router_id(self) -> u8 {
        match self {
            Self::Mid => 1,
            Self::Rid => 2,
            Self::RepairedRid => 3,
            Self::AbsSendTime => 4,
            Self::TransportCc => 5,
            Self::AudioLevel => 6,
            Self::DependencyDescriptor => 7,
            Self::VideoOrientation => 8,
            Self::TransmissionOffset => 9,
            Self::AbsCaptureTime => 10,
            Self::PlayoutDelay => 11,
            Self::PacketId => 12,
        }
    }
}

/// Which way a header extension may go, seen from whoever owns the capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderExtensionDirection {
    /// Both ways.
    #[default]
    SendRecv,
    /// It may send it.
    SendOnly,
    /// It may receive it.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl HeaderExtensionDirection {
    /// Whether the owner may send it.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        match node.optional_string(MAX_STRING_BYTES)?.as_deref() {
            None | Some("sendrecv") => Ok(Self::SendRecv),
            Some("sendonly") => Ok(Self::SendOnly),
            Some("recvonly") => Ok(Self::RecvOnly),
            Some("inactive") => Ok(Self::Inactive),
            Some(_) => Err(node.error("must be 'sendrecv', 'sendonly', 'recvonly' or 'inactive'")),
        }
    }
}

/// A header extension that somebody can use, in [`RtpCapabilities`](super::RtpCapabilities).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpHeaderExtension {
    /// The media that it is for.
    pub kind: MediaKind,
    /// Its URI; not necessarily one that is known here.
    pub uri: String,
    /// The id that its owner would give it, 1 to 255.
    pub preferred_id: u8,
    /// Whether its owner would have it encrypted (RFC 6904).
    pub preferred_encrypt: bool,
    /// Which way it may go.
    pub direction: HeaderExtensionDirection,
}

json_dictionary!(RtpHeaderExtension, "headerExtension");

impl RtpHeaderExtension {
    /// The known extension that it is, if any.
    pub fn known(&self) -> Option<HeaderExtensionUri> {
        HeaderExtensionUri::parse(&self.uri)
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let kind = node.member("kind");
        Ok(Self {
            kind: kind
                .string(MAX_STRING_BYTES)?
                .parse()
                .map_err(|_| kind.error("must be 'audio' or 'video'"))?,
            uri: read_uri(&node.member("uri"))?,
            preferred_id: node.member("preferredId").byte(1, u8::MAX)?,
            preferred_encrypt: node.member("preferredEncrypt").boolean_or_false()?,
            direction: HeaderExtensionDirection::read(&node.member("direction"))?,
        })
    }
}

/// A header extension in use, in [`RtpParameters`](super::RtpParameters).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct RtpHeaderExtensionParameters {
    /// Its URI; not necessarily one that is known here.
    pub uri: String,
    /// The id that it has in packets. Any byte passes here; 0 is refused when a producer is made.
    pub id: u8,
    /// Whether it is encrypted (RFC 6904).
    pub encrypt: bool,
    /// Its configuration; nothing here reads it.
    pub parameters: CodecParameters,
}

json_dictionary!(RtpHeaderExtensionParameters, "headerExtension");

impl RtpHeaderExtensionParameters {
    /// A known extension under that id, not encrypted.
    pub fn new(uri: HeaderExtensionUri, id: u8) -> Self {
        Self { uri: uri.as_str().to_owned(), id, encrypt: false, parameters: CodecParameters::default() }
    }

    /// The known extension that it is, if any.
    pub fn known(&self) -> Option<HeaderExtensionUri> {
        HeaderExtensionUri::parse(&self.uri)
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        Ok(Self {
            uri: read_uri(&node.member("uri"))?,
            id: node.member("id").byte(0, u8::MAX)?,
            encrypt: node.member("encrypt").boolean_or_false()?,
            parameters: CodecParameters::read(&node.member("parameters"))?,
        })
    }
}

fn read_uri(node: &Node<'_>) -> Result<String, OrtcError> {
    let uri = node.string(MAX_STRING_BYTES)?;
    if uri.is_empty() { Err(node.error("must not be empty")) } else { Ok(uri) }
}
