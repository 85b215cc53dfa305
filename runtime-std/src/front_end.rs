//! One thread accepts connections, and gives each a thread of its own.
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use polling::Poller;
use sansfu::server::edge;
use sansfu::server::settings::Settings;
use sansfu_runtime::{Counters, Stopper};

use crate::readiness::Readiness;
use crate::{WorkerSender, connection};

/// How long the end of the server waits for its connections, twice: until they have ended, and until they are cut.
const STOP_TIMEOUT: Duration = Duration::from_millis(700);
/// A connection parses text with shallow calls only.
const STACK_BYTES: usize = 256 << 10;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) workers: Vec<WorkerSender>,
    pub(crate) counters: Arc<Counters>,
    next_number: AtomicU64,
    connections: Mutex<BTreeMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    stream: Arc<TcpStream>,
    is_session: bool,
}

/// The entry of a connection in the list of open ones.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    number: u64,
}

impl Shared {
    /// What connections to a server with these workers share.
    pub(crate) fn new(
        settings: &Settings,
        workers: Vec<WorkerSender>,
        counters: Arc<Counters>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            settings: settings.clone(),
            workers,
            counters,
            next_number: AtomicU64::new(1),
            connections: Mutex::default(),
        })
    }

    /// The worker that has a room.
    pub(crate) fn worker_of(&self, room_id: &str) -> &WorkerSender {
        &self.workers[edge::shard(room_id, self.workers.len())]
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(self: &Arc<Self>, stream: Arc<TcpStream>) -> Registration {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        self.connections().insert(number, Open { stream, is_session: false });
        Registration { shared: self.clone(), number }
    }

    fn wait_until_none(&self) {
        let start = Instant::now();
        while start.elapsed() < STOP_TIMEOUT && !self.connections().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Registration {
    /// What all connections share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The number of the connection; no other has had it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The connection has become a WebSocket: its worker will tell it when the server stops.
    pub(crate) fn becomes_session(&self) {
        if let Some(open) = self.shared.connections().get_mut(&self.number) {
            open.is_session = true;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.connections().remove(&self.number);
    }
}

/// Accepts connections until the server stops, then ends those that are open.
pub(crate) fn run(listener: TcpListener, poller: Arc<Poller>, shared: &Arc<Shared>, stopper: &Stopper) {
    if let Err(error) = accept(listener, poller, shared, stopper) {
        panic!("cannot wait for connections: {error}");
    }
    for open in shared.connections().values().filter(|open| !open.is_session) {
        // Ends those that wait for a request, and lets those that answer one finish.
        let _ = open.stream.shutdown(Shutdown::Read);
    }
    shared.wait_until_none();
    for open in shared.connections().values() {
        let _ = open.stream.shutdown(Shutdown::Both);
    }
    shared.wait_until_none();
}

fn accept(
    listener: TcpListener,
    poller: Arc<Poller>,
    shared: &Arc<Shared>,
    stopper: &Stopper,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut readiness = Readiness::new(poller, vec![listener])?;
    while !stopper.is_stopped() {
        match readiness.sockets()[0].accept() {
            Ok((stream, _)) => {
                if let Err(error) = open(stream, shared) {
                    tracing::warn!("cannot serve a connection: {error}");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => readiness.wait(None)?,
            Err(error) => {
                // Out of file descriptors, most likely: some will be free again.
                tracing::warn!("cannot accept a connection: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
    Ok(())
}

fn open(mut stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    if shared.connections().len() >= shared.settings.max_connections {
        shared.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        // As much as fits into an empty socket buffer; there is no waiting for those that are too many.
        stream.set_nonblocking(true)?;
        let refusal: &[u8] =
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = stream.write(refusal);
        return Ok(());
    }
    // Some systems hand the listener's mode down.
    stream.set_nonblocking(false)?;
    // Answers are written whole; waiting for more to send would only delay them.
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let registration = shared.register(stream.clone());
    let thread = std::thread::Builder::new().name("connection".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(move || connection::serve(&stream, &registration))?;
    Ok(())
}
