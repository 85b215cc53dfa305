//! One core instance with its sockets, its sessions and the HTTP requests that await its answers.
//!
//! A runtime's media loop calls, again and again: [`Worker::wait`] until a socket can be read, the front end has something, or the
//! deadline comes; [`Worker::receive`]; [`Worker::signal`] for what the front end has sent; and then [`Worker::drain`].
//!
//! Invariant: no call waits for anything. What a client does not take fast enough costs that client its session.
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sansfu::id::TransportId;
use sansfu::server::settings::{Activity, LogTag, Settings};
use sansfu::server::{
    Datagram, ExchangeId, HttpRequest, HttpResponse, Input, Output, Protocol, Secret, Server, SessionId,
};

use crate::{Counters, LiveSettings, MediaSockets, pinning};

/// RFC 6455 section 7.4.1: the server goes down.
const GOING_AWAY: u16 = 1001;

/// The kernel is asked at most this often what it has dropped.
const OVERFLOWS_INTERVAL: Duration = Duration::from_secs(1);

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
    /// The `Authorization` field.
    pub authorization: Option<Secret>,
    /// The body.
    pub body: Vec<u8>,
}

/// A core instance with its hands.
pub struct Worker {
    index: usize,
    server: Server,
    sockets: MediaSockets,
    sessions: BTreeMap<SessionId, SessionSink>,
    exchanges: BTreeMap<ExchangeId, Box<dyn FnOnce(HttpResponse) + Send>>,
    next_exchange: u64,
    live_settings: LiveSettings,
    activity: Activity,
    counters: Arc<Counters>,
    pinned: bool,
    /// When the kernel is asked next what it has dropped.
    overflows_due: Instant,
}

/// What could not be done for the core.
#[derive(Debug, Default)]
struct Failed {
    /// Sessions that do not take what is for them.
    sessions: Vec<SessionId>,
    /// Sockets that could not be bound.
    listens: Vec<(TransportId, SocketAddr)>,
}

impl Worker {
    /// Worker number `index` around `server`, which offers the addresses of `sockets`.
    pub fn new(
        index: usize,
        server: Server,
        sockets: MediaSockets,
        live_settings: LiveSettings,
        counters: Arc<Counters>,
    ) -> Worker {
        Worker {
            index,
            server,
            sockets,
            sessions: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            next_exchange: 0,
            live_settings,
            activity: Activity::new(Instant::now()),
            counters,
            pinned: false,
            overflows_due: Instant::now(),
        }
    }

    /// With the setting that is about its thread: whether it stays on one core.
    #[must_use]
    pub fn with_settings(mut self, settings: &Settings) -> Worker {
        self.pinned = settings.pin_workers;
        self
    }

    /// Keeps this thread on a core of its own, if that was asked for. To be called by the thread that runs the worker.
    pub fn pin(&self) {
        let index = self.index;
        if self.pinned
            && let Err(error) = pinning::pin_thread(index)
        {
            tracing::warn!(worker = index, "cannot be kept on one core: {error}");
        }
    }

    /// Waits until a socket can be read, somebody notifies its poller, or the time is over; `None`: for as long as it takes.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.sockets.wait(timeout)
    }

    /// Notes which sockets may be read, for those who have waited by [`MediaSockets::readiness`].
    pub fn look(&mut self) -> io::Result<()> {
        self.sockets.look()
    }

    /// Takes what the sockets have that could be read, up to some batches, and sends what full ones have room for again. Returns
    /// whether there may be more to read.
    pub fn receive(&mut self) -> bool {
        let Worker { server, sockets, counters, .. } = self;
        sockets.flush(counters);
        let mut now = None;
        sockets.receive(counters, |local, remote, payload| {
            let now = *now.get_or_insert_with(Instant::now);
            let datagram = Datagram { local, remote, protocol: Protocol::Udp, payload };
            server.handle_input(now, Input::Datagram(datagram));
        })
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
                self.count_overflows(now);
                let exchange = ExchangeId(self.next_exchange);
                self.next_exchange += 1;
                self.exchanges.insert(exchange, respond);
                let request = HttpRequest {
                    method: &request.method,
                    target: &request.target,
                    content_type: request.content_type.as_deref(),
                    if_match: request.if_match.as_deref(),
                    authorization: request.authorization.as_ref(),
                    body: &request.body,
                };
                self.server.handle_input(now, Input::Http { exchange, request });
            }
            Signal::Stop => self.stop(now),
        }
    }

    /// Tells the core the time, when `deadline` has come; and the log what there was.
    pub fn expire(&mut self, deadline: Option<Instant>) {
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.server.handle_input(now, Input::Timeout);
        }
        self.log_activity(now);
    }

    /// Does all that the core wants done, and returns when it wants to be woken.
    pub fn drain(&mut self) -> Option<Instant> {
        loop {
            let mut failed = Failed::default();
            let deadline = self.drain_once(&mut failed);
            if failed.sessions.is_empty() && failed.listens.is_empty() {
                return deadline;
            }
            let now = Instant::now();
            for session in failed.sessions {
                self.counters.sessions_too_slow.fetch_add(1, Ordering::Relaxed);
                self.close(now, session, "too slow, or gone");
            }
            for (transport_id, local) in failed.listens {
                self.server.handle_input(now, Input::ListenFailed { transport_id, local });
            }
        }
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its sockets.
    pub fn sockets(&self) -> &MediaSockets {
        &self.sockets
    }

    /// Does what the core wants done, until that is to wait. What could not be done is put into `failed`.
    fn drain_once(&mut self, failed: &mut Failed) -> Option<Instant> {
        let worker = self.index;
        loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => {
                    let datagrams = self.sockets.send(&transmit, &self.counters);
                    if datagrams > 0 {
                        self.server.handle_input(Instant::now(), Input::Dropped { datagrams });
                    }
                }
                Output::Listen { transport_id, local } => {
                    if let Err(error) = self.sockets.bind(local) {
                        tracing::warn!(worker, "cannot listen on UDP {local}: {error}");
                        failed.listens.push((transport_id, local));
                    }
                }
                Output::Unlisten { local } => self.sockets.close(local),
                Output::Message { session, text } => {
                    let sink = self.sessions.get_mut(&session);
                    if sink.is_some_and(|sink| !sink(ToSession::Text(text))) {
                        failed.sessions.push(session);
                    }
                }
                Output::Close { session, code, reason } => {
                    tracing::info!(worker, session = session.0, code, reason, "session closed");
                    if let Some(mut sink) = self.sessions.remove(&session) {
                        sink(ToSession::Close { code, reason });
                    }
                }
                Output::Response { exchange, response } => {
                    if let Some(respond) = self.exchanges.remove(&exchange) {
                        respond(response);
                    }
                }
                Output::Event(event) => {
                    let tag = LogTag::of(&event);
                    if self.live_settings.logs(tag) {
                        tracing::debug!(worker, tag = tag.as_str(), ?event);
                    }
                }
                Output::Timeout(deadline) => return deadline.at,
            }
        }
    }

    fn log_activity(&mut self, now: Instant) {
        if !self.activity.is_due(now) {
            return;
        }
        for (tag, counts) in self.activity.take(now, &self.server.sfu().stats()) {
            if self.live_settings.logs(tag) {
                tracing::debug!(worker = self.index, tag = tag.as_str(), "{counts}");
            }
        }
    }

    /// Asks the kernel what it has dropped, for statistics that may be asked for. Not each time: a worker may have thousands of
    /// sockets, and anybody can send requests.
    fn count_overflows(&mut self, now: Instant) {
        if self.overflows_due <= now {
            self.overflows_due = now + OVERFLOWS_INTERVAL;
            self.sockets.count_overflows(&self.counters);
        }
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
