//! The typed side of the mediasoup protocol: for applications that carry its messages themselves, and for what a server
//! application does to the peers of version 2. See [`mediasoup`](crate::room::mediasoup).
use std::time::Instant;

use serde_json::Value;

use super::{Input, Server, SessionId};
use crate::room::mediasoup::{Action, MediasoupError};

impl Server {
    /// Opens a session whose messages the application carries itself: what the client sends goes to
    /// [`Self::receive_request`] and [`Self::receive_notification`], and every [`Output::Message`](super::Output::Message) of it is
    /// a notification for the client. [`Input::Closed`] ends it. A session id that is in use is ignored.
    pub fn attach(&mut self, now: Instant, session: SessionId, room_id: &str) {
        self.handle_input(now, Input::Timeout);
        self.rooms.attach(session, room_id);
    }

    /// Takes a request of a client. The answer, `null` where the protocol has none to give, has to reach the client before what
    /// is polled afterwards.
    pub fn receive_request(
        &mut self,
        now: Instant,
        session: SessionId,
        request: &Value,
    ) -> Result<Value, MediasoupError> {
        self.handle_input(now, Input::Timeout);
        let answer = self.rooms.receive_request(&mut self.sfu, now, session, request);
        self.settle(now);
        answer
    }

    /// Takes a notification of a client. An error is for the log: the client is not told.
    pub fn receive_notification(
        &mut self,
        now: Instant,
        session: SessionId,
        notification: &Value,
    ) -> Result<(), MediasoupError> {
        self.handle_input(now, Input::Timeout);
        let outcome = self.rooms.receive_notification(&mut self.sfu, now, session, notification);
        self.settle(now);
        outcome
    }

    /// Does something to a peer of version 2 or to one of its objects.
    pub fn act(
        &mut self,
        now: Instant,
        room_id: &str,
        peer_name: &str,
        action: Action,
    ) -> Result<(), MediasoupError> {
        self.handle_input(now, Input::Timeout);
        let outcome = self.rooms.act(&mut self.sfu, now, room_id, peer_name, action);
        self.settle(now);
        outcome
    }

    /// Reports from now on how loud the producers of a room are and who speaks, by events: see
    /// [`Event::AudioLevels`](crate::event::Event::AudioLevels).
    pub fn observe_audio(&mut self, now: Instant, room_id: &str) -> Result<(), MediasoupError> {
        self.handle_input(now, Input::Timeout);
        self.rooms.observe_audio(&mut self.sfu, now, room_id)
    }

    /// Closes a room with everybody in it.
    pub fn close_room(&mut self, now: Instant, room_id: &str) -> Result<(), MediasoupError> {
        self.handle_input(now, Input::Timeout);
        let outcome = self.rooms.close_room(&mut self.sfu, now, room_id);
        self.settle(now);
        outcome
    }
}
