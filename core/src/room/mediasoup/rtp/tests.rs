use super::*;
use crate::ortc::{default_media_codecs, generate_router_rtp_capabilities};

fn router() -> RtpCapabilities {
    generate_router_rtp_capabilities(&default_media_codecs()).unwrap()
}

fn vp8(encodings: Value) -> Value {
    json!({
        "muxId": "7",
        "codecs": [{ "name": "VP8", "mimeType": "video/VP8", "clockRate": 90000, "payloadType": 96,
                     "rtcpFeedback": [{ "type": "nack" }, { "type": "transport-cc" }], "parameters": {} }],
        "headerExtensions": [{ "uri": "urn:3gpp:video-orientation", "id": 13 }, { "uri": "urn:x-unknown", "id": 9 }],
        "encodings": encodings,
        "rtcp": { "cname": "c", "reducedSize": true, "mux": true },
    })
}

#[test]
fn names_of_version_2_become_those_of_version_3() {
    let (parameters, profiles) =
        producer_parameters(&vp8(json!([{ "ssrc": 5, "rtx": { "ssrc": 6 } }])), &router()).unwrap();
    assert_eq!((parameters.mid.as_deref(), profiles), (Some("7"), vec![Profile::Default]));
    assert_eq!(parameters.codecs[0].rtcp_feedback, [RtcpFeedback::new("nack", "")]);
    assert_eq!(parameters.header_extensions.len(), 1, "what is not known is not negotiated");
    assert_eq!(parameters.rtcp.cname.as_deref(), Some("c"));
}

#[test]
fn the_lowest_profile_comes_first() {
    let firefox = json!([
        { "encodingId": "high1", "profile": "high" },
        { "encodingId": "medium1", "profile": "medium" },
        { "encodingId": "low1", "profile": "low" },
    ]);
    let (parameters, profiles) = producer_parameters(&vp8(firefox), &router()).unwrap();
    let rids: Vec<_> = parameters.encodings.iter().filter_map(|encoding| encoding.rid.as_deref()).collect();
    assert_eq!(rids, ["low1", "medium1", "high1"]);
    assert_eq!(profiles, [Profile::Low, Profile::Medium, Profile::High]);
    assert!(parameters.encodings.iter().all(|encoding| encoding.other.is_empty()));
}

#[test]
fn profiles_must_be_known_and_differ() {
    for encodings in [
        json!([{ "ssrc": 1, "profile": "none" }]),
        json!([{ "ssrc": 1, "profile": 3 }]),
        json!([{ "ssrc": 1, "profile": "low" }, { "ssrc": 2, "profile": "low" }]),
    ] {
        let error = producer_parameters(&vp8(encodings), &router()).unwrap_err();
        assert!(error.to_string().starts_with("Error: wrong RTP parameters: "), "{error}");
    }
    for wrong in [Value::Null, json!([]), json!("x"), json!({}), json!({ "codecs": 3 })] {
        assert!(producer_parameters(&wrong, &router()).is_err(), "{wrong}");
    }
}

#[test]
fn h264_is_told_apart_by_its_packetization_mode_alone() {
    let of = |mode: u8, profile: &str| {
        let parameters = json!({ "packetization-mode": mode, "profile-level-id": profile });
        let codec = json!({ "mimeType": "video/H264", "clockRate": 90000, "payloadType": 96, "parameters": parameters });
        let value = json!({ "codecs": [codec], "encodings": [{ "ssrc": 1 }] });
        producer_parameters(&value, &router()).unwrap().0.codecs[0].parameters.clone()
    };
    let of_room = CodecParameters::from([
        ("packetization-mode", 1.into()),
        ("profile-level-id", "42e01f".into()),
        ("level-asymmetry-allowed", 1.into()),
    ]);
    assert_eq!(of(1, "42001f"), of_room);
    assert_eq!(of(0, "42001f").get("profile-level-id"), Some(&"42001f".into()), "not in the room");
}

#[test]
fn capabilities_must_be_the_rooms() {
    let room = room_capabilities(&router());
    let own = client_capabilities(&room, &router()).unwrap();
    assert_eq!(own.codecs.len(), router().codecs.len());
    assert!(own.header_extensions.iter().all(|one| one.known() != Some(HeaderExtensionUri::Mid)));
    let changed = |pointer: &str, value: Value| {
        let mut capabilities = room.clone();
        *capabilities.pointer_mut(pointer).unwrap() = value;
        client_capabilities(&capabilities, &router()).unwrap_err().to_string()
    };
    assert!(
        changed("/codecs/0/preferredPayloadType", json!(77))
            .starts_with("Error: unsupported codec [name:opus")
    );
    assert!(changed("/codecs/0/clockRate", json!(8000)).starts_with("Error: unsupported codec"));
    assert!(
        changed("/headerExtensions/0/preferredId", json!(9))
            .starts_with("Error: unsupported header extension")
    );
    assert!(
        changed("/headerExtensions/0/kind", json!("video"))
            .starts_with("Error: unsupported header extension")
    );
    assert!(changed("/codecs", json!(1)).starts_with("TypeError: wrong RTP capabilities"));
}

#[test]
fn feedback_without_parameter_has_no_such_member() {
    let room = room_capabilities(&router());
    let codecs = room["codecs"].as_array().unwrap();
    let vp8 = codecs.iter().find(|codec| codec["name"] == "VP8").unwrap();
    let feedback = json!([
        { "type": "nack" },
        { "type": "nack", "parameter": "pli" },
        { "type": "ccm", "parameter": "fir" },
        { "type": "goog-remb" },
    ]);
    let mut given = vp8["rtcpFeedback"].as_array().unwrap().clone();
    given.sort_by_key(Value::to_string);
    let mut wanted = feedback.as_array().unwrap().clone();
    wanted.sort_by_key(Value::to_string);
    assert_eq!(given, wanted);
    assert!(codecs.iter().all(|codec| codec["name"] != "rtx" || codec.get("rtcpFeedback").is_none()));
}
