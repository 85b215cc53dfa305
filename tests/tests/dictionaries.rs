//! The JSON of the dictionaries against an independent reading of it: the types of mediasoup's own Rust library.
// Helpers of tests are tests too, but the lint only exempts the functions marked so.
#![allow(clippy::unwrap_used)]

use mediasoup_types::data_structures as their_data;
use mediasoup_types::rtp_parameters as theirs;
use mediasoup_types::sctp_parameters as their_sctp;
use mediasoup_types::srtp_parameters as their_srtp;
use sansfu::ortc::{
    ConsumerOptions, DtlsParameters, HeaderExtensionUri, IceCandidate, MediaKind, RtpCapabilities,
    RtpParameters, SctpStreamParameters, SrtpCryptoSuite, SrtpParameters, consumer_rtp_parameters,
    default_media_codecs, generate_router_rtp_capabilities, negotiate_producer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The value written by us, read and written by them.
fn through_theirs<T: Serialize + DeserializeOwned>(ours: &impl Serialize) -> Value {
    let text = serde_json::to_string(ours).unwrap();
    let theirs: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    serde_json::to_value(theirs).unwrap()
}

fn golden(name: &str) -> Value {
    let path = format!("{}/golden/v3/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What their types leave out: the transmission offset, which is younger than they are.
fn without_transmission_offset(mut extensions: Vec<Value>) -> Vec<Value> {
    extensions.retain(|extension| extension["uri"] != HeaderExtensionUri::TransmissionOffset.as_str());
    extensions
}

fn router() -> RtpCapabilities {
    generate_router_rtp_capabilities(&default_media_codecs()).unwrap()
}

/// Their rendering of parameters beside ours, with what they do not hold taken out of ours.
fn assert_same_parameters(ours: &RtpParameters) {
    let mut expected = serde_json::to_value(ours).unwrap();
    let extensions = expected["headerExtensions"].as_array_mut().unwrap();
    *extensions = without_transmission_offset(std::mem::take(extensions));
    let sent = expected.clone();
    for extension in expected["headerExtensions"].as_array_mut().unwrap() {
        assert_eq!(extension.as_object_mut().unwrap().remove("parameters"), Some(json!({})));
    }
    for encoding in expected["encodings"].as_array_mut().unwrap() {
        encoding
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "active" && name != "scaleResolutionDownBy");
    }
    assert_eq!(through_theirs::<theirs::RtpParameters>(&sent), expected);
}

#[test]
fn router_capabilities() {
    let mut ours = serde_json::to_value(router()).unwrap();
    let extensions = ours["headerExtensions"].as_array_mut().unwrap();
    *extensions = without_transmission_offset(std::mem::take(extensions));
    assert_eq!(through_theirs::<theirs::RtpCapabilitiesFinalized>(&ours), ours);
}

#[test]
fn producer_consumable_and_consumer_parameters() {
    let remote = RtpCapabilities::from_json(&golden("device")["recvRtpCapabilities"]).unwrap();
    for (name, kind) in [
        ("audio-opus", MediaKind::Audio),
        ("video-vp8-simulcast3", MediaKind::Video),
        ("video-h264-42e01f-single", MediaKind::Video),
        ("video-vp9-svc-L3T3_KEY", MediaKind::Video),
        ("video-av1-single", MediaKind::Video),
    ] {
        let parameters = RtpParameters::from_json(&golden(name)["produce"]["rtpParameters"]).unwrap();
        let producer = negotiate_producer(kind, parameters, &router(), || 7).unwrap();
        let consumer = consumer_rtp_parameters(
            &producer.consumable_rtp_parameters,
            &remote,
            &ConsumerOptions::for_kind(kind),
            || 9,
        )
        .unwrap();
        for ours in [&producer.rtp_parameters, &producer.consumable_rtp_parameters, &consumer] {
            assert_same_parameters(ours);
        }
    }
}

#[test]
fn transport_dictionaries() {
    let options = golden("transport-options");
    let dtls = DtlsParameters::from_json(&options["dtlsParameters"]).unwrap();
    assert_eq!(through_theirs::<their_data::DtlsParameters>(&dtls), options["dtlsParameters"]);
    let candidates: Vec<IceCandidate> = serde_json::from_value(options["iceCandidates"].clone()).unwrap();
    let mut expected = options["iceCandidates"].clone();
    for candidate in expected.as_array_mut().unwrap() {
        // For clients of earlier versions; their types have it no more.
        candidate.as_object_mut().unwrap().remove("ip").unwrap();
    }
    assert_eq!(through_theirs::<Vec<their_data::IceCandidate>>(&candidates), expected);
}

#[test]
fn sctp_and_srtp_dictionaries() {
    for stream in [
        json!({ "streamId": 1, "ordered": true }),
        json!({ "streamId": 1, "ordered": false, "maxPacketLifeTime": 5 }),
        json!({ "streamId": 1, "ordered": false, "maxRetransmits": 5 }),
    ] {
        let ours = SctpStreamParameters::from_json(&stream).unwrap();
        assert_eq!(through_theirs::<their_sctp::SctpStreamParameters>(&ours), stream);
    }
    for crypto_suite in SrtpCryptoSuite::ALL {
        let ours = SrtpParameters { crypto_suite, key_base64: "AAAA".into() };
        assert_eq!(through_theirs::<their_srtp::SrtpParameters>(&ours), serde_json::to_value(&ours).unwrap());
    }
}
