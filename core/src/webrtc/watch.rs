//! Watching: an offer to receive becomes a transport and its consumers.

use std::time::Instant;

use super::answer::{self, Answer};
use super::dictionary;
use super::sdp::{Direction, MediaSection, Offer};
use super::session::RemoteTransport;
use super::{Session, WebRtcError, resource};
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::model::ConsumerOptions;
use crate::ortc::{MediaKind, RtpCapabilities};
use crate::sfu::Sfu;

/// What became of an offer to receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The transport that was made for it; closing it ends all of it.
    pub transport: TransportId,
    /// The consumers, in the order of the offer.
    pub consumers: Vec<ConsumerId>,
    /// The answer, `application/sdp`.
    pub answer: String,
    /// The entity tag of the ICE session, with its quotes.
    pub etag: String,
    /// To be kept, for [`patch`](super::patch()).
    pub session: Session,
}

/// Answers an offer to receive (WHEP): makes a transport on `router`, and a consumer for each section that receives: of the
/// first of `producers` of its kind that it can decode and that no earlier section has got. Sections left over are answered
/// `inactive`, producers left over are not sent.
///
/// Errors: see [`WebRtcError::status`]; nothing is left behind in the `Sfu`.
pub fn watch(
    sfu: &mut Sfu,
    now: Instant,
    router: RouterId,
    offer: &str,
    producers: &[ProducerId],
) -> Result<Watched, WebRtcError> {
    let offer = Offer::parse(offer)?;
    let capabilities = sfu.router_rtp_capabilities(router)?;
    let mut plan: Vec<_> = offer.sections.iter().map(|section| plan_section(section, capabilities)).collect();
    let pairs = pair(sfu, &offer, &plan, producers);
    if pairs.is_empty() {
        return Err(WebRtcError::unprocessable("the offer can receive nothing of what there is to watch"));
    }
    let remote = RemoteTransport::of(&offer, &resource::accepted(&offer, &plan))?;
    resource::with_transport(sfu, now, router, &remote, |sfu, transport| {
        let consumers = consume(sfu, now, transport, pairs, &mut plan)?;
        let data = sfu.webrtc_transport(transport)?;
        let answer = answer::write(&offer, &plan, &data, remote.dtls_parameters.role);
        let session = resource::session(&offer, &plan, &data, &remote);
        Ok(Watched { transport, consumers, answer, etag: session.etag().to_owned(), session })
    })
}

/// A section with the producer that is sent in it.
struct Pair {
    index: usize,
    mid: Option<String>,
    producer: ProducerId,
    rtp_capabilities: RtpCapabilities,
}

/// The answer for a section in which nothing is sent.
fn plan_section(section: &MediaSection, router: &RtpCapabilities) -> Answer {
    let kind = resource::routed_kind(section);
    match kind.and_then(|kind| dictionary::common_parameters(section, kind, router)) {
        Some(parameters) => Answer::Accepted { direction: Direction::Inactive, parameters, msid: None },
        None => Answer::Rejected,
    }
}

fn pair(sfu: &Sfu, offer: &Offer, plan: &[Answer], producers: &[ProducerId]) -> Vec<Pair> {
    let mut left: Vec<(MediaKind, ProducerId)> =
        producers.iter().filter_map(|&id| Some((sfu.producer(id).ok()?.kind, id))).collect();
    let mut pairs = Vec::new();
    for (index, (section, answer)) in offer.sections.iter().zip(plan).enumerate() {
        let Some(kind) = section.kind().filter(|_| answer.is_accepted() && section.direction.receives())
        else {
            continue;
        };
        let rtp_capabilities = dictionary::capabilities(section, kind);
        let found = left.iter().position(|&(of, id)| of == kind && sfu.can_consume(id, &rtp_capabilities));
        if let Some(position) = found {
            let (_, producer) = left.remove(position);
            pairs.push(Pair { index, mid: section.mid.clone(), producer, rtp_capabilities });
        }
    }
    pairs
}

fn consume(
    sfu: &mut Sfu,
    now: Instant,
    transport: TransportId,
    pairs: Vec<Pair>,
    plan: &mut [Answer],
) -> Result<Vec<ConsumerId>, WebRtcError> {
    let mut consumers = Vec::new();
    for Pair { index, mid, producer, rtp_capabilities } in pairs {
        let options =
            ConsumerOptions { mid, use_remote_ids: true, ..ConsumerOptions::new(producer, rtp_capabilities) };
        let consumer = sfu.consume(now, transport, options)?;
        let parameters = sfu.consumer(consumer)?.rtp_parameters;
        // One media stream for all, so that the viewer keeps sound and picture together.
        let msid = Some(format!("{transport} {consumer}"));
        if let Some(answer) = plan.get_mut(index) {
            *answer = Answer::Accepted { direction: Direction::SendOnly, parameters, msid };
        }
        consumers.push(consumer);
    }
    Ok(consumers)
}
