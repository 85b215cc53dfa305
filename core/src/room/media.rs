//! The media of a room: which peer has what, and who consumes whom.
use serde_json::{Value, json};

use super::SessionId;
use super::desk::{Desk, Turn};
use super::mediasoup::Reported;
use super::members::Room;
use super::peer::{OwnConsumer, OwnProducer};
use crate::error::RequestErrorKind;
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::model::ConsumerOptions;

impl Room {
    /// Takes a producer of an announced peer into the tables, tells the watchers, and offers it to everybody else.
    pub(super) fn add_producer(&mut self, turn: &mut Turn<'_>, peer_id: &str, producer: OwnProducer) {
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        let id = producer.id;
        let data = json!({
            "peerId": peer_id, "producerId": id, "kind": producer.kind, "paused": producer.paused,
        });
        peer.producers.push(producer);
        self.producers.insert(id, peer_id.to_owned());
        self.tell_watchers(turn.desk, peer_id, "producerAdded", &data);
        let consumers = self.peers.iter().filter(|(other, peer)| *other != peer_id && peer.joined);
        let others: Vec<String> = consumers.map(|(other, _)| other.clone()).collect();
        for other in others {
            self.offer(turn, &other, peer_id, id);
        }
    }

    /// Takes a producer that is gone out of the tables and tells the watchers.
    pub(super) fn remove_producer(&mut self, desk: &mut Desk, id: ProducerId) {
        let Some(peer_id) = self.producers.remove(&id) else { return };
        self.remove_sinks(desk, &peer_id, id);
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.producers.retain(|producer| producer.id != id);
            let own = peer.member.as_mut().and_then(|member| member.forget_source(id));
            if let (Some(own), Some(session)) = (own, peer.session) {
                desk.reports.stop(session, Reported::Producer(own));
            }
        }
        for peer in self.peers.values_mut() {
            peer.settled.remove(&id);
        }
        self.tell_watchers(
            desk,
            &peer_id,
            "producerRemoved",
            &json!({ "peerId": peer_id, "producerId": id }),
        );
    }

    /// Remembers whether a producer is paused and tells the watchers if that is new.
    pub(super) fn set_producer_paused(&mut self, desk: &mut Desk, id: ProducerId, paused: bool) {
        let Some(peer_id) = self.producers.get(&id).cloned() else { return };
        let Some(peer) = self.peers.get_mut(&peer_id) else { return };
        let producer =
            peer.producers.iter_mut().find(|producer| producer.id == id && producer.paused != paused);
        if let Some(producer) = producer {
            producer.paused = paused;
            let method = if paused { "producerPaused" } else { "producerResumed" };
            self.tell_watchers(desk, &peer_id, method, &json!({ "peerId": peer_id, "producerId": id }));
        }
    }

    /// Closes a transport with all that is on it.
    pub(super) fn close_transport(&mut self, turn: &mut Turn<'_>, id: TransportId) {
        // It may have closed by itself a moment ago; then its event is on the way, and finds nothing.
        let _ = turn.sfu.close_transport(turn.now, id);
        self.forget_transport(turn.desk, id);
    }

    /// Takes a transport that is gone, and all that was on it, out of the tables. Returns the peer that had it.
    pub(super) fn forget_transport(&mut self, desk: &mut Desk, id: TransportId) -> Option<String> {
        let peer_id = self.transports.remove(&id)?;
        let peer = self.peers.get_mut(&peer_id)?;
        peer.transports.remove(&id);
        let own = peer.member.as_mut().and_then(|member| member.forget_transport(id));
        if let (Some(own), Some(session)) = (own, peer.session) {
            desk.reports.stop(session, Reported::Transport(own));
        }
        if peer.whip == Some(id) {
            peer.whip = None;
        }
        let on_it = |producer: &&OwnProducer| producer.transport == id;
        let producers: Vec<ProducerId> =
            peer.producers.iter().filter(on_it).map(|producer| producer.id).collect();
        let on_it = |(_, consumer): &(&ConsumerId, &OwnConsumer)| consumer.transport == id;
        let consumers: Vec<ConsumerId> = peer.consumers.iter().filter(on_it).map(|(id, _)| *id).collect();
        for producer in producers {
            self.remove_producer(desk, producer);
        }
        for consumer in consumers {
            self.remove_consumer(consumer);
        }
        Some(peer_id)
    }

    /// Takes a consumer that is gone out of the tables. Returns the session that had it, if it has to be told: a member keeps the
    /// consumer, not enabled any more.
    pub(super) fn remove_consumer(&mut self, id: ConsumerId) -> Option<SessionId> {
        let peer = self.peers.get_mut(&self.consumers.remove(&id)?)?;
        let consumer = peer.consumers.remove(&id)?;
        peer.settled.remove(&consumer.producer);
        if let Some(member) = &mut peer.member {
            member.disable(id);
            return None;
        }
        peer.session
    }

    /// Offers a peer everything in the room for which it has no consumer yet.
    pub(super) fn offer_all(&mut self, turn: &mut Turn<'_>, peer_id: &str) {
        match self.peers.get_mut(peer_id) {
            Some(peer) if peer.joined_session().is_some() && peer.rtp_capabilities.is_some() => {
                peer.waiting = false;
            }
            _ => return,
        }
        let others = self.peers.iter().filter(|(id, _)| *id != peer_id);
        let producers =
            others.flat_map(|(id, other)| other.producers.iter().map(move |own| (id.clone(), own.id)));
        let producers: Vec<(String, ProducerId)> = producers.collect();
        for (owner, producer) in producers {
            self.offer(turn, peer_id, &owner, producer);
            if self.peers.get(peer_id).is_none_or(|peer| peer.waiting) {
                return;
            }
        }
    }

    /// The client's answer to the offer of a consumer: it flows from now on, or it goes.
    pub(super) fn settle_offer(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        id: ConsumerId,
        accepted: bool,
    ) {
        if accepted {
            self.start_consumer(turn, peer_id, id);
        } else {
            self.decline(turn, peer_id, id);
        }
        // Whatever became of the consumer, there is space for another question.
        if self.peers.get(peer_id).is_some_and(|peer| peer.waiting) {
            self.offer_all(turn, peer_id);
        }
    }

    /// Closes a consumer that the client does not want. The producer is not offered to it again.
    fn decline(&mut self, turn: &mut Turn<'_>, peer_id: &str, id: ConsumerId) {
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        let Some(consumer) = peer.consumers.remove(&id) else { return };
        peer.settled.insert(consumer.producer);
        self.consumers.remove(&id);
        // It may have closed by itself a moment ago.
        let _ = turn.sfu.close_consumer(turn.now, id);
    }

    fn start_consumer(&mut self, turn: &mut Turn<'_>, peer_id: &str, id: ConsumerId) {
        let Some(peer) = self.peers.get(peer_id) else { return };
        let Some(consumer) = peer.consumers.get(&id) else { return };
        if !consumer.paused_by_client {
            // It may have closed by itself a moment ago.
            let _ = turn.sfu.resume_consumer(turn.now, id);
        }
        if let Some(session) = peer.session
            && let Ok(consumer) = turn.sfu.consumer(id)
        {
            turn.desk.notify(session, "consumerScore", &json!({ "consumerId": id, "score": consumer.score }));
        }
    }

    /// Makes a consumer, paused, and asks the client to take it: if the peer has joined, can receive it, has a transport for
    /// it, and has not too much to answer already.
    fn offer(&mut self, turn: &mut Turn<'_>, peer_id: &str, owner_id: &str, producer: ProducerId) {
        if self.peers.get(peer_id).is_some_and(|peer| peer.member.is_some()) {
            return self.offer_sink(turn, peer_id, owner_id, producer);
        }
        let Some(peer) = self.peers.get_mut(peer_id).filter(|peer| !peer.settled.contains(&producer)) else {
            return;
        };
        let (Some(session), Some(capabilities)) = (peer.joined_session(), &peer.rtp_capabilities) else {
            return;
        };
        let Some(transport) = peer.consuming_transport() else { return };
        if !turn.sfu.can_consume(producer, capabilities) {
            return;
        }
        if !turn.desk.can_request(session) {
            peer.waiting = true;
            return;
        }
        let options =
            ConsumerOptions { paused: true, ..ConsumerOptions::new(producer, capabilities.clone()) };
        match turn.sfu.consume(turn.now, transport, options) {
            Ok(id) => {
                let consumer = OwnConsumer { producer, transport, paused_by_client: false };
                peer.consumers.insert(id, consumer);
                peer.settled.insert(producer);
                self.consumers.insert(id, peer_id.to_owned());
                self.request_consumer(turn, session, owner_id, id);
            }
            Err(error) if error.kind == RequestErrorKind::LimitReached => turn.desk.stats.refused_limit += 1,
            // What has been refused once is refused always.
            Err(_) => drop(peer.settled.insert(producer)),
        }
    }

    fn request_consumer(&self, turn: &mut Turn<'_>, session: SessionId, owner_id: &str, id: ConsumerId) {
        let Ok(consumer) = turn.sfu.consumer(id) else { return };
        let owner = self.peers.get(owner_id);
        let source =
            owner.and_then(|owner| owner.producers.iter().find(|own| own.id == consumer.producer_id));
        let data = json!({
            "peerId": owner_id,
            "producerId": consumer.producer_id,
            "id": id,
            "kind": consumer.kind,
            "rtpParameters": consumer.rtp_parameters,
            "type": consumer.r#type,
            "appData": source.map_or(Value::Null, |source| as_object(&source.app_data)),
            "producerPaused": consumer.producer_paused,
        });
        turn.desk.request(turn.now, session, id, &data);
    }
}

/// What a client of version 3 takes as `appData`: an object. Version 2 may have anything.
fn as_object(app_data: &Value) -> Value {
    if app_data.is_object() { app_data.clone() } else { json!({}) }
}
