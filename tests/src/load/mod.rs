//! The load tool: clients with real ICE, DTLS and SRTP over real sockets, against any server that speaks protoo; and
//! [`memory`], the same kind of load without sockets, for measurements of the core.
//!
//! The main thread ([`crowd`]) signals: one [`client`] for each WebSocket. Media threads ([`worker`]) have the transports, each
//! a [`path`] over a socket of its own, by which a client publishes ([`publishing`], what [`source`] makes) or receives
//! ([`receiving`]). To be a small part of what it measures, the tool decrypts for few clients only, reads many packets by one
//! system call, and lets the kernel say when each came ([`socket`]): it need not hurry therefore, and what it tells the server
//! of arrivals, and the user of latency, is right all the same.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]
pub mod args;
pub mod client;
pub mod crowd;
pub mod memory;
pub mod path;
pub mod poll;
pub mod process;
pub mod publishing;
pub mod receiving;
pub mod report;
pub mod resend;
pub mod socket;
pub mod source;
pub mod stats;
pub mod stream;
pub mod websocket;
pub mod worker;
