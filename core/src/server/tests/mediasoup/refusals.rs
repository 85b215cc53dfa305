//! Messages that are malformed or come out of order: the documented error, and nothing changed.
use super::*;
use crate::rng::Rng;

/// A member `a` that produces audio and consumes a version-3 peer's, with its transports 10 (send) and 20 (recv), its producer
/// 11, and its consumer; a spy; and a session that has not joined.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) a: SessionId,
    pub(super) spy: SessionId,
    pub(super) nobody: SessionId,
    new: Client,
    pub(super) consumer: Value,
}

pub(super) fn scene() -> Scene {
    let mut world = World::new();
    let new = world.join("r", "new");
    world.produce(&new, &recorded!("audio-opus"));
    let (a, joined) = world.join_v2("a", false);
    world.create_transport(a, 10, "send");
    world.create_transport(a, 20, "recv");
    world.ask(a, &producer_message(11, 10)).unwrap();
    let consumer = joined["peers"][0]["consumers"][0]["id"].clone();
    let (spy, _) = world.join_v2("spy", true);
    let nobody = world.open("r", "nobody");
    let mut scene = Scene { world, a, spy, nobody, new, consumer };
    scene.hush();
    scene
}

impl Scene {
    /// What anybody was told.
    pub(super) fn hush(&mut self) -> Vec<Value> {
        let sessions = [self.a, self.spy, self.nobody, self.new.session];
        sessions.into_iter().flat_map(|session| self.world.take(session)).collect()
    }

    /// A request that must be refused so.
    pub(super) fn refused(&mut self, session: SessionId, message: &Value, error: &str) {
        let before = (self.world.counts(), self.world.server.sfu().stats());
        match self.world.ask(session, message) {
            Err(reason) => assert!(reason.starts_with(error), "{message}: {reason}"),
            Ok(answer) => panic!("{message} was answered {answer}"),
        }
        assert_eq!((self.world.counts(), self.world.server.sfu().stats()), before, "{message}");
        assert_eq!(self.hush(), Vec::<Value>::new(), "{message}");
    }

    /// A notification that must be of no effect, with that error for the log.
    pub(super) fn ignored(&mut self, session: SessionId, message: &Value, error: &str) {
        let before = (self.world.counts(), self.world.server.sfu().stats());
        let now = self.world.now;
        let outcome = self.world.server.receive_notification(now, session, message);
        let reason = outcome.expect_err(&message.to_string()).to_string();
        assert!(reason.starts_with(error), "{message}: {reason}");
        let refused = self.world.server.stats().rooms.refused_notifications;
        self.world.tell(session, message);
        assert_eq!(self.world.server.stats().rooms.refused_notifications, refused + 1);
        assert_eq!((self.world.counts(), self.world.server.sfu().stats()), before, "{message}");
        assert_eq!(self.hush(), Vec::<Value>::new(), "{message}");
    }
}

pub(super) fn with(message: &Value, member: &str, value: Value) -> Value {
    let mut message = message.clone();
    message[member] = value;
    message
}

pub(super) fn without(message: &Value, member: &str) -> Value {
    let mut message = message.clone();
    message.as_object_mut().unwrap().remove(member);
    message
}

#[test]
fn envelopes() {
    let mut scene = scene();
    let (a, nobody) = (scene.a, scene.nobody);
    let query = json!({ "method": "queryRoom", "target": "room" });
    scene.refused(a, &json!({}), "TypeError: method");
    scene.refused(a, &with(&query, "method", json!(7)), "TypeError: method");
    scene.refused(a, &with(&query, "notification", json!(true)), "TypeError: ");
    scene.refused(a, &without(&query, "target"), "TypeError: target");
    scene.refused(a, &with(&query, "target", json!("world")), "TypeError: target");
    scene.refused(a, &with(&query, "target", json!("peer")), "Error: unknown request method \"queryRoom\"");
    scene.refused(a, &with(&query, "method", json!("x")), "Error: unknown request method \"x\"");
    let leave = notice("leave", json!({}));
    scene.ignored(nobody, &leave, "InvalidStateError: ");
    scene.ignored(a, &without(&leave, "method"), "TypeError: method");
    scene.ignored(a, &with(&leave, "notification", json!(false)), "TypeError: ");
    scene.ignored(a, &with(&leave, "target", json!("room")), "TypeError: ");
    scene.ignored(
        a,
        &with(&leave, "method", json!("updateProducer")),
        "Error: unknown notification method \"updateProducer\"",
    );
    let now = scene.world.now;
    for wrong in [Value::Null, json!(1), json!([]), json!("leave")] {
        let refused = scene.world.server.receive_request(now, a, &wrong).unwrap_err();
        assert_eq!(refused.name, ErrorName::TypeError);
        assert_eq!(
            scene.world.server.receive_notification(now, a, &wrong).unwrap_err().name,
            ErrorName::TypeError
        );
    }
    let unknown = scene.world.server.receive_request(now, SessionId(777), &query).unwrap_err();
    assert_eq!(unknown.name, ErrorName::InvalidStateError);
}

#[test]
fn joining() {
    let mut scene = scene();
    let (a, nobody, new) = (scene.a, scene.nobody, scene.new.session);
    let room = scene.world.ask(nobody, &json!({ "method": "queryRoom", "target": "room" })).unwrap();
    let join = join_message("nobody", false, &room["rtpCapabilities"]);
    for name in [json!(""), json!(5), Value::Null] {
        scene.refused(nobody, &with(&join, "peerName", name), "TypeError: peerName must be a string");
    }
    scene.refused(nobody, &with(&join, "peerName", json!("a/b")), "TypeError: peerName must");
    for taken in ["a", "spy", "new"] {
        let error = format!("Error: duplicated Peer [peerName:\"{taken}\"]");
        scene.refused(nobody, &with(&join, "peerName", json!(taken)), &error);
    }
    scene.refused(nobody, &without(&join, "rtpCapabilities"), "TypeError: rtpCapabilities");
    scene.refused(nobody, &with(&join, "rtpCapabilities", json!(3)), "TypeError: wrong RTP capabilities");
    scene.refused(nobody, &with(&join, "spy", json!("yes")), "TypeError: spy");
    let mut other = join.clone();
    other["rtpCapabilities"]["codecs"][0]["preferredPayloadType"] = json!(55);
    scene.refused(nobody, &other, "Error: unsupported codec");
    let long = "x".repeat(20_000);
    scene.refused(nobody, &with(&join, "appData", json!(long)), "TypeError: appData");
    scene.refused(a, &with(&join, "peerName", json!("b")), "InvalidStateError: ");
    scene.refused(new, &with(&join, "peerName", json!("new2")), "InvalidStateError: ");
    for early in ["createTransport", "restartTransport", "createProducer", "enableConsumer"] {
        let message = json!({ "method": early, "target": "peer", "id": 1, "transportId": 2, "direction": "send", "kind": "audio" });
        scene.refused(nobody, &message, "InvalidStateError: the peer has not joined");
    }
    // A refused join spoils nothing; and one who has joined must keep to the protocol.
    scene.world.ask(nobody, &join).unwrap();
    let refused =
        scene.world.request(nobody, "createWebRtcTransport", json!({ "producing": true })).unwrap_err();
    assert_eq!(refused.0, 409);
}

#[test]
fn transports() {
    let mut scene = scene();
    let (a, spy) = (scene.a, scene.spy);
    let create = transport_message(30, "send");
    scene.refused(a, &without(&create, "direction"), "TypeError: direction");
    scene.refused(a, &with(&create, "direction", json!("both")), "TypeError: direction");
    for id in [json!("30"), json!(-1), json!(1.5), json!(5_000_000_000_u64)] {
        scene.refused(a, &with(&create, "id", id), "TypeError: id");
    }
    scene.refused(a, &with(&create, "id", json!(10)), "InvalidStateError: ");
    scene.refused(a, &with(&create, "options", json!(3)), "TypeError: options");
    scene.refused(a, &with(&create, "options", json!({ "tcp": 3 })), "TypeError: tcp");
    scene.refused(a, &with(&create, "options", json!({ "udp": false })), "Error: ICE over TCP");
    scene.refused(a, &with(&create, "dtlsParameters", json!({})), "TypeError: dtlsParameters");
    let plain = json!({ "ip": "127.0.0.1", "port": 9 });
    scene.refused(a, &with(&create, "plainRtpParameters", plain.clone()), "Error: plain RTP transports");
    scene.refused(spy, &create, "Error: spy peers cannot");
    let sha1 = ["AB"; 20].join(":");
    let weak = json!({ "role": "server", "fingerprints": [{ "algorithm": "sha-1", "value": sha1 }] });
    let before = scene.world.counts();
    assert!(scene.world.ask(a, &with(&create, "dtlsParameters", weak.clone())).is_err());
    assert_eq!(scene.world.counts(), before, "the new transport is closed again");
    let restart = json!({ "method": "restartTransport", "target": "peer", "id": 99 });
    scene.refused(a, &restart, "Error: Transport not found");
    scene.refused(a, &without(&restart, "id"), "TypeError: id");
    let update = notice("updateTransport", json!({ "id": 20, "dtlsParameters": weak }));
    scene.ignored(a, &update, "TypeError: dtlsParameters");
    scene.ignored(a, &without(&update, "dtlsParameters"), "TypeError: dtlsParameters");
    scene.ignored(a, &with(&update, "plainRtpParameters", plain), "Error: plain RTP transports");
    scene.ignored(a, &notice("closeTransport", json!({ "id": 99 })), "Error: Transport not found");
    for id in 40..46 {
        scene.world.create_transport(a, id, "recv");
    }
    scene.hush();
    let full = scene.world.ask(a, &transport_message(46, "recv")).unwrap_err();
    assert!(full.starts_with("Error: limit of 8 transports per peer"), "{full}");
}

#[test]
fn producers_and_consumers() {
    let mut scene = scene();
    let (a, spy, consumer) = (scene.a, scene.spy, scene.consumer.clone());
    let create = producer_message(12, 10);
    scene.refused(spy, &create, "Error: spy peers cannot create producers");
    scene.refused(a, &with(&create, "kind", json!("smell")), "TypeError: unsupported kind: smell");
    scene.refused(a, &without(&create, "kind"), "TypeError: unsupported kind");
    scene.refused(a, &with(&create, "transportId", json!(99)), "Error: WebRtcTransport not found");
    scene.refused(a, &with(&create, "transportId", json!(20)), "InvalidStateError: ");
    scene.refused(a, &with(&create, "id", json!(11)), "InvalidStateError: ");
    scene.refused(a, &with(&create, "paused", json!(1)), "TypeError: paused");
    scene.refused(a, &without(&create, "rtpParameters"), "TypeError: rtpParameters");
    scene.refused(
        a,
        &with(&create, "rtpParameters", json!({ "codecs": [] })),
        "Error: wrong RTP parameters: ",
    );
    scene.refused(a, &create, "Error: wrong RTP parameters: ");
    let enable = json!({ "method": "enableConsumer", "target": "peer", "id": consumer, "transportId": 20, "paused": false, "preferredProfile": "default" });
    scene.refused(a, &with(&enable, "id", json!(1)), "Error: Consumer not found");
    scene.refused(a, &with(&enable, "transportId", json!(1)), "Error: Transport not found");
    scene.refused(a, &with(&enable, "transportId", json!(10)), "InvalidStateError: ");
    scene.refused(a, &with(&enable, "preferredProfile", json!("none")), "TypeError: preferredProfile");
    scene.world.ask(a, &enable).unwrap();
    scene.hush();
    scene.refused(a, &enable, "InvalidStateError: Consumer already enabled");
    for method in ["pauseProducer", "resumeProducer", "enableProducerStats"] {
        scene.ignored(a, &notice(method, json!({ "id": 99 })), "Error: Producer not found");
    }
    for method in ["pauseConsumer", "resumeConsumer", "enableConsumerStats"] {
        scene.ignored(a, &notice(method, json!({ "id": 11 })), "Error: Consumer not found");
        scene.ignored(a, &notice(method, json!({})), "TypeError: id is missing");
    }
    let wish = notice("setConsumerPreferredProfile", json!({ "id": consumer, "profile": "best" }));
    scene.ignored(a, &wish, "TypeError: profile");
    scene.world.tell(a, &notice("closeProducer", json!({ "id": 99 })));
    assert_eq!(scene.hush(), Vec::<Value>::new(), "closing what is gone is no fault");
    for action in [
        Action::CloseProducer { id: 99, app_data: Value::Null },
        Action::RequestKeyFrame { id: 99 },
        Action::CloseTransport { id: 99, app_data: Value::Null },
    ] {
        assert!(scene.world.act("a", action).unwrap_err().ends_with("not found"));
    }
    let kick = || Action::ClosePeer { app_data: Value::Null };
    assert_eq!(scene.world.act("x", kick()).unwrap_err(), "Error: Peer not found");
    assert_eq!(scene.world.act("new", kick()).unwrap_err(), "Error: Peer not found");
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    for missing in ["startMirroring", "stopMirroring", "createRtpStreamer", "setRemoteParameters"] {
        let action = json!({ "action": missing, "id": 10, "appData": null });
        let refused = serde_json::from_value::<Action>(action).unwrap_err().to_string();
        assert!(refused.contains(&format!("unknown variant `{missing}`")), "{refused}");
    }
    let mut scene = scene();
    let plain = json!({ "ip": "127.0.0.1", "port": 9 });
    for direction in ["send", "recv"] {
        let create = with(&transport_message(30, direction), "plainRtpParameters", plain.clone());
        scene.refused(scene.a, &create, "Error: plain RTP transports are not supported");
    }
    let update = notice("updateTransport", json!({ "id": 20, "plainRtpParameters": plain }));
    scene.ignored(scene.a, &update, "Error: plain RTP transports are not supported");
}

#[test]
fn nonsense_by_the_thousand_disturbs_nobody() {
    let limits = Limits { max_malformed_messages_per_session: u32::MAX, ..Limits::default() };
    let mut world = World::with_limits(limits);
    let (a, _) = world.join_v2("a", false);
    let recording = recording!("join-produce-consume-vp8");
    let messages =
        recording["log"].as_array().unwrap().iter().filter(|entry| entry["dir"] == "client->server");
    let texts: Vec<String> = messages.map(|entry| entry["message"].to_string()).collect();
    let nobody = world.open("r", "nobody");
    world.take(nobody);
    let mut rng = Rng::from_seed([9; 32]);
    for n in 0..4_000 {
        let text = super::super::hostile::mutate(&mut rng, &texts[n % texts.len()]);
        // A join that has survived is one.
        if text.contains("\"join\"") {
            continue;
        }
        let kind = if n % 2 == 0 { "request" } else { "notification" };
        let method = if n % 2 == 0 { REQUEST } else { NOTIFICATION };
        world.say(nobody, &format!("{{\"{kind}\":true,\"id\":1,\"method\":\"{method}\",\"data\":{text}}}"));
        let frames = world.take(nobody);
        assert!(
            frames.len() <= 1 && frames.iter().all(|frame| frame["response"] == true),
            "{text}: {frames:?}"
        );
    }
    assert_eq!((world.counts(), world.take(a)), ([1, 2, 2, 0, 0, 0], vec![]));
}
