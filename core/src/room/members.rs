//! A room: its peers, and what they are told of each other.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::SessionId;
use super::command::{Device, Join};
use super::desk::{Desk, Turn};
use super::peer::Peer;
use super::protoo;
use super::refusal::Refusal;
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::rng::Rng;

/// A room.
///
/// Invariant: the tables name exactly the transports, producers and consumers that its peers have.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) router: RouterId,
    pub(super) peers: BTreeMap<String, Peer>,
    /// The peer of each transport; so for the others.
    pub(super) transports: BTreeMap<TransportId, String>,
    pub(super) producers: BTreeMap<ProducerId, String>,
    pub(super) consumers: BTreeMap<ConsumerId, String>,
    /// For the ids and SSRCs that the room chooses itself.
    pub(super) rng: Rng,
}

impl Room {
    pub(super) fn new(router: RouterId, rng: Rng) -> Self {
        Room {
            router,
            peers: BTreeMap::new(),
            transports: BTreeMap::new(),
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            rng,
        }
    }

    /// Makes a session's peer known to the room; what the others know of it already stays as it is.
    /// The response tells who is there.
    pub(super) fn join(&mut self, peer_id: &str, join: Join) -> Result<(Value, Newcomer), Refusal> {
        let watcher = join.rtp_capabilities.is_none();
        let peer = self.peers.get_mut(peer_id).ok_or_else(|| Refusal::not_found("peer"))?;
        if peer.joined {
            return Err(Refusal::state("the peer has joined already"));
        }
        let newcomer = Newcomer {
            old_display_name: peer.display_name.clone(),
            device_changed: peer.device != join.device,
        };
        peer.joined = true;
        peer.display_name = join.display_name;
        peer.device = join.device;
        peer.rtp_capabilities = join.rtp_capabilities;
        let others = self.peers.iter().filter(|(id, other)| *id != peer_id && other.announced);
        let describe = |(id, other): (&String, &Peer)| {
            let mut description = other.description(id);
            if watcher && let Some(object) = description.as_object_mut() {
                object.insert("producers".to_owned(), other.producer_list());
            }
            description
        };
        let peers: Vec<Value> = others.map(describe).collect();
        Ok((json!({ "peers": peers }), newcomer))
    }

    /// Tells the others of a peer that has just joined.
    pub(super) fn welcome(&mut self, desk: &mut Desk, peer_id: &str, newcomer: &Newcomer) {
        let Some(peer) = self.peers.get(peer_id) else { return };
        if !peer.announced {
            return self.announce(desk, peer_id);
        }
        // It is known by its WHIP resource already.
        let (description, name_changed) =
            (peer.description(peer_id), peer.display_name != newcomer.old_display_name);
        if name_changed {
            self.tell_display_name(desk, peer_id, &newcomer.old_display_name);
        }
        if newcomer.device_changed {
            self.tell_watchers(desk, peer_id, "newPeer", &description);
        }
    }

    /// Tells the others of a peer, once.
    pub(super) fn announce(&mut self, desk: &mut Desk, peer_id: &str) {
        let Some(peer) = self.peers.get_mut(peer_id).filter(|peer| !peer.announced) else { return };
        peer.announced = true;
        let (description, introduction) = (peer.description(peer_id), peer.introduce(peer_id));
        self.tell_joined(desk, peer_id, "newPeer", &description);
        self.tell_members(desk, peer_id, "newPeer", &introduction);
    }

    /// Gives a peer that has come by WHIP alone something to be called.
    pub(super) fn name_publisher(&mut self, peer_id: &str) {
        if let Some(peer) = self.peers.get_mut(peer_id).filter(|peer| !peer.announced && !peer.joined) {
            peer.display_name = peer_id.to_owned();
            peer.device = Device::whip();
        }
    }

    pub(super) fn change_display_name(&mut self, desk: &mut Desk, peer_id: &str, name: String) {
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        let old_name = std::mem::replace(&mut peer.display_name, name);
        self.tell_display_name(desk, peer_id, &old_name);
    }

    /// Closes what a peer's session had. The peer stays if a WHIP resource holds it.
    pub(super) fn end_session(&mut self, turn: &mut Turn<'_>, peer_id: &str) {
        // Its consumers' clients hear of the peer, unless it stays.
        self.close_member(turn, peer_id, &Value::Null);
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        peer.leaving = peer.whip.is_none();
        peer.session = None;
        peer.joined = false;
        peer.rtp_capabilities = None;
        peer.settled.clear();
        peer.waiting = false;
        let transports: Vec<TransportId> = peer.transports.keys().copied().collect();
        for transport in transports {
            self.close_transport(turn, transport);
        }
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.leaving = false;
        }
        self.remove_unless_held(turn.desk, peer_id);
    }

    /// Removes a peer that neither a session nor a WHIP resource holds. The others are told when they knew of it and it is
    /// gone, or is held by nothing but a session that has not joined.
    pub(super) fn remove_unless_held(&mut self, desk: &mut Desk, peer_id: &str) {
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        let visible = peer.joined || peer.whip.is_some();
        let lost = !visible && std::mem::take(&mut peer.announced);
        if peer.session.is_none() && peer.whip.is_none() {
            self.peers.remove(peer_id);
        }
        if lost {
            self.tell_peer_closed(desk, peer_id, &Value::Null);
        }
    }

    /// Tells the others that a peer is gone.
    pub(super) fn tell_peer_closed(&self, desk: &mut Desk, peer_id: &str, app_data: &Value) {
        self.tell_joined(desk, peer_id, "peerClosed", &json!({ "peerId": peer_id }));
        let data = json!({ "name": peer_id, "appData": app_data });
        self.tell_members(desk, peer_id, "peerClosed", &data);
    }

    /// Notifies every joined peer of the demo's protocol but `except`.
    pub(super) fn tell_joined(&self, desk: &mut Desk, except: &str, method: &str, data: &Value) {
        self.tell(desk, except, method, data, Peer::joined_session);
    }

    /// Notifies every peer but `except` that is told of producers.
    pub(super) fn tell_watchers(&self, desk: &mut Desk, except: &str, method: &str, data: &Value) {
        self.tell(desk, except, method, data, Peer::watcher);
    }

    fn tell_display_name(&self, desk: &mut Desk, peer_id: &str, old_name: &str) {
        let Some(peer) = self.peers.get(peer_id) else { return };
        let data = json!({ "peerId": peer_id, "displayName": peer.display_name, "oldDisplayName": old_name });
        self.tell_joined(desk, peer_id, "peerDisplayNameChanged", &data);
    }

    fn tell(
        &self,
        desk: &mut Desk,
        except: &str,
        method: &str,
        data: &Value,
        to: fn(&Peer) -> Option<SessionId>,
    ) {
        let text = protoo::notification(method, data);
        for (_, peer) in self.peers.iter().filter(|(id, _)| *id != except) {
            if let Some(session) = to(peer) {
                desk.send(session, text.clone());
            }
        }
    }
}

/// What the others may know of a peer from before it joined.
#[derive(Debug)]
pub(super) struct Newcomer {
    old_display_name: String,
    device_changed: bool,
}
