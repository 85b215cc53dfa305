//! A client's media without a network: RTP and RTCP in the clear go in and come out.
pub mod congestion;
pub mod encoder;
pub mod feedback;
pub mod frame;
pub mod layers;
pub mod random;
pub mod receiver;
pub mod sender;
pub mod track;

pub use frame::{Marks, Mismatch, recognise};
pub use layers::Layers;
pub use receiver::{FrameId, RtpReceiver, Violation};
pub use sender::RtpSender;
pub use track::{Codec, TrackSpec};

#[cfg(test)]
mod tests;
