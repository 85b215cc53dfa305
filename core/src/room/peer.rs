//! One member of a room.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::SessionId;
use super::command::{Device, Direction};
use super::mediasoup::Member;
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::ortc::{MediaKind, RtpCapabilities};

/// A member of a room: by a protoo session, by a WHIP resource, or by both.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) session: Option<SessionId>,
    /// Its session has joined.
    pub(super) joined: bool,
    /// The others know of it.
    pub(super) announced: bool,
    pub(super) display_name: String,
    pub(super) device: Device,
    /// What its session can receive.
    pub(super) rtp_capabilities: Option<RtpCapabilities>,
    /// What it has besides if it speaks the mediasoup protocol.
    pub(super) member: Option<Box<Member>>,
    /// It is being closed, with all that it has.
    pub(super) leaving: bool,
    /// Of its session.
    pub(super) transports: BTreeMap<TransportId, Direction>,
    /// Of its WHIP resource.
    pub(super) whip: Option<TransportId>,
    /// Of either, in the order in which they came.
    pub(super) producers: Vec<OwnProducer>,
    pub(super) consumers: BTreeMap<ConsumerId, OwnConsumer>,
    /// Producers that need no consumer for this peer: they have one, or the client does not want it.
    pub(super) settled: BTreeSet<ProducerId>,
    /// There are producers for which no consumer could be offered yet.
    pub(super) waiting: bool,
}

/// A producer of a peer.
#[derive(Debug)]
pub(super) struct OwnProducer {
    pub(super) id: ProducerId,
    pub(super) transport: TransportId,
    pub(super) kind: MediaKind,
    pub(super) paused: bool,
    pub(super) app_data: Value,
}

/// A consumer of a peer.
#[derive(Debug)]
pub(super) struct OwnConsumer {
    pub(super) producer: ProducerId,
    pub(super) transport: TransportId,
    /// The client has paused it: its answer to `newConsumer` does not resume it.
    pub(super) paused_by_client: bool,
}

impl Peer {
    /// Its session if that has joined and consumes nothing: it is told of producers instead.
    pub(super) fn watcher(&self) -> Option<SessionId> {
        self.session.filter(|_| self.joined && self.rtp_capabilities.is_none())
    }

    /// Its session if that has joined by the room protocol of the demo.
    pub(super) fn joined_session(&self) -> Option<SessionId> {
        self.session.filter(|_| self.joined && self.member.is_none())
    }

    /// The transport on which it consumes.
    pub(super) fn consuming_transport(&self) -> Option<TransportId> {
        self.transports.iter().find(|(_, direction)| direction.consuming).map(|(id, _)| *id)
    }

    /// How others are told of it.
    pub(super) fn description(&self, id: &str) -> Value {
        json!({ "id": id, "displayName": self.display_name, "device": self.device })
    }

    /// How a watcher is told of its producers.
    pub(super) fn producer_list(&self) -> Value {
        let entry = |producer: &OwnProducer| json!({ "id": producer.id, "kind": producer.kind, "paused": producer.paused });
        self.producers.iter().map(entry).collect()
    }
}
