//! Media kinds and MIME types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::OrtcError;

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// The JSON spelling: `audio` or `video`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaKind {
    type Err = OrtcError;

    fn from_str(text: &str) -> Result<Self, OrtcError> {
        match text {
            "audio" => Ok(Self::Audio),
            "video" => Ok(Self::Video),
            _ => Err(OrtcError::invalid("kind must be 'audio' or 'video'")),
        }
    }
}

/// The MIME types that negotiation or the media path treats in a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// `audio/opus` (RFC 7587).
    Opus,
    /// `audio/multiopus`: Opus with more than two channels, as Chromium has it.
    MultiOpus,
    /// `audio/PCMU` (RFC 3551).
    Pcmu,
    /// `audio/PCMA` (RFC 3551).
    Pcma,
    /// `audio/G722` (RFC 3551).
    G722,
    /// `video/VP8` (RFC 7741).
    Vp8,
    /// `video/VP9` (RFC 9628).
    Vp9,
    /// `video/H264` (RFC 6184).
    H264,
    /// `video/AV1` (AV1 RTP specification).
    Av1,
    /// `audio/rtx` or `video/rtx`: retransmission (RFC 4588), not a media codec.
    Rtx,
    /// Anything else.
    Other,
}

/// A MIME type `audio/…` or `video/…`.
///
/// It keeps the spelling that it was made with and is compared without regard to ASCII case, as MIME types are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MimeType {
    text: Box<str>,
    kind: MediaKind,
    codec: Codec,
}

impl MimeType {
    /// Most bytes of a MIME type.
    pub const MAX_BYTES: usize = 127;

    /// Reads a MIME type; an error unless it is `audio/` or `video/` (in any case) and something behind, within
    /// [`Self::MAX_BYTES`].
    pub fn new(text: &str) -> Result<Self, OrtcError> {
        let invalid = || OrtcError::invalid("a MIME type must be audio/… or video/…");
        let (top, subtype) = text.split_once('/').ok_or_else(invalid)?;
        if subtype.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(invalid());
        }
        let kind = top.to_ascii_lowercase().parse().map_err(|_| invalid())?;
        Ok(Self { text: text.into(), kind, codec: codec_of(kind, subtype) })
    }

    /// The spelling that it was made with.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the slash.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// The part behind the slash, as spelt: the encoding name of SDP's `a=rtpmap`.
    pub fn subtype(&self) -> &str {
        self.text.split_once('/').map_or("", |(_, subtype)| subtype)
    }

    /// Which of the codecs of interest it is.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether it is retransmission (RFC 4588) and not a media codec.
    pub fn is_rtx(&self) -> bool {
        self.codec == Codec::Rtx
    }
}

impl PartialEq for MimeType {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for MimeType {}

impl fmt::Debug for MimeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for MimeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for MimeType {
    type Err = OrtcError;

    fn from_str(text: &str) -> Result<Self, OrtcError> {
        Self::new(text)
    }
}

impl TryFrom<String> for MimeType {
    type Error = OrtcError;

    fn try_from(text: String) -> Result<Self, OrtcError> {
        Self::new(&text)
    }
}

impl From<MimeType> for String {
    fn from(mime_type: MimeType) -> Self {
        mime_type.text.into()
    }
}

fn codec_of(kind: MediaKind, subtype: &str) -> Codec {
    match (kind, subtype.to_ascii_lowercase().as_str()) {
        (_, "rtx") => Codec::Rtx,
        (MediaKind::Audio, "opus") => Codec::Opus,
        (MediaKind::Audio, "multiopus") => Codec::MultiOpus,
        (MediaKind::Audio, "pcmu") => Codec::Pcmu,
        (MediaKind::Audio, "pcma") => Codec::Pcma,
        (MediaKind::Audio, "g722") => Codec::G722,
        (MediaKind::Video, "vp8") => Codec::Vp8,
        (MediaKind::Video, "vp9") => Codec::Vp9,
        (MediaKind::Video, "h264") => Codec::H264,
        (MediaKind::Video, "av1") => Codec::Av1,
        _ => Codec::Other,
    }
}
