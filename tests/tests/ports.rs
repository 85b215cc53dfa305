//! Both runtimes with a port for each transport: media flows, ports come back, and what cannot be had is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
#![allow(clippy::disallowed_methods, reason = "the runtimes need the time of the real world")]
mod over_sockets;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use over_sockets::{Host, caller, flowing, run_until};
use sansfu::server::edge;
use sansfu::server::settings::{RtcAddresses, Settings};
use sansfu_runtime::{Running, StartError};
use sansfu_tests::peer::call::Order;
use sansfu_tests::peer::publishing::TrackKind;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(30);
/// Below the ports that the kernel gives out by itself.
const MIN_PORT: u16 = 20_000;

macro_rules! for_both {
    ($($name:ident),* $(,)?) => {
        mod smol {
            $(#[test] fn $name() { super::$name(sansfu_smol::start); })*
        }
        mod threads {
            $(#[test] fn $name() { super::$name(sansfu_std::start); })*
        }
    };
}

for_both!(
    media_flows_by_ports_of_their_own_and_the_sockets_close_with_the_transports,
    a_full_range_is_told_and_a_port_serves_again,
    a_port_that_another_program_has_ends_the_session_and_the_next_one_is_given_out,
    a_range_that_is_too_small_for_the_workers_is_told,
);

/// A loopback address that no other test and no other run of the tests has at the moment.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.clamp(1, 254), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn settings(address: Ipv4Addr, workers: usize, ports: u16) -> Settings {
    Settings {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        rtc_ipv4: RtcAddresses::List(vec![address]),
        rtc_ipv6: RtcAddresses::Off,
        rtc_min_port: Some(MIN_PORT),
        rtc_max_port: Some(MIN_PORT + ports - 1),
        num_workers: Some(workers),
        ..Settings::default()
    }
}

fn stats(http: SocketAddr) -> Value {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

fn wait_for(http: SocketAddr, name: &str, expected: u64) {
    let start = Instant::now();
    while stats(http)[name] != expected {
        assert!(start.elapsed() < PATIENCE, "{name} is not {expected}: {}", stats(http));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn open(http: SocketAddr, peer: &str) -> WebSocket<TcpStream> {
    let mut request = format!("ws://{http}/?roomId=room&peerId={peer}").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", edge::SUB_PROTOCOL.parse().unwrap());
    let stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client(request, stream).unwrap().0
}

/// Asks for a transport; the answer of the rooms.
fn create(socket: &mut WebSocket<TcpStream>, direction: &str) -> Value {
    let data = json!({ direction: true });
    let request = json!({ "request": true, "id": 1, "method": "createWebRtcTransport", "data": data });
    socket.send(Message::text(request.to_string())).unwrap();
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["response"] == true {
                return message;
            }
        }
    }
}

fn port(answer: &Value) -> u64 {
    let candidates = answer["data"]["iceCandidates"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(candidates.len(), 1);
    candidates[0]["port"].as_u64().unwrap()
}

fn media_flows_by_ports_of_their_own_and_the_sockets_close_with_the_transports<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
) {
    let address = own_address();
    let server = start(&settings(address, 2, 40)).unwrap();
    let http = server.http_address();
    assert_eq!(server.rtc_addresses(), [], "no port is shared");
    // One room for each worker.
    let rooms = ["blue", "red"];
    assert_eq!(rooms.map(|room| edge::shard(room, 2)).into_iter().collect::<BTreeSet<_>>().len(), 2);
    let mut hosts: Vec<Host> = (0..4).map(|index| Host::new(caller(index), http)).collect();
    for (index, host) in hosts.iter_mut().enumerate() {
        let tracks = vec![TrackKind::Opus, TrackKind::Vp8];
        let room_id = rooms[index / 2].to_owned();
        host.caller.order(Instant::now(), Order::Join { room_id, tracks });
    }
    let count = |hosts: &[Host]| flowing(hosts.iter().map(|host| &host.caller), Instant::now()).len();
    run_until(&mut hosts, |hosts| count(hosts) == 8);
    assert_eq!(count(&hosts), 8, "two tracks to each of four");

    let mut used = BTreeSet::new();
    for (index, host) in hosts.iter().enumerate() {
        let worker = edge::shard(rooms[index / 2], 2) as u16;
        let share = MIN_PORT + 20 * worker..MIN_PORT + 20 * (worker + 1);
        assert_eq!(host.remotes.len(), 2, "one port to send, one to receive: {:?}", host.remotes);
        for remote in &host.remotes {
            assert!(remote.ip() == address && share.contains(&remote.port()), "{remote} not in {share:?}");
            assert!(used.insert(*remote), "{remote} has two transports");
            assert!(UdpSocket::bind(remote).is_err(), "{remote} is open");
        }
    }
    assert_eq!(stats(http)["transportPorts"], 8);

    for host in &mut hosts {
        host.caller.order(Instant::now(), Order::Leave);
        host.run();
    }
    wait_for(http, "transportPorts", 0);
    // Counted when it was decided; the sockets are closed within the same turn of the worker.
    let begin = Instant::now();
    while !used.iter().all(|local| UdpSocket::bind(local).is_ok()) {
        assert!(begin.elapsed() < PATIENCE, "ports stay open");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.stopper().stop();
    server.wait().unwrap();
}

fn a_full_range_is_told_and_a_port_serves_again<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings(own_address(), 1, 2)).unwrap();
    let http = server.http_address();
    let mut first = open(http, "first");
    let ports = ["producing", "consuming"].map(|direction| port(&create(&mut first, direction)));
    assert_eq!(ports, [20_000, 20_001]);

    let mut second = open(http, "second");
    let refused = create(&mut second, "producing");
    assert_eq!((&refused["ok"], &refused["errorCode"]), (&json!(false), &json!(503)), "{refused}");
    let reason = refused["errorReason"].as_str().unwrap();
    assert!(reason.contains("no port left") && reason.contains("20000 to 20001"), "{reason}");

    first.close(None).unwrap();
    wait_for(http, "transportPorts", 0);
    assert_eq!(port(&create(&mut second, "producing")), 20_000);
    assert_eq!(stats(http)["listensFailed"], 0);
}

fn a_port_that_another_program_has_ends_the_session_and_the_next_one_is_given_out<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
) {
    let address = own_address();
    let held = UdpSocket::bind((address, MIN_PORT)).unwrap();
    let server = start(&settings(address, 1, 4)).unwrap();
    let http = server.http_address();
    let mut unlucky = open(http, "unlucky");
    assert_eq!(port(&create(&mut unlucky, "producing")), 20_000);
    let closed = loop {
        match unlucky.read() {
            Ok(Message::Close(frame)) => break frame.is_some(),
            Ok(_) => {}
            Err(error) => panic!("no close frame: {error}"),
        }
    };
    assert!(closed, "with a code, so that it comes back");
    assert_eq!(stats(http)["listensFailed"], 1);
    let mut back = open(http, "unlucky");
    assert_eq!(port(&create(&mut back, "producing")), 20_001);
    drop(held);
}

fn a_range_that_is_too_small_for_the_workers_is_told<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
) {
    let error = start(&settings(own_address(), 2, 2)).err().unwrap().to_string();
    assert!(error.contains("--rtc-min-port 20000 to --rtc-max-port 20001"), "{error}");
}
