//! Recorded client messages and the reference server's results.

use super::*;

const PRODUCED: [(&str, ProducerType); 18] = [
    ("audio-opus", ProducerType::Simple),
    ("audio-opus-codecoptions", ProducerType::Simple),
    ("audio-pcmu", ProducerType::Simple),
    ("video-av1-simulcast3", ProducerType::Simulcast),
    ("video-av1-single", ProducerType::Simple),
    ("video-av1-svc-L3T3_KEY", ProducerType::Svc),
    ("video-h264-42e01f-single", ProducerType::Simple),
    ("video-h264-4d-single", ProducerType::Simple),
    ("video-h264-simulcast3", ProducerType::Simulcast),
    ("video-vp8-simulcast2-inactive", ProducerType::Simulcast),
    ("video-vp8-simulcast3", ProducerType::Simulcast),
    ("video-vp8-simulcast3-L1T1", ProducerType::Simulcast),
    ("video-vp8-single", ProducerType::Simple),
    ("video-vp9-simulcast3", ProducerType::Simulcast),
    ("video-vp9-single", ProducerType::Simple),
    ("video-vp9-svc-L3T3", ProducerType::Svc),
    ("video-vp9-svc-L3T3_KEY", ProducerType::Svc),
    ("server-audio-opus", ProducerType::Simple),
];

/// The SSRCs of a dictionary, taken out of it: they are random.
fn take_ssrcs(parameters: &mut Value) -> Vec<u64> {
    let encodings = parameters["encodings"].as_array_mut().unwrap();
    let take = |value: &mut Value| value.as_object_mut().and_then(|object| object.remove("ssrc"));
    encodings
        .iter_mut()
        .flat_map(|encoding| [take(encoding), encoding.get_mut("rtx").and_then(take)])
        .flatten()
        .map(|ssrc| ssrc.as_u64().unwrap())
        .collect()
}

#[test]
fn router_capabilities_are_the_references() {
    assert_eq!(to_json(&golden_router()), golden("router-rtp-capabilities"));
}

#[test]
fn default_media_codecs_are_the_golden_ones() {
    let defaults = generate_router_rtp_capabilities(&default_media_codecs()).unwrap();
    assert_eq!(to_json(&defaults), golden("router-rtp-capabilities"));
}

#[test]
fn every_recorded_produce_goes_through() {
    let router = golden_router();
    let remote = RtpCapabilities::from_json(&golden("device")["recvRtpCapabilities"]).unwrap();
    for (name, expected) in PRODUCED {
        let file = golden(name);
        let recorded = if file.get("produce").is_some() {
            file["produce"]["rtpParameters"].clone()
        } else {
            file["producerRtpParameters"].clone()
        };
        let parsed = RtpParameters::from_json(&recorded).unwrap();
        assert_eq!(to_json(&parsed), recorded, "{name}: nothing is lost or invented");
        let kind = parsed.media_codec().unwrap().kind();
        let producer = negotiated(kind, parsed.clone(), &router);
        assert_eq!(producer.producer_type, expected, "{name}");
        assert_eq!(producer.rtp_parameters, parsed, "{name}: nothing to settle");
        assert!(can_consume(&producer.consumable_rtp_parameters, &remote), "{name}");
        let consumer = consumer_rtp_parameters(
            &producer.consumable_rtp_parameters,
            &remote,
            &ConsumerOptions::for_kind(kind),
            random(),
        )
        .unwrap();
        assert_eq!(consumer.encodings.len(), 1, "{name}");
        assert_eq!(consumer.encodings[0].rtx.is_some(), kind == MediaKind::Video, "{name}");
    }
}

#[test]
fn the_references_results_are_reproduced() {
    let router = golden_router();
    let remote = RtpCapabilities::from_json(&golden("device")["recvRtpCapabilities"]).unwrap();
    for name in ["server-audio-opus", "server-video-vp8-simulcast3", "server-video-vp9-svc-L3T3_KEY"] {
        let mut file = golden(name);
        let parsed = RtpParameters::from_json(&file["producerRtpParameters"]).unwrap();
        let kind = parsed.media_codec().unwrap().kind();
        let producer = negotiated(kind, parsed, &router);
        assert_eq!(to_json(&producer.rtp_parameters), file["producerRtpParameters"], "{name}");

        let mut mapping = to_json(&producer.mapping);
        let mapped_ssrcs = producer.mapping.encodings.iter().map(|encoding| u64::from(encoding.mapped_ssrc));
        for encodings in [&mut mapping, &mut file["mapping"]] {
            for encoding in encodings["encodings"].as_array_mut().unwrap() {
                encoding.as_object_mut().unwrap().remove("mappedSsrc").unwrap();
            }
        }
        assert_eq!(mapping, file["mapping"], "{name}");

        let mut consumable = to_json(&producer.consumable_rtp_parameters);
        assert_eq!(take_ssrcs(&mut consumable), mapped_ssrcs.collect::<Vec<_>>(), "{name}");
        take_ssrcs(&mut file["consumableRtpParameters"]);
        assert_eq!(consumable, file["consumableRtpParameters"], "{name}");

        let mid = file["consumerRtpParameters"]["mid"].as_str().map(str::to_owned);
        let options = ConsumerOptions { mid, ..ConsumerOptions::for_kind(kind) };
        let consumer =
            consumer_rtp_parameters(&producer.consumable_rtp_parameters, &remote, &options, random())
                .unwrap();
        let mut consumer = to_json(&consumer);
        let own = take_ssrcs(&mut consumer);
        let reference = take_ssrcs(&mut file["consumerRtpParameters"]);
        assert_eq!(own.len(), reference.len(), "{name}");
        assert!(own.windows(2).all(|pair| pair[1] == pair[0] + 1), "{name}: {own:?}");
        assert_eq!(consumer, file["consumerRtpParameters"], "{name}");
    }
}

#[test]
fn recorded_capabilities_and_consumers_pass_unchanged() {
    for list in ["recvRtpCapabilities", "sendRtpCapabilities"] {
        let recorded = &golden("device")[list];
        assert_eq!(to_json(&RtpCapabilities::from_json(recorded).unwrap()), *recorded);
    }
    for consumer in golden("consume")["consumers"].as_array().unwrap() {
        let mut recorded = consumer["rtpParameters"].clone();
        let parsed: RtpParameters = serde_json::from_value(recorded.clone()).unwrap();
        // Reading always settles dtx, as for a producer.
        recorded["encodings"][0]["dtx"] = json!(false);
        assert_eq!(to_json(&parsed), recorded);
    }
}

#[test]
fn recorded_transport_dictionaries_pass_unchanged() {
    let options = golden("transport-options");
    let ice: IceParameters = serde_json::from_value(options["iceParameters"].clone()).unwrap();
    assert_eq!(to_json(&ice), options["iceParameters"]);
    let candidates: Vec<IceCandidate> = serde_json::from_value(options["iceCandidates"].clone()).unwrap();
    assert_eq!(to_json(&candidates), options["iceCandidates"]);
    assert_eq!(candidates[1].tcp_type, Some(IceCandidateTcpType::Passive));
    let sctp: SctpParameters = serde_json::from_value(options["sctpParameters"].clone()).unwrap();
    assert_eq!(to_json(&sctp), options["sctpParameters"]);
    for dtls in [&options["dtlsParameters"], &golden("consume")["connect"]["dtlsParameters"]] {
        assert_eq!(to_json(&DtlsParameters::from_json(dtls).unwrap()), *dtls);
    }
    for name in ["data-default", "data-unordered-lifetime", "data-unordered-retransmits"] {
        let recorded = &golden(name)["producedata"]["sctpStreamParameters"];
        assert_eq!(to_json(&SctpStreamParameters::from_json(recorded).unwrap()), *recorded, "{name}");
    }
}
