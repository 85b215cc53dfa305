//! What goes into an `Sfu` and what comes out.
use std::net::SocketAddr;
use std::time::Instant;

use crate::event::Event;
use crate::id::TransportId;

/// The transport protocol of a datagram.
pub use crate::ice::Protocol;
pub use crate::outbox::TransmitClass;

/// A datagram as it came from a socket. It is decrypted in place.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The address of ours that it came to.
    pub local: SocketAddr,
    /// The address that it came from.
    pub remote: SocketAddr,
    /// How it came.
    pub protocol: Protocol,
    /// Its bytes; what is left in them afterwards is of no use.
    pub payload: &'a mut [u8],
}

/// What an [`Sfu`](super::Sfu) is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came.
    Datagram(Datagram<'a>),
    /// The socket of an [`Output::Listen`] could not be bound: the transport is closed with an event, and its port is given out
    /// again only after all others. Nothing is to be said of those that could.
    ListenFailed {
        /// The transport. Harmless when it is gone.
        transport_id: TransportId,
        /// The address.
        local: SocketAddr,
    },
    /// The socket had no room for the last so many datagrams of the transmit that was polled last, and they were dropped.
    /// What may be dropped, [`TransmitClass`] tells. The estimate of the path learns of it; nothing is sent again by itself.
    Dropped {
        /// How many.
        datagrams: usize,
    },
    /// The time of the last [`Output::Timeout`] has come. Harmless when it has not.
    Timeout,
}

/// One or more datagrams for one destination.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// The address of ours to send from.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// How.
    pub protocol: Protocol,
    /// What to do when there is no room for it.
    pub class: TransmitClass,
    /// The datagrams, back to back.
    pub payload: &'a [u8],
    /// The length of each datagram but the last, which may be shorter; `None`: there is one.
    pub segment_size: Option<usize>,
}

/// When the machine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The time, after the last input's; `None` when nothing is waited for.
    pub at: Option<Instant>,
    /// For debugging: whose timer it is.
    pub reason: Option<TransportId>,
}

/// What an [`Sfu`](super::Sfu) wants done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send this.
    Transmit(Transmit<'a>),
    /// Bind a socket to this address and receive on it, for a transport that has a port of its own
    /// ([`Config::transport_ports`](crate::config::Config::transport_ports)). Its client has been told of the port already, or is
    /// being told. If it cannot be bound: [`Input::ListenFailed`].
    Listen {
        /// The transport.
        transport_id: TransportId,
        /// The address.
        local: SocketAddr,
    },
    /// Close the socket of this address, if it was bound. What the transport had to say at its end comes before.
    Unlisten {
        /// The address.
        local: SocketAddr,
    },
    /// This happened.
    Event(Event),
    /// Nothing else is queued: wait for input, at most until then.
    Timeout(Deadline),
}
