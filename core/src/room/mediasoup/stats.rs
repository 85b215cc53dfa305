//! Version 2's shapes of statistics.
use serde_json::{Value, json};

use crate::model::SelectedTuple;
use crate::stats::{RtpStreamStats, RtpStreamStatsType, WebRtcTransportStats};

/// A transport, under the id that its client has given it.
pub(super) fn transport(id: u32, stats: &[WebRtcTransportStats]) -> Value {
    let entry = |stats: &WebRtcTransportStats| {
        let mut entry = json!({
            "type": "transport",
            "id": id.to_string(),
            "timestamp": stats.timestamp,
            "iceConnectionState": stats.ice_state,
            "dtlsState": stats.dtls_state,
            "bytesReceived": stats.bytes_received,
            "bytesSent": stats.bytes_sent,
        });
        if let Some(selected) = &stats.ice_selected_tuple {
            entry["iceSelectedTuple"] = tuple(selected);
        }
        entry
    };
    stats.iter().map(entry).collect()
}

/// The streams of a producer or a consumer. An outbound stream names the inbound one that it is made of.
pub(super) fn streams(stats: &[RtpStreamStats]) -> Value {
    let inbound = stats.iter().find(|stats| stats.r#type == RtpStreamStatsType::InboundRtp);
    let entry = |stats: &RtpStreamStats| {
        let mut entry = json!({
            "type": stats.r#type,
            "id": stream_id(stats),
            "timestamp": stats.timestamp,
            "ssrc": stats.ssrc,
            "kind": stats.kind,
            "mediaType": stats.kind,
            "mimeType": stats.mime_type,
            "packetCount": stats.packet_count,
            "byteCount": stats.byte_count,
            "bitrate": stats.bitrate,
            "fractionLost": stats.fraction_lost,
            "packetsLost": stats.packets_lost,
            "packetsDiscarded": stats.packets_discarded,
            "packetsRepaired": stats.packets_repaired,
            "nackCount": stats.nack_count,
            "pliCount": stats.pli_count,
            "sliCount": 0,
            "firCount": stats.fir_count,
            "jitter": stats.jitter,
        });
        if let Some(round_trip_time) = stats.round_trip_time {
            entry["roundTripTime"] = json!(round_trip_time);
        }
        if let Some(inbound) = inbound.filter(|_| stats.r#type == RtpStreamStatsType::OutboundRtp) {
            entry["inboundRtpId"] = json!(stream_id(inbound));
        }
        entry
    };
    stats.iter().map(entry).collect()
}

fn stream_id(stats: &RtpStreamStats) -> String {
    format!("{}-{}", if stats.r#type == RtpStreamStatsType::InboundRtp { "in" } else { "out" }, stats.ssrc)
}

fn tuple(tuple: &SelectedTuple) -> Value {
    json!({
        "localIP": tuple.local_address,
        "localPort": tuple.local_port,
        "remoteIP": tuple.remote_ip,
        "remotePort": tuple.remote_port,
        "protocol": tuple.protocol,
    })
}
