//! An `Sfu`, paths that are connected to it by nothing but memory, and a clock.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::dtls::{Certificate, DimplBackend, DimplBackendConfig, DtlsBackend};
use sansfu::event::Event;
use sansfu::id::{RouterId, TransportId};
use sansfu::model::{ConsumerOptions, ProducerOptions, RouterOptions, WebRtcTransportOptions};
use sansfu::ortc::{MediaKind, default_media_codecs};
use sansfu::rng::Rng;
use sansfu::sfu::{Datagram, Input, Output, Protocol, Sfu};
use sansfu::srtp::SrtpProfile;
use serde_json::json;

use super::super::srtp::header_len;
use super::super::{Misbehaviour, Path, PathParameters, Received, Security};
use crate::fixed_dtls::FixedDtls;
use crate::null_crypto::NullCrypto;
use crate::seeded_crypto::provider;
use crate::world::{config, epoch, sfu_address, wall};

/// To the `Sfu`.
const UP: usize = 0;
/// To the clients.
const DOWN: usize = 1;

/// A client and what it has heard.
pub(super) struct Client {
    pub(super) path: Path,
    pub(super) transport: TransportId,
    pub(super) address: SocketAddr,
    pub(super) rtp: Vec<Vec<u8>>,
    pub(super) rtcp: Vec<Vec<u8>>,
}

/// Everything.
pub(super) struct Scene {
    pub(super) now: Instant,
    pub(super) sfu: Sfu,
    pub(super) clients: Vec<Client>,
    pub(super) events: Vec<Event>,
    /// Every datagram that was sent, by whichever side.
    pub(super) trace: Vec<Vec<u8>>,
    /// Whether every third datagram of each direction is lost.
    pub(super) is_lossy: bool,
    /// Whether nothing reaches the clients.
    pub(super) is_deaf: bool,
    sent: [usize; 2],
    router: RouterId,
    security: Security,
    seed: u64,
    sfu_deadline: Option<Instant>,
}

/// A stream from one client to another.
pub(super) struct Stream {
    from: usize,
    to: usize,
    ssrc: u32,
    pub(super) consumer_ssrc: u32,
    sent: u16,
}

impl Scene {
    pub(super) fn new(security: Security, seed: u64) -> Self {
        let mut config = config();
        config.dtls_backend = Some(backend(security, seed));
        if matches!(security, Security::None { .. }) {
            config.srtp_crypto = Arc::new(NullCrypto);
        }
        let now = epoch();
        let mut sfu = Sfu::new(config, [seed as u8; 32], now, wall()).unwrap();
        let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
        let router = sfu.create_router(now, options).unwrap();
        Scene {
            now,
            sfu,
            clients: Vec::new(),
            events: Vec::new(),
            trace: Vec::new(),
            is_lossy: false,
            is_deaf: false,
            sent: [0; 2],
            router,
            security,
            seed,
            sfu_deadline: None,
        }
    }

    /// Adds a client that begins to connect; gives its index.
    pub(super) fn add(&mut self) -> usize {
        let transport = self.create_transport();
        let data = self.sfu.webrtc_transport(transport).unwrap();
        let index = self.clients.len();
        let parameters = PathParameters {
            server: sfu_address(),
            ice: data.ice_parameters,
            fingerprints: data.dtls_parameters.fingerprints,
            security: self.security,
            seed: self.seed << 8 | index as u64,
        };
        self.add_with(transport, parameters)
    }

    /// Adds clients.
    pub(super) fn add_all(&mut self, count: usize) {
        for _ in 0..count {
            self.add();
        }
    }

    pub(super) fn create_transport(&mut self) -> TransportId {
        let options = WebRtcTransportOptions::default();
        self.sfu.create_webrtc_transport(self.now, self.router, options).unwrap()
    }

    pub(super) fn add_with(&mut self, transport: TransportId, parameters: PathParameters) -> usize {
        let path = Path::new(self.now, parameters);
        let own = path.local_dtls_parameters();
        self.sfu.connect_webrtc_transport(self.now, transport, &own).unwrap();
        let address = SocketAddr::from(([198, 51, 100, 1 + self.clients.len() as u8], 5_000));
        self.clients.push(Client { path, transport, address, rtp: Vec::new(), rtcp: Vec::new() });
        self.clients.len() - 1
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for steps in 0.. {
            assert!(steps < 100_000, "time stands still");
            self.deliver();
            let deadlines = self.clients.iter().filter_map(|client| client.path.deadline());
            let Some(next) = deadlines.chain(self.sfu_deadline).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for client in &mut self.clients {
                client.path.handle_timeout(self.now);
                assert!(
                    client.path.deadline().is_none_or(|at| at > self.now),
                    "a deadline that has come already"
                );
            }
            self.sfu.handle_input(self.now, Input::Timeout);
        }
        self.now = end;
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run_for(Duration::from_millis(ms));
    }

    /// Lets time pass until all clients are connected.
    pub(super) fn connect(&mut self) {
        for _ in 0..3_000 {
            if self.clients.iter().all(|client| client.path.is_connected()) {
                return;
            }
            self.run_ms(10);
        }
        let states: Vec<_> =
            self.clients.iter().map(|client| (client.path.state(), client.path.stats())).collect();
        panic!("not connected: {states:?}\n{:?}", self.events);
    }

    /// Makes a video stream.
    pub(super) fn stream(&mut self, from: usize, to: usize, ssrc: u32) -> Stream {
        let parameters = json!({
            "mid": ssrc.to_string(),
            "codecs": [{ "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90_000,
                "rtcpFeedback": [{ "type": "nack" }, { "type": "nack", "parameter": "pli" }, { "type": "goog-remb" }] }],
            "encodings": [{ "ssrc": ssrc }],
            "rtcp": { "cname": "x" },
        });
        let options = ProducerOptions::new(MediaKind::Video, serde_json::from_value(parameters).unwrap());
        let producer = self.sfu.produce(self.now, self.clients[from].transport, options).unwrap();
        let capabilities = self.sfu.router_rtp_capabilities(self.router).unwrap().clone();
        let options = ConsumerOptions::new(producer, capabilities);
        let consumer = self.sfu.consume(self.now, self.clients[to].transport, options).unwrap();
        let data = self.sfu.consumer(consumer).unwrap();
        let consumer_ssrc = data.rtp_parameters.encodings[0].ssrc.unwrap();
        Stream { from, to, ssrc, consumer_ssrc, sent: 0 }
    }

    /// Sends one packet of a stream, and lets 20 ms pass.
    pub(super) fn send(&mut self, stream: &mut Stream) {
        stream.sent += 1;
        let mut packet = vec![0x80, 0x80 | 96];
        packet.extend(stream.sent.to_be_bytes());
        packet.extend((u32::from(stream.sent) * 1_800).to_be_bytes());
        packet.extend(stream.ssrc.to_be_bytes());
        packet.extend(payload(stream.sent));
        self.clients[stream.from].path.send_rtp(&packet);
        self.run_ms(20);
    }

    /// Which packets of a stream have come.
    ///
    /// # Panics
    /// If one has come that was not sent.
    pub(super) fn arrived(&self, stream: &Stream) -> BTreeSet<u16> {
        let packets = self.clients[stream.to].rtp.iter();
        let own = packets.filter(|packet| packet[8..12] == stream.consumer_ssrc.to_be_bytes());
        let payloads = own.map(|packet| &packet[header_len(packet).unwrap()..]);
        let number = |bytes: &[u8]| (1..=stream.sent).find(|number| payload(*number) == bytes);
        payloads.map(|bytes| number(bytes).expect("a payload that was sent")).collect()
    }

    /// # Panics
    /// If a packet of the stream is missing.
    pub(super) fn assert_complete(&self, stream: &Stream) {
        assert_eq!(self.arrived(stream), (1..=stream.sent).collect());
    }

    pub(super) fn misbehave(
        &mut self,
        index: usize,
        misbehaviour: Misbehaviour,
        draw: &mut dyn FnMut(u32) -> u32,
    ) {
        self.clients[index].path.misbehave(self.now, &misbehaviour, draw);
    }

    /// How many PLIs a client has got.
    pub(super) fn keyframe_requests(&self, index: usize) -> usize {
        // All parts of a compound but the last say how long they are.
        let parts = |compound: &[u8]| {
            let (mut at, mut found) = (0, 0);
            while at + 4 <= compound.len() {
                found += usize::from(compound[at] == 0x81 && compound[at + 1] == 206);
                at += 4 + 4 * usize::from(u16::from_be_bytes([compound[at + 2], compound[at + 3]]));
            }
            found
        };
        self.clients[index].rtcp.iter().map(|compound| parts(compound)).sum()
    }

    fn deliver(&mut self) {
        loop {
            let mut was_quiet = true;
            for index in 0..self.clients.len() {
                while let Some(mut bytes) = self.clients[index].path.poll_transmit() {
                    was_quiet = false;
                    if self.passes(UP, &bytes) {
                        self.give_to_sfu(index, &mut bytes);
                    }
                }
            }
            for (remote, bytes) in self.drain_sfu() {
                was_quiet = false;
                if self.passes(DOWN, &bytes) {
                    self.give_to_client(remote, &bytes);
                }
            }
            if was_quiet {
                return;
            }
        }
    }

    fn passes(&mut self, direction: usize, bytes: &[u8]) -> bool {
        self.trace.push(bytes.to_vec());
        self.sent[direction] += 1;
        let is_unheard = self.is_deaf && direction == DOWN;
        let is_lost = self.is_lossy && self.sent[direction].is_multiple_of(3);
        !(is_unheard || is_lost)
    }

    fn give_to_sfu(&mut self, index: usize, payload: &mut [u8]) {
        let remote = self.clients[index].address;
        let datagram = Datagram { local: sfu_address(), remote, protocol: Protocol::Udp, payload };
        self.sfu.handle_input(self.now, Input::Datagram(datagram));
    }

    fn give_to_client(&mut self, remote: SocketAddr, bytes: &[u8]) {
        let client = self.clients.iter_mut().find(|client| client.address == remote).expect("a client");
        client.path.handle_datagram(self.now, bytes);
        while let Some(received) = client.path.poll_received() {
            match received {
                Received::Rtp(packet) => client.rtp.push(packet),
                Received::Rtcp(packet) => client.rtcp.push(packet),
            }
        }
    }

    fn drain_sfu(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        loop {
            match self.sfu.poll_output() {
                Output::Event(event) => self.events.push(event),
                Output::Transmit(transmit) => {
                    let size = transmit.segment_size.unwrap_or(transmit.payload.len());
                    sent.extend(transmit.payload.chunks(size).map(|bytes| (transmit.remote, bytes.to_vec())));
                }
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(deadline) => {
                    self.sfu_deadline = deadline.at;
                    return sent;
                }
            }
        }
    }
}

/// A VP8 keyframe in one packet, each another.
fn payload(number: u16) -> Vec<u8> {
    let mut payload = vec![0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
    payload.extend(number.to_be_bytes().repeat(50));
    payload
}

fn backend(security: Security, seed: u64) -> Arc<dyn DtlsBackend> {
    match security {
        Security::Dtls { .. } => {
            let certificate = Certificate::generate(&mut Rng::from_seed([seed as u8; 32])).unwrap();
            let crypto = Some(provider([seed as u8; 32]));
            let config = DimplBackendConfig { crypto, rng_seed: Some(seed), ..DimplBackendConfig::default() };
            Arc::new(DimplBackend::new(&certificate, config).unwrap())
        }
        Security::Agreed { profile, .. } => Arc::new(FixedDtls::new(profile)),
        Security::None { .. } => Arc::new(FixedDtls::new(SrtpProfile::AeadAes128Gcm)),
    }
}
