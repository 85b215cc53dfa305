//! The mediasoup protocol, by which clients of version 2 (`mediasoup-client` 2) talk with a room.
//!
//! It is a dialect of JSON messages and says nothing of how they travel. There are two ways:
//!
//! * **In protoo**: a client sends each request as a protoo request `mediasoup-request` whose `data` is the message, and each
//!   notification as `mediasoup-notification`; the server notifies it by `mediasoup-notification`. A request that is refused has
//!   the error as `errorReason`: name, colon, text.
//! * **By the application**: it opens a session by [`Rooms::attach`], passes what the client sends to
//!   [`Rooms::receive_request`] and [`Rooms::receive_notification`], and carries each [`Post::Message`](super::Post) of that
//!   session, which is a bare notification, to the client. What follows from a request (`newConsumer` and the like) is queued as
//!   posts: an answer has to be carried before them.
//!
//! What a server application of version 2 does to the objects of a peer is an [`Action`].
//!
//! Peers of both generations are members of the same [`Room`](super::members::Room), with the same producers. A version-2 peer
//! is told of a version-3 one as a peer with the `appData` `{displayName, device}`, and the other way round it has the display name
//! and the device of its `appData`, if they are there.
//!
//! Invariant: a consumer of version 2 is there as long as its source, with the same SSRCs whichever transport it is enabled on.
mod action;
mod error;
mod member;
mod message;
mod notices;
mod path;
mod profile;
mod reports;
mod requests;
mod rtp;
mod sinks;
mod stats;

use std::time::Instant;

use serde_json::Value;

pub use action::Action;
pub use error::{ErrorName, MediasoupError};
pub(super) use member::Member;
pub(super) use message::{Reported, notification};
pub use profile::Profile;
pub(super) use reports::Reports;

use super::desk::{Carrier, Turn};
use super::members::Room;
use super::peer::Peer;
use super::{Rooms, SessionId};
use crate::ortc::{RtpCapabilities, generate_router_rtp_capabilities};
use crate::sfu::Sfu;
use message::{Join, Notification, Request};
use requests::Afterwards;

/// The protoo method that carries a request.
pub const REQUEST: &str = "mediasoup-request";

/// The protoo method that carries a notification, in either direction.
pub const NOTIFICATION: &str = "mediasoup-notification";

type Executed = Result<(Value, Option<Afterwards>), MediasoupError>;

impl Rooms {
    /// Opens a session whose messages the application carries itself. It is nobody in the room until it has joined; end it by
    /// [`Rooms::closed`]. A session id that is in use is ignored.
    pub fn attach(&mut self, session: SessionId, room_id: &str) {
        if self.desk.session(session).is_none() {
            self.desk.open(session, room_id, "", Carrier::Application);
        }
    }

    /// A client's request; the answer is `null` where the protocol has none to give.
    pub fn receive_request(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        session: SessionId,
        request: &Value,
    ) -> Result<Value, MediasoupError> {
        let (answer, afterwards) = self.execute_request(sfu, now, session, request)?;
        self.follow(sfu, now, session, afterwards);
        Ok(answer)
    }

    /// A client's notification. Errors are for the application's log: clients are not told.
    pub fn receive_notification(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        session: SessionId,
        notification: &Value,
    ) -> Result<(), MediasoupError> {
        let notification = Notification::parse(notification, &self.desk.limits)?;
        let (room_id, peer_id) = self.place_of(session)?;
        let room = self.rooms.get_mut(&room_id).ok_or_else(|| MediasoupError::state("Room closed"))?;
        let mut turn = Turn { sfu, desk: &mut self.desk, now };
        let outcome = room.take_notice(&mut turn, session, &peer_id, notification);
        self.note_if_idle(&room_id);
        outcome
    }

    /// Does to a peer's objects what a server application of version 2 could do.
    ///
    /// Errors: there is no such room, peer or object, or it cannot do that.
    pub fn act(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        room_id: &str,
        peer_name: &str,
        action: Action,
    ) -> Result<(), MediasoupError> {
        let room = self.rooms.get_mut(room_id).ok_or_else(|| MediasoupError::not_found("Room"))?;
        let mut turn = Turn { sfu, desk: &mut self.desk, now };
        let outcome = room.act(&mut turn, peer_name, action);
        self.note_if_idle(room_id);
        outcome
    }

    /// A request that came in protoo.
    pub(super) fn carried_request(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        session: SessionId,
        id: u64,
        request: &Value,
    ) {
        match self.execute_request(sfu, now, session, request) {
            Ok((answer, afterwards)) => {
                // protoo has nothing for `undefined`.
                let data = if answer.is_null() { Value::Object(serde_json::Map::new()) } else { answer };
                self.desk.answer(session, id, Ok(&data));
                self.follow(sfu, now, session, afterwards);
            }
            Err(error) => self.desk.answer(session, id, Err::<&Value, _>(&error.into())),
        }
    }

    /// A notification that came in protoo.
    pub(super) fn carried_notification(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        session: SessionId,
        notification: &Value,
    ) {
        if self.receive_notification(sfu, now, session, notification).is_err() {
            self.desk.stats.refused_notifications += 1;
        }
    }

    /// Sends the statistics that clients have asked for and that are due.
    pub(super) fn send_reports(&mut self, sfu: &mut Sfu, now: Instant) {
        while let Some((session, of)) = self.desk.reports.pop_due(now) {
            let Ok((room_id, peer_id)) = self.place_of(session) else { continue };
            let Some(room) = self.rooms.get_mut(&room_id) else { continue };
            room.report(&mut Turn { sfu: &mut *sfu, desk: &mut self.desk, now }, session, &peer_id, of);
        }
    }

    fn execute_request(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        session: SessionId,
        request: &Value,
    ) -> Executed {
        let request = Request::parse(request, &self.desk.limits)?;
        let (room_id, peer_id) = self.place_of(session)?;
        match request {
            Request::QueryRoom => {
                let capabilities = self.capabilities(sfu, &room_id)?;
                Ok((requests::room_settings(&capabilities), None))
            }
            Request::Join(join) => self.join_member(sfu, now, session, *join),
            request => {
                let room =
                    self.rooms.get_mut(&room_id).ok_or_else(|| MediasoupError::state("Room closed"))?;
                let mut turn = Turn { sfu, desk: &mut self.desk, now };
                room.execute_request(&mut turn, &peer_id, request)
            }
        }
    }

    fn follow(&mut self, sfu: &mut Sfu, now: Instant, session: SessionId, afterwards: Option<Afterwards>) {
        let (Some(afterwards), Ok((room_id, peer_id))) = (afterwards, self.place_of(session)) else { return };
        if let Some(room) = self.rooms.get_mut(&room_id) {
            room.follow_request(&mut Turn { sfu, desk: &mut self.desk, now }, session, &peer_id, afterwards);
        }
    }

    fn join_member(&mut self, sfu: &mut Sfu, now: Instant, session: SessionId, join: Join) -> Executed {
        let (room_id, own_id) = self.place_of(session)?;
        let taken = |name: &str| self.rooms.get(&room_id).and_then(|room| room.peers.get(name));
        if let Some(own) = taken(&own_id) {
            if own.joined {
                return Err(MediasoupError::state("the peer has joined already"));
            }
            if !own.transports.is_empty() {
                return Err(MediasoupError::state("the session speaks another protocol already"));
            }
        }
        if join.peer_name != own_id && taken(&join.peer_name).is_some() {
            return Err(MediasoupError::other(format!("duplicated Peer [peerName:\"{}\"]", join.peer_name)));
        }
        let router = self.capabilities(sfu, &room_id)?;
        let capabilities = rtp::client_capabilities(&join.rtp_capabilities, &router)?;
        let name = join.peer_name.clone();
        self.take_seat(sfu, now, session, (&room_id, &own_id, &name))?;
        let room = self.rooms.get_mut(&room_id).ok_or_else(|| MediasoupError::state("Room closed"))?;
        let mut turn = Turn { sfu, desk: &mut self.desk, now };
        Ok((room.join_member(&mut turn, session, join, capabilities), Some(Afterwards::Joined)))
    }

    /// Gives a session the peer of that name, which is its own one or does not exist.
    fn take_seat(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        session: SessionId,
        (room_id, own_id, name): (&str, &str, &str),
    ) -> Result<(), MediasoupError> {
        if own_id == name {
            return Ok(());
        }
        let room = self.rooms.get_mut(room_id);
        let own = room.filter(|room| room.peers.get(own_id).is_some_and(|peer| peer.whip.is_none()));
        if let Some(room) = own {
            // The seat that its WebSocket was opened with, and nothing else: it is just called otherwise.
            let seat = room.peers.remove(own_id).unwrap_or_else(Peer::default);
            room.peers.insert(name.to_owned(), seat);
        } else {
            self.enter(sfu, now, room_id, name)?;
            let room = self.rooms.get_mut(room_id);
            if let Some(left) = room.and_then(|room| room.peers.get_mut(own_id)) {
                left.session = None;
            }
        }
        self.desk.rename_peer(session, name);
        Ok(())
    }

    /// The room and the peer of a session; the peer's name is empty while it is nobody.
    fn place_of(&self, session: SessionId) -> Result<(String, String), MediasoupError> {
        let state = self.desk.session(session).ok_or_else(|| MediasoupError::state("Peer closed"))?;
        Ok((state.room_id.clone(), state.peer_id.clone()))
    }

    /// What a room can do; a room that is not there yet can do the same.
    fn capabilities(&self, sfu: &Sfu, room_id: &str) -> Result<RtpCapabilities, MediasoupError> {
        let router = self.rooms.get(room_id).map(|room| room.router);
        match router {
            Some(router) => Ok(sfu.router_rtp_capabilities(router)?.clone()),
            None => generate_router_rtp_capabilities(&self.media_codecs)
                .map_err(|error| MediasoupError::other(error.to_string())),
        }
    }
}

impl Room {
    /// The session and the member of a peer of version 2.
    fn member_mut(&mut self, peer_id: &str) -> Result<&mut Member, MediasoupError> {
        let member = self.peers.get_mut(peer_id).and_then(|peer| peer.member.as_deref_mut());
        member.ok_or_else(|| MediasoupError::state("the peer has not joined"))
    }
}
