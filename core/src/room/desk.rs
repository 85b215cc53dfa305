//! The sessions, and everything that is written to them.
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::mailbox::Mailbox;
use super::mediasoup::{NOTIFICATION, Reports, notification};
use super::refusal::Refusal;
use super::{Limits, RoomsStats, SessionId, protoo};
use crate::id::ConsumerId;
use crate::sfu::Sfu;

/// One step of the state machine: what the rooms need to carry it out.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) sfu: &'a mut Sfu,
    pub(super) desk: &'a mut Desk,
    pub(super) now: Instant,
}

/// The sessions of all rooms.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) limits: Limits,
    pub(super) mailbox: Mailbox,
    pub(super) stats: RoomsStats,
    pub(super) reports: Reports,
    sessions: BTreeMap<SessionId, Session>,
    deadlines: BTreeSet<(Instant, SessionId, u64)>,
}

/// How what is told to a session travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// In protoo frames, by the server's own WebSocket.
    Protoo,
    /// As the application likes.
    Application,
}

/// One WebSocket, or what an application has in its place.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) room_id: String,
    /// Empty while it is nobody in the room, which only a session that an application carries can be.
    pub(super) peer_id: String,
    pub(super) carrier: Carrier,
    malformed: u32,
    last_request_id: u64,
    in_flight: BTreeMap<u64, InFlight>,
}

/// A `newConsumer` request that awaits the client's answer.
#[derive(Debug)]
struct InFlight {
    consumer: ConsumerId,
    at: Instant,
}

impl Desk {
    pub(super) fn new(limits: Limits) -> Self {
        Desk { limits, ..Desk::default() }
    }

    pub(super) fn open(&mut self, session: SessionId, room_id: &str, peer_id: &str, carrier: Carrier) {
        let state = Session {
            room_id: room_id.to_owned(),
            peer_id: peer_id.to_owned(),
            carrier,
            malformed: 0,
            last_request_id: 0,
            in_flight: BTreeMap::new(),
        };
        self.sessions.insert(session, state);
    }

    /// Forgets a session and what it was asked.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Session> {
        let state = self.sessions.remove(&session)?;
        for (id, in_flight) in &state.in_flight {
            self.deadlines.remove(&(in_flight.at, session, *id));
        }
        self.mailbox.forget(session);
        self.reports.forget(session);
        Some(state)
    }

    /// The peer of a session is called otherwise from now on.
    pub(super) fn rename_peer(&mut self, session: SessionId, peer_id: &str) {
        if let Some(state) = self.sessions.get_mut(&session) {
            state.peer_id = peer_id.to_owned();
        }
    }

    /// Counts a malformed message; whether it was one too many.
    pub(super) fn count_malformed(&mut self, session: SessionId) -> bool {
        self.stats.refused_malformed_messages += 1;
        let limit = self.limits.max_malformed_messages_per_session;
        self.sessions.get_mut(&session).is_some_and(|state| {
            state.malformed = state.malformed.saturating_add(1);
            state.malformed >= limit
        })
    }

    pub(super) fn notify(&mut self, session: SessionId, method: &str, data: &Value) {
        self.send(session, protoo::notification(method, data));
    }

    /// Notifies a client of version 2.
    pub(super) fn notify_member(&mut self, session: SessionId, method: &str, members: Value) {
        let message = notification(method, members);
        match self.sessions.get(&session).map(|state| state.carrier) {
            Some(Carrier::Protoo) => self.notify(session, NOTIFICATION, &message),
            Some(Carrier::Application) => self.send(session, message.to_string()),
            None => {}
        }
    }

    pub(super) fn answer(&mut self, session: SessionId, id: u64, answer: Result<&Value, &Refusal>) {
        let text = match answer {
            Ok(data) => protoo::response(id, data),
            Err(refusal) => {
                self.stats.refused_requests += 1;
                protoo::error_response(id, refusal.code, &refusal.reason)
            }
        };
        self.send(session, text);
    }

    pub(super) fn send(&mut self, session: SessionId, text: String) {
        self.mailbox.send(session, text, &self.limits);
    }

    /// Whether another request can be sent to the client before it has answered the ones before.
    pub(super) fn can_request(&self, session: SessionId) -> bool {
        let limit = self.limits.max_requests_in_flight_per_session;
        self.sessions.get(&session).is_some_and(|state| state.in_flight.len() < limit)
    }

    /// Asks the client to take a consumer. It has as long for the answer as protoo gives it: 22.5 s, and 150 ms more for
    /// each request before that is still unanswered.
    pub(super) fn request(&mut self, now: Instant, session: SessionId, consumer: ConsumerId, data: &Value) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        state.last_request_id += 1;
        let id = state.last_request_id;
        let pending = u64::try_from(state.in_flight.len()).unwrap_or(u64::MAX);
        let at = now + Duration::from_millis(pending.saturating_mul(150).saturating_add(22_500));
        state.in_flight.insert(id, InFlight { consumer, at });
        self.deadlines.insert((at, session, id));
        self.send(session, protoo::request(id, "newConsumer", data));
    }

    /// The consumer that an answer is about; `None` if nothing was asked under that id, or not any more.
    pub(super) fn take_in_flight(&mut self, session: SessionId, id: u64) -> Option<ConsumerId> {
        let in_flight = self.sessions.get_mut(&session)?.in_flight.remove(&id)?;
        self.deadlines.remove(&(in_flight.at, session, id));
        Some(in_flight.consumer)
    }

    /// A request that was not answered in time.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(SessionId, ConsumerId)> {
        let (at, session, id) = self.deadlines.first().copied().filter(|(at, ..)| *at <= now)?;
        self.deadlines.remove(&(at, session, id));
        let in_flight = self.sessions.get_mut(&session)?.in_flight.remove(&id)?;
        Some((session, in_flight.consumer))
    }

    pub(super) fn session(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(&session)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let offers = self.deadlines.first().map(|(at, ..)| *at);
        [offers, self.reports.next_deadline()].into_iter().flatten().min()
    }
}
