//! The sansfu SFU on plain threads, without async.
//!
//! [`start`] runs a server inside any program; the `sansfu-std` binary is nothing but that. Each worker has a thread with its own
//! core instance and its own UDP sockets; one thread accepts connections, and each connection has a thread (a WebSocket two)
//! that hands text to the worker that has the room. The two sides meet in channels only, so signaling never delays media.
//!
//! ```no_run
//! use sansfu_std::Running as _;
//!
//! let settings = sansfu::server::settings::Settings::default();
//! let handle = sansfu_std::start(&settings)?;
//! println!("http://{}/", handle.http_address());
//! handle.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod connection;
mod front_end;
mod media;
mod readiness;
mod request;
mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use polling::Poller;
use sansfu::server::settings::Settings;
pub use sansfu_runtime::{LiveSettings, Running, StartError, Stopper, WorkerFailed};
use sansfu_runtime::{Signal, bind};

/// Signals that may wait for one worker; connections wait when there are more.
const MAX_QUEUED_SIGNALS: usize = 256;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    http_address: SocketAddr,
    rtc_addresses: Vec<SocketAddr>,
    stopper: Stopper,
    live_settings: LiveSettings,
    workers: Vec<WorkerSender>,
    front_end: Arc<Poller>,
    threads: Vec<JoinHandle<()>>,
}

/// The way to a worker: its channel, and what wakes it.
#[derive(Debug, Clone)]
pub(crate) struct WorkerSender {
    signals: SyncSender<Signal>,
    poller: Arc<Poller>,
}

/// Starts a server: reads the files and binds the addresses that `settings` name, then returns while its threads run.
///
/// Errors: a file that cannot be read or used, an address or port that cannot be bound.
pub fn start(settings: &Settings) -> Result<Handle, StartError> {
    let bound = bind(settings)?;
    let failed = |error: io::Error| StartError::new(format!("cannot start: {error}"));
    let mut handle = Handle {
        http_address: bound.listener.local_addr().map_err(failed)?,
        rtc_addresses: Vec::new(),
        stopper: Stopper::default(),
        live_settings: bound.live_settings,
        workers: Vec::new(),
        front_end: Arc::new(Poller::new().map_err(failed)?),
        threads: Vec::new(),
    };
    for worker in bound.workers {
        handle.rtc_addresses.extend(worker.sockets().addresses());
        let (sender, signals) = mpsc::sync_channel(MAX_QUEUED_SIGNALS);
        handle.workers.push(WorkerSender { signals: sender, poller: worker.sockets().poller() });
        let name = format!("worker {}", worker.index());
        handle.spawn(&name, move || media::run(worker, &signals)).map_err(failed)?;
    }
    let shared = front_end::Shared::new(settings, handle.workers.clone(), bound.counters);
    let (poller, stopper) = (handle.front_end.clone(), handle.stopper.clone());
    handle
        .spawn("http", move || front_end::run(bound.listener, poller, &shared, &stopper))
        .map_err(failed)?;
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

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
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
        // Failing to wake it leaves it to its own time-out.
        let _ = self.front_end.notify();
        for worker in &self.workers {
            // A worker that has panicked has no use for it.
            let _ = worker.send(Signal::Stop);
        }
        for thread in self.threads.drain(..) {
            // A panic is known by the stopper.
            let _ = thread.join();
        }
    }
}

impl WorkerSender {
    /// Hands a signal to the worker; waits while too many are queued. `false`: the worker has ended.
    pub(crate) fn send(&self, signal: Signal) -> bool {
        self.signals.send(signal).is_ok() && self.poller.notify().is_ok()
    }
}
