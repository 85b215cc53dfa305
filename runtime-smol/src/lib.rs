//! The sansfu SFU on smol and async-io.
//!
//! [`start`] runs a server inside any program; the `sansfu` binary is nothing but that. Each worker has a thread with its own
//! core instance and its own UDP sockets; one more thread serves HTTP and WebSocket, and hands text to the worker that has the
//! room. The two sides meet in channels only, so signaling never delays media.
//!
//! ```no_run
//! use sansfu_smol::Running as _;
//!
//! let settings = sansfu::server::settings::Settings::default();
//! let handle = sansfu_smol::start(&settings)?;
//! println!("http://{}/", handle.http_address());
//! handle.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod http;
mod media;
mod session;

use std::net::SocketAddr;
use std::thread::JoinHandle;

use sansfu::server::settings::Settings;
pub use sansfu_runtime::{LiveSettings, Running, StartError, Stopper, WorkerFailed};
use sansfu_runtime::{Signal, bind};
use smol::channel::{self, Sender};

/// Signals that may wait for one worker; the front end waits when there are more.
const MAX_QUEUED_SIGNALS: usize = 256;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    http_address: SocketAddr,
    rtc_addresses: Vec<SocketAddr>,
    stopper: Stopper,
    live_settings: LiveSettings,
    workers: Vec<Sender<Signal>>,
    /// The front end stops when this closes.
    front_end: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts a server: reads the files and binds the addresses that `settings` name, then returns while its threads run.
///
/// Errors: a file that cannot be read or used, an address or port that cannot be bound.
pub fn start(settings: &Settings) -> Result<Handle, StartError> {
    let bound = bind(settings)?;
    let failed = |error| StartError::new(format!("cannot start a thread: {error}"));
    let http_address = bound.listener.local_addr().map_err(|error| StartError::new(error.to_string()))?;
    let (stop, stopped) = channel::bounded(1);
    let mut handle = Handle {
        http_address,
        rtc_addresses: Vec::new(),
        stopper: Stopper::default(),
        live_settings: bound.live_settings,
        workers: Vec::new(),
        front_end: Some(stop),
        threads: Vec::new(),
    };
    for worker in bound.workers {
        handle.rtc_addresses.extend(worker.sockets().addresses());
        let (sender, signals) = channel::bounded(MAX_QUEUED_SIGNALS);
        handle.workers.push(sender);
        let name = format!("worker {}", worker.index());
        handle.spawn(&name, move || media::run(worker, &signals)).map_err(failed)?;
    }
    let front_end = http::FrontEnd::new(settings, handle.workers.clone(), bound.counters);
    handle.spawn("http", move || http::run(bound.listener, front_end, &stopped)).map_err(failed)?;
    Ok(handle)
}

impl Handle {
    /// Stops the server and waits until it has stopped: sessions are told, threads end, ports are free.
    ///
    /// Errors: one of its threads has panicked.
    pub fn stop(self) -> Result<(), WorkerFailed> {
        self.stopper.stop();
        self.wait()
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let watch = self.stopper.watch(name);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _watch = watch;
            body();
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Running for Handle {
    fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    fn rtc_addresses(&self) -> &[SocketAddr] {
        &self.rtc_addresses
    }

    fn live_settings(&self) -> LiveSettings {
        self.live_settings.clone()
    }

    fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    fn wait(self) -> Result<(), WorkerFailed> {
        let reason = self.stopper.wait();
        drop(self);
        reason
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stopper.stop();
        self.front_end = None;
        for worker in &self.workers {
            // A worker that has panicked has no use for it.
            let _ = worker.send_blocking(Signal::Stop);
        }
        for thread in self.threads.drain(..) {
            // A panic is known by the stopper.
            let _ = thread.join();
        }
    }
}
