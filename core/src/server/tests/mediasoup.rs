//! Clients of version 2.
mod audio;
mod exhaustive;
mod mixed;
mod pauses;
mod refusals;
mod replay;

use super::*;
use crate::room::mediasoup::{NOTIFICATION, REQUEST};

/// What `mediasoup-client` 2.4.12 in Chromium and a server of version 2 have said to each other.
macro_rules! recording {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/golden/v2/",
            $name,
            ".json"
        )))
        .unwrap()
    };
}
use recording;

impl World {
    /// A request in the mediasoup protocol, carried in protoo; an error has its text.
    fn ask(&mut self, session: SessionId, message: &Value) -> Result<Value, String> {
        self.request(session, REQUEST, message.clone()).map_err(|(_, reason)| reason)
    }

    fn tell(&mut self, session: SessionId, message: &Value) {
        let frame = json!({ "notification": true, "method": NOTIFICATION, "data": message });
        self.say(session, &frame.to_string());
    }

    /// Takes the notifications of the protocol that a session has been sent.
    fn told(&mut self, session: SessionId) -> Vec<Value> {
        let heard = self.heard(session);
        let carried = heard.into_iter().filter(|(method, _)| method == NOTIFICATION);
        carried.map(|(_, message)| message).collect()
    }

    fn act(&mut self, peer: &str, action: Action) -> Result<(), String> {
        let outcome = self.server.act(self.now, "r", peer, action).map_err(|error| error.to_string());
        self.drain();
        outcome
    }

    /// A version-2 peer in room `r`, by a WebSocket of its own: its session and the answer to `join`.
    fn join_v2(&mut self, name: &str, spy: bool) -> (SessionId, Value) {
        let session = self.open("r", name);
        let room = self.ask(session, &json!({ "method": "queryRoom", "target": "room" })).unwrap();
        let join = join_message(name, spy, &room["rtpCapabilities"]);
        let joined = self.ask(session, &join).unwrap();
        self.take(session);
        (session, joined)
    }

    fn create_transport(&mut self, session: SessionId, id: u32, direction: &str) -> Value {
        self.ask(session, &transport_message(id, direction)).unwrap()
    }
}

fn join_message(name: &str, spy: bool, capabilities: &Value) -> Value {
    json!({
        "method": "join", "target": "room", "peerName": name, "rtpCapabilities": capabilities, "spy": spy,
        "appData": { "displayName": name.to_uppercase(), "device": { "flag": "chrome", "name": "Chrome" } },
    })
}

fn transport_message(id: u32, direction: &str) -> Value {
    json!({ "method": "createTransport", "target": "peer", "id": id, "direction": direction, "options": {} })
}

/// The audio producer that was recorded.
fn producer_message(id: u32, transport: u32) -> Value {
    let recording = recording!("join-produce-consume-vp8");
    let mut message = recording["log"][3]["message"].clone();
    message["id"] = json!(id);
    message["transportId"] = json!(transport);
    message
}

fn notice(method: &str, members: Value) -> Value {
    let mut message = json!({ "method": method, "target": "peer", "notification": true });
    for (name, value) in members.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn methods_of(told: &[Value]) -> Vec<&str> {
    told.iter().map(|message| message["method"].as_str().unwrap()).collect()
}
