use super::*;

/// A world with a peer that has joined, another one that has too, and one more that has not.
struct Scene {
    world: World,
    a: Client,
    b: Client,
    unjoined: Client,
    producer: String,
    consumer: String,
}

fn scene() -> Scene {
    let mut world = World::new();
    let a = world.join("r", "a");
    let producer = world.produce(&a, &recorded!("video-vp8-single"));
    let b = world.join("r", "b");
    let offer = world.take(b.session).remove(0);
    world.reply(b.session, &offer, true);
    let consumer = offer["data"]["id"].as_str().unwrap().to_owned();
    let unjoined = world.arrive("r", "c");
    for client in [&a, &b, &unjoined] {
        world.take(client.session);
    }
    Scene { world, a, b, unjoined, producer, consumer }
}

impl Scene {
    /// Sends a request that must be refused so, and must change nothing.
    fn refused(&mut self, session: SessionId, method: &str, data: Value, code: u64, names: &str) {
        let before = (self.world.counts(), self.world.server.sfu().stats());
        let context = format!("{method} {data}");
        match self.world.request(session, method, data) {
            Err((given, reason)) => {
                assert_eq!(given, code, "{context}: {reason}");
                assert!(reason.contains(names), "{context}: {reason}");
            }
            Ok(data) => panic!("{context} was answered {data}"),
        }
        assert_eq!((self.world.counts(), self.world.server.sfu().stats()), before, "{context}");
        for client in [self.a.session, self.b.session, self.unjoined.session] {
            assert_eq!(self.world.take(client), Vec::<Value>::new(), "{context}");
        }
    }
}

/// A session, a method, good data, and each field: its name, its type, and whether it must be there.
type Row = (SessionId, &'static str, Value, Vec<(&'static str, &'static str, bool)>);

/// Every value that is not of a field's type, by that type.
fn wrong(of: &str) -> Vec<Value> {
    let all = [
        ("string", json!("x")),
        ("number", json!(1)),
        ("number", json!(-1.5)),
        ("boolean", json!(true)),
        ("array", json!([])),
        ("array", json!([{ "id": 1 }])),
        ("object", json!({})),
    ];
    all.into_iter().filter(|(kind, _)| *kind != of).map(|(_, value)| value).collect()
}

#[test]
fn each_field_is_needed_and_of_its_type() {
    let mut scene = scene();
    let vp8 = recorded!("audio-opus");
    let (a, b) = (scene.a.clone(), scene.b.clone());
    let produce = json!({
        "transportId": a.send, "kind": "audio", "rtpParameters": vp8["produce"]["rtpParameters"], "appData": {},
    });
    let connect = json!({ "transportId": a.send, "dtlsParameters": vp8["connect"]["dtlsParameters"] });
    let (producer, consumer) = (scene.producer.clone(), scene.consumer.clone());
    let of = |name: &str, id: &str| json!({ name: id });
    let table: Vec<Row> = vec![
        (
            a.session,
            "createWebRtcTransport",
            json!({ "forceTcp": false, "producing": true, "consuming": false, "sctpCapabilities": {} }),
            vec![
                ("forceTcp", "boolean", false),
                ("producing", "boolean", true),
                ("consuming", "boolean", false),
                ("sctpCapabilities", "object", false),
            ],
        ),
        (
            a.session,
            "connectWebRtcTransport",
            connect,
            vec![("transportId", "string", true), ("dtlsParameters", "object", true)],
        ),
        (
            scene.unjoined.session,
            "join",
            join_data("c", true),
            vec![
                ("displayName", "string", true),
                ("device", "object", true),
                ("rtpCapabilities", "object", false),
                ("sctpCapabilities", "object", false),
            ],
        ),
        (
            a.session,
            "produce",
            produce,
            vec![
                ("transportId", "string", true),
                ("kind", "string", true),
                ("rtpParameters", "object", true),
                ("appData", "object", false),
            ],
        ),
        (a.session, "closeProducer", of("producerId", &producer), vec![("producerId", "string", true)]),
        (a.session, "pauseProducer", of("producerId", &producer), vec![("producerId", "string", true)]),
        (a.session, "resumeProducer", of("producerId", &producer), vec![("producerId", "string", true)]),
        (b.session, "pauseConsumer", of("consumerId", &consumer), vec![("consumerId", "string", true)]),
        (b.session, "resumeConsumer", of("consumerId", &consumer), vec![("consumerId", "string", true)]),
        (
            b.session,
            "setConsumerPreferredLayers",
            json!({ "consumerId": consumer, "spatialLayer": 0, "temporalLayer": 0 }),
            vec![
                ("consumerId", "string", true),
                ("spatialLayer", "number", true),
                ("temporalLayer", "number", false),
            ],
        ),
        (
            b.session,
            "setConsumerPriority",
            json!({ "consumerId": consumer, "priority": 2 }),
            vec![("consumerId", "string", true), ("priority", "number", true)],
        ),
        (
            b.session,
            "requestConsumerKeyFrame",
            of("consumerId", &consumer),
            vec![("consumerId", "string", true)],
        ),
        (
            a.session,
            "changeDisplayName",
            json!({ "displayName": "x" }),
            vec![("displayName", "string", true)],
        ),
        (a.session, "restartIce", of("transportId", &a.send), vec![("transportId", "string", true)]),
        (a.session, "getTransportStats", of("transportId", &a.send), vec![("transportId", "string", true)]),
        (a.session, "getProducerStats", of("producerId", &producer), vec![("producerId", "string", true)]),
        (b.session, "getConsumerStats", of("consumerId", &consumer), vec![("consumerId", "string", true)]),
    ];
    for (session, method, good, fields) in table {
        for (field, kind, needed) in fields {
            for value in wrong(kind) {
                let mut data = good.clone();
                data[field] = value;
                scene.refused(session, method, data, 400, field);
            }
            if needed {
                let mut data = good.clone();
                data.as_object_mut().unwrap().remove(field);
                scene.refused(session, method, data.clone(), 400, field);
                data[field] = Value::Null;
                scene.refused(session, method, data, 400, field);
            }
        }
    }
}

#[test]
fn inner_fields_are_checked_and_named() {
    let mut scene = scene();
    let (a, unjoined) = (scene.a.clone(), scene.unjoined.clone());
    for (field, value) in
        [("flag", json!(1)), ("name", json!(null)), ("version", json!([])), ("flag", json!("x".repeat(257)))]
    {
        let mut data = join_data("c", true);
        data["device"][field] = value;
        scene.refused(unjoined.session, "join", data, 400, &format!("device: {field}"));
    }
    let mut data = join_data("c", true);
    data["rtpCapabilities"]["codecs"][0]["clockRate"] = json!("48000");
    scene.refused(unjoined.session, "join", data, 400, "codecs[0].clockRate");
    let long = "x".repeat(257);
    scene.refused(a.session, "changeDisplayName", json!({ "displayName": long }), 400, "displayName");

    let recorded = recorded!("audio-opus");
    let good = json!({
        "transportId": a.send, "kind": "audio", "rtpParameters": recorded["produce"]["rtpParameters"],
    });
    let mut bad_codec = good.clone();
    bad_codec["rtpParameters"]["codecs"][0]["payloadType"] = json!(300);
    scene.refused(a.session, "produce", bad_codec, 400, "codecs[0].payloadType");
    let mut unsupported = good.clone();
    unsupported["rtpParameters"]["codecs"][0]["mimeType"] = json!("audio/G722");
    scene.refused(a.session, "produce", unsupported, 422, "");
    let mut other_kind = good.clone();
    other_kind["kind"] = json!("depth");
    scene.refused(a.session, "produce", other_kind, 400, "kind");
    let mut big = good;
    big["appData"] = json!({ "x": "y".repeat(16 << 10) });
    scene.refused(a.session, "produce", big, 400, "appData");

    let (b, consumer) = (scene.b.session, scene.consumer.clone());
    for priority in [json!(0), json!(256), json!(1.5), json!("1")] {
        scene.refused(
            b,
            "setConsumerPriority",
            json!({ "consumerId": consumer, "priority": priority }),
            400,
            "priority",
        );
    }
    let mut connect =
        json!({ "transportId": a.send, "dtlsParameters": recorded["connect"]["dtlsParameters"] });
    connect["dtlsParameters"]["fingerprints"][0]["value"] = json!("AB:CD");
    scene.refused(a.session, "connectWebRtcTransport", connect, 400, "fingerprints[0].value");
}

#[test]
fn nobody_touches_what_is_not_theirs() {
    let mut scene = scene();
    let (a, b) = (scene.a.clone(), scene.b.clone());
    let (producer, consumer) = (scene.producer.clone(), scene.consumer.clone());
    for method in ["closeProducer", "pauseProducer", "resumeProducer", "getProducerStats"] {
        scene.refused(b.session, method, json!({ "producerId": producer }), 403, "somebody else");
        for id in ["", "nothing", &producer[1..], &producer.replace('0', "f")] {
            scene.refused(a.session, method, json!({ "producerId": id }), 404, "producer not found");
        }
    }
    let layers = json!({ "consumerId": consumer, "spatialLayer": 0, "priority": 1 });
    for method in [
        "pauseConsumer",
        "resumeConsumer",
        "setConsumerPreferredLayers",
        "setConsumerPriority",
        "requestConsumerKeyFrame",
        "getConsumerStats",
    ] {
        scene.refused(a.session, method, layers.clone(), 403, "somebody else");
        let mut data = layers.clone();
        data["consumerId"] = json!("ffffffffffffffffffffffffffffffff");
        scene.refused(b.session, method, data, 404, "consumer not found");
    }
    for method in ["restartIce", "getTransportStats"] {
        scene.refused(b.session, method, json!({ "transportId": a.send }), 403, "transport");
        scene.refused(b.session, method, json!({ "transportId": "é" }), 404, "transport");
    }
    let parameters = recorded!("audio-opus")["produce"]["rtpParameters"].clone();
    for (transport, names) in [(a.receive.clone(), "producing"), (b.send.clone(), "session")] {
        let data = json!({ "transportId": transport, "kind": "audio", "rtpParameters": parameters });
        scene.refused(a.session, "produce", data, 403, names);
    }
}

#[test]
fn some_things_need_a_join_and_one_join_is_enough() {
    let mut scene = scene();
    let (a, unjoined) = (scene.a.clone(), scene.unjoined.clone());
    let parameters = recorded!("audio-opus")["produce"]["rtpParameters"].clone();
    let produce = json!({ "transportId": unjoined.send, "kind": "audio", "rtpParameters": parameters });
    scene.refused(unjoined.session, "produce", produce, 409, "joined");
    scene.refused(unjoined.session, "changeDisplayName", json!({ "displayName": "x" }), 409, "joined");
    let producer = json!({ "producerId": scene.producer });
    scene.refused(unjoined.session, "pauseProducer", producer, 409, "joined");
    let consumer = json!({ "consumerId": scene.consumer });
    scene.refused(unjoined.session, "pauseConsumer", consumer, 409, "joined");
    scene.refused(a.session, "join", join_data("a", true), 409, "joined already");
}

#[test]
fn what_is_not_there_yet_says_so() {
    let mut scene = scene();
    let a = scene.a.session;
    for method in [
        "produceData",
        "getDataProducerStats",
        "getDataConsumerStats",
        "applyNetworkThrottle",
        "resetNetworkThrottle",
    ] {
        scene.refused(a, method, json!({}), 501, "not supported yet");
    }
    let tcp = json!({ "forceTcp": true, "producing": true });
    scene.refused(a, "createWebRtcTransport", tcp, 501, "forceTcp");
    scene.refused(a, "createWebRtcTransport", json!({}), 400, "producing or consuming");
    for method in ["", "Join", "closeWebRtcTransport", "é\u{0}"] {
        scene.refused(a, method, json!({}), 404, &format!("unknown method '{method}'"));
    }
    let long = "x".repeat(10_000);
    let Err((404, reason)) = scene.world.request(a, &long, json!({})) else { panic!() };
    assert!(reason.len() < 100);
}
