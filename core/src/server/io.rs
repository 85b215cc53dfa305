//! What goes into a `Server` and what comes out.
use std::net::SocketAddr;

use crate::event::Event;
use crate::id::TransportId;
pub use crate::room::SessionId;
pub use crate::sfu::{Datagram, Deadline, Protocol, Transmit, TransmitClass};

use super::http::{HttpRequest, HttpResponse};

/// Names an HTTP request that awaits its one response. Chosen by the runtime, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// What a [`Server`](super::Server) is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram(Datagram<'a>),
    /// The socket of an [`Output::Listen`] could not be bound.
    ListenFailed {
        /// The transport.
        transport_id: TransportId,
        /// The address.
        local: SocketAddr,
    },
    /// The socket had no room for the last so many datagrams of the transmit that was polled last, and they were dropped.
    Dropped {
        /// How many.
        datagrams: usize,
    },
    /// The time of the last [`Output::Timeout`] has come. Harmless when it has not.
    Timeout,
    /// A WebSocket was accepted ([`Route::WebSocket`](super::edge::Route::WebSocket)).
    Opened {
        /// Its name from now on.
        session: SessionId,
        /// The room that it wants to be in.
        room_id: &'a str,
        /// The peer that it is.
        peer_id: &'a str,
    },
    /// A text frame came.
    Message {
        /// The WebSocket.
        session: SessionId,
        /// The frame.
        text: &'a str,
    },
    /// A WebSocket was closed by the client or broke. Harmless when it was closed by [`Output::Close`] already.
    Closed {
        /// The WebSocket.
        session: SessionId,
    },
    /// An HTTP request came that [`route`](super::edge::route) did not answer. It gets exactly one [`Output::Response`].
    Http {
        /// Its name in the response.
        exchange: ExchangeId,
        /// The request.
        request: HttpRequest<'a>,
    },
}

/// What a [`Server`](super::Server) wants done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send this.
    Transmit(Transmit<'a>),
    /// Bind a socket to this address and receive on it; if that fails: [`Input::ListenFailed`]. Only with
    /// [`Config::transport_ports`](crate::config::Config::transport_ports).
    Listen {
        /// The transport whose it is.
        transport_id: TransportId,
        /// The address.
        local: SocketAddr,
    },
    /// Close the socket of this address, if it was bound.
    Unlisten {
        /// The address.
        local: SocketAddr,
    },
    /// Send a text frame. The frames of a session are in order.
    Message {
        /// The WebSocket.
        session: SessionId,
        /// The frame.
        text: String,
    },
    /// Close a WebSocket, after the frames before. Nothing more comes for it; messages that it still sends are ignored.
    Close {
        /// The WebSocket.
        session: SessionId,
        /// The close code, see [`close_code`](crate::room::close_code).
        code: u16,
        /// Why, for people; at most 123 bytes (RFC 6455 section 5.5).
        reason: String,
    },
    /// Answer an HTTP request.
    Response {
        /// The request.
        exchange: ExchangeId,
        /// The answer.
        response: HttpResponse,
    },
    /// This happened; for observers, the server itself has dealt with it.
    Event(Event),
    /// Nothing else is queued: wait for input, at most until then.
    Timeout(Deadline),
}
