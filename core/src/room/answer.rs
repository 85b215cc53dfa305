//! Carrying out what clients ask for.
use serde::Serialize;
use serde_json::{Value, json};

use super::SessionId;
use super::command::{Command, Direction};
use super::desk::Turn;
use super::members::{Newcomer, Room};
use super::peer::{OwnConsumer, OwnProducer, Peer};
use super::refusal::Refusal;
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::model::{ProducerOptions, WebRtcTransportOptions};

/// What follows from a request once it is answered.
#[derive(Debug)]
enum Afterwards {
    Welcome(Newcomer),
    OfferAll,
    AddProducer(Box<OwnProducer>),
}

type Answer = Result<(Value, Option<Afterwards>), Refusal>;

impl Room {
    /// Answers a request of a session of this room, then does what follows from it.
    pub(super) fn answer(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        peer_id: &str,
        request: u64,
        command: Result<Command, Refusal>,
    ) {
        let answer = command.and_then(|command| self.execute_unless_member(turn, peer_id, command));
        turn.desk.answer(session, request, answer.as_ref().map(|(data, _)| data));
        match answer.ok().and_then(|(_, afterwards)| afterwards) {
            Some(Afterwards::Welcome(newcomer)) => {
                self.welcome(turn.desk, peer_id, &newcomer);
                self.offer_all(turn, peer_id);
            }
            Some(Afterwards::OfferAll) => self.offer_all(turn, peer_id),
            Some(Afterwards::AddProducer(producer)) => self.add_producer(turn, peer_id, *producer),
            None => {}
        }
    }

    /// What a member has is told apart by the ids of its own protocol, and paused by two sides: it must keep to that one.
    fn execute_unless_member(&mut self, turn: &mut Turn<'_>, peer_id: &str, command: Command) -> Answer {
        if self.peers.get(peer_id).is_some_and(|peer| peer.member.is_some()) {
            return Err(Refusal::state("the peer has joined by the mediasoup protocol"));
        }
        self.execute(turn, peer_id, command)
    }

    fn execute(&mut self, turn: &mut Turn<'_>, peer_id: &str, command: Command) -> Answer {
        let now = turn.now;
        match command {
            Command::GetRouterRtpCapabilities => done(turn.sfu.router_rtp_capabilities(self.router)?),
            Command::CreateWebRtcTransport(direction) => self.create_transport(turn, peer_id, direction),
            Command::ConnectWebRtcTransport { transport, dtls_parameters } => {
                self.own_transport(peer_id, transport)?;
                turn.sfu.connect_webrtc_transport(now, transport, &dtls_parameters)?;
                nothing()
            }
            Command::Join(join) => {
                let (data, newcomer) = self.join(peer_id, *join)?;
                Ok((data, Some(Afterwards::Welcome(newcomer))))
            }
            Command::Produce { transport, options } => self.produce(turn, peer_id, transport, *options),
            Command::RestartIce(transport) => {
                self.own_transport(peer_id, transport)?;
                done(turn.sfu.restart_ice(now, transport)?)
            }
            Command::GetTransportStats(transport) => {
                self.own_transport(peer_id, transport)?;
                done(turn.sfu.transport_stats(now, transport)?)
            }
            Command::ChangeDisplayName(name) => {
                self.joined(peer_id)?;
                self.change_display_name(turn.desk, peer_id, name);
                nothing()
            }
            Command::CloseProducer(_)
            | Command::PauseProducer(_)
            | Command::ResumeProducer(_)
            | Command::GetProducerStats(_) => self.execute_on_producer(turn, peer_id, command),
            _ => self.execute_on_consumer(turn, peer_id, command),
        }
    }

    fn execute_on_producer(&mut self, turn: &mut Turn<'_>, peer_id: &str, command: Command) -> Answer {
        let now = turn.now;
        match command {
            Command::CloseProducer(id) => {
                self.own_producer(peer_id, id)?;
                turn.sfu.close_producer(now, id)?;
                self.remove_producer(turn.desk, id);
                nothing()
            }
            Command::PauseProducer(id) => {
                self.own_producer(peer_id, id)?;
                turn.sfu.pause_producer(now, id)?;
                self.set_producer_paused(turn.desk, id, true);
                nothing()
            }
            Command::ResumeProducer(id) => {
                self.own_producer(peer_id, id)?;
                turn.sfu.resume_producer(now, id)?;
                self.set_producer_paused(turn.desk, id, false);
                nothing()
            }
            Command::GetProducerStats(id) => {
                self.own_producer(peer_id, id)?;
                done(turn.sfu.producer_stats(now, id)?)
            }
            _ => Err(Refusal::not_found("method")),
        }
    }

    fn execute_on_consumer(&mut self, turn: &mut Turn<'_>, peer_id: &str, command: Command) -> Answer {
        let now = turn.now;
        match command {
            Command::PauseConsumer(id) => {
                let consumer = self.own_consumer(peer_id, id)?;
                turn.sfu.pause_consumer(now, id)?;
                consumer.paused_by_client = true;
                nothing()
            }
            Command::ResumeConsumer(id) => {
                let consumer = self.own_consumer(peer_id, id)?;
                turn.sfu.resume_consumer(now, id)?;
                consumer.paused_by_client = false;
                nothing()
            }
            Command::SetConsumerPreferredLayers { consumer, layers } => {
                self.own_consumer(peer_id, consumer)?;
                turn.sfu.set_consumer_preferred_layers(now, consumer, layers)?;
                nothing()
            }
            Command::SetConsumerPriority { consumer, priority } => {
                self.own_consumer(peer_id, consumer)?;
                turn.sfu.set_consumer_priority(now, consumer, priority)?;
                nothing()
            }
            Command::RequestConsumerKeyFrame(id) => {
                self.own_consumer(peer_id, id)?;
                turn.sfu.request_consumer_key_frame(now, id)?;
                nothing()
            }
            Command::GetConsumerStats(id) => {
                self.own_consumer(peer_id, id)?;
                done(turn.sfu.consumer_stats(now, id)?)
            }
            _ => Err(Refusal::not_found("method")),
        }
    }

    fn create_transport(&mut self, turn: &mut Turn<'_>, peer_id: &str, direction: Direction) -> Answer {
        let peer = self.peers.get_mut(peer_id).ok_or_else(|| Refusal::not_found("peer"))?;
        let limit = turn.desk.limits.max_transports_per_peer;
        if peer.transports.len() >= limit {
            turn.desk.stats.refused_limit += 1;
            return Err(Refusal::limit("transports per peer", limit));
        }
        let id =
            turn.sfu.create_webrtc_transport(turn.now, self.router, WebRtcTransportOptions::default())?;
        peer.transports.insert(id, direction);
        self.transports.insert(id, peer_id.to_owned());
        let transport = turn.sfu.webrtc_transport(id)?;
        let data = json!({
            "id": id,
            "iceParameters": transport.ice_parameters,
            "iceCandidates": transport.ice_candidates,
            "dtlsParameters": transport.dtls_parameters,
        });
        Ok((data, direction.consuming.then_some(Afterwards::OfferAll)))
    }

    fn produce(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        transport: TransportId,
        options: ProducerOptions,
    ) -> Answer {
        self.joined(peer_id)?;
        if !self.own_transport(peer_id, transport)?.producing {
            return Err(Refusal::forbidden("the transport was not created for producing"));
        }
        let (kind, app_data) = (options.kind, options.app_data.clone());
        let id = turn.sfu.produce(turn.now, transport, options)?;
        let producer = OwnProducer { id, transport, kind, paused: false, app_data };
        Ok((json!({ "id": id }), Some(Afterwards::AddProducer(Box::new(producer)))))
    }

    fn joined(&self, peer_id: &str) -> Result<&Peer, Refusal> {
        let peer = self.peers.get(peer_id).filter(|peer| peer.joined);
        peer.ok_or_else(|| Refusal::state("the peer has not joined yet"))
    }

    fn own_transport(&self, peer_id: &str, id: TransportId) -> Result<Direction, Refusal> {
        match (self.transports.get(&id), self.peers.get(peer_id)) {
            (Some(owner), Some(peer)) => {
                let direction = peer.transports.get(&id).filter(|_| owner == peer_id);
                direction.copied().ok_or_else(|| Refusal::forbidden("the transport is not the session's"))
            }
            _ => Err(Refusal::not_found("transport")),
        }
    }

    fn own_producer(&self, peer_id: &str, id: ProducerId) -> Result<(), Refusal> {
        self.joined(peer_id)?;
        match self.producers.get(&id) {
            Some(owner) if owner == peer_id => Ok(()),
            Some(_) => Err(Refusal::forbidden("the producer is somebody else's")),
            None => Err(Refusal::not_found("producer")),
        }
    }

    fn own_consumer(&mut self, peer_id: &str, id: ConsumerId) -> Result<&mut OwnConsumer, Refusal> {
        self.joined(peer_id)?;
        match self.consumers.get(&id) {
            Some(owner) if owner == peer_id => {}
            Some(_) => return Err(Refusal::forbidden("the consumer is somebody else's")),
            None => return Err(Refusal::not_found("consumer")),
        }
        let consumer = self.peers.get_mut(peer_id).and_then(|peer| peer.consumers.get_mut(&id));
        consumer.ok_or_else(|| Refusal::not_found("consumer"))
    }
}

/// Answers with `data`.
fn done(data: impl Serialize) -> Answer {
    let data =
        serde_json::to_value(data).map_err(|error| Refusal { code: 500, reason: error.to_string() })?;
    Ok((data, None))
}

/// Answers with an empty object.
fn nothing() -> Answer {
    Ok((json!({}), None))
}
