//! The core inside somebody's own single-threaded loop: one UDP socket, one `Server`, the standard library and nothing else.
//!
//! It speaks no HTTP, so its "signaling" is a JSON line on standard input per WHIP or WHEP offer:
//! `{"path": "/whip/room/alice", "sdp": "v=0…"}`; the answer is printed. Run it with
//! `cargo run -p sansfu --example event_loop`.
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "the world around the core, which has the clock"
)]
use std::io::{self, BufRead};
use std::net::UdpSocket;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use sansfu::config::{Config, ListenAddress};
use sansfu::server::{ExchangeId, HttpRequest, Input, Output, Server, ServerConfig};
use sansfu::sfu::{Datagram, Protocol};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("127.0.0.1:40000")?;
    let local = socket.local_addr()?;
    let sfu = Config { listen: vec![ListenAddress { local, announced: None }], ..Config::default() };
    let config = ServerConfig { sfu, ..ServerConfig::default() };
    let mut server = Server::new(config, seed(), Instant::now(), SystemTime::now())?;
    let offers = read_offers();
    let mut buffer = vec![0; 65_536];
    let mut next_exchange = 0;
    println!("media on {local}; waiting for offers on standard input");
    loop {
        let deadline = drain(&mut server, &socket)?;
        // Standard input cannot be waited for together with the socket, so look at it ten times a second.
        let wait = deadline
            .saturating_duration_since(Instant::now())
            .clamp(Duration::from_millis(1), Duration::from_millis(100));
        socket.set_read_timeout(Some(wait))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, remote)) => {
                let datagram =
                    Datagram { local, remote, protocol: Protocol::Udp, payload: &mut buffer[..length] };
                server.handle_input(Instant::now(), Input::Datagram(datagram));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                server.handle_input(Instant::now(), Input::Timeout);
            }
            // A client's port was closed (ICMP): its consent will expire.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
        match offers.try_recv() {
            Ok((path, sdp)) => {
                next_exchange += 1;
                let request = HttpRequest {
                    method: "POST",
                    target: &path,
                    content_type: Some("application/sdp"),
                    if_match: None,
                    authorization: None,
                    body: sdp.as_bytes(),
                };
                server.handle_input(
                    Instant::now(),
                    Input::Http { exchange: ExchangeId(next_exchange), request },
                );
            }
            Err(mpsc::TryRecvError::Empty) => {}
            // Media goes on after the last offer.
            Err(mpsc::TryRecvError::Disconnected) => {}
        }
    }
}

/// Does everything that the machine wants done; returns when it wants to be woken.
fn drain(server: &mut Server, socket: &UdpSocket) -> io::Result<Instant> {
    loop {
        match server.poll_output() {
            Output::Transmit(transmit) => {
                let segment_size = transmit.segment_size.unwrap_or(transmit.payload.len()).max(1);
                for datagram in transmit.payload.chunks(segment_size) {
                    // A full socket buffer loses a datagram, as the network may: the protocols repair that.
                    let _ = socket.send_to(datagram, transmit.remote);
                }
            }
            Output::Response { response, .. } => println!("{} {}", response.status, response.body),
            Output::Event(event) => eprintln!("{event:?}"),
            Output::Message { .. } | Output::Close { .. } => {}
            // Of ports of their own, which were not asked for.
            Output::Listen { .. } | Output::Unlisten { .. } => {}
            Output::Timeout(deadline) => {
                return Ok(deadline.at.unwrap_or_else(|| Instant::now() + Duration::from_secs(1)));
            }
        }
    }
}

/// Offers as they are typed or piped in.
fn read_offers() -> mpsc::Receiver<(String, String)> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let offer = serde_json::from_str::<serde_json::Value>(&line).ok();
            let text = |name: &str| offer.as_ref().and_then(|offer| offer[name].as_str()).map(str::to_owned);
            match text("path").zip(text("sdp")) {
                Some(offer) => {
                    if sender.send(offer).is_err() {
                        return;
                    }
                }
                None => eprintln!("not an offer: {line}"),
            }
        }
    });
    receiver
}

/// 32 bytes from the operating system.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let read =
        std::fs::File::open("/dev/urandom").and_then(|mut file| io::Read::read_exact(&mut file, &mut seed));
    read.expect("the operating system has randomness");
    seed
}
