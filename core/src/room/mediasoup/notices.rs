//! Carrying out the notifications of clients, and what both a client and the server can do: pausing and closing.
use serde_json::{Value, json};

use super::error::MediasoupError;
use super::message::{Notification, Reported};
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::room::SessionId;
use crate::room::desk::{Carrier, Turn};
use crate::room::members::Room;

/// Who pauses or closes something. The client is told what the server does, with its `appData`.
#[derive(Debug)]
pub(super) enum Originator {
    Client,
    Server { app_data: Value },
}

impl Room {
    pub(super) fn take_notice(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        peer_id: &str,
        notification: Notification,
    ) -> Result<(), MediasoupError> {
        self.member_mut(peer_id)?;
        match notification {
            Notification::Leave { app_data } => {
                self.close_member(turn, peer_id, &app_data);
                Ok(())
            }
            Notification::UpdateTransport { id, dtls_parameters } => {
                let transport = self.member_transport(peer_id, id, "Transport")?;
                Ok(turn.sfu.connect_webrtc_transport(turn.now, transport, &dtls_parameters)?)
            }
            Notification::CloseTransport(id) => {
                self.close_member_transport(turn, peer_id, id, Originator::Client)
            }
            Notification::EnableReports { of, interval } => {
                self.expect_reported(peer_id, of)?;
                turn.desk.reports.start(turn.now, session, of, interval);
                self.report(turn, session, peer_id, of);
                Ok(())
            }
            Notification::DisableReports(of) => {
                turn.desk.reports.stop(session, of);
                Ok(())
            }
            Notification::SetProducerPaused { id, paused } => {
                self.set_source_paused(turn, peer_id, id, paused, Originator::Client)
            }
            // It may have been closed with its transport: clients close both.
            Notification::CloseProducer(id) => match self.close_source(turn, peer_id, id, Originator::Client)
            {
                Err(error) if error == MediasoupError::not_found("Producer") => Ok(()),
                outcome => outcome,
            },
            Notification::SetConsumerPaused { id, paused } => {
                self.set_sink_paused(turn, peer_id, id, paused, Originator::Client)
            }
            Notification::SetConsumerPreferredProfile { id, profile } => {
                let sink = self.member_mut(peer_id)?.sinks.get_mut(&id);
                sink.ok_or_else(|| MediasoupError::not_found("Consumer"))?.preferred_profile = profile;
                self.apply_profile(turn, peer_id, id);
                Ok(())
            }
        }
    }

    /// Closes a peer's membership: producers, consumers, transports; then the others are told. The session stays open and can
    /// join anew.
    pub(in crate::room) fn close_member(&mut self, turn: &mut Turn<'_>, peer_id: &str, app_data: &Value) {
        let Some(peer) = self.peers.get_mut(peer_id).filter(|peer| peer.member.is_some()) else { return };
        // A WHIP resource holds the peer still: then only what the session had goes.
        peer.leaving = peer.whip.is_none();
        let own = |producer: &ProducerId, transport: TransportId| {
            peer.transports.contains_key(&transport).then_some(*producer)
        };
        let producers: Vec<ProducerId> =
            peer.producers.iter().filter_map(|producer| own(&producer.id, producer.transport)).collect();
        let consumers: Vec<ConsumerId> = peer.consumers.keys().copied().collect();
        let transports: Vec<TransportId> = peer.transports.keys().copied().collect();
        for producer in producers {
            // Whatever is closed here may have closed by itself a moment ago.
            let _ = turn.sfu.close_producer(turn.now, producer);
            self.remove_producer(turn.desk, producer);
        }
        for consumer in consumers {
            let _ = turn.sfu.close_consumer(turn.now, consumer);
            self.remove_consumer(consumer);
        }
        for transport in transports {
            self.close_transport(turn, transport);
        }
        self.end_membership(turn, peer_id, app_data);
    }

    fn end_membership(&mut self, turn: &mut Turn<'_>, peer_id: &str, app_data: &Value) {
        let Some(peer) = self.peers.get_mut(peer_id) else { return };
        peer.member = None;
        peer.joined = false;
        peer.rtp_capabilities = None;
        let announced = peer.leaving && std::mem::take(&mut peer.announced);
        peer.leaving = false;
        if let Some(session) = peer.session {
            turn.desk.reports.forget(session);
            if turn.desk.session(session).is_some_and(|state| state.carrier == Carrier::Application) {
                // It is nobody again.
                peer.session = None;
                turn.desk.rename_peer(session, "");
            }
        }
        self.remove_unless_held(turn.desk, peer_id);
        if announced {
            self.tell_peer_closed(turn.desk, peer_id, app_data);
        }
    }

    /// What a member has called a transport that broke.
    pub(in crate::room) fn member_transport_lost(&mut self, id: TransportId) -> Option<u32> {
        let peer = self.transports.get(&id).and_then(|peer_id| self.peers.get_mut(peer_id))?;
        peer.member.as_mut()?.forget_transport(id)
    }

    pub(super) fn close_member_transport(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        id: u32,
        originator: Originator,
    ) -> Result<(), MediasoupError> {
        let transport = self.member_transport(peer_id, id, "Transport")?;
        self.close_transport(turn, transport);
        let told = |app_data| ("transportClosed", json!({ "id": id, "appData": app_data }));
        self.tell_unless_own(turn, peer_id, originator, told);
        Ok(())
    }

    pub(super) fn close_source(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        id: u32,
        originator: Originator,
    ) -> Result<(), MediasoupError> {
        let source = self.member_mut(peer_id)?.sources.get(&id).map(|source| source.id);
        let source = source.ok_or_else(|| MediasoupError::not_found("Producer"))?;
        turn.sfu.close_producer(turn.now, source)?;
        self.remove_producer(turn.desk, source);
        let told =
            |app_data| ("producerClosed", json!({ "id": id, "peerName": peer_id, "appData": app_data }));
        self.tell_unless_own(turn, peer_id, originator, told);
        Ok(())
    }

    /// A producer is paused while either side has paused it.
    pub(super) fn set_source_paused(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        id: u32,
        paused: bool,
        originator: Originator,
    ) -> Result<(), MediasoupError> {
        let source = self.member_mut(peer_id)?.sources.get_mut(&id);
        let source = source.ok_or_else(|| MediasoupError::not_found("Producer"))?;
        let side = match originator {
            Originator::Client => &mut source.remotely_paused,
            Originator::Server { .. } => &mut source.locally_paused,
        };
        if std::mem::replace(side, paused) == paused {
            return Ok(());
        }
        let (producer, is_paused) = (source.id, source.is_paused());
        if is_paused {
            turn.sfu.pause_producer(turn.now, producer)?;
        } else {
            turn.sfu.resume_producer(turn.now, producer)?;
        }
        self.set_producer_paused(turn.desk, producer, is_paused);
        let method = if paused { "producerPaused" } else { "producerResumed" };
        let told = |app_data| (method, json!({ "id": id, "peerName": peer_id, "appData": app_data }));
        self.tell_unless_own(turn, peer_id, originator, told);
        Ok(())
    }

    /// A consumer is paused while either side has paused it, or its source is paused. The client is told while it is enabled, and
    /// not twice: what the source has told already the server does not tell.
    pub(super) fn set_sink_paused(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        id: u32,
        paused: bool,
        originator: Originator,
    ) -> Result<(), MediasoupError> {
        let sink = self.member_mut(peer_id)?.sinks.get_mut(&id);
        let sink = sink.ok_or_else(|| MediasoupError::not_found("Consumer"))?;
        let side = match originator {
            Originator::Client => &mut sink.remotely_paused,
            Originator::Server { .. } => &mut sink.locally_paused,
        };
        if std::mem::replace(side, paused) == paused {
            return Ok(());
        }
        let is_paused = sink.locally_paused || sink.remotely_paused;
        let (source, peer_name) = (sink.source, sink.peer_name.clone());
        let Some(consumer) = sink.enabled else { return Ok(()) };
        if is_paused {
            turn.sfu.pause_consumer(turn.now, consumer)?;
        } else {
            turn.sfu.resume_consumer(turn.now, consumer)?;
        }
        if !self.is_paused(source) {
            let method = if paused { "consumerPaused" } else { "consumerResumed" };
            let told = |app_data| (method, json!({ "id": id, "peerName": peer_name, "appData": app_data }));
            self.tell_unless_own(turn, peer_id, originator, told);
        }
        Ok(())
    }

    fn tell_unless_own(
        &self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        originator: Originator,
        told: impl FnOnce(Value) -> (&'static str, Value),
    ) {
        if let (Originator::Server { app_data }, Some(session)) = (originator, self.session(peer_id)) {
            let (method, data) = told(app_data);
            turn.desk.notify_member(session, method, data);
        }
    }

    fn expect_reported(&mut self, peer_id: &str, of: Reported) -> Result<(), MediasoupError> {
        let member = self.member_mut(peer_id)?;
        let (there, what) = match of {
            Reported::Transport(id) => (member.transports.contains_key(&id), "Transport"),
            Reported::Producer(id) => (member.sources.contains_key(&id), "Producer"),
            Reported::Consumer(id) => (member.sinks.contains_key(&id), "Consumer"),
        };
        if there { Ok(()) } else { Err(MediasoupError::not_found(what)) }
    }
}
