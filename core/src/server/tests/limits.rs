use super::*;
use crate::room::close_code;

#[test]
fn malformed_frames_are_answered_where_they_can_be_and_counted() {
    let mut world = World::new();
    let a = world.join("r", "a");
    let before = world.counts();
    for text in
        ["null", "[]", "{", "7", r#"{"request":true,"method":"join"}"#, r#"{"response":true,"id":"x"}"#]
    {
        world.say(a.session, text);
        assert_eq!(world.take(a.session), Vec::<Value>::new(), "{text}");
    }
    for text in [
        r#"{"request":true,"id":5,"method":1}"#,
        r#"{"request":true,"id":5,"method":"join","data":[]}"#,
        r#"{"id":5,"method":"join"}"#,
    ] {
        world.say(a.session, text);
        let frames = world.take(a.session);
        assert_eq!(
            (frames.len(), &frames[0]["id"], &frames[0]["errorCode"]),
            (1, &json!(5), &json!(400)),
            "{text}"
        );
    }
    let stats = world.server.stats().rooms;
    assert_eq!((stats.refused_malformed_messages, stats.refused_requests), (9, 3));
    assert_eq!(world.counts(), before);
    // Answers to what was never asked, and notifications, are none of it.
    world.say(a.session, r#"{"response":true,"id":77,"ok":true}"#);
    world.say(a.session, r#"{"notification":true,"method":"x"}"#);
    assert_eq!(world.server.stats().rooms.refused_malformed_messages, 9);
}

#[test]
fn who_keeps_talking_nonsense_is_closed() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.take(a.session);
    for n in 0..100 {
        assert!(world.closed.is_empty(), "after {n}");
        world.say(b.session, "nonsense");
    }
    assert_eq!(world.closed[&b.session].0, close_code::MALFORMED);
    assert_eq!(methods(&world.heard(a.session)), ["peerClosed"]);
    assert_eq!(world.server.stats().rooms.closed_malformed, 1);
    world.say(b.session, "nonsense");
    assert_eq!(world.server.stats().rooms.messages_received, 3 + 3 + 100);
}

#[test]
fn a_message_over_the_limit_is_malformed() {
    let mut world = World::with_limits(Limits { max_message_bytes: 200, ..Limits::default() });
    let session = world.open("r", "a");
    world.take(session);
    let text = |padding: usize| {
        let padding = "x".repeat(padding);
        format!(r#"{{"request":true,"id":1,"method":"getRouterRtpCapabilities","data":{{"x":"{padding}"}}}}"#)
    };
    let fits = 200 - text(0).len();
    world.say(session, &text(fits));
    assert_eq!(world.take(session).len(), 1);
    world.say(session, &text(fits + 1));
    assert_eq!(world.take(session).len(), 0);
}

#[test]
fn rooms_and_peers_are_limited() {
    let mut world = World::with_limits(Limits { max_rooms: 1, max_peers_per_room: 2, ..Limits::default() });
    let a = world.open("r", "a");
    let b = world.open("r", "b");
    for (room, peer) in [("s", "a"), ("r", "c")] {
        let refused = world.open(room, peer);
        assert_eq!(world.closed[&refused].0, close_code::LIMIT_REACHED, "{room} {peer}");
        assert_eq!(world.take(refused), Vec::<Value>::new());
    }
    let response = world.http("POST", "/whip/s/a", (Some("application/sdp"), None), b"v=0");
    assert_eq!(response.status, 503, "{}", response.body);
    // A peer that comes again takes no more space, and what is free again can be taken.
    let again = world.open("r", "b");
    assert_eq!(world.closed[&b].0, close_code::REPLACED);
    world.close(again);
    let c = world.open("r", "c");
    assert!(!world.closed.contains_key(&c));
    world.close(a);
    world.close(c);
    let s = world.open("s", "a");
    assert!(!world.closed.contains_key(&s));
    assert_eq!(world.server.stats().rooms.refused_limit, 3);
}

#[test]
fn unusable_ids_are_refused() {
    let mut world = World::new();
    for (room, peer) in
        [("", "a"), ("r", ""), ("r", "a/b"), ("\u{7}", "a"), ("r", &"x".repeat(65)), ("..", "a")]
    {
        let session = world.open(room, peer);
        assert_eq!(world.closed[&session].0, close_code::MALFORMED, "{room:?} {peer:?}");
    }
    assert_eq!(world.counts(), [0; 6]);
}

#[test]
fn transports_are_limited() {
    let mut world = World::with_limits(Limits { max_transports_per_peer: 2, ..Limits::default() });
    let client = world.arrive("r", "a");
    let refused = world.request(client.session, "createWebRtcTransport", json!({ "producing": true }));
    assert_eq!(refused, Err((503, "limit of 2 transports per peer reached".to_owned())));
    assert_eq!(world.counts()[3], 2);
}

#[test]
fn consumers_wait_until_the_client_has_answered_the_ones_before() {
    let mut world = World::with_limits(Limits { max_requests_in_flight_per_session: 1, ..Limits::default() });
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    world.produce(&a, &recorded!("video-vp8-single"));
    let first = world.take(b.session);
    assert_eq!((first.len(), first[0]["data"]["kind"].as_str()), (1, Some("audio")));
    world.reply(b.session, &first[0], false);
    let second = world.take(b.session);
    assert_eq!((second.len(), second[0]["data"]["kind"].as_str()), (1, Some("video")));
    // An answer that does not come makes space as well, in time.
    world.produce(&a, &recorded!("audio-pcmu"));
    assert_eq!(world.take(b.session), Vec::<Value>::new());
    world.pass(Duration::from_millis(22_600));
    assert_eq!(methods(&world.heard(b.session)), ["consumerClosed", "newConsumer"]);
}

#[test]
fn a_session_that_does_not_read_is_closed_and_the_others_live_on() {
    let limits = Limits { max_queued_messages_per_session: 50, ..Limits::default() };
    let mut world = World::with_limits(limits);
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.take(a.session);
    world.take(b.session);
    for n in 0..60 {
        let text = format!(
            r#"{{"request":true,"id":{n},"method":"changeDisplayName","data":{{"displayName":"{n}"}}}}"#
        );
        // Nobody polls meanwhile.
        world.server.handle_input(world.now, Input::Message { session: a.session, text: &text });
    }
    world.drain();
    assert_eq!(world.closed[&a.session].0, close_code::QUEUE_FULL);
    assert_eq!(world.closed[&b.session].0, close_code::QUEUE_FULL);
    assert_eq!((world.take(a.session).len(), world.take(b.session).len()), (50, 50));
    assert_eq!(world.server.stats().rooms.closed_queue_full, 2);
    assert_eq!(world.counts(), [0; 6]);
}

#[test]
fn events_that_nobody_polls_are_dropped_and_counted() {
    let mut world = World::with_limits(Limits { max_queued_events: 1, ..Limits::default() });
    for (room, [send, receive]) in
        [("r", ["192.0.2.1:1000", "192.0.2.1:1001"]), ("s", ["192.0.2.1:1002", "192.0.2.1:1003"])]
    {
        let client = world.arrive(room, "a");
        world.check(&client.send, send);
        world.check(&client.receive, receive);
    }
    world.events.clear();
    world.now += Duration::from_secs(120);
    world.server.handle_input(world.now, Input::Timeout);
    assert!(world.server.stats().sfu.dropped_events > 0);
    world.drain();
    assert_eq!(world.events.len(), 1);
    assert_eq!(world.counts(), [0; 6], "what is not observed has happened all the same");
}

#[test]
fn bodies_are_limited() {
    let mut world = World::with_limits(Limits { max_body_bytes: 10, ..Limits::default() });
    for (target, status) in [("/whip/r/p", 413), ("/rooms/r", 413), ("/nowhere", 413)] {
        assert_eq!(world.http("POST", target, (Some("application/sdp"), None), &[b'x'; 11]).status, status);
    }
    assert_eq!(world.http("POST", "/whip/r/p", (Some("application/sdp"), None), &[b'x'; 10]).status, 400);
}
