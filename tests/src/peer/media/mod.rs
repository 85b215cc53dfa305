//! A client's media without a network: RTP and RTCP in the clear go in and come out, by a clock that the caller keeps.
//!
//! * [`TrackSpec`] says what is sent; [`TrackSpec::rtp_parameters`] is what to `produce` with.
//! * [`RtpSender`] makes the packets: `poll`, `deadline`, `handle_rtcp`.
//! * [`RtpReceiver`] takes what a consumer gets, asks for what is missing, and finds what a forwarder did wrong
//!   ([`Violation`]): `handle_rtp`, `handle_rtcp`, `poll`, `deadline`; `set_active` when consumer or producer pause or go on.
//! * [`feedback`] is what the receiving transport says about all of its streams: transport-wide feedback and REMB.
//!   [`congestion::TransportNumbers`] are shared by the senders of one transport.
//!
//! Nothing here knows the server's code but its dictionaries (`sansfu::ortc`).
pub mod congestion;
pub mod encoder;
pub mod feedback;
pub mod frame;
pub mod layers;
pub mod random;
pub mod receiver;
pub mod remb;
pub mod sender;
pub mod track;
mod version_2;

pub use frame::{Marks, Mismatch, recognise};
pub use layers::Layers;
pub use receiver::{CurrentLayers, FrameId, RtpReceiver, Violation};
pub use sender::RtpSender;
pub use track::{Codec, TrackSpec};

#[cfg(test)]
mod tests;
