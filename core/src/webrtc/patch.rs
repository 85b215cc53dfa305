//! What a client sends to its resource later: trickled candidates, or an ICE restart.

use std::fmt::Write;
use std::time::Instant;

use super::candidate::is_candidate;
use super::sdp::{self, SdpError};
use super::session::RemoteCredentials;
use super::{Session, WebRtcError, answer};
use crate::model::WebRtcTransportData;
use crate::sfu::Sfu;

/// What to answer a fragment with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// Candidates, taken note of: 204.
    NoContent,
    /// ICE was restarted: 200.
    Restarted {
        /// The answer, `application/trickle-ice-sdpfrag`.
        fragment: String,
        /// The new entity tag, with its quotes.
        etag: String,
    },
}

/// Takes a fragment (RFC 8840 section 9) that was sent to a resource (RFC 9725 section 4.3).
///
/// Candidates are checked for their form and have no effect: an ICE-Lite server learns addresses from the client's checks. Credentials
/// other than the known ones restart ICE.
///
/// Errors: a malformed fragment (400), a transport that is gone (404); nothing is changed.
pub fn patch(
    sfu: &mut Sfu,
    now: Instant,
    session: &mut Session,
    fragment: &str,
) -> Result<Patched, WebRtcError> {
    let fragment = Fragment::parse(fragment)?;
    // A resource whose transport is gone cannot be patched, whatever with.
    sfu.webrtc_transport(session.transport())?;
    let remote = match (fragment.username_fragment, fragment.password) {
        (Some(username_fragment), Some(password)) => RemoteCredentials { username_fragment, password },
        (None, None) => return Ok(Patched::NoContent),
        _ => return Err(WebRtcError::malformed("a=ice-ufrag and a=ice-pwd are needed both")),
    };
    if remote == *session.remote() {
        return Ok(Patched::NoContent);
    }
    let local = sfu.restart_ice(now, session.transport())?;
    session.restarted(remote, &local);
    let transport =
        WebRtcTransportData { ice_parameters: local, ..sfu.webrtc_transport(session.transport())? };
    Ok(Patched::Restarted { fragment: write(session, &transport), etag: session.etag().to_owned() })
}

/// An SDP fragment (RFC 8840 section 9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragment {
    /// `ice-ufrag`: the first in the fragment, since all is bundled.
    pub username_fragment: Option<String>,
    /// `ice-pwd`, the same.
    pub password: Option<String>,
    /// How many candidates there are.
    pub candidates: usize,
    /// Whether it says that there will be no more.
    pub end_of_candidates: bool,
}

impl Fragment {
    /// Reads a fragment of at most [`sdp::MAX_BYTES`].
    ///
    /// Errors name the line: not SDP, or a malformed attribute of those that matter.
    pub fn parse(text: &str) -> Result<Fragment, SdpError> {
        let mut fragment = Fragment::default();
        for line in sdp::lines(text)? {
            let line = line?;
            let (name, value) = line.attribute();
            match (line.letter, name) {
                ('m', _) if line.value.split_ascii_whitespace().count() < 4 => {
                    return Err(line.error("is not a media type, a port, a protocol and formats"));
                }
                ('a', "mid") if !sdp::is_token(value) => return Err(line.error("has no MID that is a token")),
                ('a', "ice-ufrag") => {
                    let read = sdp::username_fragment(value).map_err(|wrong| line.error(wrong))?;
                    fragment.username_fragment.get_or_insert(read);
                }
                ('a', "ice-pwd") => {
                    let read = sdp::password(value).map_err(|wrong| line.error(wrong))?;
                    fragment.password.get_or_insert(read);
                }
                ('a', "candidate") if is_candidate(value) => fragment.candidates += 1,
                ('a', "candidate") => return Err(line.error("is not a candidate")),
                ('a', "end-of-candidates") => fragment.end_of_candidates = true,
                _ => {}
            }
        }
        Ok(fragment)
    }
}

/// The fragment that tells the client the new local credentials (RFC 9725 section 4.3.3).
fn write(session: &Session, transport: &WebRtcTransportData) -> String {
    let mut text = String::from("a=ice-lite\r\n");
    if !session.bundle().is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "a=group:BUNDLE {}\r\n", session.bundle().join(" "));
    }
    let section = session.section();
    let _ = write!(text, "m={} 9 {} {}\r\n", section.media_name, section.protocol, section.format);
    if let Some(mid) = &section.mid {
        let _ = write!(text, "a=mid:{mid}\r\n");
    }
    let _ = write!(text, "a=ice-ufrag:{}\r\n", transport.ice_parameters.username_fragment);
    let _ = write!(text, "a=ice-pwd:{}\r\n", transport.ice_parameters.password);
    text.push_str(&answer::candidate_lines(&transport.ice_candidates));
    text
}
