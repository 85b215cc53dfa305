use super::*;
use crate::room::{VERSION, close_code};

#[test]
fn the_first_word_is_the_version() {
    let mut world = World::new();
    let session = world.open("r", "a");
    assert_eq!(world.heard(session), [("mediasoup-version".to_owned(), json!({ "version": VERSION }))]);
    assert_eq!(world.counts(), [1, 1, 1, 0, 0, 0]);
}

#[test]
fn capabilities_are_those_of_the_router_and_of_http() {
    let mut world = World::new();
    let session = world.open("r", "a");
    let capabilities = world.request(session, "getRouterRtpCapabilities", json!({})).unwrap();
    let opus = &capabilities["codecs"][0];
    assert_eq!(
        (opus["mimeType"].as_str(), opus["preferredPayloadType"].as_u64()),
        (Some("audio/opus"), Some(100))
    );
    for room in ["r", "nowhere"] {
        let response = world.http("GET", &format!("/rooms/{room}"), (None, None), b"");
        assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
        assert_eq!(serde_json::from_str::<Value>(&response.body).unwrap(), capabilities);
    }
    assert_eq!(world.counts()[0], 1, "asking makes no room");
}

#[test]
fn two_clients_produce_and_consume() {
    let mut world = World::new();
    let a = world.join("r", "a");
    assert_eq!(a.joined, json!({ "peers": [] }));
    let audio = world.produce(&a, &recorded!("audio-opus"));
    let video = world.produce(&a, &recorded!("video-vp8-single"));

    let b = world.join("r", "b");
    let device = json!({ "flag": "chrome", "name": "Chrome", "version": "156" });
    assert_eq!(b.joined, json!({ "peers": [{ "id": "a", "displayName": "A", "device": device }] }));
    let new_peer = json!({ "id": "b", "displayName": "B", "device": device });
    assert_eq!(world.heard(a.session), [("newPeer".to_owned(), new_peer)]);

    let offers = world.take(b.session);
    assert_eq!(offers.len(), 2, "{offers:?}");
    for (offer, (producer, kind)) in offers.iter().zip([(&audio, "audio"), (&video, "video")]) {
        assert_eq!((&offer["request"], &offer["method"]), (&json!(true), &json!("newConsumer")));
        let data = &offer["data"];
        assert_eq!(data["peerId"], "a");
        assert_eq!(data["producerId"], **producer);
        assert_eq!((data["kind"].as_str(), data["type"].as_str()), (Some(kind), Some("simple")));
        assert_eq!(
            (&data["appData"], &data["producerPaused"]),
            (&json!({ "source": "test" }), &json!(false))
        );
        assert!(data["rtpParameters"]["encodings"][0]["ssrc"].is_u64());
        assert!(data["rtpParameters"]["rtcp"]["cname"].is_string());
    }
    assert_eq!(offers[0]["data"]["rtpParameters"]["mid"], "0");
    assert_eq!(offers[1]["data"]["rtpParameters"]["mid"], "1");

    // Consumers are paused until the client has taken them.
    let id = offers[1]["data"]["id"].as_str().unwrap().to_owned();
    let consumer = |world: &World| world.server.sfu().consumer(id.parse().unwrap());
    assert!(consumer(&world).unwrap().paused);
    world.reply(b.session, &offers[1], true);
    assert!(!consumer(&world).unwrap().paused);
    let heard = world.heard(b.session);
    assert_eq!(methods(&heard), ["consumerScore"]);
    assert_eq!(heard[0].1["consumerId"], id);
    assert!(heard[0].1["score"]["producerScores"].is_array());
    assert_eq!(world.counts(), [1, 2, 2, 4, 2, 2]);

    // What comes later is offered at once.
    world.reply(b.session, &offers[0], true);
    world.take(b.session);
    let pcmu = world.produce(&b, &recorded!("audio-pcmu"));
    let offer = world.take(a.session).remove(0);
    assert_eq!(
        (offer["data"]["peerId"].as_str(), offer["data"]["producerId"].as_str()),
        (Some("b"), Some(&*pcmu))
    );
}

#[test]
fn pause_resume_and_close_of_a_producer_reach_the_consumer() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.take(a.session);
    let producer = world.produce(&a, &recorded!("video-vp8-single"));
    let offer = world.take(b.session).remove(0);
    let id = offer["data"]["id"].clone();
    world.reply(b.session, &offer, true);
    world.take(b.session);
    for (method, told) in [
        ("pauseProducer", Some("consumerPaused")),
        ("pauseProducer", None),
        ("resumeProducer", Some("consumerResumed")),
        ("resumeProducer", None),
        ("closeProducer", Some("consumerClosed")),
    ] {
        assert_eq!(world.request(a.session, method, json!({ "producerId": producer })), Ok(json!({})));
        let expected: Vec<_> =
            told.map(|told| (told.to_owned(), json!({ "consumerId": id }))).into_iter().collect();
        assert_eq!(world.heard(b.session), expected, "{method}");
    }
    let gone = world.request(a.session, "pauseProducer", json!({ "producerId": producer }));
    assert_eq!(gone, Err((404, "producer not found".to_owned())));
    assert_eq!(world.counts(), [1, 2, 2, 4, 0, 0]);
}

#[test]
fn consumers_can_be_controlled_and_asked() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.take(a.session);
    let producer = world.produce(&a, &recorded!("video-vp8-single"));
    let offer = world.take(b.session).remove(0);
    let id = offer["data"]["id"].as_str().unwrap().to_owned();
    let consumer = |world: &World| world.server.sfu().consumer(id.parse().unwrap()).unwrap();
    // Paused before the offer is answered: it stays so.
    assert_eq!(world.request(b.session, "pauseConsumer", json!({ "consumerId": id })), Ok(json!({})));
    world.reply(b.session, &offer, true);
    assert!(consumer(&world).paused);
    for (method, data) in [
        ("resumeConsumer", json!({ "consumerId": id })),
        ("setConsumerPreferredLayers", json!({ "consumerId": id, "spatialLayer": 1, "temporalLayer": 2 })),
        ("setConsumerPreferredLayers", json!({ "consumerId": id, "spatialLayer": 1, "temporalLayer": null })),
        ("setConsumerPriority", json!({ "consumerId": id, "priority": 9 })),
        ("requestConsumerKeyFrame", json!({ "consumerId": id })),
    ] {
        assert_eq!(world.request(b.session, method, data), Ok(json!({})), "{method}");
    }
    assert!(!consumer(&world).paused);
    assert_eq!(consumer(&world).priority, 9);

    let stats = world.request(b.session, "getConsumerStats", json!({ "consumerId": id })).unwrap();
    assert_eq!(stats[0]["type"], "outbound-rtp");
    let stats = world.request(a.session, "getProducerStats", json!({ "producerId": producer })).unwrap();
    assert!(stats.is_array());
    let stats = world.request(a.session, "getTransportStats", json!({ "transportId": a.send })).unwrap();
    assert_eq!(
        (stats[0]["type"].as_str(), stats[0]["transportId"].as_str()),
        (Some("webrtc-transport"), Some(&*a.send))
    );
}

#[test]
fn transports_connect_once_and_restart_ice() {
    let mut world = World::new();
    let client = world.arrive("r", "a");
    let dtls = recorded!("video-vp8-single")["connect"]["dtlsParameters"].clone();
    let connect = json!({ "transportId": client.send, "dtlsParameters": dtls });
    assert_eq!(world.request(client.session, "connectWebRtcTransport", connect.clone()), Ok(json!({})));
    let mut other = connect.clone();
    other["dtlsParameters"]["fingerprints"][0]["value"] = json!(["AB"; 32].join(":"));
    let refused = world.request(client.session, "connectWebRtcTransport", other);
    assert_eq!(refused.map_err(|(code, _)| code), Err(409));
    assert_eq!(world.request(client.session, "connectWebRtcTransport", connect), Ok(json!({})));
    let restart = json!({ "transportId": client.send });
    let first = world.request(client.session, "restartIce", restart.clone()).unwrap();
    let second = world.request(client.session, "restartIce", restart).unwrap();
    assert!(first["usernameFragment"].is_string() && first["iceLite"] == true);
    assert_ne!(first["password"], second["password"]);
}

#[test]
fn a_transport_has_what_mediasoup_client_needs() {
    let mut world = World::new();
    let session = world.open("r", "a");
    let data = json!({ "forceTcp": false, "producing": true, "consuming": false });
    let transport = world.request(session, "createWebRtcTransport", data).unwrap();
    assert_eq!(transport["iceParameters"]["iceLite"], true);
    let candidate = &transport["iceCandidates"][0];
    assert_eq!((candidate["ip"].as_str(), candidate["port"].as_u64()), (Some("127.0.0.1"), Some(40_000)));
    assert_eq!(transport["dtlsParameters"]["role"], "auto");
    assert!(transport["dtlsParameters"]["fingerprints"].as_array().is_some_and(|list| !list.is_empty()));
    assert!(transport.get("sctpParameters").is_none());
}

#[test]
fn consumers_wait_for_a_transport() {
    let mut world = World::new();
    let a = world.join("r", "a");
    world.produce(&a, &recorded!("audio-opus"));
    let session = world.open("r", "b");
    world.request(session, "join", join_data("b", true)).unwrap();
    world.take(session);
    world.request(session, "createWebRtcTransport", json!({ "producing": true })).unwrap();
    assert_eq!(world.take(session), Vec::<Value>::new());
    world.request(session, "createWebRtcTransport", json!({ "consuming": true })).unwrap();
    assert_eq!(methods(&world.heard(session)), ["newConsumer"]);
    world.request(session, "createWebRtcTransport", json!({ "consuming": true })).unwrap();
    assert_eq!(world.take(session), Vec::<Value>::new(), "offered once");
}

#[test]
fn what_a_client_cannot_decode_is_not_offered() {
    let mut world = World::new();
    let a = world.join("r", "a");
    world.produce(&a, &recorded!("video-vp9-single"));
    let b = world.arrive("r", "b");
    world.take(b.session);
    let mut data = join_data("b", true);
    let codecs = data["rtpCapabilities"]["codecs"].as_array_mut().unwrap();
    codecs.retain(|codec| codec["mimeType"] != "video/VP9");
    world.request(b.session, "join", data).unwrap();
    assert_eq!(world.take(b.session), Vec::<Value>::new());
    world.produce(&a, &recorded!("audio-opus"));
    assert_eq!(methods(&world.heard(b.session)), ["newConsumer"]);
}

#[test]
fn a_declined_consumer_is_closed_and_not_offered_again() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    let offer = world.take(b.session).remove(0);
    world.reply(b.session, &offer, false);
    assert_eq!(world.counts(), [1, 2, 2, 4, 1, 0]);
    world.request(b.session, "createWebRtcTransport", json!({ "consuming": true })).unwrap();
    assert_eq!(world.take(b.session), Vec::<Value>::new());
    // A second answer to the same request is nothing.
    world.reply(b.session, &offer, true);
    assert_eq!(world.take(b.session), Vec::<Value>::new());
}

#[test]
fn an_unanswered_consumer_is_closed_in_time() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    let offer = world.take(b.session).remove(0);
    assert!(world.deadline.at.is_some());
    world.pass(Duration::from_millis(22_400));
    assert_eq!(world.counts()[5], 1);
    world.pass(Duration::from_millis(200));
    assert_eq!(world.counts()[5], 0);
    assert_eq!(
        world.heard(b.session),
        [("consumerClosed".to_owned(), json!({ "consumerId": offer["data"]["id"] }))]
    );
    assert_eq!(world.server.stats().rooms.client_requests_timed_out, 1);
    world.reply(b.session, &offer, true);
    assert_eq!(world.take(b.session), Vec::<Value>::new());
}

#[test]
fn names_change_before_everybodys_eyes() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    let (page, _) = world.watch("r", "c");
    world.take(a.session);
    world.take(b.session);
    assert_eq!(world.request(a.session, "changeDisplayName", json!({ "displayName": "Ann" })), Ok(json!({})));
    let told = json!({ "peerId": "a", "displayName": "Ann", "oldDisplayName": "A" });
    let expected = [("peerDisplayNameChanged".to_owned(), told)];
    assert_eq!((world.heard(b.session), world.heard(page)), (expected.to_vec(), expected.to_vec()));
    assert_eq!(world.heard(a.session), []);
}

#[test]
fn a_peer_that_leaves_takes_everything_along() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    world.produce(&b, &recorded!("audio-opus"));
    let offer = world.take(b.session).remove(0);
    world.reply(b.session, &offer, true);
    world.take(b.session);
    world.close(a.session);
    let heard = world.heard(b.session);
    assert_eq!(methods(&heard), ["peerClosed", "consumerClosed"]);
    assert_eq!(heard[0].1, json!({ "peerId": "a" }));
    assert_eq!(world.counts(), [1, 1, 1, 2, 1, 0]);
    world.close(b.session);
    assert_eq!(world.counts(), [0; 6]);
    assert_eq!(world.server.stats().sfu.routers, 0);
    // Late words of the dead are not heard.
    world.take(a.session);
    world.say(a.session, r#"{"request":true,"id":1,"method":"join"}"#);
    world.close(a.session);
    assert_eq!((world.take(a.session), world.counts()), (vec![], [0; 6]));
}

#[test]
fn a_session_that_has_not_joined_is_not_announced() {
    let mut world = World::new();
    let a = world.join("r", "a");
    let b = world.arrive("r", "b");
    world.close(b.session);
    assert_eq!(world.heard(a.session), []);
    let c = world.join("r", "c");
    assert_eq!(c.joined["peers"].as_array().unwrap().len(), 1);
}

#[test]
fn the_newer_session_of_a_peer_wins() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    world.take(a.session);
    world.take(b.session);
    let newer = world.open("r", "a");
    let (code, reason) = &world.closed[&a.session];
    assert_eq!(*code, close_code::REPLACED);
    assert!(!reason.is_empty());
    assert_eq!(methods(&world.heard(b.session)), ["peerClosed", "consumerClosed"]);
    assert_eq!(world.counts(), [1, 2, 2, 2, 0, 0]);
    // The runtime reports the end of the older one afterwards: that must not harm the newer one.
    world.close(a.session);
    assert!(world.request(newer, "join", join_data("a", true)).is_ok());
    assert_eq!(methods(&world.heard(b.session)), ["newPeer"]);
    assert_eq!(world.server.stats().rooms.closed_replaced, 1);
}

#[test]
fn the_same_peer_id_in_another_room_is_another_peer() {
    let mut world = World::new();
    let (a, other) = (world.join("r", "a"), world.join("s", "a"));
    assert!(world.closed.is_empty());
    world.produce(&a, &recorded!("audio-opus"));
    assert_eq!(world.heard(other.session), []);
    assert_eq!(world.counts()[0], 2);
}

#[test]
fn a_page_is_told_of_producers_instead_of_consumers() {
    let mut world = World::new();
    let a = world.join("r", "a");
    let audio = world.produce(&a, &recorded!("audio-opus"));
    world.request(a.session, "pauseProducer", json!({ "producerId": audio })).unwrap();
    let (page, joined) = world.watch("r", "p");
    assert_eq!(joined["peers"][0]["producers"], json!([{ "id": audio, "kind": "audio", "paused": true }]));
    let of = |producer: &str| json!({ "peerId": "a", "producerId": producer });
    world.request(a.session, "resumeProducer", json!({ "producerId": audio })).unwrap();
    world.request(a.session, "pauseProducer", json!({ "producerId": audio })).unwrap();
    let video = world.produce(&a, &recorded!("video-vp8-single"));
    world.request(a.session, "closeProducer", json!({ "producerId": audio })).unwrap();
    let added = json!({ "peerId": "a", "producerId": video, "kind": "video", "paused": false });
    assert_eq!(
        world.heard(page),
        [
            ("producerResumed".to_owned(), of(&audio)),
            ("producerPaused".to_owned(), of(&audio)),
            ("producerAdded".to_owned(), added),
            ("producerRemoved".to_owned(), of(&audio)),
        ]
    );
    assert_eq!(world.counts()[5], 0);
    // A mediasoup client hears nothing of that.
    let b = world.join("r", "b");
    assert!(b.joined["peers"].as_array().unwrap().iter().all(|peer| peer.get("producers").is_none()));
    let heard = world.heard(b.session);
    assert_eq!(methods(&heard), ["newConsumer"]);
}

#[test]
fn a_client_killed_without_goodbye_is_gone_after_the_consent_timeout() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    world.take(b.session);
    world.check(&a.send, "192.0.2.1:1000");
    world.pass(Duration::from_secs(20));
    world.check(&a.send, "192.0.2.1:1000");
    world.pass(Duration::from_millis(29_900));
    assert!(world.closed.is_empty());
    world.pass(Duration::from_millis(200));
    assert_eq!(world.closed[&a.session].0, close_code::MEDIA_LOST);
    assert!(methods(&world.heard(b.session)).ends_with(&["consumerClosed", "peerClosed"]));
    assert!(world.events.iter().any(|event| matches!(event, Event::TransportClosed { .. })));
    assert_eq!(world.counts(), [1, 1, 1, 2, 0, 0]);
    // The other one has never connected its transports: it lives as long as its session.
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.closed.len(), 1);
    world.close(b.session);
    assert_eq!((world.counts(), world.server.stats().sfu.tuples), ([0; 6], 0));
    assert_eq!(world.deadline.at, None, "nothing is waited for any more");
}

#[test]
fn same_seed_same_inputs_same_outputs() {
    let run = || {
        let mut world = World::new();
        let (a, b) = (world.join("r", "a"), world.join("r", "b"));
        world.produce(&a, &recorded!("audio-opus"));
        (world.frames, a.send, b.receive)
    };
    assert_eq!(run(), run());
}
