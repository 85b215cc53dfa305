//! The whole server as one state machine: a media machine, its rooms, and its HTTP resources.
pub mod edge;
mod http;
mod io;
mod stats;
mod whip;

use std::time::{Instant, SystemTime};

pub use crate::room::Limits;
pub use http::{HttpRequest, HttpResponse};
pub use io::{Datagram, Deadline, ExchangeId, Input, Output, Protocol, SessionId, Transmit};
pub use stats::ServerStats;

use crate::config::Config;
use crate::error::RequestError;
use crate::ortc::RtpCodecCapability;
use crate::sfu::Sfu;

/// Settings of a [`Server`].
#[derive(Debug, Clone, Default)]
pub struct ServerConfig {
    /// Of the media machine.
    pub sfu: Config,
    /// The codecs of every room, most preferred first; empty: the default ones.
    pub media_codecs: Vec<RtpCodecCapability>,
    /// Of rooms, sessions and resources.
    pub limits: Limits,
}

/// An SFU with rooms, protoo sessions, WHIP and WHEP, as a state machine.
#[derive(Debug)]
pub struct Server {
    sfu: Sfu,
}

impl Server {
    /// Makes one. `seed` decides everything random; `now` and `wall` are the same moment on both clocks.
    ///
    /// Errors: as [`Sfu::new`]; media codecs that cannot be used.
    pub fn new(
        config: ServerConfig,
        seed: [u8; 32],
        now: Instant,
        wall: SystemTime,
    ) -> Result<Self, RequestError> {
        Ok(Server { sfu: Sfu::new(config.sfu, seed, now, wall)? })
    }

    /// Takes an input and decides everything that follows from it.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        todo!("{now:?} {input:?}")
    }

    /// Renders and removes the next output.
    pub fn poll_output(&mut self) -> Output<'_> {
        todo!()
    }

    /// Counters.
    pub fn stats(&self) -> ServerStats {
        todo!()
    }

    /// The media machine, to look at.
    pub fn sfu(&self) -> &Sfu {
        &self.sfu
    }
}
