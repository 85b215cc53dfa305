//! RTP parameters in the shapes of version 2 of mediasoup-client, as recorded in `tests/golden/v2`.
use serde_json::{Value, json};

use super::track::{StreamNames, TrackNumbers, TrackSpec};

/// What `createProducer` is given.
pub(super) fn rtp_parameters(track: &TrackSpec, numbers: &TrackNumbers) -> Value {
    let extensions: Vec<Value> =
        numbers.extensions.iter().map(|(uri, id)| json!({"uri": uri.as_str(), "id": id})).collect();
    json!({
        "muxId": track.mid,
        "codecs": codecs(track, numbers),
        "headerExtensions": extensions,
        "encodings": encodings(track, numbers),
        "rtcp": {"cname": numbers.cname, "reducedSize": true, "mux": true},
    })
}

fn codecs(track: &TrackSpec, numbers: &TrackNumbers) -> Vec<Value> {
    let mime_type = track.codec.mime_type();
    let name = mime_type.split('/').next_back().unwrap_or_default();
    let feedback = if track.codec.is_video() {
        json!([
            {"type": "goog-remb"}, {"type": "ccm", "parameter": "fir"},
            {"type": "nack"}, {"type": "nack", "parameter": "pli"},
        ])
    } else {
        json!([])
    };
    let mut codec = json!({
        "name": name,
        "mimeType": mime_type,
        "clockRate": track.codec.clock_rate(),
        "payloadType": numbers.payload_type,
        "rtcpFeedback": feedback,
        "parameters": track.format_parameters(),
    });
    if !track.codec.is_video() {
        codec["channels"] = json!(2);
    }
    let rtx = numbers.rtx_payload_type.map(|payload_type| {
        json!({
            "name": "rtx",
            "mimeType": "video/rtx",
            "clockRate": track.codec.clock_rate(),
            "payloadType": payload_type,
            "parameters": {"apt": numbers.payload_type},
        })
    });
    std::iter::once(codec).chain(rtx).collect()
}

/// Chromium's in the order of their quality, Firefox's the other way round.
fn encodings(track: &TrackSpec, numbers: &TrackNumbers) -> Vec<Value> {
    let profiles: &[&str] = match track.encodings.len() {
        1 => &[],
        2 => &["low", "high"],
        _ => &["low", "medium", "high"],
    };
    let encoding = |(index, (ssrc, rtx)): (usize, &(u32, Option<u32>))| {
        let mut encoding = match (track.rid(index), rtx) {
            (Some(rid), _) => json!({"encodingId": rid}),
            (None, Some(rtx)) => json!({"ssrc": ssrc, "rtx": {"ssrc": rtx}}),
            (None, None) => json!({"ssrc": ssrc}),
        };
        if let Some(profile) = profiles.get(index) {
            encoding["profile"] = json!(profile);
        }
        encoding
    };
    let mut encodings: Vec<Value> = numbers.ssrcs.iter().enumerate().map(encoding).collect();
    if track.names == StreamNames::Rid {
        encodings.reverse();
    }
    encodings
}
