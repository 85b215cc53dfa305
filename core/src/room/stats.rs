//! Counters of the rooms.
use serde::{Deserialize, Serialize};

/// What there is in the rooms, what went through their sessions, and everything that was refused, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomsStats {
    /// Rooms now.
    pub rooms: u64,
    /// Peers now.
    pub peers: u64,
    /// Sessions now.
    pub sessions: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Refused: malformed messages.
    pub refused_malformed_messages: u64,
    /// Refused: requests of sessions that were answered with an error.
    pub refused_requests: u64,
    /// Refused: notifications of sessions that could not be carried out.
    pub refused_notifications: u64,
    /// Refused: rooms, peers, transports and consumers beyond a limit.
    pub refused_limit: u64,
    /// Sessions closed: replaced by a newer one of the same peer.
    pub closed_replaced: u64,
    /// Sessions closed: too many malformed messages.
    pub closed_malformed: u64,
    /// Sessions closed: too much queued for them.
    pub closed_queue_full: u64,
    /// Sessions closed: their media connection was lost.
    pub closed_media_lost: u64,
    /// Peers thrown out by the operator.
    pub kicked_peers: u64,
    /// Offers of consumers that the client did not answer in time.
    pub client_requests_timed_out: u64,
}
