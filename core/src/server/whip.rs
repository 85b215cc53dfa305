//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): the HTTP resources of publishers and viewers.
//!
//! `POST /whip/{room}/{peer}` makes that peer publish, `POST /whep/{room}/{peer}` watches it. Either makes a resource below
//! the same path, named by a random token: who knows it can end it (`DELETE`) and speak about its ICE (`PATCH`).
//!
//! Invariant: a resource is in the table exactly as long as its transport lives.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::edge::percent_encode;
use super::http::{HttpRequest, HttpResponse};
use crate::event::Event;
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::ortc::MediaKind;
use crate::rng::Rng;
use crate::room::{Limits, Refusal, Rooms};
use crate::sfu::Sfu;
use crate::webrtc::{self, Patched, Session, WebRtcError};

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// 190 bits: nobody guesses it.
const TOKEN_CHARS: usize = 32;

/// Publishing or viewing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Whip,
    Whep,
}

impl Face {
    fn path(self) -> &'static str {
        match self {
            Face::Whip => "whip",
            Face::Whep => "whep",
        }
    }
}

/// What the resources need to carry out a request.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) rooms: &'a mut Rooms,
    pub(super) limits: &'a Limits,
    pub(super) now: Instant,
}

/// The resources that there are.
#[derive(Debug)]
pub(super) struct Resources {
    rng: Rng,
    by_token: BTreeMap<String, Resource>,
    by_transport: BTreeMap<TransportId, String>,
    /// The viewer of each consumer.
    by_consumer: BTreeMap<ConsumerId, TransportId>,
    /// The viewers of each room.
    viewers: BTreeMap<RouterId, BTreeSet<TransportId>>,
}

#[derive(Debug)]
struct Resource {
    face: Face,
    room_id: String,
    peer_id: String,
    session: Session,
    /// Of a viewer; once there are none left, the resource goes.
    consumers: BTreeSet<ConsumerId>,
}

/// The answer to any `OPTIONS` request: what scripts of other origins may do.
pub(super) fn preflight() -> HttpResponse {
    HttpResponse::empty(204)
        .with("access-control-allow-methods", "GET, POST, PATCH, DELETE, OPTIONS")
        .with("access-control-allow-headers", "Authorization, Content-Type, If-Match, If-None-Match")
        .with("access-control-max-age", "86400")
        .with("accept-post", SDP)
        .with("accept-patch", SDP_FRAGMENT)
}

impl Resources {
    pub(super) fn new(rng: Rng) -> Self {
        Resources {
            rng,
            by_token: BTreeMap::new(),
            by_transport: BTreeMap::new(),
            by_consumer: BTreeMap::new(),
            viewers: BTreeMap::new(),
        }
    }

    /// Answers a request for `path` below the face. `OPTIONS` has been answered before.
    pub(super) fn respond(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HttpRequest<'_>,
        face: Face,
        path: &[&str],
    ) -> HttpResponse {
        match (path, request.method) {
            ([room_id, peer_id], "POST") => self.post(turn, request, face, (room_id, peer_id)),
            ([_, _], _) => HttpResponse::method_not_allowed("OPTIONS, POST"),
            ([_, _, _], "DELETE" | "PATCH") => match self.find(face, path) {
                Some(token) if request.method == "DELETE" => self.delete(turn, &token),
                Some(token) => self.patch(turn, request, &token),
                None => HttpResponse::not_found("resource not found"),
            },
            ([_, _, _], _) => HttpResponse::method_not_allowed("DELETE, OPTIONS, PATCH"),
            _ => HttpResponse::not_found("the path must be /{whip or whep}/{room}/{peer}"),
        }
    }

    /// Takes note of what the media machine reports: resources whose transport is gone, viewers with nothing left to view.
    pub(super) fn handle_event(&mut self, sfu: &mut Sfu, now: Instant, event: &Event) {
        match event {
            Event::TransportClosed { transport_id, .. } => self.forget(*transport_id),
            Event::ConsumerClosed { consumer_id, .. } => {
                let Some(transport) = self.by_consumer.remove(consumer_id) else { return };
                let token = self.by_transport.get(&transport);
                let Some(resource) = token.and_then(|token| self.by_token.get_mut(token)) else { return };
                resource.consumers.remove(consumer_id);
                if resource.consumers.is_empty() {
                    self.close(sfu, now, transport);
                }
            }
            Event::RouterClosed { router_id, .. } => self.close_router(sfu, now, *router_id),
            _ => {}
        }
    }

    /// Closes the resources of a room that goes.
    pub(super) fn close_router(&mut self, sfu: &mut Sfu, now: Instant, router: RouterId) {
        let of_router = self.by_transport.keys().filter(|transport| transport.router() == router);
        for transport in of_router.copied().collect::<Vec<_>>() {
            self.close(sfu, now, transport);
        }
    }

    /// How many publishers and viewers there are.
    pub(super) fn count(&self) -> (u64, u64) {
        let viewers: u64 = self.viewers.values().map(|viewers| viewers.len() as u64).sum();
        (self.by_token.len() as u64 - viewers, viewers)
    }

    fn post(
        &mut self,
        turn: &mut Turn<'_>,
        request: &HttpRequest<'_>,
        face: Face,
        names: (&str, &str),
    ) -> HttpResponse {
        let offer = match body(request, SDP) {
            Ok(offer) => offer,
            Err(response) => return response,
        };
        let result = match face {
            Face::Whip => self.publish(turn, names, offer),
            Face::Whep => self.watch(turn, names, offer),
        };
        result.unwrap_or_else(|refusal| HttpResponse::error(refusal.code, &refusal.reason))
    }

    fn publish(
        &mut self,
        turn: &mut Turn<'_>,
        (room_id, peer_id): (&str, &str),
        offer: &str,
    ) -> Result<HttpResponse, Refusal> {
        let router = turn.rooms.enter_publisher(turn.sfu, turn.now, room_id, peer_id)?;
        let published = webrtc::publish(turn.sfu, turn.now, router, offer).map_err(|error| {
            turn.rooms.abandon(room_id, peer_id);
            refusal(error)
        })?;
        if let Some(older) = turn.rooms.publishing_transport(room_id, peer_id) {
            self.forget(older);
        }
        let names = (room_id, peer_id);
        turn.rooms.publish(turn.sfu, turn.now, names, published.transport, &published.producers);
        let resource = Resource::new(Face::Whip, names, published.session);
        let response = self.add(resource, published.answer);
        Ok(response.with("x-sansfu-producers", producer_list(&published.producers)))
    }

    fn watch(
        &mut self,
        turn: &mut Turn<'_>,
        (room_id, peer_id): (&str, &str),
        offer: &str,
    ) -> Result<HttpResponse, Refusal> {
        let producers = turn.rooms.watchable(room_id, peer_id).filter(|producers| !producers.is_empty());
        let (Some(producers), Some(router)) = (producers, turn.rooms.router(room_id)) else {
            return Err(Refusal {
                code: 404,
                reason: "the peer is not in the room, or publishes nothing".to_owned(),
            });
        };
        let limit = turn.limits.max_viewers_per_room;
        if self.viewers.get(&router).is_some_and(|viewers| viewers.len() >= limit) {
            return Err(Refusal::limit("viewers per room", limit));
        }
        let watched = webrtc::watch(turn.sfu, turn.now, router, offer, &producers).map_err(refusal)?;
        let mut resource = Resource::new(Face::Whep, (room_id, peer_id), watched.session);
        resource.consumers.extend(&watched.consumers);
        self.by_consumer.extend(watched.consumers.iter().map(|consumer| (*consumer, watched.transport)));
        self.viewers.entry(router).or_default().insert(watched.transport);
        Ok(self.add(resource, watched.answer))
    }

    fn delete(&mut self, turn: &mut Turn<'_>, token: &str) -> HttpResponse {
        if let Some(resource) = self.by_token.get(token) {
            self.end(turn, resource.session.transport());
        }
        HttpResponse::empty(200)
    }

    /// RFC 9725 section 4.3: `If-Match` has to be there; it names the ICE session that is meant, or is `*` for a restart.
    fn patch(&mut self, turn: &mut Turn<'_>, request: &HttpRequest<'_>, token: &str) -> HttpResponse {
        let fragment = match body(request, SDP_FRAGMENT) {
            Ok(fragment) => fragment,
            Err(response) => return response,
        };
        let Some(resource) = self.by_token.get_mut(token) else {
            return HttpResponse::not_found("resource not found");
        };
        match request.if_match {
            None => {
                return HttpResponse::error(
                    428,
                    "If-Match expected: the ETag of the resource, or * for an ICE restart",
                );
            }
            Some(tags) if !matches(tags, resource.session.etag()) => {
                return HttpResponse::error(412, "If-Match is not the ETag of the resource");
            }
            Some(_) => {}
        }
        match webrtc::patch(turn.sfu, turn.now, &mut resource.session, fragment) {
            Ok(Patched::NoContent) => HttpResponse::empty(204),
            Ok(Patched::Restarted { fragment, etag }) => {
                HttpResponse::new(200, SDP_FRAGMENT, fragment).with("etag", etag)
            }
            Err(error) => HttpResponse::error(error.status, &error.message),
        }
    }

    /// Puts a resource into the tables and tells its client.
    fn add(&mut self, resource: Resource, answer: String) -> HttpResponse {
        let token = self.rng.alphanumeric(TOKEN_CHARS);
        let (room, peer) = (percent_encode(&resource.room_id), percent_encode(&resource.peer_id));
        let response = HttpResponse::new(201, SDP, answer)
            .with("location", format!("/{}/{room}/{peer}/{token}", resource.face.path()))
            .with("etag", resource.session.etag())
            .with("accept-patch", SDP_FRAGMENT);
        self.by_transport.insert(resource.session.transport(), token.clone());
        self.by_token.insert(token, resource);
        response
    }

    /// Closes the transport of a resource and forgets it.
    fn end(&mut self, turn: &mut Turn<'_>, transport: TransportId) {
        let token = self.by_transport.get(&transport);
        match token.and_then(|token| self.by_token.get(token)).map(|resource| resource.face) {
            Some(Face::Whip) => {
                self.forget(transport);
                turn.rooms.unpublish(turn.sfu, turn.now, transport);
            }
            Some(Face::Whep) => self.close(turn.sfu, turn.now, transport),
            None => {}
        }
    }

    /// Closes the transport of a viewer and forgets it.
    fn close(&mut self, sfu: &mut Sfu, now: Instant, transport: TransportId) {
        self.forget(transport);
        // It may have closed by itself a moment ago.
        let _ = sfu.close_transport(now, transport);
    }

    /// Takes a resource whose transport is gone out of the tables.
    pub(super) fn forget(&mut self, transport: TransportId) {
        let token = self.by_transport.remove(&transport);
        let Some(resource) = token.and_then(|token| self.by_token.remove(&token)) else { return };
        for consumer in &resource.consumers {
            self.by_consumer.remove(consumer);
        }
        if let Some(viewers) = self.viewers.get_mut(&transport.router()) {
            viewers.remove(&transport);
            if viewers.is_empty() {
                self.viewers.remove(&transport.router());
            }
        }
    }

    fn find(&self, face: Face, path: &[&str]) -> Option<String> {
        let [room_id, peer_id, token] = path else { return None };
        let resource = self.by_token.get(*token)?;
        let same = resource.face == face && resource.room_id == *room_id && resource.peer_id == *peer_id;
        same.then(|| (*token).to_owned())
    }
}

impl Resource {
    fn new(face: Face, (room_id, peer_id): (&str, &str), session: Session) -> Self {
        Resource {
            face,
            room_id: room_id.to_owned(),
            peer_id: peer_id.to_owned(),
            session,
            consumers: BTreeSet::new(),
        }
    }
}

/// The body as text, if it is of that type.
fn body<'a>(request: &HttpRequest<'a>, content_type: &str) -> Result<&'a str, HttpResponse> {
    let given = request.content_type.and_then(|given| given.split(';').next()).unwrap_or_default();
    if !given.trim().eq_ignore_ascii_case(content_type) {
        return Err(HttpResponse::error(415, &format!("Content-Type {content_type} expected")));
    }
    std::str::from_utf8(request.body).map_err(|_| HttpResponse::error(400, "the body is not UTF-8"))
}

/// Strong comparison of entity tags (RFC 9110 section 13.1.1).
fn matches(if_match: &str, etag: &str) -> bool {
    if_match.trim() == "*" || if_match.split(',').any(|tag| tag.trim() == etag)
}

fn producer_list(producers: &[(MediaKind, ProducerId)]) -> String {
    let name = |kind: &MediaKind| match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    };
    let items: Vec<String> = producers.iter().map(|(kind, id)| format!("{}={id}", name(kind))).collect();
    items.join(",")
}

fn refusal(error: WebRtcError) -> Refusal {
    Refusal { code: error.status, reason: error.message }
}
