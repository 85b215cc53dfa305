//! The side of the rooms that WHIP and WHEP see: peers that publish by a transport of their own, and who can be watched.
use std::time::Instant;

use serde_json::{Map, Value};

use super::Rooms;
use super::desk::Turn;
use super::peer::OwnProducer;
use super::refusal::Refusal;
use crate::id::{ProducerId, RouterId, TransportId};
use crate::ortc::MediaKind;
use crate::sfu::Sfu;

impl Rooms {
    /// Finds or makes a room and in it the peer that wants to publish. [`Self::publish`] or [`Self::abandon`] has to follow.
    ///
    /// Errors: unusable ids, a limit.
    pub fn enter_publisher(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        room_id: &str,
        peer_id: &str,
    ) -> Result<RouterId, Refusal> {
        Ok(self.enter(sfu, now, room_id, peer_id)?.router)
    }

    /// The peer could not publish: if nothing else holds it, it goes.
    pub fn abandon(&mut self, room_id: &str, peer_id: &str) {
        if let Some(room) = self.rooms.get_mut(room_id) {
            room.remove_unless_held(&mut self.desk, peer_id);
            self.note_if_idle(room_id);
        }
    }

    /// The peer publishes by `transport` from now on. What it published by another one before is closed: the newer one wins.
    pub fn publish(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        (room_id, peer_id): (&str, &str),
        transport: TransportId,
        producers: &[(MediaKind, ProducerId)],
    ) {
        let Some(room) = self.rooms.get_mut(room_id) else { return };
        let Some(peer) = room.peers.get_mut(peer_id) else { return };
        let older = peer.whip.replace(transport);
        let mut turn = Turn { sfu, desk: &mut self.desk, now };
        if let Some(older) = older {
            room.close_transport(&mut turn, older);
        }
        room.transports.insert(transport, peer_id.to_owned());
        room.name_publisher(peer_id);
        room.announce(turn.desk, peer_id);
        for (kind, id) in producers {
            let app_data = Value::Object(Map::new());
            let producer = OwnProducer { id: *id, transport, kind: *kind, paused: false, app_data };
            room.add_producer(&mut turn, peer_id, producer);
        }
    }

    /// Closes the transport by which a peer publishes. If nothing else holds the peer, it goes.
    pub fn unpublish(&mut self, sfu: &mut Sfu, now: Instant, transport: TransportId) {
        let Some(room_id) = self.routers.get(&transport.router()).cloned() else { return };
        let Some(room) = self.rooms.get_mut(&room_id) else { return };
        let Some(peer_id) = room.transports.get(&transport).cloned() else { return };
        let mut turn = Turn { sfu, desk: &mut self.desk, now };
        room.close_transport(&mut turn, transport);
        room.remove_unless_held(turn.desk, &peer_id);
        self.note_if_idle(&room_id);
    }

    /// The transport by which a peer publishes.
    pub fn publishing_transport(&self, room_id: &str, peer_id: &str) -> Option<TransportId> {
        self.rooms.get(room_id)?.peers.get(peer_id)?.whip
    }

    /// What a peer produces now, by whatever transport; `None` if it is not in the room.
    pub fn watchable(&self, room_id: &str, peer_id: &str) -> Option<Vec<ProducerId>> {
        let peer = self.rooms.get(room_id)?.peers.get(peer_id)?;
        Some(peer.producers.iter().map(|producer| producer.id).collect())
    }
}
