//! The cost of a whole server: both runtimes, as processes of their own, with clients of the load tool over loopback.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sansfu::server::{Protocol, Transmit, TransmitClass};
use sansfu_runtime::{Counters, MediaSocket};
use serde_json::Value;

use super::cpu_time_ns;
use crate::load::args::Args;
use crate::load::crowd;

/// Says to this program that it is to be a server, and which.
const SERVE: &str = "BUDGETS_SERVE";
/// How long a server may take to start.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Destinations of the bare send loop: as many as the measured server has.
const DESTINATIONS: usize = 100;
/// Datagrams that it sends to each, in all.
const DATAGRAMS: usize = 600;
/// A video packet as it leaves: payload, header, header extensions, tag.
const DATAGRAM_BYTES: usize = 1_250;

/// A runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// `runtime-std`.
    Std,
    /// `runtime-smol`.
    Smol,
}

/// What a server came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// CPU of the whole process for each packet that its clients received, in µs.
    pub us_per_packet: f64,
    /// Datagrams in each transmit.
    pub per_transmit: f64,
}

impl Runtime {
    fn name(self) -> &'static str {
        match self {
            Runtime::Std => "std",
            Runtime::Smol => "smol",
        }
    }
}

/// Becomes a server, if that is what this process was started for.
pub fn serve_if_asked() -> Option<ExitCode> {
    match std::env::var(SERVE).ok()?.as_str() {
        "std" => Some(sansfu_runtime::run_binary("sansfu-std", sansfu_std::start)),
        _ => Some(sansfu_runtime::run_binary("sansfu", sansfu_smol::start)),
    }
}

/// Starts a server with one worker, puts the load of `args` on it, and tells what it took.
///
/// Errors: the server does not start, or the load does not come about.
pub fn run(runtime: Runtime, args: Args) -> Result<Served, String> {
    let server = RunningServer::start(runtime)?;
    let args = Args { authority: server.http.to_string(), pid: Some(server.child.id()), ..args };
    let summary = crowd::run(&args, &AtomicBool::new(false), &mut std::io::sink())
        .map_err(|error| error.to_string())?;
    if !summary.is_clean() {
        return Err(format!("not everybody joined and stayed: {summary}"));
    }
    let stats = server.stats()?;
    let number = |name: &str| stats[name].as_f64().ok_or_else(|| format!("no {name} in the statistics"));
    Ok(Served {
        us_per_packet: summary.server_us_per_packet().ok_or("nothing was received")?,
        per_transmit: number("datagramsSent")? / number("transmitsSent")?,
    })
}

/// What a bare loop of sends costs that carries so many datagrams by each call, in µs a datagram. Between whole numbers it is
/// taken to be a mixture of both.
///
/// Errors: no sockets.
pub fn bare_send_us(per_transmit: f64) -> Result<f64, String> {
    let whole = per_transmit.floor().max(1.0);
    let share = per_transmit - whole;
    let (low, high) = (send_us(whole as usize)?, send_us(whole as usize + 1)?);
    Ok(low * (1.0 - share) + high * share)
}

fn send_us(segments: usize) -> Result<f64, String> {
    let bind =
        || UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    let receivers: Result<Vec<_>, _> = (0..DESTINATIONS).map(|_| bind()).collect();
    let receivers = receivers.map_err(|error| error.to_string())?;
    let to: Result<Vec<_>, _> = receivers.iter().map(UdpSocket::local_addr).collect();
    let to = to.map_err(|error| error.to_string())?;
    let mut socket =
        MediaSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(|error| error.to_string())?;
    let (counters, payload) = (Counters::default(), vec![0x5a; DATAGRAM_BYTES * segments]);
    let (local, mut spent_ns) = (socket.local(), 0);
    let rounds = DATAGRAMS / segments;
    for _ in 0..rounds {
        let start = cpu_time_ns();
        for remote in to.iter().copied() {
            let transmit = Transmit {
                local,
                remote,
                protocol: Protocol::Udp,
                class: TransmitClass::Video,
                payload: &payload,
                segment_size: (segments > 1).then_some(DATAGRAM_BYTES),
            };
            socket.send(&transmit, &counters);
        }
        spent_ns += cpu_time_ns() - start;
        receivers.iter().for_each(empty);
    }
    Ok(spent_ns as f64 / 1_000.0 / (rounds * segments * DESTINATIONS) as f64)
}

/// Reads all that a socket has.
fn empty(socket: &UdpSocket) {
    let mut bytes = [0; DATAGRAM_BYTES];
    while socket.recv(&mut bytes).is_ok() {}
}

/// A server that ends with its handle.
struct RunningServer {
    child: Child,
    http: SocketAddr,
}

impl RunningServer {
    fn start(runtime: Runtime) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the server does not start: {error}");
        let http = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(failed)?;
        let rtc = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(failed)?;
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["--num-workers", "1", "--http", &http.to_string(), "--log-level", "warn"])
            .args(["--rtc-ipv4", "127.0.0.1", "--rtc-ipv6", "off", "--rtc-port", &rtc.port().to_string()])
            .env(SERVE, runtime.name())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let server = RunningServer { child, http };
        let start = Instant::now();
        while TcpStream::connect(http).is_err() {
            if start.elapsed() > START_PATIENCE {
                return Err("the server does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn stats(&self) -> Result<Value, String> {
        let failed = |error: std::io::Error| format!("the server tells no statistics: {error}");
        let mut stream = TcpStream::connect(self.http).map_err(failed)?;
        stream
            .write_all(b"GET /stats HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n")
            .map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("the server's answer has no body")?;
        serde_json::from_str(body).map_err(|error| format!("the server's statistics cannot be read: {error}"))
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
