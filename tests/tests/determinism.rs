//! The same settings, seed and inputs give the same outputs, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sansfu::dtls::{Certificate, DimplBackend, DimplBackendConfig, DtlsBackend};
use sansfu::model::{ConsumerOptions, ProducerOptions, RouterOptions};
use sansfu::ortc::{MediaKind, default_media_codecs};
use sansfu::rng::Rng;
use sansfu::srtp::SrtpProfile;
use sansfu::wire::rtcp::{Pli, write_nack, write_pli};
use sansfu_tests::fixed_dtls::FixedDtls;
use sansfu_tests::net::LinkConfig;
use sansfu_tests::seeded_crypto::provider;
use sansfu_tests::world::{Frame, Kind, ScriptedClient, Source, World, config};
use serde_json::json;

/// What came out of a run: datagrams, and everything else as text.
#[derive(PartialEq)]
struct Outcome {
    datagrams: Vec<(Duration, SocketAddr, Vec<u8>)>,
    told: String,
}

/// How the two sides make their DTLS: the `Sfu` first.
type Backends = fn(u64) -> [Arc<dyn DtlsBackend>; 2];

const VIDEO_SSRC: u32 = 4_711;
const AUDIO_SSRC: u32 = 815;

fn fixed(_seed: u64) -> [Arc<dyn DtlsBackend>; 2] {
    let backend = Arc::new(FixedDtls::new(SrtpProfile::AeadAes256Gcm));
    [backend.clone(), backend]
}

/// Real handshakes, of which everything random comes from the seed.
fn seeded(seed: u64) -> [Arc<dyn DtlsBackend>; 2] {
    let mut rng = Rng::from_seed([seed as u8; 32]);
    let crypto = provider([seed as u8; 32]);
    [1, 2].map(|end| -> Arc<dyn DtlsBackend> {
        let certificate = Certificate::generate(&mut rng).unwrap();
        let config = DimplBackendConfig {
            crypto: Some(crypto.clone()),
            rng_seed: Some(seed << 8 | end),
            ..DimplBackendConfig::default()
        };
        Arc::new(DimplBackend::new(&certificate, config).unwrap())
    })
}

/// Ten seconds of a call: one publisher, two subscribers, bad links, requests of every kind.
fn run(seed: u64, backends: Backends) -> Outcome {
    let [ours, theirs] = backends(seed);
    let mut config = config();
    config.dtls_backend = Some(ours);
    let mut world: World<ScriptedClient> = World::new(config, seed);
    world.trace = Some(Vec::new());
    let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
    let router = world.sfu.create_router(world.now, options).unwrap();
    let capabilities = world.sfu.router_rtp_capabilities(router).unwrap().clone();
    let mut told = String::new();
    for _ in 0..3 {
        let client = ScriptedClient::new(&mut world.sfu, world.now, router, theirs.clone());
        let data = world.sfu.webrtc_transport(client.transport).unwrap();
        told += &serde_json::to_string(&data).unwrap();
        world.add(client, LinkConfig::lossy());
    }
    world.drain();
    let connected = |world: &World<ScriptedClient>| world.hosts.iter().all(|host| host.client.is_connected());
    assert!(world.run_until(Duration::from_secs(20), connected));
    let mut media_ssrcs = Vec::new();
    for (kind, parameters) in [(MediaKind::Audio, audio()), (MediaKind::Video, video())] {
        let options = ProducerOptions::new(kind, serde_json::from_value(parameters).unwrap());
        let producer = world.sfu.produce(world.now, world.hosts[0].client.transport, options).unwrap();
        for index in [1, 2] {
            let options = ConsumerOptions::new(producer, capabilities.clone());
            let transport = world.hosts[index].client.transport;
            let consumer = world.sfu.consume(world.now, transport, options).unwrap();
            let data = world.sfu.consumer(consumer).unwrap();
            told += &serde_json::to_string(&data).unwrap();
            media_ssrcs.push((index, data.rtp_parameters.encodings[0].ssrc.unwrap()));
        }
    }
    let mut audio = Source::new(Kind::Opus, world.now, 1);
    let mut video = Source::new(Kind::Vp8, world.now, 1);
    for tick in 0..1_000 {
        send(&mut world, &mut audio, AUDIO_SSRC, 111);
        send(&mut world, &mut video, VIDEO_SSRC, 96);
        if tick % 10 == 0 {
            give_feedback(&mut world, &media_ssrcs, tick);
        }
        if tick == 500 {
            world.rebind(1, 5);
            let transport = world.hosts[2].client.transport;
            told += &format!("{:?}", world.sfu.restart_ice(world.now, transport).unwrap());
            world.drain();
        }
        world.run_for(Duration::from_millis(10));
    }
    told += &format!("{:?} {:?}", world.events, world.sfu.stats());
    for host in &world.hosts {
        told += &serde_json::to_string(&world.sfu.transport_stats(world.now, host.client.transport).unwrap())
            .unwrap();
    }
    world.assert_sound();
    Outcome { datagrams: world.trace.take().unwrap(), told }
}

fn send(world: &mut World<ScriptedClient>, source: &mut Source, ssrc: u32, payload_type: u8) {
    for packet in source.poll(world.now) {
        let mut bytes = vec![0x80, payload_type | if packet.marker { 0x80 } else { 0 }];
        bytes.extend((packet.sequence as u16).to_be_bytes());
        bytes.extend(packet.timestamp.to_be_bytes());
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend(&packet.payload);
        let protected = world.hosts[0].client.protect_rtp(&bytes, packet.sequence);
        world.hosts[0].client.outgoing.push_back(protected);
    }
    world.wake(0);
}

/// Subscribers ask for what is missing, and now and then for a keyframe.
fn give_feedback(world: &mut World<ScriptedClient>, media_ssrcs: &[(usize, u32)], tick: u32) {
    for (index, ssrc) in media_ssrcs {
        let client = &mut world.hosts[*index].client;
        let numbers: BTreeSet<u16> = client
            .received
            .iter()
            .filter(|packet| packet[8..12] == ssrc.to_be_bytes() && !(192..224).contains(&packet[1]))
            .map(|packet| u16::from_be_bytes([packet[2], packet[3]]))
            .collect();
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { continue };
        let mut missing: Vec<u16> =
            (*first..*last).filter(|number| !numbers.contains(number)).rev().take(20).collect();
        missing.reverse();
        let mut bytes = Vec::new();
        if !missing.is_empty() {
            write_nack(&mut bytes, 1, *ssrc, &missing);
        }
        if tick.is_multiple_of(200) {
            write_pli(&mut bytes, Pli { sender_ssrc: 1, media_ssrc: *ssrc });
        }
        if !bytes.is_empty() {
            let protected = client.protect_rtcp(&bytes);
            client.outgoing.push_back(protected);
        }
        world.wake(*index);
    }
}

fn audio() -> serde_json::Value {
    json!({
        "mid": "0",
        "codecs": [{ "mimeType": "audio/opus", "payloadType": 111, "clockRate": 48_000, "channels": 2 }],
        "encodings": [{ "ssrc": AUDIO_SSRC }],
        "rtcp": { "cname": "x" },
    })
}

fn video() -> serde_json::Value {
    json!({
        "mid": "1",
        "codecs": [
            { "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90_000, "rtcpFeedback": [
                { "type": "nack", "parameter": "" }, { "type": "nack", "parameter": "pli" },
                { "type": "goog-remb", "parameter": "" }] },
            { "mimeType": "video/rtx", "payloadType": 97, "clockRate": 90_000, "parameters": { "apt": 96 } },
        ],
        "encodings": [{ "ssrc": VIDEO_SSRC, "rtx": { "ssrc": VIDEO_SSRC + 1 } }],
        "rtcp": { "cname": "x" },
    })
}

fn assert_deterministic(backends: Backends) {
    let (one, two) = (run(1, backends), run(1, backends));
    let both = one.datagrams.iter().zip(&two.datagrams);
    if let Some(at) = both.clone().position(|(one, two)| one != two) {
        panic!("datagram {at} differs:\n{:02x?}\n{:02x?}", one.datagrams[at], two.datagrams[at]);
    }
    assert_eq!(one.datagrams.len(), two.datagrams.len());
    assert_eq!(one.told, two.told);
    let kinds = |range: std::ops::Range<u8>| {
        one.datagrams.iter().filter(|(_, _, bytes)| range.contains(&bytes[0])).count()
    };
    assert!(
        kinds(0..4) >= 6 && kinds(20..64) >= 3 && kinds(128..192) > 2_000,
        "STUN, DTLS and SRTP were there"
    );
    let other = run(2, backends);
    assert!(one.told != other.told && one.datagrams != other.datagrams);
    // Not only the links: the first answer to STUN is different already, because the credentials are.
    assert_ne!(one.datagrams[0].2, other.datagrams[0].2);
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_keys_agreed_beforehand() {
    assert_deterministic(fixed);
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_real_handshakes() {
    assert_deterministic(seeded);
}

#[test]
fn media_of_the_world_is_the_same_every_time() {
    let frame = Frame { number: 9, keyframe: true };
    assert_eq!(Kind::Vp8.payload(frame, 3), Kind::Vp8.payload(frame, 3));
}
