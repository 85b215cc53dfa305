//! The simulated world: servers, clients, and the networks between them, in virtual time.
//!
//! One heap holds what is going to happen, ordered by time and then by the order in which it was decided. The clock jumps to the
//! next happening or deadline. Nothing here draws randomness of its own but the networks, whose seeds are given.
//!
//! A world knows nothing of what is right: it shows everything that goes into a server and comes out of it to an
//! [`Observer`].
mod words;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use sansfu::config::ListenAddress;
use sansfu::server::{
    Action, Datagram, ExchangeId, HttpRequest, HttpResponse, Input, Output, Protocol, Secret, Server,
    ServerConfig, SessionId, edge,
};

pub use self::words::{Client, Done, Heard, Observer, Said, Step, Told};
use super::trace::Trace;
use crate::net::{Link, LinkConfig, Nat, NatConfig};
use crate::world::EventQueue;

/// Outputs after one input; more would mean that a queue has lost its bound.
const MAX_OUTPUTS_PER_STEP: usize = 100_000;
/// Steps without a step of the clock; more would mean that a deadline is set over and over.
const MAX_STEPS_AT_ONCE: usize = 100_000;
/// How long a message takes on a WebSocket to a server. Messages are neither lost nor overtaken.
const MESSAGE_UP: Duration = Duration::from_millis(15);
/// How long one takes to a client: less than any datagram, so that a client knows of a change before the media that follows
/// from it comes, and can tell what is right from what is wrong.
const MESSAGE_DOWN: Duration = Duration::from_micros(500);
/// A client that wants to be called at once has been; it has to wait this long.
const CLIENT_TICK: Duration = Duration::from_micros(100);

/// A client with its networks.
#[derive(Debug)]
pub struct Host<C> {
    /// The client.
    pub client: C,
    /// What stands between it and the world.
    pub nat: Nat,
    /// From the client to the servers.
    pub uplink: Link,
    /// From the servers to the client.
    pub downlink: Link,
    /// Whether the client has died: it neither acts nor hears, and its WebSocket stays as it is.
    pub dead: bool,
    session: Option<(usize, SessionId)>,
    deadline: Option<Instant>,
}

/// A server.
#[derive(Debug)]
struct Node {
    server: Server,
    address: SocketAddr,
    deadline: Option<Instant>,
}

/// Everything.
#[derive(Debug)]
pub struct World<C, O> {
    /// The time.
    pub now: Instant,
    /// When it began.
    pub start: Instant,
    /// The clients.
    pub hosts: Vec<Host<C>>,
    /// The judge.
    pub observer: O,
    /// What has happened.
    pub trace: Trace,
    /// Datagrams that servers have sent.
    pub datagrams_sent: u64,
    nodes: Vec<Node>,
    queue: EventQueue<Happening>,
    sessions: BTreeMap<SessionId, usize>,
    exchanges: BTreeMap<ExchangeId, (usize, u64)>,
    addresses: BTreeMap<IpAddr, usize>,
    counter: u64,
    done: Vec<Done>,
}

#[derive(Debug)]
enum Happening {
    DatagramAtNode { node: usize, remote: SocketAddr, bytes: Vec<u8> },
    DatagramAtNat { external: SocketAddr, from: SocketAddr, bytes: Vec<u8> },
    OpenedAtNode { node: usize, session: SessionId, room_id: String, peer_id: String },
    MessageAtNode { node: usize, session: SessionId, text: String },
    ClosedAtNode { node: usize, session: SessionId },
    HttpAtNode { node: usize, exchange: ExchangeId, request: Box<Said> },
    OpenedAtHost { host: usize, session: SessionId },
    MessageAtHost { host: usize, session: SessionId, text: String },
    ClosedAtHost { host: usize, session: SessionId, code: u16 },
    ResponseAtHost { host: usize, number: u64, response: HttpResponse },
}

impl<C: Client, O: Observer> World<C, O> {
    /// A world of `workers` servers with these settings, each with an address and a seed of its own; rooms are spread over
    /// them as the runtimes do it. `now` is where virtual time begins.
    ///
    /// # Panics
    /// If the settings are refused.
    pub fn new(workers: usize, config: &ServerConfig, seed: u64, now: Instant, observer: O) -> Self {
        let nodes = (0..workers).map(|index| Node::new(index, config, seed, now)).collect();
        World {
            now,
            start: now,
            hosts: Vec::new(),
            observer,
            trace: Trace::default(),
            datagrams_sent: 0,
            nodes,
            queue: EventQueue::default(),
            sessions: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            addresses: BTreeMap::new(),
            counter: 0,
            done: Vec::new(),
        }
    }

    /// Adds a client behind a NAT, with a link of the same kind in either direction; gives its index. `seed` decides what its
    /// networks do.
    pub fn add(&mut self, client: C, nat: NatConfig, link: LinkConfig, seed: u64) -> usize {
        let index = self.hosts.len();
        let public = IpAddr::from(Ipv4Addr::new(198, 51, (index / 200) as u8, 1 + (index % 200) as u8));
        self.addresses.insert(public, index);
        self.hosts.push(Host {
            client,
            nat: Nat::new(nat, public, seed ^ 1),
            uplink: Link::new(link, seed ^ 2),
            downlink: Link::new(link, seed ^ 3),
            dead: false,
            session: None,
            deadline: Some(self.now),
        });
        index
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().map(|node| &node.server)
    }

    /// Whether no server waits for anything.
    pub fn servers_sleep(&self) -> bool {
        self.nodes.iter().all(|node| node.deadline.is_none())
    }

    /// Lets a client that was changed from outside act.
    pub fn wake(&mut self, host: usize) {
        self.hosts[host].deadline = Some(self.now);
    }

    /// Two clients change places: each has the other's public address from now on.
    pub fn swap_addresses(&mut self, one: usize, other: usize) {
        let (low, high) = (one.min(other), one.max(other));
        if low == high {
            return;
        }
        let (head, tail) = self.hosts.split_at_mut(high);
        head[low].nat.swap_public(&mut tail[0].nat);
        for host in self.addresses.values_mut() {
            *host = if *host == low {
                high
            } else if *host == high {
                low
            } else {
                *host
            };
        }
    }

    /// Lets time pass until something has happened; false if nothing does until `end`.
    pub fn advance(&mut self, end: Instant) -> bool {
        match self.next_at().filter(|next| *next <= end) {
            Some(next) => {
                self.now = self.now.max(next);
                self.step();
                true
            }
            None => {
                self.now = self.now.max(end);
                false
            }
        }
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If the clock stands still.
    pub fn run_until(&mut self, end: Instant) {
        let (mut at, mut steps) = (self.now, 0);
        while self.advance(end) {
            steps = if self.now > at { 0 } else { steps + 1 };
            at = self.now;
            assert!(steps < MAX_STEPS_AT_ONCE, "the clock stands still at {:?}", self.now - self.start);
        }
    }

    /// A datagram comes to a server from an address that is nobody's.
    pub fn inject(&mut self, node: usize, remote: SocketAddr, bytes: Vec<u8>) {
        self.queue.push(self.now, Happening::DatagramAtNode { node, remote, bytes });
    }

    fn next_at(&self) -> Option<Instant> {
        let hosts = self.hosts.iter().filter(|host| !host.dead).filter_map(|host| host.deadline);
        let nodes = self.nodes.iter().filter_map(|node| node.deadline);
        self.queue.next_at().into_iter().chain(nodes).chain(hosts).min()
    }

    /// What is in the queue comes first, then servers, then clients.
    fn step(&mut self) {
        let now = self.now;
        if let Some(happening) = self.queue.pop_due(now) {
            return self.happen(happening);
        }
        if let Some(node) = self.nodes.iter().position(|node| node.deadline.is_some_and(|at| at <= now)) {
            return self.tell(node, &Told::Timeout);
        }
        let due = |host: &Host<C>| !host.dead && host.deadline.is_some_and(|at| at <= now);
        if let Some(host) = self.hosts.iter().position(due) {
            self.poll_host(host);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::DatagramAtNode { node, remote, bytes } => {
                self.tell(node, &Told::Datagram { remote, bytes: &bytes });
            }
            Happening::DatagramAtNat { external, from, bytes } => {
                let Some(&host) = self.addresses.get(&external.ip()) else { return };
                if let Some(local) = self.hosts[host].nat.inbound(self.now, external, from) {
                    self.hear(host, Heard::Datagram { local, from, bytes: &bytes });
                }
            }
            Happening::OpenedAtNode { node, session, room_id, peer_id } => {
                self.tell(node, &Told::Opened { session, room_id: &room_id, peer_id: &peer_id });
            }
            Happening::MessageAtNode { node, session, text } => {
                self.tell(node, &Told::Message { session, text: &text });
            }
            Happening::ClosedAtNode { node, session } => self.tell(node, &Told::Closed { session }),
            Happening::HttpAtNode { node, exchange, request } => self.tell_http(node, exchange, &request),
            Happening::OpenedAtHost { host, session } if self.has_session(host, session) => {
                self.hear(host, Heard::Opened);
            }
            Happening::MessageAtHost { host, session, text } if self.has_session(host, session) => {
                self.hear(host, Heard::Message(&text));
            }
            Happening::ClosedAtHost { host, session, code } if self.has_session(host, session) => {
                self.hosts[host].session = None;
                self.hear(host, Heard::Closed(code));
            }
            Happening::ResponseAtHost { host, number, response } => {
                self.hear(host, Heard::Response(number, &response));
            }
            // It has another WebSocket by now.
            Happening::OpenedAtHost { .. }
            | Happening::MessageAtHost { .. }
            | Happening::ClosedAtHost { .. } => {}
        }
    }

    fn has_session(&self, host: usize, session: SessionId) -> bool {
        self.hosts[host].session.is_some_and(|(_, own)| own == session)
    }

    fn hear(&mut self, index: usize, heard: Heard<'_>) {
        let host = &mut self.hosts[index];
        if !host.dead {
            host.client.hear(self.now, heard);
            self.poll_host(index);
        }
    }

    fn poll_host(&mut self, index: usize) {
        let mut said = Vec::new();
        let host = &mut self.hosts[index];
        let next = host.client.poll(self.now, &mut said);
        host.deadline = next.map(|at| at.max(self.now + CLIENT_TICK));
        for said in said {
            self.say(index, said);
        }
    }

    fn say(&mut self, index: usize, said: Said) {
        let (now, workers) = (self.now, self.nodes.len());
        let host = &mut self.hosts[index];
        let heard_at = now + MESSAGE_UP;
        match said {
            Said::Datagram { local, to, bytes } => {
                let Some(node) = self.nodes.iter().position(|node| node.address == to) else { return };
                let remote = host.nat.outbound(now, local, to);
                for delivery in host.uplink.send(now, &bytes) {
                    let happening = Happening::DatagramAtNode { node, remote, bytes: delivery.bytes };
                    self.queue.push(delivery.at, happening);
                }
            }
            Said::Open { room_id, peer_id } => {
                self.hang_up(index);
                self.counter += 1;
                let (node, session) = (edge::shard(&room_id, workers), SessionId(self.counter));
                self.hosts[index].session = Some((node, session));
                self.sessions.insert(session, index);
                self.queue.push(heard_at, Happening::OpenedAtNode { node, session, room_id, peer_id });
                self.queue.push(heard_at + MESSAGE_DOWN, Happening::OpenedAtHost { host: index, session });
            }
            Said::Message(text) => {
                if let Some((node, session)) = host.session {
                    self.queue.push(heard_at, Happening::MessageAtNode { node, session, text });
                }
            }
            Said::Close => self.hang_up(index),
            Said::Http { number, ref room_id, .. } => {
                self.counter += 1;
                let (node, exchange) = (edge::shard(room_id, workers), ExchangeId(self.counter));
                self.exchanges.insert(exchange, (index, number));
                let request = Box::new(said);
                self.queue.push(heard_at, Happening::HttpAtNode { node, exchange, request });
            }
        }
    }

    /// The WebSocket of a client is closed, by itself or because its machine has gone.
    pub fn hang_up(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if let Some((node, session)) = host.session.take() {
            self.queue.push(self.now + MESSAGE_UP, Happening::ClosedAtNode { node, session });
        }
    }

    /// A client loses its WebSocket without a word: the server does not learn of it.
    pub fn lose_session(&mut self, index: usize) {
        self.hosts[index].session = None;
    }

    fn tell_http(&mut self, node: usize, exchange: ExchangeId, said: &Said) {
        let Said::Http { method, target, content_type, body, .. } = said else { return };
        let request = HttpRequest {
            method,
            target,
            content_type: content_type.as_deref(),
            if_match: None,
            authorization: None,
            body,
        };
        self.tell(node, &Told::Http { exchange, request: &request });
    }

    /// The operator throws a peer out; `authorization` is what he proves himself with.
    pub fn kick(&mut self, room_id: &str, peer_id: &str, authorization: &Secret) {
        self.counter += 1;
        let (node, exchange) = (edge::shard(room_id, self.nodes.len()), ExchangeId(self.counter));
        let request = HttpRequest {
            method: "DELETE",
            target: &format!("/rooms/{room_id}/peers/{peer_id}"),
            content_type: None,
            if_match: None,
            authorization: Some(authorization),
            body: &[],
        };
        self.tell(node, &Told::Http { exchange, request: &request });
    }

    /// The application of a server does something to a peer of version 2.
    pub fn operate(&mut self, room_id: &str, peer_name: &str, action: &Action) {
        let node = edge::shard(room_id, self.nodes.len());
        self.tell(node, &Told::Act { room_id, peer_name, action });
    }

    fn tell(&mut self, node: usize, told: &Told<'_>) {
        record_told(&mut self.trace, self.now - self.start, node, told);
        let acted = self.nodes[node].handle(self.now, told);
        let mut done = std::mem::take(&mut self.done);
        done.extend(acted);
        self.nodes[node].drain(self.now, &mut done);
        for done in &done {
            record_done(&mut self.trace, self.now - self.start, node, done);
        }
        let step = Step { now: self.now, node, told, done: &done };
        self.observer.observe(&step, &self.nodes[node].server);
        for done in done.drain(..) {
            self.deliver(node, done);
        }
        self.done = done;
    }

    fn deliver(&mut self, node: usize, done: Done) {
        match done {
            Done::Datagram { remote, bytes } => {
                self.datagrams_sent += 1;
                let Some(&host) = self.addresses.get(&remote.ip()) else { return };
                let from = self.nodes[node].address;
                for delivery in self.hosts[host].downlink.send(self.now, &bytes) {
                    let happening =
                        Happening::DatagramAtNat { external: remote, from, bytes: delivery.bytes };
                    self.queue.push(delivery.at, happening);
                }
            }
            Done::Message { session, text } => {
                let Some(&host) = self.sessions.get(&session) else { return };
                let at = self.now + MESSAGE_DOWN;
                self.queue.push(at, Happening::MessageAtHost { host, session, text });
            }
            Done::Close { session, code } => {
                let Some(&host) = self.sessions.get(&session) else { return };
                let at = self.now + MESSAGE_DOWN;
                self.queue.push(at, Happening::ClosedAtHost { host, session, code });
            }
            Done::Response { exchange, response } => {
                let Some((host, number)) = self.exchanges.remove(&exchange) else { return };
                let at = self.now + MESSAGE_DOWN;
                self.queue.push(at, Happening::ResponseAtHost { host, number, response });
            }
            Done::Event(_) | Done::Acted(_) => {}
        }
    }
}

impl Node {
    fn new(index: usize, config: &ServerConfig, seed: u64, now: Instant) -> Self {
        let address = SocketAddr::from(([203, 0, 113, 1], 40_000 + index as u16));
        let mut config = config.clone();
        config.sfu.listen = vec![ListenAddress { local: address, announced: None }];
        let mut own_seed = [0; 32];
        own_seed[..8].copy_from_slice(&seed.to_be_bytes());
        own_seed[8] = index as u8;
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        let server = Server::new(config, own_seed, now, wall).unwrap_or_else(|error| panic!("{error}"));
        Node { server, address, deadline: None }
    }

    /// Gives what comes back at once of what an application does.
    fn handle(&mut self, now: Instant, told: &Told<'_>) -> Option<Done> {
        let input = match *told {
            Told::Timeout => Input::Timeout,
            Told::Datagram { remote, bytes } => {
                let mut payload = bytes.to_vec();
                let (local, protocol) = (self.address, Protocol::Udp);
                let datagram = Datagram { local, remote, protocol, payload: &mut payload };
                self.server.handle_input(now, Input::Datagram(datagram));
                return None;
            }
            Told::Opened { session, room_id, peer_id } => Input::Opened { session, room_id, peer_id },
            Told::Message { session, text } => Input::Message { session, text },
            Told::Closed { session } => Input::Closed { session },
            Told::Http { exchange, request } => Input::Http { exchange, request: *request },
            Told::Act { room_id, peer_name, action } => {
                let outcome = self.server.act(now, room_id, peer_name, action.clone());
                return Some(Done::Acted(outcome.map_err(|error| error.to_string())));
            }
        };
        self.server.handle_input(now, input);
        None
    }

    fn drain(&mut self, now: Instant, done: &mut Vec<Done>) {
        loop {
            assert!(done.len() < MAX_OUTPUTS_PER_STEP, "outputs without end");
            match self.server.poll_output() {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.local, self.address, "sent from an address that is not its own");
                    assert!(!transmit.payload.is_empty(), "an empty datagram");
                    let size = transmit.segment_size.unwrap_or(transmit.payload.len());
                    let datagrams = transmit.payload.chunks(size);
                    let remote = transmit.remote;
                    done.extend(datagrams.map(|bytes| Done::Datagram { remote, bytes: bytes.to_vec() }));
                }
                Output::Message { session, text } => done.push(Done::Message { session, text }),
                Output::Close { session, code, .. } => done.push(Done::Close { session, code }),
                Output::Response { exchange, response } => done.push(Done::Response { exchange, response }),
                Output::Event(event) => done.push(Done::Event(event)),
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(deadline) => {
                    assert!(deadline.at.is_none_or(|at| at > now), "a deadline that has come already");
                    self.deadline = deadline.at;
                    return;
                }
            }
        }
    }
}

fn record_told(trace: &mut Trace, at: Duration, node: usize, told: &Told<'_>) {
    let mut record = |kind, text: &[u8]| trace.record(at, kind, node as u64, text);
    match told {
        Told::Timeout => record(0, &[]),
        Told::Datagram { remote, bytes } => {
            record(1, remote.to_string().as_bytes());
            record(2, bytes);
        }
        Told::Opened { session, room_id, peer_id } => {
            record(3, format!("{session:?} {room_id} {peer_id}").as_bytes());
        }
        Told::Message { session, text } => record(4, format!("{session:?} {text}").as_bytes()),
        Told::Closed { session } => record(5, format!("{session:?}").as_bytes()),
        Told::Http { exchange, request } => record(6, format!("{exchange:?} {request:?}").as_bytes()),
        Told::Act { room_id, peer_name, action } => {
            record(13, format!("{room_id} {peer_name} {action:?}").as_bytes());
        }
    }
}

fn record_done(trace: &mut Trace, at: Duration, node: usize, done: &Done) {
    let mut record = |kind, text: &[u8]| trace.record(at, kind, node as u64, text);
    match done {
        Done::Datagram { remote, bytes } => {
            record(7, remote.to_string().as_bytes());
            record(8, bytes);
        }
        Done::Message { session, text } => record(9, format!("{session:?} {text}").as_bytes()),
        Done::Close { session, code } => record(10, format!("{session:?} {code}").as_bytes()),
        Done::Response { exchange, response } => record(11, format!("{exchange:?} {response:?}").as_bytes()),
        Done::Event(event) => record(12, format!("{event:?}").as_bytes()),
        Done::Acted(outcome) => record(14, format!("{outcome:?}").as_bytes()),
    }
}
