//! The reference model: rooms, peers and their media as plain tables, with what must follow from each change.
//!
//! It learns ids from the server's own answers, and decides by itself who is to be told what. Slow and obvious on purpose.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use sansfu::server::SessionId;
use serde_json::Value;

use super::Violation;
use super::version_2::MemberModel;

/// Ids of transports, producers and consumers as in JSON.
pub type ObjectId = String;

/// The rooms of one server.
#[derive(Debug, Default)]
pub struct RoomsModel {
    /// Rooms by name; those without peers do not exist.
    pub rooms: BTreeMap<String, RoomModel>,
    /// Open sessions: where each belongs.
    pub sessions: BTreeMap<SessionId, (String, String)>,
    /// Password and transport of each ICE username fragment that is valid.
    pub(super) ice: BTreeMap<String, (String, ObjectId)>,
    /// When the username fragments of transports that are gone lost their meaning.
    pub(super) retired_ice: BTreeMap<String, Instant>,
    /// The consumer of each SSRC that is sent, retransmissions among them.
    pub(super) ssrcs: BTreeMap<u32, ObjectId>,
    /// What the machine calls transports of version 2, whose clients are not told.
    pub(super) core_transports: BTreeMap<String, ObjectId>,
    /// How many consumers there have been.
    pub(super) flows: u64,
}

/// A room.
#[derive(Debug, Default)]
pub struct RoomModel {
    /// Its peers by id.
    pub peers: BTreeMap<String, PeerModel>,
}

/// A peer with an open session.
#[derive(Debug)]
pub struct PeerModel {
    /// Its session.
    pub session: SessionId,
    /// Whether it has joined.
    pub joined: bool,
    /// The MIME types (lower case) that it can receive; `None`: it consumes nothing and is told of producers instead.
    pub receives: Option<BTreeSet<String>>,
    /// Its transports.
    pub transports: BTreeMap<ObjectId, TransportModel>,
    /// What it sends.
    pub producers: BTreeMap<ObjectId, ProducerModel>,
    /// What it gets.
    pub consumers: BTreeMap<ObjectId, ConsumerModel>,
    /// Producers that are not offered to it again.
    pub settled: BTreeSet<ObjectId>,
    /// Offers that await its answer: the request's number, and the consumer.
    pub offers: BTreeMap<u64, ObjectId>,
    /// What it has besides if it has joined by the mediasoup protocol; `consumers` are those that are enabled then.
    pub member: Option<MemberModel>,
}

/// A transport.
#[derive(Debug, Clone, Copy)]
pub struct TransportModel {
    /// For sending to the server.
    pub producing: bool,
    /// For receiving from it.
    pub consuming: bool,
    /// Whether the client's DTLS parameters are known.
    pub connected: bool,
}

/// A producer.
#[derive(Debug, Clone)]
pub struct ProducerModel {
    /// Its transport.
    pub transport: ObjectId,
    /// The MIME type of its codec, lower case.
    pub mime_type: String,
    /// Whether its client has paused it.
    pub paused: bool,
    /// Whether the server has, too: in version 2 either side can.
    pub paused_by_server: bool,
    /// What its client has said of it.
    pub app_data: Value,
    /// How good each of its layers is by version 2's names, the lowest first; none if there is one layer only.
    pub ladder: Vec<u8>,
}

/// A consumer.
#[derive(Debug, Clone)]
pub struct ConsumerModel {
    /// What it consumes.
    pub producer: ObjectId,
    /// Its transport.
    pub transport: ObjectId,
    /// When it was offered.
    pub offered_at: Instant,
    /// Whether the client has answered.
    pub answered: bool,
    /// Whether the client has asked for the pause.
    pub paused_by_client: bool,
    /// Whether it is paused itself.
    pub paused: bool,
    /// Whether the server has paused it, too.
    pub paused_by_server: bool,
    /// The highest spatial and temporal layer that its client wants; `None`: any.
    pub preferred: (Option<u8>, Option<u8>),
    /// The SSRCs that it sends.
    pub ssrcs: Vec<u32>,
    /// Tells it from all others that ever had its SSRCs: in version 2 they stay from one transport to the next.
    pub flow: u64,
}

/// What a server must say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expected {
    /// A notification, with the id that it is about.
    Notification(SessionId, &'static str, String),
    /// `newConsumer` for a producer.
    Offer(SessionId, ObjectId),
    /// The end of a session.
    Close(SessionId, u16),
}

impl RoomsModel {
    /// The password that belongs to a username fragment of a transport that is there.
    pub fn ice_password(&self, fragment: &str) -> Option<&str> {
        self.ice.get(fragment).map(|(password, _)| password.as_str())
    }

    /// Whether a transport to which a username fragment belongs is there, or has ended at this very moment: then its client may
    /// be told so.
    pub(super) fn may_hear(&self, fragment: &str, now: Instant) -> bool {
        self.ice.contains_key(fragment) || self.retired_ice.get(fragment).is_some_and(|at| *at == now)
    }

    /// The transport that a username fragment belongs to.
    pub fn transport_of(&self, fragment: &str) -> Option<&ObjectId> {
        self.ice.get(fragment).map(|(_, transport)| transport)
    }

    /// Whether a transport is there.
    pub(super) fn has_transport(&self, id: &str) -> bool {
        self.peers().any(|peer| peer.transports.contains_key(id))
    }

    /// The room and the peer of a session.
    pub fn peer(&self, session: SessionId) -> Option<&PeerModel> {
        let (room, peer) = self.sessions.get(&session)?;
        self.rooms.get(room)?.peers.get(peer)
    }

    pub(super) fn peer_mut(&mut self, session: SessionId) -> Option<&mut PeerModel> {
        let (room, peer) = self.sessions.get(&session)?;
        self.rooms.get_mut(room)?.peers.get_mut(peer)
    }

    /// A producer, wherever it is.
    pub fn producer(&self, id: &str) -> Option<&ProducerModel> {
        self.peers().find_map(|peer| peer.producers.get(id))
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = &PeerModel> {
        self.rooms.values().flat_map(|room| room.peers.values())
    }

    /// Whether media of a consumer may flow.
    pub fn may_flow(&self, consumer: &ConsumerModel) -> bool {
        let is_paused = consumer.paused || consumer.paused_by_server;
        !is_paused && self.producer(&consumer.producer).is_some_and(|producer| !producer.is_paused())
    }

    /// The consumer that sends with an SSRC.
    fn consumer_of(&self, ssrc: u32) -> Option<&ConsumerModel> {
        let id = self.ssrcs.get(&ssrc)?;
        self.peers().find_map(|peer| peer.consumers.get(id))
    }

    /// The flow of the consumer that sends with an SSRC, from 1 on; 0 if none does.
    pub(super) fn flow_of(&self, ssrc: u32) -> u64 {
        self.consumer_of(ssrc).map_or(0, |consumer| consumer.flow)
    }

    /// Judges that a packet with this SSRC was sent.
    pub(super) fn check_media(&self, ssrc: u32) -> Result<(), Violation> {
        match self.consumer_of(ssrc) {
            None => Err(Violation::new("media of no consumer", format!("SSRC {ssrc:#x}"))),
            Some(consumer) if !self.may_flow(consumer) => {
                let what = format!("SSRC {ssrc:#x} of producer {}: {consumer:?}", consumer.producer);
                Err(Violation::new("media of a paused consumer", what))
            }
            Some(_) => Ok(()),
        }
    }

    /// A session is open.
    pub(super) fn open(&mut self, session: SessionId, room_id: &str, peer_id: &str) {
        let peer = PeerModel {
            session,
            joined: false,
            receives: None,
            transports: BTreeMap::new(),
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            settled: BTreeSet::new(),
            offers: BTreeMap::new(),
            member: None,
        };
        self.rooms.entry(room_id.to_owned()).or_default().peers.insert(peer_id.to_owned(), peer);
        self.sessions.insert(session, (room_id.to_owned(), peer_id.to_owned()));
    }

    /// A session is over: what it had is gone, and the others are told.
    pub(super) fn end(&mut self, now: Instant, session: SessionId) -> Vec<Expected> {
        let expected = self.leave(now, session);
        let Some((room_id, peer_id)) = self.sessions.remove(&session) else { return expected };
        let Some(room) = self.rooms.get_mut(&room_id) else { return expected };
        room.peers.remove(&peer_id);
        if room.peers.is_empty() {
            self.rooms.remove(&room_id);
        }
        expected
    }

    /// A session has nothing any more, and is not in the room: the others are told.
    pub(super) fn leave(&mut self, now: Instant, session: SessionId) -> Vec<Expected> {
        let Some((room_id, peer_id)) = self.sessions.get(&session).cloned() else { return Vec::new() };
        let Some(peer) = self.peer_mut(session) else { return Vec::new() };
        let was_seen = peer.is_seen();
        peer.joined = false;
        peer.member = None;
        peer.receives = None;
        let transports = std::mem::take(&mut peer.transports);
        let producers = std::mem::take(&mut peer.producers);
        let consumers = std::mem::take(&mut peer.consumers);
        peer.settled.clear();
        peer.offers.clear();
        self.retire_ice(now, |transport| transports.contains_key(transport));
        self.ssrcs.retain(|_, consumer| !consumers.contains_key(consumer));
        let mut expected = self.remove_producers(&room_id, producers.keys(), true);
        if was_seen && let Some(room) = self.rooms.get(&room_id) {
            expected.extend(room.tell_joined("peerClosed", Some("2:peerClosed"), &peer_id));
        }
        expected
    }

    /// Producers of a room are gone: so are their consumers. Members are not told when the whole peer leaves: they hear that.
    pub(super) fn remove_producers<'a>(
        &mut self,
        room_id: &str,
        producers: impl Iterator<Item = &'a ObjectId> + Clone,
        leaving: bool,
    ) -> Vec<Expected> {
        let mut expected = Vec::new();
        let Some(room) = self.rooms.get_mut(room_id) else { return expected };
        for peer in room.peers.values_mut() {
            for producer in producers.clone() {
                peer.settled.remove(producer);
                peer.producers.remove(producer);
            }
            let is_gone = |producer: &ObjectId| producers.clone().any(|id| id == producer);
            let gone = peer.consumers.extract_if(.., |_, consumer| is_gone(&consumer.producer));
            let gone: Vec<ObjectId> = gone.map(|(id, _)| id).collect();
            self.ssrcs.retain(|_, consumer| !gone.contains(consumer));
            if let Some(member) = &mut peer.member {
                let told = member.remove_producers(is_gone);
                let told = told.into_iter().filter(|_| !leaving);
                expected.extend(told.map(|id| Expected::Notification(peer.session, "2:consumerClosed", id)));
            } else {
                let told = gone.into_iter();
                expected.extend(told.map(|id| Expected::Notification(peer.session, "consumerClosed", id)));
            }
        }
        expected
    }

    /// A transport of a session is gone by itself: so is all that was on it. A member keeps its consumers.
    pub(super) fn remove_transport(&mut self, now: Instant, session: SessionId, id: &str) -> Vec<Expected> {
        self.retire_ice(now, |transport| transport == id);
        let Some((room_id, _)) = self.sessions.get(&session).cloned() else { return Vec::new() };
        let Some(peer) = self.peer_mut(session) else { return Vec::new() };
        peer.transports.remove(id);
        let on_it = peer.producers.iter().filter(|(_, producer)| producer.transport == id);
        let producers: Vec<ObjectId> = on_it.map(|(id, _)| id.clone()).collect();
        let on_it = peer.consumers.extract_if(.., |_, consumer| consumer.transport == id);
        let consumers: Vec<(ObjectId, ConsumerModel)> = on_it.collect();
        if let Some(member) = &mut peer.member {
            member.transports.retain(|_, transport| transport != id);
        }
        let is_member = peer.member.is_some();
        for (_, consumer) in &consumers {
            peer.settled.remove(&consumer.producer);
        }
        let mut expected = Vec::new();
        for (consumer, _) in consumers {
            self.ssrcs.retain(|_, other| *other != consumer);
            if !is_member {
                expected.push(Expected::Notification(session, "consumerClosed", consumer));
            }
        }
        expected.extend(self.remove_producers(&room_id, producers.iter(), false));
        expected
    }

    fn retire_ice(&mut self, now: Instant, is_gone: impl Fn(&ObjectId) -> bool) {
        let retired = self.ice.extract_if(.., |_, (_, transport)| is_gone(transport));
        let retired: Vec<String> = retired.map(|(fragment, _)| fragment).collect();
        self.retired_ice.retain(|_, at| *at == now);
        self.retired_ice.extend(retired.into_iter().map(|fragment| (fragment, now)));
    }

    /// One side pauses a producer or lets it go on: the consumers are told, but those that the server has paused itself.
    pub(super) fn set_producer_paused(
        &mut self,
        session: SessionId,
        id: &str,
        by_server: bool,
        paused: bool,
    ) -> Vec<Expected> {
        let Some((room_id, _)) = self.sessions.get(&session).cloned() else { return Vec::new() };
        let Some(producer) = self.peer_mut(session).and_then(|peer| peer.producers.get_mut(id)) else {
            return Vec::new();
        };
        let was_paused = producer.is_paused();
        *(if by_server { &mut producer.paused_by_server } else { &mut producer.paused }) = paused;
        if producer.is_paused() == was_paused {
            return Vec::new();
        }
        let method = |peer: &PeerModel| match (paused, peer.member.is_some()) {
            (true, false) => "consumerPaused",
            (true, true) => "2:consumerPaused",
            (false, false) => "consumerResumed",
            (false, true) => "2:consumerResumed",
        };
        let peers = self.rooms.get(&room_id).into_iter().flat_map(|room| room.peers.values());
        let consumers = peers.flat_map(|peer| peer.consumers.iter().map(move |entry| (peer, entry)));
        consumers
            .filter(|(_, (_, consumer))| consumer.producer == id && !consumer.paused_by_server)
            .map(|(peer, (id, _))| Expected::Notification(peer.session, method(peer), id.clone()))
            .collect()
    }

    /// The offers that are due: of every producer to every joined peer of its room that can receive it, has a transport for it
    /// and has not been offered it; to every member without a consumer for it.
    pub(super) fn due_offers(&self) -> Vec<Expected> {
        let mut due = Vec::new();
        for room in self.rooms.values() {
            for (peer_id, peer) in room.peers.iter().filter(|(_, peer)| peer.joined) {
                let others = room.peers.iter().filter(|(other, _)| *other != peer_id);
                let producers = others.flat_map(|(_, other)| &other.producers);
                if let Some(member) = &peer.member {
                    let untold = producers.filter(|(id, _)| !member.has_sink_of(id));
                    due.extend(untold.map(|(id, _)| Expected::Offer(peer.session, id.clone())));
                    continue;
                }
                let Some(receives) = &peer.receives else { continue };
                if !peer.transports.values().any(|transport| transport.consuming) {
                    continue;
                }
                let open = producers.filter(|(id, producer)| {
                    receives.contains(&producer.mime_type) && !peer.settled.contains(*id)
                });
                due.extend(open.map(|(id, _)| Expected::Offer(peer.session, id.clone())));
            }
        }
        due
    }

    /// What is there: transports, producers, consumers.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        self.peers().fold((0, 0, 0), |(transports, producers, consumers), peer| {
            (
                transports + peer.transports.len(),
                producers + peer.producers.len(),
                consumers + peer.consumers.len(),
            )
        })
    }
}

impl PeerModel {
    /// Whether the others know of it.
    pub(super) fn is_seen(&self) -> bool {
        self.joined && self.member.as_ref().is_none_or(|member| !member.spy)
    }
}

impl ProducerModel {
    /// Whether either side has paused it.
    pub(super) fn is_paused(&self) -> bool {
        self.paused || self.paused_by_server
    }
}

impl RoomModel {
    /// All joined peers but `id` are told of it: those of version 3 by one method, those of version 2 by another, if by any.
    pub(super) fn tell_joined(
        &self,
        method: &'static str,
        to_members: Option<&'static str>,
        id: &str,
    ) -> Vec<Expected> {
        let joined = self.peers.iter().filter(|(other, peer)| peer.joined && *other != id);
        let told = |peer: &PeerModel| {
            let method = if peer.member.is_some() { to_members? } else { method };
            Some(Expected::Notification(peer.session, method, id.to_owned()))
        };
        joined.filter_map(|(_, peer)| told(peer)).collect()
    }
}
