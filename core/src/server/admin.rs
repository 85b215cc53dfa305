//! What an operator does: `DELETE /rooms/{room}/peers/{peer}` throws a peer out.
//!
//! The resource is there only where [`ServerConfig::admin_token`](super::ServerConfig::admin_token) is set, and only for requests
//! that have that token (RFC 6750 section 2.1).
use std::time::Instant;

use super::http::{HttpRequest, HttpResponse};
use super::{Input, Secret, Server};
use crate::room::Refusal;

/// The authentication scheme (RFC 6750 section 2.1).
const SCHEME: &str = "Bearer";

impl Server {
    /// Throws a peer out of a room: what it produces and consumes is closed, the others are told that it has gone, and its WebSocket
    /// is closed with [`close_code::KICKED`](crate::room::close_code::KICKED), after which protoo clients stay away. A client of
    /// version 2 is told `closed` first; a session whose messages the application carries stays open, and may join anew. What it
    /// published by WHIP is closed too.
    ///
    /// Nothing keeps it from coming again: that is for whoever lets clients in.
    ///
    /// Errors: there is no such room or peer.
    pub fn close_peer(&mut self, now: Instant, room_id: &str, peer_id: &str) -> Result<(), Refusal> {
        self.handle_input(now, Input::Timeout);
        let outcome = self.expel(now, room_id, peer_id);
        self.settle(now);
        outcome
    }

    /// Answers a request for a peer. `OPTIONS` has been answered before.
    pub(super) fn respond_peer(
        &mut self,
        now: Instant,
        request: &HttpRequest<'_>,
        room_id: &str,
        peer_id: &str,
    ) -> HttpResponse {
        let Some(token) = &self.admin_token else {
            return HttpResponse::not_found("there is nothing at this path: the server has no admin token");
        };
        if let Some(refusal) = refuse(token, request.authorization) {
            return refusal;
        }
        if request.method != "DELETE" {
            return HttpResponse::method_not_allowed("DELETE, OPTIONS");
        }
        match self.expel(now, room_id, peer_id) {
            Ok(()) => HttpResponse::empty(204),
            Err(refusal) => HttpResponse::error(refusal.code, &refusal.reason),
        }
    }

    fn expel(&mut self, now: Instant, room_id: &str, peer_id: &str) -> Result<(), Refusal> {
        if let Some(transport) = self.rooms.publishing_transport(room_id, peer_id) {
            self.resources.forget(transport);
        }
        self.rooms.close_peer(&mut self.sfu, now, room_id, peer_id)
    }
}

/// The refusal of a request without the right credentials (RFC 6750 section 3: what is wrong is named only to who has tried).
fn refuse(token: &Secret, authorization: Option<&Secret>) -> Option<HttpResponse> {
    let challenge = |what: &str, why| {
        HttpResponse::error(401, why).with("www-authenticate", format!("{SCHEME} realm=\"sansfu\"{what}"))
    };
    let given = authorization.and_then(|field| {
        let (scheme, token) = field.expose().split_once(' ')?;
        scheme.eq_ignore_ascii_case(SCHEME).then(|| Secret::new(token.trim_matches(' ')))
    });
    match given {
        None => Some(challenge("", "Authorization: Bearer expected")),
        Some(given) if given != *token => {
            Some(challenge(", error=\"invalid_token\"", "this is not the admin token"))
        }
        Some(_) => None,
    }
}
