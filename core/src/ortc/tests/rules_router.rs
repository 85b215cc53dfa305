//! Rules 1 to 7: a router's capabilities.

use super::*;

fn media(mime_type: &str) -> Value {
    let clock_rate = match mime_type {
        "audio/opus" => 48_000,
        _ if mime_type.starts_with("audio") => 8000,
        _ => 90_000,
    };
    json!({ "mimeType": mime_type, "clockRate": clock_rate, "channels": if clock_rate == 48_000 { 2 } else { 1 } })
}

fn numbers(capabilities: &RtpCapabilities) -> Vec<u8> {
    capabilities.codecs.iter().map(|codec| codec.preferred_payload_type.unwrap()).collect()
}

fn with_payload_type(mime_type: &str, payload_type: Value) -> Value {
    let mut codec = media(mime_type);
    codec["preferredPayloadType"] = payload_type;
    codec
}

#[test]
fn rule_1_order_and_rtx() {
    let capabilities = router(&json!([media("video/VP9"), media("audio/opus"), media("video/VP8")]));
    let names: Vec<_> = capabilities.codecs.iter().map(|codec| codec.mime_type.as_str()).collect();
    assert_eq!(names, ["video/VP9", "video/rtx", "audio/opus", "video/VP8", "video/rtx"]);
    assert_eq!(capabilities.codecs[1].parameters.apt(), Some(100));
    assert_eq!(capabilities.codecs[4].parameters.apt(), Some(103));
}

#[test]
fn rule_2_payload_types_in_order() {
    let static_first =
        router(&json!([media("audio/PCMU"), media("audio/PCMA"), media("audio/G722"), media("audio/CN")]));
    assert_eq!(numbers(&static_first), [0, 8, 9, 13]);
    let mut codecs = vec![media("audio/PCMU")];
    codecs.extend(vec![media("video/VP8"); 16]);
    let full = numbers(&router(&json!(codecs)));
    assert_eq!(full[0], 0);
    assert_eq!(full[1..], (100..=127).chain(96..=99).collect::<Vec<u8>>());
    codecs.push(media("video/VP8"));
    assert_refused(try_router(&json!(codecs)), OrtcErrorKind::Exhausted, "payload types");
}

#[test]
fn rule_3_preferred_payload_types() {
    let given = with_payload_type("video/VP8", json!(100));
    assert_eq!(numbers(&router(&json!([given, media("video/VP9")]))), [100, 101, 102, 103]);
    assert_eq!(numbers(&router(&json!([with_payload_type("audio/opus", json!(0))]))), [0]);
    for second in [100, 101] {
        let list = json!([media("video/VP9"), with_payload_type("video/VP8", json!(second))]);
        assert_refused(try_router(&list), INVALID, "mediaCodecs[1].preferredPayloadType");
    }
    let list = json!([media("video/VP9"), with_payload_type("video/VP8", json!(102))]);
    assert_eq!(numbers(&router(&list)), [100, 101, 102, 103]);
    for name in ["audio/CN", "audio/PCMU"] {
        assert_refused(try_router(&json!([media(name), media(name)])), INVALID, "duplicated");
    }
    // mediasoup takes these for want of a check; a payload type has 7 bits.
    for bad in [json!(200), json!(-1), json!(100.5), json!("100")] {
        let list = json!([with_payload_type("audio/opus", bad)]);
        assert_refused(try_router(&list), INVALID, "mediaCodecs[0].preferredPayloadType");
    }
}

#[test]
fn rule_4_supported_codecs() {
    let opus = json!([{ "mimeType": "AUDIO/OPUS", "clockRate": 48000, "channels": 2 }]);
    assert_eq!(router(&opus).codecs[0].mime_type.as_str(), "audio/opus");
    let mono = json!([{ "mimeType": "audio/opus", "clockRate": 48000 }]);
    assert_refused(try_router(&mono), UNSUPPORTED, "mediaCodecs[0]");
    let vp8 = json!([{ "mimeType": "video/vp8", "clockRate": 90000, "channels": 7 }]);
    assert_eq!(router(&vp8).codecs[0].channels, None);
    let h264 = json!([{
        "mimeType": "video/h264", "clockRate": 90000,
        "parameters": { "profile-level-id": "nonsense", "packetization-mode": 9 }
    }]);
    assert_eq!(
        router(&h264).codecs[0].parameters.get("profile-level-id").unwrap().as_str(),
        Some("nonsense")
    );
    let vp9 = json!([{ "mimeType": "video/VP9", "clockRate": 90000, "parameters": { "profile-id": 77 } }]);
    assert_eq!(router(&vp9).codecs.len(), 2);
    let surround = |streams: u8, coupled: u8| {
        json!([{
            "mimeType": "audio/multiopus", "clockRate": 48000, "channels": 6,
            "parameters": { "num_streams": streams, "coupled_streams": coupled }
        }])
    };
    let mapping = router(&surround(4, 2)).codecs[0].parameters.get("channel_mapping").cloned();
    assert_eq!(mapping, Some("0,4,1,2,3,5".into()));
    assert_refused(try_router(&surround(4, 3)), UNSUPPORTED, "multiopus");
    assert_refused(try_router(&surround(5, 2)), UNSUPPORTED, "multiopus");
    for name in ["video/rtx", "video/red", "video/ulpfec", "video/flexfec-03", "video/H265", "audio/red"] {
        assert_refused(try_router(&json!([media(name)])), UNSUPPORTED, name);
    }
}

#[test]
fn rule_5_parameters_and_feedback() {
    let h264 = |format: Value| {
        router(&json!([{
            "kind": "audio", "mimeType": "video/H264", "clockRate": 90000, "parameters": format,
            "rtcpFeedback": [{ "type": "mine" }]
        }]))
        .codecs
        .remove(0)
    };
    let codec = h264(json!({ "packetization-mode": 1 }));
    assert_eq!(codec.kind, MediaKind::Video);
    assert_eq!(to_json(&codec.parameters), json!({ "level-asymmetry-allowed": 1, "packetization-mode": 1 }));
    assert_eq!(codec.rtcp_feedback.len(), 5);
    assert_eq!(
        to_json(&h264(json!({ "level-asymmetry-allowed": 0 })).parameters),
        json!({ "level-asymmetry-allowed": 0 })
    );
    for (format, field) in [
        (json!({ "x": null }), "mediaCodecs[0].parameters.x"),
        (json!({ "x": true }), "mediaCodecs[0].parameters.x"),
        (json!({ "apt": "100" }), "mediaCodecs[0].parameters.apt"),
        (json!([]), "mediaCodecs[0].parameters"),
    ] {
        let list = json!([{ "mimeType": "video/H264", "clockRate": 90000, "parameters": format }]);
        assert_refused(try_router(&list), INVALID, field);
    }
    let list = json!([{ "mimeType": "video/VP8", "clockRate": 90000, "rtcpFeedback": [{ "type": 5 }] }]);
    assert_refused(try_router(&list), INVALID, "mediaCodecs[0].rtcpFeedback[0].type must be a string");
}

#[test]
fn rule_6_header_extensions() {
    for list in [json!([]), json!([media("audio/opus")]), json!([media("video/VP8")])] {
        assert_eq!(
            to_json(&router(&list).header_extensions),
            golden("router-rtp-capabilities")["headerExtensions"]
        );
    }
}

#[test]
fn rule_7_media_codecs_must_be_a_list() {
    assert!(router(&json!([])).codecs.is_empty());
    assert_refused(try_router(&Value::Null), INVALID, "mediaCodecs is missing");
    assert_refused(try_router(&json!({})), INVALID, "mediaCodecs must be an array");
    assert_refused(try_router(&json!([null])), INVALID, "mediaCodecs[0]");
}
