//! Callers of the simulated world, over real sockets.
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use sansfu::dtls::DtlsVersions;
use sansfu::ortc::DtlsRole;
use sansfu::server::edge;
use sansfu_tests::peer::call::{Caller, CallerConfig};
use sansfu_tests::peer::path::Security;
use sansfu_tests::peer::publishing::Generation;
use sansfu_tests::sim::world::{Client, Heard, Said};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Error, Message, WebSocket};

/// A received track: room, receiver, track id.
pub type Received = BTreeSet<(String, String, u32)>;

/// By then everything of a scenario has had its effect, even on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What was decoded within this time counts as flowing.
const FRESH: Duration = Duration::from_millis(700);

/// The caller of a number.
pub fn caller(index: u32) -> Caller {
    Caller::new(CallerConfig {
        peer_id: format!("peer-{index}"),
        index,
        security: Security::Dtls { role: DtlsRole::Client, versions: DtlsVersions::Both },
        seed: u64::from(index) + 1,
        lacks: Vec::new(),
        generation: Generation::Three,
        spy: false,
    })
}

/// What the callers receive at the moment.
pub fn flowing<'a>(callers: impl Iterator<Item = &'a Caller>, now: Instant) -> Received {
    let of = |caller: &'a Caller| {
        let key = (caller.room_id().unwrap_or_default().to_owned(), caller.peer_id().to_owned());
        let fresh = caller.incoming().filter(move |(_, incoming)| {
            incoming.receiver.last_decoded_at().is_some_and(|at| now.duration_since(at) < FRESH)
        });
        fresh.map(move |(_, incoming)| (key.0.clone(), key.1.clone(), incoming.track_id()))
    };
    callers.flat_map(of).collect()
}

/// Runs until `done`, at most as long as patience lasts.
pub fn run_until(hosts: &mut [Host], done: impl Fn(&[Host]) -> bool) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && !done(hosts) {
        for host in hosts.iter_mut() {
            host.run();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A caller with real sockets.
pub struct Host {
    /// Who decides what is said.
    pub caller: Caller,
    /// The addresses that it has sent datagrams to.
    pub remotes: BTreeSet<SocketAddr>,
    server: SocketAddr,
    socket: Option<WebSocket<TcpStream>>,
    /// By the address that the caller takes for its own.
    ports: BTreeMap<SocketAddr, UdpSocket>,
}

impl Host {
    /// A caller that has said nothing yet.
    pub fn new(caller: Caller, server: SocketAddr) -> Self {
        Host { caller, remotes: BTreeSet::new(), server, socket: None, ports: BTreeMap::new() }
    }

    /// Takes what has come, and says what there is to say.
    pub fn run(&mut self) {
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
                self.remotes.insert(to);
                // Loopback stays on loopback, so that nobody's port there is taken on all addresses.
                let own = if to.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
                let port = self.ports.entry(local).or_insert_with(|| {
                    let socket = UdpSocket::bind((own, 0)).unwrap();
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
