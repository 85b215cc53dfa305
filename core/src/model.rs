//! The options with which objects are made, and what can be read of them: mediasoup's names and JSON.
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{ConsumerLayers, ConsumerScore, DtlsState, IceState, ProducerScore};
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::ortc::{
    ConsumerType, DtlsParameters, IceCandidate, IceParameters, MediaKind, ProducerType, RtpCapabilities,
    RtpCodecCapability, RtpParameters,
};

/// How to make a router.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouterOptions {
    /// The codecs that all peers share, most preferred first.
    pub media_codecs: Vec<RtpCodecCapability>,
    /// Anything of the application's.
    pub app_data: Value,
}

/// How to make a WebRTC transport.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebRtcTransportOptions {
    /// Overrides [`Config::ice_consent_timeout`](crate::config::Config::ice_consent_timeout), in seconds; 0 never expires.
    pub ice_consent_timeout: Option<u32>,
    /// After how many seconds the transport is closed if the client has not connected; never if absent. An addition of ours, for
    /// clients that are not watched by a signaling session.
    pub connect_timeout: Option<u32>,
    /// What the bandwidth towards the client is taken to be before it is measured, in bits a second; 600,000.
    pub initial_available_outgoing_bitrate: Option<u32>,
    /// Anything of the application's.
    pub app_data: Value,
}

/// What can be read of a WebRTC transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebRtcTransportData {
    /// The transport.
    pub id: TransportId,
    /// Always `controlled`: the server is ICE-Lite.
    pub ice_role: String,
    /// The local ICE credentials.
    pub ice_parameters: IceParameters,
    /// The local candidates.
    pub ice_candidates: Vec<IceCandidate>,
    /// State of ICE.
    pub ice_state: IceState,
    /// The addresses that media flows between, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ice_selected_tuple: Option<SelectedTuple>,
    /// The local DTLS role and fingerprints.
    pub dtls_parameters: DtlsParameters,
    /// State of DTLS.
    pub dtls_state: DtlsState,
    /// Anything of the application's.
    pub app_data: Value,
}

/// The addresses of a transport (mediasoup's `TransportTuple`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectedTuple {
    /// The local address, as announced.
    pub local_address: String,
    /// The local port.
    pub local_port: u16,
    /// The remote address.
    pub remote_ip: String,
    /// The remote port.
    pub remote_port: u16,
    /// `udp`.
    pub protocol: String,
}

impl SelectedTuple {
    /// The tuple between `local` (as announced) and `remote` over UDP.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        SelectedTuple {
            local_address: local.ip().to_string(),
            local_port: local.port(),
            remote_ip: remote.ip().to_string(),
            remote_port: remote.port(),
            protocol: "udp".to_owned(),
        }
    }
}

/// How to make a producer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerOptions {
    /// Audio or video.
    pub kind: MediaKind,
    /// What the client sends.
    pub rtp_parameters: RtpParameters,
    /// Whether it starts paused.
    #[serde(default)]
    pub paused: bool,
    /// Overrides [`Config::key_frame_request_interval`](crate::config::Config::key_frame_request_interval), in ms.
    #[serde(default, rename = "keyFrameRequestDelay", skip_serializing_if = "Option::is_none")]
    pub key_frame_request_delay_ms: Option<u32>,
    /// Anything of the application's.
    #[serde(default)]
    pub app_data: Value,
}

/// What can be read of a producer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerData {
    /// The producer.
    pub id: ProducerId,
    /// The transport that it came by.
    pub transport_id: TransportId,
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is encoded.
    pub r#type: ProducerType,
    /// What the client sends.
    pub rtp_parameters: RtpParameters,
    /// What consumers can get of it, before their own capabilities are looked at.
    pub consumable_rtp_parameters: RtpParameters,
    /// Whether it is paused.
    pub paused: bool,
    /// The quality of its streams.
    pub score: Vec<ProducerScore>,
    /// Anything of the application's.
    pub app_data: Value,
}

/// How to make a consumer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerOptions {
    /// What to consume.
    pub producer_id: ProducerId,
    /// What the client can receive.
    pub rtp_capabilities: RtpCapabilities,
    /// Whether it starts paused. A video consumer that is not asks for a keyframe at once.
    #[serde(default)]
    pub paused: bool,
    /// The MID; the transport counts from "0" if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    /// Which layers to send, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_layers: Option<ConsumerLayers>,
    /// Whether lost packets are sent again over RTX; by default for video only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_rtx: Option<bool>,
    /// Whether payload types and header extension ids are the remote's instead of the router's (answers to SDP offers need it).
    #[serde(default)]
    pub use_remote_ids: bool,
    /// The SSRC, for protocols that tell it before there is a transport; a random one if absent. RTX gets the next number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    /// Anything of the application's.
    #[serde(default)]
    pub app_data: Value,
}

/// What can be read of a consumer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerData {
    /// The consumer.
    pub id: ConsumerId,
    /// What it consumes.
    pub producer_id: ProducerId,
    /// The transport that it sends by.
    pub transport_id: TransportId,
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is encoded.
    pub r#type: ConsumerType,
    /// What the client gets.
    pub rtp_parameters: RtpParameters,
    /// Whether it is paused itself.
    pub paused: bool,
    /// Whether its producer is paused.
    pub producer_paused: bool,
    /// Its share when bandwidth is short, 1 to 255.
    pub priority: u8,
    /// Its quality.
    pub score: ConsumerScore,
    /// The layers asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_layers: Option<ConsumerLayers>,
    /// The layers sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_layers: Option<ConsumerLayers>,
    /// Anything of the application's.
    pub app_data: Value,
}

/// What can be read of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouterData {
    /// The router.
    pub id: RouterId,
    /// What clients can send to it and receive from it.
    pub rtp_capabilities: RtpCapabilities,
    /// Anything of the application's.
    pub app_data: Value,
}

impl ConsumerOptions {
    /// Consumes `producer_id` with what the client can receive; not paused.
    pub fn new(producer_id: ProducerId, rtp_capabilities: RtpCapabilities) -> Self {
        ConsumerOptions {
            producer_id,
            rtp_capabilities,
            paused: false,
            mid: None,
            preferred_layers: None,
            enable_rtx: None,
            use_remote_ids: false,
            ssrc: None,
            app_data: Value::Null,
        }
    }
}

impl ProducerOptions {
    /// Produces what `rtp_parameters` describe; not paused.
    pub fn new(kind: MediaKind, rtp_parameters: RtpParameters) -> Self {
        ProducerOptions {
            kind,
            rtp_parameters,
            paused: false,
            key_frame_request_delay_ms: None,
            app_data: Value::Null,
        }
    }
}
