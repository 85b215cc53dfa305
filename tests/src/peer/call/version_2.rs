//! What a client of version 2 says and hears: the mediasoup protocol, in protoo (shapes as in `tests/golden/v2`).
//!
//! Its transports and producers have ids of its own choice. A consumer is told once, and enabled on the receiving transport: again
//! when the server has closed that (`transportClosed`), after which the client makes it anew under the same id.
use std::time::Instant;

use sansfu::ortc::RtpParameters;
use serde_json::{Value, json};

use super::place::{Asked, Offered};
use super::{Caller, Complaint, keep_codecs, pick};
use crate::peer::consuming::Incoming;
use crate::peer::publishing::Generation;
use crate::sim::world::Said;

/// The protoo method that carries requests.
const REQUEST: &str = "mediasoup-request";
/// The protoo method that carries notifications.
pub(super) const NOTIFICATION: &str = "mediasoup-notification";

/// An id as the protocol has it.
pub(super) fn number(id: &str) -> Value {
    json!(id.parse::<u32>().ok())
}

impl Caller {
    pub(super) fn query_room(&mut self) {
        self.ask(REQUEST, json!({ "method": "queryRoom", "target": "room" }), Asked::Room);
    }

    /// Asks the server for something as a peer.
    pub(super) fn ask_peer(&mut self, method: &str, mut members: Value, asked: Asked) {
        members["method"] = json!(method);
        members["target"] = json!("peer");
        self.ask(REQUEST, members, asked);
    }

    /// Tells the server something.
    pub(super) fn notify(&mut self, method: &str, mut members: Value) {
        if !self.call.as_ref().is_some_and(|call| call.open) {
            return;
        }
        members["method"] = json!(method);
        members["target"] = json!("peer");
        members["notification"] = json!(true);
        let frame = json!({ "notification": true, "method": NOTIFICATION, "data": members });
        self.said.push_back(Said::Message(frame.to_string()));
    }

    pub(super) fn create_producer(&mut self, track: u32, mut members: Value) {
        let id = self.random_id();
        members["id"] = json!(id);
        members["paused"] = json!(false);
        self.ask_peer("createProducer", members, Asked::CreateProducer { track, id });
    }

    /// The layers of version 3 as a profile; version 2 asks for nothing else of a consumer.
    pub(super) fn prefer_profile(&mut self, id: &str, method: &str, layers: &Value) {
        if method == "setConsumerPreferredLayers" {
            let profile = match layers["spatialLayer"].as_u64() {
                Some(0) => "low",
                Some(1) => "medium",
                Some(2) => "high",
                _ => "default",
            };
            self.notify("setConsumerPreferredProfile", json!({ "id": number(id), "profile": profile }));
        }
    }

    /// Has the statistics of everything reported from now on, or no more.
    pub(super) fn toggle_reports(&mut self) {
        self.gets_reports = !self.gets_reports;
        let verb = if self.gets_reports { "enable" } else { "disable" };
        let Some(call) = &self.call else { return };
        let transports = [&call.sending, &call.receiving].into_iter().flatten();
        let mut objects: Vec<(&str, Value)> =
            transports.map(|transport| ("Transport", transport.id.clone())).collect();
        let producers = call.outgoing.iter().filter_map(|outgoing| outgoing.producer_id());
        objects.extend(producers.map(|id| ("Producer", number(id))));
        objects.extend(call.offered.keys().map(|id| ("Consumer", number(id))));
        for (what, id) in objects {
            self.notify(&format!("{verb}{what}Stats"), json!({ "id": id, "interval": 1_000 }));
        }
    }

    /// What it has called its transport for sending, or that for receiving.
    pub fn transport_id(&self, sending: bool) -> Option<u32> {
        self.call.as_ref()?.transport(sending)?.id.as_u64()?.try_into().ok()
    }

    /// What it has called one of its producers.
    pub fn producer_id(&self, nth: u32) -> Option<u32> {
        let ids: Vec<&str> = self.outgoing().filter_map(|outgoing| outgoing.producer_id()).collect();
        ids[pick(ids.len(), nth)?].parse().ok()
    }

    /// What one of its consumers is called, enabled or not.
    pub fn consumer_id(&self, nth: u32) -> Option<u32> {
        let offered = &self.call.as_ref()?.offered;
        offered.keys().nth(pick(offered.len(), nth)?)?.parse().ok()
    }

    /// The last word before everything is closed.
    pub(super) fn take_leave(&mut self) {
        if self.config.generation == Generation::Two && self.call.as_ref().is_some_and(|call| call.joined) {
            self.notify("leave", json!({ "appData": { "reason": "done" } }));
        }
    }

    pub(super) fn heard_answer_of_version_2(&mut self, now: Instant, asked: Asked, answer: &Value) {
        match asked {
            Asked::Room => self.join_room(&answer["rtpCapabilities"]),
            Asked::JoinRoom => self.joined_room(now, answer),
            Asked::CreateTransport { sending, id, port } => {
                let Some(parameters) = self.made_transport(now, sending, port, &json!(id), answer) else {
                    return;
                };
                if sending {
                    self.publish_wanted(now);
                } else {
                    self.notify("updateTransport", json!({ "id": id, "dtlsParameters": parameters }));
                    self.enable_offered();
                }
            }
            Asked::CreateProducer { track, id } => {
                let mut outgoing = self.call.iter_mut().flat_map(|call| &mut call.outgoing);
                if let Some(outgoing) = outgoing.find(|outgoing| outgoing.id() == track) {
                    outgoing.set_producer(now, &id.to_string());
                }
            }
            Asked::EnableConsumer { id } => self.enabled(now, &id, answer),
            _ => {}
        }
    }

    pub(super) fn heard_of_version_2(&mut self, now: Instant, message: &Value) {
        let Some(call) = &mut self.call else { return };
        let id = message["id"].to_string();
        match message["method"].as_str() {
            Some("newConsumer") => {
                self.offer(message);
                self.enable_offered();
            }
            Some("consumerClosed") => {
                call.offered.remove(&id);
                call.incoming.remove(&id);
            }
            Some(method @ ("consumerPaused" | "consumerResumed")) => {
                if let Some(incoming) = call.incoming.get_mut(&id) {
                    incoming.set_producer_paused(now, method == "consumerPaused");
                }
            }
            Some("peerClosed") => {
                call.offered.retain(|id, offered| {
                    let stays = offered.description["peerName"] != message["name"];
                    if !stays {
                        call.incoming.remove(id);
                    }
                    stays
                });
            }
            Some("transportClosed") => self.transport_closed(now, &message["id"]),
            Some(method @ ("producerPaused" | "producerResumed")) => {
                let mut outgoing = call.outgoing.iter_mut();
                if let Some(outgoing) = outgoing.find(|outgoing| outgoing.producer_id() == Some(&id)) {
                    outgoing.set_paused_by_server(now, method == "producerPaused");
                }
            }
            Some("producerClosed") => {
                call.outgoing.retain(|outgoing| outgoing.producer_id() != Some(&id));
            }
            // Whoever wants to come again opens another WebSocket.
            Some("closed") => {
                self.call = None;
                self.said.push_back(Said::Close);
            }
            _ => {}
        }
    }

    fn join_room(&mut self, capabilities: &Value) {
        let mut receives = capabilities.clone();
        keep_codecs(&mut receives, &self.config.lacks);
        let join = json!({
            "method": "join",
            "target": "room",
            "peerName": self.config.peer_id,
            "rtpCapabilities": receives,
            "spy": self.config.spy,
            "appData": { "displayName": self.config.peer_id },
        });
        self.ask(REQUEST, join, Asked::JoinRoom);
    }

    fn joined_room(&mut self, now: Instant, answer: &Value) {
        if let Some(call) = &mut self.call {
            call.joined = true;
        }
        let peers = answer["peers"].as_array().into_iter().flatten();
        for consumer in peers.flat_map(|peer| peer["consumers"].as_array().into_iter().flatten()) {
            self.offer(consumer);
        }
        let directions: &[bool] = if self.config.spy { &[false] } else { &[true, false] };
        for sending in directions.iter().copied() {
            let id = self.random_id();
            self.create_transport(now, sending, id);
        }
    }

    /// A spy does what it must not; it will be refused.
    pub(super) fn try_to_send(&mut self, now: Instant) {
        let id = self.random_id();
        self.create_transport(now, true, id);
    }

    fn create_transport(&mut self, now: Instant, sending: bool, id: u32) {
        self.ports += 1;
        let port = self.ports;
        let direction = if sending { "send" } else { "recv" };
        let mut members = json!({ "id": id, "direction": direction, "options": {} });
        if sending {
            let parameters = self.security(sending).local_parameters(now, self.path_seed(port));
            members["dtlsParameters"] = json!(parameters);
        }
        self.ask_peer("createTransport", members, Asked::CreateTransport { sending, id, port });
    }

    /// A consumer that can be enabled.
    fn offer(&mut self, description: &Value) {
        let Some(call) = &mut self.call else { return };
        let offered = Offered { description: description.clone(), paused: false, asked: false };
        if call.offered.insert(description["id"].to_string(), offered).is_some() {
            self.complaints.push(Complaint::new(format!("a consumer told twice: {description}")));
        }
    }

    /// Enables what is not enabled yet, if there is a transport for it.
    fn enable_offered(&mut self) {
        let Some(call) = &mut self.call else { return };
        let Some(transport) = call.receiving.as_ref().map(|transport| transport.id.clone()) else { return };
        let mut questions = Vec::new();
        for (id, offered) in call.offered.iter_mut() {
            if offered.can_be_received() && !std::mem::replace(&mut offered.asked, true) {
                questions.push((id.clone(), offered.paused));
            }
        }
        for (id, paused) in questions {
            let members = json!({
                "id": number(&id), "transportId": transport, "paused": paused, "preferredProfile": "default",
            });
            self.ask_peer("enableConsumer", members, Asked::EnableConsumer { id });
        }
    }

    fn enabled(&mut self, now: Instant, id: &str, answer: &Value) {
        let Some(call) = &mut self.call else { return };
        // It may have been closed since, or the transport that it was to come by.
        let Some(offered) = call.offered.get(id).filter(|_| call.receiving.is_some()) else { return };
        let description = &offered.description;
        let parameters = serde_json::from_value::<RtpParameters>(description["rtpParameters"].clone());
        let paused = answer["paused"] == true;
        let incoming = parameters
            .ok()
            .and_then(|parameters| Incoming::new(now, &description["appData"], &parameters, paused));
        let Some(mut incoming) = incoming else {
            let what = format!("a consumer that cannot be read: {description}");
            return self.complaints.push(Complaint::new(what));
        };
        incoming.set_paused(now, offered.paused);
        call.incoming.insert(id.to_owned(), incoming);
    }

    /// The server has closed a transport: what was on it is sent and enabled again on a new one of the same id.
    fn transport_closed(&mut self, now: Instant, id: &Value) {
        let Some(call) = &mut self.call else { return };
        let is = |sending| call.transport(sending).is_some_and(|transport| transport.id == *id);
        let Some(sending) = [true, false].into_iter().find(|sending| is(*sending)) else { return };
        if sending {
            call.sending = None;
            call.wanted.extend(call.outgoing.drain(..).map(|outgoing| outgoing.track));
        } else {
            call.receiving = None;
            call.incoming.clear();
            call.offered.values_mut().for_each(|offered| offered.asked = false);
        }
        if let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) {
            self.create_transport(now, sending, id);
        }
    }

    fn random_id(&mut self) -> u32 {
        10_000_000 + self.choices.below(90_000_000)
    }
}
