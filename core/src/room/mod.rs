//! Rooms and peers, and the room protocol of the mediasoup demo application over protoo.
//!
//! A room is a router with peers. It is made when the first peer comes and goes with the last. A peer is there by a protoo
//! session (a WebSocket), by a WHIP resource, or by both at once under the same id. Clients of version 2 speak another dialect
//! with the same rooms, see [`mediasoup`].
//!
//! Two kinds of sessions are served alike. One that joins with `rtpCapabilities` is a mediasoup client: it is offered a
//! consumer for everything that the others produce (`newConsumer`). One that joins without them gets no consumers, but is
//! told what there is to be watched by WHEP: `producerAdded`, `producerRemoved`, `producerPaused`, `producerResumed`, and
//! the `producers` of each peer in the response of `join`.
//!
//! Invariant: every request of a session gets exactly one response, and the messages to a session are in order.
//!
//! Invariant: a request that is refused has changed nothing.
mod answer;
mod audio;
pub mod close_code;
mod closing;
mod command;
mod desk;
mod events;
mod fields;
mod ids;
mod limits;
mod mailbox;
mod media;
pub mod mediasoup;
mod members;
mod peer;
pub mod protoo;
mod publisher;
mod refusal;
mod stats;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};

pub(crate) use ids::ID_RULE;
pub use ids::{MAX_ID_CHARS, is_valid_id};
pub use limits::Limits;
pub use mailbox::Post;
pub use refusal::Refusal;
pub use stats::RoomsStats;

use crate::event::Event;
use crate::id::RouterId;
use crate::model::RouterOptions;
use crate::ortc::RtpCodecCapability;
use crate::rng::Rng;
use crate::sfu::Sfu;
use audio::AudioWatch;
use command::Command;
use desk::{Carrier, Desk, Turn};
use members::Room;
use peer::Peer;
use protoo::Frame;

/// The text of `mediasoup-version`, the first thing that a session is told. The demo only shows it.
pub const VERSION: &str = concat!("sansfu ", env!("CARGO_PKG_VERSION"));

/// Names a session: one WebSocket connection with sub-protocol `protoo`. Chosen by the runtime, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// All rooms of a media machine, with their sessions.
///
/// Every event of the machine has to be shown to [`Rooms::handle_event`], and after each step [`Rooms::tidy`] be called until
/// nothing more follows: it closes the sessions that do not read and finds the rooms that are empty.
#[derive(Debug)]
pub struct Rooms {
    media_codecs: Vec<RtpCodecCapability>,
    rooms: BTreeMap<String, Room>,
    routers: BTreeMap<RouterId, String>,
    idle: BTreeSet<String>,
    desk: Desk,
    audio: AudioWatch,
    rng: Rng,
}

impl Rooms {
    /// No rooms. Each one will have these codecs, and what is random in them is drawn from `rng`.
    pub fn new(media_codecs: Vec<RtpCodecCapability>, limits: Limits, rng: Rng) -> Self {
        Rooms {
            media_codecs,
            rooms: BTreeMap::new(),
            routers: BTreeMap::new(),
            idle: BTreeSet::new(),
            desk: Desk::new(limits),
            audio: AudioWatch::default(),
            rng,
        }
    }

    /// A WebSocket was opened. A session that the same peer had is closed: the newer one wins. A session id that is in use is
    /// ignored.
    pub fn opened(&mut self, sfu: &mut Sfu, now: Instant, session: SessionId, room_id: &str, peer_id: &str) {
        if self.desk.session(session).is_some() {
            return;
        }
        let current = self.rooms.get(room_id).and_then(|room| room.peers.get(peer_id)?.session);
        if let Some(older) = current {
            self.desk.stats.closed_replaced += 1;
            let reason = "another session of the same peer has come";
            self.close_session(sfu, now, older, close_code::REPLACED, reason);
        }
        match self.enter(sfu, now, room_id, peer_id) {
            Ok(room) => {
                if let Some(peer) = room.peers.get_mut(peer_id) {
                    peer.session = Some(session);
                }
                self.desk.open(session, room_id, peer_id, Carrier::Protoo);
                self.desk.notify(session, "mediasoup-version", &json!({ "version": VERSION }));
            }
            Err(refusal) => {
                let code =
                    if refusal.code == 400 { close_code::MALFORMED } else { close_code::LIMIT_REACHED };
                self.desk.mailbox.close(session, code, &refusal.reason);
            }
        }
    }

    /// A text frame came.
    pub fn message(&mut self, sfu: &mut Sfu, now: Instant, session: SessionId, text: &str) {
        // It may have been on its way when the session was closed.
        let Some(state) = self.desk.session(session) else { return };
        let (room_id, peer_id) = (state.room_id.clone(), state.peer_id.clone());
        self.desk.stats.messages_received += 1;
        let frame = match protoo::parse(text, self.desk.limits.max_message_bytes) {
            Ok(Frame::Request { id, method, data }) if method == mediasoup::REQUEST => {
                return self.carried_request(sfu, now, session, id, &Value::Object(data));
            }
            Ok(Frame::Notification { method, data }) if method == mediasoup::NOTIFICATION => {
                return self.carried_notification(sfu, now, session, &Value::Object(data));
            }
            frame => frame,
        };
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        let mut turn = Turn { sfu, desk: &mut self.desk, now };
        match frame {
            Ok(Frame::Request { id, method, data }) => {
                let command = Command::parse(&method, &data, &turn.desk.limits);
                room.answer(&mut turn, session, &peer_id, id, command);
            }
            Ok(Frame::Response { id, result }) => {
                if let Some(consumer) = turn.desk.take_in_flight(session, id) {
                    room.settle_offer(&mut turn, &peer_id, consumer, result.is_ok());
                }
            }
            // The demo's protocol has none in this direction.
            Ok(Frame::Notification { .. }) => {}
            Err(malformed) => {
                if let Some(id) = malformed.id {
                    let refusal = Refusal::invalid(malformed.reason.to_string());
                    turn.desk.answer(session, id, Err::<&Value, _>(&refusal));
                }
                if turn.desk.count_malformed(session) {
                    turn.desk.stats.closed_malformed += 1;
                    let reason = "too many malformed messages";
                    self.close_session(sfu, now, session, close_code::MALFORMED, reason);
                }
            }
        }
    }

    /// A WebSocket was closed by the client or broke.
    pub fn closed(&mut self, sfu: &mut Sfu, now: Instant, session: SessionId) {
        let Some(state) = self.desk.remove(session) else { return };
        if let Some(room) = self.rooms.get_mut(&state.room_id) {
            let mut turn = Turn { sfu, desk: &mut self.desk, now };
            room.end_session(&mut turn, &state.peer_id);
            self.note_if_idle(&state.room_id);
        }
    }

    /// Fires the timers that are due: offers of consumers that were not answered, statistics.
    pub fn fire_due(&mut self, sfu: &mut Sfu, now: Instant) {
        self.send_reports(sfu, now);
        self.report_audio(sfu, now);
        while let Some((session, consumer)) = self.desk.pop_due(now) {
            self.desk.stats.client_requests_timed_out += 1;
            let Some(state) = self.desk.session(session) else { continue };
            let (room_id, peer_id) = (state.room_id.clone(), state.peer_id.clone());
            let Some(room) = self.rooms.get_mut(&room_id) else { continue };
            let mut turn = Turn { sfu: &mut *sfu, desk: &mut self.desk, now };
            if room.consumers.contains_key(&consumer) {
                turn.desk.notify(session, "consumerClosed", &json!({ "consumerId": consumer }));
            }
            room.settle_offer(&mut turn, &peer_id, consumer, false);
        }
    }

    /// Takes note of what the media machine reports.
    pub fn handle_event(&mut self, sfu: &mut Sfu, now: Instant, event: &Event) {
        let Some(room_id) = self.routers.get(&events::router_of(event)).cloned() else { return };
        if matches!(event, Event::RouterClosed { .. }) {
            return self.room_failed(&room_id);
        }
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        let mut turn = Turn { sfu: &mut *sfu, desk: &mut self.desk, now };
        if let Some(session) = room.handle_event(&mut turn, event) {
            self.desk.stats.closed_media_lost += 1;
            self.close_session(sfu, now, session, close_code::MEDIA_LOST, "the media connection was lost");
        }
        self.note_if_idle(&room_id);
    }

    /// Closes the sessions for which too much is queued. Whether there were any: then events follow.
    pub fn tidy(&mut self, sfu: &mut Sfu, now: Instant) -> bool {
        let mut any = false;
        while let Some(session) = self.desk.mailbox.pop_overflowed() {
            any = true;
            self.desk.stats.closed_queue_full += 1;
            let reason = "too many messages are waiting to be read";
            self.close_session(sfu, now, session, close_code::QUEUE_FULL, reason);
        }
        any
    }

    /// Takes a room that has become empty out of the table. Its router is the caller's to close.
    pub fn pop_empty(&mut self) -> Option<RouterId> {
        while let Some(room_id) = self.idle.pop_first() {
            if self.rooms.get(&room_id).is_some_and(|room| room.peers.is_empty())
                && let Some(room) = self.rooms.remove(&room_id)
            {
                self.routers.remove(&room.router);
                self.forget_audio(&room_id);
                return Some(room.router);
            }
        }
        None
    }

    /// Takes out the next message to a session.
    pub fn pop_post(&mut self) -> Option<Post> {
        self.desk.mailbox.pop()
    }

    /// When [`Self::fire_due`] is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.desk.next_deadline(), self.audio.next_deadline()].into_iter().flatten().min()
    }

    /// The router of a room, if the room is there.
    pub fn router(&self, room_id: &str) -> Option<RouterId> {
        self.rooms.get(room_id).map(|room| room.router)
    }

    /// Counters.
    pub fn stats(&self) -> RoomsStats {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        RoomsStats {
            rooms: count(self.rooms.len()),
            peers: self.rooms.values().map(|room| count(room.peers.len())).sum(),
            sessions: count(self.desk.len()),
            messages_sent: self.desk.mailbox.sent(),
            ..self.desk.stats.clone()
        }
    }

    #[cfg(test)]
    pub(crate) fn consumers_of(&self, room_id: &str, peer_id: &str) -> Vec<crate::id::ConsumerId> {
        let peer = self.rooms.get(room_id).and_then(|room| room.peers.get(peer_id));
        peer.map(|peer| peer.consumers.keys().copied().collect()).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn transports_of(&self, room_id: &str, peer_id: &str) -> Vec<crate::id::TransportId> {
        let peer = self.rooms.get(room_id).and_then(|room| room.peers.get(peer_id));
        peer.map(|peer| peer.transports.keys().copied().collect()).unwrap_or_default()
    }

    /// Finds or makes a room and in it a peer.
    fn enter(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        room_id: &str,
        peer_id: &str,
    ) -> Result<&mut Room, Refusal> {
        for (what, id) in [("roomId", room_id), ("peerId", peer_id)] {
            if !is_valid_id(id) {
                return Err(Refusal::invalid(format!("{what} {ID_RULE}")));
            }
        }
        let limits = &self.desk.limits;
        let refused = match self.rooms.get(room_id) {
            None if self.rooms.len() >= limits.max_rooms => Some(Refusal::limit("rooms", limits.max_rooms)),
            Some(room)
                if !room.peers.contains_key(peer_id) && room.peers.len() >= limits.max_peers_per_room =>
            {
                Some(Refusal::limit("peers per room", limits.max_peers_per_room))
            }
            _ => None,
        };
        if let Some(refusal) = refused {
            self.desk.stats.refused_limit += 1;
            return Err(refusal);
        }
        if !self.rooms.contains_key(room_id) {
            let options = RouterOptions { media_codecs: self.media_codecs.clone(), app_data: Value::Null };
            let router = sfu.create_router(now, options)?;
            self.routers.insert(router, room_id.to_owned());
            self.rooms.insert(room_id.to_owned(), Room::new(router, self.rng.fork()));
        }
        let room = self.rooms.get_mut(room_id).ok_or_else(|| Refusal::not_found("room"))?;
        room.peers.entry(peer_id.to_owned()).or_insert_with(Peer::default);
        Ok(room)
    }

    fn close_session(&mut self, sfu: &mut Sfu, now: Instant, session: SessionId, code: u16, reason: &str) {
        self.closed(sfu, now, session);
        self.desk.mailbox.close(session, code, reason);
    }

    /// A fault has closed the router of a room: nothing is left to be closed but the sessions.
    fn room_failed(&mut self, room_id: &str) {
        let Some(room) = self.rooms.remove(room_id) else { return };
        self.routers.remove(&room.router);
        self.forget_audio(room_id);
        for session in room.peers.values().filter_map(|peer| peer.session) {
            self.desk.remove(session);
            self.desk.mailbox.close(
                session,
                close_code::INTERNAL_ERROR,
                "a fault of the server has closed the room",
            );
        }
    }

    fn note_if_idle(&mut self, room_id: &str) {
        if self.rooms.get(room_id).is_some_and(|room| room.peers.is_empty()) {
            self.idle.insert(room_id.to_owned());
        }
    }
}
