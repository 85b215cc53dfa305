use super::answer::{self, Answer};
use super::sdp::tests as clients;
use super::sdp::{Direction, MAX_BYTES, Offer, Setup};
use super::session::{RemoteCredentials, RemoteTransport, TaggedSection};
use super::*;
use crate::id::TransportId;
use crate::model::WebRtcTransportData;
use crate::ortc::{
    HeaderExtensionUri, MediaKind, RtpCapabilities, RtpCodecParameters, RtpParameters, default_media_codecs,
    generate_router_rtp_capabilities,
};
use crate::rng::Rng;

fn router() -> RtpCapabilities {
    generate_router_rtp_capabilities(&default_media_codecs()).unwrap()
}

fn transport() -> WebRtcTransportData {
    serde_json::from_value(serde_json::json!({
        "id": "00000000000000010000000200000003",
        "iceRole": "controlled",
        "iceParameters": { "usernameFragment": "srvufrag", "password": "srvpasswordsrvpasswordsrv", "iceLite": true },
        "iceCandidates": [
            { "foundation": "udpcandidate", "priority": 1_076_302_079u32, "address": "192.0.2.1", "ip": "192.0.2.1",
              "protocol": "udp", "port": 40_000, "type": "host" },
            { "foundation": "udpcandidate", "priority": 1_076_302_078u32, "address": "2001:db8::1", "ip": "2001:db8::1",
              "protocol": "udp", "port": 40_000, "type": "host" },
        ],
        "iceState": "new",
        "dtlsParameters": { "role": "auto", "fingerprints": [
            { "algorithm": "sha-1", "value": (["01"; 20].join(":")) },
            { "algorithm": "sha-256", "value": (["AB"; 32].join(":")) },
        ] },
        "dtlsState": "new",
        "appData": null,
    }))
    .unwrap()
}

fn answered(text: &str) -> (Offer, String) {
    let offer = Offer::parse(text).unwrap();
    let plan = publish::plan(&offer, &router()).unwrap();
    let remote = RemoteTransport::of(&offer, &resource::accepted(&offer, &plan)).unwrap();
    let answer = answer::write(&offer, &plan, &transport(), remote.dtls_parameters.role);
    (offer, answer)
}

fn sent(text: &str) -> Vec<RtpParameters> {
    let offer = Offer::parse(text).unwrap();
    let plan = publish::plan(&offer, &router()).unwrap();
    plan.into_iter()
        .filter_map(|answer| match answer {
            Answer::Accepted { direction: Direction::RecvOnly, parameters, .. } => Some(parameters),
            _ => None,
        })
        .collect()
}

fn names(parameters: &RtpParameters) -> Vec<(&str, u8)> {
    let name = |codec: &'_ RtpCodecParameters| codec.payload_type;
    parameters.codecs.iter().map(|codec| (codec.mime_type.subtype(), name(codec))).collect()
}

#[test]
fn a_browser_sends_what_mediasoup_client_would_say() {
    let sent = sent(clients::CHROMIUM_SENDONLY);
    let [audio, video] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(names(audio), [("opus", 111)]);
    assert_eq!(names(video), [("VP8", 96), ("rtx", 97)]);
    assert_eq!((audio.mid.as_deref(), video.mid.as_deref()), (Some("0"), Some("1")));
    assert_eq!(video.header_extension_id(HeaderExtensionUri::Mid), Some(4));
    assert_eq!(video.header_extension_id(HeaderExtensionUri::TransportCc), Some(3));
    assert_eq!(audio.header_extension_id(HeaderExtensionUri::AudioLevel), Some(1));
    assert!(
        video.header_extensions.iter().all(|extension| extension.known().is_some()),
        "none the router lacks"
    );
    let feedback: Vec<_> =
        video.codecs[0].rtcp_feedback.iter().map(|it| format!("{} {}", it.r#type, it.parameter)).collect();
    for expected in ["nack ", "nack pli", "ccm fir", "transport-cc "] {
        assert!(feedback.iter().any(|it| it == expected), "{expected} in {feedback:?}");
    }
    assert!(!feedback.iter().any(|it| it.starts_with("goog-remb")), "one kind of bandwidth feedback");
    assert_eq!(video.encodings.len(), 1);
    assert!(video.encodings[0].ssrc.is_some() && video.encodings[0].rtx.is_some());
    assert!(audio.encodings[0].ssrc.is_some() && audio.encodings[0].rtx.is_none());
    assert!(video.rtcp.cname.is_some() && video.rtcp.cname == audio.rtcp.cname);
    assert!(video.msid.as_ref().unwrap().contains(' '));
}

#[test]
fn what_is_sent_passes_the_negotiation_of_producers() {
    for (name, text) in clients::ALL {
        if name.ends_with("recvonly") {
            continue;
        }
        for parameters in sent(text) {
            let kind = parameters.media_codec().unwrap().kind();
            let negotiated = crate::ortc::negotiate_producer(kind, parameters, &router(), || 7);
            assert!(negotiated.is_ok(), "{name} {kind}: {negotiated:?}");
        }
    }
}

#[test]
fn every_client_gets_an_answer_that_fits_its_offer() {
    for (name, text) in clients::ALL {
        if name.ends_with("recvonly") {
            continue;
        }
        let (offer, text) = answered(text);
        let answer = Offer::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        assert!(answer.ice_lite, "{name}");
        assert_eq!(answer.sections.len(), offer.sections.len(), "{name}");
        for (offered, section) in offer.sections.iter().zip(&answer.sections) {
            assert_eq!(
                (section.media, &section.mid, &section.protocol),
                (offered.media, &offered.mid, &offered.protocol)
            );
            if section.is_rejected() {
                assert_eq!(section.kind(), None, "{name}: only data is rejected");
                assert!(!answer.bundle.contains(section.mid.as_ref().unwrap()), "{name}");
                continue;
            }
            assert_eq!(section.direction, Direction::RecvOnly, "{name}");
            assert!(section.rtcp_mux && section.rtcp_rsize == offered.rtcp_rsize, "{name}");
            assert_eq!(section.transport.setup, Some(Setup::Passive), "{name}");
            assert_eq!(section.transport.username_fragment.as_deref(), Some("srvufrag"), "{name}");
            assert_eq!(section.transport.fingerprints[0].value.len(), 32, "{name}");
            assert!(answer.bundle.contains(section.mid.as_ref().unwrap()), "{name}");
            for codec in &section.codecs {
                let codec_offered = offered.codec(codec.payload_type).unwrap();
                assert_eq!(
                    (&codec.name, codec.clock_rate),
                    (&codec_offered.name, codec_offered.clock_rate),
                    "{name}"
                );
                assert!(codec.feedback.iter().all(|it| codec_offered.feedback.contains(it)), "{name}");
            }
            assert!(section.extensions.iter().all(|it| {
                offered.extensions.iter().any(|offered| (offered.id, &offered.uri) == (it.id, &it.uri))
            }));
        }
        assert_eq!(text.matches("a=end-of-candidates").count(), 1, "{name}");
        assert!(text.lines().count() < 80 && text.ends_with("\r\n"), "{name}");
    }
}

/// Found by the fuzz target `sdp`.
#[test]
fn a_section_outside_of_the_offered_group_is_not_bundled_in_the_answer() {
    let outside = clients::CHROMIUM_SENDONLY
        .replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1")
        .replace("m=video 9", "m=video 0");
    let (offer, text) = answered(&outside);
    assert_eq!((offer.bundle.len(), offer.sections[0].mid.as_deref()), (1, Some("0")));
    let answer = Offer::parse(&text).unwrap();
    assert!(!answer.sections[0].is_rejected() && answer.sections[1].is_rejected());
    assert!(!text.contains("a=group"), "nothing is left to be bundled");
}

#[test]
fn the_answer_is_written_as_standards_say() {
    let (_, answer) = answered(clients::CHROMIUM_DATACHANNEL);
    let lines: Vec<&str> = answer.split("\r\n").collect();
    for expected in [
        "v=0",
        "o=- 8589934595 1 IN IP4 127.0.0.1",
        "a=ice-lite",
        "a=ice-options:trickle",
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "m=audio 40000 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 192.0.2.1",
        "a=candidate:udpcandidate 1 udp 1076302078 2001:db8::1 40000 typ host",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtcp-fb:96 nack pli",
        "a=fmtp:97 apt=96",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "a=mid:2",
    ] {
        assert!(lines.contains(&expected), "{expected} in\n{answer}");
    }
    assert!(!answer.contains("sha-1 "), "the strongest that all can check");
}

#[test]
fn simulcast_is_mirrored() {
    let sent = sent(clients::CHROMIUM_SIMULCAST);
    let rids: Vec<_> = sent[1].encodings.iter().map(|encoding| encoding.rid.as_deref().unwrap()).collect();
    assert_eq!(rids, ["q", "h", "f"]);
    let (_, answer) = answered(clients::CHROMIUM_SIMULCAST);
    assert!(
        answer.contains("a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n"),
        "{answer}"
    );
    assert!(answer.contains("rtp-stream-id") && answer.contains("repaired-rtp-stream-id"));

    let restricted = clients::CHROMIUM_SIMULCAST
        .replace("a=rid:q send", "a=rid:q send pt=96,98;max-width=320")
        .replace("a=rid:h send", "a=rid:h send pt=98");
    let (_, answer) = answered(&restricted);
    assert!(
        answer.contains("a=rid:q recv pt=96;max-width=320\r\na=rid:f recv\r\na=simulcast:recv q;f\r\n"),
        "{answer}"
    );
}

#[test]
fn simulcast_by_ssrc_group_is_understood() {
    let text = clients::CHROMIUM_SENDONLY.replace(
        "a=ssrc-group:FID",
        "a=ssrc-group:SIM 11 12 13\r\na=ssrc-group:FID 12 22\r\na=ssrc-group:FID",
    );
    let encodings = &sent(&text)[1].encodings;
    let ssrcs: Vec<_> =
        encodings.iter().map(|encoding| (encoding.ssrc, encoding.rtx.map(|rtx| rtx.ssrc))).collect();
    assert_eq!(ssrcs, [(Some(11), None), (Some(12), Some(22)), (Some(13), None)]);
}

#[test]
fn without_ssrc_lines_the_mid_has_to_tell() {
    let without = |text: &str, pattern: &str| {
        text.lines().filter(|line| !line.contains(pattern)).collect::<Vec<_>>().join("\r\n")
    };
    let no_ssrc = without(clients::CHROMIUM_SENDONLY, "a=ssrc");
    assert_eq!(sent(&no_ssrc)[1].encodings[0].ssrc, None);
    let nothing = without(&no_ssrc, "sdes:mid");
    let error = publish::plan(&Offer::parse(&nothing).unwrap(), &router()).unwrap_err();
    assert_eq!(error.status, 422);
    assert!(error.message.contains("SDP line 8"), "{error}");
    let no_rid = without(clients::CHROMIUM_SIMULCAST, "rtp-stream-id");
    assert_eq!(publish::plan(&Offer::parse(&no_rid).unwrap(), &router()).unwrap_err().status, 422);
}

#[test]
fn stereo_is_asked_for_when_only_offered_to_be_sent() {
    let (_, answer) = answered(clients::GSTREAMER);
    assert!(
        answer.contains("a=fmtp:111 sprop-maxcapturerate=48000;sprop-stereo=1;useinbandfec=1;stereo=1\r\n"),
        "{answer}"
    );
    assert!(answer.contains("a=rtpmap:111 OPUS/48000/2\r\n"), "spelt as offered");
    let (_, answer) = answered(clients::OBS);
    assert!(answer.contains(";stereo=1;sprop-stereo=1;useinbandfec=1\r\n"), "{answer}");
}

#[test]
fn the_client_that_waits_for_dtls_is_called() {
    let (_, answer) = answered(&clients::OBS.replace("a=setup:actpass", "a=setup:passive"));
    assert_eq!(answer.matches("a=setup:active").count(), 2);
    let (_, answer) = answered(&clients::OBS.replace("a=setup:actpass", "a=setup:active"));
    assert_eq!(answer.matches("a=setup:passive").count(), 2);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let refused = |text: &str| {
        let offer = Offer::parse(text).unwrap();
        let plan = publish::plan(&offer, &router())?;
        RemoteTransport::of(&offer, &resource::accepted(&offer, &plan)).map(|_| ())
    };
    assert_eq!(refused(clients::OBS), Ok(()));
    for (from, to, status, message) in [
        ("a=ice-options:ice2,trickle", "a=ice-lite", 422, "ice-lite"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0", 422, "SDP line 25 \"m=video\" is not in the BUNDLE group"),
        ("a=rtcp-mux\r\n", "", 422, "SDP line 10 \"m=audio\" has no a=rtcp-mux"),
        ("a=fingerprint:sha-256", "a=fingerprint:md5", 400, "a=fingerprint"),
        ("a=setup:actpass", "a=x", 400, "a=setup"),
        ("a=ice-ufrag:QJYS", "a=x", 400, "a=ice-ufrag"),
        ("a=ice-pwd:", "a=x:", 400, "a=ice-pwd"),
        ("a=sendonly", "a=recvonly", 422, "no audio or video to send"),
        ("a=sendonly", "a=inactive", 422, "no audio or video to send"),
        ("m=", "m=x", 422, "no audio or video to send"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", 422, "no codec"),
        ("rtpmap:", "rtpmap:1", 400, ""),
    ] {
        let text = clients::OBS.replace(from, to);
        let error = match Offer::parse(&text) {
            Ok(_) => refused(&text).unwrap_err(),
            Err(error) => error.into(),
        };
        assert_eq!(error.status, status, "{to}: {error}");
        assert!(error.message.contains(message), "{to}: {error}");
    }
    let nothing = clients::OBS.replace("opus/48000/2", "speex/8000").replace("H264", "H265");
    assert_eq!(refused(&nothing).unwrap_err().message, "the offer has no codec that the room has");
}

#[test]
fn a_section_without_common_codec_is_rejected_and_the_rest_goes_on() {
    let (_, answer) = answered(&clients::OBS.replace("H264", "H265"));
    assert!(answer.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"), "{answer}");
    assert!(answer.contains("a=group:BUNDLE 0\r\n"));
    let (_, answer) = answered(&clients::OBS.replacen("a=sendonly", "a=recvonly", 1));
    assert_eq!(answer.matches("a=inactive").count(), 1, "{answer}");
    assert_eq!(answer.matches("a=recvonly").count(), 1);
}

#[test]
fn the_client_prefers_the_codec() {
    let vp9_first = clients::CHROMIUM_SENDONLY
        .replace("m=video 9 UDP/TLS/RTP/SAVPF 96 97", "m=video 9 UDP/TLS/RTP/SAVPF 98 99 96 97");
    assert_eq!(names(&sent(&vp9_first)[1]), [("VP9", 98), ("rtx", 99)]);
}

#[test]
fn extension_directions_are_turned() {
    let text = clients::FIREFOX.replace("a=extmap:4 http", "a=extmap:4/sendonly http");
    let (_, answer) = answered(&text);
    assert!(
        answer.contains("a=extmap:4/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        "{answer}"
    );
    assert!(!answer.contains("playout-delay"), "the client only receives it");
}

#[test]
fn format_parameters_are_read_as_mediasoup_client_reads_them() {
    let read = dictionary::format_parameters(
        " packetization-mode=1; profile-level-id=640032;x=01;y=;z;level=1.5;=;;",
    );
    let expected = serde_json::json!({
        "packetization-mode": 1, "profile-level-id": "640032", "x": "01", "y": "", "level": "1.5", "": "",
    });
    assert_eq!(serde_json::to_value(&read).unwrap(), expected);
}

#[test]
fn what_viewers_can_receive_is_said_with_their_numbers() {
    for text in [clients::CHROMIUM_RECVONLY, clients::SAFARI] {
        let offer = Offer::parse(text).unwrap();
        let video = offer.sections.iter().find(|section| section.kind() == Some(MediaKind::Video)).unwrap();
        let capabilities = dictionary::capabilities(video, MediaKind::Video);
        let vp8 = capabilities.codecs.iter().find(|codec| codec.mime_type.subtype() == "VP8").unwrap();
        let payload_type = vp8.preferred_payload_type.unwrap();
        assert!(capabilities.rtx_for(payload_type).is_some());
        assert!(!capabilities.header_extensions.is_empty());
        let producer = sent(clients::CHROMIUM_SENDONLY).remove(1);
        let consumable =
            crate::ortc::negotiate_producer(MediaKind::Video, producer, &router(), || 7).unwrap();
        assert!(crate::ortc::can_consume(&consumable.consumable_rtp_parameters, &capabilities));
    }
}

#[test]
fn mutated_offers_are_answered_or_refused() {
    let mut rng = Rng::from_seed([8; 32]);
    let (router, transport) = (router(), transport());
    let mut answers = 0;
    for round in 0..2_000 {
        let text = clients::mutated(clients::ALL[round % clients::ALL.len()].1, &mut rng);
        let Ok(offer) = Offer::parse(&text) else { continue };
        let Ok(plan) = publish::plan(&offer, &router) else { continue };
        if let Ok(remote) = RemoteTransport::of(&offer, &resource::accepted(&offer, &plan)) {
            let answer = answer::write(&offer, &plan, &transport, remote.dtls_parameters.role);
            let read = Offer::parse(&answer).unwrap_or_else(|error| panic!("{error}\n{answer}"));
            assert_eq!(read.sections.len(), offer.sections.len());
            answers += 1;
        }
    }
    assert!(answers > 200, "{answers}");
}

const FRAGMENT: &str = "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
    a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
    a=candidate:3471623853 1 tcp 1518280447 4b5f1b9e-0b5c-4e9e-9b8b-6f7a1f4b6a2e.local 9 typ host tcptype active generation 0\r\n\
    a=candidate:473322822 1 udp 1686052607 2001:db8::7 61764 typ srflx raddr :: rport 0 generation 0\r\n\
    a=end-of-candidates\r\n";

#[test]
fn fragments_are_read() {
    let fragment = Fragment::parse(FRAGMENT).unwrap();
    assert_eq!(fragment.username_fragment.as_deref(), Some("EsAw"));
    assert_eq!(fragment.password.as_deref(), Some("P2uYro0UCOQ4zxjKXaWCBui1"));
    assert_eq!((fragment.candidates, fragment.end_of_candidates), (3, true));
    assert_eq!(Fragment::parse("").unwrap(), Fragment::default());
}

#[test]
fn malformed_fragments_name_the_line() {
    for line in [
        "a=candidate:",
        "a=candidate:1 1 udp 1 1.1.1.1 1 typ",
        "a=candidate:1 1 udp 1 1.1.1.1 1 type host",
        "a=candidate:1 0 udp 1 1.1.1.1 1 typ host",
        "a=candidate:1 257 udp 1 1.1.1.1 1 typ host",
        "a=candidate:1 1 udp -1 1.1.1.1 1 typ host",
        "a=candidate:1 1 udp 4294967296 1.1.1.1 1 typ host",
        "a=candidate:1 1 udp 1 <script> 1 typ host",
        "a=candidate:1 1 udp 1 1.1.1.1 65536 typ host",
        "a=candidate:1 1 udp 1 1.1.1.1 1 typ host raddr",
        "a=candidate:! 1 udp 1 1.1.1.1 1 typ host",
        "a=ice-ufrag:x",
        "a=ice-pwd:x",
        "a=mid:",
        "m=audio 9",
        "nonsense",
    ] {
        let error = Fragment::parse(&format!("a=mid:0\r\n{line}\r\n")).unwrap_err();
        assert_eq!(error.line, 2, "{line}");
    }
    assert_eq!(Fragment::parse(&"a=x\n".repeat(MAX_BYTES)).unwrap_err().line, 0);
    let mut rng = Rng::from_seed([9; 32]);
    for _ in 0..5_000 {
        let _ = Fragment::parse(&clients::mutated(FRAGMENT, &mut rng));
    }
}

#[test]
fn sessions_remember_credentials() {
    let remote = RemoteCredentials { username_fragment: "a".into(), password: "b".into() };
    let transport = transport();
    let id: TransportId = transport.id;
    let mut session =
        Session::new(id, remote, TaggedSection::default(), Vec::new(), &transport.ice_parameters);
    assert_eq!((session.transport(), session.etag()), (id, "\"srvufrag\""));
    let next = RemoteCredentials { username_fragment: "c".into(), password: "d".into() };
    let mut local = transport.ice_parameters;
    local.username_fragment = "another".into();
    session.restarted(next.clone(), &local);
    assert_eq!((session.remote(), session.etag()), (&next, "\"another\""));
}
