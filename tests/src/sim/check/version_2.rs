//! What the reference model knows of the mediasoup protocol: peers of version 2 are members of the same rooms, with ids of their
//! own.
//!
//! A member has a consumer for everything that the others produce, from the moment that there is something, under the same id and
//! the same SSRCs until it ends. Media flows while it is enabled on a transport.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use sansfu::event::{CloseReason, Event};
use sansfu::server::SessionId;
use sansfu::sfu::Sfu;
use serde_json::Value;

use super::Violation;
use super::model::{ConsumerModel, Expected, ObjectId, PeerModel, ProducerModel, RoomsModel, TransportModel};
use super::rooms::{Judged, Output, mime_type, ssrcs};
use crate::sim::world::{Done, Step};

/// The protoo method that carries requests.
pub(super) const REQUEST: &str = "mediasoup-request";
/// The protoo method that carries notifications.
pub(super) const NOTIFICATION: &str = "mediasoup-notification";

/// The profiles that can be wished for, each better than the one before. The first is no wish.
const PROFILES: [&str; 4] = ["default", "low", "medium", "high"];

/// What a peer of version 2 has, under the ids of its protocol.
#[derive(Debug, Default)]
pub struct MemberModel {
    /// Sees everybody and is seen by nobody.
    pub spy: bool,
    /// Its transports: a transport's id is its first ICE username fragment.
    pub transports: BTreeMap<u32, ObjectId>,
    /// What it sends.
    pub producers: BTreeMap<u32, ObjectId>,
    /// What it can have enabled.
    pub sinks: BTreeMap<u32, SinkModel>,
    /// The MIME types, lower case, that it can receive.
    receives: BTreeSet<String>,
}

/// A consumer of version 2, enabled or not.
#[derive(Debug)]
pub struct SinkModel {
    /// What it consumes.
    pub producer: ObjectId,
    /// The SSRCs that it sends; none if the client has no codec for it.
    pub ssrcs: Vec<u32>,
    /// Whether the server has paused it.
    pub paused_by_server: bool,
}

/// The names of the layers of a producer of version 3: the lowest three, and all above are the highest.
pub(super) fn ladder_of_layers(encodings: &Value) -> Vec<u8> {
    let encodings = encodings.as_array().map(Vec::as_slice).unwrap_or_default();
    let layers = match encodings {
        [one] => {
            let mode = one["scalabilityMode"].as_str().and_then(|mode| mode.get(1..2));
            mode.and_then(|layers| layers.parse().ok()).unwrap_or(1)
        }
        several => several.len() as u8,
    };
    if layers > 1 { (1..=layers).map(|layer| layer.min(3)).collect() } else { Vec::new() }
}

/// As its client has named the layers.
fn named_ladder(encodings: &Value) -> Vec<u8> {
    let encodings = encodings.as_array().into_iter().flatten();
    let rank = |name: &str| PROFILES.iter().position(|profile| *profile == name).unwrap_or(0) as u8;
    let mut ladder: Vec<u8> =
        encodings.map(|encoding| rank(encoding["profile"].as_str().unwrap_or("default"))).collect();
    ladder.sort_unstable();
    if ladder.len() > 1 { ladder } else { Vec::new() }
}

impl MemberModel {
    pub(super) fn has_sink_of(&self, producer: &str) -> bool {
        self.sinks.values().any(|sink| sink.producer == producer)
    }

    /// Forgets producers, its own and those that it consumes; gives the consumers that are gone.
    pub(super) fn remove_producers(&mut self, is_gone: impl Fn(&ObjectId) -> bool) -> Vec<String> {
        self.producers.retain(|_, producer| !is_gone(producer));
        self.sinks.extract_if(.., |_, sink| is_gone(&sink.producer)).map(|(id, _)| id.to_string()).collect()
    }
}

impl RoomsModel {
    /// Learns what the machine calls the transports of members, from their username fragments.
    pub(super) fn meet_transports(&mut self, step: &Step<'_>, sfu: &Sfu) {
        for done in step.done {
            let Done::Event(Event::IceStateChanged { transport_id, .. }) = done else { continue };
            let Ok(transport) = sfu.webrtc_transport(*transport_id) else { continue };
            if let Some(known) = self.transport_of(&transport.ice_parameters.username_fragment).cloned() {
                self.core_transports.entry(transport_id.to_string()).or_insert(known);
            }
        }
    }

    /// A transport that the machine has named. One that has never been connected it has not named before: then it is the one of
    /// whose end its client is told.
    pub(super) fn local_transport(&self, core: &str, output: &Output) -> ObjectId {
        if let Some(known) = self.core_transports.get(core) {
            return known.clone();
        }
        let is_met = |transport: &ObjectId| self.core_transports.values().any(|met| met == transport);
        let mut told = output.notifications.iter().filter(|(_, method, _)| method == "2:transportClosed");
        let unmet = told.find_map(|(session, _, message)| {
            let id = id_of(message, "id")?;
            let transport = self.peer(*session)?.member.as_ref()?.transports.get(&id)?;
            (!is_met(transport)).then(|| transport.clone())
        });
        unmet.unwrap_or_else(|| core.to_owned())
    }

    /// What a member must be told of the end of a transport; `None`: it is not a member's.
    pub(super) fn member_transport_lost(
        &self,
        session: SessionId,
        transport: &str,
        reason: CloseReason,
    ) -> Option<Option<Expected>> {
        let member = self.peer(session)?.member.as_ref()?;
        let (id, _) = member.transports.iter().find(|(_, known)| *known == transport)?;
        let told = Expected::Notification(session, "2:transportClosed", id.to_string());
        Some((reason != CloseReason::DtlsClosed).then_some(told))
    }

    /// Whether a session is told something in the wrong dialect.
    pub(super) fn is_of_other_version(&self, session: SessionId, method: &str) -> bool {
        let peer = self.peer(session).filter(|peer| peer.joined);
        peer.is_some_and(|peer| peer.member.is_some() != method.starts_with("2:"))
    }

    /// The producer of a peer in the room of `session` of which it has said that.
    pub(super) fn producer_of(
        &self,
        session: SessionId,
        peer_id: &str,
        app_data: &Value,
    ) -> Option<ObjectId> {
        let (room_id, _) = self.sessions.get(&session)?;
        let producers = &self.rooms.get(room_id)?.peers.get(peer_id)?.producers;
        producers.iter().find(|(_, producer)| producer.app_data == *app_data).map(|(id, _)| id.clone())
    }

    /// Whether a request has to be accepted (or refused); `None` where only the server can know.
    pub(super) fn must_accept_of_version_2(&self, session: SessionId, request: &Value) -> Option<bool> {
        let (peer, (_, peer_id)) = (self.peer(session)?, self.sessions.get(&session)?);
        let method = request["method"].as_str().unwrap_or_default();
        match (request["target"].as_str(), method) {
            (Some("room"), "queryRoom") => Some(true),
            (Some("room"), "join") => {
                let possible = !peer.joined && peer.transports.is_empty();
                let is_own =
                    request["peerName"] == *peer_id && request["rtpCapabilities"]["codecs"].is_array();
                match (possible, is_own) {
                    (true, true) => Some(true),
                    (true, false) => None,
                    (false, _) => Some(false),
                }
            }
            (Some("peer"), _) => {
                let member = peer.member.as_ref();
                member.map_or(Some(false), |member| must_accept_of_member(peer, member, method, request))
            }
            _ => Some(false),
        }
    }

    pub(super) fn carry_out_of_version_2(
        &mut self,
        now: Instant,
        session: SessionId,
        request: &Value,
        answer: &Value,
    ) -> Judged<Vec<Expected>> {
        let id = id_of(request, "id").unwrap_or_default();
        match request["method"].as_str() {
            Some("join") => return self.member_joined(session, request, answer),
            Some("createTransport") => self.member_has_transport(session, id, request, answer),
            Some("restartTransport") => {
                let member = self.peer(session).and_then(|peer| peer.member.as_ref());
                if let Some(transport) = member.and_then(|member| member.transports.get(&id).cloned()) {
                    self.learn_ice(&answer["iceParameters"], &transport);
                }
            }
            Some("createProducer") => self.member_produces(session, id, request),
            Some("enableConsumer") => self.member_enables(now, session, request, answer)?,
            _ => {}
        }
        Ok(Vec::new())
    }

    /// A notification of a client: what is wrong with it changes nothing.
    pub(super) fn notified(&mut self, now: Instant, session: SessionId, message: &Value) -> Vec<Expected> {
        let is_fine = message["notification"] == true && message["target"] == "peer";
        let Some((room_id, _)) = self.sessions.get(&session).cloned() else { return Vec::new() };
        let Some(peer) = self.peer_mut(session).filter(|_| is_fine) else { return Vec::new() };
        let Some(member) = &peer.member else { return Vec::new() };
        let id = id_of(message, "id");
        let transport = id.and_then(|id| member.transports.get(&id).cloned());
        let producer = id.and_then(|id| member.producers.get(&id).cloned());
        let consumer = id.and_then(|id| peer.consumers.get_mut(&id.to_string()));
        match (message["method"].as_str().unwrap_or_default(), transport, producer, consumer) {
            ("leave", ..) => return self.leave(now, session),
            ("updateTransport", Some(id), ..) => {
                if let Some(transport) = peer.transports.get_mut(&id) {
                    transport.connected = true;
                }
            }
            ("closeTransport", Some(id), ..) => return self.remove_transport(now, session, &id),
            (method @ ("pauseProducer" | "resumeProducer"), _, Some(id), _) => {
                return self.set_producer_paused(session, &id, false, method == "pauseProducer");
            }
            ("closeProducer", _, Some(id), _) => {
                return self.remove_producers(&room_id, [id].iter(), false);
            }
            (method @ ("pauseConsumer" | "resumeConsumer"), _, _, Some(consumer)) => {
                consumer.paused = method == "pauseConsumer";
                consumer.paused_by_client = consumer.paused;
            }
            ("setConsumerPreferredProfile", _, _, Some(consumer)) => {
                let producer = consumer.producer.clone();
                let wish = message["profile"].as_str().unwrap_or_default().to_owned();
                let layer = self.layer_for(&producer, &wish);
                let consumer = id.and_then(|id| self.peer_mut(session)?.consumers.get_mut(&id.to_string()));
                if let (Some(consumer), Some(layer)) = (consumer, layer) {
                    consumer.preferred = (layer, None);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Takes the consumers that members were told of into the tables.
    pub(super) fn take_member_offers(
        &mut self,
        expected: &mut Vec<Expected>,
        offers: &[(SessionId, Value)],
    ) -> Judged {
        for (session, offer) in offers {
            let peer_name = offer["peerName"].as_str().unwrap_or_default().to_owned();
            let producer = self.producer_of(*session, &peer_name, &offer["appData"]);
            let entry = producer.map(|producer| Expected::Offer(*session, producer));
            let Some(at) = expected.iter().position(|expected| Some(expected) == entry.as_ref()) else {
                return Err(Violation::new("an offer of a consumer that is not due", offer.to_string()));
            };
            expected.swap_remove(at);
            self.take_sink(*session, &peer_name, offer)?;
        }
        Ok(())
    }

    /// The spatial layer that a wish means, the best one being `None`; nothing if it is no wish at all.
    fn layer_for(&self, producer: &str, wish: &str) -> Option<Option<u8>> {
        let wish = PROFILES.iter().position(|profile| *profile == wish)? as u8;
        let ladder = &self.producer(producer)?.ladder;
        if wish == 0 || ladder.is_empty() {
            return Some(None);
        }
        Some(Some(ladder.iter().rposition(|profile| *profile <= wish).unwrap_or(0) as u8))
    }

    /// A member is told in the answer who is there, and has a consumer for all that they produce.
    fn member_joined(&mut self, session: SessionId, join: &Value, answer: &Value) -> Judged<Vec<Expected>> {
        let Some((room_id, peer_id)) = self.sessions.get(&session).cloned() else { return Ok(Vec::new()) };
        let codecs = join["rtpCapabilities"]["codecs"].as_array().into_iter().flatten();
        let spy = join["spy"] == true;
        let member = MemberModel { spy, receives: codecs.map(mime_type).collect(), ..MemberModel::default() };
        if let Some(peer) = self.peer_mut(session) {
            peer.joined = true;
            peer.member = Some(member);
        }
        let Some(room) = self.rooms.get(&room_id) else { return Ok(Vec::new()) };
        let others = room.peers.iter().filter(|(id, peer)| **id != peer_id && peer.is_seen());
        let others: BTreeSet<String> = others.map(|(id, _)| id.clone()).collect();
        let expected =
            if spy { Vec::new() } else { room.tell_joined("newPeer", Some("2:newPeer"), &peer_id) };
        let told = answer["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |peer: &Value| peer["name"].as_str().unwrap_or_default().to_owned();
        if told.len() != others.len() || !told.iter().map(name).eq(others) {
            return Err(Violation::new("an answer that is wrong about who is there", answer.to_string()));
        }
        for peer in told {
            for consumer in peer["consumers"].as_array().into_iter().flatten() {
                self.take_sink(session, &name(peer), consumer)?;
            }
        }
        Ok(expected)
    }

    /// A consumer that a member was told of.
    fn take_sink(&mut self, session: SessionId, peer_name: &str, description: &Value) -> Judged {
        let wrong = |rule| Err(Violation::new(rule, description.to_string()));
        let Some(producer) = self.producer_of(session, peer_name, &description["appData"]) else {
            return wrong("a consumer of nothing");
        };
        let Some(source) = self.producer(&producer) else { return wrong("a consumer of nothing") };
        if description["paused"] != source.is_paused() || description["peerName"] != *peer_name {
            return wrong("an offer that is wrong about the pause");
        }
        let mime_type = source.mime_type.clone();
        let ssrcs = ssrcs(&description["rtpParameters"]["encodings"]);
        let members = self.peers().filter_map(|peer| peer.member.as_ref());
        let given = members.flat_map(|member| member.sinks.values().flat_map(|sink| &sink.ssrcs));
        let given: BTreeSet<u32> = given.copied().collect();
        if ssrcs.iter().any(|ssrc| self.ssrcs.contains_key(ssrc) || given.contains(ssrc)) {
            return wrong("an SSRC given out twice");
        }
        let id = id_of(description, "id");
        let member = self.peer_mut(session).and_then(|peer| peer.member.as_mut());
        let (Some(id), Some(member)) = (id, member) else { return wrong("a consumer without an id") };
        if member.receives.contains(&mime_type) == ssrcs.is_empty() {
            return wrong("a consumer that cannot be received, or nothing of one that can");
        }
        if member.sinks.insert(id, SinkModel { producer, ssrcs, paused_by_server: false }).is_some() {
            return wrong("an id given out twice");
        }
        Ok(())
    }

    fn member_has_transport(&mut self, session: SessionId, own: u32, request: &Value, answer: &Value) {
        let parameters = &answer["iceParameters"];
        let id = parameters["usernameFragment"].as_str().unwrap_or_default().to_owned();
        self.learn_ice(parameters, &id);
        let Some(peer) = self.peer_mut(session) else { return };
        let producing = request["direction"] == "send";
        let connected = request["dtlsParameters"].is_object();
        peer.transports.insert(id.clone(), TransportModel { producing, consuming: !producing, connected });
        if let Some(member) = &mut peer.member {
            member.transports.insert(own, id);
        }
    }

    fn member_produces(&mut self, session: SessionId, own: u32, request: &Value) {
        let Some(peer) = self.peer_mut(session) else { return };
        let Some(member) = &mut peer.member else { return };
        let transport = id_of(request, "transportId").and_then(|id| member.transports.get(&id).cloned());
        let producer = ProducerModel {
            transport: transport.unwrap_or_default(),
            mime_type: mime_type(&request["rtpParameters"]["codecs"][0]),
            paused: request["paused"] == true,
            paused_by_server: false,
            app_data: request["appData"].clone(),
            ladder: named_ladder(&request["rtpParameters"]["encodings"]),
        };
        let id = format!("{}/{own}", session.0);
        member.producers.insert(own, id.clone());
        peer.producers.insert(id, producer);
    }

    fn member_enables(
        &mut self,
        now: Instant,
        session: SessionId,
        request: &Value,
        answer: &Value,
    ) -> Judged {
        let id = id_of(request, "id").unwrap_or_default();
        self.flows += 1;
        let flow = self.flows;
        let member = self.peer(session).and_then(|peer| peer.member.as_ref());
        let Some((member, sink)) = member.and_then(|member| Some((member, member.sinks.get(&id)?))) else {
            return Ok(());
        };
        let (producer, ssrcs) = (sink.producer.clone(), sink.ssrcs.clone());
        let paused_by_server = sink.paused_by_server;
        let transport = id_of(request, "transportId").and_then(|id| member.transports.get(&id).cloned());
        let source_paused = self.producer(&producer).map(ProducerModel::is_paused);
        if answer["paused"].as_bool() != source_paused.map(|paused| paused || paused_by_server) {
            return Err(Violation::new("an answer that is wrong about the pause", answer.to_string()));
        }
        let paused = request["paused"] == true;
        let consumer = ConsumerModel {
            transport: transport.unwrap_or_default(),
            // There is nothing to be answered: it flows at once.
            offered_at: now,
            answered: true,
            paused_by_client: paused,
            paused,
            paused_by_server,
            preferred: (
                self.layer_for(&producer, request["preferredProfile"].as_str().unwrap_or("default"))
                    .flatten(),
                None,
            ),
            producer,
            ssrcs: ssrcs.clone(),
            flow,
        };
        self.ssrcs.extend(ssrcs.into_iter().map(|ssrc| (ssrc, id.to_string())));
        if let Some(peer) = self.peer_mut(session) {
            peer.consumers.insert(id.to_string(), consumer);
        }
        Ok(())
    }
}

fn must_accept_of_member(
    peer: &PeerModel,
    member: &MemberModel,
    method: &str,
    request: &Value,
) -> Option<bool> {
    let id = id_of(request, "id");
    let transport = id_of(request, "transportId").and_then(|id| member.transports.get(&id));
    let transport = transport.and_then(|id| peer.transports.get(id));
    match method {
        "createTransport" => {
            let is_new = id.is_some_and(|id| !member.transports.contains_key(&id));
            let is_allowed = !(member.spy && request["direction"] == "send");
            Some(
                is_new
                    && is_allowed
                    && ["send", "recv"].iter().any(|direction| request["direction"] == *direction),
            )
        }
        "restartTransport" => Some(id.is_some_and(|id| member.transports.contains_key(&id))),
        "createProducer" => {
            let is_new = id.is_some_and(|id| !member.producers.contains_key(&id));
            let possible = is_new && transport.is_some_and(|transport| transport.producing);
            Some(possible && request["appData"]["sound"] == true)
        }
        "enableConsumer" => {
            let sink = id.and_then(|id| member.sinks.get(&id));
            let can_flow = sink.is_some_and(|sink| !sink.ssrcs.is_empty());
            let is_enabled = id.is_some_and(|id| peer.consumers.contains_key(&id.to_string()));
            Some(can_flow && !is_enabled && transport.is_some_and(|transport| transport.consuming))
        }
        _ => Some(false),
    }
}

fn id_of(message: &Value, name: &str) -> Option<u32> {
    message[name].as_u64().and_then(|id| u32::try_from(id).ok())
}
