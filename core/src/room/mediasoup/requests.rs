//! Carrying out the requests of clients.
use serde_json::{Value, json};

use super::Executed;
use super::error::MediasoupError;
use super::member::{Member, Source};
use super::message::{CreateProducer, CreateTransport, EnableConsumer, Join, Request};
use super::profile::{Ladder, Profile};
use super::{path, rtp};
use crate::id::TransportId;
use crate::model::{ConsumerOptions, ProducerOptions, WebRtcTransportOptions};
use crate::ortc::RtpCapabilities;
use crate::room::SessionId;
use crate::room::command::{Device, Direction};
use crate::room::desk::Turn;
use crate::room::members::Room;
use crate::room::peer::{OwnConsumer, OwnProducer};
use crate::room::refusal::Refusal;

/// What follows from a request once it is answered.
#[derive(Debug)]
pub(super) enum Afterwards {
    Joined,
    AddProducer(Box<OwnProducer>),
    Enabled(u32),
}

/// The answer to `queryRoom`.
pub(super) fn room_settings(router: &RtpCapabilities) -> Value {
    json!({ "rtpCapabilities": rtp::room_capabilities(router), "mandatoryCodecPayloadTypes": [] })
}

impl Room {
    /// Makes a session's peer a member. The answer tells who is there, and what there is to be consumed.
    pub(super) fn join_member(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        join: Join,
        capabilities: RtpCapabilities,
    ) -> Value {
        let name = join.peer_name;
        if let Some(peer) = self.peers.get_mut(&name) {
            peer.session = Some(session);
            peer.joined = true;
            peer.rtp_capabilities = Some(capabilities);
            if !peer.announced {
                let said = join.app_data.get("displayName").and_then(Value::as_str);
                let within = |text: &&str| text.len() <= turn.desk.limits.max_name_bytes;
                peer.display_name = said.filter(within).unwrap_or(&name).to_owned();
                peer.device = Device::of_app_data(&join.app_data, turn.desk.limits.max_name_bytes);
            }
            let member = Member { spy: join.spy, app_data: join.app_data, ..Member::default() };
            peer.member = Some(Box::new(member));
        }
        self.add_all_sinks(turn, &name);
        self.describe_others(&name)
    }

    pub(super) fn execute_request(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        request: Request,
    ) -> Executed {
        self.member_mut(peer_id)?;
        match request {
            // Those are the room's, and carried out above.
            Request::QueryRoom | Request::Join(_) => Err(MediasoupError::wrong_type("target must be 'room'")),
            Request::CreateTransport(request) => self.create_member_transport(turn, peer_id, *request),
            Request::RestartTransport(id) => {
                let transport = self.member_transport(peer_id, id, "Transport")?;
                let parameters = turn.sfu.restart_ice(turn.now, transport)?;
                Ok((json!({ "iceParameters": path::ice_parameters(&parameters) }), None))
            }
            Request::CreateProducer(request) => self.create_source(turn, peer_id, *request),
            Request::EnableConsumer(request) => self.enable_sink(turn, peer_id, &request),
        }
    }

    pub(super) fn follow_request(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        peer_id: &str,
        afterwards: Afterwards,
    ) {
        match afterwards {
            Afterwards::Joined => {
                if self.member_mut(peer_id).is_ok_and(|member| !member.spy) {
                    self.announce(turn.desk, peer_id);
                }
            }
            Afterwards::AddProducer(producer) => self.add_producer(turn, peer_id, *producer),
            Afterwards::Enabled(id) => self.tell_first_profile(turn, session, peer_id, id),
        }
    }

    /// A transport of a member's, which it has called `id`.
    pub(super) fn member_transport(
        &mut self,
        peer_id: &str,
        id: u32,
        what: &str,
    ) -> Result<TransportId, MediasoupError> {
        let transport = self.member_mut(peer_id)?.transports.get(&id).copied();
        transport.ok_or_else(|| MediasoupError::not_found(what))
    }

    fn create_member_transport(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        request: CreateTransport,
    ) -> Executed {
        let limit = turn.desk.limits.max_transports_per_peer;
        let member = self.member_mut(peer_id)?;
        if request.sends && member.spy {
            return Err(MediasoupError::other("spy peers cannot create sending transports"));
        }
        if request.id.is_some_and(|id| member.transports.contains_key(&id)) {
            return Err(MediasoupError::state("a Transport of that id exists already"));
        }
        if member.transports.len() >= limit {
            turn.desk.stats.refused_limit += 1;
            return Err(Refusal::limit("transports per peer", limit).into());
        }
        let options = WebRtcTransportOptions { app_data: request.app_data, ..Default::default() };
        let id = turn.sfu.create_webrtc_transport(turn.now, self.router, options)?;
        if let Some(dtls_parameters) = &request.dtls_parameters
            && let Err(error) = turn.sfu.connect_webrtc_transport(turn.now, id, dtls_parameters)
        {
            turn.sfu.close_transport(turn.now, id)?;
            return Err(error.into());
        }
        let answer = request.options.describe(&turn.sfu.webrtc_transport(id)?);
        let own = request.id.unwrap_or_else(|| self.random_id());
        self.transports.insert(id, peer_id.to_owned());
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.transports.insert(id, Direction { producing: request.sends, consuming: !request.sends });
        }
        self.member_mut(peer_id)?.transports.insert(own, id);
        Ok((answer, None))
    }

    fn create_source(&mut self, turn: &mut Turn<'_>, peer_id: &str, request: CreateProducer) -> Executed {
        let member = self.member_mut(peer_id)?;
        if member.spy {
            return Err(MediasoupError::other("spy peers cannot create producers"));
        }
        if request.id.is_some_and(|id| member.sources.contains_key(&id)) {
            return Err(MediasoupError::state("a Producer of that id exists already"));
        }
        let transport = self.member_transport(peer_id, request.transport, "WebRtcTransport")?;
        if !self.direction(peer_id, transport).is_some_and(|direction| direction.producing) {
            return Err(MediasoupError::state("the Transport is not for sending"));
        }
        let router = turn.sfu.router_rtp_capabilities(self.router)?;
        let (rtp_parameters, profiles) = rtp::producer_parameters(&request.rtp_parameters, router)?;
        let options = ProducerOptions {
            paused: request.paused,
            app_data: request.app_data.clone(),
            ..ProducerOptions::new(request.kind, rtp_parameters)
        };
        let id = turn
            .sfu
            .produce(turn.now, transport, options)
            .map_err(|error| MediasoupError::wrong_rtp(error.message))?;
        let own = request.id.unwrap_or_else(|| self.random_id());
        let source = Source {
            id,
            locally_paused: false,
            remotely_paused: request.paused,
            preferred_profile: Profile::Default,
            ladder: Ladder::named(profiles),
        };
        self.member_mut(peer_id)?.sources.insert(own, source);
        let (kind, paused, app_data) = (request.kind, request.paused, request.app_data);
        let producer = OwnProducer { id, transport, kind, paused, app_data };
        Ok((Value::Null, Some(Afterwards::AddProducer(Box::new(producer)))))
    }

    fn enable_sink(&mut self, turn: &mut Turn<'_>, peer_id: &str, request: &EnableConsumer) -> Executed {
        let member = self.member_mut(peer_id)?;
        let sink = member.sinks.get(&request.id).ok_or_else(|| MediasoupError::not_found("Consumer"))?;
        let (source, locally_paused) = (sink.source, sink.locally_paused);
        let Some(parameters) = sink.rtp_parameters.clone() else {
            return Err(MediasoupError::other("the peer supports none of the Consumer's codecs"));
        };
        if sink.enabled.is_some() {
            return Err(MediasoupError::state("Consumer already enabled"));
        }
        let transport = self.member_transport(peer_id, request.transport, "Transport")?;
        if !self.direction(peer_id, transport).is_some_and(|direction| direction.consuming) {
            return Err(MediasoupError::state("the Transport is not for receiving"));
        }
        let capabilities = self.peers.get(peer_id).and_then(|peer| peer.rtp_capabilities.clone());
        let options = ConsumerOptions {
            paused: request.paused || locally_paused,
            use_remote_ids: true,
            ssrc: parameters.encodings.first().and_then(|encoding| encoding.ssrc),
            ..ConsumerOptions::new(source, capabilities.unwrap_or_default())
        };
        let id = turn.sfu.consume(turn.now, transport, options)?;
        self.consumers.insert(id, peer_id.to_owned());
        if let Some(peer) = self.peers.get_mut(peer_id) {
            let own = OwnConsumer { producer: source, transport, paused_by_client: request.paused };
            peer.consumers.insert(id, own);
        }
        if let Some(sink) = self.member_mut(peer_id)?.sinks.get_mut(&request.id) {
            sink.enabled = Some(id);
            sink.remotely_paused = request.paused;
            sink.preferred_profile = request.preferred_profile;
        }
        self.apply_profile(turn, peer_id, request.id);
        let answer = json!({
            "paused": locally_paused || self.is_paused(source),
            "preferredProfile": request.preferred_profile,
            "effectiveProfile": null,
        });
        Ok((answer, Some(Afterwards::Enabled(request.id))))
    }

    fn direction(&self, peer_id: &str, transport: TransportId) -> Option<Direction> {
        self.peers.get(peer_id)?.transports.get(&transport).copied()
    }
}
