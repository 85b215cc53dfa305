//! Negotiation between a router, a producer and a consumer, each made up by the fuzzer: what is accepted lies within what both sides
//! can do, and comes out the same each time.
use sansfu::ortc::{
    ConsumerOptions, HeaderExtensionUri, MediaKind, NegotiatedProducer, OrtcErrorKind, ParameterValue,
    RtpCapabilities, RtpCodecCapability, RtpCodecParameters, RtpParameters, can_consume,
    consumer_rtp_parameters, generate_router_rtp_capabilities, media_codecs_from_json, negotiate_producer,
    pipe_consumer_rtp_parameters,
};
use serde_json::{Value, json};

use crate::choices::Choices;

/// Three dictionaries, built in a realistic way or given as three lines of JSON.
pub fn negotiation(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let [media_codecs, producer, remote] = if input.u8() & 1 == 0 {
        let media_codecs = media_codecs(&mut input);
        let Ok(router) = router(&media_codecs) else { return };
        let router = serde_json::to_value(router).unwrap();
        let mut all = [media_codecs, producer(&mut input, &router), remote(&mut input, router)];
        while input.percent(30) {
            let which = input.range(1, 3) as usize;
            spoil(&mut input, &mut all[which]);
        }
        all
    } else {
        let mut lines = input.rest().split(|byte| *byte == b'\n');
        [(); 3].map(|()| serde_json::from_slice(lines.next().unwrap_or_default()).unwrap_or_default())
    };
    let Ok(router) = router(&media_codecs) else { return };
    let kind = if producer["kind"] == "audio" { MediaKind::Audio } else { MediaKind::Video };
    let Ok(parameters) = RtpParameters::from_json(&producer["rtpParameters"]) else { return };
    let Ok(remote) = RtpCapabilities::from_json(&remote) else { return };
    negotiate(kind, &parameters, &router, &remote);
}

fn router(media_codecs: &Value) -> Result<RtpCapabilities, ()> {
    let codecs = media_codecs_from_json(media_codecs).map_err(drop)?;
    generate_router_rtp_capabilities(&codecs).map_err(|error| assert!(!error.message.is_empty()))
}

fn negotiate(
    kind: MediaKind,
    parameters: &RtpParameters,
    router: &RtpCapabilities,
    remote: &RtpCapabilities,
) {
    let result = || negotiate_producer(kind, parameters.clone(), router, random());
    assert_eq!(result(), result());
    let producer = match result() {
        Ok(producer) => producer,
        Err(error) => return assert!(!error.message.is_empty()),
    };
    check_producer(&producer, parameters, router);
    let consumable = &producer.consumable_rtp_parameters;
    for how in 0..8 {
        let options = ConsumerOptions {
            enable_rtx: how & 1 != 0,
            pipe: how & 2 != 0,
            use_remote_ids: how & 4 != 0,
            mid: Some("0".to_owned()),
            ssrc: None,
        };
        let consume = || consumer_rtp_parameters(consumable, remote, &options, random());
        assert_eq!(consume(), consume());
        match consume() {
            Ok(consumer) => check_consumer(&consumer, consumable, remote, &options),
            Err(error) => {
                assert_eq!(error.kind, OrtcErrorKind::Unsupported);
                assert!(options.use_remote_ids || !can_consume(consumable, remote), "{error}");
            }
        }
    }
    let pipe = || pipe_consumer_rtp_parameters(consumable, true, random());
    assert_eq!(pipe(), pipe());
    assert_eq!(pipe().encodings.len(), consumable.encodings.len());
}

/// Every codec of the producer is one of the router's, and what is consumable has the router's numbers.
fn check_producer(producer: &NegotiatedProducer, asked: &RtpParameters, router: &RtpCapabilities) {
    let consumable = &producer.consumable_rtp_parameters;
    for codec in &asked.codecs {
        let mapped = producer.mapping.mapped_payload_type(codec.payload_type);
        let mapped =
            mapped.and_then(|mapped| router.codec_with_payload_type(mapped)).expect("every codec is mapped");
        assert!(is_same(mapped, codec), "{mapped:?} for {codec:?}");
    }
    assert_eq!(producer.mapping.encodings.len(), producer.rtp_parameters.encodings.len());
    assert_eq!(consumable.encodings.len(), producer.rtp_parameters.encodings.len());
    assert!(consumable.media_codec().is_some());
    for codec in &consumable.codecs {
        let of_router = router.codec_with_payload_type(codec.payload_type).expect("the router's number");
        assert!(is_same(of_router, codec));
        assert!(codec.rtcp_feedback.iter().all(|feedback| of_router.rtcp_feedback.contains(feedback)));
    }
    for extension in &consumable.header_extensions {
        let same = |own: &&sansfu::ortc::RtpHeaderExtension| own.uri == extension.uri;
        assert_eq!(
            router.header_extensions.iter().find(same).map(|own| own.preferred_id),
            Some(extension.id)
        );
    }
}

fn check_consumer(
    consumer: &RtpParameters,
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    options: &ConsumerOptions,
) {
    assert!(consumer.codecs.first().is_some_and(|codec| !codec.is_rtx()));
    for codec in &consumer.codecs {
        let mut of_remote = remote.codecs.iter().filter(|other| is_same(other, codec));
        assert!(of_remote.clone().next().is_some(), "{codec:?} is none of the remote's");
        assert!(consumable.codecs.iter().any(|other| other.mime_type == codec.mime_type));
        for feedback in &codec.rtcp_feedback {
            assert!(of_remote.clone().any(|other| other.rtcp_feedback.contains(feedback)));
        }
        if options.use_remote_ids {
            assert!(of_remote.any(|other| other.preferred_payload_type == Some(codec.payload_type)));
        } else {
            assert!(consumable.codec_with_payload_type(codec.payload_type).is_some());
        }
        assert!(!codec.is_rtx() || options.enable_rtx);
        let apt = codec.is_rtx().then(|| codec.parameters.apt().expect("an RTX codec has one"));
        let media = apt.map(|apt| consumer.codec_with_payload_type(apt).expect("what it repeats is there"));
        assert!(media.is_none_or(|media| !media.is_rtx()));
    }
    for extension in &consumer.header_extensions {
        assert!(consumable.header_extensions.iter().any(|own| own.uri == extension.uri));
        let mut same = remote.header_extensions.iter().filter(|own| own.uri == extension.uri);
        assert!(same.any(|own| own.preferred_id == extension.id));
    }
    let count = if options.pipe { consumable.encodings.len() } else { 1 };
    assert_eq!(consumer.encodings.len(), count);
    let ssrcs: Vec<_> = consumer.encodings.iter().map(|encoding| encoding.ssrc).collect();
    assert!(ssrcs.iter().all(Option::is_some));
    assert_eq!(consumer.mid.is_some(), !options.pipe);
}

/// The part of "the same codec" that nobody can read in two ways.
fn is_same(capability: &RtpCodecCapability, codec: &RtpCodecParameters) -> bool {
    let zero = ParameterValue::from(0);
    let equal = |name: &str| {
        capability.parameters.get(name).unwrap_or(&zero) == codec.parameters.get(name).unwrap_or(&zero)
    };
    capability.mime_type == codec.mime_type
        && capability.clock_rate == codec.clock_rate
        && capability.channels == codec.channels
        && match codec.mime_type.as_str() {
            "video/H264" => equal("packetization-mode"),
            "video/VP9" => equal("profile-id"),
            _ => true,
        }
}

fn random() -> impl FnMut() -> u32 {
    let mut state = 7_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    }
}

fn media_codecs(input: &mut Choices<'_>) -> Value {
    (0..input.range(1, 7)).map(|_| codec(input, "preferredPayloadType")).collect()
}

fn codec(input: &mut Choices<'_>, payload_type: &str) -> Value {
    let video = |name: &str, parameters: Value| json!({ "kind": "video", "mimeType": name, "clockRate": 90000, "parameters": parameters });
    let audio = |name: &str, clock_rate: u32, channels: u8| json!({ "kind": "audio", "mimeType": name, "clockRate": clock_rate, "channels": channels });
    let profiles = ["42e01f", "42c034", "4d0032", "640c1f", "42f00b", "junk", "42001f"];
    let mut codec = match input.range(0, 14) {
        0 | 1 => video("video/VP8", json!({})),
        2 => video("video/VP9", json!({ "profile-id": input.u8() % 3 })),
        3 => video("video/vp9", json!({ "profile-id": "2" })),
        4..=6 => video(
            "video/H264",
            json!({ "packetization-mode": input.u8() & 1, "profile-level-id": input.pick(&profiles),
            "level-asymmetry-allowed": input.u8() & 1 }),
        ),
        7 => video("video/AV1", json!({})),
        8 | 9 => audio("audio/opus", 48_000, 2),
        10 => audio("audio/PCMU", 8_000, 1),
        11 => json!({ "kind": "audio", "mimeType": "audio/multiopus", "clockRate": 48000, "channels": 4,
            "parameters": { "channel_mapping": "0,1,2,3", "num_streams": 2, "coupled_streams": 2 } }),
        12 => video("video/rtx", json!({ "apt": input.u8() })),
        _ => audio("audio/foo", u32::from(input.u16()), input.u8()),
    };
    if input.percent(20) {
        codec[payload_type] = json!(input.u8() & 127);
    }
    codec
}

/// Some of the router's codecs under other payload types, with RTX that fits or not.
fn producer(input: &mut Choices<'_>, router: &Value) -> Value {
    let all = router["codecs"].as_array().unwrap();
    let mut codecs = Vec::new();
    for number in 0..input.range(1, 5) as u8 {
        let mut codec = if input.percent(10) { codec(input, "payloadType") } else { input.pick(all) };
        let payload_type = if input.percent(10) { input.u8() & 127 } else { 30 + 2 * number };
        codec["payloadType"] = json!(payload_type);
        if codec["parameters"]["apt"].is_number() {
            codec["parameters"]["apt"] = json!(payload_type.wrapping_sub(2));
        }
        codecs.push(codec);
        if input.percent(50) {
            let apt = if input.percent(90) { payload_type } else { input.u8() };
            codecs.push(json!({ "mimeType": "video/rtx", "payloadType": payload_type + 1, "clockRate": 90000, "parameters": { "apt": apt } }));
        }
    }
    let modes = ["L1T3", "L3T3_KEY", "L1T1", "S2T1", "x", ""];
    let encodings: Value = (0..input.range(0, 4))
        .map(|number| match input.range(0, 4) {
            0 => json!({ "rid": format!("r{number}"), "scalabilityMode": input.pick(&modes) }),
            1 => json!({ "ssrc": 1_000 + number, "rtx": { "ssrc": 2_000 + number }, "maxBitrate": input.u32() }),
            2 => json!({ "ssrc": input.u8(), "rid": "same", "dtx": true, "codecPayloadType": input.u8() }),
            _ => json!({ "ssrc": 1_000 + number, "scalabilityMode": input.pick(&modes) }),
        })
        .collect();
    let extensions: Value = (1..input.range(1, 14))
        .map(|id| {
            let uri = input.pick(&HeaderExtensionUri::ALL).as_str();
            json!({ "uri": uri, "id": if input.percent(90) { id } else { u32::from(input.u8()) } })
        })
        .collect();
    let mid = Some("mid").filter(|_| input.percent(60));
    let kind = codecs[0]["kind"].clone();
    json!({ "kind": kind, "rtpParameters": { "mid": mid, "codecs": codecs, "headerExtensions": extensions,
        "encodings": encodings, "rtcp": { "cname": "c" } } })
}

/// The router's capabilities, of which some are missing and some have other numbers.
fn remote(input: &mut Choices<'_>, router: Value) -> Value {
    let shift = u64::from(input.u8() % 3) * 60;
    let mut remote = router;
    let codecs = remote["codecs"].as_array_mut().unwrap();
    codecs.retain(|_| !input.percent(25));
    for codec in codecs {
        for (at, name) in [("preferredPayloadType", ""), ("parameters", "apt")] {
            let number = if name.is_empty() { &mut codec[at] } else { &mut codec[at][name] };
            match number.as_u64() {
                Some(old) => *number = json!(old.saturating_sub(shift)),
                None if !name.is_empty() => drop(codec[at].as_object_mut().unwrap().remove(name)),
                None => {}
            }
        }
        codec["rtcpFeedback"].as_array_mut().unwrap().retain(|_| !input.percent(25));
    }
    let extensions = remote["headerExtensions"].as_array_mut().unwrap();
    extensions.retain(|_| !input.percent(25));
    for extension in extensions {
        if input.percent(20) {
            extension["preferredId"] = json!(input.u8());
        }
    }
    remote
}

/// Puts something else at a place somewhere in a dictionary.
fn spoil(input: &mut Choices<'_>, value: &mut Value) {
    let others =
        [json!(null), json!(-1), json!(1.5), json!("x"), json!([]), json!({}), json!(true), json!(300)];
    let other = input.pick(&others);
    let mut pointer = String::new();
    let mut place = &*value;
    while !input.percent(20) {
        place = match place {
            Value::Array(items) if !items.is_empty() => {
                let index = input.range(0, items.len() as u32) as usize;
                pointer += &format!("/{index}");
                &items[index]
            }
            Value::Object(members) if !members.is_empty() => {
                let index = input.range(0, members.len() as u32) as usize;
                let (name, member) = members.iter().nth(index).unwrap();
                pointer += &format!("/{name}");
                member
            }
            _ => break,
        };
    }
    *value.pointer_mut(&pointer).unwrap() = other;
}
