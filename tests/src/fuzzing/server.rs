//! A whole `Server`: sessions, messages, HTTP requests, datagrams and time as the fuzzer likes them.
use std::net::SocketAddr;
use std::time::Duration;

use sansfu::server::SessionId;
use sansfu::server::edge;
use serde_json::{Value, json};

use super::house::House;
use super::packets::{self, Stream};
use super::scene;
use crate::choices::Choices;

const MAX_STEPS: usize = 150;
const SDP: Option<&str> = Some("application/sdp");
const FRAGMENT: Option<&str> = Some("application/trickle-ice-sdpfrag");
const OFFERS: [&[u8]; 5] = [
    include_bytes!("../../sdp/chromium-sendonly.sdp"),
    include_bytes!("../../sdp/chromium-recvonly.sdp"),
    include_bytes!("../../sdp/firefox-sendonly.sdp"),
    include_bytes!("../../sdp/safari-recvonly.sdp"),
    include_bytes!("../../sdp/webrtc-rs-sendrecv.sdp"),
];
const RESTART: &[u8] =
    b"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
const METHODS: [&str; 20] = [
    "getRouterRtpCapabilities",
    "createWebRtcTransport",
    "connectWebRtcTransport",
    "join",
    "produce",
    "closeProducer",
    "pauseProducer",
    "resumeProducer",
    "pauseConsumer",
    "resumeConsumer",
    "setConsumerPreferredLayers",
    "setConsumerPriority",
    "requestConsumerKeyFrame",
    "changeDisplayName",
    "restartIce",
    "getTransportStats",
    "getProducerStats",
    "getConsumerStats",
    "produceData",
    "nonsense",
];

struct Street {
    house: House,
    /// All that there ever were.
    sessions: Vec<SessionId>,
    locations: Vec<String>,
    etags: Vec<String>,
    streams: [Stream; 7],
    next_rtcp: u32,
}

/// Anything in any order, and then everybody leaves.
pub fn server(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut street = Street {
        house: House::new(scene::media_codecs()),
        sessions: Vec::new(),
        locations: Vec::new(),
        etags: Vec::new(),
        streams: scene::streams(),
        next_rtcp: 0,
    };
    for _ in 0..MAX_STEPS {
        if input.is_exhausted() {
            break;
        }
        match input.range(0, 32) {
            0..=2 => street.open(&mut input),
            3 => street.close(&mut input),
            4..=17 => street.request(&mut input),
            18 | 19 => street.answer(&mut input),
            20 => street.raw_message(&mut input),
            21..=23 => street.post(&mut input),
            24 => street.patch_or_delete(&mut input),
            25 => street.raw_http(&mut input),
            26..=29 => street.datagram(&mut input),
            _ => {
                let time = input.u8();
                let unit = if time < 200 { Duration::from_millis(5) } else { Duration::from_secs(1) };
                street.house.pass(unit * u32::from(time & 63));
            }
        }
    }
    street.house.finish();
}

impl Street {
    fn open(&mut self, input: &mut Choices<'_>) {
        let (room, peer) =
            (input.pick(&["r", "s", "t", "u", ""]), input.pick(&["a", "b", "c", "d", "e", "\u{0}"]));
        let session = self.house.open(room, peer);
        self.sessions.push(session);
        // Who speaks is watched in every room that there is.
        let _ = self.house.server.observe_audio(self.house.now, room);
        if input.percent(80) {
            self.house.request(
                session,
                "createWebRtcTransport",
                &json!({ "producing": true, "consuming": true }),
            );
            self.join(session, input.u8());
        }
    }

    fn join(&mut self, session: SessionId, how: u8) {
        let capabilities = scene::capabilities(scene::router_capabilities(), how);
        let capabilities = Some(capabilities).filter(|_| how & 0x80 == 0);
        let data = json!({ "displayName": "F", "device": { "flag": "f", "name": "F" }, "rtpCapabilities": capabilities });
        self.house.request(session, "join", &data);
    }

    fn close(&mut self, input: &mut Choices<'_>) {
        if let Some(session) = self.any_session(input) {
            self.house.close(session);
        }
    }

    fn request(&mut self, input: &mut Choices<'_>) {
        let Some(session) = self.any_session(input) else { return };
        let method = input.pick(&METHODS);
        let house = &self.house;
        let mut name = |names: &[String]| match names {
            [] => String::new(),
            names => names[names.len() - 1 - usize::from(input.u8()) % names.len()].clone(),
        };
        let (transport, producer, consumer) =
            (name(&house.transports), name(&house.producers), name(&house.consumers));
        if method == "join" {
            return self.join(session, input.u8());
        }
        let mut data = json!({ "transportId": transport, "producerId": producer, "consumerId": consumer });
        match method {
            "createWebRtcTransport" => {
                let how = input.u8();
                data["producing"] = json!(how & 1 == 0);
                data["consuming"] = json!(how & 2 == 0);
            }
            "connectWebRtcTransport" => {
                data["dtlsParameters"] = json!(scene::dtls_parameters(&house.backend))
            }
            "produce" => {
                let options = input.pick(scene::productions());
                data["kind"] = json!(options.kind);
                data["rtpParameters"] = json!(options.rtp_parameters);
            }
            _ => {
                data["priority"] = json!(input.u8());
                data["spatialLayer"] = json!(input.u8());
                data["displayName"] = json!("G");
            }
        }
        if input.percent(5) {
            data = Value::Null;
        }
        self.house.request(session, method, &data);
    }

    fn answer(&mut self, input: &mut Choices<'_>) {
        if !self.house.offers.is_empty() {
            let (session, id) = self.house.offers.remove(0);
            let answer = json!({ "response": true, "id": id, "ok": input.u8() & 3 != 0 });
            self.house.message(session, &answer.to_string());
        }
    }

    fn raw_message(&mut self, input: &mut Choices<'_>) {
        let Some(session) = self.any_session(input) else { return };
        self.house.message(session, &String::from_utf8_lossy(input.piece()));
    }

    fn post(&mut self, input: &mut Choices<'_>) {
        let (face, room, peer) =
            (input.pick(&["whip", "whep"]), input.pick(&["r", "s", "v"]), input.pick(&["a", "b", "w"]));
        let mut offer = input.pick(&OFFERS).to_vec();
        if input.percent(20) {
            let (at, bytes) = (usize::from(input.u16()) % offer.len(), input.piece());
            offer.splice(at..at, bytes.iter().copied());
        }
        let response = self.house.http("POST", &format!("/{face}/{room}/{peer}"), SDP, None, &offer);
        if let Some((location, etag)) = response.header("location").zip(response.header("etag")) {
            assert_eq!(response.status, 201);
            self.locations.push(location.to_owned());
            self.etags.push(etag.to_owned());
        }
    }

    fn patch_or_delete(&mut self, input: &mut Choices<'_>) {
        if self.locations.is_empty() {
            return;
        }
        let (location, etag) = (input.pick(&self.locations), input.pick(&self.etags));
        let response = match input.range(0, 4) {
            0 => self.house.http("DELETE", &location, None, None, b""),
            1 => self.house.http("PATCH", &location, FRAGMENT, Some(&etag), RESTART),
            2 => self.house.http("PATCH", &location, FRAGMENT, Some("*"), RESTART),
            _ => self.house.http("PATCH", &location, FRAGMENT, Some("*"), input.piece()),
        };
        self.etags.extend(response.header("etag").map(str::to_owned));
    }

    fn raw_http(&mut self, input: &mut Choices<'_>) {
        let method = input.pick(&["GET", "POST", "OPTIONS", "DELETE", "PATCH", "HEAD", "X"]);
        let target = match input.range(0, 4) {
            0 => "/stats".to_owned(),
            1 => "/rooms/r".to_owned(),
            _ => String::from_utf8_lossy(input.piece()).into_owned(),
        };
        // The edge has a word first, but a machine must stand alone.
        let upgrade = Some("protoo").filter(|_| input.u8() & 1 == 0);
        if let edge::Route::WebSocket { room_id, peer_id } = edge::route(method, &target, upgrade) {
            self.sessions.push(self.house.open(&room_id, &peer_id));
        }
        self.house.http(method, &target, SDP, None, input.piece());
    }

    fn datagram(&mut self, input: &mut Choices<'_>) {
        let remote = SocketAddr::from(([192, 0, 2, input.u8() % 4], 5_000));
        let bytes = match input.range(0, 8) {
            0 | 1 if !self.house.ice.is_empty() => {
                let ice = input.pick(&self.house.ice);
                return self.house.connect(&ice, remote);
            }
            2 => packets::seal_rtp(packets::any_rtp(input, &mut self.streams)),
            3 => {
                self.next_rtcp += 1;
                packets::seal_rtcp(packets::rtcp(input, &self.streams, &[]), self.next_rtcp)
            }
            4 => input.piece().to_vec(),
            which => {
                let stream = &mut self.streams[usize::from(which as u8) % 3];
                packets::seal_rtp(packets::good_rtp(stream, input.u8() & 1 == 0, 1))
            }
        };
        self.house.datagram(remote, bytes);
    }

    fn any_session(&self, input: &mut Choices<'_>) -> Option<SessionId> {
        let at = usize::from(input.u8()) % self.sessions.len().max(1);
        self.sessions.iter().rev().nth(at).copied()
    }
}
