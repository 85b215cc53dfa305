//! sansfu: a selective forwarding unit for WebRTC with mediasoup's model, as a pure state machine.
//!
//! Datagrams, timestamps and signaling messages go in; datagrams, messages, events and one deadline come out. The crate
//! opens no socket, reads no clock, starts no thread and draws no randomness of its own.
#![forbid(unsafe_code)]

// Floor 0: base.
pub mod arena;
pub mod clock;
pub mod id;
pub mod rate;
pub mod ring;
pub mod rng;
pub mod seq;
pub mod timer;

// Floor 1: bytes, and the RTP dictionaries with their negotiation.
pub mod error;
pub mod ortc;
pub mod wire;

// Floor 2: one connection, one stream, one path.
pub mod bwe;
pub mod dtls;
pub mod ice;
pub mod srtp;
pub mod stream;

// Floor 2 as well: what objects are described with.
pub mod config;
pub mod event;
pub mod model;
pub mod stats;

// What waits to leave; floors 3 to 5: media objects, transports, routers.
pub mod allocate;
pub mod consumer;
pub mod observer;
pub mod outbox;
pub mod producer;
pub mod router;
pub mod transport;

// Floor 6: the whole media machine.
pub mod demux;
pub mod sfu;

// Floor 7: signaling. `server` stands on `room` and on `webrtc` (SDP, WHIP, WHEP).
pub mod room;
pub mod server;
pub mod webrtc;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
