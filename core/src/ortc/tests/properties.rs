//! Random routers, producers and remotes: what comes out is contained in both sides, and always the same.

use super::*;
use crate::ortc::negotiate::matching::{Strictness, codecs_match};

fn pick<T: Clone>(rng: &mut Rng, list: &[T]) -> T {
    list[rng.next_u32() as usize % list.len()].clone()
}

fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.next_u32() % 100 < percent
}

fn random_format(rng: &mut Rng, mime_type: &str) -> Value {
    match mime_type {
        "video/H264" => json!({
            "packetization-mode": rng.next_u32() % 2,
            "profile-level-id": pick(rng, &["42e01f", "42c034", "4d0032", "640c1f", "42f00b", "junk"]),
            "level-asymmetry-allowed": rng.next_u32() % 2
        }),
        "video/VP9" => json!({ "profile-id": rng.next_u32() % 3 }),
        _ => json!({}),
    }
}

fn random_router(rng: &mut Rng) -> RtpCapabilities {
    let count = 1 + rng.next_u32() % 8;
    let codecs: Vec<Value> = (0..count)
        .map(|_| {
            let name = pick(rng, &["video/VP8", "video/VP9", "video/H264", "video/AV1"]);
            json!({ "mimeType": name, "clockRate": 90000, "parameters": random_format(rng, name) })
        })
        .collect();
    router(&json!(codecs))
}

/// Some of the router's media codecs under other payload types, perhaps with RTX.
fn random_producer(rng: &mut Rng, router: &RtpCapabilities) -> RtpParameters {
    let mut codecs = Vec::new();
    let mut payload_type = 30;
    for codec in router.codecs.iter().filter(|codec| !codec.mime_type.is_rtx()) {
        if codecs.is_empty() || chance(rng, 50) {
            codecs.push(super::codec(codec.mime_type.as_str(), payload_type, to_json(&codec.parameters)));
            if chance(rng, 50) {
                codecs.push(rtx(payload_type + 1, payload_type));
            }
            payload_type += 2;
        }
    }
    let encodings: Vec<Value> = (0..1 + rng.next_u32() % 3)
        .map(|index| json!({ "ssrc": 1000 + index, "scalabilityMode": pick(rng, &["L1T3", "L1T1", "x"]) }))
        .collect();
    video(json!(codecs), json!(encodings))
}

fn random_remote(rng: &mut Rng, router: &RtpCapabilities) -> RtpCapabilities {
    let mut remote = router.clone();
    let shift = (rng.next_u32() % 2) as u8 * 60;
    remote.codecs.retain(|_| chance(rng, 70));
    for codec in &mut remote.codecs {
        codec.preferred_payload_type = codec.preferred_payload_type.map(|payload_type| payload_type - shift);
        if let Some(apt) = codec.parameters.apt() {
            codec.parameters.insert("apt", u64::from(apt - shift));
        }
        codec.rtcp_feedback.retain(|_| chance(rng, 70));
    }
    remote.header_extensions.retain(|_| chance(rng, 70));
    for extension in &mut remote.header_extensions {
        extension.preferred_id += u8::from(chance(rng, 25));
    }
    remote
}

fn assert_contained(
    consumer: &RtpParameters,
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    remote_ids: bool,
) {
    assert!(!consumer.codecs[0].is_rtx());
    for codec in &consumer.codecs {
        let of_remote: Vec<_> =
            remote.codecs.iter().filter(|other| codecs_match(*other, codec, Strictness::Strict)).collect();
        assert!(!of_remote.is_empty());
        assert!(consumable.codecs.iter().any(|other| codecs_match(other, codec, Strictness::Strict)));
        for feedback in &codec.rtcp_feedback {
            assert!(of_remote.iter().any(|other| other.rtcp_feedback.contains(feedback)));
        }
        if codec.is_rtx() {
            let apt = codec.parameters.apt().unwrap();
            assert!(!consumer.codec_with_payload_type(apt).unwrap().is_rtx());
        }
        if remote_ids {
            assert!(of_remote.iter().any(|other| other.preferred_payload_type == Some(codec.payload_type)));
        } else {
            assert!(consumable.codec_with_payload_type(codec.payload_type).is_some());
        }
    }
    for extension in &consumer.header_extensions {
        assert!(consumable.header_extensions.iter().any(|other| other.uri == extension.uri));
        let has =
            |other: &RtpHeaderExtension| other.uri == extension.uri && other.preferred_id == extension.id;
        assert!(remote.header_extensions.iter().any(has));
    }
    if remote_ids {
        let mut ids = extension_ids(consumer);
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

#[test]
fn results_are_contained_in_both_sides_and_deterministic() {
    let mut consumed = 0;
    for seed in 0..400_u64 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::from_seed(bytes);
        let router = random_router(&mut rng);
        let parameters = random_producer(&mut rng, &router);
        let result = || negotiate_producer(MediaKind::Video, parameters.clone(), &router, random());
        assert_eq!(result(), result(), "seed {seed}");
        // Junk profiles never match, not even themselves.
        let Ok(producer) = result() else { continue };
        let remote = random_remote(&mut rng, &router);
        let consumable = &producer.consumable_rtp_parameters;
        for use_remote_ids in [false, true] {
            let options = ConsumerOptions { use_remote_ids, ..ConsumerOptions::for_kind(MediaKind::Video) };
            let consume = || consumer_rtp_parameters(consumable, &remote, &options, random());
            assert_eq!(consume(), consume(), "seed {seed}");
            match consume() {
                Ok(consumer) => {
                    consumed += 1;
                    assert_contained(&consumer, consumable, &remote, use_remote_ids);
                }
                Err(error) => {
                    assert_eq!(error.kind, UNSUPPORTED, "seed {seed}: {error}");
                    assert!(use_remote_ids || !can_consume(consumable, &remote), "seed {seed}");
                }
            }
        }
    }
    assert!(consumed > 200, "only {consumed} were consumed");
}
