//! The start of a server: its files are read, its sockets bound and its core instances made, before any thread runs.
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sansfu::config::ListenAddress;
use sansfu::server::Server;
use sansfu::server::settings::{Settings, SettingsError};

use crate::{Counters, LiveSettings, MediaSockets, Worker};

/// A server that is ready to run.
#[derive(Debug)]
pub struct Bound {
    /// Accepts HTTP connections.
    pub listener: TcpListener,
    /// The workers; each wants a thread.
    pub workers: Vec<Worker>,
    /// The settings that can change.
    pub live_settings: LiveSettings,
    /// Counters that all parts share.
    pub counters: Arc<Counters>,
}

/// Why a server cannot start: one line, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    message: String,
}

/// Reads the files and binds the sockets that `settings` name.
///
/// Errors: a file that cannot be read or used, an address or port that cannot be bound.
pub fn bind(settings: &Settings) -> Result<Bound, StartError> {
    let files = settings.load(|path| std::fs::read_to_string(path))?;
    let interfaces = if_addrs::get_if_addrs()
        .map_err(|error| StartError::new(format!("cannot list the host's addresses: {error}")))?;
    let interfaces: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    let addresses = settings.rtc_addresses(&interfaces)?;
    let listener = TcpListener::bind(settings.http)
        .map_err(|error| StartError::new(format!("cannot listen on TCP {}: {error}", settings.http)))?;
    let counters = Arc::new(Counters::default());
    let live_settings = LiveSettings::new(settings);
    let mut workers = Vec::new();
    let count = worker_count(settings);
    for index in 0..count {
        let ports = settings.rtc_ports_of(index, count)?;
        let (sockets, bound) = match ports {
            Some(_) => (empty()?, try_addresses(settings, &addresses)?),
            None => bind_sockets(settings, &addresses, settings.rtc_port_of(index)?)?,
        };
        let listen =
            bound.into_iter().map(|local| ListenAddress { local, announced: settings.announced(local.ip()) });
        let mut config = settings.server_config(listen.collect(), &files);
        config.sfu.transport_ports = ports;
        if let Some(ports) = ports {
            tracing::info!(worker = index, "each transport has a UDP port of its own: {ports}");
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| StartError::new(format!("the system has no randomness: {error}")))?;
        let server = Server::new(config, seed, Instant::now(), SystemTime::now())
            .map_err(|error| StartError::new(error.to_string()))?;
        let worker = Worker::new(index, server, sockets, live_settings.clone(), counters.clone());
        workers.push(worker.with_settings(settings));
    }
    Ok(Bound { listener, workers, live_settings, counters })
}

impl StartError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        StartError { message: message.into() }
    }
}

impl From<SettingsError> for StartError {
    fn from(error: SettingsError) -> Self {
        StartError::new(error.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StartError {}

fn worker_count(settings: &Settings) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    settings.num_workers.unwrap_or_else(cores)
}

/// The addresses as they can be bound, with port 0: each transport will have a port of its own.
fn try_addresses(settings: &Settings, addresses: &[IpAddr]) -> Result<Vec<SocketAddr>, StartError> {
    let (_, bound) = bind_sockets(settings, addresses, 0)?;
    Ok(bound.into_iter().map(|local| SocketAddr::new(local.ip(), 0)).collect())
}

/// Binds a socket to each address. Returns the bound addresses in the order of `addresses`.
fn bind_sockets(
    settings: &Settings,
    addresses: &[IpAddr],
    port: u16,
) -> Result<(MediaSockets, Vec<SocketAddr>), StartError> {
    let (mut sockets, mut bound) = (empty()?, Vec::new());
    for address in addresses.iter().map(|address| SocketAddr::new(*address, port)) {
        match sockets.bind(address) {
            Ok(local) => bound.push(local),
            // An IPv6 address that is not ready yet (RFC 4862 section 5.4), or has just gone.
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable && settings.is_automatic(address.ip()) =>
            {
                tracing::warn!(%address, "address left out: {error}");
            }
            Err(error) => return Err(StartError::new(format!("cannot listen on UDP {address}: {error}"))),
        }
    }
    if bound.is_empty() {
        return Err(StartError::new("none of the host's addresses can be bound"));
    }
    Ok((sockets, bound))
}

fn empty() -> Result<MediaSockets, StartError> {
    MediaSockets::new().map_err(|error| StartError::new(format!("cannot wait for sockets: {error}")))
}
