//! What a peer of version 2 has, under the ids of its protocol: its own for transports and producers, ours for consumers.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::profile::{Ladder, Profile};
use super::rtp;
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::ortc::{MediaKind, RtpCapabilities, RtpParameters};

/// A peer that has joined by the mediasoup protocol.
#[derive(Debug, Default)]
pub(in crate::room) struct Member {
    /// Sees everybody and is seen by nobody.
    pub(super) spy: bool,
    /// `null`: none.
    pub(in crate::room) app_data: Value,
    pub(super) transports: BTreeMap<u32, TransportId>,
    pub(super) sources: BTreeMap<u32, Source>,
    pub(super) sinks: BTreeMap<u32, Sink>,
}

/// One of its producers.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: ProducerId,
    /// By the server.
    pub(super) locally_paused: bool,
    /// By the client.
    pub(super) remotely_paused: bool,
    pub(super) preferred_profile: Profile,
    pub(super) ladder: Ladder,
}

/// One of its consumers. It is there as long as its source; a stream flows only while it is enabled on a transport.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) source: ProducerId,
    /// The peer that has the source.
    pub(super) peer_name: String,
    pub(super) kind: MediaKind,
    /// `None`: the client can receive none of the source's codecs.
    pub(super) rtp_parameters: Option<RtpParameters>,
    pub(super) enabled: Option<ConsumerId>,
    /// By the server.
    pub(super) locally_paused: bool,
    /// By the client.
    pub(super) remotely_paused: bool,
    pub(super) preferred_profile: Profile,
    /// `None`: not known yet.
    pub(super) effective_profile: Option<Profile>,
    pub(super) ladder: Ladder,
}

impl Source {
    pub(super) fn is_paused(&self) -> bool {
        self.locally_paused || self.remotely_paused
    }
}

impl Sink {
    /// How it is told to its client.
    pub(super) fn describe(
        &self,
        id: u32,
        capabilities: &RtpCapabilities,
        source_paused: bool,
        app_data: &Value,
    ) -> Value {
        let rtp_parameters = match &self.rtp_parameters {
            Some(parameters) => rtp::consumer_parameters(self.kind, parameters, capabilities),
            None => {
                rtp::consumer_parameters(self.kind, &RtpParameters::default(), &RtpCapabilities::default())
            }
        };
        let mut description = json!({
            "id": id,
            "kind": self.kind,
            "rtpParameters": rtp_parameters,
            "paused": source_paused || self.locally_paused,
            "preferredProfile": self.preferred_profile,
            "effectiveProfile": self.effective_profile,
            "peerName": self.peer_name,
        });
        if !app_data.is_null() {
            description["appData"] = app_data.clone();
        }
        description
    }
}

impl Member {
    /// Forgets a transport that is gone. What was enabled on it can be enabled again on another one. Returns what the client has
    /// called it.
    pub(in crate::room) fn forget_transport(&mut self, id: TransportId) -> Option<u32> {
        let own = self.transports.iter().find(|(_, transport)| **transport == id).map(|(own, _)| *own)?;
        self.transports.remove(&own);
        Some(own)
    }

    /// Forgets a producer that is gone. Returns what the client has called it.
    pub(in crate::room) fn forget_source(&mut self, id: ProducerId) -> Option<u32> {
        let own = self.sources.iter().find(|(_, source)| source.id == id).map(|(own, _)| *own)?;
        self.sources.remove(&own);
        Some(own)
    }

    /// Takes note that a consumer is gone with its transport.
    pub(in crate::room) fn disable(&mut self, id: ConsumerId) {
        if let Some((_, sink)) = self.enabled(id) {
            sink.enabled = None;
            sink.effective_profile = None;
        }
    }

    /// The consumer that is enabled under that id.
    pub(super) fn enabled(&mut self, id: ConsumerId) -> Option<(u32, &mut Sink)> {
        let found = self.sinks.iter_mut().find(|(_, sink)| sink.enabled == Some(id));
        found.map(|(own, sink)| (*own, sink))
    }

    /// The consumer of a producer.
    pub(super) fn sink_of(&self, source: ProducerId) -> Option<(u32, &Sink)> {
        self.sinks.iter().find(|(_, sink)| sink.source == source).map(|(id, sink)| (*id, sink))
    }
}
