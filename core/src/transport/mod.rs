//! One path to one remote endpoint.
mod counters;
mod streams;
mod webrtc;

pub use counters::TransportCounters;
pub use streams::{Found, StreamRef, StreamTable};
pub use webrtc::{TransportChange, Unprotected, WebRtcTransport, WebRtcTransportParams};
