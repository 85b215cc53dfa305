//! Nonsense by the thousand, beside a call that must not notice.
use super::*;
use crate::rng::Rng;

/// A call of two with one consumer each way, and a stranger.
fn call(world: &mut World) -> (Client, Client) {
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    for (producing, consuming) in [(&a, &b), (&b, &a)] {
        world.produce(producing, &recorded!("audio-opus"));
        let offer = world.take(consuming.session).pop().unwrap();
        assert_eq!(offer["method"], "newConsumer");
        world.reply(consuming.session, &offer, true);
        world.take(consuming.session);
        world.take(producing.session);
    }
    (a, b)
}

/// Cuts, doubles, swaps or replaces something.
pub(super) fn mutate(rng: &mut Rng, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=rng.below(3) {
        let length = u32::try_from(bytes.len()).unwrap();
        let at = rng.below(length.max(1)) as usize;
        match rng.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), b"{}[]\",:0-e.ntf\\ \xff"[rng.below(17) as usize]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] = u8::try_from(rng.below(256)).unwrap(),
            _ => bytes.extend_from_slice(&text.as_bytes()[at.min(text.len())..]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn mutated_requests_get_at_most_one_response_each_and_disturb_nobody() {
    let limits = Limits { max_malformed_messages_per_session: u32::MAX, ..Limits::default() };
    let mut world = World::with_limits(limits);
    let (a, b) = call(&mut world);
    let stranger = world.arrive("r", "stranger");
    let before = world.counts();
    let mut rng = Rng::from_seed([5; 32]);
    let produce = json!({
        "transportId": stranger.send, "kind": "audio",
        "rtpParameters": recorded!("audio-opus")["produce"]["rtpParameters"],
    });
    let seeds: Vec<String> = [
        ("createWebRtcTransport", json!({ "producing": 7 })),
        ("connectWebRtcTransport", json!({ "transportId": stranger.send, "dtlsParameters": {} })),
        ("join", json!({ "displayName": "x", "device": [], "rtpCapabilities": { "codecs": [] } })),
        ("produce", produce),
        ("closeProducer", json!({ "producerId": a.send })),
        ("getRouterRtpCapabilities", json!({})),
    ]
    .into_iter()
    .map(|(method, data)| json!({ "request": true, "id": 1, "method": method, "data": data }).to_string())
    .collect();
    for n in 0..6_000 {
        let text = mutate(&mut rng, &seeds[n % seeds.len()]);
        world.take(stranger.session);
        world.say(stranger.session, &text);
        let frames = world.take(stranger.session);
        assert!(
            frames.len() <= 1 && frames.iter().all(|frame| frame["response"] == true),
            "{text}: {frames:?}"
        );
    }
    assert_eq!(world.counts(), before);
    assert!(world.server.stats().rooms.refused_malformed_messages > 1_000);
    assert_eq!((world.take(a.session), world.take(b.session)), (vec![], vec![]));
}

#[test]
fn mutated_offers_and_fragments_leave_nothing_behind() {
    let mut world = World::new();
    let (a, b) = call(&mut world);
    let before = world.counts();
    let mut rng = Rng::from_seed([6; 32]);
    let offer = recorded!("video-vp8-single")["localSdp"].as_str().unwrap().to_owned();
    for n in 0..1_500 {
        let text = mutate(&mut rng, &offer);
        let target = ["/whip/r/cam", "/whep/r/a", "/whip/elsewhere/cam"][n % 3];
        let response = world.http("POST", target, (Some("application/sdp"), None), text.as_bytes());
        match response.header("location") {
            Some(location) if response.status == 201 => {
                let fields = (Some("application/trickle-ice-sdpfrag"), Some("*"));
                let fragment = mutate(&mut rng, "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n");
                let patched = world.http("PATCH", location, fields, fragment.as_bytes());
                assert!(matches!(patched.status, 200 | 204 | 400), "{}", patched.status);
                assert_eq!(world.http("DELETE", location, (None, None), b"").status, 200);
            }
            _ => assert!((400..500).contains(&response.status), "{} {}", response.status, response.body),
        }
        assert_eq!(world.counts(), before);
    }
    let told = |world: &mut World, session| methods(&world.heard(session)).join(" ");
    let allowed = |told: String| {
        told.split(' ')
            .all(|method| matches!(method, "" | "newPeer" | "newConsumer" | "consumerClosed" | "peerClosed"))
    };
    assert!(allowed(told(&mut world, a.session)) && allowed(told(&mut world, b.session)));
    assert!(world.closed.is_empty());
}

#[test]
fn hostile_targets_and_methods_are_refused() {
    let mut world = World::new();
    let (_, _) = call(&mut world);
    let before = world.counts();
    let long = format!("/whip/r/{}", "x".repeat(10_000));
    for target in [
        "",
        "?",
        "/",
        "//",
        "/%",
        "/whip/%00/x",
        "/whip/r/%2e%2e",
        "/whip/r/\u{202e}/y",
        "/rooms",
        &long,
        "/whep/r/",
    ] {
        for method in ["POST", "GET", "DELETE", "PATCH", "", "\u{0}"] {
            let response = world.http(method, target, (Some("application/sdp"), None), b"v=0");
            assert!((400..500).contains(&response.status), "{method} {target}: {}", response.status);
        }
    }
    assert_eq!(world.counts(), before);
}
