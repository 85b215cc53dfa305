//! The requests as they are carried over a wire, and what a machine without clients does.
#![allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod own_ports;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::ListenAddress;

fn sfu() -> (Sfu, Instant) {
    let listen = vec![ListenAddress { local: ([127, 0, 0, 1], 40_000).into(), announced: None }];
    let now = Instant::now();
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
    (Sfu::new(Config { listen, ..Config::default() }, [3; 32], now, wall).unwrap(), now)
}

fn ask(sfu: &mut Sfu, now: Instant, method: &str, data: Value) -> Result<Value, RequestError> {
    let request: Request = serde_json::from_value(json!({ "method": method, "data": data })).unwrap();
    sfu.request(now, request).map(|response| serde_json::to_value(response).unwrap())
}

fn vp8_producer(ssrc: u32) -> Value {
    json!({
        "kind": "video",
        "rtpParameters": {
            "mid": "0",
            "codecs": [{ "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000 }],
            "encodings": [{ "ssrc": ssrc }],
            "rtcp": { "cname": "c" },
        },
    })
}

#[test]
fn a_call_is_set_up_by_json_alone() {
    let (mut sfu, now) = sfu();
    let codecs = json!([{ "kind": "video", "mimeType": "video/VP8", "clockRate": 90000 }]);
    let router = ask(&mut sfu, now, "createRouter", json!({ "mediaCodecs": codecs })).unwrap();
    let create = json!({ "routerId": router["id"], "options": {} });
    let transport = ask(&mut sfu, now, "createWebRtcTransport", create.clone()).unwrap();
    assert_eq!(transport["iceCandidates"][0]["port"], 40_000);
    assert_eq!(transport["dtlsParameters"]["role"], "auto");
    let options = vp8_producer(1_111);
    let produce = json!({ "transportId": transport["id"], "options": options });
    let producer = ask(&mut sfu, now, "produce", produce.clone()).unwrap();
    assert_eq!(producer["type"], "simple");

    let other = ask(&mut sfu, now, "createWebRtcTransport", create).unwrap();
    let consume = json!({
        "transportId": other["id"],
        "options": { "producerId": producer["id"], "rtpCapabilities": router["rtpCapabilities"] },
    });
    let consumer = ask(&mut sfu, now, "consume", consume).unwrap();
    assert_eq!((&consumer["producerId"], &consumer["paused"]), (&producer["id"], &json!(false)));
    let can = json!({ "producerId": producer["id"], "rtpCapabilities": router["rtpCapabilities"] });
    assert_eq!(ask(&mut sfu, now, "canConsume", can).unwrap(), json!(true));

    let again = ask(&mut sfu, now, "produce", produce).unwrap_err();
    assert!(again.message.contains("mid") || again.message.contains("ssrc"), "{again}");
    let stats = ask(&mut sfu, now, "getStats", json!(null)).unwrap();
    assert_eq!(
        (&stats["producers"], &stats["consumers"]),
        (&json!(1), &json!(1)),
        "a refusal changes nothing"
    );

    ask(&mut sfu, now, "closeProducer", json!({ "producerId": producer["id"] })).unwrap();
    let gone = ask(&mut sfu, now, "getConsumer", json!({ "consumerId": consumer["id"] })).unwrap_err();
    assert_eq!(gone.message, "consumer not found");
    ask(&mut sfu, now, "closeRouter", json!({ "routerId": router["id"] })).unwrap();
    let stats = sfu.stats();
    assert_eq!([stats.routers, stats.transports, stats.producers, stats.consumers, stats.tuples], [0; 5]);
    assert!(sfu.demux.is_empty() && sfu.out.timers.is_empty());
}

#[test]
fn objects_of_another_router_are_not_found() {
    let (mut sfu, now) = sfu();
    let options = || crate::model::RouterOptions {
        media_codecs: crate::ortc::default_media_codecs(),
        ..Default::default()
    };
    let (one, two) = (sfu.create_router(now, options()).unwrap(), sfu.create_router(now, options()).unwrap());
    let [sender, stranger] = [one, two].map(|router| {
        sfu.create_webrtc_transport(now, router, crate::model::WebRtcTransportOptions::default()).unwrap()
    });
    let producer = sfu.produce(now, sender, serde_json::from_value(vp8_producer(5)).unwrap()).unwrap();
    let capabilities = sfu.router_rtp_capabilities(two).unwrap().clone();
    let refused = sfu.consume(now, stranger, crate::model::ConsumerOptions::new(producer, capabilities));
    assert_eq!(refused.unwrap_err().message, "producer not found");
}

#[test]
fn addresses_that_are_announced_as_one_are_one_candidate() {
    let announced = Some([203, 0, 113, 9].into());
    let listen = [[10, 0, 0, 1], [10, 0, 0, 2]]
        .map(|ip| ListenAddress { local: (ip, 40_000).into(), announced })
        .to_vec();
    let now = Instant::now();
    let config = Config { listen, ..Config::default() };
    let mut sfu = Sfu::new(config, [3; 32], now, SystemTime::UNIX_EPOCH).unwrap();
    let options = crate::model::RouterOptions {
        media_codecs: crate::ortc::default_media_codecs(),
        ..Default::default()
    };
    let router = sfu.create_router(now, options).unwrap();
    let id = sfu.create_webrtc_transport(now, router, Default::default()).unwrap();
    let candidates = sfu.webrtc_transport(id).unwrap().ice_candidates;
    assert_eq!(candidates.len(), 1);
    assert_eq!((candidates[0].address.as_str(), candidates[0].port), ("203.0.113.9", 40_000));
}

#[test]
fn time_does_not_run_backwards_and_idle_machines_wait_for_nothing() {
    let (mut sfu, now) = sfu();
    sfu.handle_input(now + Duration::from_secs(5), Input::Timeout);
    sfu.handle_input(now, Input::Timeout);
    assert_eq!(sfu.now, now + Duration::from_secs(5));
    assert!(matches!(sfu.poll_output(), Output::Timeout(Deadline { at: None, reason: None })));
}

#[test]
fn a_request_comes_behind_what_is_due_at_its_time() {
    let (mut sfu, now) = sfu();
    let options = crate::model::RouterOptions {
        media_codecs: crate::ortc::default_media_codecs(),
        ..Default::default()
    };
    let router = sfu.create_router(now, options).unwrap();
    let options = crate::model::WebRtcTransportOptions { connect_timeout: Some(5), ..Default::default() };
    let transport = sfu.create_webrtc_transport(now, router, options).unwrap();
    let later = now + Duration::from_secs(5);
    assert!(sfu.restart_ice(later - Duration::from_millis(1), transport).is_ok());
    let refused = sfu.restart_ice(later, transport).unwrap_err();
    assert_eq!(refused.message, "transport not found", "its client had until now to connect");
    let events: Vec<Event> = std::iter::from_fn(|| sfu.next_event()).collect();
    assert!(events.iter().any(|event| matches!(event, Event::TransportClosed { .. })), "{events:?}");
    assert!(matches!(sfu.poll_output(), Output::Timeout(Deadline { at: None, .. })));
}

/// A transport with the limits of its outgoing bitrate set in turn; what is refused and what is shown after each.
#[test]
fn limits_of_the_outgoing_bitrate_are_set_one_by_one() {
    let (mut sfu, now) = sfu();
    let router = ask(&mut sfu, now, "createRouter", json!({})).unwrap();
    let create = json!({ "routerId": router["id"], "options": {} });
    let id = ask(&mut sfu, now, "createWebRtcTransport", create).unwrap()["id"].clone();
    let mut set = |method: &str, bitrate: Value| {
        let data = json!({ "transportId": id, "bitrate": bitrate });
        let refused = ask(&mut sfu, now, method, data).err().map(|error| error.message);
        let stats = ask(&mut sfu, now, "getTransportStats", json!({ "transportId": id })).unwrap();
        let limit = |name: &str| stats[0][name].as_u64();
        (refused, limit("minOutgoingBitrate"), limit("maxOutgoingBitrate"))
    };
    let (max, min) = ("setMaxOutgoingBitrate", "setMinOutgoingBitrate");
    assert_eq!(set(max, json!(500_000)), (None, None, Some(500_000)));
    assert_eq!(set(min, json!(100_000)), (None, Some(100_000), Some(500_000)), "the other one stays");
    let unchanged = |message: &str| (Some(message.to_owned()), Some(100_000), Some(500_000));
    let crossed = "the lowest outgoing bitrate is above the highest";
    assert_eq!(set(max, json!(99_999)), unchanged(crossed));
    assert_eq!(set(min, json!(500_001)), unchanged(crossed));
    let too_low = "bitrate must be >= 30000 or 0 (unlimited)";
    assert_eq!(set(max, json!(29_999)), unchanged(too_low));
    assert_eq!(set(min, json!(1)), unchanged(too_low));
    assert_eq!(set(max, json!(0)), (None, Some(100_000), None));
    assert_eq!(set(min, json!(null)), (None, None, None));
    let gone = json!({ "transportId": id });
    ask(&mut sfu, now, "closeTransport", gone).unwrap();
    let data = json!({ "transportId": id, "bitrate": 500_000 });
    assert_eq!(ask(&mut sfu, now, max, data).unwrap_err().message, "transport not found");
}

impl Sfu {
    /// Takes an RTP packet as if it had come by a transport, and been decrypted.
    pub(crate) fn receive_rtp(&mut self, now: Instant, id: crate::id::TransportId, bytes: &[u8]) {
        self.advance(now);
        let (router, mut ctx) = self.split(id.router()).unwrap();
        router.handle_rtp(id, bytes, &mut ctx);
    }
}
