//! Codes with which sessions are closed (RFC 6455 section 7.4.2: 4000 to 4999 are the application's).
//!
//! protoo clients connect again after every code but 4000: the two reasons to stay away have that one.

/// A newer session of the same peer has come: stay away.
pub const REPLACED: u16 = 4000;
/// The operator has closed the peer: stay away, too.
pub const KICKED: u16 = 4000;
/// The ids are not usable, or too many messages were malformed.
pub const MALFORMED: u16 = 4400;
/// Too much is queued for the client: it reads too slowly.
pub const QUEUE_FULL: u16 = 4408;
/// The media connection was lost: ICE consent expired or the DTLS handshake failed.
pub const MEDIA_LOST: u16 = 4410;
/// The application has closed the room.
pub const ROOM_CLOSED: u16 = 4404;
/// A fault of the server closed the room.
pub const INTERNAL_ERROR: u16 = 4500;
/// There is no space for another room or peer.
pub const LIMIT_REACHED: u16 = 4503;
