//! What an operator or an application closes: a peer, a room.
use std::time::Instant;

use serde_json::{Value, json};

use super::desk::Turn;
use super::mediasoup::MediasoupError;
use super::members::Room;
use super::{Refusal, Rooms, SessionId, close_code};
use crate::sfu::Sfu;

impl Rooms {
    /// Throws a peer out, whatever holds it: a member is told `closed`, and the WebSocket of the peer is closed.
    ///
    /// Errors: there is no such room or peer.
    pub fn close_peer(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        room_id: &str,
        peer_id: &str,
    ) -> Result<(), Refusal> {
        let room = self.rooms.get_mut(room_id).ok_or_else(|| Refusal::not_found("room"))?;
        if !room.peers.contains_key(peer_id) {
            return Err(Refusal::not_found("peer"));
        }
        let left = room.expel(&mut Turn { sfu: &mut *sfu, desk: &mut self.desk, now }, peer_id);
        if let Some(session) = left {
            self.close_session(sfu, now, session, close_code::KICKED, "the operator has closed the peer");
        }
        self.desk.stats.kicked_peers += 1;
        self.note_if_idle(room_id);
        Ok(())
    }

    /// Closes a room with all that is in it: members are told `closed`, and sessions by the server's own WebSockets are closed.
    ///
    /// Errors: there is no such room.
    pub fn close_room(&mut self, sfu: &mut Sfu, now: Instant, room_id: &str) -> Result<(), MediasoupError> {
        let room = self.rooms.get_mut(room_id).ok_or_else(|| MediasoupError::not_found("Room"))?;
        // Nobody needs to hear who else goes.
        for peer in room.peers.values_mut() {
            peer.announced = false;
        }
        let names: Vec<String> = room.peers.keys().cloned().collect();
        let mut turn = Turn { sfu: &mut *sfu, desk: &mut self.desk, now };
        let left: Vec<SessionId> = names.iter().filter_map(|name| room.expel(&mut turn, name)).collect();
        for session in left {
            self.close_session(sfu, now, session, close_code::ROOM_CLOSED, "the room was closed");
        }
        self.note_if_idle(room_id);
        Ok(())
    }
}

impl Room {
    /// Closes the membership of a peer and what it publishes by WHIP. Returns its session if that is left and the caller's to
    /// close: the end of it takes the rest along.
    fn expel(&mut self, turn: &mut Turn<'_>, peer_id: &str) -> Option<SessionId> {
        if self.peers.get(peer_id).is_some_and(|peer| peer.member.is_some()) {
            self.kick(turn, peer_id, &Value::Null);
        }
        if let Some(published) = self.peers.get(peer_id).and_then(|peer| peer.whip) {
            self.close_transport(turn, published);
            self.remove_unless_held(turn.desk, peer_id);
        }
        self.peers.get(peer_id).and_then(|peer| peer.session)
    }

    /// Closes a member as the server wants it: the client is told first.
    pub(super) fn kick(&mut self, turn: &mut Turn<'_>, peer: &str, app_data: &Value) {
        if let Some(session) = self.session(peer) {
            turn.desk.notify_member(session, "closed", json!({ "appData": app_data }));
        }
        self.close_member(turn, peer, app_data);
    }
}
