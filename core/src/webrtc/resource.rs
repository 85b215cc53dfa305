//! What publishing and watching have in common.

use std::time::Instant;

use super::answer::{self, Answer};
use super::sdp::{MediaSection, Offer};
use super::session::{RemoteTransport, TaggedSection};
use super::{Session, WebRtcError};
use crate::id::{RouterId, TransportId};
use crate::model::{WebRtcTransportData, WebRtcTransportOptions};
use crate::ortc::MediaKind;
use crate::sfu::Sfu;

/// The kind of a section that can be accepted: audio or video over DTLS-SRTP, not rejected by the client itself.
pub(super) fn routed_kind(section: &MediaSection) -> Option<MediaKind> {
    // RFC 8829 section 5.1.2: other spellings of the profile mean the same. What is plain RTP has no fingerprint to go on.
    let secure = matches!(
        section.protocol.as_str(),
        "UDP/TLS/RTP/SAVPF"
            | "UDP/TLS/RTP/SAVP"
            | "TCP/TLS/RTP/SAVPF"
            | "TCP/DTLS/RTP/SAVPF"
            | "RTP/SAVPF"
            | "RTP/SAVP"
    );
    section.kind().filter(|_| secure && !section.is_rejected())
}

/// The sections that are accepted, the tagged one first.
pub(super) fn accepted<'a>(offer: &'a Offer, plan: &[Answer]) -> Vec<&'a MediaSection> {
    let accepted = offer.sections.iter().zip(plan).filter(|(_, answer)| answer.is_accepted());
    accepted.map(|(section, _)| section).collect()
}

/// Runs `make` on a new transport that is connected with the client; closes the transport if that fails.
pub(super) fn with_transport<T>(
    sfu: &mut Sfu,
    now: Instant,
    router: RouterId,
    remote: &RemoteTransport,
    make: impl FnOnce(&mut Sfu, TransportId) -> Result<T, WebRtcError>,
) -> Result<T, WebRtcError> {
    // No session watches over the client: one that never connects is to go by itself.
    let options = WebRtcTransportOptions { connect_timeout: Some(30), ..WebRtcTransportOptions::default() };
    let transport = sfu.create_webrtc_transport(now, router, options)?;
    let connected = sfu.connect_webrtc_transport(now, transport, &remote.dtls_parameters);
    let made = connected.map_err(WebRtcError::from).and_then(|()| make(sfu, transport));
    if made.is_err() {
        // The error to report is the first one; closing what is there cannot fail.
        let _ = sfu.close_transport(now, transport);
    }
    made
}

/// What to keep of it.
pub(super) fn session(
    offer: &Offer,
    plan: &[Answer],
    transport: &WebRtcTransportData,
    remote: &RemoteTransport,
) -> Session {
    let accepted = accepted(offer, plan);
    let tagged = accepted.first().map(|section| TaggedSection::new(section)).unwrap_or_default();
    let bundle = answer::bundled_mids(offer, plan).into_iter().map(str::to_owned).collect();
    Session::new(transport.id, remote.credentials.clone(), tagged, bundle, &transport.ice_parameters)
}
