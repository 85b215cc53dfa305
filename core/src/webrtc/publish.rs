//! Publishing: an offer to send becomes a transport and its producers.

use std::time::Instant;

use super::answer::{self, Answer};
use super::dictionary;
use super::sdp::{Direction, MediaSection, Offer};
use super::session::{RemoteTransport, describe};
use super::{Session, WebRtcError, resource};
use crate::id::{ProducerId, RouterId, TransportId};
use crate::model::ProducerOptions;
use crate::ortc::{HeaderExtensionUri, MediaKind, RtpCapabilities, RtpParameters};
use crate::sfu::Sfu;

/// What became of an offer to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The transport that was made for it; closing it ends all of it.
    pub transport: TransportId,
    /// The producers, in the order of the offer.
    pub producers: Vec<(MediaKind, ProducerId)>,
    /// The answer, `application/sdp`.
    pub answer: String,
    /// The entity tag of the ICE session, with its quotes.
    pub etag: String,
    /// To be kept, for [`patch`](super::patch()).
    pub session: Session,
}

/// Answers an offer to send (WHIP, RFC 9725 section 4.2): makes a transport on `router`, and a producer for each section that
/// sends and has a codec in common with the router, the first of them in the client's order.
///
/// Errors: see [`WebRtcError::status`]; nothing is left behind in the `Sfu`.
pub fn publish(sfu: &mut Sfu, now: Instant, router: RouterId, offer: &str) -> Result<Published, WebRtcError> {
    let offer = Offer::parse(offer)?;
    let capabilities = sfu.router_rtp_capabilities(router)?;
    let plan = plan(&offer, capabilities)?;
    let remote = RemoteTransport::of(&offer, &resource::accepted(&offer, &plan))?;
    resource::with_transport(sfu, now, router, &remote, |sfu, transport| {
        let producers = produce(sfu, now, transport, &plan)?;
        let data = sfu.webrtc_transport(transport)?;
        let answer = answer::write(&offer, &plan, &data, remote.dtls_parameters.role);
        let session = resource::session(&offer, &plan, &data, &remote);
        Ok(Published { transport, producers, answer, etag: session.etag().to_owned(), session })
    })
}

/// What is to be answered to each section.
///
/// Errors: nothing that could be received (422).
pub(super) fn plan(offer: &Offer, router: &RtpCapabilities) -> Result<Vec<Answer>, WebRtcError> {
    let plan: Vec<_> =
        offer.sections.iter().map(|section| plan_section(section, router)).collect::<Result<_, _>>()?;
    let receives =
        |answer: &Answer| matches!(answer, Answer::Accepted { direction: Direction::RecvOnly, .. });
    if plan.iter().any(receives) {
        return Ok(plan);
    }
    let sends = |section: &MediaSection| section.kind().is_some() && section.direction.sends();
    Err(WebRtcError::unprocessable(if offer.sections.iter().any(sends) {
        "the offer has no codec that the room has"
    } else {
        "the offer has no audio or video to send"
    }))
}

fn plan_section(section: &MediaSection, router: &RtpCapabilities) -> Result<Answer, WebRtcError> {
    let Some(kind) = resource::routed_kind(section) else { return Ok(Answer::Rejected) };
    let (direction, parameters) = if section.direction.sends() {
        (Direction::RecvOnly, dictionary::sending_parameters(section, kind, router))
    } else {
        (Direction::Inactive, dictionary::common_parameters(section, kind, router))
    };
    let Some(parameters) = parameters else { return Ok(Answer::Rejected) };
    if direction == Direction::RecvOnly {
        check_identifiable(section, &parameters)?;
    }
    Ok(Answer::Accepted { direction, parameters, msid: None })
}

/// Packets must tell which section and stream they are of: by an announced SSRC, or by the header extension for it.
fn check_identifiable(section: &MediaSection, parameters: &RtpParameters) -> Result<(), WebRtcError> {
    let has = |uri| parameters.header_extension_id(uri).is_some();
    let mid = parameters.mid.is_some() && has(HeaderExtensionUri::Mid);
    for encoding in &parameters.encodings {
        let found = match (encoding.ssrc, &encoding.rid) {
            (Some(_), _) => true,
            (None, Some(_)) => has(HeaderExtensionUri::Rid),
            (None, None) => mid,
        };
        if !found {
            return Err(WebRtcError::unprocessable(format!(
                "{} has neither an a=ssrc nor the header extensions that tell its streams",
                describe(section)
            )));
        }
    }
    Ok(())
}

fn produce(
    sfu: &mut Sfu,
    now: Instant,
    transport: TransportId,
    plan: &[Answer],
) -> Result<Vec<(MediaKind, ProducerId)>, WebRtcError> {
    let mut producers = Vec::new();
    for answer in plan {
        if let Answer::Accepted { direction: Direction::RecvOnly, parameters, .. } = answer {
            let Some(kind) = parameters.media_codec().map(|codec| codec.kind()) else { continue };
            let producer = sfu.produce(now, transport, ProducerOptions::new(kind, parameters.clone()))?;
            producers.push((kind, producer));
        }
    }
    Ok(producers)
}
