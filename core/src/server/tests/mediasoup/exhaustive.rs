//! Every message of clients, with every member missing, of every wrong type, before its time and after it: the documented error,
//! and nothing changed. Without the fault each of them is accepted.
use super::refusals::{Scene, scene, with, without};
use super::*;

/// What a member of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An integer of 32 bits.
    Id,
    Flag,
    /// One of a few texts.
    Word,
    /// Any text.
    Text,
    Object,
    /// Anything that is not too long.
    AppData,
}

use Kind::{AppData, Flag, Id, Object, Text, Word};

/// Its name; what it is; the error when it is missing, if it must be there; the error when it is wrong.
type Member = (&'static str, Kind, Option<&'static str>, &'static str);

const ID: Member = ("id", Id, Some("TypeError: id is missing"), "TypeError: id must be");
const CHOSEN_ID: Member = ("id", Id, None, "TypeError: id must be");
const APP_DATA: Member = ("appData", AppData, None, "TypeError: appData must not be longer");
const TRANSPORT_ID: Member =
    ("transportId", Id, Some("TypeError: transportId is missing"), "TypeError: transportId must be");
const PAUSED: Member = ("paused", Flag, None, "TypeError: paused must be a boolean");

impl Kind {
    /// Values that are not of this kind.
    fn wrong(self) -> Vec<Value> {
        if self == AppData {
            return vec![json!("x".repeat(20_000))];
        }
        let all = [
            (json!(true), Some(Flag)),
            (json!(7), Some(Id)),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(1_u64 << 32), None),
            (json!("x"), Some(Text)),
            (json!(""), None),
            (json!([]), None),
            (json!({}), Some(Object)),
        ];
        all.into_iter().filter(|(_, kind)| *kind != Some(self)).map(|(value, _)| value).collect()
    }
}

/// The requests that a peer can make: they are possible in the scene, one at a time.
fn requests(scene: &Scene) -> Vec<(Value, Vec<Member>)> {
    let direction = "TypeError: direction must be 'send' or 'recv'";
    let profile = "TypeError: preferredProfile must be";
    let rtp = "TypeError: rtpParameters must be an object";
    let kind = "TypeError: unsupported kind: ";
    let mut producer = producer_message(12, 10);
    producer["rtpParameters"]["muxId"] = json!("another");
    producer["rtpParameters"]["encodings"] = json!([{ "ssrc": 4_242 }]);
    let restart = json!({ "method": "restartTransport", "target": "peer", "id": 10 });
    let enable = json!({
        "method": "enableConsumer", "target": "peer", "id": scene.consumer, "transportId": 20,
        "paused": false, "preferredProfile": "default",
    });
    vec![
        (
            transport_message(30, "send"),
            vec![
                CHOSEN_ID,
                ("direction", Word, Some(direction), direction),
                ("options", Object, None, "TypeError: options must be an object"),
                ("dtlsParameters", Word, None, "TypeError: dtlsParameters"),
                APP_DATA,
            ],
        ),
        (restart, vec![ID]),
        (
            producer,
            vec![
                CHOSEN_ID,
                ("kind", Word, Some(kind), kind),
                TRANSPORT_ID,
                ("rtpParameters", Object, Some(rtp), rtp),
                PAUSED,
                APP_DATA,
            ],
        ),
        (enable, vec![ID, TRANSPORT_ID, PAUSED, ("preferredProfile", Word, None, profile)]),
    ]
}

fn notifications(scene: &Scene) -> Vec<(Value, Vec<Member>)> {
    let missing = "TypeError: dtlsParameters is missing";
    let recording = recording!("join-produce-consume-vp8");
    let update = with(&recording["log"][9]["message"], "id", json!(20));
    assert_eq!(update["method"], "updateTransport");
    let dtls = ("dtlsParameters", Word, Some(missing), "TypeError: dtlsParameters");
    let wish = json!({ "id": scene.consumer, "profile": "low" });
    let profile =
        ("profile", Word, Some("TypeError: profile is missing"), "TypeError: profile must be 'default'");
    let mut all = vec![
        (notice("leave", json!({})), vec![APP_DATA]),
        (update, vec![ID, dtls]),
        (notice("closeTransport", json!({ "id": 20 })), vec![ID, APP_DATA]),
        (notice("setConsumerPreferredProfile", wish), vec![ID, profile]),
    ];
    for (what, id) in
        [("Transport", json!(20)), ("Producer", json!(11)), ("Consumer", scene.consumer.clone())]
    {
        for verb in ["enable", "disable"] {
            // What is wrong with an interval makes it the shortest.
            let members = json!({ "id": id, "interval": "soon" });
            all.push((notice(&format!("{verb}{what}Stats"), members), vec![ID]));
        }
        for verb in ["pause", "resume"].into_iter().filter(|_| what != "Transport") {
            all.push((notice(&format!("{verb}{what}"), json!({ "id": id })), vec![ID, APP_DATA]));
        }
    }
    all.push((notice("closeProducer", json!({ "id": 11 })), vec![ID, APP_DATA]));
    all
}

/// Everything that is wrong about a message, with its error.
fn faults(message: &Value, members: &[Member]) -> Vec<(Value, String)> {
    let mut faults = vec![
        (without(message, "method"), "TypeError: method must be a string".to_owned()),
        (with(message, "method", json!(7)), "TypeError: method must be a string".to_owned()),
        (without(message, "target"), "TypeError: target must be".to_owned()),
        (with(message, "target", json!("world")), "TypeError: target must be".to_owned()),
    ];
    for (name, kind, missing, wrong) in members {
        if let Some(missing) = missing {
            faults.push((without(message, name), (*missing).to_owned()));
            faults.push((with(message, name, Value::Null), (*missing).to_owned()));
        }
        for value in kind.wrong() {
            faults.push((with(message, name, value), (*wrong).to_owned()));
        }
    }
    faults
}

#[test]
fn requests_to_the_room() {
    let mut scene = scene();
    let nobody = scene.nobody;
    let query = json!({ "method": "queryRoom", "target": "room" });
    for (wrong, error) in faults(&query, &[]) {
        scene.refused(nobody, &wrong, &error);
    }
    let room = scene.world.ask(nobody, &query).unwrap();
    let join = join_message("nobody", false, &room["rtpCapabilities"]);
    let name = "TypeError: peerName must be a string";
    let capabilities = "TypeError: wrong RTP capabilities";
    let members = [
        ("peerName", Text, Some(name), name),
        ("rtpCapabilities", Object, Some("TypeError: rtpCapabilities is missing"), capabilities),
        ("spy", Flag, None, "TypeError: spy must be a boolean"),
        APP_DATA,
    ];
    for (wrong, error) in faults(&join, &members) {
        scene.refused(nobody, &wrong, &error);
    }
    for message in [&query, &join] {
        scene.refused(nobody, &with(message, "notification", json!(true)), "TypeError: ");
        scene.refused(nobody, &with(message, "target", json!("peer")), "Error: unknown request method");
    }
    scene.world.ask(nobody, &join).unwrap();
    scene.world.close(nobody);
    for message in [query, join] {
        let error = scene.world.server.receive_request(scene.world.now, nobody, &message).unwrap_err();
        assert_eq!(error.to_string(), "InvalidStateError: Peer closed");
    }
}

#[test]
fn requests_to_a_peer() {
    for index in 0..requests(&scene()).len() {
        let mut scene = scene();
        let (message, members) = requests(&scene).swap_remove(index);
        let (a, nobody) = (scene.a, scene.nobody);
        let mut wrong = faults(&message, &members);
        wrong.push((with(&message, "notification", json!(1)), "TypeError: a request must not".to_owned()));
        wrong.push((with(&message, "target", json!("room")), "Error: unknown request method".to_owned()));
        for (wrong, error) in wrong {
            scene.refused(a, &wrong, &error);
        }
        scene.refused(nobody, &message, "InvalidStateError: the peer has not joined");
        // None of these was accepted, and this one is: so it was the fault that counted.
        scene.world.ask(a, &message).unwrap_or_else(|error| panic!("{message}: {error}"));
        scene.world.tell(a, &notice("leave", json!({})));
        scene.hush();
        scene.refused(a, &message, "InvalidStateError: the peer has not joined");
        scene.world.close(a);
        let error = scene.world.server.receive_request(scene.world.now, a, &message).unwrap_err();
        assert_eq!(error.to_string(), "InvalidStateError: Peer closed");
    }
}

#[test]
fn notifications_to_a_peer() {
    for index in 0..notifications(&scene()).len() {
        let mut scene = scene();
        let (message, members) = notifications(&scene).swap_remove(index);
        let (a, nobody) = (scene.a, scene.nobody);
        let mut wrong = faults(&message, &members);
        wrong.push((without(&message, "notification"), "TypeError: a notification must".to_owned()));
        wrong.push((with(&message, "notification", json!(0)), "TypeError: a notification must".to_owned()));
        wrong.push((with(&message, "target", json!("room")), "TypeError: the target".to_owned()));
        for (wrong, error) in wrong {
            scene.ignored(a, &wrong, &error);
        }
        scene.ignored(nobody, &message, "InvalidStateError: the peer has not joined");
        let now = scene.world.now;
        let outcome = scene.world.server.receive_notification(now, a, &message);
        outcome.unwrap_or_else(|error| panic!("{message}: {error}"));
        scene.world.drain();
        if message["method"] != "leave" {
            scene.world.tell(a, &notice("leave", json!({})));
        }
        scene.hush();
        scene.ignored(a, &message, "InvalidStateError: the peer has not joined");
        scene.world.close(a);
        let error = scene.world.server.receive_notification(now, a, &message).unwrap_err();
        assert_eq!(error.to_string(), "InvalidStateError: Peer closed");
    }
}

#[test]
fn the_table_has_every_message_of_the_protocol() {
    let scene = scene();
    let mut known: Vec<String> = requests(&scene)
        .into_iter()
        .chain(notifications(&scene))
        .map(|(message, _)| message["method"].as_str().unwrap().to_owned())
        .collect();
    known.extend(["queryRoom".to_owned(), "join".to_owned()]);
    // Whatever is sent in the recordings is among them.
    for recording in [
        recording!("join-produce-consume-vp8"),
        recording!("newconsumer-transportclosed"),
        recording!("produce-vp8-simulcast"),
    ] {
        let log = recording["log"].as_array().unwrap().clone();
        for entry in log.iter().filter(|entry| entry["dir"] == "client->server") {
            let method = entry["message"]["method"].as_str().unwrap();
            assert!(known.iter().any(|known| known == method), "{method}");
        }
    }
    assert_eq!(known.len(), 21);
}
