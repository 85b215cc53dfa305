//! An m-line with its attributes.

use crate::ortc::{DtlsFingerprint, HeaderExtensionDirection, MediaKind, RtcpFeedback};

/// An m-line with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSection {
    /// The number of the m-line in the text, from 1.
    pub line: usize,
    /// What it is about.
    pub media: MediaType,
    /// What it is about, as spelt.
    pub media_name: String,
    /// The port; 0 says that the section is rejected, unless it is [`Self::bundle_only`].
    pub port: u16,
    /// For example `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// Payload types, or what the protocol has instead; never empty.
    pub formats: Vec<String>,
    /// Its name (RFC 5888); unique in the offer.
    pub mid: Option<String>,
    /// Which way media flows, seen from the client.
    pub direction: Direction,
    /// Whether it exists only within the BUNDLE group (RFC 8843 section 6).
    pub bundle_only: bool,
    /// Whether RTP and RTCP share one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether reduced-size RTCP is offered (RFC 5506).
    pub rtcp_rsize: bool,
    /// Whether one- and two-byte header extensions may be mixed, said for this section.
    pub extmap_allow_mixed: bool,
    /// Its own ICE and DTLS.
    pub transport: TransportAttributes,
    /// The codecs in the order of the m-line, the preferred one first. Formats without `rtpmap` are there when they are static
    /// payload types of audio codecs that routers can have.
    pub codecs: Vec<Codec>,
    /// Header extensions (RFC 8285), each id and each URI once.
    pub extensions: Vec<Extension>,
    /// SSRCs (RFC 5576), in the order of their first appearance.
    pub sources: Vec<Source>,
    /// SSRC groups (RFC 5576 section 4.2).
    pub groups: Vec<SourceGroup>,
    /// RIDs that the client sends (RFC 8851), those of `a=simulcast` first and in its order (RFC 8853).
    pub rids: Vec<Rid>,
    /// Whether there is `a=simulcast` with streams to send.
    pub simulcast: bool,
    /// Media stream and track id, a space between (RFC 8830).
    pub msid: Option<String>,
}

impl MediaSection {
    /// Audio or video; `None` for anything else.
    pub fn kind(&self) -> Option<MediaKind> {
        match self.media {
            MediaType::Audio => Some(MediaKind::Audio),
            MediaType::Video => Some(MediaKind::Video),
            MediaType::Application | MediaType::Other => None,
        }
    }

    /// Whether the client itself has rejected or stopped it (RFC 8829 section 5.2.2).
    pub fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// The codec of that payload type.
    pub fn codec(&self, payload_type: u8) -> Option<&Codec> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }
}

/// What an m-line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data channels (RFC 8841).
    Application,
    /// Anything else.
    Other,
}

/// Which way media flows, seen from whoever says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// From here.
    SendOnly,
    /// To here.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether media flows from here.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether media flows to here.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// Who starts DTLS (RFC 8842 section 5.1; RFC 4145 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The one who says it.
    Active,
    /// The other one.
    Passive,
    /// The answerer decides.
    ActPass,
}

/// ICE credentials and DTLS of a section or of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransportAttributes {
    /// `ice-ufrag` (RFC 8839 section 5.4).
    pub username_fragment: Option<String>,
    /// `ice-pwd` (RFC 8839 section 5.4).
    pub password: Option<String>,
    /// Fingerprints of the certificate (RFC 8122); those of unknown hashes are left out.
    pub fingerprints: Vec<DtlsFingerprint>,
    /// Who starts DTLS.
    pub setup: Option<Setup>,
}

impl TransportAttributes {
    /// Takes from `other` what is not said here. Credentials belong together: they are taken both or not at all.
    pub(super) fn complete_with(&mut self, other: &TransportAttributes) {
        if self.username_fragment.is_none() && self.password.is_none() {
            self.username_fragment.clone_from(&other.username_fragment);
            self.password.clone_from(&other.password);
        }
        if self.fingerprints.is_empty() {
            self.fingerprints.clone_from(&other.fingerprints);
        }
        self.setup = self.setup.or(other.setup);
    }
}

/// A codec: `rtpmap`, `fmtp` and `rtcp-fb` of one payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// 0 to 127.
    pub payload_type: u8,
    /// The encoding name, as spelt.
    pub name: String,
    /// In Hz, not 0.
    pub clock_rate: u32,
    /// Channels, if said; not 0.
    pub channels: Option<u8>,
    /// Format parameters, as spelt.
    pub fmtp: Option<String>,
    /// Feedback (RFC 4585 section 4.2), that of `*` included.
    pub feedback: Vec<RtcpFeedback>,
}

/// A header extension (RFC 8285 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// 1 to 255 but 15.
    pub id: u8,
    /// Which way it may go, seen from the client.
    pub direction: HeaderExtensionDirection,
    /// Its URI.
    pub uri: String,
}

/// An SSRC (RFC 5576 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The SSRC.
    pub ssrc: u32,
    /// Its canonical name, if said.
    pub cname: Option<String>,
    /// Media stream and track id, if said here.
    pub msid: Option<String>,
}

/// SSRCs that belong together (RFC 5576 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceGroup {
    /// For example `FID` (a stream and its retransmission, RFC 4588) or `SIM` (simulcast, before RIDs).
    pub semantics: String,
    /// The SSRCs.
    pub ssrcs: Vec<u32>,
}

/// A RID that the client sends (RFC 8851 section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rid {
    /// Letters, digits, `-` and `_`.
    pub id: String,
    /// The payload types that it may have (`pt=`); any when empty.
    pub payload_types: Vec<u8>,
    /// Its other restrictions, as spelt; empty without any.
    pub restrictions: String,
}
