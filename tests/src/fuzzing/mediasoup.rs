//! Raw messages of the mediasoup protocol in a room of both generations: every request is answered once, and nothing is left at the
//! end.
use std::time::Duration;

use sansfu::server::{Action, SessionId};
use serde_json::{Value, json};

use super::house::House;
use super::scene;

/// A message a line: a notification if it says so, else a request. Lines that begin with `2` are the second member's; `3` lets a
/// second pass; `4` closes the second member; `5` is something that the server does to the first member, as JSON; `6` is a frame of
/// the version-3 peer; `7` is one of the first member, without the envelope; `8` is of a session that the application carries; `9`
/// has the room report how loud it is; `0` closes the room. `$c0` stands for the first consumer's id.
pub fn mediasoup(data: &[u8]) {
    let mut house = House::new(scene::media_codecs());
    let new = join_v3(&mut house);
    let members = ["a", "b"].map(|name| join(&mut house, name));
    let carried = house.attach("room");
    for line in data.split(|byte| *byte == b'\n').take(200) {
        let text = with_names(&house, &String::from_utf8_lossy(line));
        match line.first() {
            Some(b'2') => carry(&mut house, members[1], &text[1..]),
            Some(b'3') => house.pass(Duration::from_secs(1)),
            Some(b'4') => house.close(members[1]),
            Some(b'5') => act(&mut house, &text[1..]),
            Some(b'6') => house.message(new, &text[1..]),
            Some(b'7') => house.message(members[0], &text[1..]),
            Some(b'8') => {
                serde_json::from_str(&text[1..]).iter().for_each(|message| house.carry(carried, message));
            }
            Some(b'9') => {
                // There may be no room any more; so too with the next one.
                let _ = house.server.observe_audio(house.now, "room");
            }
            Some(b'0') => {
                let _ = house.server.close_room(house.now, "room");
                house.pass(Duration::ZERO);
            }
            _ => carry(&mut house, members[0], &text),
        }
    }
    house.finish();
}

/// A version-3 peer that produces sound.
fn join_v3(house: &mut House) -> SessionId {
    let session = house.open("room", "new");
    house.request(session, "createWebRtcTransport", &json!({ "producing": true, "consuming": true }));
    let device = json!({ "flag": "fuzz", "name": "Fuzz" });
    let capabilities = scene::router_capabilities();
    house.request(
        session,
        "join",
        &json!({ "displayName": "N", "device": device, "rtpCapabilities": capabilities }),
    );
    let options = &scene::productions()[0];
    let data = json!({
        "transportId": house.transports[0], "kind": options.kind, "rtpParameters": options.rtp_parameters,
    });
    house.request(session, "produce", &data);
    session
}

/// A member with a transport to send, 10, and one to receive, 20, which can receive sound.
fn join(house: &mut House, name: &str) -> SessionId {
    let session = house.open("room", name);
    let capabilities = json!({
        "codecs": scene::router_capabilities().codecs,
        "headerExtensions": [
            { "kind": "audio", "uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "preferredId": 1 },
            { "kind": "video", "uri": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", "preferredId": 3 },
        ],
    });
    let join =
        json!({ "method": "join", "target": "room", "peerName": name, "rtpCapabilities": capabilities });
    house.request(session, "mediasoup-request", &join);
    for (id, direction) in [(10, "send"), (20, "recv")] {
        let create =
            json!({ "method": "createTransport", "target": "peer", "id": id, "direction": direction });
        house.request(session, "mediasoup-request", &create);
    }
    assert_eq!(house.server.stats().rooms.refused_requests, 0);
    session
}

fn carry(house: &mut House, session: SessionId, text: &str) {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return };
    if message["notification"] == true {
        let frame = json!({ "notification": true, "method": "mediasoup-notification", "data": message });
        house.message(session, &frame.to_string());
    } else {
        house.request(session, "mediasoup-request", &message);
    }
}

fn act(house: &mut House, text: &str) {
    if let Ok(action) = serde_json::from_str::<Action>(text) {
        // Whether it can be done depends on what went before.
        let _ = house.server.act(house.now, "room", "a", action);
        house.pass(Duration::ZERO);
    }
}

fn with_names(house: &House, text: &str) -> String {
    let names = house.consumers.iter().enumerate();
    names.fold(text.to_owned(), |text, (index, name)| text.replace(&format!("$c{index}"), name))
}
