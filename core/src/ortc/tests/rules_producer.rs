//! Rules 8 to 17, 34, 35, 38, 42 to 45: producers.

use super::*;

fn h264_router(format: Value) -> RtpCapabilities {
    router(&json!([{ "mimeType": "video/H264", "clockRate": 90000, "parameters": format }]))
}

fn h264(format: Value) -> RtpParameters {
    video(json!([codec("video/H264", 96, format)]), json!([{}]))
}

fn map(parameters: &mut RtpParameters, router: &RtpCapabilities) -> Result<ProducerMapping, OrtcError> {
    producer_mapping(parameters, router, random())
}

/// The profile-level-id that a producer has after negotiation, `None` if it has none, or an error.
fn settled(producer: Value, router: Value) -> Result<Option<String>, OrtcError> {
    let mut parameters = h264(producer);
    map(&mut parameters, &h264_router(router))?;
    let value = parameters.codecs[0].parameters.get("profile-level-id");
    Ok(value.map(|value| value.as_str().unwrap().to_owned()))
}

fn check(kind: MediaKind, parameters: &RtpParameters) -> Result<ProducerType, OrtcError> {
    check_producer_parameters(kind, parameters)
}

const VIDEO: MediaKind = MediaKind::Video;

#[test]
fn rule_8_normalising() {
    let read = parameters(json!({
        "codecs": [
            { "mimeType": "audio/opus", "payloadType": 1, "clockRate": 8000, "channels": "2" },
            { "mimeType": "video/VP8", "payloadType": 2, "clockRate": 90000.0, "channels": 3, "parameters": null,
              "rtcpFeedback": [{ "type": "nack" }] }
        ],
        "headerExtensions": [{ "uri": "x", "id": 3 }],
        "encodings": [{}, { "dtx": "yes" }, { "dtx": true }],
        "rtcp": { "reducedSize": false }
    }));
    assert_eq!(
        to_json(&read),
        json!({
            "codecs": [
                { "mimeType": "audio/opus", "payloadType": 1, "clockRate": 8000, "channels": 1, "parameters": {},
                  "rtcpFeedback": [] },
                { "mimeType": "video/VP8", "payloadType": 2, "clockRate": 90000, "parameters": {},
                  "rtcpFeedback": [{ "type": "nack", "parameter": "" }] }
            ],
            "headerExtensions": [{ "uri": "x", "id": 3, "encrypt": false, "parameters": {} }],
            "encodings": [{ "dtx": false }, { "dtx": false }, { "dtx": true }],
            "rtcp": { "reducedSize": true }
        })
    );
    let least = parameters(json!({ "codecs": [] }));
    assert_eq!(
        to_json(&least),
        json!({ "codecs": [], "headerExtensions": [], "encodings": [], "rtcp": { "reducedSize": true } })
    );
    // Empty strings and zeros stay as they are.
    let falsy =
        json!({ "mid": "", "msid": "", "codecs": [], "encodings": [{ "ssrc": 0, "rid": "", "dtx": false }] });
    let read = to_json(&parameters(falsy.clone()));
    assert_eq!(
        (&read["mid"], &read["msid"], &read["encodings"]),
        (&falsy["mid"], &falsy["msid"], &falsy["encodings"])
    );
}

#[test]
fn rule_9_what_reading_and_mapping_do_not_check() {
    let mut odd = parameters(json!({
        "codecs": [codec("video/VP8", 96, json!({})), codec("audio/opus", 96, json!({}))],
        "headerExtensions": [{ "uri": "no such", "id": 0 }, { "uri": "no such", "id": 0 }],
        "encodings": [{ "ssrc": 1 }, { "ssrc": 1 }, {}]
    }));
    let mapping = map(&mut odd, &golden_router()).unwrap();
    assert_eq!(mapping.codecs.len(), 2);
    assert_eq!(mapping.encodings.len(), 3);
}

#[test]
fn rule_10_every_codec_must_match() {
    let router = golden_router();
    let mut both =
        video(json!([codec("video/VP8", 1, json!({})), codec("video/H265", 2, json!({}))]), json!([{}]));
    assert_refused(map(&mut both, &router), UNSUPPORTED, "codecs[1]");
    // The first match wins: of two equal router codecs the second is never used.
    let twice = super::router(&json!([
        { "mimeType": "video/VP8", "clockRate": 90000 }, { "mimeType": "video/VP8", "clockRate": 90000 }
    ]));
    let mut vp8 = video(json!([codec("video/vp8", 7, json!({}))]), json!([{}]));
    vp8.codecs[0].rtcp_feedback = vec![RtcpFeedback::new("whatever", "")];
    assert_eq!(map(&mut vp8, &twice).unwrap().mapped_payload_type(7), Some(100));
}

#[test]
fn rule_11_rtx_must_name_a_media_codec() {
    let router = golden_router();
    let with = |rtx: Value| video(json!([codec("video/VP8", 96, json!({})), rtx]), json!([{}]));
    for bad in [rtx(97, 95), rtx(97, 97), codec("video/rtx", 97, json!({}))] {
        assert_refused(map(&mut with(bad), &router), INVALID, "codecs[1].parameters.apt");
    }
    let mut slow = rtx(97, 96);
    slow["clockRate"] = json!(1);
    assert_eq!(map(&mut with(slow), &router).unwrap().mapped_payload_type(97), Some(102));
    let mut audio = video(
        json!([codec("audio/opus", 96, json!({})), codec("audio/rtx", 97, json!({ "apt": 96 }))]),
        json!([{}]),
    );
    assert_refused(map(&mut audio, &router), UNSUPPORTED, "codecs[1]");
}

#[test]
fn rule_12_mapping_order_and_ssrcs() {
    let mut parameters = video(
        json!([rtx(9, 8), codec("video/VP9", 10, json!({})), rtx(11, 10), codec("video/VP8", 8, json!({}))]),
        json!([{ "ssrc": 5 }, { "rid": "r" }, {}]),
    );
    let mapping = map(&mut parameters, &golden_router()).unwrap();
    let pairs: Vec<_> =
        mapping.codecs.iter().map(|codec| (codec.payload_type, codec.mapped_payload_type)).collect();
    assert_eq!(pairs, [(10, 103), (8, 101), (9, 102), (11, 104)]);
    let [first, second, third] = mapping.encodings.as_slice() else { panic!() };
    assert_eq!((first.ssrc, second.rid.as_deref(), &third.rid), (Some(5), Some("r"), &None));
    assert!((100_000_000..1_000_000_000).contains(&first.mapped_ssrc));
    assert_eq!(second.mapped_ssrc, first.mapped_ssrc + 1);
    assert_eq!(third.mapped_ssrc, first.mapped_ssrc + 2);
}

#[test]
fn rule_13_h264_mode_and_profile() {
    let id = |id: &str| json!({ "profile-level-id": id });
    let matches = |producer: Value, router: Value| settled(producer, router).is_ok();
    assert!(matches(json!({ "packetization-mode": 0 }), json!({})));
    assert!(!matches(json!({ "packetization-mode": 1 }), json!({})));
    assert!(!matches(json!({ "packetization-mode": "1" }), json!({ "packetization-mode": 1 })));
    for same in ["42e01f", "42c01f", "4d801f", "58c01f", "42E01F", "42e00b"] {
        assert!(matches(id(same), json!({})), "{same} is constrained baseline");
    }
    for (other, canonical) in [
        ("42001f", "42001f"),
        ("58801f", "42001f"),
        ("4d001f", "4d001f"),
        ("4d401f", "4d001f"),
        ("64001f", "64001f"),
        ("640c1f", "640c1f"),
        ("f4001f", "f4001f"),
    ] {
        assert!(!matches(id(other), json!({})), "{other} is not constrained baseline");
        assert_eq!(settled(id(other), id(other)).unwrap().as_deref(), Some(canonical));
    }
    for invalid in ["", "42e01", "42e01f0", "42e0zz", "000000", "42e00e", "4d201f", "42e0é"] {
        assert!(!matches(id(invalid), id(invalid)), "{invalid} never matches");
    }
    assert!(!matches(json!({ "profile-level-id": 420_010 }), json!({})));
}

#[test]
fn rule_13_h264_level() {
    let format =
        |id: &str, asymmetry: Value| json!({ "profile-level-id": id, "level-asymmetry-allowed": asymmetry });
    let level = |producer: (&str, Value), router: (&str, Value)| {
        settled(format(producer.0, producer.1), format(router.0, router.1)).unwrap().unwrap()
    };
    assert_eq!(level(("42e034", json!(1)), ("42e01f", json!(1))), "42e034");
    assert_eq!(level(("42e034", json!("1")), ("42e01f", json!(1))), "42e034");
    assert_eq!(level(("42e034", json!(0)), ("42e01f", json!(1))), "42e01f");
    assert_eq!(level(("42e034", json!(1)), ("42e01f", json!(0))), "42e01f");
    assert_eq!(level(("42c00d", json!(0)), ("42e01f", json!(0))), "42e00d");
    // 1b, as the package that mediasoup uses has it.
    for (producer, router, expected) in [
        ("42e01f", "42f00b", "42e01f"),
        ("42e00b", "42f00b", "42e00b"),
        ("42e00a", "42f00b", "42f00b"),
        ("42f00b", "42e01f", "42f00b"),
        ("42f00b", "42f00b", "42f00b"),
        ("42f00b", "42e00a", "42e00a"),
        ("42100b", "420034", "42100b"),
        ("4d100b", "4d0034", "4d100b"),
    ] {
        let settled = level((producer, json!(0)), (router, json!(0)));
        assert_eq!(settled, expected, "{producer} against {router}");
    }
    assert_eq!(settled(json!({}), json!({})).unwrap(), None);
    assert_eq!(
        settled(json!({}), json!({ "profile-level-id": "42e034" })).unwrap().as_deref(),
        Some("42e01f")
    );
    assert_eq!(
        settled(json!({ "profile-level-id": "42e034" }), json!({})).unwrap().as_deref(),
        Some("42e01f")
    );
}

#[test]
fn rule_14_vp9_profile() {
    let matches = |producer: Value, format: Value| {
        let router = router(&json!([{ "mimeType": "video/VP9", "clockRate": 90000, "parameters": format }]));
        map(&mut video(json!([codec("video/VP9", 96, producer)]), json!([{}])), &router).is_ok()
    };
    assert!(matches(json!({}), json!({ "profile-id": 0 })));
    assert!(matches(json!({ "profile-id": 2 }), json!({ "profile-id": 2.0 })));
    assert!(!matches(json!({ "profile-id": 2 }), json!({})));
    assert!(!matches(json!({ "profile-id": "0" }), json!({})));
    assert!(!matches(json!({ "profile-id": "2" }), json!({ "profile-id": 2 })));
    assert!(matches(json!({ "profile-id": "0" }), json!({ "profile-id": "0" })));
    let av1 = video(json!([codec("video/AV1", 96, json!({ "profile": 2 }))]), json!([{}]));
    assert!(map(&mut av1.clone(), &golden_router()).is_ok());
}

#[test]
fn rule_15_consumable_codecs() {
    let mut vp8 = codec("video/vp8", 33, json!({ "own": "x" }));
    vp8["rtcpFeedback"] = json!([{ "type": "mine" }]);
    let parameters = video(json!([codec("video/VP9", 34, json!({})), vp8]), json!([{}]));
    let codecs = negotiated(VIDEO, parameters, &golden_router()).consumable_rtp_parameters.codecs;
    assert_eq!(payload_types(&codecs), [103, 104, 101, 102], "RTX although the producer has none");
    assert_eq!(codecs[2].mime_type.as_str(), "video/VP8");
    assert_eq!(to_json(&codecs[2].parameters), json!({ "own": "x" }));
    assert_eq!(feedback(&codecs[2]), ["nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"]);
    assert_eq!(codecs[3].parameters.apt(), Some(101));
}

#[test]
fn rule_16_consumable_header_extensions() {
    let with = |extensions: Value| {
        let mut parameters = video(json!([codec("video/VP8", 96, json!({}))]), json!([{}]));
        parameters.header_extensions = serde_json::from_value(extensions).unwrap();
        negotiated(VIDEO, parameters, &golden_router()).consumable_rtp_parameters
    };
    assert_eq!(extension_ids(&with(json!([]))), [1, 4, 5, 8, 9, 11, 12]);
    let capture = json!([{ "uri": HeaderExtensionUri::AbsCaptureTime.as_str(), "id": 77 }]);
    assert_eq!(extension_ids(&with(capture)), [1, 4, 5, 8, 9, 10, 11, 12]);
    let audio = video(json!([codec("audio/opus", 96, json!({}))]), json!([{}]));
    let consumable = negotiated(MediaKind::Audio, audio, &golden_router()).consumable_rtp_parameters;
    assert_eq!(extension_ids(&consumable), [1, 4, 6, 11, 12]);
}

#[test]
fn rule_17_consumable_encodings() {
    let parameters = parameters(json!({
        "mid": "m", "msid": "stream track", "codecs": [codec("video/VP8", 96, json!({}))],
        "encodings": [{
            "ssrc": 5, "rtx": { "ssrc": 6 }, "rid": "r", "codecPayloadType": 96, "dtx": true, "scalabilityMode": "L1T2",
            "maxBitrate": 1000, "active": false, "mine": { "x": [1] }
        }],
        "rtcp": { "cname": "c", "reducedSize": false }
    }));
    let producer = negotiated(VIDEO, parameters, &golden_router());
    let consumable = to_json(&producer.consumable_rtp_parameters);
    assert_eq!(
        consumable["encodings"],
        json!([{
            "ssrc": producer.mapping.encodings[0].mapped_ssrc, "dtx": true, "scalabilityMode": "L1T2",
            "maxBitrate": 1000, "active": false, "mine": { "x": [1] }
        }])
    );
    assert_eq!(consumable["rtcp"], json!({ "cname": "c", "reducedSize": true }));
    assert_eq!((&consumable["msid"], consumable.get("mid")), (&json!("stream track"), None));
    let foreign = ProducerMapping { codecs: vec![], encodings: vec![] };
    let result = consumable_rtp_parameters(VIDEO, &producer.rtp_parameters, &golden_router(), &foreign);
    assert_refused(result, INVALID, "not in the mapping");
}

#[test]
fn rule_34_no_encodings_is_one() {
    let producer =
        negotiated(VIDEO, video(json!([codec("video/VP8", 96, json!({}))]), json!([])), &golden_router());
    assert_eq!(producer.rtp_parameters.encodings, [RtpEncodingParameters::default()]);
    assert_eq!(producer.mapping.encodings.len(), 1);
}

#[test]
fn rule_35_one_cname_per_transport() {
    let with = |cname: Value| parameters(json!({ "codecs": [], "rtcp": { "cname": cname } }));
    let settle = |cname: &mut TransportCname, given: Value| {
        let mut parameters = with(given);
        cname.settle(&mut parameters, random());
        parameters.rtcp.cname.unwrap()
    };
    let mut transport = TransportCname::default();
    assert_eq!(settle(&mut transport, json!("first")), "first");
    assert_eq!(settle(&mut transport, json!("second")), "first");
    let mut transport = TransportCname::default();
    let made = settle(&mut transport, json!(""));
    assert_eq!(made.len(), 8);
    assert_eq!(settle(&mut transport, json!("late")), made);
    let mut own = with(json!("own"));
    TransportCname::settle_apart(&mut own, random());
    assert_eq!(own.rtcp.cname.as_deref(), Some("own"));
}

#[test]
fn rule_38_unknown_header_extension() {
    let mut parameters = video(json!([codec("video/VP8", 96, json!({}))]), json!([{}]));
    let known = HeaderExtensionUri::ALL.map(|uri| RtpHeaderExtensionParameters::new(uri, uri.router_id()));
    parameters.header_extensions = known.to_vec();
    assert!(check_header_extension_uris(&parameters).is_ok());
    parameters.header_extensions[3].uri = "urn:mine".into();
    assert_refused(check_header_extension_uris(&parameters), INVALID, "headerExtensions[3].uri");
    assert_refused(
        negotiate_producer(VIDEO, parameters, &golden_router(), random()),
        INVALID,
        "invalid RtpHeaderExtensionUri: urn:mine",
    );
}

#[test]
fn rule_42_codecs_and_ids() {
    let vp8 = codec("video/VP8", 96, json!({}));
    let codecs = |list: Value| check(VIDEO, &video(list, json!([{}])));
    assert_refused(codecs(json!([])), INVALID, "media codec");
    assert_refused(codecs(json!([rtx(97, 96)])), INVALID, "media codec");
    assert_refused(codecs(json!([vp8, vp8])), INVALID, "codecs[1].payloadType 96 is given twice");
    assert_refused(codecs(json!([vp8, rtx(97, 98)])), INVALID, "codecs[1].parameters.apt");
    assert_refused(
        codecs(json!([vp8, codec("video/rtx", 97, json!({}))])),
        INVALID,
        "codecs[1].parameters.apt",
    );
    assert_refused(check(MediaKind::Audio, &video(json!([vp8]), json!([{}]))), INVALID, "codecs[0].mimeType");
    let mut parameters = video(json!([vp8]), json!([{}]));
    parameters.header_extensions = vec![RtpHeaderExtensionParameters::new(HeaderExtensionUri::Mid, 0)];
    assert_refused(check(VIDEO, &parameters), INVALID, "headerExtensions[0].id");
    for wrong in [95, 97] {
        let parameters = video(json!([vp8, rtx(97, 96)]), json!([{ "codecPayloadType": wrong }]));
        assert_refused(check(VIDEO, &parameters), INVALID, "encodings[0].codecPayloadType");
    }
    assert!(check(VIDEO, &video(json!([vp8, rtx(97, 96)]), json!([{ "codecPayloadType": 96 }]))).is_ok());
}

#[test]
fn rule_43_streams_must_be_recognisable() {
    let with = |mid: Value, encodings: Value| {
        let codecs = json!([codec("video/VP8", 96, json!({}))]);
        check(VIDEO, &parameters(json!({ "mid": mid, "codecs": codecs, "encodings": encodings })))
    };
    assert!(with(json!("m"), json!([{}])).is_ok());
    for one in [json!([{ "ssrc": 1 }]), json!([{ "rid": "r" }])] {
        assert!(with(json!(null), one).is_ok());
    }
    for nothing in [json!([{}]), json!([{ "ssrc": 0, "rid": "" }])] {
        assert_refused(with(json!(""), nothing), INVALID, "encodings[0]");
    }
    assert!(with(json!("m"), json!([{ "ssrc": 1 }, { "rid": "r" }])).is_ok());
    assert_refused(with(json!("m"), json!([{ "ssrc": 1 }, {}])), INVALID, "encodings[1]");
}

#[test]
fn rule_44_types() {
    let one = |name: &str, mode: Value| {
        check(VIDEO, &video(json!([codec(name, 96, json!({}))]), json!([{ "scalabilityMode": mode }])))
    };
    for name in ["video/VP8", "video/H264", "video/VP9", "video/AV1"] {
        assert_eq!(one(name, json!("L1T3")), Ok(ProducerType::Svc));
        assert_eq!(one(name, json!("L1T1")), Ok(ProducerType::Simple));
        assert_eq!(one(name, json!(null)), Ok(ProducerType::Simple));
        let simulcast = |modes: [&str; 2]| {
            let encodings = json!([{ "ssrc": 1, "scalabilityMode": modes[0] }, { "ssrc": 2, "scalabilityMode": modes[1] }]);
            check(VIDEO, &video(json!([codec(name, 96, json!({}))]), encodings))
        };
        // Wider than mediasoup: VP9 and AV1 as well.
        assert_eq!(simulcast(["L1T3", "L1T3"]), Ok(ProducerType::Simulcast));
        assert_refused(simulcast(["L1T3", "L2T3"]), INVALID, "encodings[1].scalabilityMode");
    }
    let audio = |encodings: Value| {
        check(MediaKind::Audio, &video(json!([codec("audio/opus", 96, json!({}))]), encodings))
    };
    assert_eq!(audio(json!([{}])), Ok(ProducerType::Simple));
    assert_refused(audio(json!([{ "ssrc": 1 }, { "ssrc": 2 }])), INVALID, "audio");
    assert_refused(audio(json!([{ "scalabilityMode": "L1T2" }])), INVALID, "audio");
    let other = video(json!([codec("video/H265", 96, json!({}))]), json!([{ "ssrc": 1 }, { "ssrc": 2 }]));
    assert_refused(check(VIDEO, &other), INVALID, "simulcast");
}

#[test]
fn rule_45_unique_in_a_transport() {
    let with = |mid: Value, encodings: Value| {
        parameters(
            json!({ "mid": mid, "codecs": [codec("video/VP8", 96, json!({}))], "encodings": encodings }),
        )
    };
    let first = with(json!("a"), json!([{ "ssrc": 1, "rtx": { "ssrc": 2 }, "rid": "r" }]));
    let unique = |new: &RtpParameters| check_unique_in_transport(new, [&first]);
    assert!(check_unique_in_transport(&first, []).is_ok());
    assert!(unique(&with(json!("b"), json!([{ "ssrc": 3, "rid": "r" }]))).is_ok());
    assert_refused(unique(&with(json!("a"), json!([{}]))), INVALID, "mid");
    for taken in
        [json!([{ "ssrc": 1 }]), json!([{ "ssrc": 2 }]), json!([{ "ssrc": 9, "rtx": { "ssrc": 1 } }])]
    {
        assert_refused(unique(&with(json!("b"), taken)), INVALID, "ssrc");
    }
    assert_refused(unique(&with(json!(null), json!([{ "rid": "r" }]))), INVALID, "rid");
    assert!(unique(&with(json!(null), json!([{ "rid": "s" }]))).is_ok());
    assert_refused(unique(&with(json!("b"), json!([{ "ssrc": 5 }, { "ssrc": 5 }]))), INVALID, "ssrc 5");
    assert_refused(unique(&with(json!(""), json!([{ "rid": "s" }, { "rid": "s" }]))), INVALID, "rid");
    // Nonsense counts as one layer of each kind.
    let odd = video(json!([codec("video/VP8", 96, json!({}))]), json!([{ "scalabilityMode": "nonsense" }]));
    assert_eq!(check(VIDEO, &odd), Ok(ProducerType::Simple));
}
