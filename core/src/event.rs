//! What the `Sfu` tells its owner of its own accord.
use serde::{Deserialize, Serialize};

use crate::dtls;
use crate::ice;
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};

/// State of a transport's ICE (mediasoup's `IceState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceState {
    /// No valid request yet.
    New,
    /// A valid request has come; its tuple is selected.
    Connected,
    /// The client has nominated the selected tuple.
    Completed,
    /// Consent has expired.
    Disconnected,
    /// The transport is closed.
    Closed,
}

/// State of a transport's DTLS (mediasoup's `DtlsState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsState {
    /// Not started.
    New,
    /// The handshake runs.
    Connecting,
    /// Media keys are set.
    Connected,
    /// The handshake failed: wrong fingerprint, time-out, protocol error.
    Failed,
    /// Closed by either side.
    Closed,
}

/// Why an object was closed without its owner asking for exactly that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CloseReason {
    /// No valid STUN request for longer than the consent timeout.
    ConsentExpired,
    /// The remote side closed its DTLS connection.
    DtlsClosed,
    /// The DTLS handshake failed.
    DtlsFailed,
    /// The port that it was to have for itself could not be bound.
    ListenFailed,
    /// The transport that held it was closed.
    TransportClosed,
    /// The producer that it consumed was closed.
    ProducerClosed,
    /// The router that held it was closed.
    RouterClosed,
    /// A fault of this program, confined to the object.
    InternalError,
}

/// What happened. Nothing is reported that the caller's own request has just done, except what follows from it for others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The ICE state of a transport changed.
    IceStateChanged {
        /// The transport.
        transport_id: TransportId,
        /// The new state.
        state: IceState,
    },
    /// The selected tuple of a transport changed (first selection, nomination, or a moved client).
    IceSelectedTupleChanged {
        /// The transport.
        transport_id: TransportId,
    },
    /// The DTLS state of a transport changed.
    DtlsStateChanged {
        /// The transport.
        transport_id: TransportId,
        /// The new state.
        state: DtlsState,
    },
    /// A transport closed by itself; its producers and consumers have gone with it, and are reported first.
    TransportClosed {
        /// The transport.
        transport_id: TransportId,
        /// Why.
        reason: CloseReason,
    },
    /// A router was closed because of a fault.
    RouterClosed {
        /// The router.
        router_id: RouterId,
        /// Why.
        reason: CloseReason,
    },
    /// A producer closed because its transport did.
    ProducerClosed {
        /// The producer.
        producer_id: ProducerId,
        /// Why.
        reason: CloseReason,
    },
    /// The quality of a producer's streams changed.
    ProducerScore {
        /// The producer.
        producer_id: ProducerId,
        /// One score for each stream.
        scores: Vec<ProducerScore>,
    },
    /// A consumer closed because its producer or its transport did.
    ConsumerClosed {
        /// The consumer.
        consumer_id: ConsumerId,
        /// Why.
        reason: CloseReason,
    },
    /// The producer of a consumer was paused.
    ConsumerProducerPaused {
        /// The consumer.
        consumer_id: ConsumerId,
    },
    /// The producer of a consumer was resumed.
    ConsumerProducerResumed {
        /// The consumer.
        consumer_id: ConsumerId,
    },
    /// The quality of a consumer's stream changed.
    ConsumerScore {
        /// The consumer.
        consumer_id: ConsumerId,
        /// The scores.
        score: ConsumerScore,
    },
    /// The bandwidth towards a client, in bits a second: mediasoup's `bwe` trace event. At most once a second.
    Bandwidth {
        /// The transport.
        transport_id: TransportId,
        /// What its consumers would take.
        desired_bitrate: u64,
        /// That, within the limits that are set.
        effective_desired_bitrate: u64,
        /// What the path is taken to carry.
        available_bitrate: u64,
    },
    /// The layers that a consumer sends changed.
    ConsumerLayersChanged {
        /// The consumer.
        consumer_id: ConsumerId,
        /// The layers; `None` when nothing is sent.
        layers: Option<ConsumerLayers>,
    },
    /// How loud the producers of an observed room have been; only those that have sent something.
    AudioLevels {
        /// The room's router.
        router_id: RouterId,
        /// The loudest first.
        levels: Vec<AudioLevel>,
    },
    /// Somebody else speaks in an observed room.
    ActiveSpeakerChanged {
        /// The room's router.
        router_id: RouterId,
        /// Who; `None`: nobody.
        producer_id: Option<ProducerId>,
    },
}

/// How loud a producer has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioLevel {
    /// The producer.
    pub producer_id: ProducerId,
    /// The mean of its packets' levels (RFC 6464): 0 is the loudest, -127 is silence.
    pub level_dbov: i8,
}

/// The quality of one stream of a producer (mediasoup's `ProducerScore`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerScore {
    /// Index of the encoding.
    pub encoding_idx: u32,
    /// SSRC of the stream.
    pub ssrc: u32,
    /// RID of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// 0 (no stream) to 10 (no loss).
    pub score: u8,
}

/// The quality of what a consumer sends (mediasoup's `ConsumerScore`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerScore {
    /// Of the stream sent, 0 to 10.
    pub score: u8,
    /// Of the producer's stream that is forwarded, 0 to 10.
    pub producer_score: u8,
    /// Of all the producer's streams.
    pub producer_scores: Vec<u8>,
}

/// Layers of a consumer (mediasoup's `ConsumerLayers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerLayers {
    /// Index of the spatial layer, from 0.
    pub spatial_layer: u8,
    /// Index of the temporal layer, from 0; the highest if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporal_layer: Option<u8>,
}

impl From<ice::IceState> for IceState {
    fn from(state: ice::IceState) -> Self {
        match state {
            ice::IceState::New => IceState::New,
            ice::IceState::Connected => IceState::Connected,
            ice::IceState::Completed => IceState::Completed,
            ice::IceState::Disconnected => IceState::Disconnected,
        }
    }
}

impl From<dtls::DtlsState> for DtlsState {
    fn from(state: dtls::DtlsState) -> Self {
        match state {
            dtls::DtlsState::New => DtlsState::New,
            dtls::DtlsState::Connecting => DtlsState::Connecting,
            dtls::DtlsState::Connected => DtlsState::Connected,
            dtls::DtlsState::Failed => DtlsState::Failed,
            dtls::DtlsState::Closed => DtlsState::Closed,
        }
    }
}
