//! A media thread: transports, their timers, and what flows on them.
//!
//! Transports that connect are heard at once. Those that are connected are read every two milliseconds: then there is more to
//! read by one system call, and nothing is measured wrong, for the kernel notes when packets come.
use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sansfu::dtls::DimplBackend;

use super::path::{Path, PathState, Received, Remote};
use super::poll::Poll;
use super::publishing::{Publishing, Track};
use super::receiving::{Offer, Receiving};
use super::socket::Buffers;
use super::stats::{Histogram, Totals};

/// The time between two looks at what connected transports have received, and at timers.
const TICK: Duration = Duration::from_millis(2);

/// The clients' number, for whoever asks.
pub type ClientIndex = usize;

/// What a transport is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To the server.
    Publishing,
    /// From the server.
    Receiving {
        /// Whether packets are decrypted.
        is_full: bool,
    },
}

/// What the thread is told.
#[derive(Debug)]
pub enum Command {
    /// There is a transport.
    Connect(ClientIndex, Direction, Box<Remote>),
    /// A client publishes.
    Publish(ClientIndex, Track),
    /// A client receives.
    Receive(ClientIndex, Offer),
    /// The measurement begins.
    Begin,
    /// The measurement ends.
    End,
    /// Everybody leaves, and the thread ends.
    Leave,
}

/// What the thread tells.
#[derive(Debug)]
pub enum Told {
    /// Media can flow on a transport.
    Connected(ClientIndex, Direction, Instant),
    /// The first media packet of a client has come.
    FirstMedia(ClientIndex, Instant),
    /// A transport came to nothing, or ended.
    Failed(ClientIndex, String),
    /// What the measurement came to.
    Measured(Box<Measured>),
}

/// What a measurement came to.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Packets from its begin to its end.
    pub totals: Totals,
    /// From the sending of a packet to its arrival.
    pub latency: Histogram,
    /// Consumers that got nothing.
    pub silent_tracks: u64,
}

/// The thread.
#[derive(Debug)]
pub struct Worker {
    commands: Receiver<Command>,
    told: Sender<Told>,
    published: Arc<Mutex<Totals>>,
    backend: Arc<DimplBackend>,
    connecting: Poll,
    connected: Poll,
    links: Vec<Link>,
    /// When each of them has something to do.
    wake_at: Vec<Option<Instant>>,
    totals: Totals,
    begun: Totals,
    latency: Histogram,
}

/// A transport and what flows on it.
#[derive(Debug)]
struct Link {
    client: ClientIndex,
    direction: Direction,
    path: Path,
    flow: Flow,
    /// What the client has been told of.
    told_state: PathState,
    has_media: bool,
}

#[derive(Debug)]
enum Flow {
    Publishing(Publishing),
    Receiving(Receiving),
}

impl Worker {
    /// A thread's state; `published` always has its latest totals.
    ///
    /// # Errors
    /// The system's limits.
    pub fn new(
        commands: Receiver<Command>,
        told: Sender<Told>,
        published: Arc<Mutex<Totals>>,
        backend: Arc<DimplBackend>,
    ) -> io::Result<Self> {
        Ok(Worker {
            commands,
            told,
            published,
            backend,
            connecting: Poll::new()?,
            connected: Poll::new()?,
            links: Vec::new(),
            wake_at: Vec::new(),
            totals: Totals::default(),
            begun: Totals::default(),
            latency: Histogram::default(),
        })
    }

    /// Runs until it is told to leave.
    ///
    /// # Errors
    /// The system's, of its pollers.
    pub fn run(mut self) -> io::Result<()> {
        let mut buffers = Buffers::new();
        let mut readable = Vec::new();
        let mut next_tick = Instant::now();
        loop {
            let until_tick = next_tick.saturating_duration_since(Instant::now());
            self.connecting.wait(until_tick, &mut readable)?;
            let is_tick = next_tick <= Instant::now();
            if is_tick {
                next_tick = Instant::now() + TICK;
                if !self.obey() {
                    return Ok(());
                }
                self.connected.wait(Duration::ZERO, &mut readable)?;
            }
            for index in readable.drain(..) {
                self.receive(index, &mut buffers);
            }
            if is_tick {
                self.fire_timers(Instant::now());
                *self.published.lock().unwrap_or_else(PoisonError::into_inner) = self.totals;
            }
        }
    }

    /// Does what it is told. Says whether to go on.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Connect(client, direction, remote)) => self.connect(client, direction, &remote),
                Ok(Command::Publish(client, track)) => self.publish(client, track),
                Ok(Command::Receive(client, offer)) => self.accept(client, offer),
                Ok(Command::Begin) => self.begin(),
                Ok(Command::End) => self.end(),
                Err(TryRecvError::Empty) => return true,
                Ok(Command::Leave) | Err(TryRecvError::Disconnected) => {
                    self.links.iter_mut().for_each(|link| link.path.close());
                    return false;
                }
            }
        }
    }

    fn connect(&mut self, client: ClientIndex, direction: Direction, remote: &Remote) {
        let now = Instant::now();
        let index = self.links.len();
        let seed = (client as u64) << 1 | u64::from(direction == Direction::Publishing);
        let path = Path::new(now, remote, self.backend.clone(), seed);
        let path = path.and_then(|path| {
            self.connecting.add(&path.socket, index)?;
            Ok(path)
        });
        let path = match path {
            Ok(path) => path,
            Err(error) => return self.tell(Told::Failed(client, format!("no transport: {error}"))),
        };
        let flow = match direction {
            Direction::Publishing => Flow::Publishing(Publishing::new()),
            Direction::Receiving { is_full } => {
                Flow::Receiving(Receiving::new(now, is_full, 1 + client as u32))
            }
        };
        let told_state = PathState::Connecting;
        self.links.push(Link { client, direction, path, flow, told_state, has_media: false });
        self.wake_at.push(Some(now));
    }

    fn publish(&mut self, client: ClientIndex, track: Track) {
        let now = Instant::now();
        for (link, wake_at) in self.links.iter_mut().zip(&mut self.wake_at) {
            if let Flow::Publishing(publishing) = &mut link.flow
                && link.client == client
            {
                publishing.add(now, track);
                *wake_at = Some(now);
                return;
            }
        }
    }

    fn accept(&mut self, client: ClientIndex, offer: Offer) {
        let mut links = self.links.iter_mut().filter(|link| link.client == client);
        if let Some(Flow::Receiving(receiving)) =
            links.find(|link| link.direction != Direction::Publishing).map(|link| &mut link.flow)
        {
            receiving.add(offer);
        }
    }

    fn begin(&mut self) {
        self.begun = self.totals;
        self.latency = Histogram::default();
        for link in &mut self.links {
            if let Flow::Receiving(receiving) = &mut link.flow {
                receiving.begin_measurement();
            }
        }
    }

    fn end(&mut self) {
        let silent = |link: &Link| match &link.flow {
            Flow::Receiving(receiving) => receiving.silent_tracks(),
            Flow::Publishing(_) => 0,
        };
        let measured = Measured {
            totals: self.totals - self.begun,
            latency: std::mem::take(&mut self.latency),
            silent_tracks: self.links.iter().map(silent).sum(),
        };
        self.tell(Told::Measured(Box::new(measured)));
    }

    fn receive(&mut self, index: usize, buffers: &mut Buffers) {
        let now = Instant::now();
        let Worker { links, totals, latency, told, .. } = self;
        let Some(link) = links.get_mut(index) else { return };
        let Link { path, flow, has_media, client, .. } = link;
        let mut datagrams = 0;
        let socket = path.socket.clone();
        socket.receive(buffers, |datagram, came_at| {
            datagrams += 1;
            match (path.handle_datagram(now, datagram), &mut *flow) {
                (Received::Rtp(packet), Flow::Receiving(receiving)) => {
                    let is_media = receiving.handle_rtp(packet, came_at, path, totals, latency);
                    if is_media && !std::mem::replace(has_media, true) {
                        let _ = told.send(Told::FirstMedia(*client, now));
                    }
                }
                (Received::Rtcp(compound), Flow::Receiving(receiving)) => {
                    receiving.handle_rtcp(now, compound);
                }
                (Received::Rtcp(compound), Flow::Publishing(publishing)) => {
                    publishing.handle_rtcp(compound, path, totals);
                }
                (Received::Rtp(_), Flow::Publishing(_)) | (Received::Nothing, _) => {}
            }
        });
        if datagrams > 0 && link.told_state == PathState::Connecting {
            self.wake_at[index] = Some(now);
            self.follow(index, now);
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        for index in 0..self.links.len() {
            if self.wake_at[index].is_some_and(|at| at <= now) {
                self.links[index].poll(now, &mut self.totals);
                self.follow(index, now);
            }
        }
    }

    /// Tells of what has changed, and sets the timer.
    fn follow(&mut self, index: usize, now: Instant) {
        let link = &mut self.links[index];
        let state = link.path.state();
        if std::mem::replace(&mut link.told_state, state) != state {
            let (client, direction) = (link.client, link.direction);
            match state {
                PathState::Connecting => {}
                PathState::Connected => {
                    let moved = self.connecting.remove(&link.path.socket);
                    let moved = moved.and_then(|()| self.connected.add(&link.path.socket, index));
                    if let Err(error) = moved {
                        self.tell(Told::Failed(client, error.to_string()));
                    }
                    self.tell(Told::Connected(client, direction, now));
                }
                PathState::Failed(why) => self.tell(Told::Failed(client, why.to_owned())),
            }
        }
        self.wake_at[index] = self.links[index].deadline();
    }

    /// Whoever does not listen any more does not want to know.
    fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }
}

impl Link {
    fn poll(&mut self, now: Instant, totals: &mut Totals) {
        self.path.handle_timeout(now);
        if self.path.state() == PathState::Connected {
            match &mut self.flow {
                Flow::Publishing(publishing) => publishing.poll(now, &mut self.path, totals),
                Flow::Receiving(receiving) => receiving.poll(now, &mut self.path),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let media = match (&self.flow, self.path.state()) {
            (Flow::Publishing(publishing), PathState::Connected) => publishing.deadline(),
            (Flow::Receiving(receiving), PathState::Connected) => Some(receiving.deadline()),
            _ => None,
        };
        [self.path.deadline(), media].into_iter().flatten().min()
    }
}
