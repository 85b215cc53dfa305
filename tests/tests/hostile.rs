//! Hostile datagrams into a running call: nothing breaks, everything is counted, nobody notices.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sansfu::model::{ConsumerOptions, ProducerOptions};
use sansfu::ortc::{MediaKind, RtpCapabilities};
use sansfu::sfu::{Datagram, Input, Output, Protocol};
use sansfu::srtp::SrtpProfile;
use sansfu::stats::SfuStats;
use sansfu_tests::fixed_dtls::FixedDtls;
use sansfu_tests::net::LinkConfig;
use sansfu_tests::world::stun::{BindingRequest, refresh_fingerprint};
use sansfu_tests::world::{
    Dialect, Kind, ScriptedClient, Str0mClient, World, config, connect, consume, default_router, produce,
    settle, sfu_address,
};
use serde_json::json;

const EACH: usize = 1_000;

/// A call between two str0m clients, and random numbers.
struct Siege {
    world: World<Str0mClient>,
    rng: ChaCha8Rng,
    before: SfuStats,
}

impl Siege {
    fn new(seed: u64) -> Self {
        let mut world = World::new(config(), seed);
        let router = default_router(&mut world);
        let capabilities = world.sfu.router_rtp_capabilities(router).unwrap().clone();
        let (browser, own) = (Dialect::browser(), Dialect::of_router(&capabilities));
        let publisher = connect(&mut world, router, &browser, LinkConfig::default());
        let subscriber = connect(&mut world, router, &own, LinkConfig::default());
        for kind in [Kind::Opus, Kind::Vp8] {
            let producer = produce(&mut world, publisher, kind, &browser);
            consume(&mut world, subscriber, kind, ConsumerOptions::new(producer, capabilities.clone()));
        }
        settle(&mut world);
        world.run_for(Duration::from_secs(1));
        let before = world.sfu.stats();
        Siege { world, rng: ChaCha8Rng::seed_from_u64(seed), before }
    }

    /// Sends what `make` makes, a thousand times, while the call goes on; gives the counters' growth.
    fn attack(
        &mut self,
        remote: impl Fn(usize) -> SocketAddr,
        make: impl Fn(&mut ChaCha8Rng, usize) -> Vec<u8>,
    ) {
        self.before = self.world.sfu.stats();
        for nth in 0..EACH {
            let bytes = make(&mut self.rng, nth);
            let remote = remote(nth);
            if bytes.first().is_some_and(|first| *first < 4) {
                self.world.wire.on_stranger_sent(remote);
            }
            self.world.inject(remote, &bytes);
            self.world.run_for(Duration::from_millis(1));
        }
    }

    /// How much a counter has grown since the attack began.
    fn grown(&self, counter: impl Fn(&SfuStats) -> u64) -> u64 {
        counter(&self.world.sfu.stats()) - counter(&self.before)
    }

    /// Nothing was kept for strangers, and every frame has arrived.
    fn assert_undisturbed(&mut self) {
        let stats = self.world.sfu.stats();
        let counts = |stats: &SfuStats| {
            [stats.routers, stats.transports, stats.producers, stats.consumers, stats.tuples]
        };
        assert_eq!(counts(&stats), counts(&self.before));
        self.world.hosts[0].client.set_sending(false);
        self.world.run_for(Duration::from_secs(1));
        self.world.assert_sound();
        for kind in [Kind::Opus, Kind::Vp8] {
            let made = &self.world.hosts[0].client.source(kind).made;
            let seen = self.world.hosts[1].client.sink(kind).frames();
            let first = seen[0].frame.number as usize;
            assert!(seen.iter().all(|frame| frame.complete));
            assert_eq!(seen.len(), made.len() - first, "{kind:?}");
        }
    }

    fn publisher_address(&self) -> SocketAddr {
        self.world.hosts[0].external
    }

    fn fragment(&self) -> (String, String) {
        let transport = self.world.hosts[0].client.transport;
        let ice = self.world.sfu.webrtc_transport(transport).unwrap().ice_parameters;
        (ice.username_fragment, ice.password)
    }
}

fn stranger(nth: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, (nth % 250) as u8], 1_000 + (nth / 250) as u16))
}

fn random_bytes(rng: &mut ChaCha8Rng, least: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(least..1_400)];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn mutate(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, from: usize) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(from..bytes.len());
        bytes[at] = rng.random();
    }
    if rng.random_bool(0.3) {
        bytes.truncate(rng.random_range(from..=bytes.len()));
    }
}

#[test]
fn random_bytes_from_strangers_and_from_the_clients_address() {
    let mut siege = Siege::new(1);
    siege.attack(stranger, |rng, _| random_bytes(rng, 0));
    assert_eq!(
        siege
            .grown(|stats| stats.dropped_unknown_protocol + stats.dropped_unknown_tuple + stats.dropped_stun),
        EACH as u64
    );
    let publisher = siege.publisher_address();
    siege.attack(|_| publisher, |rng, _| random_bytes(rng, 0));
    let dropped = siege.grown(|stats| {
        stats.dropped_unknown_protocol
            + stats.dropped_stun
            + stats.stun_errors_sent
            + stats.dropped_rtp_malformed
            + stats.dropped_srtp_authentication
    });
    assert!(
        dropped > 700,
        "DTLS that means nothing is left to the library, the others are counted: {dropped}"
    );
    siege.assert_undisturbed();
}

#[test]
fn cut_and_mutated_stun() {
    let mut siege = Siege::new(2);
    let (fragment, password) = siege.fragment();
    let good = BindingRequest {
        username: format!("{fragment}:x"),
        password: Some(password),
        transaction: [9; 12],
        use_candidate: true,
    }
    .to_bytes();
    let publisher = siege.publisher_address();
    let cut = |rng: &mut ChaCha8Rng| good[..rng.random_range(1..good.len())].to_vec();
    // What is shorter than a STUN header is not taken for STUN.
    siege.attack(stranger, |rng, _| cut(rng));
    assert_eq!(siege.grown(|stats| stats.dropped_stun + stats.dropped_unknown_protocol), EACH as u64);
    siege.attack(|_| publisher, |rng, _| cut(rng));
    assert_eq!(siege.grown(|stats| stats.dropped_stun + stats.dropped_unknown_protocol), EACH as u64);
    siege.attack(stranger, |rng, nth| {
        let mut bytes = good.clone();
        mutate(rng, &mut bytes, 1);
        if nth % 2 == 0 {
            // Mutated behind a right checksum: integrity has to hold it up.
            refresh_fingerprint(&mut bytes);
        }
        if bytes == good { vec![1] } else { bytes }
    });
    // A request that has become an indication is a keepalive, which anybody may send and which does nothing.
    let refused = siege.grown(|stats| {
        stats.dropped_stun
            + stats.stun_errors_sent
            + stats.stun_indications_received
            + stats.dropped_unknown_protocol
    });
    assert_eq!(refused, EACH as u64);
    siege.assert_undisturbed();
}

#[test]
fn stun_with_wrong_integrity_or_unknown_fragment() {
    let mut siege = Siege::new(3);
    let (fragment, _) = siege.fragment();
    let request = |username: String, password: Option<&str>, nth: usize| {
        let mut transaction = [1; 12];
        transaction[..8].copy_from_slice(&(nth as u64).to_be_bytes());
        let password = password.map(str::to_owned);
        BindingRequest { username, password, transaction, use_candidate: true }.to_bytes()
    };
    siege.attack(stranger, |_, nth| request(format!("{fragment}:x"), Some("wrong"), nth));
    assert_eq!(siege.grown(|stats| stats.stun_errors_sent), EACH as u64);
    siege.attack(stranger, |_, nth| request(format!("{fragment}:x"), None, nth));
    assert_eq!(siege.grown(|stats| stats.stun_errors_sent), EACH as u64);
    siege.attack(stranger, |_, nth| request(format!("nobody{nth}:x"), Some("wrong"), nth));
    assert_eq!(siege.grown(|stats| stats.dropped_stun), EACH as u64);
    // Answers, if any, are not longer than what was asked.
    let request_len = request(format!("{fragment}:x"), Some("wrong"), 0).len();
    assert!(siege.world.strays.iter().all(|(_, bytes)| bytes.len() <= request_len));
    siege.assert_undisturbed();
}

#[test]
fn dtls_garbage() {
    let mut siege = Siege::new(4);
    let publisher = siege.publisher_address();
    let record = |rng: &mut ChaCha8Rng| {
        let mut bytes = random_bytes(rng, 20);
        let length = bytes.len() as u16 - 13;
        bytes[0] = [20, 21, 22, 23, 25, 26][rng.random_range(0..6)];
        bytes[1..3].copy_from_slice(&[0xfe, 0xfd]);
        bytes[3..5].copy_from_slice(&rng.random_range(0..3_u16).to_be_bytes());
        bytes[11..13].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    siege.attack(stranger, |rng, _| record(rng));
    assert_eq!(siege.grown(|stats| stats.dropped_unknown_tuple), EACH as u64);
    siege.attack(|_| publisher, |rng, _| record(rng));
    siege.attack(
        |_| publisher,
        |rng, _| {
            let mut bytes = random_bytes(rng, 1);
            bytes[0] = 20 + bytes[0] % 44;
            bytes
        },
    );
    siege.assert_undisturbed();
}

#[test]
fn srtp_with_broken_tags() {
    let mut siege = Siege::new(5);
    let publisher = siege.publisher_address();
    let packet = |rng: &mut ChaCha8Rng, rtcp: bool| {
        let mut bytes = random_bytes(rng, 60);
        bytes[0] = 0x80;
        bytes[1] = if rtcp { rng.random_range(200..=207) } else { 96 };
        let ssrc = if rng.random_bool(0.5) { 1_002 } else { rng.random::<u32>() };
        let at = if rtcp { 4 } else { 8 };
        bytes[at..at + 4].copy_from_slice(&ssrc.to_be_bytes());
        bytes
    };
    for rtcp in [false, true] {
        siege.attack(|_| publisher, |rng, _| packet(rng, rtcp));
        // Numbers far behind those of a known stream need no look at the tag.
        let refused = siege.grown(|stats| stats.dropped_srtp_authentication + stats.dropped_srtp_replay);
        assert_eq!(refused, EACH as u64, "rtcp: {rtcp}");
        siege.attack(stranger, |rng, _| packet(rng, rtcp));
        assert_eq!(siege.grown(|stats| stats.dropped_unknown_tuple), EACH as u64);
    }
    siege.assert_undisturbed();
}

/// A call in which an authenticated client misbehaves: client 0 attacks, 1 publishes honestly, 2 watches both.
struct Inside {
    world: World<ScriptedClient>,
    rng: ChaCha8Rng,
    sequence: u64,
    honest_sequence: u64,
}

const ATTACKER_SSRC: u32 = 77;
const HONEST_SSRC: u32 = 88;

impl Inside {
    fn new(seed: u64) -> Self {
        let backend = Arc::new(FixedDtls::new(SrtpProfile::AeadAes128Gcm));
        let mut config = config();
        config.dtls_backend = Some(backend.clone());
        config.max_ssrcs_per_transport = 64;
        let mut world: World<ScriptedClient> = World::new(config, seed);
        let options = sansfu::model::RouterOptions {
            media_codecs: sansfu::ortc::default_media_codecs(),
            ..Default::default()
        };
        let router = world.sfu.create_router(world.now, options).unwrap();
        let capabilities = world.sfu.router_rtp_capabilities(router).unwrap().clone();
        for _ in 0..3 {
            let client = ScriptedClient::new(&mut world.sfu, world.now, router, backend.clone());
            world.add(client, LinkConfig::default());
        }
        world.drain();
        let connected =
            |world: &World<ScriptedClient>| world.hosts.iter().all(|host| host.client.is_connected());
        assert!(world.run_until(Duration::from_secs(2), connected));
        for (index, ssrc) in [(0, ATTACKER_SSRC), (1, HONEST_SSRC)] {
            publish(&mut world, index, ssrc, &capabilities);
        }
        Inside { world, rng: ChaCha8Rng::seed_from_u64(seed), sequence: 100, honest_sequence: 100 }
    }

    fn send(&mut self, index: usize, bytes: Vec<u8>) {
        let remote = self.world.hosts[index].external;
        self.world.inject(remote, &bytes);
        self.world.run_for(Duration::from_millis(1));
    }

    fn send_honest(&mut self) {
        self.honest_sequence += 1;
        let sequence = self.honest_sequence;
        let packet = vp8_packet(HONEST_SSRC, sequence as u16, 96, sequence == 101);
        let bytes = self.world.hosts[1].client.protect_rtp(&packet, sequence);
        self.send(1, bytes);
    }

    fn honest_received(&self) -> usize {
        let received = &self.world.hosts[2].client.received;
        received.iter().filter(|packet| packet.ends_with(b"honest")).count()
    }
}

fn publish(world: &mut World<ScriptedClient>, index: usize, ssrc: u32, capabilities: &RtpCapabilities) {
    let parameters = serde_json::from_value(json!({
        "mid": "0",
        "codecs": [
            { "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90_000, "rtcpFeedback": [
                { "type": "transport-cc", "parameter": "" }, { "type": "nack", "parameter": "" },
                { "type": "nack", "parameter": "pli" }] },
            { "mimeType": "video/rtx", "payloadType": 97, "clockRate": 90_000, "parameters": { "apt": 96 } },
        ],
        "headerExtensions": [
            { "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1 },
            { "uri": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", "id": 2 },
        ],
        "encodings": [{ "ssrc": ssrc, "rtx": { "ssrc": ssrc + 1_000 } }],
        "rtcp": { "cname": "x" },
    }))
    .unwrap();
    let transport = world.hosts[index].client.transport;
    let producer =
        world.sfu.produce(world.now, transport, ProducerOptions::new(MediaKind::Video, parameters)).unwrap();
    let watcher = world.hosts[2].client.transport;
    world.sfu.consume(world.now, watcher, ConsumerOptions::new(producer, capabilities.clone())).unwrap();
    world.drain();
}

fn vp8_packet(ssrc: u32, sequence_number: u16, payload_type: u8, keyframe: bool) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend(3_000_u32.wrapping_mul(u32::from(sequence_number)).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    let tag = if keyframe { 0x10 } else { 0x11 };
    packet.extend([0x10, tag, 2, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0xe0, 1]);
    packet.extend(b"honest");
    packet
}

#[test]
fn malformed_rtp_behind_valid_srtp() {
    let mut inside = Inside::new(6);
    let before = inside.world.sfu.stats();
    for nth in 0..EACH {
        inside.sequence += inside.rng.random_range(1..4_u64);
        let sequence = inside.sequence;
        let ssrc = match nth % 4 {
            0 => inside.rng.random(),
            1 => ATTACKER_SSRC + 1_000,
            _ => ATTACKER_SSRC,
        };
        let payload_type = if nth % 4 == 1 { 97 } else { 96 + (nth % 3) as u8 };
        let mut packet = vp8_packet(ssrc, sequence as u16, payload_type, false);
        // Lies about padding, CSRCs and extensions; payloads of any kind and length.
        if nth % 4 > 1 {
            packet[0] = 0x80 | inside.rng.random_range(0..0x40_u8);
            packet.truncate(inside.rng.random_range(12..=packet.len()));
        }
        for byte in &mut packet[12..] {
            if inside.rng.random_bool(0.5) {
                *byte = inside.rng.random();
            }
        }
        if packet.ends_with(b"honest") {
            // By chance untouched: not to be taken for the other client's.
            packet.pop();
        }
        let bytes = inside.world.hosts[0].client.protect_rtp(&packet, sequence);
        inside.send(0, bytes);
        inside.send_honest();
    }
    let stats = inside.world.sfu.stats();
    assert!(stats.dropped_rtp_malformed > before.dropped_rtp_malformed + 50, "{stats:#?}");
    assert!(stats.dropped_rtp_unknown_stream > before.dropped_rtp_unknown_stream + 50, "{stats:#?}");
    assert!(stats.dropped_srtp_ssrc_limit > 0, "state is kept for so many SSRCs only");
    inside.world.run_for(Duration::from_millis(100));
    assert_eq!(inside.honest_received(), EACH);
    assert_eq!(stats.tuples, 3);
    inside.world.assert_sound();
}

#[test]
fn malformed_rtcp_behind_valid_srtcp() {
    let mut inside = Inside::new(7);
    let before = inside.world.sfu.stats();
    for nth in 0..EACH {
        let mut packet = vec![0; 4 * inside.rng.random_range(2..60_usize)];
        inside.rng.fill_bytes(&mut packet);
        packet[0] = 0x80 | (packet[0] & 0x3f);
        packet[1] = [200, 201, 202, 203, 204, 205, 206, 207][nth % 8];
        if nth % 3 != 0 {
            // A length that fits, so that the lies are inside: counts, SSRCs of the client's own streams, block lengths.
            let words = packet.len() as u16 / 4 - 1;
            packet[2..4].copy_from_slice(&words.to_be_bytes());
            if packet.len() >= 12 {
                packet[8..12].copy_from_slice(&ATTACKER_SSRC.to_be_bytes());
            }
        }
        if nth % 5 == 0 {
            packet.truncate(inside.rng.random_range(8..=packet.len()));
        }
        // The watcher is the one whose feedback is listened to.
        for index in [0, 2] {
            let bytes = inside.world.hosts[index].client.protect_rtcp(&packet);
            inside.send(index, bytes);
        }
        inside.send_honest();
    }
    let stats = inside.world.sfu.stats();
    assert!(stats.dropped_rtcp_malformed > before.dropped_rtcp_malformed + 100, "{stats:#?}");
    inside.world.run_for(Duration::from_millis(100));
    assert_eq!(inside.honest_received(), EACH);
    inside.world.assert_sound();
}

#[test]
fn replayed_packets() {
    let mut inside = Inside::new(8);
    let mut sent = Vec::new();
    for _ in 0..50 {
        inside.honest_sequence += 1;
        let sequence = inside.honest_sequence;
        let packet = vp8_packet(HONEST_SSRC, sequence as u16, 96, sequence == 101);
        sent.push(inside.world.hosts[1].client.protect_rtp(&packet, sequence));
    }
    sent.iter().for_each(|bytes| inside.send(1, bytes.clone()));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 88];
    let report = inside.world.hosts[1].client.protect_rtcp(&report);
    inside.send(1, report.clone());
    let before = inside.world.sfu.stats();
    for nth in 0..EACH {
        let bytes = if nth % 2 == 0 { sent[nth % 50].clone() } else { report.clone() };
        inside.send(1, bytes);
    }
    let stats = inside.world.sfu.stats();
    assert_eq!(stats.dropped_srtp_replay - before.dropped_srtp_replay, EACH as u64);
    assert_eq!(stats.rtp_packets_received, before.rtp_packets_received);
    inside.world.run_for(Duration::from_millis(100));
    assert_eq!(inside.honest_received(), 50);
    inside.world.assert_sound();
}

#[test]
fn answers_to_strangers_do_not_pile_up() {
    // A flood that nobody drains: what is queued is bounded, and is counted beyond.
    let mut siege = Siege::new(9);
    let (fragment, _) = siege.fragment();
    let request = BindingRequest {
        username: format!("{fragment}:x"),
        password: None,
        transaction: [3; 12],
        use_candidate: false,
    }
    .to_bytes();
    for nth in 0..200_000 {
        let mut payload = request.clone();
        let remote = stranger(nth);
        siege.world.wire.on_stranger_sent(remote);
        let datagram =
            Datagram { local: sfu_address(), remote, protocol: Protocol::Udp, payload: &mut payload };
        siege.world.sfu.handle_input(siege.world.now, Input::Datagram(datagram));
    }
    let mut bytes = 0;
    while let Output::Transmit(transmit) = siege.world.sfu.poll_output() {
        bytes += transmit.payload.len();
    }
    assert!(bytes <= config().max_queued_control_bytes, "{bytes}");
    assert!(siege.grown(|stats| stats.dropped_queue_full) > 0);
    siege.world.drain();
    siege.assert_undisturbed();
}

#[test]
fn what_is_queued_for_a_path_that_is_lost_is_counted() {
    let mut inside = Inside::new(10);
    (0..3).for_each(|_| inside.send_honest());
    inside.honest_sequence += 1;
    let packet = vp8_packet(HONEST_SSRC, inside.honest_sequence as u16, 96, false);
    let hosts = &mut inside.world.hosts;
    let (publisher, watcher) = (hosts[1].external, hosts[2].external);
    let packet = hosts[1].client.protect_rtp(&packet, inside.honest_sequence);
    // The watcher has been silent for so long that another may have its address.
    let takeover = hosts[0].client.binding_request().to_bytes();
    let now = inside.world.now + Duration::from_secs(11);
    for (remote, mut payload) in [(publisher, packet), (watcher, takeover)] {
        let datagram =
            Datagram { local: sfu_address(), remote, protocol: Protocol::Udp, payload: &mut payload };
        inside.world.sfu.handle_input(now, Input::Datagram(datagram));
    }
    assert_eq!(inside.world.sfu.stats().dropped_without_path, 0, "it is queued");
    while !matches!(inside.world.sfu.poll_output(), Output::Timeout(_)) {}
    assert_eq!(inside.world.sfu.stats().dropped_without_path, 1);
}
