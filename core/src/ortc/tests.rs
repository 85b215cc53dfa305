//! Tests of the dictionaries and of negotiation; `rule_…` are the numbered observations of mediasoup 3.27.1.

mod dictionaries;
mod golden;
mod properties;
mod rules_consumer;
mod rules_producer;
mod rules_router;

use serde_json::{Value, json};

use super::*;
use crate::rng::Rng;

/// A file of `tests/golden/v3`, recorded from mediasoup-client 3.24.1 or computed by mediasoup 3.27.1.
fn golden(name: &str) -> Value {
    let path = format!("{}/../tests/golden/v3/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn random() -> impl FnMut() -> u32 {
    let mut rng = Rng::from_seed([3; 32]);
    move || rng.next_u32()
}

fn to_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// The router of all golden files.
fn golden_router() -> RtpCapabilities {
    router(&golden("router-media-codecs"))
}

fn router(media_codecs: &Value) -> RtpCapabilities {
    try_router(media_codecs).unwrap()
}

fn try_router(media_codecs: &Value) -> Result<RtpCapabilities, OrtcError> {
    generate_router_rtp_capabilities(&media_codecs_from_json(media_codecs)?)
}

fn parameters(value: Value) -> RtpParameters {
    RtpParameters::from_json(&value).unwrap()
}

fn capabilities(value: Value) -> RtpCapabilities {
    RtpCapabilities::from_json(&value).unwrap()
}

/// A codec as a client writes it.
fn codec(mime_type: &str, payload_type: u8, format: Value) -> Value {
    let clock_rate = if mime_type.starts_with("audio") { 48_000 } else { 90_000 };
    json!({
        "mimeType": mime_type, "payloadType": payload_type, "clockRate": clock_rate, "channels": 2,
        "parameters": format
    })
}

fn rtx(payload_type: u8, apt: u8) -> Value {
    codec("video/rtx", payload_type, json!({ "apt": apt }))
}

/// A codec as a remote lists it, with some feedback.
fn capability(mime_type: &str, payload_type: u8, format: Value) -> Value {
    let mut codec = codec(mime_type, payload_type, format);
    codec["preferredPayloadType"] = codec["payloadType"].take();
    codec["kind"] = json!(mime_type.split('/').next());
    codec["rtcpFeedback"] = json!([
        { "type": "transport-cc" }, { "type": "goog-remb" }, { "type": "nack" }, { "type": "nack", "parameter": "pli" }
    ]);
    codec
}

fn video(codecs: Value, encodings: Value) -> RtpParameters {
    parameters(json!({ "mid": "v", "codecs": codecs, "encodings": encodings, "rtcp": { "cname": "c" } }))
}

fn negotiated(kind: MediaKind, parameters: RtpParameters, router: &RtpCapabilities) -> NegotiatedProducer {
    negotiate_producer(kind, parameters, router, random()).unwrap()
}

/// What is consumable of a VP8 producer with RTX and these encodings.
fn consumable_vp8(encodings: Value) -> RtpParameters {
    let parameters = video(json!([codec("video/VP8", 96, json!({})), rtx(97, 96)]), encodings);
    negotiated(MediaKind::Video, parameters, &golden_router()).consumable_rtp_parameters
}

fn payload_types(codecs: &[RtpCodecParameters]) -> Vec<u8> {
    codecs.iter().map(|codec| codec.payload_type).collect()
}

fn feedback(codec: &RtpCodecParameters) -> Vec<String> {
    let text =
        |feedback: &RtcpFeedback| format!("{} {}", feedback.r#type, feedback.parameter).trim().to_owned();
    codec.rtcp_feedback.iter().map(text).collect()
}

fn extension_ids(parameters: &RtpParameters) -> Vec<u8> {
    parameters.header_extensions.iter().map(|extension| extension.id).collect()
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, OrtcError>, kind: OrtcErrorKind, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(part), "{error:?} should contain {part:?}");
}

const INVALID: OrtcErrorKind = OrtcErrorKind::InvalidParameters;
const UNSUPPORTED: OrtcErrorKind = OrtcErrorKind::Unsupported;
