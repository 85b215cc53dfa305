//! Peers thrown out by the operator.
use super::*;
use crate::room::close_code;

impl World {
    fn as_operator(&mut self, method: &str, target: &str, authorization: Option<&str>) -> HttpResponse {
        let secret = authorization.map(Secret::new);
        let request = HttpRequest {
            method,
            target,
            content_type: None,
            if_match: None,
            authorization: secret.as_ref(),
            body: b"",
        };
        self.exchange(request)
    }

    fn throw_out(&mut self, peer: &str) -> u16 {
        let right = format!("Bearer {ADMIN_TOKEN}");
        self.as_operator("DELETE", &format!("/rooms/r/peers/{peer}"), Some(&right)).status
    }
}

#[test]
fn only_who_has_the_token_can() {
    let mut world = World::new();
    let a = world.join("r", "a");
    let path = "/rooms/r/peers/a";
    let missing = world.as_operator("DELETE", path, None);
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("Bearer realm=\"sansfu\"")));
    let longer = format!("Bearer {ADMIN_TOKEN}1");
    let scheme = format!("Basic {ADMIN_TOKEN}");
    let other = format!("Bearer {}", ADMIN_TOKEN.to_uppercase());
    for wrong in ["", "Bearer", "Bearer ", "Bearer x", ADMIN_TOKEN, &longer, &scheme, &other] {
        for method in ["DELETE", "GET"] {
            let refused = world.as_operator(method, path, Some(wrong));
            assert_eq!(refused.status, 401, "{method} {wrong}");
            let challenge = refused.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer realm="), "{challenge}");
            assert!(!refused.body.contains(ADMIN_TOKEN), "{}", refused.body);
        }
    }
    let tried = world.as_operator("DELETE", path, Some("Bearer x"));
    assert!(tried.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    assert_eq!((world.counts()[..3].to_vec(), world.heard(a.session)), (vec![1, 1, 1], vec![]));

    let right = format!("bearer  {ADMIN_TOKEN}");
    assert_eq!(world.as_operator("GET", path, Some(&right)).header("allow"), Some("DELETE, OPTIONS"));
    for nobody in ["/rooms/r/peers/b", "/rooms/s/peers/a"] {
        assert_eq!(world.as_operator("DELETE", nobody, Some(&right)).status, 404, "{nobody}");
    }
    for elsewhere in ["/rooms/r/peers", "/rooms/r/peers/a/b", "/rooms/r/x/a"] {
        assert_eq!(world.as_operator("DELETE", elsewhere, Some(&right)).status, 404, "{elsewhere}");
    }
    assert_eq!(world.as_operator("OPTIONS", path, None).status, 204);
    assert_eq!(world.counts()[1], 1);
    assert_eq!(world.as_operator("DELETE", path, Some(&right)).status, 204);
    assert_eq!((world.counts(), world.server.stats().rooms.kicked_peers), ([0; 6], 1));
}

#[test]
fn without_a_token_there_is_no_such_resource() {
    let mut world = World::new();
    world.server.admin_token = None;
    world.join("r", "a");
    for authorization in [None, Some("Bearer "), Some("Bearer x")] {
        let response = world.as_operator("DELETE", "/rooms/r/peers/a", authorization);
        assert_eq!((response.status, response.header("www-authenticate")), (404, None));
    }
    assert_eq!(world.counts()[1], 1);
}

#[test]
fn secrets_are_not_shown() {
    let secret = Secret::new(ADMIN_TOKEN);
    let request = HttpRequest {
        method: "DELETE",
        target: "/",
        content_type: None,
        if_match: None,
        authorization: Some(&secret),
        body: b"",
    };
    let config = ServerConfig { admin_token: Some(secret.clone()), ..ServerConfig::default() };
    for shown in [format!("{request:?}"), format!("{config:?}"), format!("{:?}", World::new().server)] {
        assert!(shown.contains("Secret(…)") && !shown.contains("swordfish"), "{shown}");
    }
}

#[test]
fn a_client_of_version_3_is_closed_and_stays_away() {
    let mut world = World::new();
    let (a, b) = (world.join("r", "a"), world.join("r", "b"));
    world.produce(&a, &recorded!("audio-opus"));
    world.take(b.session);
    assert_eq!(world.throw_out("a"), 204);
    let (code, reason) = &world.closed[&a.session];
    assert_eq!((*code, reason.as_str()), (close_code::KICKED, "the operator has closed the peer"));
    assert_eq!(methods(&world.heard(b.session)), ["peerClosed", "consumerClosed"]);
    assert_eq!(world.counts(), [1, 1, 1, 2, 0, 0]);
    assert_eq!(world.throw_out("a"), 404);
    // It may come again, if whoever lets clients in lets it.
    world.join("r", "a");
    assert_eq!(methods(&world.heard(b.session)), ["newPeer"]);
}

#[test]
fn a_session_that_has_not_joined_is_closed_unheard() {
    let mut world = World::new();
    let (early, (watcher, _)) = (world.arrive("r", "early"), world.watch("r", "w"));
    assert_eq!(world.throw_out("early"), 204);
    assert_eq!((world.closed[&early.session].0, world.heard(watcher)), (4000, vec![]));
    assert_eq!(world.counts(), [1, 1, 1, 0, 0, 0]);
}

#[test]
fn a_publisher_by_whip_goes_with_its_resource() {
    let mut world = World::new();
    let sdp = (Some("application/sdp"), None);
    let offer = recorded!("audio-opus")["localSdp"].as_str().unwrap().to_owned();
    let (watcher, _) = world.watch("r", "w");
    let location = |response: HttpResponse| response.header("location").unwrap().to_owned();
    let resource = location(world.http("POST", "/whip/r/cam", sdp, offer.as_bytes()));
    world.take(watcher);
    assert_eq!(world.throw_out("cam"), 204);
    assert_eq!(methods(&world.heard(watcher)), ["producerRemoved", "peerClosed"]);
    assert_eq!(world.http("DELETE", &resource, (None, None), b"").status, 404);
    assert_eq!((world.counts(), world.server.stats().http.whip_resources), ([1, 1, 1, 0, 0, 0], 0));

    // One that has a session, too, loses both.
    let page = world.open("r", "both");
    world.request(page, "join", join_data("both", false)).unwrap();
    world.http("POST", "/whip/r/both", sdp, offer.as_bytes());
    world.take(watcher);
    assert_eq!(world.throw_out("both"), 204);
    assert_eq!(world.closed[&page].0, close_code::KICKED);
    assert_eq!(methods(&world.heard(watcher)), ["producerRemoved", "peerClosed"]);
    assert_eq!(world.counts(), [1, 1, 1, 0, 0, 0]);
}
