//! One core instance with its sockets, its sessions and the HTTP requests that await its answers.
//!
//! A runtime's media loop calls, again and again: [`Worker::receive`], [`Worker::signal`] for what the front end has sent,
//! then [`Worker::drain`], and then waits until a socket can be read, the front end has something, or the deadline comes.
//!
//! Invariant: no call waits for anything. What a client does not take fast enough costs that client its session.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use sansfu::server::{
    Datagram, ExchangeId, HttpRequest, HttpResponse, Input, Output, Protocol, Server, SessionId,
};

use crate::{Counters, MediaSocket, ReceiveBuffers};

/// Batches taken from one socket before its output is sent: enough for long runs of segments, and short in time.
const MAX_BATCHES_PER_TURN: usize = 4;

/// RFC 6455 section 7.4.1: the server goes down.
const GOING_AWAY: u16 = 1001;

/// Puts something for a session where its thread or task finds it, without waiting. `false`: there is no room, or nobody.
pub type SessionSink = Box<dyn FnMut(ToSession) -> bool + Send>;

/// What a session's WebSocket has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSession {
    /// Send a text frame.
    Text(String),
    /// Send a close frame, and end.
    Close {
        /// The close code.
        code: u16,
        /// Why, for people.
        reason: String,
    },
}

impl ToSession {
    /// How much of a session's budget it takes, in bytes.
    pub fn cost_bytes(&self) -> usize {
        match self {
            ToSession::Text(text) => text.len(),
            ToSession::Close { .. } => 0,
        }
    }
}

/// What the front end tells a worker.
pub enum Signal {
    /// A WebSocket was accepted.
    Opened {
        /// Its name, never used before.
        session: SessionId,
        /// The room asked for.
        room_id: String,
        /// The peer that it is.
        peer_id: String,
        /// Where its frames go.
        sink: SessionSink,
    },
    /// A text frame came.
    Message {
        /// The WebSocket.
        session: SessionId,
        /// The frame.
        text: String,
    },
    /// A WebSocket has ended.
    Closed {
        /// The WebSocket.
        session: SessionId,
    },
    /// An HTTP request came.
    Http {
        /// The request.
        request: OwnedRequest,
        /// Takes the answer, without waiting.
        respond: Box<dyn FnOnce(HttpResponse) + Send>,
    },
    /// The server ends: close all sessions.
    Stop,
}

/// An HTTP request on its way to a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedRequest {
    /// The method.
    pub method: String,
    /// Path and query as received.
    pub target: String,
    /// The `Content-Type` field.
    pub content_type: Option<String>,
    /// The `If-Match` field.
    pub if_match: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A core instance with its hands.
pub struct Worker {
    index: usize,
    server: Server,
    sockets: Vec<MediaSocket>,
    buffers: ReceiveBuffers,
    sessions: BTreeMap<SessionId, SessionSink>,
    exchanges: BTreeMap<ExchangeId, Box<dyn FnOnce(HttpResponse) + Send>>,
    next_exchange: u64,
    counters: Arc<Counters>,
}

impl Worker {
    /// Worker number `index` around `server`, which offers the addresses of `sockets`.
    pub fn new(index: usize, server: Server, sockets: Vec<MediaSocket>, counters: Arc<Counters>) -> Worker {
        Worker {
            index,
            server,
            sockets,
            buffers: ReceiveBuffers::new(),
            sessions: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            next_exchange: 0,
            counters,
        }
    }

    /// Takes what the sockets have, up to some batches. Returns whether there may be more.
    pub fn receive(&mut self) -> bool {
        let Worker { server, sockets, buffers, counters, .. } = self;
        let mut more = false;
        for socket in sockets {
            let local = socket.local();
            let mut batches = 0;
            loop {
                let mut now = None;
                let full = socket.receive(buffers, counters, |remote, payload| {
                    let now = *now.get_or_insert_with(Instant::now);
                    let datagram = Datagram { local, remote, protocol: Protocol::Udp, payload };
                    server.handle_input(now, Input::Datagram(datagram));
                });
                batches += 1;
                if !full || batches == MAX_BATCHES_PER_TURN {
                    more |= full;
                    break;
                }
            }
        }
        more
    }

    /// Takes what the front end has sent.
    pub fn signal(&mut self, signal: Signal) {
        let now = Instant::now();
        match signal {
            Signal::Opened { session, room_id, peer_id, sink } => {
                tracing::info!(worker = self.index, session = session.0, room_id, peer_id, "session opened");
                self.sessions.insert(session, sink);
                let input = Input::Opened { session, room_id: &room_id, peer_id: &peer_id };
                self.server.handle_input(now, input);
            }
            Signal::Message { session, text } => {
                self.server.handle_input(now, Input::Message { session, text: &text });
            }
            Signal::Closed { session } => self.close(now, session, "its connection ended"),
            Signal::Http { request, respond } => {
                let exchange = ExchangeId(self.next_exchange);
                self.next_exchange += 1;
                self.exchanges.insert(exchange, respond);
                let request = HttpRequest {
                    method: &request.method,
                    target: &request.target,
                    content_type: request.content_type.as_deref(),
                    if_match: request.if_match.as_deref(),
                    body: &request.body,
                };
                self.server.handle_input(now, Input::Http { exchange, request });
            }
            Signal::Stop => self.stop(now),
        }
    }

    /// Tells the core the time, when `deadline` has come.
    pub fn expire(&mut self, deadline: Option<Instant>) {
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.server.handle_input(now, Input::Timeout);
        }
    }

    /// Does all that the core wants done, and returns when it wants to be woken.
    pub fn drain(&mut self) -> Option<Instant> {
        loop {
            let mut too_slow = Vec::new();
            let deadline = loop {
                match self.server.poll_output() {
                    Output::Transmit(transmit) => {
                        if let Some(socket) =
                            self.sockets.iter().find(|socket| socket.local() == transmit.local)
                        {
                            socket.send(
                                transmit.remote,
                                transmit.payload,
                                transmit.segment_size,
                                &self.counters,
                            );
                        }
                    }
                    Output::Message { session, text } => {
                        let sink = self.sessions.get_mut(&session);
                        if sink.is_some_and(|sink| !sink(ToSession::Text(text))) {
                            too_slow.push(session);
                        }
                    }
                    Output::Close { session, code, reason } => {
                        tracing::info!(
                            worker = self.index,
                            session = session.0,
                            code,
                            reason,
                            "session closed"
                        );
                        if let Some(mut sink) = self.sessions.remove(&session) {
                            sink(ToSession::Close { code, reason });
                        }
                    }
                    Output::Response { exchange, response } => {
                        if let Some(respond) = self.exchanges.remove(&exchange) {
                            respond(response);
                        }
                    }
                    Output::Event(event) => tracing::debug!(worker = self.index, ?event),
                    Output::Timeout(deadline) => break deadline.at,
                }
            };
            if too_slow.is_empty() {
                return deadline;
            }
            let now = Instant::now();
            for session in too_slow {
                self.counters.sessions_too_slow.fetch_add(1, Ordering::Relaxed);
                self.close(now, session, "too slow, or gone");
            }
        }
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its sockets.
    pub fn sockets(&self) -> &[MediaSocket] {
        &self.sockets
    }

    fn stop(&mut self, now: Instant) {
        while let Some((session, mut sink)) = self.sessions.pop_first() {
            sink(ToSession::Close { code: GOING_AWAY, reason: "the server stops".to_owned() });
            self.server.handle_input(now, Input::Closed { session });
        }
        // Whoever awaits an answer sees that there will be none.
        self.exchanges.clear();
    }

    /// Forgets a session, if it is still there; dropping its sink ends its WebSocket.
    fn close(&mut self, now: Instant, session: SessionId, why: &str) {
        if self.sessions.remove(&session).is_some() {
            tracing::info!(worker = self.index, session = session.0, why, "session closed");
            self.server.handle_input(now, Input::Closed { session });
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}
