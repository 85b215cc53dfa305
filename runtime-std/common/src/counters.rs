//! What a runtime counts beside the core.
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one running server; they are part of its statistics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams that the kernel had no room for, dropped.
    pub sends_dropped: AtomicU64,
    /// Datagrams that the kernel had no room for, sent later.
    pub sends_held: AtomicU64,
    /// Datagrams that the kernel refused: no route, too long.
    pub send_errors: AtomicU64,
    /// Datagrams that the kernel dropped because they were not read fast enough.
    pub receive_overflows: AtomicU64,
    /// Datagrams that were read too late to be of use, dropped.
    pub received_too_late: AtomicU64,
    /// Batches that could not be received.
    pub receive_errors: AtomicU64,
    /// Datagrams from port 0.
    pub dropped_port_zero: AtomicU64,
    /// HTTP connections refused because there were too many.
    pub connections_refused: AtomicU64,
    /// Sessions closed because the client did not read fast enough.
    pub sessions_too_slow: AtomicU64,
    /// Sessions closed because the client was silent for too long.
    pub sessions_silent: AtomicU64,
    /// Sessions closed for a message that is too long, not text or malformed.
    pub sessions_malformed: AtomicU64,
}

impl Counters {
    /// The counters as a JSON object, to be merged with those of the core.
    pub fn to_json(&self) -> String {
        let fields = [
            ("sendsDropped", &self.sends_dropped),
            ("sendsHeld", &self.sends_held),
            ("sendErrors", &self.send_errors),
            ("receiveOverflows", &self.receive_overflows),
            ("receivedTooLate", &self.received_too_late),
            ("receiveErrors", &self.receive_errors),
            ("droppedPortZero", &self.dropped_port_zero),
            ("connectionsRefused", &self.connections_refused),
            ("sessionsTooSlow", &self.sessions_too_slow),
            ("sessionsSilent", &self.sessions_silent),
            ("sessionsMalformed", &self.sessions_malformed),
        ];
        let fields = fields.map(|(name, counter)| format!("\"{name}\":{}", counter.load(Ordering::Relaxed)));
        format!("{{{}}}", fields.join(","))
    }
}
