//! The server-side `RTCPeerConnection`: SDP offers in, SDP answers out, for WHIP (RFC 9725) and WHEP.
//!
//! An offer is read by a typed parser ([`sdp`]), turned into the same dictionaries that a mediasoup client would send, and put
//! to the same requests of the [`Sfu`]; the answer is written from what the `Sfu` made of them. Nothing is kept here
//! but a [`Session`] per resource, which the caller stores.
//!
//! The server is an ICE-Lite answerer: one transport for all (`max-bundle`, RFC 8843), RTCP multiplexed (RFC 5761).

mod answer;
mod candidate;
mod dictionary;
mod error;
mod patch;
mod publish;
mod resource;
pub mod sdp;
mod session;
#[cfg(test)]
mod sfu_tests;
#[cfg(test)]
mod tests;
mod watch;

pub use error::WebRtcError;
pub use patch::{Fragment, Patched, patch};
pub use publish::{Published, publish};
pub use session::Session;
pub use watch::{Watched, watch};

#[cfg(doc)]
use crate::sfu::Sfu;
