//! A `Server` with its sessions and HTTP clients, every answer of which is counted.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::ortc::{IceParameters, RtpCodecCapability};
use sansfu::server::{
    ExchangeId, HttpRequest, HttpResponse, Input, Limits, Output, Secret, Server, ServerConfig, SessionId,
};
use serde_json::{Value, json};

use super::packets;
use super::scene;
use super::watch::Watch;
use crate::choices::Choices;
use crate::fixed_dtls::FixedDtls;
use crate::world::{epoch, wall};

/// More names than that are not remembered.
const MAX_NAMES: usize = 32;
/// The largest request id (protoo counts in JavaScript's numbers).
const MAX_REQUEST_ID: u64 = (1 << 53) - 1;
/// What the operator has.
const ADMIN_TOKEN: &str = "swordfish-swordfish-swordfish";

/// The server and what is known of it from outside.
pub struct House {
    /// The machine.
    pub server: Server,
    /// The time.
    pub now: Instant,
    /// The DTLS of everybody.
    pub backend: Arc<FixedDtls>,
    /// Ids that were heard of: of transports, producers and consumers.
    pub transports: Vec<String>,
    /// See `transports`.
    pub producers: Vec<String>,
    /// See `transports`.
    pub consumers: Vec<String>,
    /// Credentials of the transports.
    pub ice: Vec<IceParameters>,
    /// Offers of consumers that were not answered yet: session and request id.
    pub offers: Vec<(SessionId, u64)>,
    deadline: Option<Instant>,
    watch: Watch,
    open: BTreeSet<SessionId>,
    /// The requests that are not answered yet.
    asked: BTreeMap<SessionId, Vec<u64>>,
    exchange: Option<ExchangeId>,
    response: Option<HttpResponse>,
    names: u64,
}

impl House {
    /// A server with small limits, these codecs and nobody in it.
    pub fn new(media_codecs: Vec<RtpCodecCapability>) -> Self {
        let backend = scene::backend();
        let limits = Limits {
            max_rooms: 3,
            max_peers_per_room: 4,
            max_transports_per_peer: 3,
            max_viewers_per_room: 3,
            max_message_bytes: 16 << 10,
            max_body_bytes: 32 << 10,
            max_requests_in_flight_per_session: 4,
            max_malformed_messages_per_session: 20,
            ..Limits::default()
        };
        let admin_token = Some(Secret::new(ADMIN_TOKEN));
        let config = ServerConfig { sfu: scene::config(&backend), media_codecs, limits, admin_token };
        let now = epoch();
        House {
            server: Server::new(config, [6; 32], now, wall()).unwrap(),
            now,
            backend,
            transports: Vec::new(),
            producers: Vec::new(),
            consumers: Vec::new(),
            ice: Vec::new(),
            offers: Vec::new(),
            deadline: None,
            watch: Watch::default(),
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
            exchange: None,
            response: None,
            names: 0,
        }
    }

    /// Opens a WebSocket.
    pub fn open(&mut self, room_id: &str, peer_id: &str) -> SessionId {
        let session = SessionId(self.next_name());
        self.open.insert(session);
        self.handle(Input::Opened { session, room_id, peer_id });
        session
    }

    /// Opens a session of the mediasoup protocol whose messages the application carries.
    pub fn attach(&mut self, room_id: &str) -> SessionId {
        let session = SessionId(self.next_name());
        self.open.insert(session);
        self.server.attach(self.now, session, room_id);
        self.pass(Duration::ZERO);
        session
    }

    /// The application carries a message of such a session. What of it is refused is nobody's business but the client's.
    pub fn carry(&mut self, session: SessionId, message: &Value) {
        if message["notification"] == true {
            let _ = self.server.receive_notification(self.now, session, message);
        } else if let Ok(answer) = self.server.receive_request(self.now, session, message) {
            self.meet_all(&answer);
        }
        self.pass(Duration::ZERO);
    }

    /// Sends a frame. If it is a request there must be one answer, at once.
    pub fn message(&mut self, session: SessionId, text: &str) {
        let listens = self.open.contains(&session);
        if let Some(id) = answerable(text).filter(|_| listens && text.len() <= 16 << 10) {
            self.asked.entry(session).or_default().push(id);
        }
        self.handle(Input::Message { session, text });
        let unanswered = self.asked.remove(&session).unwrap_or_default();
        assert!(unanswered.is_empty(), "no answer to {text}");
    }

    /// Sends a request.
    pub fn request(&mut self, session: SessionId, method: &str, data: &Value) {
        let id = self.next_name();
        self.message(
            session,
            &json!({ "request": true, "id": id, "method": method, "data": data }).to_string(),
        );
    }

    /// The client closes its WebSocket.
    pub fn close(&mut self, session: SessionId) {
        self.open.remove(&session);
        self.handle(Input::Closed { session });
    }

    /// Makes an HTTP request, which must be answered once and at once.
    pub fn http(
        &mut self,
        method: &str,
        target: &str,
        content_type: Option<&str>,
        if_match: Option<&str>,
        body: &[u8],
    ) -> HttpResponse {
        let exchange = ExchangeId(self.next_name());
        self.exchange = Some(exchange);
        // Whoever asks is the operator, too.
        let secret = Secret::new(format!("Bearer {ADMIN_TOKEN}"));
        let authorization = Some(&secret);
        let request = HttpRequest { method, target, content_type, if_match, authorization, body };
        self.handle(Input::Http { exchange, request });
        let response = self.response.take().expect("one response");
        assert!((200..600).contains(&response.status));
        let lines = |text: &str| text.contains(['\r', '\n']);
        assert!(!response.headers.iter().any(|(_, value)| lines(value)), "{:?}", response.headers);
        response
    }

    /// A datagram comes.
    pub fn datagram(&mut self, remote: SocketAddr, mut payload: Vec<u8>) {
        self.watch.on_datagram(remote);
        self.handle(Input::Datagram(scene::datagram(remote, &mut payload)));
    }

    /// Time passes, and what is due in it happens at the end of it.
    pub fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.handle(Input::Timeout);
    }

    /// The transport of a client at `remote` connects.
    pub fn connect(&mut self, ice: &IceParameters, remote: SocketAddr) {
        let request = packets::binding_request(&mut Choices::from_bytes(&[]), ice);
        self.datagram(remote, request);
        self.datagram(remote, packets::hello(&self.backend, self.now));
    }

    /// The sessions that are open.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.open.iter().copied().collect()
    }

    /// Everybody leaves; after a while nothing is left.
    pub fn finish(mut self) {
        self.sessions().into_iter().for_each(|session| self.close(session));
        for _ in 0..2_000 {
            let Some(at) = self.deadline else { break };
            self.now = self.now.max(at);
            self.handle(Input::Timeout);
        }
        assert_eq!(self.deadline, None, "something goes on for ever");
        let stats = self.server.stats();
        assert_eq!((stats.rooms.rooms, stats.rooms.peers, stats.rooms.sessions), (0, 0, 0));
        assert_eq!((stats.http.whip_resources, stats.http.whep_resources), (0, 0));
        assert!(self.server.sfu().is_empty(), "something is left: {:?}", self.server.sfu());
    }

    fn handle(&mut self, input: Input<'_>) {
        self.server.handle_input(self.now, input);
        let mut outputs = Vec::new();
        let deadline = loop {
            match self.server.poll_output() {
                Output::Transmit(transmit) => self.watch.on_transmit(&transmit),
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(deadline) => break deadline,
                Output::Message { session, text } => outputs.push((session, Some(text))),
                Output::Close { session, reason, .. } => {
                    assert!(reason.len() <= 123);
                    outputs.push((session, None));
                }
                Output::Response { exchange, response } => {
                    assert_eq!(self.exchange.take(), Some(exchange), "one response");
                    self.response = Some(response);
                }
                Output::Event(_) => self.watch.on_output(),
            }
        };
        self.watch.on_timeout(deadline, self.now);
        self.deadline = deadline.at;
        for (session, text) in outputs {
            assert!(self.open.contains(&session), "a word to {session:?}, which is closed");
            match text {
                Some(text) => self.hear(session, &text),
                None => drop(self.open.remove(&session)),
            }
        }
    }

    fn hear(&mut self, session: SessionId, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        let id = frame["id"].as_u64().unwrap_or_default();
        let data = &frame["data"];
        if frame["response"] == true {
            let asked = self.asked.get_mut(&session).and_then(|asked| {
                let position = asked.iter().position(|other| *other == id)?;
                Some(asked.remove(position))
            });
            assert_eq!(asked, Some(id), "an answer that nobody asked for: {text}");
            if let Ok(ice) = serde_json::from_value::<IceParameters>(data["iceParameters"].clone()) {
                remember(&mut self.ice, ice);
                remember_name(&mut self.transports, data);
            } else if data["id"].is_string() {
                remember_name(&mut self.producers, data);
            }
            self.meet_all(data);
        } else if frame["request"] == true {
            self.offers.push((session, id));
            remember_name(&mut self.consumers, data);
        } else {
            assert_eq!(frame["notification"], true);
            // What the application carries has no envelope.
            for message in [data, &frame] {
                if message["method"] == "newConsumer" {
                    self.meet(message);
                }
            }
        }
    }

    /// Remembers the consumers of everybody whom an answer tells of.
    fn meet_all(&mut self, answer: &Value) {
        for peer in answer["peers"].as_array().into_iter().flatten() {
            peer["consumers"].as_array().into_iter().flatten().for_each(|consumer| self.meet(consumer));
        }
    }

    /// Remembers a consumer of the mediasoup protocol, whose id is a number.
    fn meet(&mut self, consumer: &Value) {
        let id = consumer["id"].as_u64().expect("a numeric id");
        assert!((10_000_000..100_000_000).contains(&id), "eight digits");
        remember(&mut self.consumers, id.to_string());
    }

    fn next_name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }
}

/// The id of a frame that is to be answered: of a request, or of what is none of the three kinds and has one.
fn answerable(text: &str) -> Option<u64> {
    let frame: Value = serde_json::from_str(text).ok()?;
    let is = |kind: &str| frame[kind] == true;
    let id = frame.as_object()?.get("id")?.as_u64().filter(|id| *id <= MAX_REQUEST_ID)?;
    (is("request") || !(is("response") || is("notification"))).then_some(id)
}

fn remember_name(list: &mut Vec<String>, data: &Value) {
    if let Some(name) = data["id"].as_str() {
        remember(list, name.to_owned());
    }
}

fn remember<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_NAMES && !list.contains(&item) {
        list.push(item);
    }
}
