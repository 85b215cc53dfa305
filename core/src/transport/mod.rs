//! One path to one remote endpoint.
mod bandwidth;
mod counters;
mod equalise;
mod streams;
mod webrtc;

pub use bandwidth::{BandwidthFeedback, BandwidthReport, OutgoingBandwidth, PacedPacket};
pub use counters::TransportCounters;
pub use streams::{Found, StreamRef, StreamTable};
pub use webrtc::{TransportChange, Unprotected, WebRtcTransport, WebRtcTransportParams};
