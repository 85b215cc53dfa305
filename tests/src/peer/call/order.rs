//! What a caller can be told to do.
use std::time::Duration;

use serde_json::Value;

use crate::peer::path::Misbehaviour;
use crate::peer::publishing::TrackKind;
use crate::sim::plan::Silence;

/// What a client is told to do. Tracks and consumers are counted modulo those that are there.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Go into a room and publish.
    Join {
        /// The room.
        room_id: String,
        /// What to publish.
        tracks: Vec<TrackKind>,
    },
    /// Close the transports and the WebSocket.
    Leave,
    /// Open the WebSocket anew, as after a break.
    Reconnect,
    /// Publish another track.
    Publish(TrackKind),
    /// Close a track's producer.
    Unpublish(u32),
    /// Pause a producer, or let it go on.
    PauseProducer(u32, bool),
    /// Stop sending a track without telling anybody, or go on.
    Mute(u32, bool),
    /// Pause a consumer, or let it go on.
    PauseConsumer(u32, bool),
    /// Make a request about a consumer: its method and what else it says.
    AskConsumer(u32, &'static str, Value),
    /// New ICE credentials for the sending (or receiving) transport.
    RestartIce {
        /// Which.
        sending: bool,
    },
    /// Close a transport by DTLS.
    CloseTransport {
        /// Which: that for sending, or that for receiving.
        sending: bool,
    },
    /// Send no checks, or nothing at all, by a transport for a while, without knowing it.
    BeSilent {
        /// Which: that for sending, or that for receiving.
        sending: bool,
        /// What is not sent.
        of: Silence,
        /// For how long.
        hold: Duration,
    },
    /// Be silent no longer.
    Speak,
    /// Ask for the statistics of everything.
    Stats,
    /// Take another name.
    Rename(String),
    /// Send hostile datagrams by a transport.
    Misbehave {
        /// Which: that for sending, or that for receiving.
        sending: bool,
        /// What.
        misbehaviour: Misbehaviour,
    },
    /// Send a frame as it is.
    Say(String),
}
