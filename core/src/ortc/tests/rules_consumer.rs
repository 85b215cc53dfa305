//! Rules 18 to 33, 36, 40, 41 and 46: consumers, and the widening to the remote's ids.

use super::*;

const VIDEO: MediaKind = MediaKind::Video;

fn consume(consumable: &RtpParameters, remote: &RtpCapabilities) -> Result<RtpParameters, OrtcError> {
    consume_with(consumable, remote, &ConsumerOptions::for_kind(VIDEO))
}

fn consume_with(
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    options: &ConsumerOptions,
) -> Result<RtpParameters, OrtcError> {
    consumer_rtp_parameters(consumable, remote, options, random())
}

fn remote(codecs: Value) -> RtpCapabilities {
    let extensions = golden("device")["recvRtpCapabilities"]["headerExtensions"].clone();
    capabilities(json!({ "codecs": codecs, "headerExtensions": extensions }))
}

fn remote_rtx(payload_type: u8, apt: u8) -> Value {
    capability("video/rtx", payload_type, json!({ "apt": apt }))
}

fn vp8(payload_type: u8) -> Value {
    capability("video/VP8", payload_type, json!({}))
}

/// Consumable VP8 and H264, both with RTX: 101, 102, 105, 106.
fn vp8_and_h264() -> RtpParameters {
    let h264 = codec("video/H264", 98, json!({ "packetization-mode": 1, "profile-level-id": "42e01f" }));
    let parameters = video(json!([codec("video/VP8", 96, json!({})), h264]), json!([{}]));
    negotiated(VIDEO, parameters, &golden_router()).consumable_rtp_parameters
}

fn h264(payload_type: u8) -> Value {
    capability("video/H264", payload_type, json!({ "packetization-mode": 1, "profile-level-id": "42c034" }))
}

#[test]
fn rule_18_matching_keeps_the_routers_numbers() {
    let consumable = vp8_and_h264();
    let remote = remote(json!([h264(1), remote_rtx(2, 1), vp8(3)]));
    let consumer = consume(&consumable, &remote).unwrap();
    assert_eq!(payload_types(&consumer.codecs), [101, 102, 105, 106]);
    assert_eq!(consumer.codecs[2].parameters, consumable.codecs[2].parameters, "no level is rewritten");
    assert!(can_consume(&consumable, &remote));
}

#[test]
fn rule_19_any_rtx_serves_all() {
    let mut first = remote_rtx(2, 77);
    first["rtcpFeedback"] = json!([{ "type": "x" }]);
    let consumer =
        consume(&vp8_and_h264(), &remote(json!([vp8(3), h264(1), first, remote_rtx(4, 3)]))).unwrap();
    assert_eq!(payload_types(&consumer.codecs), [101, 102, 105, 106]);
    assert_eq!(
        (feedback(&consumer.codecs[1]), feedback(&consumer.codecs[3])),
        (vec!["x".into()], vec!["x".into()])
    );
    let consumer = consume(&vp8_and_h264(), &remote(json!([vp8(3), remote_rtx(4, 3)]))).unwrap();
    assert_eq!(payload_types(&consumer.codecs), [101, 102], "the RTX of H264 went with H264");
    let mut fast = remote_rtx(4, 3);
    fast["clockRate"] = json!(1);
    assert_eq!(consume(&vp8_and_h264(), &remote(json!([vp8(3), fast]))).unwrap().codecs.len(), 1);
}

#[test]
fn rule_20_can_consume_looks_at_the_first_match() {
    let without_vp8 = remote(json!([h264(1), remote_rtx(2, 1)]));
    assert!(!can_consume(&vp8_and_h264(), &without_vp8));
    assert_eq!(payload_types(&consume(&vp8_and_h264(), &without_vp8).unwrap().codecs), [105, 106]);
    assert!(can_consume(&vp8_and_h264(), &remote(json!([h264(1)]))));
    assert!(!can_consume(&vp8_and_h264(), &remote(json!([]))));
}

#[test]
fn rule_21_no_codec_left() {
    for codecs in [json!([]), json!([capability("video/VP9", 1, json!({}))]), json!([remote_rtx(2, 1)])] {
        assert_refused(consume(&vp8_and_h264(), &remote(codecs)), UNSUPPORTED, "no compatible media codecs");
    }
}

#[test]
fn rule_22_feedback_is_the_remotes() {
    let consumable = consumable_vp8(json!([{}]));
    let mut odd = vp8(3);
    odd["rtcpFeedback"] = json!([{ "type": "odd" }, { "type": "nack" }, { "type": "nack", "parameter": "pli" }, { "type": "ccm" }]);
    let remote = remote(json!([odd]));
    let with = |enable_rtx: bool| {
        let options = ConsumerOptions { enable_rtx, ..ConsumerOptions::default() };
        feedback(&consume_with(&consumable, &remote, &options).unwrap().codecs[0])
    };
    assert_eq!(with(true), ["odd", "nack", "nack pli", "ccm"]);
    assert_eq!(with(false), ["odd", "nack pli", "ccm"]);
}

#[test]
fn rule_23_header_extensions_by_id_and_uri() {
    let consumable = consumable_vp8(json!([{}]));
    let mut remote = remote(json!([vp8(3)]));
    assert_eq!(extension_ids(&consume(&consumable, &remote).unwrap()), [1, 4, 5, 8, 9, 11]);
    for extension in &mut remote.header_extensions {
        extension.kind = MediaKind::Audio;
        extension.direction = HeaderExtensionDirection::Inactive;
    }
    remote.header_extensions.reverse();
    assert_eq!(extension_ids(&consume(&consumable, &remote).unwrap()), [1, 4, 5, 8, 9, 11]);
    for extension in &mut remote.header_extensions {
        extension.preferred_id += u8::from(extension.preferred_id >= 8) * 20;
    }
    assert_eq!(extension_ids(&consume(&consumable, &remote).unwrap()), [1, 4, 5]);
}

#[test]
fn rule_24_one_kind_of_bandwidth_feedback() {
    let consumable = consumable_vp8(json!([{}]));
    let with = |uris: &[HeaderExtensionUri]| {
        let mut remote = remote(json!([vp8(3), remote_rtx(4, 3)]));
        remote.header_extensions.retain(|extension| uris.iter().any(|uri| extension.known() == Some(*uri)));
        let codecs = consume(&consumable, &remote).unwrap().codecs;
        assert_eq!(feedback(&codecs[0]), feedback(&codecs[1]), "RTX too");
        feedback(&codecs[0])
    };
    let (transport_cc, send_time) = (HeaderExtensionUri::TransportCc, HeaderExtensionUri::AbsSendTime);
    assert_eq!(with(&[transport_cc, send_time]), ["transport-cc", "nack", "nack pli"]);
    assert_eq!(with(&[send_time]), ["goog-remb", "nack", "nack pli"]);
    assert_eq!(with(&[]), ["nack", "nack pli"]);
}

#[test]
fn rule_25_rtx_off() {
    assert!(ConsumerOptions::for_kind(VIDEO).enable_rtx);
    assert!(!ConsumerOptions::for_kind(MediaKind::Audio).enable_rtx);
    let consumable = consumable_vp8(json!([{}]));
    let remote_with_rtx = remote(json!([vp8(3), remote_rtx(4, 3)]));
    let off = consume_with(&consumable, &remote_with_rtx, &ConsumerOptions::default()).unwrap();
    assert_eq!(payload_types(&off.codecs), [101]);
    assert_eq!(off.encodings[0].rtx, None);
    assert!(consume(&consumable, &remote_with_rtx).unwrap().encodings[0].rtx.is_some());
    assert_eq!(consume(&consumable, &remote(json!([vp8(3)]))).unwrap().encodings[0].rtx, None);
}

#[test]
fn rule_26_one_encoding() {
    let remote = remote(json!([vp8(3), remote_rtx(4, 3)]));
    let encoding = |encodings: Value| {
        let mut consumer = consume(&consumable_vp8(encodings), &remote).unwrap();
        assert_eq!(consumer.encodings.len(), 1);
        let encoding = consumer.encodings.remove(0);
        let ssrc = encoding.ssrc.unwrap();
        assert_eq!(encoding.rtx, Some(RtpRtxParameters { ssrc: ssrc + 1 }));
        let mut json = to_json(&encoding);
        json.as_object_mut().unwrap().retain(|name, _| name != "ssrc" && name != "rtx");
        json
    };
    assert_eq!(encoding(json!([{ "dtx": true, "active": true, "codecPayloadType": 96 }])), json!({}));
    let odd = json!([{ "scalabilityMode": "nonsense", "maxBitrate": 5 }]);
    assert_eq!(encoding(odd), json!({ "scalabilityMode": "nonsense", "maxBitrate": 5 }));
    let several = json!([
        { "ssrc": 1, "maxBitrate": 7 }, { "ssrc": 2, "scalabilityMode": "S1T2_KEY", "maxBitrate": 9 },
        { "ssrc": 3, "scalabilityMode": "L1T3" }
    ]);
    assert_eq!(encoding(several), json!({ "scalabilityMode": "L3T2", "maxBitrate": 9 }));
    assert_eq!(encoding(json!([{ "ssrc": 1 }, { "ssrc": 2 }])), json!({ "scalabilityMode": "L2T1" }));
    let odd = json!([{ "ssrc": 1, "scalabilityMode": "x" }, { "ssrc": 2, "scalabilityMode": "L1T3" }]);
    assert_eq!(encoding(odd), json!({ "scalabilityMode": "L2T1" }));
}

#[test]
fn rule_27_pipe_on_a_usual_transport() {
    let consumable = consumable_vp8(json!([
        { "ssrc": 1, "dtx": true, "maxBitrate": 7, "scalabilityMode": "L1T2" }, { "ssrc": 2 }
    ]));
    let options = ConsumerOptions { pipe: true, mid: Some("no".into()), ..ConsumerOptions::for_kind(VIDEO) };
    let consumer = consume_with(&consumable, &remote(json!([vp8(3), remote_rtx(4, 3)])), &options).unwrap();
    assert_eq!(consumer.mid, None);
    assert_eq!(extension_ids(&consumer), [1, 4, 5, 8, 9, 11]);
    let [first, second] = consumer.encodings.as_slice() else { panic!() };
    assert_eq!((first.dtx, first.max_bitrate, first.layers().temporal_layers), (Some(true), Some(7), 2));
    assert_eq!(second.ssrc.unwrap(), first.ssrc.unwrap() + 1);
    assert_eq!(second.rtx.unwrap().ssrc, first.rtx.unwrap().ssrc + 1);
    assert_ne!(first.rtx.unwrap().ssrc, first.ssrc.unwrap() + 1);
    let consumer = consume_with(&consumable, &remote(json!([vp8(3)])), &options).unwrap();
    assert!(consumer.encodings.iter().all(|encoding| encoding.rtx.is_none()));
}

#[test]
fn rule_28_rtcp_and_msid_are_the_producers() {
    let mut consumable = consumable_vp8(json!([{}]));
    consumable.msid = Some("s t".into());
    let consumer = consume(&consumable, &remote(json!([vp8(3)]))).unwrap();
    assert_eq!((consumer.rtcp.cname.as_deref(), consumer.msid.as_deref()), (Some("c"), Some("s t")));
    let pipe = pipe_consumer_rtp_parameters(&consumable, true, random());
    assert_eq!((pipe.rtcp, pipe.msid), (consumer.rtcp, consumer.msid));
}

#[test]
fn rule_29_scalability_mode() {
    let parse = |text: &str| {
        ScalabilityMode::parse(text).map(|mode| (mode.spatial_layers, mode.temporal_layers, mode.ksvc))
    };
    assert_eq!(parse("L3T3_KEY"), Some((3, 3, true)));
    assert_eq!(parse("L3T3_KEY_SHIFT"), Some((3, 3, true)));
    assert_eq!(parse("L3T3h"), Some((3, 3, false)));
    assert_eq!(parse("S2T1"), Some((2, 1, false)));
    assert_eq!(parse("L99T99"), Some((99, 99, false)));
    assert_eq!(parse("L1T100"), Some((1, 10, false)), "only the first two digits belong to it");
    for nonsense in
        ["", "L", "L1", "L1T", "L0T1", "L1T0", "L100T1", "l1t1", "xL1T1", "LT1", "L1T-1", "é1T1", "L1é1"]
    {
        assert_eq!(parse(nonsense), None, "{nonsense}");
        assert_eq!(ScalabilityMode::parse_or_default(Some(nonsense)), ScalabilityMode::default());
    }
    assert_eq!(ScalabilityMode::parse_or_default(None), ScalabilityMode::default());
}

#[test]
fn rule_30_pipe_transports_ask_no_remote() {
    let consumable = vp8_and_h264();
    let pipe = |enable_rtx| pipe_consumer_rtp_parameters(&consumable, enable_rtx, random());
    assert_eq!(payload_types(&pipe(true).codecs), [101, 102, 105, 106]);
    assert_eq!(payload_types(&pipe(false).codecs), [101, 105]);
}

#[test]
fn rule_31_pipe_feedback_and_header_extensions() {
    let consumable = consumable_vp8(json!([{}]));
    let pipe = |enable_rtx| pipe_consumer_rtp_parameters(&consumable, enable_rtx, random());
    assert_eq!(feedback(&pipe(true).codecs[0]), ["nack", "nack pli", "ccm fir"]);
    assert_eq!(feedback(&pipe(false).codecs[0]), ["nack pli", "ccm fir"]);
}

#[test]
fn rule_32_pipe_has_the_dependency_descriptor() {
    let consumable = consumable_vp8(json!([{}]));
    assert_eq!(extension_ids(&pipe_consumer_rtp_parameters(&consumable, true, random())), [7, 8, 9, 11, 12]);
    let audio = video(json!([codec("audio/opus", 96, json!({}))]), json!([{}]));
    let consumable = negotiated(MediaKind::Audio, audio, &golden_router()).consumable_rtp_parameters;
    let pipe = pipe_consumer_rtp_parameters(&consumable, false, random());
    assert_eq!(extension_ids(&pipe), [6, 7, 11, 12]);
    assert_eq!(pipe.header_extensions[1].known(), Some(HeaderExtensionUri::DependencyDescriptor));
}

#[test]
fn rule_33_pipe_encodings() {
    let consumable = consumable_vp8(json!([{ "ssrc": 1, "maxBitrate": 7 }, { "ssrc": 2 }]));
    let pipe = pipe_consumer_rtp_parameters(&consumable, true, random());
    assert_eq!(pipe.mid, None);
    assert_eq!(pipe.encodings.len(), 2);
    assert_eq!(pipe.encodings[0].max_bitrate, Some(7));
    assert_eq!(pipe.encodings[1].rtx.unwrap().ssrc, pipe.encodings[0].rtx.unwrap().ssrc + 1);
    let off = pipe_consumer_rtp_parameters(&consumable, false, random());
    assert!(off.encodings.iter().all(|encoding| encoding.rtx.is_none()));
    let audio = video(json!([codec("audio/opus", 96, json!({}))]), json!([{}]));
    let consumable = negotiated(MediaKind::Audio, audio, &golden_router()).consumable_rtp_parameters;
    let audio = pipe_consumer_rtp_parameters(&consumable, true, random());
    assert!(audio.encodings[0].rtx.is_some(), "although no codec has RTX");
}

#[test]
fn rule_36_mids_count_up() {
    let mut mids = ConsumerMids::default();
    assert_eq!(mids.allocate(None).unwrap(), "0");
    assert_eq!(mids.allocate(Some("1")).unwrap(), "1");
    assert_eq!(mids.allocate(None).unwrap(), "1", "one asked for is not avoided");
    assert_eq!(mids.allocate(None).unwrap(), "2");
    assert_refused(mids.allocate(Some("")), INVALID, "mid");
    assert_refused(mids.allocate(Some(&"m".repeat(256))), INVALID, "mid");
}

fn stream(value: Value) -> Result<SctpStreamParameters, OrtcError> {
    SctpStreamParameters::from_json(&value)
}

#[test]
fn rule_40_stream_parameters() {
    assert!(stream(json!({ "streamId": 1 })).unwrap().ordered);
    for limit in ["maxPacketLifeTime", "maxRetransmits"] {
        assert!(!stream(json!({ "streamId": 1, limit: 5 })).unwrap().ordered);
        assert_refused(stream(json!({ "streamId": 1, limit: 5, "ordered": true })), INVALID, "ordered");
        let zero = json!({ "streamId": 1, limit: 0, "ordered": true });
        assert_eq!(to_json(&stream(zero.clone()).unwrap()), zero);
    }
    let both = json!({ "streamId": 1, "maxPacketLifeTime": 1, "maxRetransmits": 1 });
    assert_refused(stream(both), INVALID, "maxRetransmits");
    assert!(stream(json!({ "streamId": 1, "maxPacketLifeTime": 0, "maxRetransmits": 1 })).is_ok());
    for bad in
        [json!({}), json!({ "streamId": "1" }), json!({ "streamId": 65535 }), json!({ "streamId": -1 })]
    {
        assert_refused(stream(bad), INVALID, "streamId");
    }
}

#[test]
fn rule_41_data_consumers() {
    let producer = stream(json!({ "streamId": 9, "maxRetransmits": 3 })).unwrap();
    let with = |ordered, max_packet_life_time, max_retransmits| {
        let wish = DataConsumerReliability { ordered, max_packet_life_time, max_retransmits };
        to_json(&data_consumer_stream_parameters(&producer, &wish, 2))
    };
    assert_eq!(with(None, None, None), json!({ "streamId": 2, "ordered": false, "maxRetransmits": 3 }));
    assert_eq!(with(Some(true), Some(4), None), json!({ "streamId": 2, "ordered": true }));
    assert_eq!(
        with(None, Some(4), None),
        json!({ "streamId": 2, "ordered": false, "maxPacketLifeTime": 4, "maxRetransmits": 3 })
    );
    assert_eq!(
        with(Some(false), None, Some(8)),
        json!({ "streamId": 2, "ordered": false, "maxRetransmits": 8 })
    );
    let mut ids = StreamIds::default();
    assert_eq!(ids.allocate(4, |_| false), Ok(0));
    assert_eq!(ids.allocate(4, |id| id == 1), Ok(2));
    assert_eq!(ids.allocate(4, |_| false), Ok(3));
    assert_eq!(ids.allocate(4, |id| id == 0), Ok(1), "round again");
    assert_refused(ids.allocate(4, |_| true), OrtcErrorKind::Exhausted, "stream id");
    assert_refused(ids.allocate(0, |_| false), OrtcErrorKind::Exhausted, "stream id");
    let mut ids = StreamIds::default();
    assert_eq!(ids.allocate(u16::MAX, |id| id < 65534), Ok(65534));
    assert_eq!(ids.allocate(u16::MAX, |_| false), Ok(0));
}

#[test]
fn rule_46_consumer_type_and_layers() {
    assert_eq!(ConsumerType::from(ProducerType::Svc), ConsumerType::Svc);
    let names = [ConsumerType::Simple, ConsumerType::Simulcast, ConsumerType::Svc, ConsumerType::Pipe];
    assert_eq!(to_json(&names), json!(["simple", "simulcast", "svc", "pipe"]));
    let mode = ScalabilityMode::parse("L3T2").unwrap();
    assert_eq!(mode.clamp_layers(9, Some(9)), (2, 1));
    assert_eq!(mode.clamp_layers(1, Some(0)), (1, 0));
    assert_eq!(mode.clamp_layers(0, None), (0, 1));
}

#[test]
fn remote_ids_are_used_when_asked_for() {
    let consumable = vp8_and_h264();
    let codecs = json!([
        capability("video/VP9", 40, json!({})),
        remote_rtx(41, 40),
        h264(50),
        remote_rtx(51, 50),
        vp8(60),
        remote_rtx(61, 60)
    ]);
    let extensions = json!([
        { "kind": "audio", "uri": HeaderExtensionUri::Mid.as_str(), "preferredId": 14 },
        { "kind": "video", "uri": HeaderExtensionUri::Mid.as_str(), "preferredId": 3 },
        { "kind": "audio", "uri": HeaderExtensionUri::TransportCc.as_str(), "preferredId": 2 },
        { "kind": "video", "uri": HeaderExtensionUri::AbsSendTime.as_str(), "preferredId": 3 },
        { "kind": "video", "uri": "urn:theirs", "preferredId": 9 }
    ]);
    let remote = capabilities(json!({ "codecs": codecs, "headerExtensions": extensions }));
    let options =
        ConsumerOptions { use_remote_ids: true, mid: Some("x".into()), ..ConsumerOptions::for_kind(VIDEO) };
    let consumer = consume_with(&consumable, &remote, &options).unwrap();
    assert_eq!(
        payload_types(&consumer.codecs),
        [60, 61, 50, 51],
        "the consumable's order, the remote's numbers"
    );
    assert_eq!(consumer.codecs[1].parameters.apt(), Some(60));
    assert_eq!(consumer.codecs[3].parameters.apt(), Some(50));
    assert_eq!(consumer.mid.as_deref(), Some("x"));
    assert_eq!(consumer.header_extension_id(HeaderExtensionUri::Mid), Some(3), "the entry of the same kind");
    assert_eq!(consumer.header_extension_id(HeaderExtensionUri::TransportCc), Some(2));
    assert_eq!(extension_ids(&consumer), [3, 2], "an id is not given to two");
    assert_eq!(feedback(&consumer.codecs[0]), ["transport-cc", "nack", "nack pli"]);
    let off = ConsumerOptions { enable_rtx: false, ..options };
    assert_eq!(payload_types(&consume_with(&consumable, &remote, &off).unwrap().codecs), [60, 50]);
}

#[test]
fn remote_ids_need_the_remotes_rtx_for_that_codec() {
    let options = ConsumerOptions { use_remote_ids: true, ..ConsumerOptions::for_kind(VIDEO) };
    let consumable = vp8_and_h264();
    let consumer =
        consume_with(&consumable, &remote(json!([vp8(60), remote_rtx(51, 50)])), &options).unwrap();
    assert_eq!(payload_types(&consumer.codecs), [60]);
    assert_eq!(consumer.encodings[0].rtx, None);
    let mut unnumbered = vp8(60);
    unnumbered.as_object_mut().unwrap().remove("preferredPayloadType");
    let consumer = consume_with(&consumable, &remote(json!([unnumbered, vp8(62)])), &options).unwrap();
    assert_eq!(payload_types(&consumer.codecs), [62]);
    assert_refused(
        consume_with(&consumable, &remote(json!([unnumbered])), &options),
        UNSUPPORTED,
        "no compatible",
    );
}

#[test]
fn spatial_layers_of_av1_come_with_the_dependency_descriptor() {
    let av1 = |mode: &str| {
        let encodings = json!([{ "scalabilityMode": mode }]);
        let parameters = video(json!([codec("video/AV1", 96, json!({}))]), encodings);
        negotiated(VIDEO, parameters, &golden_router()).consumable_rtp_parameters
    };
    let device = RtpCapabilities::from_json(&golden("device")["recvRtpCapabilities"]).unwrap();
    let descriptor = |consumable: &RtpParameters, remote: &RtpCapabilities, use_remote_ids| {
        let options = ConsumerOptions { use_remote_ids, ..ConsumerOptions::for_kind(VIDEO) };
        let consumer = consume_with(consumable, remote, &options).unwrap();
        consumer.header_extension_id(HeaderExtensionUri::DependencyDescriptor)
    };
    assert_eq!(descriptor(&av1("L3T3_KEY"), &device, false), Some(7), "also to who does not list it");
    assert_eq!(descriptor(&av1("L1T3"), &device, false), None, "as in mediasoup");
    assert_eq!(descriptor(&av1("L3T3_KEY"), &device, true), None, "an answer has only what was offered");

    let listed = |uri: &str, id: u8| {
        let mut remote = device.clone();
        let first = remote.header_extensions[0].clone();
        remote.header_extensions.push(RtpHeaderExtension { uri: uri.to_owned(), preferred_id: id, ..first });
        remote
    };
    let uri = HeaderExtensionUri::DependencyDescriptor.as_str();
    assert_eq!(descriptor(&av1("L3T3_KEY"), &listed(uri, 13), true), Some(13));
    assert_eq!(descriptor(&av1("L3T3_KEY"), &listed("urn:other", 7), false), None, "its id is taken");
}
