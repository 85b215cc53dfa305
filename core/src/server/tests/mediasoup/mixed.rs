//! Both generations in one room, and what two recordings do not show.
use super::*;

/// A version-2 peer that has a transport each way, `10` to send and `20` to receive, and produces audio under `11`.
fn v2_producing(world: &mut World, name: &str) -> (SessionId, Value) {
    let (session, joined) = world.join_v2(name, false);
    world.create_transport(session, 10, "send");
    world.create_transport(session, 20, "recv");
    world.ask(session, &producer_message(11, 10)).unwrap();
    (session, joined)
}

fn enable(id: &Value) -> Value {
    json!({ "method": "enableConsumer", "target": "peer", "id": id, "transportId": 20, "paused": false, "preferredProfile": "default" })
}

#[test]
fn each_is_told_of_and_consumes_the_other() {
    let mut world = World::new();
    let new = world.join("r", "new");
    let video = world.produce(&new, &recorded!("video-vp8-single"));
    let (old, joined) = v2_producing(&mut world, "old");
    let peers = joined["peers"].as_array().unwrap();
    assert_eq!((peers.len(), &peers[0]["name"]), (1, &json!("new")));
    assert_eq!(peers[0]["appData"]["displayName"], "NEW");
    let consumer = &peers[0]["consumers"][0];
    assert_eq!((&consumer["kind"], &consumer["peerName"]), (&json!("video"), &json!("new")));
    assert_eq!(consumer["appData"], json!({ "source": "test" }));

    // The new one hears of the old one, and is offered its audio.
    let heard = world.take(new.session);
    let device = json!({ "flag": "chrome", "name": "Chrome", "version": "" });
    assert_eq!(heard[0]["data"], json!({ "id": "old", "displayName": "OLD", "device": device }));
    let offer = &heard[1];
    assert_eq!((&offer["method"], &offer["data"]["peerId"]), (&json!("newConsumer"), &json!("old")));
    world.reply(new.session, offer, true);
    let id = offer["data"]["id"].as_str().unwrap().parse().unwrap();
    assert!(!world.server.sfu().consumer(id).unwrap().paused);

    // The old one enables the new one's video: its SSRC is the one that it was told.
    let answer = world.ask(old, &enable(&consumer["id"])).unwrap();
    assert_eq!(answer, json!({ "paused": false, "preferredProfile": "default", "effectiveProfile": null }));
    let own = world.server.rooms.consumers_of("r", "old")[0];
    let parameters = world.server.sfu().consumer(own).unwrap().rtp_parameters;
    let told = &consumer["rtpParameters"];
    assert_eq!(json!(parameters.encodings[0].ssrc), told["encodings"][0]["ssrc"]);
    assert_eq!(json!(parameters.encodings[0].rtx.unwrap().ssrc), told["encodings"][0]["rtx"]["ssrc"]);
    assert_eq!(json!(parameters.codecs[0].payload_type), told["codecs"][0]["payloadType"]);
    let extensions: Vec<u8> = parameters.header_extensions.iter().map(|extension| extension.id).collect();
    assert!(!extensions.contains(&5), "no MID: the SSRC tells");

    // Pauses and ends cross over.
    world.request(new.session, "pauseProducer", json!({ "producerId": video })).unwrap();
    world.request(new.session, "closeProducer", json!({ "producerId": video })).unwrap();
    assert_eq!(methods_of(&world.told(old)), ["consumerPaused", "consumerClosed"]);
    world.take(new.session);
    world.tell(old, &notice("pauseProducer", json!({ "id": 11 })));
    world.tell(old, &notice("leave", json!({ "appData": 1 })));
    assert_eq!(methods(&world.heard(new.session)), ["consumerPaused", "peerClosed", "consumerClosed"]);
    assert_eq!(world.counts()[3..], [2, 0, 0]);
}

#[test]
fn a_peer_that_goes_is_told_once() {
    let mut world = World::new();
    let new = world.join("r", "new");
    world.produce(&new, &recorded!("audio-opus"));
    let (old, joined) = v2_producing(&mut world, "old");
    world.ask(old, &enable(&joined["peers"][0]["consumers"][0]["id"])).unwrap();
    world.close(new.session);
    assert_eq!(world.told(old), [notice("peerClosed", json!({ "name": "new" }))]);
    world.close(old);
    assert_eq!(world.counts(), [0; 6]);
    assert_eq!(world.deadline.at, None);
}

#[test]
fn a_spy_hears_everybody_and_nobody_hears_it() {
    let mut world = World::new();
    let new = world.join("r", "new");
    let (spy, joined) = world.join_v2("spy", true);
    assert_eq!(joined["peers"].as_array().unwrap().len(), 1);
    assert_eq!(world.heard(new.session), []);
    let later = world.join("r", "later");
    assert_eq!(later.joined["peers"].as_array().unwrap().len(), 1);
    world.produce(&new, &recorded!("audio-opus"));
    assert_eq!(methods_of(&world.told(spy)), ["newPeer", "newConsumer"]);
    world.take(new.session);
    world.tell(spy, &notice("leave", json!({})));
    world.close(spy);
    assert_eq!(world.heard(new.session), []);
}

#[test]
fn either_side_pauses() {
    let mut world = World::new();
    let (a, _) = v2_producing(&mut world, "a");
    let (b, joined) = world.join_v2("b", false);
    world.create_transport(b, 20, "recv");
    let id = u32::try_from(joined["peers"][0]["consumers"][0]["id"].as_u64().unwrap()).unwrap();
    world.ask(b, &enable(&json!(id))).unwrap();
    world.take(a);
    let app_data = Value::Null;
    let consumer = world.server.rooms.consumers_of("r", "b")[0];
    let data = |world: &World| world.server.sfu().consumer(consumer).unwrap();

    // The producer: paused while either has paused it. A second time is nothing.
    world.tell(a, &notice("pauseProducer", json!({ "id": 11 })));
    world.tell(a, &notice("pauseProducer", json!({ "id": 11 })));
    assert_eq!(methods_of(&world.told(b)), ["consumerPaused"]);
    world.act("a", Action::PauseProducer { id: 11, app_data: app_data.clone() }).unwrap();
    world.tell(a, &notice("resumeProducer", json!({ "id": 11 })));
    assert_eq!((world.told(b), data(&world).producer_paused), (vec![], true));
    world.act("a", Action::ResumeProducer { id: 11, app_data: app_data.clone() }).unwrap();
    assert_eq!(methods_of(&world.told(b)), ["consumerResumed"]);
    assert_eq!(methods_of(&world.told(a)), ["producerPaused", "producerResumed"]);

    // The consumer: what one has told the other does not repeat.
    world.act("b", Action::PauseConsumer { id, app_data: app_data.clone() }).unwrap();
    world.tell(a, &notice("pauseProducer", json!({ "id": 11 })));
    world.act("b", Action::ResumeConsumer { id, app_data }).unwrap();
    assert_eq!(methods_of(&world.told(b)), ["consumerPaused"]);
    assert_eq!((data(&world).paused, data(&world).producer_paused), (false, true));
    world.tell(a, &notice("resumeProducer", json!({ "id": 11 })));
    assert_eq!(methods_of(&world.told(b)), ["consumerResumed"]);
    world.tell(b, &notice("pauseConsumer", json!({ "id": id })));
    assert_eq!((world.told(b), data(&world).paused), (vec![], true));
}

#[test]
fn what_was_on_a_closed_transport_is_enabled_again_with_the_same_numbers() {
    let mut world = World::new();
    let (_, _) = v2_producing(&mut world, "a");
    let (b, joined) = world.join_v2("b", false);
    world.create_transport(b, 20, "recv");
    let consumer = &joined["peers"][0]["consumers"][0];
    for _ in 0..3 {
        world.ask(b, &enable(&consumer["id"])).unwrap();
        let own = world.server.rooms.consumers_of("r", "b")[0];
        let parameters = world.server.sfu().consumer(own).unwrap().rtp_parameters;
        let ssrc = &consumer["rtpParameters"]["encodings"][0]["ssrc"];
        assert_eq!(&json!(parameters.encodings[0].ssrc), ssrc);
        world.act("b", Action::CloseTransport { id: 20, app_data: json!("again") }).unwrap();
        assert_eq!(world.told(b), [notice("transportClosed", json!({ "id": 20, "appData": "again" }))]);
        world.create_transport(b, 20, "recv");
    }
    assert_eq!(world.counts()[3..], [3, 1, 0]);
}

#[test]
fn a_transport_that_breaks_is_told_and_comes_back() {
    let mut world = World::new();
    let (a, _) = v2_producing(&mut world, "a");
    let transport = world.server.rooms.transports_of("r", "a")[0];
    world.check(&transport.to_string(), "192.0.2.1:1000");
    world.pass(Duration::from_secs(31));
    assert_eq!(world.told(a), [notice("transportClosed", json!({ "id": 10 }))]);
    assert_eq!(world.counts()[3..], [1, 0, 0]);
    world.create_transport(a, 10, "send");
    world.ask(a, &producer_message(11, 10)).unwrap();
    assert!(world.closed.is_empty());
}

#[test]
fn wishes_become_layers() {
    let mut world = World::new();
    let (a, _) = world.join_v2("a", false);
    world.create_transport(a, 58_003_689, "send");
    let recording = recording!("produce-vp8-simulcast");
    world.ask(a, &recording["log"][4]["message"]).unwrap();
    let (b, joined) = world.join_v2("b", false);
    world.create_transport(b, 20, "recv");
    let id = u32::try_from(joined["peers"][0]["consumers"][0]["id"].as_u64().unwrap()).unwrap();
    world.ask(b, &enable(&json!(id))).unwrap();
    let consumer = world.server.rooms.consumers_of("r", "b")[0];
    let wished = |world: &World| {
        world.server.sfu().consumer(consumer).unwrap().preferred_layers.map(|layers| layers.spatial_layer)
    };
    assert_eq!(wished(&world), Some(2));
    let producer = 66_168_440;
    let cap = |profile| Action::SetProducerPreferredProfile { id: producer, profile };
    world.act("a", cap(Profile::Low)).unwrap();
    assert_eq!(wished(&world), Some(0));
    world.tell(b, &notice("setConsumerPreferredProfile", json!({ "id": id, "profile": "medium" })));
    assert_eq!((wished(&world), world.told(b)), (Some(1), vec![]));
    world.act("b", Action::SetConsumerPreferredProfile { id, profile: Profile::High }).unwrap();
    let set = json!({ "id": id, "peerName": "a", "profile": "high" });
    assert_eq!(world.told(b), [notice("consumerPreferredProfileSet", set)]);
    assert_eq!(wished(&world), Some(2));
}

#[test]
fn statistics_come_at_once_and_then_in_time_but_not_while_paused() {
    let mut world = World::new();
    let (a, _) = v2_producing(&mut world, "a");
    for (method, id) in [("enableTransportStats", 10), ("enableProducerStats", 11)] {
        world.tell(a, &notice(method, json!({ "id": id, "interval": 1 })));
    }
    assert_eq!(methods_of(&world.told(a)), ["transportStats", "producerStats"]);
    world.pass(Duration::from_millis(3_500));
    assert_eq!(world.told(a).len(), 6, "three times each: no interval is below a second");
    world.tell(a, &notice("disableTransportStats", json!({ "id": 10 })));
    world.tell(a, &notice("pauseProducer", json!({ "id": 11 })));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.told(a), Vec::<Value>::new());
    world.tell(a, &notice("resumeProducer", json!({ "id": 11 })));
    world.pass(Duration::from_secs(1));
    assert_eq!(methods_of(&world.told(a)), ["producerStats"]);
    world.tell(a, &notice("enableConsumerStats", json!({ "id": 1 })));
    world.close(a);
    assert_eq!((world.deadline.at, world.counts()), (None, [0; 6]));
}

#[test]
fn statistics_end_with_what_they_are_of() {
    let mut world = World::new();
    let (a, _) = v2_producing(&mut world, "a");
    let never = u64::from(u32::MAX);
    for (method, id) in [("enableTransportStats", 10), ("enableProducerStats", 11)] {
        world.tell(a, &notice(method, json!({ "id": id, "interval": never })));
    }
    assert!(world.deadline.at.is_some(), "in weeks");
    world.tell(a, &notice("closeProducer", json!({ "id": 11 })));
    world.tell(a, &notice("closeTransport", json!({ "id": 10 })));
    assert_eq!(world.deadline.at, None, "nothing is left to report on");
    // As often as a client likes, each under another id.
    for id in 100..110 {
        world.create_transport(a, id, "recv");
        world.tell(a, &notice("enableTransportStats", json!({ "id": id, "interval": never })));
        world.tell(a, &notice("closeTransport", json!({ "id": id })));
        assert_eq!(world.deadline.at, None);
    }
}

#[test]
fn an_application_carries_the_messages_itself() {
    let mut world = World::new();
    let new = world.join("r", "new");
    world.produce(&new, &recorded!("audio-opus"));
    let session = SessionId(900);
    world.server.attach(world.now, session, "r");
    let query = json!({ "method": "queryRoom", "target": "room" });
    let room = world.server.receive_request(world.now, session, &query).unwrap();
    let join = join_message("old", false, &room["rtpCapabilities"]);
    let joined = world.server.receive_request(world.now, session, &join).unwrap();
    assert_eq!(joined["peers"][0]["consumers"].as_array().unwrap().len(), 1);
    let create = transport_message(10, "send");
    world.server.receive_request(world.now, session, &create).unwrap();
    let produced = world.server.receive_request(world.now, session, &producer_message(11, 10)).unwrap();
    assert_eq!(produced, Value::Null);
    world.drain();
    assert_eq!(methods(&world.heard(new.session)), ["newPeer", "newConsumer"]);
    world.close(new.session);
    assert_eq!(world.take(session), [notice("peerClosed", json!({ "name": "new" }))], "no envelope");

    // It leaves, is nobody, and can come back under another name.
    let leave = notice("leave", json!({}));
    world.server.receive_notification(world.now, session, &leave).unwrap();
    let error = world.server.receive_notification(world.now, session, &leave).unwrap_err();
    assert_eq!(error.name, ErrorName::InvalidStateError);
    assert_eq!(world.counts(), [0, 0, 1, 0, 0, 0], "the room has gone with its last peer");
    let again = join_message("older", false, &room["rtpCapabilities"]);
    assert!(world.server.receive_request(world.now, session, &again).is_ok());
    world.close(session);
    assert_eq!(world.counts(), [0; 6]);
}

#[test]
fn a_limit_of_bitrate_is_for_transports_that_send() {
    let mut world = World::new();
    let (_, _) = v2_producing(&mut world, "a");
    let limit = |id, bitrate_bps| Action::SetMaxBitrate { id, bitrate_bps };
    world.act("a", limit(10, 5)).unwrap();
    let sending = world.server.rooms.transports_of("r", "a")[0];
    let stats = world.server.sfu().transport_stats(world.now, sending).unwrap();
    assert_eq!(stats[0].max_incoming_bitrate, Some(10_000), "not below");
    assert!(world.act("a", limit(20, 100_000)).unwrap_err().starts_with("InvalidStateError: "));
}

#[test]
fn the_server_is_the_dtls_client_of_a_transport_that_sends() {
    let mut world = World::new();
    let (a, _) = world.join_v2("a", false);
    let recording = recording!("join-produce-consume-vp8");
    let send = world.ask(a, &recording["log"][2]["message"]).unwrap();
    assert_eq!(send["dtlsParameters"]["role"], "client");
    let receive = world.ask(a, &recording["log"][8]["message"]).unwrap();
    assert_eq!(receive["dtlsParameters"]["role"], "auto");
    world.tell(a, &recording["log"][9]["message"]);
    let transports = world.server.rooms.transports_of("r", "a");
    let roles = transports.iter().map(|id| {
        let transport = world.server.sfu().webrtc_transport(*id).unwrap();
        json!(transport.dtls_parameters.role)
    });
    assert_eq!(roles.collect::<Vec<_>>(), ["client", "server"]);
}

#[test]
fn who_is_thrown_out_is_told_first() {
    let mut world = World::new();
    let new = world.join("r", "new");
    let (old, _) = v2_producing(&mut world, "old");
    let (other, joined) = world.join_v2("other", false);
    world.create_transport(other, 20, "recv");
    world.ask(other, &enable(&joined["peers"][1]["consumers"][0]["id"])).unwrap();
    let session = SessionId(900);
    world.server.attach(world.now, session, "r");
    let join = join_message("carried", true, &json!({ "codecs": [] }));
    world.server.receive_request(world.now, session, &join).unwrap();
    for session in [new.session, old, other] {
        world.take(session);
    }
    world.server.close_peer(world.now, "r", "old").unwrap();
    world.drain();
    assert_eq!(world.told(old), [notice("closed", json!({}))]);
    assert_eq!(world.closed[&old].0, 4000);
    let gone = notice("peerClosed", json!({ "name": "old" }));
    assert_eq!((world.told(other), world.take(session)), (vec![gone.clone()], vec![gone]));
    assert_eq!(methods(&world.heard(new.session)), ["peerClosed", "consumerClosed"]);

    // What an application carries is its own to end.
    world.server.close_peer(world.now, "r", "carried").unwrap();
    world.drain();
    assert_eq!(world.take(session), [notice("closed", json!({}))]);
    assert!(!world.closed.contains_key(&session));
    world.server.receive_request(world.now, session, &join).unwrap();
    let missing = world.server.close_peer(world.now, "r", "old").unwrap_err();
    assert_eq!(missing.code, 404);
}
