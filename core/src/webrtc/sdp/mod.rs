//! SDP offers (RFC 8866 with the attributes of RFC 8829), typed.
//!
//! Only what a WebRTC answerer needs is kept; other lines and attributes are skipped, whatever is in them. What is kept is
//! checked while it is read, so an [`Offer`] has no wrong states left: payload types fit in 7 bits, MIDs are unique, tokens are
//! tokens (what is mirrored into an answer cannot break its lines).
//!
//! Work and memory are bounded by the size of the text, at most [`MAX_BYTES`], and by the limits below; more than that is refused
//! with the line where it happened.

mod attribute;
mod parse;
mod section;
#[cfg(test)]
pub(super) mod tests;
mod text;

pub use section::{
    Codec, Direction, Extension, MediaSection, MediaType, Rid, Setup, Source, SourceGroup,
    TransportAttributes,
};
pub use text::SdpError;

pub(super) use attribute::{is_token, password, username_fragment};
pub(super) use text::lines;

/// Most bytes of an offer or a fragment.
pub const MAX_BYTES: usize = 256 << 10;
/// Most m-lines of an offer; also the most tags of a BUNDLE group.
pub const MAX_SECTIONS: usize = 64;
/// Most header extensions of a section.
pub const MAX_EXTENSIONS: usize = 64;
/// Most feedback lines of a section for one codec, and for all of them (`*`).
pub const MAX_FEEDBACK: usize = 32;
/// Most SSRCs, and most SSRC groups, of a section.
pub const MAX_SOURCES: usize = 64;
/// Most RIDs of a section.
pub const MAX_RIDS: usize = 16;
/// Most fingerprints of a section, and of the session.
pub const MAX_FINGERPRINTS: usize = 16;

/// An offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The MIDs of the first BUNDLE group (RFC 8843), empty without one.
    pub bundle: Vec<String>,
    /// Whether the client is an ICE-Lite agent (RFC 8839 section 5.3).
    pub ice_lite: bool,
    /// `ice-options` of the session and of all sections, each once (RFC 8839 section 5.6).
    pub ice_options: Vec<String>,
    /// Whether one- and two-byte header extensions may be mixed (RFC 8285 section 6), said for the session.
    pub extmap_allow_mixed: bool,
    /// ICE and DTLS of sections that do not say their own.
    pub transport: TransportAttributes,
    /// The m-lines, in order.
    pub sections: Vec<MediaSection>,
}

impl Offer {
    /// Reads an offer.
    ///
    /// Errors name the line: not SDP, a known attribute that is malformed, a limit that is exceeded.
    pub fn parse(text: &str) -> Result<Offer, SdpError> {
        parse::offer(text)
    }

    /// The section of that MID.
    pub fn section(&self, mid: &str) -> Option<&MediaSection> {
        self.sections.iter().find(|section| section.mid.as_deref() == Some(mid))
    }

    /// ICE and DTLS of a section: its own, else those of the first bundled section (RFC 8843 section 7.1.3: they need
    /// not be repeated), else those of the session.
    pub fn transport_of(&self, section: &MediaSection) -> TransportAttributes {
        let mut attributes = section.transport.clone();
        if let Some(tagged) = self.bundle.first().and_then(|mid| self.section(mid)) {
            attributes.complete_with(&tagged.transport);
        }
        attributes.complete_with(&self.transport);
        attributes
    }
}
