//! A small world in memory and in virtual time: one `Sfu`, clients, and the links between them.
//!
//! Time jumps from one happening to the next. One seed decides what the links do. What the `Sfu` sends is watched by
//! [`Wire`]; [`World::assert_sound`] says whether it broke a rule.
mod media;
mod queue;
mod scripted_client;
mod str0m_client;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sansfu::config::{Config, ListenAddress};
use sansfu::event::Event;
use sansfu::sfu::{Datagram, Input, Output, Protocol, Sfu};

use crate::net::{Delivery, Link, LinkConfig};
pub use crate::peer::path::stun;
pub use media::{Frame, IncomingPacket, Kind, OutgoingPacket, SeenFrame, Sink, Source};
pub use queue::EventQueue;
pub use scripted_client::ScriptedClient;
pub use str0m_client::{
    Dialect, Str0mClient, connect, connect_with, consume, default_router, produce, settle,
};
pub use wire::{Stream, Wire};

/// A program at the other end of a link.
pub trait Endpoint: fmt::Debug {
    /// Takes a datagram that came from `from`.
    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]);

    /// Does what is due at `now`, adds what it wants sent (where to and what) to `sent`, and says when it wants to be called
    /// again at the latest.
    fn poll(&mut self, now: Instant, sent: &mut Vec<(SocketAddr, Vec<u8>)>) -> Option<Instant>;
}

/// A client and its links.
#[derive(Debug)]
pub struct Host<C> {
    /// The client.
    pub client: C,
    /// The address that the `Sfu` sees: that of the NAT before the client. Change it to make the client move; what is sent to the
    /// old one is lost then.
    pub external: SocketAddr,
    /// From the client to the `Sfu`.
    pub uplink: Link,
    /// From the `Sfu` to the client.
    pub downlink: Link,
    /// Whether the client has died: it neither sends nor hears.
    pub dead: bool,
    deadline: Option<Instant>,
}

/// Everything.
#[derive(Debug)]
pub struct World<C> {
    /// The time.
    pub now: Instant,
    /// When it began.
    pub start: Instant,
    /// The machine under test. After a request to it, call [`World::drain`].
    pub sfu: Sfu,
    /// The clients.
    pub hosts: Vec<Host<C>>,
    /// What it has told, with the time.
    pub events: Vec<(Instant, Event)>,
    /// What it has sent, judged.
    pub wire: Wire,
    /// What it has sent to addresses behind which there is no client.
    pub strays: Vec<(SocketAddr, Vec<u8>)>,
    /// Everything that it has sent, where to and when (counted from the start), if it is to be kept.
    pub trace: Option<Vec<(Duration, SocketAddr, Vec<u8>)>>,
    rng: ChaCha8Rng,
    queue: EventQueue<Arrival>,
    sfu_deadline: Option<Instant>,
}

#[derive(Debug)]
enum Arrival {
    AtSfu { remote: SocketAddr, bytes: Vec<u8> },
    AtHost { index: usize, bytes: Vec<u8> },
}

/// The address of the `Sfu`.
pub fn sfu_address() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 1], 40_000))
}

/// The default settings with that address.
pub fn config() -> Config {
    Config { listen: vec![ListenAddress { local: sfu_address(), announced: None }], ..Config::default() }
}

/// The one reading of a clock: where virtual time begins does not matter, only that it is the same for all.
#[allow(clippy::disallowed_methods)]
pub fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// The wall-clock time at [`epoch`].
pub fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

impl<C: Endpoint> World<C> {
    /// A world without clients.
    ///
    /// # Panics
    /// If the settings are refused.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sfu_seed = [0; 32];
        rng.fill_bytes(&mut sfu_seed);
        let now = epoch();
        let sfu = Sfu::new(config, sfu_seed, now, wall()).unwrap_or_else(|error| panic!("{error}"));
        World {
            now,
            start: now,
            sfu,
            hosts: Vec::new(),
            events: Vec::new(),
            wire: Wire::default(),
            strays: Vec::new(),
            trace: None,
            rng,
            queue: EventQueue::default(),
            sfu_deadline: None,
        }
    }

    /// Adds a client, with a link each way that does as `link` says; gives its index.
    pub fn add(&mut self, client: C, link: LinkConfig) -> usize {
        let index = self.hosts.len();
        let [uplink, downlink] = std::array::from_fn(|_| Link::new(link, self.rng.next_u64()));
        self.hosts.push(Host {
            client,
            external: external_address(index, 0),
            uplink,
            downlink,
            dead: false,
            deadline: Some(self.now),
        });
        index
    }

    /// Makes the client appear at another address, as when a NAT gives it another port.
    pub fn rebind(&mut self, index: usize, nth: u16) {
        self.hosts[index].external = external_address(index, nth);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps_at_once = 0;
        while let Some(next) = self.next_at().filter(|next| *next <= end) {
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 100_000, "time stands still at {:?}", self.now - self.start);
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until `done`; false if it did not come about within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if self.now >= end {
                return false;
            }
            self.run_for(Duration::from_millis(5));
        }
        true
    }

    /// Gives a datagram to the `Sfu` at once, from any address.
    pub fn inject(&mut self, remote: SocketAddr, bytes: &[u8]) {
        let mut payload = bytes.to_vec();
        let datagram =
            Datagram { local: sfu_address(), remote, protocol: Protocol::Udp, payload: &mut payload };
        self.sfu.handle_input(self.now, Input::Datagram(datagram));
        self.drain();
    }

    /// Takes what the `Sfu` wants sent and tells.
    pub fn drain(&mut self) {
        loop {
            let (remote, datagrams) = match self.sfu.poll_output() {
                Output::Event(event) => {
                    self.events.push((self.now, event));
                    continue;
                }
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(deadline) => {
                    self.sfu_deadline = deadline.at;
                    assert!(deadline.at.is_none_or(|at| at > self.now), "a deadline that has come already");
                    return;
                }
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.local, sfu_address());
                    let size = transmit.segment_size.unwrap_or(transmit.payload.len());
                    let datagrams: Vec<_> = transmit.payload.chunks(size).map(<[u8]>::to_vec).collect();
                    (transmit.remote, datagrams)
                }
            };
            for bytes in datagrams {
                self.on_sent(remote, bytes);
            }
        }
    }

    /// Lets clients that were changed from outside act.
    pub fn wake(&mut self, index: usize) {
        self.hosts[index].deadline = Some(self.now);
    }

    /// # Panics
    /// If the `Sfu` has broken a rule of the wire.
    pub fn assert_sound(&self) {
        assert!(self.wire.violations.is_empty(), "{:#?}", self.wire.violations);
    }

    fn next_at(&self) -> Option<Instant> {
        let hosts = self.hosts.iter().filter(|host| !host.dead).filter_map(|host| host.deadline);
        [self.queue.next_at(), self.sfu_deadline].into_iter().flatten().chain(hosts).min()
    }

    fn step(&mut self) {
        if let Some(arrival) = self.queue.pop_due(self.now) {
            match arrival {
                Arrival::AtSfu { remote, bytes } => self.inject(remote, &bytes),
                Arrival::AtHost { index, bytes } => {
                    let host = &mut self.hosts[index];
                    if !host.dead {
                        host.client.handle_datagram(self.now, sfu_address(), &bytes);
                        // str0m holds one received packet at a time: what is not polled before the next comes is lost.
                        self.poll_host(index);
                    }
                }
            }
        } else if self.sfu_deadline.is_some_and(|at| at <= self.now) {
            self.sfu.handle_input(self.now, Input::Timeout);
            self.drain();
        } else {
            let now = self.now;
            let due = |host: &Host<C>| !host.dead && host.deadline.is_some_and(|at| at <= now);
            if let Some(index) = self.hosts.iter().position(due) {
                self.poll_host(index);
            }
        }
    }

    fn poll_host(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let mut sent = Vec::new();
        let next = host.client.poll(self.now, &mut sent);
        // A client that wants to be called at once has been: it has to wait a little.
        host.deadline = next.map(|at| at.max(self.now + Duration::from_millis(1)));
        for (to, bytes) in sent {
            assert_eq!(to, sfu_address());
            let remote = host.external;
            self.wire.on_client_sent(remote, &bytes);
            for Delivery { at, bytes } in host.uplink.send(self.now, &bytes) {
                self.queue.push(at, Arrival::AtSfu { remote, bytes });
            }
        }
    }

    fn on_sent(&mut self, remote: SocketAddr, bytes: Vec<u8>) {
        let index = self.hosts.iter().position(|host| host.external == remote);
        self.wire.on_sfu_sent(self.now, index, remote, &bytes);
        if let Some(trace) = &mut self.trace {
            trace.push((self.now - self.start, remote, bytes.clone()));
        }
        let Some(index) = index else {
            self.strays.push((remote, bytes));
            return;
        };
        for Delivery { at, bytes } in self.hosts[index].downlink.send(self.now, &bytes) {
            self.queue.push(at, Arrival::AtHost { index, bytes });
        }
    }
}

fn external_address(index: usize, nth: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, (index / 200) as u8, 1 + (index % 200) as u8], 6_000 + nth))
}
