//! Consumers of version 2: what there is for a member to consume, and what it is told of that.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::member::{Member, Sink};
use super::message::{self, Reported};
use super::profile::{Ladder, Profile};
use super::stats;
use crate::event::{ConsumerLayers, ProducerScore};
use crate::id::{ConsumerId, ProducerId};
use crate::ortc::{self, ProducerType};
use crate::room::SessionId;
use crate::room::desk::{Desk, Turn};
use crate::room::members::Room;
use crate::room::peer::Peer;

impl Room {
    /// Makes consumers for everything that the others produce; nothing is told.
    pub(super) fn add_all_sinks(&mut self, turn: &mut Turn<'_>, peer_id: &str) {
        let others = self.peers.iter().filter(|(id, _)| *id != peer_id);
        let producers =
            others.flat_map(|(id, other)| other.producers.iter().map(move |own| (id.clone(), own.id)));
        for (owner, producer) in producers.collect::<Vec<_>>() {
            self.add_sink(turn, peer_id, &owner, producer);
        }
    }

    /// Makes a consumer of a producer that has just come, and tells the member.
    pub(in crate::room) fn offer_sink(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        owner: &str,
        producer: ProducerId,
    ) {
        let Some(id) = self.add_sink(turn, peer_id, owner, producer) else { return };
        let (Some(session), Some(description)) = (self.session(peer_id), self.describe_sink(peer_id, id))
        else {
            return;
        };
        turn.desk.notify_member(session, "newConsumer", description);
    }

    fn add_sink(
        &mut self,
        turn: &mut Turn<'_>,
        peer_id: &str,
        owner: &str,
        producer: ProducerId,
    ) -> Option<u32> {
        let id = self.random_id();
        let ssrc = self.rng.ssrc();
        let ladder = self.ladder_of(turn, owner, producer)?;
        let data = turn.sfu.producer(producer).ok()?;
        let peer = self.peers.get_mut(peer_id)?;
        let options = ortc::ConsumerOptions {
            use_remote_ids: true,
            ssrc: Some(ssrc),
            ..ortc::ConsumerOptions::for_kind(data.kind)
        };
        let consumable = &data.consumable_rtp_parameters;
        let capabilities = peer.rtp_capabilities.as_ref()?;
        let rtp_parameters = ortc::consumer_rtp_parameters(consumable, capabilities, &options, || ssrc).ok();
        let sink = Sink {
            source: producer,
            peer_name: owner.to_owned(),
            kind: data.kind,
            rtp_parameters,
            enabled: None,
            locally_paused: false,
            remotely_paused: false,
            preferred_profile: Profile::Default,
            effective_profile: None,
            ladder,
        };
        peer.member.as_deref_mut()?.sinks.insert(id, sink);
        Some(id)
    }

    /// The layers of a producer: as version 2 has named them, or by their number.
    fn ladder_of(&self, turn: &Turn<'_>, owner: &str, producer: ProducerId) -> Option<Ladder> {
        let member = self.peers.get(owner).and_then(|peer| peer.member.as_deref());
        let own = member.and_then(|member| member.sources.values().find(|source| source.id == producer));
        if let Some(source) = own {
            return Some(source.ladder.clone());
        }
        let data = turn.sfu.producer(producer).ok()?;
        let encodings = &data.rtp_parameters.encodings;
        let layers = match data.r#type {
            ProducerType::Simulcast => encodings.len(),
            ProducerType::Simple | ProducerType::Svc => {
                encodings.first().map_or(1, |encoding| usize::from(encoding.layers().spatial_layers))
            }
        };
        Some(Ladder::of_layers(layers, data.r#type))
    }

    /// An id that no member of this room has for anything.
    pub(super) fn random_id(&mut self) -> u32 {
        loop {
            let id = 10_000_000 + self.rng.below(90_000_000);
            let has = |member: &Member| {
                member.sinks.contains_key(&id)
                    || member.sources.contains_key(&id)
                    || member.transports.contains_key(&id)
            };
            if !self.peers.values().filter_map(|peer| peer.member.as_deref()).any(has) {
                return id;
            }
        }
    }

    /// Who is there, with what a member can consume of them: the answer to `join`.
    pub(super) fn describe_others(&self, peer_id: &str) -> Value {
        let describe = |(id, other): (&String, &Peer)| {
            let mut description = other.introduce(id);
            let producers = other.producers.iter();
            let consumers =
                producers.filter_map(|own| self.describe_sink(peer_id, self.sink_id(peer_id, own.id)?));
            description["consumers"] = consumers.collect();
            description
        };
        let others = self.peers.iter().filter(|(id, other)| *id != peer_id && other.announced);
        json!({ "peers": others.map(describe).collect::<Vec<_>>() })
    }

    fn sink_id(&self, peer_id: &str, source: ProducerId) -> Option<u32> {
        self.peers.get(peer_id)?.member.as_deref()?.sink_of(source).map(|(id, _)| id)
    }

    fn describe_sink(&self, peer_id: &str, id: u32) -> Option<Value> {
        let peer = self.peers.get(peer_id)?;
        let sink = peer.member.as_deref()?.sinks.get(&id)?;
        let owner = self.peers.get(&sink.peer_name)?;
        let source = owner.producers.iter().find(|own| own.id == sink.source)?;
        Some(sink.describe(id, peer.rtp_capabilities.as_ref()?, source.paused, &source.app_data))
    }

    /// Whether a producer is paused, by whomever.
    pub(super) fn is_paused(&self, producer: ProducerId) -> bool {
        let owner = self.producers.get(&producer).and_then(|owner| self.peers.get(owner));
        owner
            .and_then(|owner| owner.producers.iter().find(|own| own.id == producer))
            .is_some_and(|own| own.paused)
    }

    /// Lets the layers follow the wishes, where there are several.
    pub(super) fn apply_profile(&self, turn: &mut Turn<'_>, peer_id: &str, id: u32) {
        let member = self.peers.get(peer_id).and_then(|peer| peer.member.as_deref());
        let Some(sink) = member.and_then(|member| member.sinks.get(&id)) else { return };
        let Some(consumer) = sink.enabled.filter(|_| !sink.ladder.is_single()) else { return };
        let owner = self.peers.get(&sink.peer_name).and_then(|peer| peer.member.as_deref());
        let source = owner.and_then(|member| member.sources.values().find(|source| source.id == sink.source));
        let of_source = source.map_or(Profile::Default, |source| source.preferred_profile);
        let layers = sink.ladder.layers_for(sink.preferred_profile, of_source);
        // It may have closed by itself a moment ago.
        let _ = turn.sfu.set_consumer_preferred_layers(turn.now, consumer, layers);
    }

    /// Removes the consumers of a producer that is gone. Their members are told, unless the whole peer goes: they will hear that.
    pub(in crate::room) fn remove_sinks(&mut self, desk: &mut Desk, owner: &str, producer: ProducerId) {
        let leaving = self.peers.get(owner).is_none_or(|owner| owner.leaving);
        for peer in self.peers.values_mut() {
            let Some(member) = peer.member.as_deref_mut() else { continue };
            let Some((id, _)) = member.sink_of(producer) else { continue };
            let enabled = member.sinks.remove(&id).and_then(|sink| sink.enabled);
            if let Some(consumer) = enabled {
                peer.consumers.remove(&consumer);
                self.consumers.remove(&consumer);
            }
            let Some(session) = peer.session else { continue };
            desk.reports.stop(session, Reported::Consumer(id));
            if !leaving {
                desk.notify_member(session, "consumerClosed", json!({ "id": id, "peerName": owner }));
            }
        }
    }

    /// The source of an enabled consumer was paused or resumed. Not told if the server has paused the consumer itself.
    pub(in crate::room) fn source_paused(
        &mut self,
        desk: &mut Desk,
        consumer: ConsumerId,
        paused: bool,
    ) -> bool {
        self.tell_enabled(desk, consumer, |id, sink| {
            let method = if paused { "consumerPaused" } else { "consumerResumed" };
            let data = json!({ "id": id, "peerName": sink.peer_name });
            (!sink.locally_paused).then_some((method, data))
        })
    }

    /// The layers that an enabled consumer sends have changed.
    pub(in crate::room) fn layers_changed(
        &mut self,
        desk: &mut Desk,
        consumer: ConsumerId,
        layers: Option<&ConsumerLayers>,
    ) -> bool {
        self.tell_enabled(desk, consumer, |id, sink| {
            let profile = sink.ladder.effective(layers);
            effective_profile_changed(id, sink, profile)
        })
    }

    /// A producer's streams came or went: whoever consumes its only one is told.
    pub(in crate::room) fn score_changed(
        &mut self,
        desk: &mut Desk,
        producer: ProducerId,
        scores: &[ProducerScore],
    ) {
        let profile = single_profile(scores);
        for peer in self.peers.values_mut() {
            let (Some(session), Some(member)) = (peer.session, peer.member.as_deref_mut()) else { continue };
            let sinks: &mut BTreeMap<u32, Sink> = &mut member.sinks;
            for (id, sink) in sinks.iter_mut().filter(|(_, sink)| sink.source == producer) {
                if sink.enabled.is_some()
                    && sink.ladder.is_single()
                    && let Some((method, data)) = effective_profile_changed(*id, sink, profile)
                {
                    desk.notify_member(session, method, data);
                }
            }
        }
    }

    /// A consumer has been enabled: what flows is known at once if its source has one stream, which is there.
    pub(super) fn tell_first_profile(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        peer_id: &str,
        id: u32,
    ) {
        let Ok(member) = self.member_mut(peer_id) else { return };
        let Some(sink) = member.sinks.get_mut(&id).filter(|sink| sink.ladder.is_single()) else { return };
        let Ok(source) = turn.sfu.producer(sink.source) else { return };
        if single_profile(&source.score) == Profile::Default
            && let Some((method, data)) = effective_profile_changed(id, sink, Profile::Default)
        {
            turn.desk.notify_member(session, method, data);
        }
    }

    /// Tells a session the statistics that it has asked for, if there is something to tell.
    pub(super) fn report(&mut self, turn: &mut Turn<'_>, session: SessionId, peer_id: &str, of: Reported) {
        let Ok(member) = self.member_mut(peer_id) else { return };
        let report = match of {
            Reported::Transport(id) => {
                let stats =
                    member.transports.get(&id).and_then(|own| turn.sfu.transport_stats(turn.now, *own).ok());
                stats.map(|stats| {
                    ("transportStats", json!({ "id": id, "stats": stats::transport(id, &stats) }))
                })
            }
            Reported::Producer(id) => {
                let source = member.sources.get(&id).filter(|source| !source.is_paused());
                let stats = source.and_then(|source| turn.sfu.producer_stats(turn.now, source.id).ok());
                stats.map(|stats| ("producerStats", json!({ "id": id, "stats": stats::streams(&stats) })))
            }
            Reported::Consumer(id) => {
                let sink = member.sinks.get(&id).filter(|sink| !sink.locally_paused && !sink.remotely_paused);
                let flowing =
                    sink.and_then(|sink| Some((sink.enabled?, sink.peer_name.clone(), sink.source)));
                let flowing = flowing.filter(|(_, _, source)| !self.is_paused(*source));
                flowing.and_then(|(consumer, peer_name, _)| {
                    let stats = turn.sfu.consumer_stats(turn.now, consumer).ok()?;
                    let data = json!({ "id": id, "peerName": peer_name, "stats": stats::streams(&stats) });
                    Some(("consumerStats", data))
                })
            }
        };
        if let Some((method, data)) = report {
            turn.desk.notify_member(session, method, data);
        }
    }

    /// Tells every member but `except`.
    pub(in crate::room) fn tell_members(&self, desk: &mut Desk, except: &str, method: &str, data: &Value) {
        for (_, peer) in self.peers.iter().filter(|(id, _)| *id != except) {
            if let Some(session) = peer.session.filter(|_| peer.member.is_some()) {
                desk.notify_member(session, method, data.clone());
            }
        }
    }

    pub(in crate::room) fn session(&self, peer_id: &str) -> Option<SessionId> {
        self.peers.get(peer_id)?.session
    }

    /// Tells the member that has an enabled consumer what `tell` makes of it. Whether it is a member's.
    fn tell_enabled(
        &mut self,
        desk: &mut Desk,
        consumer: ConsumerId,
        tell: impl FnOnce(u32, &mut Sink) -> Option<(&'static str, Value)>,
    ) -> bool {
        let peer = self.consumers.get(&consumer).and_then(|peer_id| self.peers.get_mut(peer_id));
        let Some(peer) = peer else { return false };
        let Some(member) = peer.member.as_deref_mut() else { return false };
        if let (Some(session), Some((id, sink))) = (peer.session, member.enabled(consumer))
            && let Some((method, data)) = tell(id, sink)
        {
            desk.notify_member(session, method, data);
        }
        true
    }
}

impl Peer {
    /// How members are told of it, without its consumers.
    pub(in crate::room) fn introduce(&self, id: &str) -> Value {
        let app_data = match &self.member {
            Some(member) => member.app_data.clone(),
            None => json!({ "displayName": self.display_name, "device": self.device }),
        };
        message::without_null(json!({ "name": id, "consumers": [], "appData": app_data }))
    }
}

/// What flows of a producer that has one stream.
fn single_profile(scores: &[ProducerScore]) -> Profile {
    if scores.iter().any(|score| score.score > 0) { Profile::Default } else { Profile::None }
}

fn effective_profile_changed(id: u32, sink: &mut Sink, profile: Profile) -> Option<(&'static str, Value)> {
    let before = sink.effective_profile.replace(profile);
    let data = json!({ "id": id, "peerName": sink.peer_name, "profile": profile });
    // Nothing has flowed yet: that nothing flows is no news.
    let is_news = before.unwrap_or(Profile::None) != profile;
    is_news.then_some(("consumerEffectiveProfileChanged", data))
}
