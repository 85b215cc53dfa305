//! A client of the demo protocol over protoo: what a tab with `mediasoup-client` does, as a state machine.
//!
//! It comes into a room, publishes tracks, takes the consumers that it is offered, and comes back when its WebSocket breaks. What
//! it does beyond that it is told by [`Order`]s.
mod order;
mod place;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansfu::ortc::{DtlsParameters, HeaderExtensionUri, IceParameters, RtpParameters};
use serde_json::{Value, json};

pub use self::order::Order;
use self::place::{Asked, Call, Transport};
use super::consuming::Incoming;
use super::media::congestion::TransportNumbers;
use super::media::feedback::FeedbackGenerator;
use super::path::{Misbehaviour, Path, PathParameters, Security};
use super::publishing::Outgoing;
use crate::choices::Choices;
use crate::sim::world::{Client, Heard, Said};

/// How long a client waits before it opens a WebSocket again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// The close code after which a protoo client stays away.
const STAY_AWAY: u16 = 4_000;
/// Track ids of one client.
const TRACKS_PER_CLIENT: u32 = 1_000;

/// What a client is.
#[derive(Debug, Clone)]
pub struct CallerConfig {
    /// Its name in every room.
    pub peer_id: String,
    /// Tells clients apart: its addresses and its tracks follow from it.
    pub index: u32,
    /// How its datagrams are protected.
    pub security: Security,
    /// Decides everything random.
    pub seed: u64,
    /// The MIME types that it cannot receive, lower case.
    pub lacks: Vec<&'static str>,
}

/// What a client has seen that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The track that it is about.
    pub track: Option<u32>,
    /// What it is.
    pub what: String,
}

impl Complaint {
    /// One that is about no track.
    fn new(what: String) -> Self {
        Complaint { track: None, what }
    }
}

/// The client that publishes a track.
pub fn owner(track: u32) -> u32 {
    track / TRACKS_PER_CLIENT
}

/// The client.
#[derive(Debug)]
pub struct Caller {
    config: CallerConfig,
    choices: Choices<'static>,
    call: Option<Call>,
    reopen_at: Option<Instant>,
    ports: u16,
    tracks_made: u32,
    said: VecDeque<Said>,
    complaints: Vec<Complaint>,
    has_lied: bool,
}

impl Caller {
    /// A client that is nowhere.
    pub fn new(config: CallerConfig) -> Self {
        Caller {
            choices: Choices::from_seed(config.seed),
            config,
            call: None,
            reopen_at: None,
            ports: 0,
            tracks_made: 0,
            said: VecDeque::new(),
            complaints: Vec::new(),
            has_lied: false,
        }
    }

    /// Takes an order; what cannot be done now is not done.
    pub fn order(&mut self, now: Instant, order: Order) {
        match order {
            Order::Join { room_id, tracks } => {
                self.call = Some(Call::new(room_id, tracks));
                self.open();
            }
            Order::Leave => self.leave(now),
            Order::Reconnect => self.reconnect(),
            order => self.order_in_call(now, order),
        }
    }

    /// Whether it is in a room, or on the way into it.
    pub fn is_calling(&self) -> bool {
        self.call.is_some()
    }

    /// The room in which it is, or into which it is on the way.
    pub fn room_id(&self) -> Option<&str> {
        self.call.as_ref().map(|call| call.room_id.as_str())
    }

    /// Whether it has joined and media can flow on the transports that it needs.
    pub fn is_settled(&self) -> bool {
        let Some(call) = &self.call else { return true };
        let ready = |transport: &Option<Transport>, needed: bool| {
            !needed || transport.as_ref().is_some_and(|transport| transport.path.is_connected())
        };
        call.joined
            && call.pending.is_empty()
            && ready(&call.sending, !call.outgoing.is_empty())
            && ready(&call.receiving, !call.incoming.is_empty())
    }

    /// What it receives, by consumer.
    pub fn incoming(&self) -> impl Iterator<Item = (&String, &Incoming)> {
        self.call.iter().flat_map(|call| &call.incoming)
    }

    /// What it publishes.
    pub fn outgoing(&self) -> impl Iterator<Item = &Outgoing> {
        self.call.iter().flat_map(|call| &call.outgoing)
    }

    /// What it publishes.
    pub fn outgoing_mut(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        self.call.iter_mut().flat_map(|call| &mut call.outgoing)
    }

    /// Whether it has sent untrue RTP under the right keys.
    pub fn has_lied(&self) -> bool {
        self.has_lied
    }

    /// Takes what it has seen that must not be.
    pub fn take_complaints(&mut self) -> Vec<Complaint> {
        std::mem::take(&mut self.complaints)
    }

    /// Its name.
    pub fn peer_id(&self) -> &str {
        &self.config.peer_id
    }

    /// How far it has come, in words.
    pub fn describe(&self) -> String {
        let Some(call) = &self.call else { return "nowhere".to_owned() };
        let state = |transport: &Option<Transport>| {
            transport.as_ref().map(|own| (own.path.state(), own.path.mapped_address(), own.path.stats()))
        };
        format!(
            "open {}, joined {}, sending {:?}, receiving {:?}, waits for {:?}",
            call.open,
            call.joined,
            state(&call.sending),
            state(&call.receiving),
            call.pending,
        )
    }

    fn open(&mut self) {
        let Some(call) = &self.call else { return };
        let (room_id, peer_id) = (call.room_id.clone(), self.config.peer_id.clone());
        self.reopen_at = None;
        self.said.push_back(Said::Open { room_id, peer_id });
    }

    /// Closes the transports and the WebSocket.
    pub fn leave(&mut self, now: Instant) {
        let Some(mut call) = self.call.take() else { return };
        for transport in [&mut call.sending, &mut call.receiving].into_iter().flatten() {
            transport.path.close(now);
            transport.flush(&mut self.said);
        }
        self.reopen_at = None;
        self.said.push_back(Said::Close);
    }

    fn reconnect(&mut self) {
        let Some(call) = self.call.take() else { return };
        let wanted = call.outgoing.into_iter().map(|outgoing| outgoing.track).chain(call.wanted);
        self.call = Some(Call::new(call.room_id, wanted.collect()));
        self.open();
    }

    fn order_in_call(&mut self, now: Instant, order: Order) {
        if let Order::Publish(track) = order {
            if let Some(call) = &mut self.call {
                call.wanted.push(track);
            }
            return self.publish_wanted(now);
        }
        let Some(call) = &mut self.call else { return };
        match order {
            Order::Unpublish(nth) => {
                if let Some(index) = pick(call.outgoing.len(), nth)
                    && let Some(id) = call.outgoing.remove(index).producer_id()
                {
                    self.ask("closeProducer", json!({ "producerId": id }), Asked::Else);
                }
            }
            Order::PauseProducer(nth, paused) => {
                let Some(outgoing) = pick_mut(&mut call.outgoing, nth) else { return };
                let Some(id) = outgoing.producer_id() else { return };
                let data = json!({ "producerId": id });
                outgoing.set_paused(now, paused);
                let method = if paused { "pauseProducer" } else { "resumeProducer" };
                self.ask(method, data, Asked::Else);
            }
            Order::Mute(nth, muted) => {
                if let Some(outgoing) = pick_mut(&mut call.outgoing, nth) {
                    outgoing.set_muted(now, muted);
                }
            }
            Order::PauseConsumer(nth, paused) => {
                let incoming =
                    pick(call.incoming.len(), nth).and_then(|nth| call.incoming.values_mut().nth(nth));
                let Some(incoming) = incoming else { return };
                incoming.set_paused(now, paused);
                let method = if paused { "pauseConsumer" } else { "resumeConsumer" };
                self.ask_consumer(nth, method, json!({}));
            }
            Order::AskConsumer(nth, method, data) => self.ask_consumer(nth, method, data),
            Order::RestartIce { sending } => {
                if let Some(transport) = call.transport(sending) {
                    let data = json!({ "transportId": transport.id });
                    self.ask("restartIce", data, Asked::RestartIce { sending });
                }
            }
            // Without DTLS there is nothing by which a transport could be closed.
            Order::CloseTransport { .. } if !matches!(self.config.security, Security::Dtls { .. }) => {}
            Order::CloseTransport { sending } => {
                let closed = if sending { call.sending.take() } else { call.receiving.take() };
                let Some(mut transport) = closed else { return };
                transport.path.close(now);
                transport.flush(&mut self.said);
                if sending {
                    call.outgoing.clear();
                } else {
                    call.incoming.clear();
                }
            }
            Order::BeSilent { sending, of, hold } => {
                if let Some(transport) = call.transport_mut(sending) {
                    transport.fall_silent(now + hold, of);
                }
            }
            Order::Speak => {
                let transports = [&mut call.sending, &mut call.receiving].into_iter().flatten();
                transports.for_each(|transport| transport.speak(now));
            }
            Order::Stats => self.ask_stats(),
            Order::Rename(name) => self.ask("changeDisplayName", json!({ "displayName": name }), Asked::Else),
            Order::Misbehave { sending, misbehaviour } => {
                self.has_lied |= misbehaviour == Misbehaviour::RtpLies;
                let choices = &mut self.choices;
                if let Some(transport) = call.transport_mut(sending) {
                    transport.path.misbehave(now, &misbehaviour, &mut |bound| choices.below(bound));
                }
            }
            Order::Say(text) => self.said.push_back(Said::Message(text)),
            Order::Join { .. } | Order::Leave | Order::Reconnect | Order::Publish(_) => {}
        }
    }

    fn ask_consumer(&mut self, nth: u32, method: &'static str, mut data: Value) {
        let Some(call) = &self.call else { return };
        let ids: Vec<&String> = call.incoming.keys().collect();
        let Some(index) = pick(ids.len(), nth) else { return };
        data["consumerId"] = json!(ids[index]);
        self.ask(method, data, Asked::Else);
    }

    fn ask_stats(&mut self) {
        let Some(call) = &self.call else { return };
        let transports = [&call.sending, &call.receiving].into_iter().flatten();
        let mut questions: Vec<(&str, &str, String)> =
            transports.map(|transport| ("getTransportStats", "transportId", transport.id.clone())).collect();
        let producers = call.outgoing.iter().filter_map(|outgoing| outgoing.producer_id());
        questions.extend(producers.map(|id| ("getProducerStats", "producerId", id.to_owned())));
        questions.extend(call.incoming.keys().map(|id| ("getConsumerStats", "consumerId", id.clone())));
        for (method, field, id) in questions {
            self.ask(method, json!({ field: id }), Asked::Else);
        }
    }

    fn ask(&mut self, method: &str, data: Value, asked: Asked) {
        let Some(call) = self.call.as_mut().filter(|call| call.open) else { return };
        call.requests += 1;
        let id = call.requests;
        call.pending.insert(id, asked);
        let frame = json!({ "request": true, "id": id, "method": method, "data": data });
        self.said.push_back(Said::Message(frame.to_string()));
    }

    fn heard_message(&mut self, now: Instant, text: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return self.complaints.push(Complaint::new(format!("a frame that is not JSON: {text}")));
        };
        if frame["response"] == true {
            let id = frame["id"].as_u64().unwrap_or(0);
            let asked = self.call.as_mut().and_then(|call| call.pending.remove(&id));
            if let Some(asked) = asked {
                self.heard_answer(now, asked, &frame);
            }
        } else if frame["request"] == true {
            self.heard_offer(now, &frame);
        } else {
            self.heard_notification(now, &frame);
        }
    }

    fn heard_notification(&mut self, now: Instant, frame: &Value) {
        let Some(call) = &mut self.call else { return };
        let id = frame["data"]["consumerId"].as_str().unwrap_or_default();
        match frame["method"].as_str() {
            Some("consumerClosed") => drop(call.incoming.remove(id)),
            Some(method @ ("consumerPaused" | "consumerResumed")) => {
                if let Some(incoming) = call.incoming.get_mut(id) {
                    incoming.set_producer_paused(now, method == "consumerPaused");
                }
            }
            _ => {}
        }
    }

    fn heard_answer(&mut self, now: Instant, asked: Asked, frame: &Value) {
        let data = &frame["data"];
        if frame["ok"] != true {
            if let Asked::Produce { track } = asked
                && let Some(call) = &mut self.call
            {
                call.outgoing.retain(|outgoing| outgoing.id() != track);
            }
            return;
        }
        match asked {
            Asked::Capabilities => self.arrive(data),
            Asked::Transport { sending } => self.made_transport(now, sending, data),
            Asked::Join => {
                if let Some(call) = &mut self.call {
                    call.joined = true;
                }
                self.publish_wanted(now);
            }
            Asked::Produce { track } => {
                let mut outgoing = self.call.iter_mut().flat_map(|call| &mut call.outgoing);
                if let Some(outgoing) = outgoing.find(|outgoing| outgoing.id() == track) {
                    outgoing.set_producer(now, data["id"].as_str().unwrap_or_default());
                }
            }
            Asked::RestartIce { sending } => {
                let parameters = serde_json::from_value::<IceParameters>(data.clone());
                let transport = self.call.as_mut().and_then(|call| call.transport_mut(sending));
                if let (Ok(parameters), Some(transport)) = (parameters, transport) {
                    transport.path.restart_ice(now, parameters);
                }
            }
            Asked::Else => {}
        }
    }

    /// With the router's capabilities at hand: transports, then joining.
    fn arrive(&mut self, capabilities: &Value) {
        let mut receives = capabilities.clone();
        let lacks = self.config.lacks.clone();
        keep_codecs(&mut receives, &lacks);
        for (direction, sending) in [("producing", true), ("consuming", false)] {
            let data = json!({ "forceTcp": false, direction: true });
            self.ask("createWebRtcTransport", data, Asked::Transport { sending });
        }
        let device = json!({ "flag": "sim", "name": "simulation", "version": "1" });
        let data = json!({
            "displayName": self.config.peer_id, "device": device, "rtpCapabilities": receives,
        });
        self.ask("join", data, Asked::Join);
    }

    fn made_transport(&mut self, now: Instant, sending: bool, data: &Value) {
        self.ports += 1;
        let [_, _, high, low] = (0x0a00_0000 + 1 + self.config.index).to_be_bytes();
        let local = SocketAddr::from(([10, 0, high, low], 5_000 + self.ports));
        let candidate = &data["iceCandidates"][0];
        let ip = candidate["address"].as_str().or(candidate["ip"].as_str()).unwrap_or_default();
        let server = format!("{ip}:{}", candidate["port"]).parse();
        let ice = serde_json::from_value(data["iceParameters"].clone());
        let dtls = serde_json::from_value::<DtlsParameters>(data["dtlsParameters"].clone());
        let (Ok(server), Ok(ice), Ok(dtls)) = (server, ice, dtls) else {
            return self.complaints.push(Complaint::new(format!("a transport that cannot be read: {data}")));
        };
        let parameters = PathParameters {
            server,
            ice,
            fingerprints: dtls.fingerprints,
            security: self.config.security,
            seed: self.config.seed ^ u64::from(self.ports) << 32,
        };
        let path = Path::new(now, parameters);
        let id = data["id"].as_str().unwrap_or_default().to_owned();
        let connect = json!({ "transportId": id, "dtlsParameters": path.local_dtls_parameters() });
        if let Some(call) = &mut self.call {
            let transport = Some(Transport {
                id,
                local,
                server,
                path,
                numbers: TransportNumbers::default(),
                feedback: None,
                silent_until: None,
            });
            *(if sending { &mut call.sending } else { &mut call.receiving }) = transport;
        }
        self.ask("connectWebRtcTransport", connect, Asked::Else);
        self.publish_wanted(now);
    }

    fn publish_wanted(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut().filter(|call| call.joined) else { return };
        let Some(transport) = &call.sending else { return };
        let (transport_id, numbers) = (transport.id.clone(), transport.numbers.clone());
        for track in std::mem::take(&mut call.wanted) {
            self.tracks_made += 1;
            let id = self.config.index * TRACKS_PER_CLIENT + self.tracks_made;
            let mut outgoing = Outgoing::new(now, track, id, self.config.seed);
            outgoing.sender.share_transport(&numbers);
            let data = json!({
                "transportId": transport_id,
                "kind": outgoing.kind(),
                "rtpParameters": outgoing.rtp_parameters(),
                "appData": outgoing.app_data(),
            });
            let asked = Asked::Produce { track: outgoing.id() };
            if let Some(call) = &mut self.call {
                call.outgoing.push(outgoing);
            }
            self.ask("produce", data, asked);
        }
    }

    fn heard_offer(&mut self, now: Instant, frame: &Value) {
        let data = &frame["data"];
        let answer = json!({ "response": true, "id": frame["id"], "ok": true, "data": {} });
        let parameters = serde_json::from_value::<RtpParameters>(data["rtpParameters"].clone());
        let extension =
            |parameters: &RtpParameters| parameters.header_extension_id(HeaderExtensionUri::TransportCc);
        let extension = parameters.as_ref().ok().and_then(extension);
        let incoming = parameters.ok().and_then(|parameters| Incoming::new(now, data, &parameters));
        let Some(call) = &mut self.call else { return };
        if let (Some(transport), Some(id)) = (&mut call.receiving, extension) {
            let ssrc = self.config.index + 1;
            transport.feedback.get_or_insert_with(|| FeedbackGenerator::new(id, ssrc));
        }
        match (incoming, data["id"].as_str()) {
            (Some(incoming), Some(id)) => {
                call.incoming.insert(id.to_owned(), incoming);
                self.said.push_back(Said::Message(answer.to_string()));
            }
            _ => self.complaints.push(Complaint::new(format!("an offer that cannot be read: {frame}"))),
        }
    }

    fn heard_datagram(&mut self, now: Instant, local: SocketAddr, bytes: &[u8]) {
        let Some(call) = &mut self.call else { return };
        for sending in [true, false] {
            let Some(transport) = call.transport_mut(sending).filter(|own| own.local == local) else {
                continue;
            };
            transport.path.handle_datagram(now, bytes);
            while let Some(received) = call.transport_mut(sending).and_then(|own| own.path.poll_received()) {
                if let Err(complaint) = call.received(now, sending, &received) {
                    self.complaints.push(complaint);
                }
            }
        }
    }
}

impl Client for Caller {
    fn hear(&mut self, now: Instant, heard: Heard<'_>) {
        match heard {
            Heard::Datagram { local, bytes, .. } => self.heard_datagram(now, local, bytes),
            Heard::Opened => {
                if let Some(call) = &mut self.call {
                    call.open = true;
                }
                self.ask("getRouterRtpCapabilities", json!({}), Asked::Capabilities);
            }
            Heard::Message(text) => self.heard_message(now, text),
            Heard::Closed(STAY_AWAY) => self.call = None,
            Heard::Closed(_) => {
                if let Some(call) = self.call.take() {
                    let wanted = call.outgoing.into_iter().map(|outgoing| outgoing.track).chain(call.wanted);
                    self.call = Some(Call::new(call.room_id, wanted.collect()));
                    self.reopen_at = Some(now + RECONNECT_AFTER);
                }
            }
            Heard::Response(..) => {}
        }
    }

    fn poll(&mut self, now: Instant, said: &mut Vec<Said>) -> Option<Instant> {
        if self.reopen_at.is_some_and(|at| at <= now) {
            self.open();
        }
        if self.call.as_ref().is_some_and(Call::has_failed) {
            self.reconnect();
        }
        let (said_later, complaints) = (&mut self.said, &mut self.complaints);
        let call_at = self.call.as_mut().and_then(|call| call.poll(now, said_later, complaints));
        said.extend(self.said.drain(..));
        [call_at, self.reopen_at].into_iter().flatten().min()
    }
}

/// The index that is meant where things are counted modulo those that are there.
fn pick(count: usize, nth: u32) -> Option<usize> {
    (nth as usize).checked_rem(count)
}

fn pick_mut<T>(items: &mut [T], nth: u32) -> Option<&mut T> {
    let index = pick(items.len(), nth)?;
    items.get_mut(index)
}

/// Takes codecs out of capabilities, with their retransmissions.
fn keep_codecs(capabilities: &mut Value, lacks: &[&'static str]) {
    let Some(codecs) = capabilities["codecs"].as_array_mut() else { return };
    let mut gone: Vec<Value> = Vec::new();
    codecs.retain(|codec| {
        let mime_type = codec["mimeType"].as_str().unwrap_or_default().to_ascii_lowercase();
        let lacking = lacks.contains(&mime_type.as_str()) || gone.contains(&codec["parameters"]["apt"]);
        if lacking {
            gone.push(codec["preferredPayloadType"].clone());
        }
        !lacking
    });
}
