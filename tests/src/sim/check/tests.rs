//! Each rule is broken once: whoever judges must see it.
use std::net::SocketAddr;
use std::time::Duration;

use sansfu::event::{CloseReason, Event};
use sansfu::server::{Action, ExchangeId, HttpRequest, HttpResponse, SessionId};
use serde_json::{Value, json};

use super::*;
use crate::peer::path::stun::BindingRequest;

const ALICE: SessionId = SessionId(1);
const BOB: SessionId = SessionId(2);
const TRANSPORT: &str = "00000000000000000000000000000001";
const SSRC: u32 = 0x0102_0304;

/// A judge who has seen Alice publish and Bob take the consumer.
struct Court {
    judge: Judge,
    now: Instant,
}

fn remote() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 5_000))
}

fn message(session: SessionId, frame: &Value) -> Done {
    Done::Message { session, text: frame.to_string() }
}

fn answer(session: SessionId, id: u64, data: &Value) -> Done {
    message(session, &json!({ "response": true, "id": id, "ok": true, "data": data }))
}

fn notification(session: SessionId, method: &str, data: &Value) -> Done {
    message(session, &json!({ "notification": true, "method": method, "data": data }))
}

fn rtp(sequence_number: u16, fill: u8) -> Done {
    let mut bytes = vec![0x80, 96];
    bytes.extend(sequence_number.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(SSRC.to_be_bytes());
    bytes.extend([fill; 40]);
    Done::Datagram { remote: remote(), bytes }
}

fn check_of(password: &str) -> Vec<u8> {
    BindingRequest {
        username: "fragment:bob".to_owned(),
        password: Some(password.to_owned()),
        transaction: [5; 12],
        use_candidate: true,
    }
    .to_bytes()
}

/// A success answer, as far as the judge reads it.
fn success() -> Done {
    let mut bytes = vec![0x01, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend([5; 12]);
    Done::Datagram { remote: remote(), bytes }
}

impl Court {
    fn new() -> Self {
        let mut court = Court { judge: Judge::default(), now: crate::world::epoch() };
        court.judge.wire.expects_no_gaps = true;
        court.arrive(ALICE, "alice", &[]);
        court.arrive(BOB, "bob", &[notification(ALICE, "newPeer", &json!({ "id": "bob" }))]);
        let transport = json!({
            "id": TRANSPORT, "iceParameters": { "usernameFragment": "fragment", "password": "secret" },
        });
        court.fine(
            &request(BOB, 3, "createWebRtcTransport", &json!({ "consuming": true })),
            &[answer(BOB, 3, &transport)],
        );
        let transport =
            json!({ "id": "a", "iceParameters": { "usernameFragment": "other", "password": "x" } });
        court.fine(
            &request(ALICE, 3, "createWebRtcTransport", &json!({ "producing": true })),
            &[answer(ALICE, 3, &transport)],
        );
        court.fine(&produce(), &[answer(ALICE, 4, &json!({ "id": "p" })), offer()]);
        court.fine(&request_answer(), &[]);
        court.fine(&Said::Datagram(check_of("secret")), &[success()]);
        court
    }

    fn arrive(&mut self, session: SessionId, peer: &str, others: &[Done]) {
        let version = notification(session, "mediasoup-version", &json!({}));
        self.fine(&Said::Opened(session, peer.to_owned()), &[version]);
        let capabilities = json!({ "codecs": [{ "mimeType": "video/VP8" }] });
        let mut done = vec![answer(session, 2, &json!({ "peers": [] }))];
        done.extend(others.iter().cloned());
        self.fine(&request(session, 2, "join", &json!({ "rtpCapabilities": capabilities })), &done);
    }

    fn judge(&mut self, said: &Said, done: &[Done]) -> Result<(), Violation> {
        self.now += Duration::from_millis(10);
        let kick = |target| HttpRequest {
            method: "DELETE",
            target,
            content_type: None,
            if_match: None,
            authorization: None,
            body: &[],
        };
        let request;
        let told = match said {
            Said::Time => Told::Timeout,
            Said::Opened(session, peer) => Told::Opened { session: *session, room_id: "room", peer_id: peer },
            Said::Closed(session) => Told::Closed { session: *session },
            Said::Message(session, text) => Told::Message { session: *session, text },
            Said::Datagram(bytes) => Told::Datagram { remote: remote(), bytes },
            Said::Kick(target) => {
                request = kick(target);
                Told::Http { exchange: ExchangeId(1), request: &request }
            }
            Said::Act(peer_name, action) => Told::Act { room_id: "room", peer_name, action },
        };
        let step = Step { now: self.now, node: 0, told: &told, done };
        self.judge.model.observe(&step)?;
        self.judge.wire.observe(&step, &self.judge.model)
    }

    fn fine(&mut self, said: &Said, done: &[Done]) {
        assert_eq!(self.judge(said, done), Ok(()));
    }

    #[track_caller]
    fn breaks(&mut self, rule: &str, said: &Said, done: &[Done]) {
        let judged = self.judge(said, done).map_err(|violation| violation.rule);
        assert_eq!(judged, Err(rule), "the judge must see it");
    }
}

enum Said {
    Time,
    Opened(SessionId, String),
    Closed(SessionId),
    Message(SessionId, String),
    Datagram(Vec<u8>),
    Kick(&'static str),
    Act(&'static str, Action),
}

fn request(session: SessionId, id: u64, method: &str, data: &Value) -> Said {
    let frame = json!({ "request": true, "id": id, "method": method, "data": data });
    Said::Message(session, frame.to_string())
}

fn produce() -> Said {
    let parameters = json!({ "codecs": [{ "mimeType": "video/VP8" }] });
    let data = json!({ "transportId": "a", "rtpParameters": parameters, "appData": { "sound": true } });
    request(ALICE, 4, "produce", &data)
}

fn offer() -> Done {
    let data = json!({
        "id": "c", "producerId": "p", "producerPaused": false,
        "rtpParameters": { "encodings": [{ "ssrc": SSRC, "rtx": { "ssrc": SSRC + 1 } }] },
    });
    message(BOB, &json!({ "request": true, "id": 1, "method": "newConsumer", "data": data }))
}

fn request_answer() -> Said {
    Said::Message(BOB, json!({ "response": true, "id": 1, "ok": true, "data": {} }).to_string())
}

fn pause(session: SessionId, id: u64, what: &str) -> Said {
    let field = if what == "Consumer" { ("consumerId", "c") } else { ("producerId", "p") };
    request(session, id, &format!("pause{what}"), &json!({ field.0: field.1 }))
}

#[test]
fn media_that_may_flow_is_no_violation() {
    let mut court = Court::new();
    court.fine(&Said::Time, &[rtp(1, 1), rtp(2, 2), rtp(2, 2), rtp(3, 3)]);
    assert_eq!((court.judge.wire.rtp_packets, court.judge.wire.repeated_packets), (3, 1));
}

#[test]
fn requests_are_answered_once_and_rightly() {
    let stats = request(BOB, 9, "getConsumerStats", &json!({ "consumerId": "c" }));
    let fine = answer(BOB, 9, &json!([]));
    Court::new().fine(&stats, std::slice::from_ref(&fine));
    Court::new().breaks("a request without an answer", &stats, &[]);
    Court::new().breaks("a request answered twice", &stats, &[fine.clone(), fine.clone()]);
    Court::new().breaks("an answer to no request", &Said::Time, std::slice::from_ref(&fine));
    let refusal = json!({
        "response": true, "id": 9, "ok": false, "errorCode": 404, "errorReason": "no",
    });
    Court::new().breaks("a good request was refused", &stats, &[message(BOB, &refusal)]);
    let others = request(ALICE, 9, "pauseConsumer", &json!({ "consumerId": "c" }));
    Court::new().breaks("a wrong request was accepted", &others, &[answer(ALICE, 9, &json!({}))]);
    let silent = json!({ "response": true, "id": 9, "ok": false });
    Court::new().breaks("a refusal without a reason", &others, &[message(ALICE, &silent)]);
}

#[test]
fn everybody_is_told_what_concerns_him_and_nothing_else() {
    let paused = notification(BOB, "consumerPaused", &json!({ "consumerId": "c" }));
    let done = answer(ALICE, 9, &json!({}));
    Court::new().fine(&pause(ALICE, 9, "Producer"), &[done.clone(), paused.clone()]);
    Court::new().breaks("something was not said", &pause(ALICE, 9, "Producer"), std::slice::from_ref(&done));
    Court::new().breaks("something was said that is not so", &Said::Time, std::slice::from_ref(&paused));
    let closed = notification(BOB, "consumerClosed", &json!({ "consumerId": "c" }));
    let gone = notification(BOB, "peerClosed", &json!({ "peerId": "alice" }));
    Court::new().fine(&Said::Closed(ALICE), &[closed.clone(), gone.clone()]);
    Court::new().breaks("something was not said", &Said::Closed(ALICE), &[gone]);
    Court::new().breaks("something was said that is not so", &Said::Time, &[closed]);
    Court::new().breaks("an offer of a consumer that is not due", &Said::Time, &[offer()]);
    let unknown = notification(BOB, "somethingElse", &json!({}));
    Court::new().breaks("a notification of an unknown kind", &Said::Time, &[unknown]);
    let close = Done::Close { session: BOB, code: 4_500 };
    Court::new().breaks("a session closed without reason", &Said::Time, std::slice::from_ref(&close));
    Court::new().breaks("a session closed twice", &Said::Time, &[close.clone(), close.clone()]);
    let behind = notification(BOB, "newPeer", &json!({ "id": "x" }));
    Court::new().breaks("a message behind the end of its session", &Said::Time, &[close, behind]);
}

#[test]
fn what_is_paused_or_gone_gets_no_media() {
    let mut court = Court::new();
    court.fine(&pause(BOB, 9, "Consumer"), &[answer(BOB, 9, &json!({}))]);
    court.breaks("media of a paused consumer", &Said::Time, &[rtp(1, 1)]);
    let mut court = Court::new();
    let paused = notification(BOB, "consumerPaused", &json!({ "consumerId": "c" }));
    court.fine(&pause(ALICE, 9, "Producer"), &[answer(ALICE, 9, &json!({})), paused]);
    court.breaks("media of a paused consumer", &Said::Time, &[rtp(1, 1)]);
    let mut court = Court::new();
    let closed = notification(BOB, "consumerClosed", &json!({ "consumerId": "c" }));
    let close = request(ALICE, 9, "closeProducer", &json!({ "producerId": "p" }));
    court.fine(&close, &[answer(ALICE, 9, &json!({})), closed]);
    court.breaks("media of no consumer", &Said::Time, &[rtp(1, 1)]);
}

#[test]
fn keys_and_numbers_are_used_once() {
    Court::new().breaks("an SRTP index used for two packets", &Said::Time, &[rtp(1, 1), rtp(1, 2)]);
    Court::new().breaks("a gap in outgoing sequence numbers", &Said::Time, &[rtp(1, 1), rtp(3, 1)]);
    let rtcp = Done::Datagram { remote: remote(), bytes: [0x80, 200, 0, 6, 0, 0, 0, 1].repeat(4) };
    Court::new().breaks("an SRTCP index used twice", &Said::Time, &[rtcp.clone(), rtcp]);
}

#[test]
fn nothing_goes_to_who_has_not_proved_himself() {
    let stranger = SocketAddr::from(([192, 0, 2, 9], 9));
    let Done::Datagram { bytes, .. } = rtp(1, 1) else { unreachable!() };
    let to_stranger = Done::Datagram { remote: stranger, bytes };
    Court::new().breaks("a datagram to an unproved address", &Said::Time, &[to_stranger]);
    Court::new().breaks("STUN that nobody asked for", &Said::Time, &[success()]);
    let wrong = Said::Datagram(check_of("guessed"));
    Court::new().breaks("STUN success for a wrong password", &wrong, &[success()]);
    let noise = Done::Datagram { remote: remote(), bytes: vec![100; 50] };
    Court::new().breaks("a datagram of no protocol", &Said::Time, &[noise]);
    let long = Done::Datagram { remote: remote(), bytes: vec![0x80; 1_500] };
    Court::new().breaks("a datagram too long", &Said::Time, &[long]);
}

#[test]
fn consent_lasts_as_long_as_it_should() {
    let lost = |reason| {
        let transport_id = TRANSPORT.parse().unwrap();
        Done::Event(Event::TransportClosed { transport_id, reason })
    };
    let consequences = || {
        let closed = notification(BOB, "consumerClosed", &json!({ "consumerId": "c" }));
        let gone = notification(ALICE, "peerClosed", &json!({ "peerId": "bob" }));
        [closed, gone, Done::Close { session: BOB, code: 4_410 }, lost(CloseReason::ConsentExpired)]
    };
    Court::new().breaks("consent expired too early", &Said::Time, &consequences());
    let mut court = Court::new();
    court.now += Duration::from_secs(30);
    court.fine(&Said::Time, &consequences());
    let mut court = Court::new();
    court.now += Duration::from_secs(31);
    court.breaks("consent expired too late", &Said::Time, &[]);
    let [closed, ..] = consequences();
    Court::new().fine(&Said::Time, &[closed, lost(CloseReason::DtlsClosed)]);
}

const CAROL: SessionId = SessionId(3);

fn to_member(method: &str, members: &Value) -> Done {
    let mut data = json!({ "method": method, "target": "peer", "notification": true });
    for (name, value) in members.as_object().into_iter().flatten() {
        data[name] = value.clone();
    }
    notification(CAROL, "mediasoup-notification", &data)
}

fn ask_as_member(id: u64, message: &Value) -> Said {
    request(CAROL, id, "mediasoup-request", message)
}

/// Carol joins by the mediasoup protocol: what she asks, and what follows from it.
fn join_as_member(consumers: &Value) -> (Said, Vec<Done>) {
    let join = json!({
        "method": "join", "target": "room", "peerName": "carol",
        "rtpCapabilities": { "codecs": [{ "mimeType": "video/VP8" }] },
    });
    let peers = json!([{ "name": "alice", "consumers": consumers }, { "name": "bob", "consumers": [] }]);
    let new_peer = |session| notification(session, "newPeer", &json!({ "id": "carol" }));
    let done = vec![answer(CAROL, 2, &json!({ "peers": peers })), new_peer(ALICE), new_peer(BOB)];
    (ask_as_member(2, &join), done)
}

/// Carol is in the room, with a consumer that is not enabled.
fn court_with_a_member() -> Court {
    let mut court = Court::new();
    let version = notification(CAROL, "mediasoup-version", &json!({}));
    court.fine(&Said::Opened(CAROL, "carol".to_owned()), &[version]);
    let consumer = json!({
        "id": 7, "paused": false, "peerName": "alice", "appData": { "sound": true },
        "rtpParameters": { "encodings": [{ "ssrc": SSRC + 2 }] },
    });
    let (join, done) = join_as_member(&json!([consumer]));
    court.fine(&join, &done);
    court
}

fn enable(court: &mut Court) {
    let transport = json!({ "iceParameters": { "usernameFragment": "carol's", "password": "y" } });
    let create = json!({ "method": "createTransport", "target": "peer", "id": 20, "direction": "recv" });
    court.fine(&ask_as_member(3, &create), &[answer(CAROL, 3, &transport)]);
    let enable = json!({ "method": "enableConsumer", "target": "peer", "id": 7, "transportId": 20 });
    court.fine(&ask_as_member(4, &enable), &[answer(CAROL, 4, &json!({ "paused": false }))]);
}

#[test]
fn a_member_has_a_consumer_for_all_that_the_others_produce() {
    let mut court = Court::new();
    let version = notification(CAROL, "mediasoup-version", &json!({}));
    court.fine(&Said::Opened(CAROL, "carol".to_owned()), &[version]);
    let (join, done) = join_as_member(&json!([]));
    court.breaks("something was not said", &join, &done);
    let stranger = json!({ "id": 7, "paused": false, "peerName": "alice", "appData": {} });
    let told = to_member("newConsumer", &stranger);
    court_with_a_member().breaks("an offer of a consumer that is not due", &Said::Time, &[told]);
}

#[test]
fn a_member_is_told_in_its_dialect_and_only_of_what_is_enabled() {
    let done = answer(ALICE, 9, &json!({}));
    let paused = notification(BOB, "consumerPaused", &json!({ "consumerId": "c" }));
    let of_member = to_member("consumerPaused", &json!({ "id": 7 }));
    court_with_a_member().fine(&pause(ALICE, 9, "Producer"), &[done.clone(), paused.clone()]);
    let mut court = court_with_a_member();
    enable(&mut court);
    court.fine(&pause(ALICE, 9, "Producer"), &[done.clone(), paused.clone(), of_member]);
    let mut court = court_with_a_member();
    enable(&mut court);
    court.breaks("something was not said", &pause(ALICE, 9, "Producer"), &[done, paused]);
    let bandwidth = notification(CAROL, "downlinkBwe", &json!({}));
    court_with_a_member().breaks("a notification of the other version", &Said::Time, &[bandwidth]);
}

#[test]
fn of_a_peer_that_goes_a_member_hears_once() {
    let closed = notification(BOB, "consumerClosed", &json!({ "consumerId": "c" }));
    let gone = notification(BOB, "peerClosed", &json!({ "peerId": "alice" }));
    let of_member = to_member("peerClosed", &json!({ "name": "alice" }));
    let mut done = vec![closed, gone, of_member];
    court_with_a_member().fine(&Said::Closed(ALICE), &done);
    done.push(to_member("consumerClosed", &json!({ "id": 7 })));
    court_with_a_member().breaks("something was said that is not so", &Said::Closed(ALICE), &done);
    let close = request(ALICE, 9, "closeProducer", &json!({ "producerId": "p" }));
    let closed = notification(BOB, "consumerClosed", &json!({ "consumerId": "c" }));
    let done = [answer(ALICE, 9, &json!({})), closed, to_member("consumerClosed", &json!({ "id": 7 }))];
    court_with_a_member().fine(&close, &done);
}

fn acted(outcome: Result<(), &str>) -> Done {
    Done::Acted(outcome.map_err(str::to_owned))
}

fn pause_by_server(id: u32) -> Said {
    Said::Act("carol", Action::PauseConsumer { id, app_data: Value::Null })
}

#[test]
fn what_a_server_does_to_a_member_is_told_and_done() {
    let paused = to_member("consumerPaused", &json!({ "id": 7 }));
    court_with_a_member().fine(&pause_by_server(7), &[acted(Ok(()))]);
    let mut court = court_with_a_member();
    enable(&mut court);
    court.fine(&pause_by_server(7), &[acted(Ok(())), paused.clone()]);
    court.fine(&pause_by_server(7), &[acted(Ok(()))]);
    // The source is paused, too: that is not told again.
    let done =
        [answer(ALICE, 9, &json!({})), notification(BOB, "consumerPaused", &json!({ "consumerId": "c" }))];
    court.fine(&pause(ALICE, 9, "Producer"), &done);
    let mut court = court_with_a_member();
    enable(&mut court);
    court.breaks("something was not said", &pause_by_server(7), &[acted(Ok(()))]);
    let rule = "an action that was possible and refused, or the other way round";
    court_with_a_member().breaks(rule, &pause_by_server(7), &[acted(Err("no"))]);
    court_with_a_member().breaks(rule, &pause_by_server(8), &[acted(Ok(()))]);
    let of_version_3 = Said::Act("bob", Action::ClosePeer { app_data: Value::Null });
    court_with_a_member().breaks(rule, &of_version_3, &[acted(Ok(()))]);
}

#[test]
fn who_is_thrown_out_hears_it_and_so_do_the_others() {
    let response = |status| Done::Response { exchange: ExchangeId(1), response: HttpResponse::empty(status) };
    let gone = |session| notification(session, "peerClosed", &json!({ "peerId": "carol" }));
    let closed = to_member("closed", &json!({}));
    let close = Done::Close { session: CAROL, code: 4_000 };
    let done = [response(204), closed, gone(ALICE), gone(BOB), close];
    let kick = Said::Kick("/rooms/room/peers/carol");
    court_with_a_member().fine(&kick, &done);
    court_with_a_member().breaks("something was not said", &kick, &done[..4]);
    let wrong = "an HTTP request that was answered wrongly";
    court_with_a_member().breaks(wrong, &kick, &[response(404)]);
    court_with_a_member().breaks(wrong, &Said::Kick("/rooms/room/peers/dave"), &[response(204)]);
}

#[test]
fn of_a_spy_nobody_hears() {
    let mut court = Court::new();
    let version = notification(CAROL, "mediasoup-version", &json!({}));
    court.fine(&Said::Opened(CAROL, "carol".to_owned()), &[version]);
    let join = json!({
        "method": "join", "target": "room", "peerName": "carol", "spy": true,
        "rtpCapabilities": { "codecs": [] },
    });
    let consumer = json!({
        "id": 7, "paused": false, "peerName": "alice", "appData": { "sound": true }, "rtpParameters": {},
    });
    let peers = json!([{ "name": "alice", "consumers": [consumer] }, { "name": "bob", "consumers": [] }]);
    court.fine(&ask_as_member(2, &join), &[answer(CAROL, 2, &json!({ "peers": peers }))]);
    let send = json!({ "method": "createTransport", "target": "peer", "id": 20, "direction": "send" });
    let transport = json!({ "iceParameters": { "usernameFragment": "carol's", "password": "y" } });
    let accepted = answer(CAROL, 3, &transport);
    court.breaks("a wrong request was accepted", &ask_as_member(3, &send), &[accepted]);
    let gone = notification(ALICE, "peerClosed", &json!({ "peerId": "carol" }));
    court.breaks("something was said that is not so", &Said::Closed(CAROL), &[gone]);
}
