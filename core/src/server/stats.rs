//! Counters of a `Server`.
use serde::{Deserialize, Serialize};

use crate::stats::SfuStats;

/// What a server holds, what went through it, and everything that was refused, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStats {
    /// Of the media machine.
    #[serde(flatten)]
    pub sfu: SfuStats,
    /// Rooms now.
    pub rooms: u64,
    /// Peers now.
    pub peers: u64,
    /// Sessions now.
    pub sessions: u64,
    /// WHIP resources now.
    pub whip_resources: u64,
    /// WHEP resources now.
    pub whep_resources: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// HTTP requests received.
    pub http_requests: u64,
    /// Refused: malformed messages.
    pub refused_malformed_messages: u64,
    /// Refused: requests of sessions that were answered with an error.
    pub refused_requests: u64,
    /// Refused: HTTP requests that were answered with status 4xx or 5xx.
    pub refused_http_requests: u64,
    /// Refused: sessions and peers beyond a limit.
    pub refused_limit: u64,
    /// Sessions closed: replaced by a newer one of the same peer.
    pub closed_replaced: u64,
    /// Sessions closed: too many malformed messages.
    pub closed_malformed: u64,
    /// Sessions closed: too much queued for them.
    pub closed_queue_full: u64,
    /// Requests to clients that were not answered in time.
    pub client_requests_timed_out: u64,
}
