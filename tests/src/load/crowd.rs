//! A run: clients come one after the other, are measured when all are there, and leave.
use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sansfu::dtls::{Certificate, DimplBackend, DimplBackendConfig, DtlsBackend as _};
use sansfu::rng::Rng;

use super::args::Args;
use super::client::{Client, Part};
use super::poll::Poll;
use super::process::Usage;
use super::publishing::Track;
use super::report::{Live, Summary};
use super::stats::Totals;
use super::worker::{ClientIndex, Command, Measured, Told, Worker};

/// How long the last client may take to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long threads may take to say what they have measured.
const THREAD_PATIENCE: Duration = Duration::from_secs(10);
/// The longest that the main thread waits for something to read.
const TURN: Duration = Duration::from_millis(5);
/// The time between two live lines.
const LIVE_INTERVAL: Duration = Duration::from_secs(1);
/// Descriptors for standard streams, pollers and the like.
const SPARE_DESCRIPTORS: u64 = 64;

/// Why there is no summary.
#[derive(Debug)]
pub enum RunError {
    /// The server is not there.
    NoServer(String),
    /// It was there, and no client is left.
    NobodyLeft(String),
    /// The process of `--pid` is not there.
    NoProcess(u32, io::Error),
    /// This machine does not give what is needed.
    System(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NoServer(why) => f.write_str(why),
            RunError::NobodyLeft(why) => write!(f, "the server has no client left: {why}"),
            RunError::NoProcess(pid, error) => write!(f, "--pid {pid}: {error}"),
            RunError::System(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for RunError {}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        RunError::System(error.to_string())
    }
}

/// Runs; live lines go to `out`. When `stop` becomes true the run ends early, with its summary.
///
/// # Errors
/// There is nothing to sum up.
pub fn run(args: &Args, stop: &AtomicBool, out: &mut dyn Write) -> Result<Summary, RunError> {
    let mut crowd = Crowd::new(args, stop, out)?;
    crowd.join()?;
    crowd.pass(Duration::from_secs(args.settle_seconds))?;
    let summary = crowd.measure();
    crowd.leave();
    summary
}

/// Everybody, and the threads that carry their media.
struct Crowd<'a> {
    args: &'a Args,
    stop: &'a AtomicBool,
    out: &'a mut dyn Write,
    address: SocketAddr,
    backend: Arc<DimplBackend>,
    clients: Vec<Client>,
    poll: Poll,
    workers: Vec<WorkerHandle>,
    told: Receiver<Told>,
    measured: Vec<Measured>,
    start: Instant,
    live: LiveState,
    server_start: Option<Usage>,
}

struct WorkerHandle {
    commands: Sender<Command>,
    totals: Arc<Mutex<Totals>>,
    thread: JoinHandle<io::Result<()>>,
}

/// What the last live line was of.
struct LiveState {
    at: Instant,
    totals: Totals,
    server: Option<Usage>,
}

impl<'a> Crowd<'a> {
    fn new(args: &'a Args, stop: &'a AtomicBool, out: &'a mut dyn Write) -> Result<Self, RunError> {
        raise_descriptor_limit(args)?;
        let address = resolve(&args.authority)?;
        let backend = Arc::new(backend()?);
        let (tell, told) = channel();
        let workers = (0..args.threads).map(|_| WorkerHandle::start(tell.clone(), backend.clone()));
        let workers = workers.collect::<io::Result<Vec<_>>>()?;
        let server_start = usage_of(args)?;
        let start = Instant::now();
        Ok(Crowd {
            args,
            stop,
            out,
            address,
            backend,
            clients: Vec::with_capacity(args.clients()),
            poll: Poll::new()?,
            workers,
            told,
            measured: Vec::new(),
            start,
            live: LiveState { at: start, totals: Totals::default(), server: server_start },
            server_start,
        })
    }

    /// Everybody comes, at a pace; waits until all are there, or patience is at its end.
    fn join(&mut self) -> Result<(), RunError> {
        let mut parts = parts(self.args).into_iter();
        let mut next_at = self.start;
        let pace = Duration::from_secs(1) / self.args.join_rate;
        for part in parts.by_ref() {
            while Instant::now() < next_at && !self.is_stopped() {
                self.turn(next_at)?;
            }
            if self.is_stopped() {
                return Ok(());
            }
            self.dial(part)?;
            next_at += pace;
        }
        let deadline = Instant::now() + JOIN_PATIENCE;
        let is_open = |client: &Client| !client.was_settled() && client.failure().is_none();
        while self.clients.iter().any(is_open) && Instant::now() < deadline && !self.is_stopped() {
            self.turn(deadline)?;
        }
        for client in self.clients.iter_mut().filter(|client| is_open(client)) {
            client.fail(client.waits_for());
        }
        Ok(())
    }

    fn dial(&mut self, part: Part) -> Result<(), RunError> {
        let worker = &self.workers[self.clients.len() % self.workers.len()];
        let fingerprints = self.backend.fingerprints().to_vec();
        let dialed =
            Client::dial(part, self.address, &self.args.authority, worker.commands.clone(), fingerprints);
        let client = dialed.map_err(|why| match self.clients.is_empty() {
            true => RunError::NoServer(why),
            false => RunError::NobodyLeft(why),
        })?;
        self.poll.add(client.connection(), self.clients.len())?;
        self.clients.push(client);
        Ok(())
    }

    /// Lets time pass.
    fn pass(&mut self, duration: Duration) -> Result<(), RunError> {
        let end = Instant::now() + duration;
        while Instant::now() < end && !self.is_stopped() {
            self.turn(end)?;
        }
        Ok(())
    }

    fn measure(&mut self) -> Result<Summary, RunError> {
        let server_joined = usage_of(self.args)?;
        let own_before = Usage::of(std::process::id())?;
        let begin = Instant::now();
        self.command(|| Command::Begin);
        self.pass(Duration::from_secs(self.args.seconds))?;
        self.command(|| Command::End);
        let measured_for = begin.elapsed();
        let (server, own) = (usage_of(self.args)?, Usage::of(std::process::id())?);
        let deadline = Instant::now() + THREAD_PATIENCE;
        while self.measured.len() < self.workers.len() {
            if Instant::now() > deadline {
                return Err(RunError::System("a media thread does not answer".to_owned()));
            }
            self.turn(deadline)?;
        }
        let mut summary = Summary {
            args: self.args.clone(),
            measured_for,
            server_joining: since(self.server_start, server_joined),
            server: since(server_joined, server),
            own: Usage { cpu: own.cpu.saturating_sub(own_before.cpu), ..own },
            ..Summary::default()
        };
        for measured in self.measured.drain(..) {
            summary.measured.totals = summary.measured.totals.plus(measured.totals);
            summary.measured.latency.merge(&measured.latency);
            summary.measured.silent_tracks += measured.silent_tracks;
        }
        self.sum_up_joins(&mut summary);
        Ok(summary)
    }

    fn sum_up_joins(&self, summary: &mut Summary) {
        for client in &self.clients {
            let reasons = match (client.was_settled(), client.failure()) {
                (true, None) => None,
                (true, Some(why)) => Some((&mut summary.dropped, why)),
                (false, why) => Some((&mut summary.failed, why.unwrap_or("it was stopped"))),
            };
            if let Some((reasons, why)) = reasons {
                *reasons.entry(why.to_owned()).or_default() += 1;
            }
            if client.was_settled() {
                summary.joined += 1;
                client.connect_time().iter().for_each(|time| summary.connect_times.record(*time));
                client.media_time().iter().for_each(|time| summary.media_times.record(*time));
            }
        }
        let missing = self.args.clients() - self.clients.len();
        if missing > 0 {
            summary.failed.insert("it was stopped before they came".to_owned(), missing as u64);
        }
    }

    /// Everybody leaves, and the threads end.
    fn leave(&mut self) {
        self.command(|| Command::Leave);
        self.clients.iter_mut().for_each(Client::close);
        for worker in self.workers.drain(..) {
            // A thread that broke has said nothing of its measurement, which was noticed.
            let _ = worker.thread.join();
        }
    }

    /// Takes what has come for WebSockets and from threads, waiting for it until `deadline` at most.
    fn turn(&mut self, deadline: Instant) -> Result<(), RunError> {
        let timeout = deadline.saturating_duration_since(Instant::now()).min(TURN);
        let mut readable: Vec<ClientIndex> = Vec::new();
        self.poll.wait(timeout, &mut readable)?;
        for index in readable {
            self.clients[index].read();
            if self.clients[index].failure().is_some() {
                let _ = self.poll.remove(self.clients[index].connection());
            }
        }
        while let Ok(told) = self.told.try_recv() {
            self.hear(told);
        }
        if self.live.at.elapsed() >= LIVE_INTERVAL {
            self.clients.iter_mut().for_each(Client::flush);
            self.show()?;
            self.check_server()?;
        }
        Ok(())
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Connected(client, direction, at) => self.clients[client].on_connected(direction, at),
            Told::FirstMedia(client, at) => self.clients[client].on_first_media(at),
            Told::Failed(client, why) => self.clients[client].fail(why),
            Told::Measured(measured) => self.measured.push(*measured),
        }
    }

    fn show(&mut self) -> Result<(), RunError> {
        let now = Instant::now();
        let totals = |worker: &WorkerHandle| *worker.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = self.workers.iter().map(totals).fold(Totals::default(), Totals::plus);
        let server = usage_of(self.args).map_err(|error| RunError::NobodyLeft(error.to_string()))?;
        let joined = self.clients.iter().filter(|client| client.was_settled()).count() as u64;
        let live = Live {
            elapsed: self.start.elapsed(),
            joined: (joined, self.args.clients() as u64),
            totals: totals - self.live.totals,
            interval: now.duration_since(self.live.at),
            server_cpu: since(self.live.server, server).map(|usage| usage.cpu),
        };
        self.live = LiveState { at: now, totals, server };
        // Whoever reads it may have gone; the run goes on.
        let _ = writeln!(self.out, "{live}").and_then(|()| self.out.flush());
        Ok(())
    }

    /// Somebody must be left; otherwise there is nothing to measure.
    fn check_server(&self) -> Result<(), RunError> {
        let failures: Vec<&str> = self.clients.iter().filter_map(Client::failure).collect();
        match failures.first() {
            Some(why) if failures.len() == self.clients.len() => Err(RunError::NobodyLeft((*why).to_owned())),
            _ => Ok(()),
        }
    }

    fn command(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            let _ = worker.commands.send(command());
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl WorkerHandle {
    fn start(told: Sender<Told>, backend: Arc<DimplBackend>) -> io::Result<Self> {
        let (commands, obeyed) = channel();
        let totals = Arc::new(Mutex::new(Totals::default()));
        let worker = Worker::new(obeyed, told, totals.clone(), backend)?;
        let thread = std::thread::Builder::new().name("media".to_owned()).spawn(|| worker.run())?;
        Ok(WorkerHandle { commands, totals, thread })
    }
}

/// Who takes part, in the order in which they come: publishers first.
fn parts(args: &Args) -> Vec<Part> {
    let mut parts = Vec::with_capacity(args.clients());
    for nth in 0..args.publishers + args.subscribers {
        for room in 0..args.rooms {
            let is_publisher = nth < args.publishers;
            let sources = if is_publisher { args.publishers - 1 } else { args.publishers };
            let consumes = !is_publisher || args.publishers_consume;
            // Subscribers decrypt first: among those who also publish only where there are no others.
            let rank = if is_publisher { nth + args.subscribers } else { nth - args.publishers };
            let index = parts.len();
            parts.push(Part {
                index,
                room_id: format!("{}-{room}", args.room),
                peer_id: format!("{}-{nth}", if is_publisher { "publisher" } else { "subscriber" }),
                tracks: if is_publisher { Track::all(args, index as u32) } else { Vec::new() },
                fps: args.fps,
                consumers: consumes.then_some(sources * args.tracks_per_publisher()),
                is_full: rank < args.full,
            });
        }
    }
    parts
}

/// Each client has a WebSocket (with a double to wait for) and at most two transports.
fn raise_descriptor_limit(args: &Args) -> Result<(), RunError> {
    let transports = if args.publishers_consume { 2 } else { 1 };
    let per_room = args.publishers * (2 + transports) + args.subscribers * 3;
    let needed = (args.rooms * per_room) as u64 + SPARE_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.maximum.is_some_and(|maximum| maximum < needed) || setrlimit(Resource::Nofile, raised).is_err() {
        return Err(RunError::System(format!(
            "{needed} open files are needed, and the limit is lower (ulimit -n)"
        )));
    }
    Ok(())
}

fn resolve(authority: &str) -> Result<SocketAddr, RunError> {
    let failed = |why: String| RunError::NoServer(format!("{authority}: {why}"));
    let addresses: Vec<SocketAddr> =
        authority.to_socket_addrs().map_err(|error| failed(error.to_string()))?.collect();
    let best = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    best.copied().ok_or_else(|| failed("no address".to_owned()))
}

/// One certificate for all clients: servers cannot tell.
fn backend() -> Result<DimplBackend, RunError> {
    let failed = |error: &dyn fmt::Display| RunError::System(format!("no certificate: {error}"));
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|error| failed(&error))?;
    let certificate = Certificate::generate(&mut Rng::from_seed(seed)).map_err(|error| failed(&error))?;
    DimplBackend::new(&certificate, DimplBackendConfig::default()).map_err(|error| failed(&error))
}

fn usage_of(args: &Args) -> Result<Option<Usage>, RunError> {
    args.pid.map(|pid| Usage::of(pid).map_err(|error| RunError::NoProcess(pid, error))).transpose()
}

/// The later one, with the CPU time since the earlier one.
fn since(earlier: Option<Usage>, later: Option<Usage>) -> Option<Usage> {
    let (earlier, later) = earlier.zip(later)?;
    Some(Usage { cpu: later.cpu.saturating_sub(earlier.cpu), ..later })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_part_and_publishers_come_first() {
        let args = Args { rooms: 2, publishers: 2, subscribers: 3, full: 2, audio: true, ..Args::default() };
        let parts = parts(&args);
        assert_eq!(parts.len(), args.clients());
        assert!(parts[..4].iter().all(|part| part.tracks.len() == 2 && part.consumers.is_none()));
        assert!(parts[4..].iter().all(|part| part.tracks.is_empty() && part.consumers == Some(4)));
        assert_eq!(parts.iter().filter(|part| part.is_full && part.consumers.is_some()).count(), 4);
        let names: std::collections::BTreeSet<_> =
            parts.iter().map(|part| (part.room_id.as_str(), part.peer_id.as_str())).collect();
        assert_eq!(names.len(), parts.len());
    }

    #[test]
    fn publishers_receive_the_others_and_decrypt_where_nobody_else_does() {
        let args =
            Args { publishers: 3, subscribers: 0, publishers_consume: true, full: 1, ..Args::default() };
        let parts = parts(&args);
        assert!(parts.iter().all(|part| part.consumers == Some(2)));
        assert_eq!(parts.iter().map(|part| part.is_full).collect::<Vec<_>>(), [true, false, false]);
    }
}
