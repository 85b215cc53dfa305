//! mediasoup's statistics, as its clients and dashboards read them.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{DtlsState, IceState};
use crate::id::TransportId;
use crate::model::SelectedTuple;
use crate::ortc::MediaKind;

/// Statistics of one RTP stream: of a producer (`inbound-rtp`) or of a consumer (`outbound-rtp`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpStreamStats {
    /// `inbound-rtp` or `outbound-rtp`.
    pub r#type: RtpStreamStatsType,
    /// When they were read, in ms since 1970.
    pub timestamp: u64,
    /// SSRC of the stream.
    pub ssrc: u32,
    /// SSRC of its retransmissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtx_ssrc: Option<u32>,
    /// RID of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// Audio or video.
    pub kind: MediaKind,
    /// The codec.
    pub mime_type: String,
    /// Packets lost, as RFC 3550 counts (repaired ones are not lost).
    pub packets_lost: u64,
    /// Fraction lost in the last interval, in 1/256.
    pub fraction_lost: u8,
    /// Interarrival jitter in timestamp units: of a consumer as its client reports it.
    pub jitter: u32,
    /// Packets that came and were of no use.
    pub packets_discarded: u64,
    /// Packets sent again.
    pub packets_retransmitted: u64,
    /// Packets lost and got back.
    pub packets_repaired: u64,
    /// NACK messages.
    pub nack_count: u64,
    /// Packets named in NACK messages.
    pub nack_packet_count: u64,
    /// PLI messages.
    pub pli_count: u64,
    /// FIR messages.
    pub fir_count: u64,
    /// 0 to 10.
    pub score: u8,
    /// Round-trip time in ms, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_time: Option<f32>,
    /// Packets of the retransmission stream that were of no use: seen before, or too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtx_packets_discarded: Option<u64>,
    /// Packets received, got back ones among them, or sent for the first time.
    pub packet_count: u64,
    /// Bytes of these, their RTP headers included.
    pub byte_count: u64,
    /// Bits a second over the last second; of a consumer with what is sent again.
    pub bitrate: u64,
    /// Bits a second that a receiver of each layer gets, by `spatial.temporal` (`0.0`); of producers, and only where there are
    /// several layers. 0: nothing of it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_by_layer: Option<BTreeMap<String, u64>>,
    /// Packets that came more than once, dropped; of producers. (Not in mediasoup's.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets_duplicated: Option<u64>,
    /// Packets that came behind later ones without having been asked for; of producers. (Not in mediasoup's.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets_late: Option<u64>,
}

/// Which way a stream flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RtpStreamStatsType {
    /// Received from a client.
    InboundRtp,
    /// Sent to a client.
    OutboundRtp,
}

/// Statistics of a WebRTC transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebRtcTransportStats {
    /// `webrtc-transport`.
    pub r#type: String,
    /// The transport.
    pub transport_id: TransportId,
    /// When they were read, in ms since 1970.
    pub timestamp: u64,
    /// Always `controlled`.
    pub ice_role: String,
    /// State of ICE.
    pub ice_state: IceState,
    /// State of DTLS.
    pub dtls_state: DtlsState,
    /// The addresses that media flows between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ice_selected_tuple: Option<SelectedTuple>,
    /// Bytes of all datagrams received.
    pub bytes_received: u64,
    /// Bits a second received.
    pub recv_bitrate: u64,
    /// Bytes of all datagrams sent.
    pub bytes_sent: u64,
    /// Bits a second sent.
    pub send_bitrate: u64,
    /// Bytes of RTP received.
    pub rtp_bytes_received: u64,
    /// Bits a second of RTP received.
    pub rtp_recv_bitrate: u64,
    /// Bytes of RTP sent.
    pub rtp_bytes_sent: u64,
    /// Bits a second of RTP sent.
    pub rtp_send_bitrate: u64,
    /// Bytes of RTX received.
    pub rtx_bytes_received: u64,
    /// Bits a second of RTX received.
    pub rtx_recv_bitrate: u64,
    /// Bytes of RTX sent.
    pub rtx_bytes_sent: u64,
    /// Bits a second of RTX sent.
    pub rtx_send_bitrate: u64,
    /// Bytes of probation sent.
    pub probation_bytes_sent: u64,
    /// Bits a second of probation sent.
    pub probation_send_bitrate: u64,
    /// What the bandwidth towards the client is taken to be, in bits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_outgoing_bitrate: Option<u64>,
    /// What the client is told that it may send, in bits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_incoming_bitrate: Option<u64>,
    /// The limit set on what the client may send, in bits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_incoming_bitrate: Option<u64>,
    /// The most that the bandwidth towards the client is taken to be, where it was set, in bits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_outgoing_bitrate: Option<u64>,
    /// The least, where it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_outgoing_bitrate: Option<u64>,
    /// Share of the packets from the client that did not arrive lately, 0 to 1, where they are numbered transport-wide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_packet_loss_received: Option<f64>,
    /// Share of the packets to the client that did not arrive lately, 0 to 1, by its transport-wide feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_packet_loss_sent: Option<f64>,
}

/// Counters of an `Sfu`: what it holds, and everything that was dropped, by cause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SfuStats {
    /// Routers now.
    pub routers: u64,
    /// Transports now.
    pub transports: u64,
    /// Producers now.
    pub producers: u64,
    /// Consumers now.
    pub consumers: u64,
    /// Remote addresses known now.
    pub tuples: u64,
    /// Ports that transports have for themselves now.
    pub transport_ports: u64,
    /// Ports of transports that could not be bound.
    pub listens_failed: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Transmits that they went out in: with segmentation offload, system calls.
    pub transmits_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// RTP packets received and accepted.
    pub rtp_packets_received: u64,
    /// RTP packets sent, retransmissions among them.
    pub rtp_packets_sent: u64,
    /// Packets sent again because a client missed them.
    pub rtx_packets_sent: u64,
    /// Packets that clients have sent again.
    pub rtx_packets_received: u64,
    /// RTCP datagrams received and understood.
    pub rtcp_datagrams_received: u64,
    /// RTCP datagrams sent.
    pub rtcp_datagrams_sent: u64,
    /// Sender and receiver reports in those received.
    pub rtcp_reports_received: u64,
    /// NACKs in those received.
    pub rtcp_nacks_received: u64,
    /// Requests for keyframes (PLI, FIR) in those received.
    pub rtcp_key_frame_requests_received: u64,
    /// Messages about bandwidth (transport-wide feedback, REMB) in those received.
    pub rtcp_bandwidth_messages_received: u64,
    /// Dropped: not STUN, DTLS, RTP or RTCP.
    pub dropped_unknown_protocol: u64,
    /// Dropped: malformed STUN, or for no transport of ours.
    pub dropped_stun: u64,
    /// STUN indications, which ask for nothing: keepalives.
    pub stun_indications_received: u64,
    /// STUN requests answered with an error.
    pub stun_errors_sent: u64,
    /// Dropped: from an address without valid STUN.
    pub dropped_unknown_tuple: u64,
    /// Dropped: DTLS that could not be used.
    pub dropped_dtls: u64,
    /// Dropped: SRTP or SRTCP before keys are set.
    pub dropped_before_keys: u64,
    /// Dropped: SRTP or SRTCP that failed authentication.
    pub dropped_srtp_authentication: u64,
    /// Dropped: SRTP or SRTCP seen before.
    pub dropped_srtp_replay: u64,
    /// Dropped: no room for another SSRC.
    pub dropped_srtp_ssrc_limit: u64,
    /// Dropped: malformed RTP.
    pub dropped_rtp_malformed: u64,
    /// Dropped: RTP of no producer.
    pub dropped_rtp_unknown_stream: u64,
    /// Dropped: malformed RTCP.
    pub dropped_rtcp_malformed: u64,
    /// Dropped: a transport's queue was full.
    pub dropped_queue_full: u64,
    /// Datagrams dropped because a socket had no room for them.
    pub dropped_socket_full: u64,
    /// Dropped: the payload had left the retransmission storage before it was rendered.
    pub dropped_overwritten: u64,
    /// Dropped: the transport had lost its path before the packet was rendered.
    pub dropped_without_path: u64,
    /// Dropped: events that nobody polled.
    pub dropped_events: u64,
}

impl SfuStats {
    /// Counts a transmit that was handed out to be sent.
    pub fn count_sent(&mut self, datagrams: usize, bytes: usize) {
        self.transmits_sent += 1;
        self.datagrams_sent += datagrams as u64;
        self.bytes_sent += bytes as u64;
    }
}
