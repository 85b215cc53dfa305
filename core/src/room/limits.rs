//! A limit for everything that an outsider can make the signaling faces hold.

/// Limits of the rooms, the sessions and the HTTP resources of one [`Server`](crate::server::Server).
///
/// Invariant: whatever clients send, memory grows only within these limits; reaching one is answered clearly and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Rooms. 10,000.
    pub max_rooms: usize,
    /// Peers of a room, WHIP publishers among them. 1,000.
    pub max_peers_per_room: usize,
    /// WebRTC transports that one session may have at a time. 8.
    pub max_transports_per_peer: usize,
    /// WHEP viewers of a room. 1,000.
    pub max_viewers_per_room: usize,
    /// The longest text message of a session, in bytes; longer ones count as malformed. 256 KiB.
    pub max_message_bytes: usize,
    /// The longest HTTP body, in bytes; longer ones get status 413. 256 KiB.
    pub max_body_bytes: usize,
    /// Requests to one client that await its answer; consumers beyond that wait for their turn. 1,024.
    pub max_requests_in_flight_per_session: usize,
    /// Messages to one client that nobody has polled yet; a session with more is closed. 16,384.
    pub max_queued_messages_per_session: usize,
    /// The bytes of those messages; a session with more is closed. 32 MiB.
    pub max_queued_bytes_per_session: usize,
    /// Events for observers that nobody has polled yet; more are dropped and counted. 65,536.
    pub max_queued_events: usize,
    /// The `appData` of one producer as JSON, in bytes. 16 KiB.
    pub max_app_data_bytes: usize,
    /// Display name, and each text about the device, in bytes. 256.
    pub max_name_bytes: usize,
    /// Malformed messages after which a session is closed. 100.
    pub max_malformed_messages_per_session: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_rooms: 10_000,
            max_peers_per_room: 1_000,
            max_transports_per_peer: 8,
            max_viewers_per_room: 1_000,
            max_message_bytes: 256 << 10,
            max_body_bytes: 256 << 10,
            max_requests_in_flight_per_session: 1_024,
            max_queued_messages_per_session: 16_384,
            max_queued_bytes_per_session: 32 << 20,
            max_queued_events: 65_536,
            max_app_data_bytes: 16 << 10,
            max_name_bytes: 256,
            max_malformed_messages_per_session: 100,
        }
    }
}
