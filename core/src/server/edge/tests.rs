use super::*;

fn status(route: Route) -> u16 {
    match route {
        Route::Respond(response) => response.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn websockets_need_both_ids_and_the_sub_protocol() {
    let accepted = |room: &str, peer: &str| Route::WebSocket { room_id: room.into(), peer_id: peer.into() };
    assert_eq!(route("GET", "/?roomId=r&peerId=p", Some("protoo")), accepted("r", "p"));
    assert_eq!(
        route("GET", "/?peerId=p&x=1&roomId=r&consumerReplicas=0", Some("a, protoo")),
        accepted("r", "p")
    );
    assert_eq!(route("GET", "/?roomId=a%20b+c&peerId=%C3%A9", Some("protoo")), accepted("a b c", "é"));
    for target in [
        "/",
        "/?roomId=r",
        "/?peerId=p",
        "/?roomId=&peerId=p",
        "/?roomId=r&peerId=",
        "/?roomid=r&peerId=p",
        "/?roomId=a%2Fb&peerId=p",
        "/?roomId=a%0ab&peerId=p",
        "/?roomId=%ff&peerId=p",
        "/?roomId=..&peerId=p",
    ] {
        assert_eq!(status(route("GET", target, Some("protoo"))), 400, "{target}");
    }
    assert_eq!(status(route("GET", "/?roomId=r&peerId=p", Some(""))), 400);
    assert_eq!(status(route("GET", "/?roomId=r&peerId=p", Some("protoo2"))), 400);
    assert_eq!(status(route("GET", "/room?roomId=r&peerId=p", Some("protoo"))), 404);
    assert_eq!(status(route("POST", "/?roomId=r&peerId=p", Some("protoo"))), 405);
    let long = "x".repeat(65);
    assert_eq!(status(route("GET", &format!("/?roomId={long}&peerId=p"), Some("protoo"))), 400);
    assert_eq!(
        route("GET", &format!("/?roomId={}&peerId=p", &long[1..]), Some("protoo")),
        accepted(&long[1..], "p")
    );
}

#[test]
fn a_refusal_says_what_is_missing() {
    let Route::Respond(response) = route("GET", "/?roomId=r", Some("protoo")) else { panic!() };
    assert!(response.body.contains("peerId"), "{}", response.body);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn paths_lead_where_they_should() {
    let room = |id: &str| Route::Room { room_id: id.into() };
    for (method, target, expected) in [
        ("GET", "/", Route::File("index.html")),
        ("HEAD", "/?room=x", Route::File("index.html")),
        ("GET", "/app.js", Route::File("app.js")),
        ("GET", "/style.css?v=2", Route::File("style.css")),
        ("GET", "/stats", Route::Stats),
        ("POST", "/whip/r/p", room("r")),
        ("DELETE", "/whip/a%20b/p/token", room("a b")),
        ("POST", "/whep/r/p", room("r")),
        ("PUT", "/whep/r/p", room("r")),
        ("GET", "/rooms/r", room("r")),
        ("OPTIONS", "/whip/r/p", room("r")),
    ] {
        assert_eq!(route(method, target, None), expected, "{method} {target}");
    }
    for (method, target, expected) in [
        ("GET", "/health", 200),
        ("POST", "/health", 405),
        ("POST", "/", 405),
        ("DELETE", "/stats", 405),
        ("PUT", "/app.js", 405),
        ("GET", "/favicon.ico", 404),
        ("GET", "/../app.js", 404),
        ("GET", "/health/x", 404),
        ("GET", "/stats/", 404),
        ("GET", "", 404),
        ("GET", "*", 404),
        ("GET", "app.js/", 404),
        ("POST", "/whip", 404),
        ("POST", "/whip/", 404),
        ("POST", "/whip/%2f/p", 400),
        ("POST", "/whip/%ff/p", 404),
        ("GET", "/rooms/a%00", 400),
        ("OPTIONS", "/whip", 204),
    ] {
        assert_eq!(status(route(method, target, None)), expected, "{method} {target}");
    }
}

#[test]
fn health_is_the_documented_text() {
    let Route::Respond(response) = route("GET", "/health", None) else { panic!() };
    assert_eq!(response.body, r#"{"status":"ok"}"#);
}

#[test]
fn percent_encoding_is_undone_by_decoding() {
    for text in ["r", "a b/c", "é…%41", "?&=#+", "~-._"] {
        let path = format!("/whip/{}/x", target::percent_encode(text));
        assert_eq!(Target::parse(&path).segments()[1], text);
    }
    assert_eq!(Target::parse("/%4/%zz/%").segments(), ["%4", "%zz", "%"]);
    assert_eq!(Target::parse("/a?x=1#y").query("x").as_deref(), Some("1"));
    assert_eq!(Target::parse("/a?x").query("x").as_deref(), Some(""));
    assert_eq!(Target::parse("/a?y=1").query("x"), None);
}

#[test]
fn rooms_are_spread_and_stay_where_they_are() {
    // The reference value of FNV-1a for "a" (64 bits) is 0xaf63dc4c8601ec8c.
    assert_eq!(shard("a", 1 << 16), 0xec8c);
    assert_eq!(shard("", 1), 0);
    assert_eq!(shard("x", 0), 0);
    let mut counts = [0; 4];
    for n in 0..4_000 {
        counts[shard(&format!("room-{n}"), 4)] += 1;
    }
    assert!(counts.iter().all(|n| (800..1_200).contains(n)), "{counts:?}");
}

#[test]
fn statistics_are_added_up() {
    let parts = [
        r#"{"rooms":1,"x":{"y":2},"z":"a"}"#,
        r#"{"rooms":4,"x":{"y":0.5},"w":7,"z":"b"}"#,
        "503",
        "nonsense",
    ];
    let merged: Value = serde_json::from_str(&merge_stats(&parts.map(String::from))).unwrap();
    assert_eq!(merged, serde_json::json!({"rooms": 5, "x": {"y": 2.5}, "z": "a", "w": 7}));
    assert_eq!(merge_stats(&[]), "{}");
    let largest = format!(r#"{{"n":{}}}"#, u64::MAX);
    let merged: Value = serde_json::from_str(&merge_stats(&[largest.clone(), largest])).unwrap();
    assert_eq!(merged["n"], u64::MAX);
}

#[test]
fn the_files_are_those_of_the_page() {
    let directory = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime-smol/web")).unwrap();
    let mut found: Vec<String> =
        directory.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut files = FILES.map(String::from).to_vec();
    found.sort();
    files.sort();
    assert_eq!(files, found);
}
