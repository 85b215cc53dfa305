//! Counters of a `Server`.
use serde::{Deserialize, Serialize};

use crate::room::RoomsStats;
use crate::stats::SfuStats;

/// What a server holds, what went through it, and everything that was refused, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStats {
    /// Of the media machine.
    #[serde(flatten)]
    pub sfu: SfuStats,
    /// Of the rooms.
    #[serde(flatten)]
    pub rooms: RoomsStats,
    /// Of the HTTP resources.
    #[serde(flatten)]
    pub http: HttpStats,
}

/// Counters of the HTTP face.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpStats {
    /// WHIP resources now.
    pub whip_resources: u64,
    /// WHEP resources now.
    pub whep_resources: u64,
    /// HTTP requests received.
    pub http_requests: u64,
    /// Refused: HTTP requests that were answered with status 4xx or 5xx.
    pub refused_http_requests: u64,
}
