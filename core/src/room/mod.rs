//! Rooms and peers, and the room protocol of the mediasoup demo application over protoo.
pub mod close_code;
mod limits;

pub use limits::Limits;

/// Names a session: one WebSocket connection with sub-protocol `protoo`. Chosen by the runtime, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);
