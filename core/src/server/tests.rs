mod admin;
mod hostile;
mod limits;
mod mediasoup;
mod refusals;
mod resources;
mod rooms;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use is::stun::{StunMessage, TransId};
use serde_json::{Value, json};

use super::*;
use crate::config::ListenAddress;
use crate::room::SessionId;

/// A recorded message of mediasoup-client in Chromium.
macro_rules! recorded {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/golden/v3/",
            $name,
            ".json"
        )))
        .unwrap()
    };
}
use recorded;

const ADMIN_TOKEN: &str = "swordfish-swordfish-swordfish";

/// A server with its clients, in virtual time.
struct World {
    server: Server,
    now: Instant,
    frames: BTreeMap<SessionId, Vec<Value>>,
    closed: BTreeMap<SessionId, (u16, String)>,
    responses: BTreeMap<ExchangeId, HttpResponse>,
    events: Vec<Event>,
    deadline: Deadline,
    count: u64,
}

/// A session that has joined as a mediasoup client does, with a transport for either direction.
#[derive(Debug, Clone)]
struct Client {
    session: SessionId,
    send: String,
    receive: String,
    joined: Value,
}

impl World {
    fn new() -> Self {
        World::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        World::with_codecs(Vec::new(), limits)
    }

    fn with_codecs(media_codecs: Vec<RtpCodecCapability>, limits: Limits) -> Self {
        let listen = vec![ListenAddress { local: "127.0.0.1:40000".parse().unwrap(), announced: None }];
        let sfu = Config { listen, ..Config::default() };
        let config = ServerConfig { sfu, media_codecs, limits, admin_token: Some(Secret::new(ADMIN_TOKEN)) };
        #[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
        let now = Instant::now();
        World {
            server: Server::new(config, [7; 32], now, SystemTime::UNIX_EPOCH).unwrap(),
            now,
            frames: BTreeMap::new(),
            closed: BTreeMap::new(),
            responses: BTreeMap::new(),
            events: Vec::new(),
            deadline: Deadline { at: None, reason: None },
            count: 0,
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.server.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.server.poll_output() {
                Output::Transmit(_) => {}
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Event(event) => self.events.push(event),
                Output::Message { session, text } => {
                    assert!(!self.closed.contains_key(&session), "nothing comes behind a close");
                    self.frames.entry(session).or_default().push(serde_json::from_str(&text).unwrap());
                }
                Output::Close { session, code, reason } => {
                    assert!(reason.len() <= 123);
                    assert!(self.closed.insert(session, (code, reason)).is_none(), "closed once");
                }
                Output::Response { exchange, response } => {
                    assert!(
                        self.responses.insert(exchange, response).is_none(),
                        "one response for each request"
                    );
                }
                Output::Timeout(deadline) => {
                    assert!(deadline.at.is_none_or(|at| at > self.now), "a deadline is never in the past");
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.deadline.at.filter(|at| *at <= end) {
            self.now = at;
            self.input(Input::Timeout);
        }
        self.now = end;
        self.input(Input::Timeout);
    }

    /// A STUN request from `remote` to a transport, as a browser sends it.
    fn check(&mut self, transport: &str, remote: &str) {
        let ice = self.server.sfu().webrtc_transport(transport.parse().unwrap()).unwrap().ice_parameters;
        let username = format!("{}:remote", ice.username_fragment);
        let message = StunMessage::binding_request(&username, TransId::new(), true, 7, 0x6E00_01FF, true);
        let mut payload = vec![0; 512];
        let length = message.to_bytes(Some(ice.password.as_bytes()), &mut payload, sha1_hmac).unwrap();
        let (local, remote) = ("127.0.0.1:40000".parse().unwrap(), remote.parse().unwrap());
        let payload = &mut payload[..length];
        self.input(Input::Datagram(Datagram { local, remote, protocol: Protocol::Udp, payload }));
    }

    fn open(&mut self, room_id: &str, peer_id: &str) -> SessionId {
        self.count += 1;
        let session = SessionId(self.count);
        self.input(Input::Opened { session, room_id, peer_id });
        session
    }

    fn close(&mut self, session: SessionId) {
        self.input(Input::Closed { session });
    }

    fn say(&mut self, session: SessionId, text: &str) {
        self.input(Input::Message { session, text });
    }

    /// Takes what a session has been sent.
    fn take(&mut self, session: SessionId) -> Vec<Value> {
        self.frames.remove(&session).unwrap_or_default()
    }

    /// Takes what a session has been sent: method and data of each notification and request.
    fn heard(&mut self, session: SessionId) -> Vec<(String, Value)> {
        let frames = self.take(session);
        frames
            .into_iter()
            .map(|frame| (frame["method"].as_str().unwrap().to_owned(), frame["data"].clone()))
            .collect()
    }

    /// Sends a request and takes its response, of which there must be one.
    fn request(&mut self, session: SessionId, method: &str, data: Value) -> Result<Value, (u64, String)> {
        self.count += 1;
        let id = self.count;
        self.say(session, &json!({ "request": true, "id": id, "method": method, "data": data }).to_string());
        let frames = self.take(session);
        let (mut own, others): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|frame| frame["response"] == true && frame["id"] == id);
        self.frames.insert(session, others);
        assert_eq!(own.len(), 1, "exactly one response: {own:?}");
        let response = own.remove(0);
        match response["ok"].as_bool().unwrap() {
            true => Ok(response["data"].clone()),
            false => {
                let reason = response["errorReason"].as_str().unwrap().to_owned();
                Err((response["errorCode"].as_u64().unwrap(), reason))
            }
        }
    }

    /// Answers a request of the server.
    fn reply(&mut self, session: SessionId, request: &Value, ok: bool) {
        let id = &request["id"];
        let text = match ok {
            true => json!({ "response": true, "id": id, "ok": true, "data": {} }),
            false => {
                json!({ "response": true, "id": id, "ok": false, "errorCode": 403, "errorReason": "no" })
            }
        };
        self.say(session, &text.to_string());
    }

    /// A session that has not joined yet, with a transport for either direction.
    fn arrive(&mut self, room_id: &str, peer_id: &str) -> Client {
        let session = self.open(room_id, peer_id);
        let create = |direction: &str| json!({ "forceTcp": false, direction: true, "sctpCapabilities": {} });
        let send = self.request(session, "createWebRtcTransport", create("producing")).unwrap();
        let receive = self.request(session, "createWebRtcTransport", create("consuming")).unwrap();
        let id = |transport: &Value| transport["id"].as_str().unwrap().to_owned();
        Client { session, send: id(&send), receive: id(&receive), joined: Value::Null }
    }

    /// A mediasoup client in a room.
    fn join(&mut self, room_id: &str, peer_id: &str) -> Client {
        let client = self.arrive(room_id, peer_id);
        self.take(client.session);
        let joined = self.request(client.session, "join", join_data(peer_id, true)).unwrap();
        Client { joined, ..client }
    }

    /// A session of the page, which consumes nothing, in a room.
    fn watch(&mut self, room_id: &str, peer_id: &str) -> (SessionId, Value) {
        let session = self.open(room_id, peer_id);
        let joined = self.request(session, "join", join_data(peer_id, false)).unwrap();
        self.take(session);
        (session, joined)
    }

    /// Produces what was recorded, with a MID and SSRCs that were not there yet.
    fn produce(&mut self, client: &Client, recorded: &Value) -> String {
        self.count += 1;
        let mut parameters = recorded["produce"]["rtpParameters"].clone();
        parameters["mid"] = json!(self.count.to_string());
        parameters["encodings"] = json!([{ "ssrc": 1_000_000 + self.count }]);
        let data = json!({
            "transportId": client.send,
            "kind": recorded["produce"]["kind"],
            "rtpParameters": parameters,
            "appData": { "source": "test" },
        });
        let produced = self.request(client.session, "produce", data).unwrap();
        produced["id"].as_str().unwrap().to_owned()
    }

    fn http(
        &mut self,
        method: &str,
        target: &str,
        fields: (Option<&str>, Option<&str>),
        body: &[u8],
    ) -> HttpResponse {
        let (content_type, if_match) = fields;
        self.exchange(HttpRequest { method, target, content_type, if_match, authorization: None, body })
    }

    fn exchange(&mut self, request: HttpRequest<'_>) -> HttpResponse {
        self.count += 1;
        let exchange = ExchangeId(self.count);
        self.input(Input::Http { exchange, request });
        self.responses.remove(&exchange).expect("a response")
    }

    /// What there is: rooms, peers, sessions, transports, producers, consumers.
    fn counts(&self) -> [u64; 6] {
        let ServerStats { sfu, rooms, .. } = self.server.stats();
        [rooms.rooms, rooms.peers, rooms.sessions, sfu.transports, sfu.producers, sfu.consumers]
    }
}

fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().try_into().unwrap()
}

fn join_data(name: &str, consumes: bool) -> Value {
    let mut data = json!({
        "displayName": name.to_uppercase(),
        "device": { "flag": "chrome", "name": "Chrome", "version": "156" },
    });
    if consumes {
        data["rtpCapabilities"] = recorded!("device")["recvRtpCapabilities"].clone();
    }
    data
}

fn methods(heard: &[(String, Value)]) -> Vec<&str> {
    heard.iter().map(|(method, _)| method.as_str()).collect()
}
