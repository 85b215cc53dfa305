//! An `Sfu` in memory with many consumers, cheaply made: for measurements.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::config::Config;
use sansfu::dtls::DtlsBackend;
use sansfu::id::{ProducerId, RouterId, TransportId};
use sansfu::model::{ConsumerOptions, ProducerOptions, RouterOptions};
use sansfu::ortc::{MediaKind, RtpCapabilities, default_media_codecs};
use sansfu::sfu::{Datagram, Input, Output, Protocol, Sfu};
use sansfu::srtp::SrtpProfile;
use serde_json::json;

use crate::fixed_dtls::FixedDtls;
use crate::world::{Endpoint, ScriptedClient, config, epoch, sfu_address, wall};

/// Bytes of payload in each packet.
pub const PAYLOAD_BYTES: usize = 1_200;

/// Header extension bytes and all: what a publisher's packet is longer than its payload, in the clear.
const HEADER: [u8; 2] = [0x90, 96];

/// A publisher with one or more video streams, and transports that consume them all.
pub struct Load {
    /// The machine.
    pub sfu: Sfu,
    /// Virtual time.
    pub now: Instant,
    router: RouterId,
    capabilities: RtpCapabilities,
    publishers: Vec<Publisher>,
    consumers: usize,
    sequence: u64,
    next_port: u16,
}

struct Publisher {
    client: ScriptedClient,
    remote: SocketAddr,
    ssrcs: Vec<u32>,
    producers: Vec<ProducerId>,
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: usize,
    /// Calls of `send` that they take with GSO.
    pub transmits: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Load {
    /// `transports` transports that consume `streams` streams each.
    ///
    /// # Panics
    /// If something is refused.
    pub fn new(transports: usize, streams: usize) -> Self {
        let backend = Arc::new(FixedDtls::new(SrtpProfile::AeadAes128Gcm));
        // Nobody renews consent here.
        let mut load = Load::empty(Some(backend.clone()), Duration::ZERO);
        for first in (0..streams).step_by(50) {
            load.add_publisher(first, (streams - first).min(50), &backend);
        }
        for _ in 0..transports {
            load.add_transport(streams, &backend);
        }
        load
    }

    /// A router without transports. With a `backend` DTLS agrees on what that has fixed; else it is the real one.
    ///
    /// # Panics
    /// If something is refused.
    pub fn empty(backend: Option<Arc<FixedDtls>>, ice_consent_timeout: Duration) -> Self {
        let dtls_backend = backend.map(|backend| backend as Arc<dyn DtlsBackend>);
        let config = Config { dtls_backend, ice_consent_timeout, ..config() };
        let now = epoch();
        let mut sfu = Sfu::new(config, [7; 32], now, wall()).unwrap_or_else(|error| panic!("{error}"));
        let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
        let router = sfu.create_router(now, options).unwrap_or_else(|error| panic!("{error}"));
        let capabilities =
            sfu.router_rtp_capabilities(router).unwrap_or_else(|error| panic!("{error}")).clone();
        Load {
            sfu,
            now,
            router,
            capabilities,
            publishers: Vec::new(),
            consumers: 0,
            sequence: 1,
            next_port: 1_000,
        }
    }

    /// A transport that consumes the first `streams` streams.
    ///
    /// # Panics
    /// If something is refused.
    pub fn add_transport(&mut self, streams: usize, backend: &Arc<FixedDtls>) -> TransportId {
        let (client, _) = self.add_client(backend);
        self.add_consumers(client.transport, 0, streams);
        client.transport
    }

    /// Consumers of the streams from `first` on.
    ///
    /// # Panics
    /// If something is refused.
    pub fn add_consumers(&mut self, transport: TransportId, first: usize, count: usize) {
        let producers: Vec<_> =
            self.publishers.iter().flat_map(|publisher| &publisher.producers).copied().collect();
        for producer in &producers[first..first + count] {
            let options = ConsumerOptions::new(*producer, self.capabilities.clone());
            self.sfu.consume(self.now, transport, options).unwrap_or_else(|error| panic!("{error}"));
            self.consumers += 1;
        }
        self.drain();
    }

    /// The next packet of every stream, encrypted, with where it comes from.
    pub fn next_packets(&mut self, keyframe: bool) -> Vec<(SocketAddr, Vec<u8>)> {
        let sequence = self.sequence;
        self.sequence += 1;
        let mut packets = Vec::new();
        for publisher in &self.publishers {
            for ssrc in &publisher.ssrcs {
                let packet = packet(*ssrc, sequence, keyframe);
                packets.push((publisher.remote, publisher.client.protect_rtp(&packet, sequence)));
            }
        }
        packets
    }

    /// Takes a packet, a little later than the one before.
    pub fn feed(&mut self, remote: SocketAddr, payload: &mut [u8]) {
        let datagram = Datagram { local: sfu_address(), remote, protocol: Protocol::Udp, payload };
        self.sfu.handle_input(self.now, Input::Datagram(datagram));
    }

    /// Lets time pass; the timers fire with the next input.
    pub fn pass(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// Fires what is due.
    pub fn timeout(&mut self) {
        self.sfu.handle_input(self.now, Input::Timeout);
    }

    /// Takes everything that is to be sent.
    pub fn drain(&mut self) -> Sent {
        let mut sent = Sent::default();
        loop {
            match self.sfu.poll_output() {
                Output::Transmit(transmit) => {
                    let size = transmit.segment_size.unwrap_or(transmit.payload.len());
                    sent.datagrams += transmit.payload.len().div_ceil(size);
                    sent.transmits += 1;
                    sent.bytes += transmit.payload.len();
                }
                Output::Event(_) => {}
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(_) => return sent,
            }
        }
    }

    /// The router that everything belongs to.
    pub fn router(&self) -> RouterId {
        self.router
    }

    /// Consumers in all.
    pub fn consumers(&self) -> usize {
        self.consumers
    }

    fn add_publisher(&mut self, first: usize, streams: usize, backend: &Arc<FixedDtls>) {
        let (client, remote) = self.add_client(backend);
        let ssrcs: Vec<u32> = (0..streams).map(|nth| 10_000 + 2 * (first + nth) as u32).collect();
        let produce = |(nth, ssrc): (usize, &u32)| {
            let options = ProducerOptions::new(MediaKind::Video, parameters(first + nth, *ssrc));
            let producer = self.sfu.produce(self.now, client.transport, options);
            producer.unwrap_or_else(|error| panic!("{error}"))
        };
        let producers = ssrcs.iter().enumerate().map(produce).collect();
        self.publishers.push(Publisher { client, remote, ssrcs, producers });
    }

    /// A client that is connected.
    fn add_client(&mut self, backend: &Arc<FixedDtls>) -> (ScriptedClient, SocketAddr) {
        let (mut client, remote) = self.new_client(backend.clone());
        while !client.is_connected() {
            assert!(self.exchange(&mut client, remote), "the client has nothing to say and is not connected");
        }
        (client, remote)
    }

    /// A client that has not said anything.
    pub fn new_client(&mut self, backend: Arc<dyn DtlsBackend>) -> (ScriptedClient, SocketAddr) {
        let mut client = ScriptedClient::new(&mut self.sfu, self.now, self.router, backend);
        client.keeps_received = false;
        self.next_port += 1;
        (client, SocketAddr::from(([198, 51, 100, 1], self.next_port)))
    }

    /// Takes what the client has to say now, and gives it the answers. `false`: it had nothing to say.
    pub fn exchange(&mut self, client: &mut ScriptedClient, remote: SocketAddr) -> bool {
        let mut sent = Vec::new();
        client.poll(self.now, &mut sent);
        for (_, bytes) in &mut sent {
            self.feed(remote, bytes);
        }
        while let Output::Transmit(_) | Output::Event(_) = self.answer(client) {}
        !sent.is_empty()
    }

    fn answer(&mut self, client: &mut ScriptedClient) -> Output<'_> {
        let output = self.sfu.poll_output();
        if let Output::Transmit(transmit) = &output {
            let size = transmit.segment_size.unwrap_or(transmit.payload.len());
            transmit
                .payload
                .chunks(size)
                .for_each(|bytes| client.handle_datagram(self.now, sfu_address(), bytes));
        }
        output
    }
}

fn packet(ssrc: u32, sequence: u64, keyframe: bool) -> Vec<u8> {
    let mut packet = Vec::with_capacity(PAYLOAD_BYTES + 100);
    packet.extend(HEADER);
    packet.extend((sequence as u16).to_be_bytes());
    packet.extend((sequence as u32).wrapping_mul(90).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    // One-byte header extensions: transport-wide sequence number (3 bytes) and abs-send-time (4), padded to two words.
    packet.extend([0xbe, 0xde, 0, 2, 0x31]);
    packet.extend((sequence as u16).to_be_bytes());
    packet.extend([0x22, 0, 0, 0, 0]);
    let payload_start = packet.len();
    let tag = if keyframe { 0x10 } else { 0x11 };
    packet.extend([0x10, tag, 2, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0xe0, 1]);
    packet.resize(payload_start + PAYLOAD_BYTES, 0x5a);
    packet
}

fn parameters(nth: usize, ssrc: u32) -> sansfu::ortc::RtpParameters {
    let json = json!({
        "mid": format!("{nth}"),
        "codecs": [
            { "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90_000, "rtcpFeedback": [
                { "type": "goog-remb", "parameter": "" }, { "type": "transport-cc", "parameter": "" },
                { "type": "ccm", "parameter": "fir" }, { "type": "nack", "parameter": "" },
                { "type": "nack", "parameter": "pli" }] },
            { "mimeType": "video/rtx", "payloadType": 97, "clockRate": 90_000, "parameters": { "apt": 96 } },
        ],
        "headerExtensions": [
            { "uri": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", "id": 2 },
            { "uri": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", "id": 3 },
            { "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 4 },
        ],
        "encodings": [{ "ssrc": ssrc, "rtx": { "ssrc": ssrc + 1 } }],
        "rtcp": { "cname": "load" },
    });
    serde_json::from_value(json).unwrap_or_else(|error| panic!("{error}"))
}
