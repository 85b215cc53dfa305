use super::*;
use crate::server::edge::{Route, route};

const SDP: (Option<&str>, Option<&str>) = (Some("application/sdp"), None);
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// The offer that Chromium made for a recorded producer.
fn offer(recorded: &Value) -> String {
    recorded["localSdp"].as_str().unwrap().to_owned()
}

/// The offer of somebody who wants to receive the same.
fn receiving(recorded: &Value) -> String {
    let offer = offer(recorded).replace("a=sendonly", "a=recvonly");
    let kept = |line: &&str| !line.starts_with("a=ssrc") && !line.starts_with("a=msid:");
    offer.split_inclusive("\r\n").filter(kept).collect()
}

fn post(world: &mut World, target: &str, offer: &str) -> HttpResponse {
    world.http("POST", target, SDP, offer.as_bytes())
}

#[test]
fn a_publisher_is_a_peer_like_any_other() {
    let mut world = World::new();
    let a = world.join("r", "a");
    let (page, _) = world.watch("r", "p");
    world.take(a.session);
    let response = post(&mut world, "/whip/r/cam", &offer(&recorded!("video-vp8-single")));
    assert_eq!(response.status, 201, "{}", response.body);
    assert_eq!(response.header("content-type"), Some("application/sdp"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let etag = response.header("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag}");
    let location = response.header("location").unwrap().to_owned();
    let token = location.strip_prefix("/whip/r/cam/").unwrap();
    assert_eq!(token.len(), 32);
    let producer = response.header("x-sansfu-producers").unwrap().strip_prefix("video=").unwrap().to_owned();
    assert!(response.body.starts_with("v=0\r\n"));

    let device = json!({ "flag": "whip", "name": "WHIP", "version": "" });
    let new_peer = ("newPeer".to_owned(), json!({ "id": "cam", "displayName": "cam", "device": device }));
    let added = json!({ "peerId": "cam", "producerId": producer, "kind": "video", "paused": false });
    assert_eq!(world.heard(page), [new_peer.clone(), ("producerAdded".to_owned(), added)]);
    let heard = world.heard(a.session);
    assert_eq!(methods(&heard), ["newPeer", "newConsumer"]);
    assert_eq!((&heard[1].1["peerId"], &heard[1].1["appData"]), (&json!("cam"), &json!({})));
    let b = world.join("r", "b");
    assert_eq!(b.joined["peers"].as_array().unwrap().iter().filter(|peer| peer["id"] == "cam").count(), 1);
    world.take(a.session);
    world.take(page);

    let gone = world.http("DELETE", &location, (None, None), b"");
    assert_eq!((gone.status, gone.body.as_str()), (200, ""));
    assert_eq!(methods(&world.heard(page)), ["producerRemoved", "peerClosed"]);
    assert_eq!(methods(&world.heard(a.session)), ["peerClosed", "consumerClosed"]);
    assert_eq!(world.http("DELETE", &location, (None, None), b"").status, 404);
    assert_eq!(world.counts()[1], 3);
}

#[test]
fn a_publisher_alone_makes_and_ends_its_room() {
    let mut world = World::new();
    let response = post(&mut world, "/whip/a%20room/%C3%A9", &offer(&recorded!("audio-opus")));
    let location = response.header("location").unwrap();
    assert!(location.starts_with("/whip/a%20room/%C3%A9/"), "{location}");
    assert_eq!(route("DELETE", location, None), Route::Room { room_id: "a room".to_owned() });
    assert_eq!(world.counts(), [1, 1, 0, 1, 1, 0]);
    assert_eq!(world.server.stats().http.whip_resources, 1);
    assert_eq!(world.http("DELETE", location, (None, None), b"").status, 200);
    assert_eq!(world.counts(), [0; 6]);
    assert_eq!(world.server.stats().http.whip_resources, 0);
}

#[test]
fn a_publisher_whose_connection_dies_is_gone() {
    let mut world = World::new();
    let (page, _) = world.watch("r", "p");
    let response = post(&mut world, "/whip/r/cam", &offer(&recorded!("audio-opus")));
    let location = response.header("location").unwrap();
    let producer = response.header("x-sansfu-producers").unwrap().strip_prefix("audio=").unwrap();
    let transport = world.server.sfu().producer(producer.parse().unwrap()).unwrap().transport_id.to_string();
    world.take(page);
    world.pass(Duration::from_secs(20));
    world.check(&transport, "192.0.2.1:1000");
    // ICE alone is no connection: DTLS has to follow in time.
    world.pass(Duration::from_millis(9_900));
    assert_eq!(world.heard(page), []);
    world.pass(Duration::from_millis(200));
    assert_eq!(methods(&world.heard(page)), ["producerRemoved", "peerClosed"]);
    assert_eq!(world.http("DELETE", location, (None, None), b"").status, 404);
    assert_eq!((world.counts(), world.server.stats().http.whip_resources), ([1, 1, 1, 0, 0, 0], 0));
    assert_eq!(world.deadline.at, None);
}

#[test]
fn a_viewer_that_never_connects_is_gone() {
    let mut world = World::new();
    let (a, video) = (world.join("r", "a"), recorded!("video-vp8-single"));
    world.produce(&a, &video);
    let viewer = post(&mut world, "/whep/r/a", &receiving(&video));
    world.pass(Duration::from_secs(31));
    assert_eq!(world.http("DELETE", viewer.header("location").unwrap(), (None, None), b"").status, 404);
    assert_eq!((world.counts(), world.server.stats().http.whep_resources), ([1, 1, 1, 2, 1, 0], 0));
}

#[test]
fn session_and_publisher_of_one_id_are_one_peer() {
    let mut world = World::new();
    let (watcher, _) = world.watch("r", "w");
    let (page, _) = world.watch("r", "p");
    world.take(watcher);
    let response = post(&mut world, "/whip/r/p", &offer(&recorded!("audio-opus")));
    let producer = response.header("x-sansfu-producers").unwrap().strip_prefix("audio=").unwrap().to_owned();
    assert_eq!(methods(&world.heard(watcher)), ["producerAdded"], "it has been announced before");
    assert_eq!(world.heard(page), [], "nobody hears of itself");
    // The session controls what the resource sends.
    assert_eq!(world.request(page, "pauseProducer", json!({ "producerId": producer })), Ok(json!({})));
    assert_eq!(methods(&world.heard(watcher)), ["producerPaused"]);
    assert!(world.server.sfu().producer(producer.parse().unwrap()).unwrap().paused);
    // The session is lost: the resource holds the peer, with its name.
    world.close(page);
    assert_eq!(world.heard(watcher), []);
    let (third, joined) = world.watch("r", "third");
    let known = joined["peers"].as_array().unwrap().iter().find(|peer| peer["id"] == "p").unwrap().clone();
    assert_eq!((&known["displayName"], &known["producers"][0]["paused"]), (&json!("P"), &json!(true)));
    world.close(third);
    world.take(watcher);
    // It comes back under another name.
    let session = world.open("r", "p");
    assert_eq!(world.heard(watcher), []);
    let mut data = join_data("p", false);
    data["displayName"] = json!("Pat");
    world.request(session, "join", data).unwrap();
    assert_eq!(methods(&world.heard(watcher)), ["peerDisplayNameChanged"]);
    // Now the resource ends, and the session holds the peer.
    world.http("DELETE", response.header("location").unwrap(), (None, None), b"");
    assert_eq!(methods(&world.heard(watcher)), ["producerRemoved"]);
    world.close(session);
    assert_eq!(methods(&world.heard(watcher)), ["peerClosed"]);
}

#[test]
fn a_publisher_that_opens_a_session_gets_its_name() {
    let mut world = World::new();
    let (watcher, _) = world.watch("r", "w");
    let client = world.join("r", "client");
    world.take(watcher);
    post(&mut world, "/whip/r/p", &offer(&recorded!("audio-opus")));
    world.take(watcher);
    world.take(client.session);
    let session = world.open("r", "p");
    world.request(session, "join", join_data("p", false)).unwrap();
    assert_eq!(methods(&world.heard(watcher)), ["peerDisplayNameChanged", "newPeer"]);
    assert_eq!(methods(&world.heard(client.session)), ["peerDisplayNameChanged"]);
}

#[test]
fn the_newer_publisher_wins() {
    let mut world = World::new();
    let (page, _) = world.watch("r", "w");
    let older = post(&mut world, "/whip/r/p", &offer(&recorded!("audio-opus")));
    world.take(page);
    let refused = post(&mut world, "/whip/r/p", "nonsense");
    assert_eq!(refused.status, 400);
    assert_eq!(world.heard(page), [], "a refused offer changes nothing");
    let newer = post(&mut world, "/whip/r/p", &offer(&recorded!("video-vp8-single")));
    assert_eq!(newer.status, 201);
    assert_eq!(methods(&world.heard(page)), ["producerRemoved", "producerAdded"]);
    assert_eq!(world.http("DELETE", older.header("location").unwrap(), (None, None), b"").status, 404);
    assert_eq!(world.counts(), [1, 2, 1, 1, 1, 0]);
    assert_eq!(world.server.stats().http.whip_resources, 1);
}

#[test]
fn a_viewer_watches_a_peer() {
    let mut world = World::new();
    let a = world.join("r", "a");
    for (target, body) in [("/whep/r/nobody", ""), ("/whep/nowhere/a", ""), ("/whep/r/a", "")] {
        assert_eq!(post(&mut world, target, body).status, 404, "{target}");
    }
    let video = recorded!("video-vp8-single");
    let producer = world.produce(&a, &video);
    let viewer = post(&mut world, "/whep/r/a", &receiving(&video));
    assert_eq!(viewer.status, 201, "{}", viewer.body);
    assert!(viewer.header("location").unwrap().starts_with("/whep/r/a/"));
    assert!(viewer.header("etag").is_some() && viewer.header("x-sansfu-producers").is_none());
    assert_eq!(world.counts(), [1, 1, 1, 3, 1, 1]);
    assert_eq!(world.server.stats().http.whep_resources, 1);
    assert_eq!(world.http("DELETE", viewer.header("location").unwrap(), (None, None), b"").status, 200);
    assert_eq!(world.counts(), [1, 1, 1, 2, 1, 0]);

    // A viewer goes with the last thing that it views.
    let viewer = post(&mut world, "/whep/r/a", &receiving(&video));
    world.request(a.session, "closeProducer", json!({ "producerId": producer })).unwrap();
    assert_eq!(world.http("DELETE", viewer.header("location").unwrap(), (None, None), b"").status, 404);
    assert_eq!((world.counts(), world.server.stats().http.whep_resources), ([1, 1, 1, 2, 0, 0], 0));

    // It holds no room.
    world.produce(&a, &recorded!("video-vp8-single"));
    assert_eq!(post(&mut world, "/whep/r/a", &receiving(&video)).status, 201);
    world.close(a.session);
    assert_eq!((world.counts(), world.server.stats().http.whep_resources), ([0; 6], 0));
}

#[test]
fn offers_are_refused_clearly_and_leave_nothing() {
    let mut world = World::new();
    let audio = offer(&recorded!("audio-opus"));
    let (page, _) = world.watch("r", "w");
    let before = world.counts();
    for (content_type, body, status) in [
        (None, audio.as_str(), 415),
        (Some("text/plain"), &audio, 415),
        (Some(FRAGMENT), &audio, 415),
        (Some("application/sdp"), "", 400),
        (Some("application/sdp"), "nonsense", 400),
        (Some("application/sdp"), "{}", 400),
        (Some("application/sdp"), "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", 422),
        (
            Some("application/sdp"),
            &audio.replace("opus/48000/2", "nothing/48000/2").replace("PCM", "XCM"),
            422,
        ),
    ] {
        let response = world.http("POST", "/whip/r/cam", (content_type, None), body.as_bytes());
        assert_eq!(response.status, status, "{content_type:?} {body}: {}", response.body);
        assert!(!response.body.is_empty());
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(world.http("POST", "/whip/r/cam", SDP, b"\xff\xfe").status, 400);
    assert_eq!((world.counts(), world.heard(page)), (before, vec![]));
    let response = world.http("POST", "/whip/other/cam", SDP, b"nonsense");
    assert_eq!((response.status, world.counts()), (400, before), "no room is left behind either");
    assert_eq!(world.server.stats().http.refused_http_requests, 10);
    let typed = (Some("Application/SDP ; charset=utf-8"), None);
    assert_eq!(world.http("POST", "/whip/r/cam", typed, audio.as_bytes()).status, 201);
}

#[test]
fn methods_and_paths() {
    let mut world = World::new();
    let response = post(&mut world, "/whip/r/p", &offer(&recorded!("audio-opus")));
    let resource = response.header("location").unwrap().to_owned();
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "BREW"] {
        for endpoint in ["/whip/r/p", "/whep/r/p"] {
            let response = world.http(method, endpoint, SDP, b"");
            assert_eq!((response.status, response.header("allow")), (405, Some("OPTIONS, POST")), "{method}");
        }
    }
    for method in ["GET", "HEAD", "PUT", "POST"] {
        let response = world.http(method, &resource, SDP, b"");
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some("DELETE, OPTIONS, PATCH")),
            "{method}"
        );
    }
    for target in ["/whip/r/p", &resource, "/rooms/r"] {
        let response = world.http("OPTIONS", target, (None, None), b"");
        assert_eq!((response.status, response.header("accept-post")), (204, Some("application/sdp")));
        assert!(response.header("access-control-allow-methods").unwrap().contains("PATCH"));
        assert!(response.header("access-control-allow-headers").unwrap().contains("If-Match"));
    }
    let token = resource.rsplit('/').next().unwrap();
    for target in [
        "/whip/r".to_owned(),
        "/whip/r/p/x/y".to_owned(),
        "/whip/r/p/".to_owned(),
        format!("/whip/r/other/{token}"),
        format!("/whip/other/p/{token}"),
        format!("/whep/r/p/{token}"),
        format!("{resource}x"),
        "/elsewhere".to_owned(),
    ] {
        assert_eq!(world.http("DELETE", &target, (None, None), b"").status, 404, "{target}");
    }
    assert_eq!(world.http("POST", "/whip/r/%0a", SDP, b"v=0").status, 400);
    assert_eq!(world.http("POST", "/rooms/r", SDP, b"").status, 405);
    assert_eq!(world.counts()[3], 1, "the publisher is undisturbed");
}

#[test]
fn fragments_need_the_entity_tag() {
    let mut world = World::new();
    let sdp = offer(&recorded!("audio-opus"));
    let response = post(&mut world, "/whip/r/p", &sdp);
    let (resource, etag) = (response.header("location").unwrap(), response.header("etag").unwrap());
    let line = |name: &str| sdp.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let credentials = format!("{}\r\n{}\r\n", line("a=ice-ufrag"), line("a=ice-pwd"));
    let section = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
    let candidate = "a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n";
    let trickle = format!("{credentials}{section}{candidate}a=end-of-candidates\r\n");
    let patch = |world: &mut World, if_match: Option<&str>, body: &str| {
        world.http("PATCH", resource, (Some(FRAGMENT), if_match), body.as_bytes())
    };
    let others = format!("\"x\", {etag}");
    for (if_match, body, status) in [
        (None, trickle.as_str(), 428),
        (Some("\"other\""), &trickle, 412),
        (Some(etag.trim_matches('"')), &trickle, 412),
        (Some(&*format!("W/{etag}")), &trickle, 412),
        (Some(etag), &trickle, 204),
        (Some("*"), &trickle, 204),
        (Some(&*others), &trickle, 204),
        (Some(etag), "nonsense", 400),
    ] {
        let response = patch(&mut world, if_match, body);
        assert_eq!(response.status, status, "{if_match:?} {body}: {}", response.body);
    }
    assert_eq!(world.http("PATCH", resource, (Some("application/sdp"), Some(etag)), b"").status, 415);

    let restart = "a=ice-ufrag:newfrag\r\na=ice-pwd:newpassword0123456789abcd\r\n".to_owned() + section;
    let response = patch(&mut world, Some("*"), &restart);
    assert_eq!(
        (response.status, response.header("content-type")),
        (200, Some(FRAGMENT)),
        "{}",
        response.body
    );
    let new_etag = response.header("etag").unwrap();
    assert_ne!(new_etag, etag);
    assert!(response.body.contains("a=ice-ufrag:"));
    let trickle = restart.clone() + candidate;
    assert_eq!(patch(&mut world, Some(etag), &trickle).status, 412);
    assert_eq!(patch(&mut world, Some(new_etag), &trickle).status, 204);
}

#[test]
fn viewers_are_limited() {
    let mut world = World::with_limits(Limits { max_viewers_per_room: 1, ..Limits::default() });
    let audio = recorded!("audio-opus");
    post(&mut world, "/whip/r/p", &offer(&audio));
    assert_eq!(post(&mut world, "/whep/r/p", &receiving(&audio)).status, 201);
    assert_eq!(post(&mut world, "/whep/r/p", &receiving(&audio)).status, 503);
}

#[test]
fn statistics_are_one_flat_object() {
    let mut world = World::new();
    post(&mut world, "/whip/r/p", &offer(&recorded!("audio-opus")));
    let response = world.http("GET", "/stats", (None, None), b"");
    let stats: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(
        (&stats["rooms"], &stats["producers"], &stats["whipResources"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(stats["httpRequests"], 2);
    assert!(stats.as_object().unwrap().values().all(Value::is_u64));
    assert_eq!(world.http("POST", "/stats", (None, None), b"").status, 405);
}
