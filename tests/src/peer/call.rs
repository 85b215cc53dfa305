//! A client over protoo: what a tab with `mediasoup-client` does, as a state machine. Version 3 speaks the protocol of the demo,
//! version 2 the mediasoup protocol ([`version_2`]).
//!
//! It comes into a room, publishes tracks, takes the consumers that it is offered, and comes back when its WebSocket breaks. What
//! it does beyond that it is told by [`Order`]s.
mod order;
mod place;
mod version_2;

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
use super::media::remb::RembGenerator;
use super::path::{Misbehaviour, Path, PathParameters, Security};
use super::publishing::{Generation, Outgoing};
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
    /// What it speaks.
    pub generation: Generation,
    /// Of version 2: whether it comes as a spy.
    pub spy: bool,
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
    /// Of version 2: whether it has asked for reports of statistics.
    gets_reports: bool,
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
            gets_reports: false,
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
            && call.has_enabled_all()
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
        self.take_leave();
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
                    self.change("closeProducer", "producerId", id);
                }
            }
            Order::PauseProducer(nth, paused) => {
                let Some(outgoing) = pick_mut(&mut call.outgoing, nth) else { return };
                let Some(id) = outgoing.producer_id().map(str::to_owned) else { return };
                outgoing.set_paused(now, paused);
                self.change(if paused { "pauseProducer" } else { "resumeProducer" }, "producerId", &id);
            }
            Order::Mute(nth, muted) => {
                if let Some(outgoing) = pick_mut(&mut call.outgoing, nth) {
                    outgoing.set_muted(now, muted);
                }
            }
            Order::PauseConsumer(nth, paused) => {
                let incoming =
                    pick(call.incoming.len(), nth).and_then(|nth| call.incoming.iter_mut().nth(nth));
                let Some((id, incoming)) = incoming else { return };
                incoming.set_paused(now, paused);
                if let Some(offered) = call.offered.get_mut(id) {
                    offered.paused = paused;
                }
                let id = id.clone();
                self.change(if paused { "pauseConsumer" } else { "resumeConsumer" }, "consumerId", &id);
            }
            Order::AskConsumer(nth, method, data) => self.ask_consumer(nth, method, data),
            Order::RestartIce { sending } => {
                let Some(id) = call.transport(sending).map(|transport| transport.id.clone()) else { return };
                let asked = Asked::RestartIce { sending };
                match self.config.generation {
                    Generation::Three => self.ask("restartIce", json!({ "transportId": id }), asked),
                    Generation::Two => self.ask_peer("restartTransport", json!({ "id": id }), asked),
                }
            }
            Order::CloseTransport { sending } => self.close_transport(now, sending),
            Order::BeSilent { sending, of, hold } => {
                if let Some(transport) = call.transport_mut(sending) {
                    transport.fall_silent(now + hold, of);
                }
            }
            Order::Speak => {
                let transports = [&mut call.sending, &mut call.receiving].into_iter().flatten();
                transports.for_each(|transport| transport.speak(now));
            }
            Order::Stats if self.config.generation == Generation::Two => self.toggle_reports(),
            Order::Stats => self.ask_stats(),
            // Version 2 has nothing of the kind.
            Order::Rename(_) if self.config.generation == Generation::Two => {}
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

    fn close_transport(&mut self, now: Instant, sending: bool) {
        let is_dtls = matches!(self.config.security, Security::Dtls { .. });
        // Without DTLS there is nothing by which version 3 could close a transport.
        if !is_dtls && self.config.generation == Generation::Three {
            return;
        }
        let Some(call) = &mut self.call else { return };
        let closed = if sending { call.sending.take() } else { call.receiving.take() };
        let Some(mut transport) = closed else { return };
        transport.path.close(now);
        transport.flush(&mut self.said);
        if sending {
            call.outgoing.clear();
        } else {
            call.incoming.clear();
        }
        if self.config.generation == Generation::Two {
            self.notify("closeTransport", json!({ "id": transport.id }));
        }
    }

    /// Tells the server of a change to an object, which both versions call the same.
    fn change(&mut self, method: &str, field: &str, id: &str) {
        match self.config.generation {
            Generation::Three => self.ask(method, json!({ field: id }), Asked::Else),
            Generation::Two => self.notify(method, json!({ "id": version_2::number(id) })),
        }
    }

    fn ask_consumer(&mut self, nth: u32, method: &'static str, mut data: Value) {
        let Some(call) = &self.call else { return };
        let ids: Vec<&String> = call.incoming.keys().collect();
        let Some(id) = pick(ids.len(), nth).map(|index| ids[index].clone()) else { return };
        if self.config.generation == Generation::Two {
            return self.prefer_profile(&id, method, &data);
        }
        data["consumerId"] = json!(id);
        self.ask(method, data, Asked::Else);
    }

    fn ask_stats(&mut self) {
        let Some(call) = &self.call else { return };
        let transports = [&call.sending, &call.receiving].into_iter().flatten();
        let mut questions: Vec<(&str, &str, Value)> =
            transports.map(|transport| ("getTransportStats", "transportId", transport.id.clone())).collect();
        let producers = call.outgoing.iter().filter_map(|outgoing| outgoing.producer_id());
        questions.extend(producers.map(|id| ("getProducerStats", "producerId", json!(id))));
        questions.extend(call.incoming.keys().map(|id| ("getConsumerStats", "consumerId", json!(id))));
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
        } else if frame["method"] == version_2::NOTIFICATION {
            self.heard_of_version_2(now, &frame["data"]);
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
            if let Asked::Produce { track } | Asked::CreateProducer { track, .. } = asked
                && let Some(call) = &mut self.call
            {
                call.outgoing.retain(|outgoing| outgoing.id() != track);
            }
            return;
        }
        match asked {
            Asked::Capabilities => self.arrive(data),
            Asked::Transport { sending } => {
                self.ports += 1;
                let (port, id) = (self.ports, data["id"].clone());
                if let Some(parameters) = self.made_transport(now, sending, port, &id, data) {
                    let connect = json!({ "transportId": id, "dtlsParameters": parameters });
                    self.ask("connectWebRtcTransport", connect, Asked::Else);
                    self.publish_wanted(now);
                }
            }
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
                let of_version_2 = self.config.generation == Generation::Two;
                let parameters = if of_version_2 { &data["iceParameters"] } else { data };
                let parameters = serde_json::from_value::<IceParameters>(parameters.clone());
                let transport = self.call.as_mut().and_then(|call| call.transport_mut(sending));
                if let (Ok(parameters), Some(transport)) = (parameters, transport) {
                    transport.path.restart_ice(now, parameters);
                }
            }
            Asked::Else => {}
            asked => self.heard_answer_of_version_2(now, asked, data),
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

    /// The server has made a transport: a path to it, and what the server has to be told of that.
    fn made_transport(
        &mut self,
        now: Instant,
        sending: bool,
        port: u16,
        id: &Value,
        data: &Value,
    ) -> Option<DtlsParameters> {
        let [_, _, high, low] = (0x0a00_0000 + 1 + self.config.index).to_be_bytes();
        let local = SocketAddr::from(([10, 0, high, low], 5_000 + port));
        let candidate = &data["iceCandidates"][0];
        let ip = candidate["address"].as_str().or(candidate["ip"].as_str()).unwrap_or_default();
        let server = format!("{ip}:{}", candidate["port"]).parse();
        let ice = serde_json::from_value(data["iceParameters"].clone());
        let dtls = serde_json::from_value::<DtlsParameters>(data["dtlsParameters"].clone());
        let (Ok(server), Ok(ice), Ok(dtls)) = (server, ice, dtls) else {
            self.complaints.push(Complaint::new(format!("a transport that cannot be read: {data}")));
            return None;
        };
        let parameters = PathParameters {
            server,
            ice,
            fingerprints: dtls.fingerprints,
            security: self.security(sending),
            seed: self.path_seed(port),
        };
        let path = Path::new(now, parameters);
        let told = path.local_dtls_parameters();
        let has_remb = self.config.generation == Generation::Two && !sending;
        let transport = Transport {
            id: id.clone(),
            local,
            server,
            path,
            numbers: TransportNumbers::default(),
            feedback: None,
            remb: has_remb.then(|| RembGenerator::new(self.config.index + 1)),
            silent_until: None,
        };
        let call = self.call.as_mut()?;
        *(if sending { &mut call.sending } else { &mut call.receiving }) = Some(transport);
        Some(told)
    }

    /// Version 2 lets the server begin the handshake of the transport by which it sends.
    fn security(&self, sending: bool) -> Security {
        let security = self.config.security;
        if sending && self.config.generation == Generation::Two { security.as_server() } else { security }
    }

    fn path_seed(&self, port: u16) -> u64 {
        self.config.seed ^ u64::from(port) << 32
    }

    fn publish_wanted(&mut self, now: Instant) {
        let Some(call) = self.call.as_mut().filter(|call| call.joined) else { return };
        if self.config.spy {
            return self.try_to_send(now);
        }
        let Some(transport) = &call.sending else { return };
        let (transport_id, numbers) = (transport.id.clone(), transport.numbers.clone());
        for track in std::mem::take(&mut call.wanted) {
            self.tracks_made += 1;
            let id = self.config.index * TRACKS_PER_CLIENT + self.tracks_made;
            let generation = self.config.generation;
            let mut outgoing = Outgoing::new(now, track, id, self.config.seed, generation);
            outgoing.sender.share_transport(&numbers);
            let data = json!({
                "transportId": transport_id,
                "kind": outgoing.kind(),
                "rtpParameters": outgoing.rtp_parameters(),
                "appData": outgoing.app_data(),
            });
            let track = outgoing.id();
            if let Some(call) = &mut self.call {
                call.outgoing.push(outgoing);
            }
            match generation {
                Generation::Three => self.ask("produce", data, Asked::Produce { track }),
                Generation::Two => self.create_producer(track, data),
            }
        }
    }

    fn heard_offer(&mut self, now: Instant, frame: &Value) {
        let data = &frame["data"];
        let answer = json!({ "response": true, "id": frame["id"], "ok": true, "data": {} });
        let parameters = serde_json::from_value::<RtpParameters>(data["rtpParameters"].clone());
        let extension =
            |parameters: &RtpParameters| parameters.header_extension_id(HeaderExtensionUri::TransportCc);
        let extension = parameters.as_ref().ok().and_then(extension);
        let paused = data["producerPaused"] == true;
        let incoming =
            parameters.ok().and_then(|parameters| Incoming::new(now, &data["appData"], &parameters, paused));
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
                match self.config.generation {
                    Generation::Three => self.ask("getRouterRtpCapabilities", json!({}), Asked::Capabilities),
                    Generation::Two => self.query_room(),
                }
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
