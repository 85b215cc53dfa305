//! What the runtimes of sansfu share, whatever they wait with.
//!
//! A runtime is threads, readiness and an HTTP front end. Everything else that binds the core to a host is here: UDP sockets
//! with batches and segmentation offload ([`MediaSocket`], [`MediaSockets`]), the hands of one core instance ([`Worker`]), the start of a server
//! from its settings ([`bind`]), its log ([`LiveSettings`]), its end ([`Stopper`]), the files of the page ([`page`]), and the life of a server binary
//! ([`run_binary`]).
//!
//! Invariant: nothing in this crate blocks a worker, and nothing in it knows a protocol: it moves bytes and text.
mod binary;
mod bind;
mod budget;
mod counters;
mod held;
mod logs;
mod overflow;
pub mod page;
mod pinning;
mod sockets;
mod stopper;
mod udp;
mod worker;

pub use binary::{Running, run_binary};
pub use bind::{Bound, StartError, bind};
pub use budget::Budget;
pub use counters::Counters;
pub use logs::{LiveSettings, start_logs};
pub use sockets::MediaSockets;
pub use stopper::{Stopper, WorkerFailed};
pub use udp::{MediaSocket, ReceiveBuffers};
pub use worker::{OwnedRequest, SessionSink, Signal, ToSession, Worker};
