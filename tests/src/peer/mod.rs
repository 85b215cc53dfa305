//! A client of the simulated world that shares no code with the server: its own packets, its own state machines.
pub mod media;
pub mod rtcp;
pub mod rtp;
