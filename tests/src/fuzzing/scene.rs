//! What clients of a fuzzed machine offer and can: prepared once, since reading JSON costs more than a run may.
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sansfu::config::Config;
use sansfu::dtls::DtlsBackend;
use sansfu::model::ProducerOptions;
use sansfu::ortc::{
    DtlsParameters, DtlsRole, RtpCapabilities, RtpCodecCapability, default_media_codecs,
    generate_router_rtp_capabilities,
};
use sansfu::sfu::{Datagram, Protocol};
use serde_json::{Value, json};

use super::packets::{PROFILE, Stream};
use crate::fixed_dtls::FixedDtls;
use crate::null_crypto::NullCrypto;
use crate::world;

/// Settings with small limits, so that they are reached.
pub fn config(backend: &Arc<FixedDtls>) -> Config {
    Config {
        dtls_backend: Some(backend.clone()),
        srtp_crypto: Arc::new(NullCrypto),
        max_routers: 4,
        max_transports_per_router: 6,
        max_producers_per_transport: 5,
        max_consumers_per_transport: 6,
        max_tuples_per_transport: 2,
        max_ssrcs_per_transport: 8,
        max_queued_packets_per_transport: 64,
        max_queued_control_bytes: 8 << 10,
        max_queued_events: 64,
        retransmission_packets_video: 64,
        retransmission_bytes_video: 8 << 10,
        retransmission_packets_audio: 16,
        retransmission_bytes_audio: 2 << 10,
        key_frame_request_interval: Duration::from_millis(500),
        ..world::config()
    }
}

/// The DTLS of every client.
pub fn dtls_parameters(backend: &FixedDtls) -> DtlsParameters {
    DtlsParameters { role: DtlsRole::Client, fingerprints: backend.fingerprints().to_vec() }
}

/// The backend that all machines share.
pub fn backend() -> Arc<FixedDtls> {
    static BACKEND: OnceLock<Arc<FixedDtls>> = OnceLock::new();
    BACKEND.get_or_init(|| Arc::new(FixedDtls::new(PROFILE))).clone()
}

/// The streams that belong to [`productions`], and one that belongs to nothing.
pub fn streams() -> [Stream; 7] {
    let stream = |ssrc, payload_type, mid: &'static [u8], rid: &'static [u8]| Stream {
        ssrc,
        payload_type,
        number: ssrc as u16,
        mid,
        rid,
    };
    [
        stream(1_111, 111, b"0", b""),
        stream(2_222, 96, b"1", b""),
        stream(2_223, 97, b"1", b""),
        stream(3_333, 102, b"2", b"h"),
        stream(3_334, 103, b"2", b"h"),
        stream(65_530, 98, b"3", b""),
        stream(9_999, 96, b"1", b"x"),
    ]
}

/// What may be produced: audio, VP8 with RTX, H264 by MID and RID, VP9 without RTX, and what is wrong.
pub fn productions() -> &'static [ProducerOptions] {
    static PRODUCTIONS: OnceLock<Vec<ProducerOptions>> = OnceLock::new();
    PRODUCTIONS.get_or_init(|| {
        let rtx = |payload_type, apt| codec("video/rtx", payload_type, &json!({ "apt": apt }));
        let h264 = json!({ "packetization-mode": 1, "profile-level-id": "42e01f" });
        let opus = json!([{ "mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2,
            "rtcpFeedback": [{ "type": "transport-cc" }, { "type": "nack" }] }]);
        let vp8 = json!([codec("video/VP8", 96, &json!({})), rtx(97, 96)]);
        let list = [
            production("audio", "0", &opus, &json!([{ "ssrc": 1_111 }])),
            production("video", "1", &vp8, &json!([{ "ssrc": 2_222, "rtx": { "ssrc": 2_223 } }])),
            production(
                "video",
                "2",
                &json!([codec("video/H264", 102, &h264), rtx(103, 102)]),
                &json!([{ "rid": "h" }]),
            ),
            production(
                "video",
                "3",
                &json!([codec("video/VP9", 98, &json!({ "profile-id": 0 }))]),
                &json!([{ "ssrc": 65_530 }]),
            ),
            production("video", "4", &vp8, &json!([{ "ssrc": 4_000 }, { "ssrc": 4_001 }])),
            production("audio", "1", &opus, &json!([{ "ssrc": 2_222 }])),
            production("audio", "5", &vp8, &json!([{ "ssrc": 5_000 }])),
        ];
        list.into_iter().map(|options| serde_json::from_value(options).unwrap()).collect()
    })
}

fn codec(mime_type: &str, payload_type: u8, parameters: &Value) -> Value {
    let feedback = json!([{ "type": "nack" }, { "type": "nack", "parameter": "pli" },
        { "type": "ccm", "parameter": "fir" }, { "type": "goog-remb" }, { "type": "transport-cc" }]);
    let feedback = if mime_type == "video/rtx" { json!([]) } else { feedback };
    json!({ "mimeType": mime_type, "payloadType": payload_type, "clockRate": 90000, "parameters": parameters,
        "rtcpFeedback": feedback })
}

fn production(kind: &str, mid: &str, codecs: &Value, encodings: &Value) -> Value {
    let uris = [
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "urn:3gpp:video-orientation",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    ];
    // Half of the clients number their packets transport-wide, the others are told by REMB.
    let wanted = |id: usize| if mid == "3" { id != 5 } else { true };
    let extensions: Vec<_> =
        uris.iter().enumerate().map(|(at, uri)| (at + 1, uri)).filter(|(id, _)| wanted(*id)).collect();
    let extensions: Vec<_> = extensions.iter().map(|(id, uri)| json!({ "uri": uri, "id": id })).collect();
    json!({ "kind": kind, "rtpParameters": { "mid": mid, "codecs": codecs, "headerExtensions": extensions,
        "encodings": encodings, "rtcp": { "cname": "fuzz" } } })
}

/// Opus, VP8 and H264, for machines whose clients speak JSON: reading and writing all that there is takes the most time.
pub fn media_codecs() -> Vec<RtpCodecCapability> {
    let names = ["audio/opus", "video/VP8", "video/H264"];
    let mut codecs = default_media_codecs();
    codecs.retain(|codec| names.contains(&codec.mime_type.as_str()));
    codecs
}

/// The capabilities of a router with [`media_codecs`].
pub fn router_capabilities() -> &'static RtpCapabilities {
    static CAPABILITIES: OnceLock<RtpCapabilities> = OnceLock::new();
    CAPABILITIES.get_or_init(|| generate_router_rtp_capabilities(&media_codecs()).unwrap())
}

/// What a client can receive: all of a router's, only some, or other ids.
pub fn capabilities(router: &RtpCapabilities, which: u8) -> RtpCapabilities {
    let mut capabilities = router.clone();
    match which % 8 {
        1 => capabilities.codecs.retain(|codec| !codec.mime_type.is_rtx()),
        2 => capabilities.header_extensions.clear(),
        3 => capabilities.codecs.truncate(1),
        4 => capabilities.codecs.iter_mut().for_each(|codec| codec.rtcp_feedback.clear()),
        _ => {}
    }
    capabilities
}

/// A datagram that comes to the server.
pub fn datagram(remote: SocketAddr, payload: &mut [u8]) -> Datagram<'_> {
    Datagram { local: world::sfu_address(), remote, protocol: Protocol::Udp, payload }
}
