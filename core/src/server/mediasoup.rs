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
    ///
    /// ```
    /// use std::time::{Instant, SystemTime};
    /// use sansfu::config::{Config, ListenAddress};
    /// use sansfu::server::{Output, Server, ServerConfig, SessionId};
    /// use serde_json::{Value, json};
    ///
    /// let listen = vec![ListenAddress { local: "127.0.0.1:40000".parse()?, announced: None }];
    /// let config = ServerConfig { sfu: Config { listen, ..Config::default() }, ..ServerConfig::default() };
    /// let now = Instant::now();
    /// let mut server = Server::new(config, [7; 32], now, SystemTime::now())?;
    ///
    /// // Two clients that the application has connections with, of whatever kind.
    /// let (ann, ben) = (SessionId(1), SessionId(2));
    /// for (session, name) in [(ann, "ann"), (ben, "ben")] {
    ///     server.attach(now, session, "lobby");
    ///     // What a client gives to its `request` event comes in, and the answer has to go back.
    ///     let query = json!({ "method": "queryRoom", "target": "room" });
    ///     let room = server.receive_request(now, session, &query)?;
    ///     let capabilities = &room["rtpCapabilities"];
    ///     let join = json!({
    ///         "method": "join", "target": "room", "peerName": name, "rtpCapabilities": capabilities, "spy": false,
    ///     });
    ///     let joined = server.receive_request(now, session, &join)?;
    ///     println!("{name} finds {}", joined["peers"]);
    ///     // A request that is refused gives the error for the client: here the name is taken.
    ///     assert!(server.receive_request(now, session, &join).is_err());
    /// }
    /// // What a client gives to its `notify` event comes in; nothing goes back.
    /// let leave = json!({ "method": "leave", "target": "peer", "notification": true });
    /// server.receive_notification(now, ben, &leave)?;
    ///
    /// // What the clients have to be told goes out, each to its `receiveNotification`.
    /// let mut told = Vec::new();
    /// loop {
    ///     match server.poll_output() {
    ///         Output::Message { session, text } => told.push((session, serde_json::from_str::<Value>(&text)?)),
    ///         Output::Timeout(_) => break,
    ///         _ => {} // datagrams to be sent, events to be observed
    ///     }
    /// }
    /// let told: Vec<_> = told.iter().map(|(session, message)| (*session, &message["method"], &message["name"])).collect();
    /// assert_eq!(told, [(ann, &json!("newPeer"), &json!("ben")), (ann, &json!("peerClosed"), &json!("ben"))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
