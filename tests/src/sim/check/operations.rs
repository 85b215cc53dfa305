//! What the reference model knows of what servers do to peers by themselves: the operator's request, and what an application does to
//! peers of version 2.
use std::time::Instant;

use sansfu::room::close_code;
use sansfu::server::{Action, HttpRequest, SessionId};

use super::Violation;
use super::model::{Expected, RoomsModel};
use super::rooms::Judged;
use crate::sim::world::Done;

impl RoomsModel {
    /// An HTTP request: the only ones that change something are those by which the operator throws a peer out.
    pub(super) fn requested(
        &mut self,
        now: Instant,
        request: &HttpRequest<'_>,
        done: &[Done],
    ) -> Judged<Vec<Expected>> {
        let statuses: Vec<u16> = done.iter().filter_map(status).collect();
        let segments: Vec<&str> = request.target.split('/').skip(1).collect();
        let ["rooms", room_id, "peers", peer_id] = segments.as_slice() else { return Ok(Vec::new()) };
        let session = self.session_of(room_id, peer_id);
        let due = if session.is_some() { 204 } else { 404 };
        if statuses != [due] {
            let what = format!("{request:?} got {statuses:?}");
            return Err(Violation::new("an HTTP request that was answered wrongly", what));
        }
        let Some(session) = session else { return Ok(Vec::new()) };
        let is_member = self.peer(session).is_some_and(|peer| peer.member.is_some());
        let closed = is_member.then_some(Expected::Notification(session, "2:closed", String::new()));
        let mut expected = self.end(now, session);
        expected.extend(closed);
        expected.push(Expected::Close(session, close_code::KICKED));
        Ok(expected)
    }

    /// An application has done something, if it was possible.
    pub(super) fn operated(
        &mut self,
        now: Instant,
        (room_id, peer_name): (&str, &str),
        action: &Action,
        done: &[Done],
    ) -> Judged<Vec<Expected>> {
        let outcome = done.iter().find_map(|done| match done {
            Done::Acted(outcome) => Some(outcome),
            _ => None,
        });
        let expected = self.session_of(room_id, peer_name).and_then(|session| self.act(now, session, action));
        if outcome.map(Result::is_ok) != Some(expected.is_some()) {
            let what = format!("{action:?} on {peer_name} in {room_id} got {outcome:?}");
            return Err(Violation::new(
                "an action that was possible and refused, or the other way round",
                what,
            ));
        }
        Ok(expected.unwrap_or_default())
    }

    fn session_of(&self, room_id: &str, peer_id: &str) -> Option<SessionId> {
        self.rooms.get(room_id)?.peers.get(peer_id).map(|peer| peer.session)
    }

    /// What must be told of an action; `None`: it is not possible.
    fn act(&mut self, now: Instant, session: SessionId, action: &Action) -> Option<Vec<Expected>> {
        let member = self.peer(session)?.member.as_ref()?;
        let told = |method, id: &u32| Expected::Notification(session, method, id.to_string());
        let (mut expected, own) = match action {
            Action::ClosePeer { .. } => {
                let closed = Expected::Notification(session, "2:closed", String::new());
                (self.leave(now, session), Some(closed))
            }
            Action::CloseTransport { id, .. } => {
                let transport = member.transports.get(id)?.clone();
                (self.remove_transport(now, session, &transport), Some(told("2:transportClosed", id)))
            }
            Action::CloseProducer { id, .. } => {
                let producer = member.producers.get(id)?.clone();
                let (room_id, _) = self.sessions.get(&session)?.clone();
                let expected = self.remove_producers(&room_id, [producer].iter(), false);
                (expected, Some(told("2:producerClosed", id)))
            }
            Action::PauseProducer { id, .. } | Action::ResumeProducer { id, .. } => {
                let producer = member.producers.get(id)?.clone();
                let paused = matches!(action, Action::PauseProducer { .. });
                let is_new = self.producer(&producer)?.paused_by_server != paused;
                let method = if paused { "2:producerPaused" } else { "2:producerResumed" };
                let expected = self.set_producer_paused(session, &producer, true, paused);
                (expected, is_new.then(|| told(method, id)))
            }
            Action::PauseConsumer { id, .. } | Action::ResumeConsumer { id, .. } => {
                let paused = matches!(action, Action::PauseConsumer { .. });
                let method = if paused { "2:consumerPaused" } else { "2:consumerResumed" };
                let is_news = self.set_consumer_paused_by_server(session, *id, paused)?;
                (Vec::new(), is_news.then(|| told(method, id)))
            }
            other => unreachable!("no plan has {other:?}"),
        };
        expected.extend(own);
        Some(expected)
    }

    /// Whether the client has to be told: what has changed can be seen, and is not known by a pause of the source.
    fn set_consumer_paused_by_server(&mut self, session: SessionId, id: u32, paused: bool) -> Option<bool> {
        let peer = self.peer_mut(session)?;
        let sink = peer.member.as_mut()?.sinks.get_mut(&id)?;
        let is_new = std::mem::replace(&mut sink.paused_by_server, paused) != paused;
        let producer = sink.producer.clone();
        let consumer = peer.consumers.get_mut(&id.to_string());
        let is_enabled = consumer.map(|consumer| consumer.paused_by_server = paused).is_some();
        let source_paused = self.producer(&producer).is_some_and(|producer| producer.is_paused());
        Some(is_new && is_enabled && !source_paused)
    }
}

fn status(done: &Done) -> Option<u16> {
    match done {
        Done::Response { response, .. } => Some(response.status),
        _ => None,
    }
}
