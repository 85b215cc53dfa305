//! One client as the server's rooms see it: what it asks for, and what it is offered (the protocol of mediasoup's demo).
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use sansfu::ortc::{DtlsFingerprint, DtlsParameters, DtlsRole, HeaderExtensionUri, MediaKind, RtpParameters};
use serde_json::{Value, json};

use super::path::Remote;
use super::publishing::Track;
use super::receiving::Offer;
use super::websocket::{Connection, Heard};
use super::worker::{ClientIndex, Command, Direction};

/// Who a client is to be.
#[derive(Debug)]
pub struct Part {
    /// Its number.
    pub index: ClientIndex,
    /// Its room.
    pub room_id: String,
    /// Its name there.
    pub peer_id: String,
    /// What it publishes.
    pub tracks: Vec<Track>,
    /// Frames a second of its video.
    pub fps: u32,
    /// How many consumers it is to be offered; `None` if it receives nothing.
    pub consumers: Option<usize>,
    /// Whether it decrypts what it receives.
    pub is_full: bool,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    part: Part,
    connection: Connection,
    commands: Sender<Command>,
    fingerprints: Vec<DtlsFingerprint>,
    requests: u64,
    pending: BTreeMap<u64, Asked>,
    sending_transport: Option<String>,
    has_joined: bool,
    publishes: bool,
    tracks_to_produce: usize,
    offers: usize,
    dialed_at: Instant,
    connected: BTreeMap<Direction, Instant>,
    first_media_at: Option<Instant>,
    failure: Option<String>,
    was_settled: bool,
}

/// What a response will be to.
#[derive(Debug)]
enum Asked {
    Capabilities,
    Transport(Direction),
    Join,
    Produce(Box<Track>),
    Else(&'static str),
}

impl Client {
    /// Opens its WebSocket.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn dial(
        part: Part,
        address: SocketAddr,
        authority: &str,
        commands: Sender<Command>,
        fingerprints: Vec<DtlsFingerprint>,
    ) -> Result<Self, String> {
        let dialed_at = Instant::now();
        let target = format!("/?roomId={}&peerId={}", part.room_id, part.peer_id);
        let mut client = Client {
            connection: Connection::dial(address, authority, &target)?,
            commands,
            fingerprints,
            requests: 0,
            pending: BTreeMap::new(),
            sending_transport: None,
            has_joined: false,
            publishes: !part.tracks.is_empty(),
            tracks_to_produce: part.tracks.len(),
            offers: 0,
            dialed_at,
            connected: BTreeMap::new(),
            first_media_at: None,
            failure: None,
            was_settled: false,
            part,
        };
        client.read();
        Ok(client)
    }

    /// What to wait for.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Takes what has come.
    pub fn read(&mut self) {
        while let Some(heard) = self.connection.read() {
            match heard {
                Heard::Opened => self.ask("getRouterRtpCapabilities", json!({}), Asked::Capabilities),
                Heard::Text(text) => self.hear(&text),
                Heard::Closed(why) => self.fail(why),
            }
        }
    }

    /// Sends what the system has not taken before.
    pub fn flush(&mut self) {
        self.connection.flush();
    }

    /// One of its transports is connected.
    pub fn on_connected(&mut self, direction: Direction, at: Instant) {
        self.connected.entry(direction).or_insert(at);
        self.settle();
    }

    /// Its first media packet came.
    pub fn on_first_media(&mut self, at: Instant) {
        self.first_media_at.get_or_insert(at);
        self.settle();
    }

    /// It is of no further use.
    pub fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    /// Leaves the room.
    pub fn close(&mut self) {
        self.connection.close();
    }

    /// Why it is out, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether everything of it was once as it is to be.
    pub fn was_settled(&self) -> bool {
        self.was_settled
    }

    /// From dialing to the last of its transports being connected.
    pub fn connect_time(&self) -> Option<Duration> {
        self.connected.values().max().map(|at| at.saturating_duration_since(self.dialed_at))
    }

    /// From dialing to its first media packet.
    pub fn media_time(&self) -> Option<Duration> {
        self.first_media_at.map(|at| at.saturating_duration_since(self.dialed_at))
    }

    /// What it waits for, in words.
    pub fn waits_for(&self) -> String {
        if let Some((_, asked)) = self.pending.first_key_value() {
            return format!("no answer to {}", asked.method());
        }
        if let Some(expected) = self.part.consumers.filter(|expected| self.offers < *expected) {
            return format!("{} of {expected} consumers", self.offers);
        }
        if self.connected.len() < self.directions().count() {
            return "ICE or DTLS did not get through".to_owned();
        }
        "no media came".to_owned()
    }

    fn directions(&self) -> impl Iterator<Item = Direction> + use<> {
        let sending = self.publishes.then_some(Direction::Publishing);
        let receiving = self.part.consumers.map(|_| Direction::Receiving { is_full: self.part.is_full });
        [sending, receiving].into_iter().flatten()
    }

    fn settle(&mut self) {
        let is_receiving = self
            .part
            .consumers
            .is_none_or(|all| self.offers >= all && (all == 0 || self.first_media_at.is_some()));
        self.was_settled |= self.has_joined
            && self.tracks_to_produce == 0
            && is_receiving
            && self.connected.len() == self.directions().count();
    }

    fn hear(&mut self, text: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return self.fail(format!("a frame that is not JSON: {text}"));
        };
        if frame["response"] == true {
            let id = frame["id"].as_u64().unwrap_or(0);
            if let Some(asked) = self.pending.remove(&id) {
                self.hear_answer(asked, &frame);
            }
        } else if frame["request"] == true {
            self.hear_request(&frame);
        }
        self.settle();
    }

    fn hear_answer(&mut self, asked: Asked, frame: &Value) {
        if frame["ok"] != true {
            return self.fail(format!("{} was refused: {}", asked.method(), frame["errorReason"]));
        }
        let data = &frame["data"];
        match asked {
            Asked::Capabilities => self.arrive(data),
            Asked::Transport(direction) => self.connect(direction, data),
            Asked::Join => {
                self.has_joined = true;
                self.produce();
            }
            Asked::Produce(track) => {
                self.tracks_to_produce -= 1;
                self.command(Command::Publish(self.part.index, *track));
            }
            Asked::Else(_) => {}
        }
    }

    /// With the router's capabilities at hand: transports, then joining.
    fn arrive(&mut self, capabilities: &Value) {
        for direction in self.directions() {
            let is_sending = direction == Direction::Publishing;
            let data = json!({ "forceTcp": false, "producing": is_sending, "consuming": !is_sending });
            self.ask("createWebRtcTransport", data, Asked::Transport(direction));
        }
        let mut data = json!({
            "displayName": self.part.peer_id,
            "device": { "flag": "load", "name": "load tool", "version": "1" },
        });
        if self.part.consumers.is_some() {
            data["rtpCapabilities"] = capabilities.clone();
        }
        self.ask("join", data, Asked::Join);
    }

    fn connect(&mut self, direction: Direction, data: &Value) {
        let Some(remote) = read_remote(data) else {
            return self
                .fail(format!("a transport without a UDP candidate, or not to be understood: {data}"));
        };
        let parameters = DtlsParameters { role: DtlsRole::Client, fingerprints: self.fingerprints.clone() };
        let connect = json!({ "transportId": data["id"], "dtlsParameters": parameters });
        self.ask("connectWebRtcTransport", connect, Asked::Else("connectWebRtcTransport"));
        if direction == Direction::Publishing {
            self.sending_transport = data["id"].as_str().map(str::to_owned);
        }
        self.command(Command::Connect(self.part.index, direction, Box::new(remote)));
        self.produce();
    }

    /// Publishes once there is a transport to do it by and a room to do it in.
    fn produce(&mut self) {
        let Some(transport) = self.sending_transport.clone().filter(|_| self.has_joined) else { return };
        for track in std::mem::take(&mut self.part.tracks) {
            let data = json!({
                "transportId": transport,
                "kind": track.kind(),
                "rtpParameters": track.rtp_parameters(self.part.fps),
                "appData": {},
            });
            self.ask("produce", data, Asked::Produce(Box::new(track)));
        }
    }

    fn hear_request(&mut self, frame: &Value) {
        let offer = (frame["method"] == "newConsumer").then(|| read_offer(&frame["data"])).flatten();
        let answer = match offer {
            Some(offer) => {
                self.offers += 1;
                self.command(Command::Receive(self.part.index, offer));
                json!({ "response": true, "id": frame["id"], "ok": true, "data": {} })
            }
            None => json!({
                "response": true, "id": frame["id"], "ok": false, "errorCode": 403,
                "errorReason": "not wanted here",
            }),
        };
        self.connection.send(answer.to_string());
    }

    fn ask(&mut self, method: &str, data: Value, asked: Asked) {
        self.requests += 1;
        self.pending.insert(self.requests, asked);
        let frame = json!({ "request": true, "id": self.requests, "method": method, "data": data });
        self.connection.send(frame.to_string());
    }

    fn command(&self, command: Command) {
        // A thread that is gone is seen by whoever runs it.
        let _ = self.commands.send(command);
    }
}

impl Asked {
    fn method(&self) -> &'static str {
        match self {
            Asked::Capabilities => "getRouterRtpCapabilities",
            Asked::Transport(_) => "createWebRtcTransport",
            Asked::Join => "join",
            Asked::Produce(_) => "produce",
            Asked::Else(method) => method,
        }
    }
}

/// A transport as the server describes it, by its first candidate over UDP, one of IPv4 if there is one.
fn read_remote(data: &Value) -> Option<Remote> {
    let candidates = data["iceCandidates"].as_array()?.iter().filter(|one| one["protocol"] == "udp");
    let address = |candidate: &Value| {
        let ip = candidate["address"].as_str().or(candidate["ip"].as_str())?.parse::<IpAddr>().ok()?;
        Some(SocketAddr::new(ip, u16::try_from(candidate["port"].as_u64()?).ok()?))
    };
    let addresses: Vec<SocketAddr> = candidates.filter_map(address).collect();
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first())?;
    let dtls = serde_json::from_value::<DtlsParameters>(data["dtlsParameters"].clone()).ok()?;
    Some(Remote {
        address: *address,
        ice: serde_json::from_value(data["iceParameters"].clone()).ok()?,
        fingerprints: dtls.fingerprints,
    })
}

fn read_offer(data: &Value) -> Option<Offer> {
    let parameters = serde_json::from_value::<RtpParameters>(data["rtpParameters"].clone()).ok()?;
    let encoding = parameters.encodings.first()?;
    let kind = serde_json::from_value::<MediaKind>(data["kind"].clone()).ok()?;
    Some(Offer {
        ssrc: encoding.ssrc?,
        rtx_ssrc: encoding.rtx.as_ref().map(|rtx| rtx.ssrc),
        is_video: kind == MediaKind::Video,
        transport_cc: parameters.header_extension_id(HeaderExtensionUri::TransportCc),
    })
}
