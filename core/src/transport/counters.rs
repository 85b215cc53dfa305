//! What a transport has carried.
use std::time::Instant;

use crate::rate::RateCounter;

/// Bytes and rate of one kind of traffic.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Bytes so far.
    pub bytes: u64,
    rate: RateCounter,
}

/// The traffic of a transport by kind.
#[derive(Debug, Clone, Default)]
pub struct TransportCounters {
    /// All datagrams received.
    pub received: Traffic,
    /// All datagrams sent.
    pub sent: Traffic,
    /// RTP received, retransmissions apart.
    pub rtp_received: Traffic,
    /// RTP sent, retransmissions apart.
    pub rtp_sent: Traffic,
    /// Retransmissions received.
    pub rtx_received: Traffic,
    /// Retransmissions sent.
    pub rtx_sent: Traffic,
    /// Padding sent to probe for bandwidth.
    pub probation_sent: Traffic,
}

impl Traffic {
    /// Counts a datagram.
    #[inline]
    pub fn add(&mut self, now: Instant, bytes: usize) {
        self.bytes += bytes as u64;
        self.rate.add(now, bytes);
    }

    /// Bits a second over the last second.
    pub fn rate_bps(&self, now: Instant) -> u64 {
        self.rate.rate_bps(now)
    }
}
