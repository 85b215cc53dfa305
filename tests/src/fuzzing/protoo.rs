//! Raw text frames of two clients that have joined: every request is answered once, and nothing is left at the end.
use std::borrow::Cow;
use std::time::Duration;

use sansfu::server::SessionId;
use serde_json::json;

use super::house::House;
use super::scene;

/// A frame a line. Lines that begin with `2` are the other client's; `3` lets a second pass; `4` takes the oldest consumer that was
/// offered, `5` refuses it, `6` closes the second client. `$t0` stands for the first transport's id, `$p0` and `$c0` likewise for
/// producers and consumers.
pub fn protoo(data: &[u8]) {
    let mut house = House::new(scene::media_codecs());
    let sessions = ["a", "b"].map(|peer| join(&mut house, peer));
    for line in data.split(|byte| *byte == b'\n').take(200) {
        let text = String::from_utf8_lossy(line);
        match line.first() {
            Some(b'2') => house.message(sessions[1], &with_names(&house, &text[1..])),
            Some(b'3') => house.pass(Duration::from_secs(1)),
            Some(b'4' | b'5') => answer_offer(&mut house, line[0] == b'4'),
            Some(b'6') => house.close(sessions[1]),
            _ => house.message(sessions[0], &with_names(&house, &text)),
        }
    }
    house.finish();
}

/// A client with a transport each way, the first of which produces sound and picture if it is the first client.
fn join(house: &mut House, peer: &str) -> SessionId {
    let session = house.open("room", peer);
    let device = json!({ "flag": "fuzz", "name": "Fuzz" });
    house.request(session, "createWebRtcTransport", &json!({ "producing": true, "consuming": true }));
    let transport = house.transports.last().cloned();
    house.request(
        session,
        "join",
        &json!({ "displayName": peer, "device": device, "rtpCapabilities": scene::router_capabilities() }),
    );
    if peer == "a" {
        for options in &scene::productions()[..2] {
            let data = json!({ "transportId": transport, "kind": options.kind, "rtpParameters": options.rtp_parameters });
            house.request(session, "produce", &data);
        }
        assert_eq!(house.producers.len(), 2);
    }
    session
}

fn answer_offer(house: &mut House, takes: bool) {
    if house.offers.is_empty() {
        return;
    }
    let (session, id) = house.offers.remove(0);
    house.message(session, &json!({ "response": true, "id": id, "ok": takes, "data": {} }).to_string());
}

fn with_names<'t>(house: &House, text: &'t str) -> Cow<'t, str> {
    if !text.contains('$') {
        return Cow::Borrowed(text);
    }
    let mut text = text.to_owned();
    for (letter, names) in [('t', &house.transports), ('p', &house.producers), ('c', &house.consumers)] {
        for (index, name) in names.iter().enumerate() {
            text = text.replace(&format!("${letter}{index}"), name);
        }
    }
    Cow::Owned(text)
}
