//! What the media machine reports, told to the sessions that it concerns.
use serde_json::{Value, json};

use super::SessionId;
use super::desk::{Desk, Turn};
use super::mediasoup::Reported;
use super::members::Room;
use super::peer::Peer;
use crate::event::{CloseReason, ConsumerLayers, Event};
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};

/// The router in which something happened.
pub(super) fn router_of(event: &Event) -> RouterId {
    match event {
        Event::IceStateChanged { transport_id, .. }
        | Event::IceSelectedTupleChanged { transport_id }
        | Event::DtlsStateChanged { transport_id, .. }
        | Event::Bandwidth { transport_id, .. }
        | Event::TransportClosed { transport_id, .. } => transport_id.router(),
        Event::RouterClosed { router_id, .. }
        | Event::AudioLevels { router_id, .. }
        | Event::ActiveSpeakerChanged { router_id, .. } => *router_id,
        Event::ProducerClosed { producer_id, .. } | Event::ProducerScore { producer_id, .. } => {
            producer_id.router()
        }
        Event::ConsumerClosed { consumer_id, .. }
        | Event::ConsumerProducerPaused { consumer_id }
        | Event::ConsumerProducerResumed { consumer_id }
        | Event::ConsumerScore { consumer_id, .. }
        | Event::ConsumerLayersChanged { consumer_id, .. } => consumer_id.router(),
    }
}

impl Room {
    /// Takes note of an event of the room's router. Returns a session that has lost its media and is to be closed.
    pub(super) fn handle_event(&mut self, turn: &mut Turn<'_>, event: &Event) -> Option<SessionId> {
        let desk = &mut *turn.desk;
        match event {
            Event::TransportClosed { transport_id, reason } => {
                return self.transport_closed(desk, *transport_id, *reason);
            }
            Event::ProducerClosed { producer_id, .. } => self.remove_producer(desk, *producer_id),
            Event::ConsumerClosed { consumer_id, .. } => {
                if let Some(session) = self.remove_consumer(*consumer_id) {
                    desk.notify(session, "consumerClosed", &json!({ "consumerId": consumer_id }));
                }
            }
            Event::ProducerScore { producer_id, scores } => {
                self.score_changed(desk, *producer_id, scores);
                let data = json!({ "producerId": producer_id, "score": scores });
                self.tell_producing_session(desk, *producer_id, "producerScore", &data);
            }
            Event::ConsumerProducerPaused { consumer_id } if self.source_paused(desk, *consumer_id, true) => {
            }
            Event::ConsumerProducerResumed { consumer_id }
                if self.source_paused(desk, *consumer_id, false) => {}
            Event::ConsumerLayersChanged { consumer_id, layers }
                if self.layers_changed(desk, *consumer_id, layers.as_ref()) => {}
            Event::ConsumerProducerPaused { consumer_id } => {
                let data = json!({ "consumerId": consumer_id });
                self.tell_consuming_session(desk, *consumer_id, "consumerPaused", &data);
            }
            Event::ConsumerProducerResumed { consumer_id } => {
                let data = json!({ "consumerId": consumer_id });
                self.tell_consuming_session(desk, *consumer_id, "consumerResumed", &data);
            }
            Event::ConsumerScore { consumer_id, score } => {
                let data = json!({ "consumerId": consumer_id, "score": score });
                self.tell_consuming_session(desk, *consumer_id, "consumerScore", &data);
            }
            Event::ConsumerLayersChanged { consumer_id, layers } => {
                let data = layers_changed(*consumer_id, layers.as_ref());
                self.tell_consuming_session(desk, *consumer_id, "consumerLayersChanged", &data);
            }
            Event::Bandwidth {
                transport_id,
                desired_bitrate,
                effective_desired_bitrate,
                available_bitrate,
            } => {
                let data = json!({
                    "desiredBitrate": desired_bitrate,
                    "effectiveDesiredBitrate": effective_desired_bitrate,
                    "availableBitrate": available_bitrate,
                });
                // Version 2 has nothing of the kind.
                let peer = self.transports.get(transport_id).and_then(|peer_id| self.peers.get(peer_id));
                if let Some(session) = peer.and_then(Peer::joined_session) {
                    desk.notify(session, "downlinkBwe", &data);
                }
            }
            Event::IceStateChanged { .. }
            | Event::IceSelectedTupleChanged { .. }
            | Event::DtlsStateChanged { .. }
            | Event::RouterClosed { .. }
            | Event::AudioLevels { .. }
            | Event::ActiveSpeakerChanged { .. } => {}
        }
        None
    }

    /// A transport that its client has closed is just gone. One that broke takes its session with it, so that the client
    /// notices and can come back; a member is told, and makes the transport anew; a WHIP publisher without a session is gone
    /// with its transport.
    fn transport_closed(
        &mut self,
        desk: &mut Desk,
        id: TransportId,
        reason: CloseReason,
    ) -> Option<SessionId> {
        let of_session = |peer_id: &String| {
            let peer = self.peers.get(peer_id)?;
            peer.session.filter(|_| peer.transports.contains_key(&id))
        };
        let session = self.transports.get(&id).and_then(of_session);
        if let Some(session) = session.filter(|_| reason != CloseReason::DtlsClosed)
            && let Some(own) = self.member_transport_lost(id)
        {
            desk.reports.stop(session, Reported::Transport(own));
            desk.notify_member(session, "transportClosed", json!({ "id": own }));
            self.forget_transport(desk, id);
            return None;
        }
        let peer_id = self.forget_transport(desk, id)?;
        self.remove_unless_held(desk, &peer_id);
        session.filter(|_| reason != CloseReason::DtlsClosed)
    }

    fn tell_producing_session(&self, desk: &mut Desk, id: ProducerId, method: &str, data: &Value) {
        let peer = self.producers.get(&id).and_then(|peer_id| self.peers.get(peer_id));
        if let Some(session) = peer.and_then(Peer::joined_session) {
            desk.notify(session, method, data);
        }
    }

    fn tell_consuming_session(&self, desk: &mut Desk, id: ConsumerId, method: &str, data: &Value) {
        let peer = self.consumers.get(&id).and_then(|peer_id| self.peers.get(peer_id));
        if let Some(session) = peer.and_then(Peer::joined_session) {
            desk.notify(session, method, data);
        }
    }
}

fn layers_changed(consumer_id: ConsumerId, layers: Option<&ConsumerLayers>) -> Value {
    json!({
        "consumerId": consumer_id,
        "spatialLayer": layers.map(|layers| layers.spatial_layer),
        "temporalLayer": layers.and_then(|layers| layers.temporal_layer),
    })
}
