//! The whole media machine: routers, the addresses of the clients, timers, outputs.
//!
//! ```text
//! handle_input ──► Demux ──► Router (transport ► producer ► consumers) ──► Outbox
//! poll_output  ◄── Outbox (control datagrams, rendered runs, events, deadline)
//! ```
//!
//! Invariant: `handle_input` and the requests decide; `poll_output` renders and removes.
//!
//! Invariant: both fire the timers that are due at their `now` before anything else, and behind it what they have made due.
mod drive;
mod io;
mod observe;
mod ports;
mod request;
mod requests;

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

pub use io::{Datagram, Deadline, Input, Output, Protocol, Transmit, TransmitClass};
pub use request::{Request, Response};

use crate::arena::Arena;
use crate::clock::Clock;
use crate::config::{CertificateSource, Config};
use crate::demux::Demux;
use crate::dtls::{Certificate, DimplBackend, DimplBackendConfig, DtlsBackend};
use crate::error::RequestError;
use crate::event::Event;
use crate::id::{RouterId, tag};
use crate::outbox::Outbox;
use crate::rng::Rng;
use crate::router::{Context, Rendered, Router};
use crate::stats::SfuStats;
use ports::Ports;

/// An SFU as a state machine.
///
/// It is driven by [`handle_input`](Sfu::handle_input) and drained by [`poll_output`](Sfu::poll_output); the other methods are
/// the requests of the ORTC face (create a router, a transport, a producer, a consumer, …).
pub struct Sfu {
    config: Config,
    rng: Rng,
    now: Instant,
    dtls: Arc<dyn DtlsBackend>,
    routers: Arena<Router, tag::Router>,
    demux: Demux,
    ports: Ports,
    out: Outbox,
    rendered: Rendered,
    polled: Polled,
}

/// The transmit that was polled last.
#[derive(Debug, Clone, Copy, Default)]
struct Polled {
    /// How many datagrams it has, less those that turned out to be dropped.
    datagrams: usize,
    /// They are what was rendered last, not control.
    is_media: bool,
}

impl Sfu {
    /// Makes one. `seed` decides everything random; `now` and `wall` are the same moment on both clocks.
    ///
    /// Errors: a certificate that cannot be read.
    pub fn new(config: Config, seed: [u8; 32], now: Instant, wall: SystemTime) -> Result<Self, RequestError> {
        let mut rng = Rng::from_seed(seed);
        // Drawn whether it is used or not, so that the certificate's source does not shift other draws.
        let mut certificate_rng = rng.fork();
        let dtls = match &config.dtls_backend {
            Some(backend) => backend.clone(),
            None => Arc::new(dimpl_backend(&config, &mut certificate_rng)?),
        };
        Ok(Sfu {
            out: Outbox::new(&config, Clock::new(now, wall)),
            ports: Ports::new(&config),
            config,
            rng,
            now,
            dtls,
            routers: Arena::new(),
            demux: Demux::default(),
            rendered: Rendered::default(),
            polled: Polled::default(),
        })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes the next event out of turn, for faces that turn events into messages of their own. What is taken here is not
    /// polled again.
    pub fn next_event(&mut self) -> Option<Event> {
        self.out.events.pop()
    }

    /// Counters.
    pub fn stats(&self) -> SfuStats {
        let mut stats = self.out.stats.clone();
        stats.routers = self.routers.len() as u64;
        for (_, router) in self.routers.iter() {
            let (transports, producers, consumers) = router.counts();
            stats.transports += transports as u64;
            stats.producers += producers as u64;
            stats.consumers += consumers as u64;
        }
        stats.transport_ports = self.ports.in_use() as u64;
        stats.tuples = self.demux.tuple_count() as u64;
        stats.dropped_queue_full += self.out.control.dropped();
        stats
    }

    /// Whether nothing is left: no router, no address, no port, no timer, no queued output.
    pub fn is_empty(&self) -> bool {
        self.routers.is_empty()
            && self.demux.is_empty()
            && self.ports.is_empty()
            && self.out.is_empty()
            && self.rendered.runs.is_empty()
    }

    fn router_mut(&mut self, id: RouterId) -> Result<&mut Router, RequestError> {
        self.routers.get_mut(id.0).ok_or_else(|| RequestError::not_found("router"))
    }

    fn router_ref(&self, id: RouterId) -> Result<&Router, RequestError> {
        self.routers.get(id.0).ok_or_else(|| RequestError::not_found("router"))
    }

    /// A router and what its requests work with.
    fn split(&mut self, id: RouterId) -> Result<(&mut Router, Context<'_>), RequestError> {
        let router = self.routers.get_mut(id.0).ok_or_else(|| RequestError::not_found("router"))?;
        Ok((router, Context { now: self.now, config: &self.config, out: &mut self.out }))
    }

    /// Comes to `now`: what is due by then happens first. Time never goes back, whatever the caller's clock does.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.fire_timers();
    }
}

impl fmt::Debug for Sfu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sfu").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn dimpl_backend(config: &Config, rng: &mut Rng) -> Result<DimplBackend, RequestError> {
    let certificate = match &config.certificate {
        CertificateSource::Generated => Certificate::generate(rng),
        CertificateSource::Pem { certificate, private_key } => {
            Certificate::from_pem(certificate, private_key)
        }
    };
    let settings = DimplBackendConfig { mtu: config.mtu, ..DimplBackendConfig::default() };
    certificate
        .and_then(|certificate| DimplBackend::new(&certificate, settings))
        .map_err(|error| RequestError::invalid(error.to_string()))
}

#[cfg(test)]
mod tests;
