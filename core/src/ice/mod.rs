//! ICE-Lite (RFC 8445 section 2.5): a server that answers connectivity checks and never sends any.
//!
//! Remote credentials are never signalled and not needed. What an unproved request costs is one parse, one HMAC and a short
//! answer to where it came from; nothing is allocated before its integrity is proved.
//!
//! Invariant: the selected tuple, and every other that is known, has sent a request with valid integrity.

mod candidate;
mod server;
mod stun;

use std::net::SocketAddr;

pub use candidate::{CandidatePreferences, CandidateSource, candidates};
pub use server::{
    BindingOutcome, ConsentExpired, DropReason, IceCredentials, IceServer, IceServerConfig, Verdict,
};
pub use stun::ErrorCode;

/// The transport protocol of a datagram, or of a framed packet on a TCP connection (RFC 4571).
pub use crate::ortc::TransportProtocol as Protocol;

/// A path between an address of ours and one of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Our address.
    pub local: SocketAddr,
    /// The client's address.
    pub remote: SocketAddr,
    /// The protocol.
    pub protocol: Protocol,
}

/// How far ICE has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IceState {
    /// No valid request yet.
    New,
    /// A valid request has come; its tuple is selected.
    Connected,
    /// The client has nominated the selected tuple.
    Completed,
    /// No valid request came for the consent timeout; nothing may be sent (RFC 7675 section 5.1). A valid request leads out
    /// of it.
    Disconnected,
}

/// The username fragment of ours that a STUN message is for, by which its transport is found: O(1) for the length of a
/// datagram, and without allocation. `None` if it is no STUN, is malformed or has no USERNAME. Nothing is proved by it.
pub fn peek_username(bytes: &[u8]) -> Option<&str> {
    stun::local_username_fragment(bytes)
}

#[cfg(test)]
mod tests;
