//! What clients and servers of a world hear and say, and who listens to it.
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use sansfu::event::Event;
use sansfu::server::{Action, ExchangeId, HttpRequest, HttpResponse, Server, SessionId};

/// A program on a machine of its own, at the other end of the networks.
pub trait Client: fmt::Debug {
    /// Takes what has reached it.
    fn hear(&mut self, now: Instant, heard: Heard<'_>);

    /// Does what is due at `now`, appends what it says, and tells when it wants to be called again at the latest.
    fn poll(&mut self, now: Instant, said: &mut Vec<Said>) -> Option<Instant>;
}

/// What reaches a client.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A datagram came to one of its ports.
    Datagram {
        /// The client's own address, behind its NAT.
        local: SocketAddr,
        /// The server's address.
        from: SocketAddr,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The WebSocket that it asked for is open.
    Opened,
    /// A text frame.
    Message(&'a str),
    /// The server has closed the WebSocket.
    Closed(u16),
    /// An answer to the HTTP request that it made under this number.
    Response(u64, &'a HttpResponse),
}

/// What a client says.
#[derive(Debug, Clone)]
pub enum Said {
    /// A datagram, from one of its ports.
    Datagram {
        /// The client's own address, behind its NAT.
        local: SocketAddr,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// It opens a WebSocket; one that it had is closed.
    Open {
        /// The room to be in.
        room_id: String,
        /// The peer to be.
        peer_id: String,
    },
    /// A text frame on its WebSocket.
    Message(String),
    /// It closes its WebSocket.
    Close,
    /// An HTTP request to the worker that has a room.
    Http {
        /// The client's number for it.
        number: u64,
        /// The room.
        room_id: String,
        /// The method.
        method: String,
        /// Path and query.
        target: String,
        /// The type of the body.
        content_type: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
}

/// What a server was told.
#[derive(Debug)]
pub enum Told<'a> {
    /// Its deadline has come.
    Timeout,
    /// A datagram.
    Datagram {
        /// From whom, as it sees it.
        remote: SocketAddr,
        /// The bytes as they came.
        bytes: &'a [u8],
    },
    /// A WebSocket was opened.
    Opened {
        /// Its name.
        session: SessionId,
        /// The room.
        room_id: &'a str,
        /// The peer.
        peer_id: &'a str,
    },
    /// A text frame.
    Message {
        /// From which WebSocket.
        session: SessionId,
        /// The frame.
        text: &'a str,
    },
    /// A WebSocket was closed.
    Closed {
        /// Which.
        session: SessionId,
    },
    /// An HTTP request.
    Http {
        /// Its name.
        exchange: ExchangeId,
        /// Method and target.
        request: &'a HttpRequest<'a>,
    },
    /// What its application does to a peer of version 2.
    Act {
        /// The room.
        room_id: &'a str,
        /// The peer.
        peer_name: &'a str,
        /// What it does.
        action: &'a Action,
    },
}

/// What a server did about it.
#[derive(Debug, Clone)]
pub enum Done {
    /// It sent a datagram.
    Datagram {
        /// Where to.
        remote: SocketAddr,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// It sent a text frame.
    Message {
        /// On which WebSocket.
        session: SessionId,
        /// The frame.
        text: String,
    },
    /// It closed a WebSocket.
    Close {
        /// Which.
        session: SessionId,
        /// Why.
        code: u16,
    },
    /// It answered an HTTP request.
    Response {
        /// Which.
        exchange: ExchangeId,
        /// The answer.
        response: HttpResponse,
    },
    /// It reported an event.
    Event(Event),
    /// What its application was answered.
    Acted(Result<(), String>),
}

/// One input of a server with everything that followed from it.
#[derive(Debug)]
pub struct Step<'a> {
    /// The time.
    pub now: Instant,
    /// Which server.
    pub node: usize,
    /// What it was told.
    pub told: &'a Told<'a>,
    /// What it did, in order.
    pub done: &'a [Done],
}

/// Judges what servers do.
pub trait Observer: fmt::Debug {
    /// A step of a server is complete. `server` is as the step has left it.
    fn observe(&mut self, step: &Step<'_>, server: &Server);
}

/// Accepts everything.
impl Observer for () {
    fn observe(&mut self, _step: &Step<'_>, _server: &Server) {}
}
