//! Compares what a server said in a step with what the model expects.
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sansfu::event::{CloseReason, Event};
use sansfu::room::close_code;
use sansfu::server::{Server, SessionId};
use serde_json::Value;

use super::model::{ConsumerModel, Expected, ProducerModel, RoomsModel, TransportModel};
use super::{Violation, version_2};
use crate::sim::world::{Done, Step, Told};

/// How long a client has for the answer to an offer at least (protoo's timeout).
const ANSWER_TIMEOUT: Duration = Duration::from_millis(22_500);

/// Notifications that depend on the quality of networks: only whom they are about is judged.
const OF_QUALITY: [&str; 9] = [
    "producerScore",
    "consumerScore",
    "consumerLayersChanged",
    "activeSpeaker",
    "downlinkBwe",
    "2:consumerEffectiveProfileChanged",
    "2:transportStats",
    "2:producerStats",
    "2:consumerStats",
];
/// Notifications for peers that consume nothing.
const FOR_WATCHERS: [&str; 4] = ["producerAdded", "producerRemoved", "producerPaused", "producerResumed"];

/// What a server said in a step, sorted.
#[derive(Debug, Default)]
pub(super) struct Output {
    responses: BTreeMap<(SessionId, u64), Value>,
    /// Those of version 2 have `2:` before their names.
    pub(super) notifications: Vec<(SessionId, String, Value)>,
    offers: Vec<(SessionId, Value)>,
    /// `newConsumer` of version 2.
    pub(super) member_offers: Vec<(SessionId, Value)>,
    closes: Vec<(SessionId, u16)>,
    lost_transports: Vec<(String, CloseReason)>,
}

pub(super) type Judged<T = ()> = Result<T, Violation>;

impl RoomsModel {
    /// Follows a step; tells what of it was wrong.
    pub(super) fn observe(&mut self, step: &Step<'_>) -> Judged {
        let quiet = step.done.iter().all(|done| matches!(done, Done::Datagram { .. }));
        if quiet && matches!(step.told, Told::Timeout | Told::Datagram { .. }) {
            return Ok(());
        }
        let mut output = Output::sort(step.done)?;
        let mut expected = match step.told {
            Told::Opened { session, room_id, peer_id } => self.opened(step.now, *session, room_id, peer_id),
            Told::Closed { session } => self.end(step.now, *session),
            Told::Message { session, text } => self.message(step.now, *session, text, &mut output)?,
            Told::Http { request, .. } => self.requested(step.now, request, step.done)?,
            Told::Act { room_id, peer_name, action } => {
                self.operated(step.now, (room_id, peer_name), action, step.done)?
            }
            Told::Timeout | Told::Datagram { .. } => Vec::new(),
        };
        if let Some(((session, id), _)) = output.responses.first_key_value() {
            return Err(Violation::new("an answer to no request", format!("{session:?}, request {id}")));
        }
        for (transport, reason) in std::mem::take(&mut output.lost_transports) {
            let transport = self.local_transport(&transport, &output);
            expected.extend(self.transport_lost(step.now, &transport, reason));
        }
        expected.extend(self.due_offers());
        self.take_offers(step, &mut expected, &output.offers)?;
        self.take_member_offers(&mut expected, &output.member_offers)?;
        self.compare(step, expected, &output)
    }

    fn opened(&mut self, now: Instant, session: SessionId, room_id: &str, peer_id: &str) -> Vec<Expected> {
        let older = self.rooms.get(room_id).and_then(|room| room.peers.get(peer_id)).map(|peer| peer.session);
        let mut expected = Vec::new();
        if let Some(older) = older {
            expected = self.end(now, older);
            expected.push(Expected::Close(older, close_code::REPLACED));
        }
        self.open(session, room_id, peer_id);
        expected.push(Expected::Notification(session, "mediasoup-version", String::new()));
        expected
    }

    fn message(
        &mut self,
        now: Instant,
        session: SessionId,
        text: &str,
        output: &mut Output,
    ) -> Judged<Vec<Expected>> {
        if !self.sessions.contains_key(&session) {
            return Ok(Vec::new());
        }
        let frame = serde_json::from_str::<Value>(text).unwrap_or_default();
        let id = frame["id"].as_u64();
        // A frame that says it is both is a request, as in protoo's own libraries.
        match (frame["request"] == true, frame["response"] == true, id) {
            (true, _, Some(id)) => {
                let Some(response) = output.responses.remove(&(session, id)) else {
                    return Err(Violation::new("a request without an answer", text));
                };
                self.answered(now, session, &frame, &response)
            }
            (false, true, Some(id)) => {
                self.settle(session, id, frame["ok"] == true);
                Ok(Vec::new())
            }
            (false, false, _)
                if frame["notification"] == true && frame["method"] == version_2::NOTIFICATION =>
            {
                Ok(self.notified(now, session, &frame["data"]))
            }
            _ => Ok(self.nonsense(now, session, output)),
        }
    }

    /// What cannot be read may be answered, if it has a number at all. Who sends too much of it is thrown out.
    fn nonsense(&mut self, now: Instant, session: SessionId, output: &mut Output) -> Vec<Expected> {
        output.responses.retain(|(to, _), response| *to != session || response["ok"] == true);
        let close = (session, close_code::MALFORMED);
        if !output.closes.contains(&close) {
            return Vec::new();
        }
        let mut expected = self.end(now, session);
        expected.push(Expected::Close(session, close_code::MALFORMED));
        expected
    }

    /// The client's answer to an offer.
    fn settle(&mut self, session: SessionId, request: u64, accepted: bool) {
        let Some(peer) = self.peer_mut(session) else { return };
        let Some(id) = peer.offers.remove(&request) else { return };
        let Some(consumer) = peer.consumers.get_mut(&id) else { return };
        if accepted {
            consumer.answered = true;
            consumer.paused &= consumer.paused_by_client;
        } else {
            peer.consumers.remove(&id);
            self.ssrcs.retain(|_, consumer| *consumer != id);
        }
    }

    /// A request with its answer: what it has changed, and whether it had to be refused.
    fn answered(
        &mut self,
        now: Instant,
        session: SessionId,
        request: &Value,
        response: &Value,
    ) -> Judged<Vec<Expected>> {
        let (method, data) = (request["method"].as_str().unwrap_or_default(), &request["data"]);
        let accepted = response["ok"] == true;
        let is_of_version_2 = method == version_2::REQUEST;
        let must = if is_of_version_2 {
            self.must_accept_of_version_2(session, data)
        } else {
            self.must_accept(session, method, data)
        };
        if let Some(must) = must
            && must != accepted
        {
            let rule = if must { "a good request was refused" } else { "a wrong request was accepted" };
            return Err(Violation::new(rule, format!("{request} got {response}")));
        }
        if !accepted {
            let reasoned = response["errorReason"].as_str().is_some_and(|reason| !reason.is_empty());
            let explained = reasoned && response["errorCode"].as_u64().is_some();
            return if explained {
                Ok(Vec::new())
            } else {
                Err(Violation::new("a refusal without a reason", response.to_string()))
            };
        }
        if is_of_version_2 {
            return self.carry_out_of_version_2(now, session, data, &response["data"]);
        }
        Ok(self.carry_out(session, method, data, &response["data"]))
    }

    /// Whether a request has to be accepted (or refused); `None` where only the server can know.
    fn must_accept(&self, session: SessionId, method: &str, data: &Value) -> Option<bool> {
        let peer = self.peer(session)?;
        let text = |name: &str| data[name].as_str().unwrap_or_default();
        let has_transport = peer.transports.contains_key(text("transportId"));
        let has_producer = peer.joined && peer.producers.contains_key(text("producerId"));
        let has_consumer = peer.joined && peer.consumers.contains_key(text("consumerId"));
        let only_refuse = |known: bool| if known { None } else { Some(false) };
        match method {
            // A member keeps to its own protocol.
            _ if peer.member.is_some() => Some(false),
            "getRouterRtpCapabilities" => Some(true),
            "createWebRtcTransport" | "join" if !data.is_object() => Some(false),
            "createWebRtcTransport" => only_refuse(data["producing"] == true || data["consuming"] == true),
            "join" if peer.joined => Some(false),
            "join" => None,
            "connectWebRtcTransport" => {
                only_refuse(peer.transports.get(text("transportId")).is_some_and(|own| !own.connected))
            }
            "produce" => {
                let own = peer.transports.get(text("transportId"));
                let possible = peer.joined && own.is_some_and(|own| own.producing);
                if possible && data["appData"]["sound"] == true { Some(true) } else { only_refuse(possible) }
            }
            "restartIce" | "getTransportStats" => Some(has_transport),
            "closeProducer" | "pauseProducer" | "resumeProducer" | "getProducerStats" => Some(has_producer),
            "pauseConsumer" | "resumeConsumer" | "requestConsumerKeyFrame" | "getConsumerStats" => {
                Some(has_consumer)
            }
            "setConsumerPreferredLayers" | "setConsumerPriority" => only_refuse(has_consumer),
            "changeDisplayName" => only_refuse(peer.joined),
            _ => Some(false),
        }
    }

    fn carry_out(&mut self, session: SessionId, method: &str, data: &Value, answer: &Value) -> Vec<Expected> {
        let id = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        match method {
            "createWebRtcTransport" => self.created_transport(session, data, answer),
            "join" => return self.joined(session, data),
            "produce" => self.produced(session, data, answer),
            "restartIce" => self.learn_ice(answer, &id("transportId")),
            "closeProducer" => {
                let Some((room_id, _)) = self.sessions.get(&session).cloned() else { return Vec::new() };
                return self.remove_producers(&room_id, [id("producerId")].iter(), false);
            }
            "pauseProducer" => return self.set_producer_paused(session, &id("producerId"), false, true),
            "resumeProducer" => return self.set_producer_paused(session, &id("producerId"), false, false),
            "changeDisplayName" => return self.renamed(session),
            _ => {}
        }
        let Some(peer) = self.peer_mut(session) else { return Vec::new() };
        match method {
            "connectWebRtcTransport" => {
                if let Some(transport) = peer.transports.get_mut(&id("transportId")) {
                    transport.connected = true;
                }
            }
            "pauseConsumer" | "resumeConsumer" => {
                if let Some(consumer) = peer.consumers.get_mut(&id("consumerId")) {
                    consumer.paused = method == "pauseConsumer";
                    consumer.paused_by_client = consumer.paused;
                }
            }
            "setConsumerPreferredLayers" => {
                if let Some(consumer) = peer.consumers.get_mut(&id("consumerId")) {
                    let layer = |name: &str| data[name].as_u64().map(|layer| layer as u8);
                    consumer.preferred = (layer("spatialLayer"), layer("temporalLayer"));
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn created_transport(&mut self, session: SessionId, data: &Value, answer: &Value) {
        let id = answer["id"].as_str().unwrap_or_default().to_owned();
        let transport = TransportModel {
            producing: data["producing"] == true,
            consuming: data["consuming"] == true,
            connected: false,
        };
        self.learn_ice(&answer["iceParameters"], &id);
        if let Some(peer) = self.peer_mut(session) {
            peer.transports.insert(id, transport);
        }
    }

    /// Old credentials stay valid until the new ones are used, and may still be used by datagrams on their way.
    pub(super) fn learn_ice(&mut self, parameters: &Value, transport: &str) {
        let text = |name: &str| parameters[name].as_str().unwrap_or_default().to_owned();
        self.ice.insert(text("usernameFragment"), (text("password"), transport.to_owned()));
    }

    fn joined(&mut self, session: SessionId, data: &Value) -> Vec<Expected> {
        let codecs = data["rtpCapabilities"]["codecs"].as_array();
        let receives = codecs.map(|codecs| codecs.iter().map(mime_type).collect());
        let Some((room_id, peer_id)) = self.sessions.get(&session).cloned() else { return Vec::new() };
        if let Some(peer) = self.peer_mut(session) {
            peer.joined = true;
            peer.receives = receives;
        }
        let room = self.rooms.get(&room_id);
        room.map(|room| room.tell_joined("newPeer", Some("2:newPeer"), &peer_id)).unwrap_or_default()
    }

    fn renamed(&self, session: SessionId) -> Vec<Expected> {
        let Some((room_id, peer_id)) = self.sessions.get(&session) else { return Vec::new() };
        let room = self.rooms.get(room_id);
        room.map(|room| room.tell_joined("peerDisplayNameChanged", None, peer_id)).unwrap_or_default()
    }

    fn produced(&mut self, session: SessionId, data: &Value, answer: &Value) {
        let producer = ProducerModel {
            transport: data["transportId"].as_str().unwrap_or_default().to_owned(),
            mime_type: mime_type(&data["rtpParameters"]["codecs"][0]),
            paused: false,
            paused_by_server: false,
            app_data: data["appData"].clone(),
            ladder: version_2::ladder_of_layers(&data["rtpParameters"]["encodings"]),
        };
        if let Some(peer) = self.peer_mut(session) {
            peer.producers.insert(answer["id"].as_str().unwrap_or_default().to_owned(), producer);
        }
    }

    fn transport_lost(&mut self, now: Instant, id: &str, reason: CloseReason) -> Vec<Expected> {
        let owner = self.peers().find(|peer| peer.transports.contains_key(id)).map(|peer| peer.session);
        let Some(session) = owner else { return Vec::new() };
        if let Some(told) = self.member_transport_lost(session, id, reason) {
            let mut expected = self.remove_transport(now, session, id);
            expected.extend(told);
            return expected;
        }
        if reason == CloseReason::DtlsClosed {
            return self.remove_transport(now, session, id);
        }
        // The machine reports the end of each consumer on the transport before that of the transport.
        let mut expected = self.remove_transport(now, session, id);
        expected.extend(self.end(now, session));
        expected.push(Expected::Close(session, close_code::MEDIA_LOST));
        expected
    }

    /// Takes the consumers that were offered into the tables.
    fn take_offers(
        &mut self,
        step: &Step<'_>,
        expected: &mut Vec<Expected>,
        offers: &[(SessionId, Value)],
    ) -> Judged {
        for (session, offer) in offers {
            let data = &offer["data"];
            let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
            let (id, named) = (text("id"), text("producerId"));
            // What the machine calls a producer of version 2 nobody is told before.
            let producer = if self.producer(&named).is_some() {
                named
            } else {
                self.producer_of(*session, &text("peerId"), &data["appData"]).unwrap_or(named)
            };
            let entry = Expected::Offer(*session, producer.clone());
            let Some(at) = expected.iter().position(|expected| *expected == entry) else {
                return Err(Violation::new("an offer of a consumer that is not due", offer.to_string()));
            };
            expected.swap_remove(at);
            let known = self.producer(&producer).map(ProducerModel::is_paused);
            if known != data["producerPaused"].as_bool() {
                return Err(Violation::new("an offer that is wrong about the pause", offer.to_string()));
            }
            let ssrcs = ssrcs(&data["rtpParameters"]["encodings"]);
            if ssrcs.is_empty() || ssrcs.iter().any(|ssrc| self.ssrcs.contains_key(ssrc)) {
                return Err(Violation::new("an SSRC given out twice", offer.to_string()));
            }
            self.ssrcs.extend(ssrcs.iter().map(|ssrc| (*ssrc, id.clone())));
            self.flows += 1;
            let flow = self.flows;
            let Some(peer) = self.peer_mut(*session) else { continue };
            let transport = peer.transports.iter().find(|(_, transport)| transport.consuming);
            let consumer = ConsumerModel {
                producer: producer.clone(),
                transport: transport.map(|(id, _)| id.clone()).unwrap_or_default(),
                offered_at: step.now,
                answered: false,
                paused_by_client: false,
                paused: true,
                paused_by_server: false,
                preferred: (None, None),
                ssrcs,
                flow,
            };
            peer.settled.insert(producer);
            peer.offers.insert(offer["id"].as_u64().unwrap_or_default(), id.clone());
            peer.consumers.insert(id, consumer);
        }
        Ok(())
    }

    fn compare(&mut self, step: &Step<'_>, mut expected: Vec<Expected>, output: &Output) -> Judged {
        let mut take = |entry: &Expected| {
            let at = expected.iter().position(|expected| expected == entry);
            at.map(|at| expected.swap_remove(at)).is_some()
        };
        let mut surprises = Vec::new();
        for (session, method, data) in &output.notifications {
            if self.is_of_other_version(*session, method) {
                let what = format!("{session:?} {method} {data}");
                return Err(Violation::new("a notification of the other version", what));
            }
            if OF_QUALITY.contains(&method.as_str()) || self.is_for_watcher(*session, method) {
                continue;
            }
            let known = KEYS.iter().find(|(name, _)| name == method);
            let Some((name, key)) = known else {
                return Err(Violation::new("a notification of an unknown kind", method.clone()));
            };
            let id = data[key].as_str().map_or_else(|| data[key].to_string(), str::to_owned);
            let id = if key.is_empty() { String::new() } else { id };
            if !take(&Expected::Notification(*session, name, id)) {
                surprises.push((*session, method.clone(), data.clone()));
            }
        }
        for (session, code) in &output.closes {
            if !take(&Expected::Close(*session, *code)) {
                let what = format!("{session:?}, code {code}");
                return Err(Violation::new("a session closed without reason", what));
            }
        }
        if let Some(missing) = expected.first() {
            return Err(Violation::new("something was not said", format!("{missing:?}")));
        }
        surprises.into_iter().try_for_each(|surprise| self.judge_surprise(step, surprise))
    }

    fn is_for_watcher(&self, session: SessionId, method: &str) -> bool {
        FOR_WATCHERS.contains(&method)
            && self
                .peer(session)
                .is_some_and(|peer| peer.joined && peer.receives.is_none() && peer.member.is_none())
    }

    /// Offers that nobody has answered in time are taken back.
    fn judge_surprise(
        &mut self,
        step: &Step<'_>,
        (session, method, data): (SessionId, String, Value),
    ) -> Judged {
        let id = data["consumerId"].as_str().unwrap_or_default();
        if method == "consumerClosed"
            && let Some(peer) = self.peer_mut(session)
            && let Some(consumer) = peer.consumers.get(id)
            && !consumer.answered
            && step.now >= consumer.offered_at + ANSWER_TIMEOUT
        {
            peer.consumers.remove(id);
            peer.offers.retain(|_, offered| offered != id);
            self.ssrcs.retain(|_, consumer| consumer != id);
            return Ok(());
        }
        Err(Violation::new("something was said that is not so", format!("{session:?} {method} {data}")))
    }
}

/// Compares how much there is with what the model has.
pub(super) fn compare_counts(step: &Step<'_>, server: &Server, model: &RoomsModel) -> Judged {
    let stats = server.stats();
    let (transports, producers, consumers) = model.counts();
    let have = [
        stats.rooms.rooms,
        stats.rooms.sessions,
        stats.sfu.routers,
        stats.sfu.transports,
        stats.sfu.producers,
        stats.sfu.consumers,
    ];
    let rooms = model.rooms.len();
    let expected = [rooms, model.sessions.len(), rooms, transports, producers, consumers];
    if have.iter().zip(expected).all(|(have, expected)| *have == expected as u64) {
        return Ok(());
    }
    let what = format!(
        "server {}: rooms, sessions, routers, transports, producers, consumers are {have:?}, not {expected:?}",
        step.node
    );
    Err(Violation::new("more or fewer objects than there should be", what))
}

/// What each notification is about.
const KEYS: [(&str, &str); 17] = [
    ("mediasoup-version", ""),
    ("newPeer", "id"),
    ("peerClosed", "peerId"),
    ("peerDisplayNameChanged", "peerId"),
    ("consumerClosed", "consumerId"),
    ("consumerPaused", "consumerId"),
    ("consumerResumed", "consumerId"),
    ("2:newPeer", "name"),
    ("2:peerClosed", "name"),
    ("2:consumerClosed", "id"),
    ("2:consumerPaused", "id"),
    ("2:consumerResumed", "id"),
    ("2:transportClosed", "id"),
    ("2:closed", ""),
    ("2:producerPaused", "id"),
    ("2:producerResumed", "id"),
    ("2:producerClosed", "id"),
];

impl Output {
    fn sort(done: &[Done]) -> Judged<Self> {
        let mut output = Output::default();
        let mut closed = BTreeSet::new();
        for done in done {
            match done {
                Done::Message { session, text } => {
                    if closed.contains(session) {
                        return Err(Violation::new("a message behind the end of its session", text.clone()));
                    }
                    output.sort_message(*session, text)?;
                }
                Done::Close { session, code } => {
                    if !closed.insert(*session) {
                        return Err(Violation::new("a session closed twice", format!("{session:?}")));
                    }
                    output.closes.push((*session, *code));
                }
                Done::Event(Event::TransportClosed { transport_id, reason }) => {
                    output.lost_transports.push((transport_id.to_string(), *reason));
                }
                Done::Event(Event::RouterClosed { .. }) => {
                    return Err(Violation::new("a fault of the server", format!("{done:?}")));
                }
                Done::Event(_) | Done::Datagram { .. } | Done::Response { .. } | Done::Acted(_) => {}
            }
        }
        Ok(output)
    }

    fn sort_message(&mut self, session: SessionId, text: &str) -> Judged {
        let malformed = || Violation::new("a malformed message of the server", text);
        let frame: Value = serde_json::from_str(text).map_err(|_| malformed())?;
        let method = frame["method"].as_str().unwrap_or_default().to_owned();
        if frame["response"] == true {
            let id = frame["id"].as_u64().ok_or_else(malformed)?;
            if self.responses.insert((session, id), frame).is_some() {
                return Err(Violation::new("a request answered twice", text));
            }
        } else if frame["notification"] == true && method == version_2::NOTIFICATION {
            let message = frame["data"].clone();
            let is_fine = message["notification"] == true && message["target"] == "peer";
            match message["method"].as_str().filter(|_| is_fine) {
                Some("newConsumer") => self.member_offers.push((session, message)),
                Some(method) => self.notifications.push((session, format!("2:{method}"), message)),
                None => return Err(malformed()),
            }
        } else if frame["notification"] == true {
            self.notifications.push((session, method, frame["data"].clone()));
        } else if frame["request"] == true && method == "newConsumer" {
            self.offers.push((session, frame));
        } else {
            return Err(malformed());
        }
        Ok(())
    }
}

pub(super) fn mime_type(codec: &Value) -> String {
    codec["mimeType"].as_str().unwrap_or_default().to_ascii_lowercase()
}

pub(super) fn ssrcs(encodings: &Value) -> Vec<u32> {
    let encodings = encodings.as_array().into_iter().flatten();
    let each = encodings.flat_map(|encoding| [&encoding["ssrc"], &encoding["rtx"]["ssrc"]]);
    each.filter_map(|ssrc| u32::try_from(ssrc.as_u64()?).ok()).collect()
}
