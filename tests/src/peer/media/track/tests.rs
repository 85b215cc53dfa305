use sansfu::ortc::{
    ConsumerOptions, ConsumerType, RtpParameters, check_producer_parameters, consumer_rtp_parameters,
    default_media_codecs, generate_router_rtp_capabilities, negotiate_producer,
};

use super::*;
use crate::peer::media::receiver::RtpReceiver;
use crate::peer::media::tests::start;

/// One of each.
pub fn every_track() -> Vec<TrackSpec> {
    let svc = |mode| Layers::parse(mode).unwrap();
    vec![
        TrackSpec::opus(1),
        TrackSpec::vp8(2),
        TrackSpec::vp8(3).without_rtx(),
        TrackSpec::vp8_simulcast(4, 2, Layers::ONE),
        TrackSpec::vp8_simulcast(5, 3, svc("L1T3")),
        TrackSpec::vp8_simulcast(6, 3, svc("L1T2")).by_ssrc(),
        TrackSpec::vp9(7),
        TrackSpec::vp9_svc(8, svc("L3T3_KEY")),
        TrackSpec::vp9_svc(9, svc("L3T3")),
        TrackSpec::vp9_svc(10, svc("L2T2")).non_flexible(),
        TrackSpec::h264(11),
        TrackSpec::h264_simulcast(12, 3),
        TrackSpec::av1(13),
        TrackSpec::av1_svc(14, svc("L3T3_KEY")),
        TrackSpec::av1_svc(15, svc("L1T3")),
        TrackSpec::vp8(16).with_layers(svc("L1T3")),
        TrackSpec::vp9_svc(17, svc("L1T3")).non_flexible().with_mid("nine"),
        TrackSpec::vp9_simulcast(18, 2, svc("L1T3")),
        TrackSpec::av1_simulcast(19, 2, svc("L1T2")),
        TrackSpec::av1_svc(20, svc("L3T3")),
    ]
}

#[test]
fn the_server_accepts_the_parameters_of_every_track() {
    for track in every_track() {
        for seed in 0..20 {
            let parameters = RtpParameters::from_json(&track.rtp_parameters(seed)).unwrap();
            check_producer_parameters(parameters.codecs[0].kind(), &parameters).unwrap();
            assert_eq!(parameters.encodings.len(), track.encodings.len());
        }
    }
}

#[test]
fn numbers_of_one_client_do_not_collide() {
    for seed in 0..50 {
        let mut ids = BTreeMap::new();
        let mut payload_types = BTreeMap::new();
        let mut ssrcs = Vec::new();
        for track in every_track() {
            let numbers = track.numbers(seed);
            for (uri, id) in &numbers.extensions {
                assert!((1..=14).contains(id));
                assert_eq!(ids.entry(*id).or_insert(*uri), uri);
            }
            assert_eq!(*payload_types.entry(numbers.payload_type).or_insert(track.codec), track.codec);
            assert!(numbers.payload_type >= 96 && numbers.payload_type < 127);
            ssrcs.extend(numbers.ssrcs.iter().flat_map(|(media, rtx)| [Some(*media), *rtx]).flatten());
        }
        let count = ssrcs.len();
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!(ssrcs.len(), count);
    }
}

/// What a real mediasoup-client 3 sent.
fn recorded(name: &str) -> Value {
    let path = format!("{}/golden/v3/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["produce"]["rtpParameters"].clone()
}

/// Codecs without what a client is free to choose.
fn codecs_without_numbers(parameters: &Value) -> Value {
    let mut codecs = parameters["codecs"].clone();
    for codec in codecs.as_array_mut().unwrap() {
        codec["payloadType"] = Value::Null;
        codec["parameters"].as_object_mut().unwrap().remove("apt");
    }
    codecs
}

fn uris(parameters: &Value) -> Vec<&str> {
    let extensions = parameters["headerExtensions"].as_array().unwrap();
    extensions.iter().map(|extension| extension["uri"].as_str().unwrap()).collect()
}

#[test]
fn parameters_are_like_a_real_clients() {
    let svc = |mode| Layers::parse(mode).unwrap();
    let pairs = [
        ("audio-opus", TrackSpec::opus(1)),
        ("video-vp8-single", TrackSpec::vp8(1)),
        ("video-vp8-simulcast3", TrackSpec::vp8_simulcast(1, 3, svc("L1T3"))),
        ("video-vp9-single", TrackSpec::vp9(1)),
        ("video-vp9-simulcast3", TrackSpec::vp9_simulcast(1, 3, svc("L1T3"))),
        ("video-vp9-svc-L3T3_KEY", TrackSpec::vp9_svc(1, svc("L3T3_KEY"))),
        ("video-h264-42e01f-single", TrackSpec::h264(1)),
        ("video-h264-simulcast3", TrackSpec::h264_simulcast(1, 3)),
        ("video-av1-single", TrackSpec::av1(1)),
        ("video-av1-svc-L3T3_KEY", TrackSpec::av1_svc(1, svc("L3T3_KEY"))),
    ];
    for (name, track) in pairs {
        let (real, made) = (recorded(name), track.rtp_parameters(7));
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(&made), members(&real), "{name}");
        assert_eq!(codecs_without_numbers(&made), codecs_without_numbers(&real), "{name}");
        assert!(uris(&made).iter().all(|uri| uris(&real).contains(uri)), "{name}");
        assert_eq!(members(&made["rtcp"]), members(&real["rtcp"]));
        let encodings = |value: &Value| value["encodings"].as_array().unwrap().clone();
        assert_eq!(encodings(&made).len(), encodings(&real).len());
        for (made, real) in encodings(&made).iter().zip(encodings(&real)) {
            for member in ["ssrc", "rtx", "rid", "dtx"] {
                assert_eq!(made.get(member).is_some(), real.get(member).is_some(), "{name}: {member}");
            }
        }
    }
}

#[test]
fn the_server_maps_every_track_to_other_numbers_and_makes_consumers_of_it() {
    let router = generate_router_rtp_capabilities(&default_media_codecs()).unwrap();
    for (track, seed) in every_track().into_iter().zip(1..) {
        let parameters = RtpParameters::from_json(&track.rtp_parameters(seed)).unwrap();
        let kind = parameters.codecs[0].kind();
        let mut random = Random::new(seed);
        let mut random = || random.next_u64() as u32;
        let producer = negotiate_producer(kind, parameters, &router, &mut random).unwrap();
        let layers = track.encodings[0].layers;
        let expected = match track.encodings.len() {
            1 if layers == Layers::ONE => ConsumerType::Simple,
            1 => ConsumerType::Svc,
            _ => ConsumerType::Simulcast,
        };
        assert_eq!(ConsumerType::from(producer.producer_type), expected);
        let payload_type = track.numbers(seed).payload_type;
        assert_ne!(producer.mapping.mapped_payload_type(payload_type), None);
        let options = ConsumerOptions { mid: Some("0".into()), ..ConsumerOptions::for_kind(kind) };
        let consumable = &producer.consumable_rtp_parameters;
        let consumer = consumer_rtp_parameters(consumable, &router, &options, &mut random).unwrap();
        let receiver = RtpReceiver::new(&consumer, track.clone(), start());
        assert_eq!(receiver.rtx_ssrc().is_some(), track.codec.is_video());
    }
}
