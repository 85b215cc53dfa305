//! One scenario, wherever it runs: in the simulated world and over real sockets, under smol and under threads, with its rooms on
//! one worker or spread over two. Everybody receives the same of everybody.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
#![allow(clippy::disallowed_methods, reason = "the runtimes need the time of the real world")]
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use sansfu::dtls::DtlsVersions;
use sansfu::ortc::DtlsRole;
use sansfu::server::settings::{RtcAddresses, Settings};
use sansfu::server::{ServerConfig, edge};
use sansfu_runtime::{Running, StartError};
use sansfu_tests::net::{LinkConfig, NatConfig, Translation};
use sansfu_tests::peer::call::{Caller, CallerConfig, Order};
use sansfu_tests::peer::path::Security;
use sansfu_tests::peer::publishing::TrackKind;
use sansfu_tests::sim::check::Checker;
use sansfu_tests::sim::world::{Client, Heard, Said, World};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Error, Message, WebSocket};

/// A received track: room, receiver, track id.
type Received = BTreeSet<(String, String, u32)>;

/// The rooms of the scenario; two workers have one each.
const ROOMS: [&str; 2] = ["blue", "red"];
/// By then everything of the scenario has had its effect, even on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What was decoded within this time counts as flowing.
const FRESH: Duration = Duration::from_millis(700);

#[test]
fn the_rooms_are_on_two_workers() {
    assert_ne!(edge::shard(ROOMS[0], 2), edge::shard(ROOMS[1], 2));
}

#[test]
fn in_the_simulated_world() {
    for workers in [1, 2] {
        assert_eq!(simulate(workers), expected(), "{workers} worker(s)");
    }
}

macro_rules! over_sockets {
    ($($name:ident: $start:path, $workers:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(over_sockets($start, $workers), expected());
        }
    )*};
}

over_sockets! {
    smol_with_one_worker: sansfu_smol::start, 1;
    smol_with_two_workers: sansfu_smol::start, 2;
    threads_with_one_worker: sansfu_std::start, 1;
    threads_with_two_workers: sansfu_std::start, 2;
}

/// Who goes where and publishes what.
fn arrivals() -> Vec<Order> {
    use TrackKind::{H264, Opus, Vp8, Vp8Simulcast, Vp9Svc};
    let join = |room: usize, tracks: &[TrackKind]| Order::Join {
        room_id: ROOMS[room].to_owned(),
        tracks: tracks.to_vec(),
    };
    vec![
        join(0, &[Opus, Vp8]),
        join(0, &[Opus, Vp8Simulcast]),
        join(0, &[]),
        join(1, &[Opus, Vp9Svc]),
        join(1, &[Opus, H264]),
    ]
}

/// What happens once everything flows: who does it, and what.
fn changes() -> [(usize, Order); 4] {
    [
        (0, Order::PauseProducer(0, true)),
        (2, Order::PauseConsumer(0, true)),
        (3, Order::Mute(1, true)),
        (4, Order::Leave),
    ]
}

/// Everything of everybody in the same room, before the changes.
fn everything() -> Received {
    received(&[(0, 0, &[1_001, 1_002]), (0, 1, &[1, 2]), (0, 2, &[1, 2, 1_001, 1_002])])
        .into_iter()
        .chain(received(&[(1, 3, &[4_001, 4_002]), (1, 4, &[3_001, 3_002])]))
        .collect()
}

/// What is left of it. Consumers of one client are counted in the order of their ids: the first one of client 2 is that of the
/// track that was produced first.
fn expected() -> BTreeMap<&'static str, Received> {
    let after = received(&[(0, 0, &[1_001, 1_002]), (0, 1, &[2]), (0, 2, &[2, 1_001, 1_002])]);
    BTreeMap::from([("before", everything()), ("after", after)])
}

fn received(of: &[(usize, usize, &[u32])]) -> Received {
    let each = |(room, peer, tracks): &(usize, usize, &[u32])| {
        let key = (ROOMS[*room].to_owned(), format!("peer-{peer}"));
        tracks.iter().map(move |track| (key.0.clone(), key.1.clone(), *track)).collect::<Vec<_>>()
    };
    of.iter().flat_map(each).collect()
}

fn callers() -> Vec<Caller> {
    let caller = |index: u32| {
        Caller::new(CallerConfig {
            peer_id: format!("peer-{index}"),
            index,
            security: Security::Dtls { role: DtlsRole::Client, versions: DtlsVersions::Both },
            seed: u64::from(index) + 1,
            lacks: Vec::new(),
        })
    };
    (0..arrivals().len() as u32).map(caller).collect()
}

fn flowing<'a>(callers: impl Iterator<Item = &'a Caller>, now: Instant) -> Received {
    let of = |caller: &'a Caller| {
        let key = (caller.room_id().unwrap_or_default().to_owned(), caller.peer_id().to_owned());
        let fresh = caller.incoming().filter(move |(_, incoming)| {
            incoming.receiver.last_decoded_at().is_some_and(|at| now.duration_since(at) < FRESH)
        });
        fresh.map(move |(_, incoming)| (key.0.clone(), key.1.clone(), incoming.track_id()))
    };
    callers.flat_map(of).collect()
}

fn simulate(workers: usize) -> BTreeMap<&'static str, Received> {
    let start = Instant::now();
    let mut world: World<Caller, Checker> =
        World::new(workers, &ServerConfig::default(), 7, start, Checker::new(start));
    for (seed, caller) in (0..).zip(callers()) {
        world.add(caller, NatConfig::Translate(Translation::default()), LinkConfig::default(), seed);
    }
    let give = |world: &mut World<Caller, Checker>, index: usize, order| {
        world.hosts[index].client.order(world.now, order);
        world.wake(index);
    };
    for (index, order) in arrivals().into_iter().enumerate() {
        give(&mut world, index, order);
        world.run_until(world.now + Duration::from_millis(300));
    }
    world.run_until(world.now + Duration::from_secs(5));
    let before = flowing(world.hosts.iter().map(|host| &host.client), world.now);
    for (index, order) in changes() {
        give(&mut world, index, order);
    }
    world.run_until(world.now + Duration::from_secs(3));
    let after = flowing(world.hosts.iter().map(|host| &host.client), world.now);
    assert_eq!(world.observer.violation, None);
    BTreeMap::from([("before", before), ("after", after)])
}

fn over_sockets<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
    workers: usize,
) -> BTreeMap<&'static str, Received> {
    let settings = Settings {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        rtc_ipv4: RtcAddresses::List(vec![Ipv4Addr::LOCALHOST]),
        rtc_ipv6: RtcAddresses::Off,
        rtc_port: 0,
        num_workers: Some(workers),
        ..Settings::default()
    };
    let server = start(&settings).unwrap();
    let address = server.http_address();
    let mut hosts: Vec<Host> = callers().into_iter().map(|caller| Host::new(caller, address)).collect();
    for (index, order) in arrivals().into_iter().enumerate() {
        hosts[index].caller.order(Instant::now(), order);
        run_until(&mut hosts, |hosts| hosts[index].caller.is_settled());
    }
    let flowing_now = |hosts: &[Host]| flowing(hosts.iter().map(|host| &host.caller), Instant::now());
    run_until(&mut hosts, |hosts| flowing_now(hosts) == everything());
    let before = flowing_now(&hosts);
    for (index, order) in changes() {
        hosts[index].caller.order(Instant::now(), order);
    }
    let expected_after = expected().remove("after");
    run_until(&mut hosts, |hosts| Some(flowing_now(hosts)) == expected_after);
    let after = flowing_now(&hosts);
    server.stopper().stop();
    server.wait().unwrap();
    BTreeMap::from([("before", before), ("after", after)])
}

/// Runs until `done`, at most as long as patience lasts.
fn run_until(hosts: &mut [Host], done: impl Fn(&[Host]) -> bool) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && !done(hosts) {
        for host in hosts.iter_mut() {
            host.run();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A caller with real sockets.
struct Host {
    caller: Caller,
    server: SocketAddr,
    socket: Option<WebSocket<TcpStream>>,
    /// By the address that the caller takes for its own.
    ports: BTreeMap<SocketAddr, UdpSocket>,
}

impl Host {
    fn new(caller: Caller, server: SocketAddr) -> Self {
        Host { caller, server, socket: None, ports: BTreeMap::new() }
    }

    fn run(&mut self) {
        self.read_messages();
        self.read_datagrams();
        let mut said = Vec::new();
        self.caller.poll(Instant::now(), &mut said);
        for said in said {
            self.say(said);
        }
        assert_eq!(self.caller.take_complaints(), []);
    }

    fn say(&mut self, said: Said) {
        match said {
            Said::Open { room_id, peer_id } => {
                let target = format!("/?roomId={room_id}&peerId={peer_id}");
                let mut request = format!("ws://{}{target}", self.server).into_client_request().unwrap();
                let protocol = edge::SUB_PROTOCOL.parse().unwrap();
                request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
                let stream = TcpStream::connect(self.server).unwrap();
                let (socket, _) = tungstenite::client(request, stream).unwrap();
                socket.get_ref().set_nonblocking(true).unwrap();
                self.socket = Some(socket);
                self.caller.hear(Instant::now(), Heard::Opened);
            }
            Said::Message(text) => {
                if let Some(socket) = &mut self.socket {
                    socket.send(Message::text(text)).unwrap();
                }
            }
            Said::Close => {
                if let Some(mut socket) = self.socket.take() {
                    let _ = socket.close(None).and_then(|()| socket.flush());
                }
            }
            Said::Datagram { local, to, bytes } => {
                let port = self.ports.entry(local).or_insert_with(|| {
                    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                    socket.set_nonblocking(true).unwrap();
                    socket
                });
                // A full socket buffer loses a datagram, as networks do.
                let _ = port.send_to(&bytes, to);
            }
            Said::Http { .. } => unreachable!("callers speak protoo"),
        }
    }

    fn read_messages(&mut self) {
        while let Some(socket) = &mut self.socket {
            match socket.read() {
                Ok(Message::Text(text)) => self.caller.hear(Instant::now(), Heard::Message(&text)),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the WebSocket broke: {error}"),
            }
        }
    }

    fn read_datagrams(&mut self) {
        let mut buffer = [0; 2_048];
        for (&local, port) in &self.ports {
            while let Ok((length, from)) = port.recv_from(&mut buffer) {
                let bytes = &buffer[..length];
                self.caller.hear(Instant::now(), Heard::Datagram { local, from, bytes });
            }
        }
    }
}
