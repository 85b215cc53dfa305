//! Clients by `str0m`: nothing of ours at the other end.
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansfu::id::{ConsumerId, ProducerId, RouterId, TransportId};
use sansfu::model::{ConsumerOptions, ProducerOptions, RouterOptions, WebRtcTransportOptions};
use sansfu::ortc::{
    DtlsFingerprint, DtlsParameters, DtlsRole, FingerprintAlgorithm, IceParameters, MediaKind,
    RtpCapabilities, RtpParameters, default_media_codecs,
};
use serde_json::json;
use str0m::config::Fingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, KeyframeRequestKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::rtcp::Rtcp;
use str0m::rtp::{Extension, RawPacket, RtpWrite, Ssrc};
use str0m::{Candidate, IceCreds, Input, Output, Rtc, RtcConfig};

use super::{Endpoint, IncomingPacket, Kind, Sink, Source, World, sfu_address};
use crate::net::LinkConfig;

/// The payload types and header extension ids that a client uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Opus.
    pub opus: u8,
    /// VP8.
    pub vp8: u8,
    /// Retransmissions of VP8.
    pub rtx: u8,
    /// Header extensions: URI and id.
    pub extensions: Vec<(String, u8)>,
}

/// A client of one transport.
pub struct Str0mClient {
    /// The peer connection.
    pub rtc: Rtc,
    /// Its transport at the `Sfu`.
    pub transport: TransportId,
    /// Its DTLS role.
    pub role: DtlsRole,
    /// Whether it is connected.
    pub connected: bool,
    /// Keyframe requests that came.
    pub keyframe_requests: Vec<Instant>,
    /// What it sends, by SSRC.
    pub sources: BTreeMap<u32, OutgoingTrack>,
    /// What it gets, by SSRC.
    pub sinks: BTreeMap<u32, Sink>,
    /// NACK messages that came.
    pub nacks_received: u64,
    /// NACK messages that it sent.
    pub nacks_sent: u64,
    /// Sender reports that came.
    pub sender_reports: u64,
    /// Receiver reports with a block that came.
    pub receiver_reports: u64,
    /// Whether it answers keyframe requests.
    pub obliging: bool,
    host: SocketAddr,
    feedback_kinds: BTreeMap<String, u64>,
}

/// A track that a client sends.
#[derive(Debug)]
pub struct OutgoingTrack {
    /// Makes the packets.
    pub source: Source,
    payload_type: u8,
    mid: Mid,
}

impl Dialect {
    /// As browsers speak: other numbers than the router's.
    pub fn browser() -> Self {
        Dialect {
            opus: 111,
            vp8: 96,
            rtx: 97,
            extensions: [
                (Extension::AudioLevel, 1),
                (Extension::AbsoluteSendTime, 2),
                (Extension::TransportSequenceNumber, 3),
                (Extension::RtpMid, 4),
            ]
            .into_iter()
            .map(|(extension, id)| (extension.as_uri().to_owned(), id))
            .collect(),
        }
    }

    /// The router's own numbers, which consumers use.
    pub fn of_router(capabilities: &RtpCapabilities) -> Self {
        let payload_type = |mime: &str| {
            let codec =
                capabilities.codecs.iter().find(|codec| codec.mime_type.as_str().eq_ignore_ascii_case(mime));
            codec.and_then(|codec| codec.preferred_payload_type).unwrap_or(0)
        };
        let vp8 = payload_type("video/VP8");
        let rtx = capabilities.rtx_for(vp8).and_then(|codec| codec.preferred_payload_type).unwrap_or(0);
        let extensions = capabilities.header_extensions.iter();
        let extensions = extensions
            .filter(|extension| known_extension(&extension.uri).is_some())
            .map(|extension| (extension.uri.clone(), extension.preferred_id));
        Dialect { opus: payload_type("audio/opus"), vp8, rtx, extensions: extensions.collect() }
    }

    fn config(&self) -> RtcConfig {
        let mut config = Rtc::builder().set_rtp_mode(true).enable_raw_packets(true).clear_codecs();
        let codecs = config.codec_config();
        let plain = FormatParams::default();
        codecs.add_config(self.opus.into(), None, Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2), plain);
        codecs.add_config(
            self.vp8.into(),
            Some(self.rtx.into()),
            Codec::Vp8,
            Frequency::NINETY_KHZ,
            None,
            plain,
        );
        let mut config = config.clear_extension_map();
        for (uri, id) in &self.extensions {
            if let Some(extension) = known_extension(uri) {
                config = config.set_extension(*id, extension);
            }
        }
        config
    }
}

impl Str0mClient {
    fn new(
        dialect: &Dialect,
        transport: TransportId,
        role: DtlsRole,
        now: Instant,
        host: SocketAddr,
    ) -> Self {
        Str0mClient {
            rtc: dialect.config().build(now),
            transport,
            role,
            connected: false,
            keyframe_requests: Vec::new(),
            sources: BTreeMap::new(),
            sinks: BTreeMap::new(),
            nacks_received: 0,
            nacks_sent: 0,
            sender_reports: 0,
            receiver_reports: 0,
            obliging: true,
            host,
            feedback_kinds: BTreeMap::new(),
        }
    }

    /// The only sink of a kind.
    ///
    /// # Panics
    /// If there is none.
    pub fn sink(&self, kind: Kind) -> &Sink {
        self.sinks.values().find(|sink| sink.kind == kind).unwrap_or_else(|| panic!("no {kind:?} sink"))
    }

    /// The only source of a kind.
    ///
    /// # Panics
    /// If there is none.
    pub fn source(&self, kind: Kind) -> &Source {
        let track = self.sources.values().find(|track| track.source.kind == kind);
        &track.unwrap_or_else(|| panic!("no {kind:?} source")).source
    }

    /// Asks the `Sfu` for a keyframe of the video that it gets.
    pub fn request_keyframe(&mut self, kind: KeyframeRequestKind) {
        for (ssrc, _) in self.sinks.iter().filter(|(_, sink)| sink.kind == Kind::Vp8) {
            if let Some(stream) = self.rtc.direct_api().stream_rx(&Ssrc::from(*ssrc)) {
                stream.request_keyframe(kind);
            }
        }
    }

    /// Stops or goes on making media.
    pub fn set_sending(&mut self, sending: bool) {
        self.sources.values_mut().for_each(|track| track.source.running = sending);
    }

    /// How many RTCP messages of each kind came.
    pub fn rtcp_received(&self) -> &BTreeMap<String, u64> {
        &self.feedback_kinds
    }

    /// Uses new credentials of the `Sfu`.
    pub fn set_remote_ice(&mut self, parameters: &IceParameters) {
        self.rtc.direct_api().set_remote_ice_credentials(credentials(parameters));
    }

    fn on_event(&mut self, now: Instant, event: str0m::Event) {
        match event {
            str0m::Event::Connected => self.connected = true,
            str0m::Event::KeyframeRequest(request) => {
                self.keyframe_requests.push(now);
                let obliging = self.obliging;
                for track in self.sources.values_mut().filter(|track| track.mid == request.mid) {
                    track.source.keyframe_wanted |= obliging;
                }
            }
            str0m::Event::RtpPacket(packet) => {
                if let Some(sink) = self.sinks.get_mut(&*packet.header.ssrc) {
                    let incoming = IncomingPacket {
                        at: now,
                        timestamp: packet.header.timestamp,
                        marker: packet.header.marker,
                        payload: packet.payload.clone(),
                    };
                    // Padding only: nothing of a frame.
                    if !incoming.payload.is_empty() {
                        sink.packets.insert(*packet.seq_no, incoming);
                    }
                }
            }
            str0m::Event::RawPacket(packet) => self.on_raw_packet(*packet),
            _ => {}
        }
    }

    fn on_raw_packet(&mut self, packet: RawPacket) {
        match packet {
            RawPacket::RtcpTx(Rtcp::Nack(_)) => self.nacks_sent += 1,
            RawPacket::RtcpRx(rtcp) => {
                let name = format!("{rtcp:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
                *self.feedback_kinds.entry(name).or_default() += 1;
                match rtcp {
                    Rtcp::Nack(_) => self.nacks_received += 1,
                    Rtcp::SenderReport(_) => self.sender_reports += 1,
                    Rtcp::ReceiverReport(report) if report.reports.iter().next().is_some() => {
                        self.receiver_reports += 1;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn make_media(&mut self, now: Instant) {
        if !self.connected {
            return;
        }
        for (ssrc, track) in &mut self.sources {
            loop {
                let packets = track.source.poll(now);
                if packets.is_empty() {
                    break;
                }
                let mut direct = self.rtc.direct_api();
                let Some(stream) = direct.stream_tx(&Ssrc::from(*ssrc)) else { break };
                for packet in packets {
                    let write = RtpWrite::new(
                        track.payload_type.into(),
                        packet.sequence.into(),
                        packet.timestamp,
                        now,
                        packet.payload,
                    );
                    let nackable = track.source.kind == Kind::Vp8;
                    stream.write_rtp(write.marker(packet.marker).nackable(nackable));
                }
            }
        }
    }
}

impl Endpoint for Str0mClient {
    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Ok(contents) = bytes.try_into() else { return };
        let receive = Receive { proto: Protocol::Udp, source: from, destination: self.host, contents };
        // An error ends the connection; the test sees that nothing comes any more.
        if self.rtc.handle_input(Input::Receive(now, receive)).is_err() {
            self.connected = false;
        }
    }

    fn poll(&mut self, now: Instant, sent: &mut Vec<(SocketAddr, Vec<u8>)>) -> Option<Instant> {
        self.make_media(now);
        self.rtc.handle_input(Input::Timeout(now)).ok()?;
        let at = loop {
            match self.rtc.poll_output().ok()? {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) => sent.push((transmit.destination, transmit.contents.to_vec())),
                Output::Event(event) => self.on_event(now, event),
            }
        };
        let media =
            self.sources.values().filter(|_| self.connected).filter_map(|track| track.source.deadline());
        media.chain([at]).min()
    }
}

impl fmt::Debug for Str0mClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Str0mClient").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// Makes a router with the default codecs.
///
/// # Panics
/// If it is refused.
pub fn default_router(world: &mut World<Str0mClient>) -> RouterId {
    let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
    world.sfu.create_router(world.now, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes a transport and its client, which begins to connect; gives the client's index.
pub fn connect(
    world: &mut World<Str0mClient>,
    router: RouterId,
    dialect: &Dialect,
    link: LinkConfig,
) -> usize {
    connect_with(world, router, dialect, link, DtlsRole::Client)
}

/// As [`connect`], with the DTLS role of the client.
///
/// # Panics
/// If something is refused.
pub fn connect_with(
    world: &mut World<Str0mClient>,
    router: RouterId,
    dialect: &Dialect,
    link: LinkConfig,
    role: DtlsRole,
) -> usize {
    let transport = world
        .sfu
        .create_webrtc_transport(world.now, router, WebRtcTransportOptions::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let data = world.sfu.webrtc_transport(transport).unwrap_or_else(|error| panic!("{error}"));
    let host = SocketAddr::from(([192, 168, 0, 1 + world.hosts.len() as u8], 5_000));
    let mut client = Str0mClient::new(dialect, transport, role, world.now, host);
    let rtc = &mut client.rtc;
    let own = Candidate::host(host, "udp").unwrap_or_else(|error| panic!("{error}"));
    rtc.add_local_candidate(own);
    let theirs = Candidate::host(sfu_address(), "udp").unwrap_or_else(|error| panic!("{error}"));
    rtc.add_remote_candidate(theirs);
    let mut direct = rtc.direct_api();
    direct.set_ice_controlling(true);
    direct.set_remote_ice_credentials(credentials(&data.ice_parameters));
    let fingerprint =
        data.dtls_parameters.fingerprints.iter().find(|one| one.algorithm == FingerprintAlgorithm::Sha256);
    let bytes = fingerprint.map(|one| one.value.clone()).unwrap_or_default();
    direct.set_remote_fingerprint(Fingerprint { hash_func: "sha-256".to_owned(), bytes });
    let parameters =
        DtlsParameters { role, fingerprints: vec![fingerprint_of(direct.local_dtls_fingerprint())] };
    direct.start_dtls(role == DtlsRole::Client).unwrap_or_else(|error| panic!("{error}"));
    world
        .sfu
        .connect_webrtc_transport(world.now, transport, &parameters)
        .unwrap_or_else(|error| panic!("{error}"));
    world.drain();
    world.add(client, link)
}

/// Makes a producer and begins to send.
///
/// # Panics
/// If it is refused.
pub fn produce(world: &mut World<Str0mClient>, index: usize, kind: Kind, dialect: &Dialect) -> ProducerId {
    let nth = world.hosts[index].client.sources.len() as u32;
    let (ssrc, rtx) = (1_000 * (index as u32 + 1) + 2 * nth, 1_000 * (index as u32 + 1) + 2 * nth + 1);
    let mid = format!("{nth}");
    let (media_kind, parameters) = match kind {
        Kind::Opus => (MediaKind::Audio, opus_parameters(dialect, &mid, ssrc)),
        Kind::Vp8 => (MediaKind::Video, vp8_parameters(dialect, &mid, ssrc, rtx)),
    };
    let producer = world
        .sfu
        .produce(world.now, world.hosts[index].client.transport, ProducerOptions::new(media_kind, parameters))
        .unwrap_or_else(|error| panic!("{error}"));
    let client = &mut world.hosts[index].client;
    let mid = Mid::from(mid.as_str());
    let mut direct = client.rtc.direct_api();
    direct.declare_media(mid, str0m_kind(kind));
    let rtx = (kind == Kind::Vp8).then(|| Ssrc::from(rtx));
    let stream = direct.declare_stream_tx(ssrc.into(), rtx, mid, None);
    stream.set_rtx_cache(2_000, Duration::from_secs(3), None);
    let payload_type = if kind == Kind::Opus { dialect.opus } else { dialect.vp8 };
    // So near to the end of the 16 bits that the video of every long run goes round, but not within the seconds that a
    // handshake may take when its flights are lost: who has missed the first round cannot know of it (RFC 3711 section 3.3.1).
    let source = Source::new(kind, world.now, 64_600);
    client.sources.insert(ssrc, OutgoingTrack { source, payload_type, mid });
    world.wake(index);
    world.drain();
    producer
}

/// Makes a consumer and expects its stream.
///
/// # Panics
/// If it is refused.
pub fn consume(
    world: &mut World<Str0mClient>,
    index: usize,
    kind: Kind,
    options: ConsumerOptions,
) -> ConsumerId {
    let transport = world.hosts[index].client.transport;
    let consumer = world.sfu.consume(world.now, transport, options).unwrap_or_else(|error| panic!("{error}"));
    let parameters = world.sfu.consumer(consumer).unwrap_or_else(|error| panic!("{error}")).rtp_parameters;
    let encoding = &parameters.encodings[0];
    let ssrc = encoding.ssrc.unwrap_or(0);
    let uses_nack = parameters.codecs[0].has_feedback("nack", "");
    let client = &mut world.hosts[index].client;
    let mid = Mid::from(parameters.mid.as_deref().unwrap_or_default());
    let mut direct = client.rtc.direct_api();
    direct.declare_media(mid, str0m_kind(kind));
    let rtx = encoding.rtx.as_ref().map(|rtx| Ssrc::from(rtx.ssrc));
    direct.expect_stream_rx(ssrc.into(), rtx, mid, None).suppress_nack(!uses_nack);
    client.sinks.insert(ssrc, Sink::new(kind));
    world.wake(index);
    world.drain();
    consumer
}

/// Lets time pass until all clients are connected.
///
/// # Panics
/// If they are not within 20 seconds.
pub fn settle(world: &mut World<Str0mClient>) {
    let all = |world: &World<Str0mClient>| world.hosts.iter().all(|host| host.client.connected);
    assert!(world.run_until(Duration::from_secs(20), all), "not all clients connect: {:#?}", world.events);
}

fn credentials(parameters: &IceParameters) -> IceCreds {
    IceCreds { ufrag: parameters.username_fragment.clone(), pass: parameters.password.clone() }
}

fn fingerprint_of(fingerprint: &Fingerprint) -> DtlsFingerprint {
    let algorithm = FingerprintAlgorithm::parse(&fingerprint.hash_func);
    DtlsFingerprint {
        algorithm: algorithm.unwrap_or_else(|| panic!("unknown {}", fingerprint.hash_func)),
        value: fingerprint.bytes.clone(),
    }
}

fn str0m_kind(kind: Kind) -> str0m::media::MediaKind {
    match kind {
        Kind::Opus => str0m::media::MediaKind::Audio,
        Kind::Vp8 => str0m::media::MediaKind::Video,
    }
}

fn opus_parameters(dialect: &Dialect, mid: &str, ssrc: u32) -> RtpParameters {
    from_json(json!({
        "mid": mid,
        "codecs": [{ "mimeType": "audio/opus", "payloadType": dialect.opus, "clockRate": 48_000, "channels": 2,
            "rtcpFeedback": [{ "type": "transport-cc", "parameter": "" }] }],
        "headerExtensions": header_extensions(dialect),
        "encodings": [{ "ssrc": ssrc }],
        "rtcp": { "cname": "interop" },
    }))
}

fn vp8_parameters(dialect: &Dialect, mid: &str, ssrc: u32, rtx: u32) -> RtpParameters {
    from_json(json!({
        "mid": mid,
        "codecs": [
            { "mimeType": "video/VP8", "payloadType": dialect.vp8, "clockRate": 90_000, "rtcpFeedback": [
                { "type": "goog-remb", "parameter": "" }, { "type": "transport-cc", "parameter": "" },
                { "type": "ccm", "parameter": "fir" }, { "type": "nack", "parameter": "" },
                { "type": "nack", "parameter": "pli" }] },
            { "mimeType": "video/rtx", "payloadType": dialect.rtx, "clockRate": 90_000,
              "parameters": { "apt": dialect.vp8 } },
        ],
        "headerExtensions": header_extensions(dialect),
        "encodings": [{ "ssrc": ssrc, "rtx": { "ssrc": rtx } }],
        "rtcp": { "cname": "interop" },
    }))
}

fn header_extensions(dialect: &Dialect) -> serde_json::Value {
    dialect.extensions.iter().map(|(uri, id)| json!({ "uri": uri, "id": id })).collect()
}

fn from_json(value: serde_json::Value) -> RtpParameters {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"))
}

fn known_extension(uri: &str) -> Option<Extension> {
    [
        Extension::RtpMid,
        Extension::AbsoluteSendTime,
        Extension::TransportSequenceNumber,
        Extension::AudioLevel,
        Extension::VideoOrientation,
        Extension::TransmissionTimeOffset,
        Extension::PlayoutDelay,
        Extension::AbsoluteCaptureTime,
    ]
    .into_iter()
    .find(|extension| extension.as_uri() == uri)
}
