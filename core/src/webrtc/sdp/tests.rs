use super::*;
use crate::ortc::{FingerprintAlgorithm, HeaderExtensionDirection, RtcpFeedback};
use crate::rng::Rng;

pub(crate) const CHROMIUM_SENDONLY: &str = include_str!("../../../../tests/sdp/chromium-sendonly.sdp");
pub(crate) const CHROMIUM_RECVONLY: &str = include_str!("../../../../tests/sdp/chromium-recvonly.sdp");
pub(crate) const CHROMIUM_SENDRECV: &str = include_str!("../../../../tests/sdp/chromium-sendrecv.sdp");
pub(crate) const CHROMIUM_SIMULCAST: &str = include_str!("../../../../tests/sdp/chromium-simulcast.sdp");
pub(crate) const CHROMIUM_DATACHANNEL: &str = include_str!("../../../../tests/sdp/chromium-datachannel.sdp");
pub(crate) const FIREFOX: &str = include_str!("../../../../tests/sdp/firefox-sendonly.sdp");
pub(crate) const SAFARI: &str = include_str!("../../../../tests/sdp/safari-recvonly.sdp");
pub(crate) const GSTREAMER: &str = include_str!("../../../../tests/sdp/gstreamer-sendonly.sdp");
pub(crate) const WEBRTC_RS: &str = include_str!("../../../../tests/sdp/webrtc-rs-sendrecv.sdp");
pub(crate) const AIORTC: &str = include_str!("../../../../tests/sdp/aiortc-sendrecv.sdp");
pub(crate) const OBS: &str = include_str!("../../../../tests/sdp/obs-sendonly.sdp");

pub(crate) const ALL: [(&str, &str); 11] = [
    ("chromium-sendonly", CHROMIUM_SENDONLY),
    ("chromium-recvonly", CHROMIUM_RECVONLY),
    ("chromium-sendrecv", CHROMIUM_SENDRECV),
    ("chromium-simulcast", CHROMIUM_SIMULCAST),
    ("chromium-datachannel", CHROMIUM_DATACHANNEL),
    ("firefox-sendonly", FIREFOX),
    ("safari-recvonly", SAFARI),
    ("gstreamer-sendonly", GSTREAMER),
    ("webrtc-rs-sendrecv", WEBRTC_RS),
    ("aiortc-sendrecv", AIORTC),
    ("obs-sendonly", OBS),
];

/// One of the texts, cut, with lines taken out, doubled or swapped, and with bytes changed.
pub(crate) fn mutated(text: &str, rng: &mut Rng) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for _ in 0..rng.below(4) {
        let at = rng.below(lines.len() as u32) as usize;
        match rng.below(3) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at]),
            _ => lines.swap(at, 0),
        }
    }
    let mut bytes = lines.join("\r\n").into_bytes();
    for _ in 0..rng.below(4) {
        let at = rng.below(bytes.len() as u32) as usize;
        bytes[at] = match rng.below(3) {
            0 => rng.next_u32() as u8,
            1 => b"0:; =/,-~*"[rng.below(10) as usize],
            _ => bytes[at] ^ (1 << rng.below(8)),
        };
    }
    if rng.below(4) == 0 {
        bytes.truncate(rng.below(bytes.len() as u32 + 1) as usize);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn with_attributes(attributes: &str) -> String {
    format!("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n{attributes}\r\n")
}

fn section(attributes: &str) -> MediaSection {
    Offer::parse(&with_attributes(attributes)).unwrap().sections.remove(0)
}

fn refusal(text: &str) -> SdpError {
    Offer::parse(text).unwrap_err()
}

#[test]
fn every_client_is_understood() {
    for (name, text) in ALL {
        let offer = Offer::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!((2..=3).contains(&offer.sections.len()), "{name}");
        assert_eq!(offer.bundle.len(), offer.sections.len(), "{name}");
        for section in &offer.sections {
            let transport = offer.transport_of(section);
            assert!(transport.username_fragment.unwrap().len() >= 4, "{name}");
            assert!(transport.password.unwrap().len() >= 22, "{name}");
            assert_eq!(transport.setup, Some(Setup::ActPass), "{name}");
            assert_eq!(transport.fingerprints[0].algorithm, FingerprintAlgorithm::Sha256, "{name}");
            assert!(offer.bundle.contains(section.mid.as_ref().unwrap()), "{name}");
            assert!(!section.is_rejected(), "{name}");
            if section.kind().is_some() {
                assert!(section.rtcp_mux, "{name}");
                assert!(!section.codecs.is_empty(), "{name}");
                let listed: Vec<_> =
                    section.codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
                assert_eq!(listed, section.formats, "{name}: in the order of the m-line");
            }
        }
    }
}

#[test]
fn a_real_section_is_read_whole() {
    let offer = Offer::parse(CHROMIUM_SENDONLY).unwrap();
    assert!(offer.extmap_allow_mixed);
    assert_eq!(offer.ice_options, ["trickle"]);
    let [audio, video] = offer.sections.as_slice() else { panic!("{}", offer.sections.len()) };
    assert_eq!((audio.media, audio.line), (MediaType::Audio, 8));
    assert_eq!((audio.direction, video.direction), (Direction::SendOnly, Direction::SendOnly));
    let opus = audio.codec(111).unwrap();
    assert_eq!((opus.name.as_str(), opus.clock_rate, opus.channels), ("opus", 48_000, Some(2)));
    assert_eq!(opus.fmtp.as_deref(), Some("minptime=10;useinbandfec=1"));
    assert_eq!(opus.feedback, [RtcpFeedback::new("transport-cc", "")]);
    let vp8 = video.codec(96).unwrap();
    assert_eq!((vp8.name.as_str(), vp8.clock_rate, vp8.channels), ("VP8", 90_000, None));
    assert!(vp8.feedback.contains(&RtcpFeedback::new("nack", "pli")));
    assert_eq!(video.codec(97).unwrap().fmtp.as_deref(), Some("apt=96"));
    let mid = video.extensions.iter().find(|extension| extension.uri.ends_with(":mid")).unwrap();
    assert_eq!((mid.id, mid.direction), (4, HeaderExtensionDirection::SendRecv));
    assert_eq!(video.groups[0].semantics, "FID");
    assert_eq!(video.groups[0].ssrcs, video.sources.iter().map(|source| source.ssrc).collect::<Vec<_>>());
    assert!(video.sources.iter().all(|source| source.cname.is_some() && source.msid == video.msid));
}

#[test]
fn simulcast_gives_the_order_of_the_rids() {
    let offer = Offer::parse(CHROMIUM_SIMULCAST).unwrap();
    let rids: Vec<_> = offer.sections[1].rids.iter().map(|rid| rid.id.as_str()).collect();
    assert_eq!(rids, ["q", "h", "f"]);
    assert!(offer.sections[1].simulcast);

    let read = section(
        "a=simulcast:recv x send c;~b,d;a;a;zz\r\na=rid:a send pt=96,97;max-width=1280;max-fps=30\r\na=rid:b send\r\n\
         a=rid:c send max-br=100\r\na=rid:d send\r\na=rid:x recv",
    );
    let rids: Vec<_> = read.rids.iter().map(|rid| rid.id.as_str()).collect();
    assert_eq!(
        rids,
        ["c", "b", "a"],
        "the first of alternatives, each once, without those that have no line"
    );
    assert_eq!(read.rids[2].payload_types, [96, 97]);
    assert_eq!(read.rids[2].restrictions, "max-width=1280;max-fps=30");

    let unordered = section("a=rid:b send\r\na=rid:a send");
    assert_eq!(unordered.rids.len(), 2);
    assert!(!unordered.simulcast);
}

#[test]
fn codecs_do_not_depend_on_the_order_of_lines() {
    let read = section(
        "a=fmtp:97 apt=96\r\na=rtcp-fb:* nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=rtpmap:96 VP8/90000",
    );
    assert_eq!(read.codecs.len(), 2);
    assert_eq!(read.codecs[0].name, "VP8");
    assert_eq!(read.codecs[0].feedback, [RtcpFeedback::new("nack", "pli"), RtcpFeedback::new("nack", "")]);
    assert_eq!(read.codecs[1].fmtp.as_deref(), Some("apt=96"));
    assert_eq!(read.codecs[1].feedback, [RtcpFeedback::new("nack", "")]);
}

#[test]
fn static_payload_types_need_no_rtpmap() {
    let offer =
        Offer::parse("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 0 8 9 0 13 x\na=rtpmap:8 L16/44100/2\n").unwrap();
    let names: Vec<_> = offer.sections[0].codecs.iter().map(|codec| codec.name.as_str()).collect();
    assert_eq!(names, ["PCMU", "L16", "G722"], "a line of its own counts more, and nothing twice");
}

#[test]
fn what_the_session_says_holds_for_sections_that_say_nothing() {
    let text = "v=0\r\na=sendonly\r\na=extmap:3 urn:a\r\na=ice-ufrag:sess\r\na=ice-pwd:0123456789012345678901\r\na=setup:passive\r\n\
                m=audio 9 RTP/SAVPF 0\r\nm=video 9 RTP/SAVPF 96\r\na=recvonly\r\na=extmap:3 urn:b\r\na=extmap:4 urn:a\r\n\
                a=ice-ufrag:own1\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\nm=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    let offer = Offer::parse(text).unwrap();
    let [audio, video, data] = offer.sections.as_slice() else { panic!() };
    assert_eq!((audio.direction, video.direction), (Direction::SendOnly, Direction::RecvOnly));
    assert_eq!((audio.extensions.len(), video.extensions.len(), data.extensions.len()), (1, 2, 0));
    assert_eq!(offer.transport_of(audio).username_fragment.as_deref(), Some("sess"));
    assert_eq!(offer.transport_of(video).username_fragment.as_deref(), Some("own1"));
    assert_eq!(offer.transport_of(video).setup, Some(Setup::Passive));
    assert!(data.is_rejected());
}

#[test]
fn bundled_sections_take_transport_from_the_first_in_the_group() {
    let text = "v=0\r\na=group:BUNDLE b a\r\na=ice-ufrag:sess\r\na=ice-pwd:0123456789012345678901\r\nm=audio 0 RTP/SAVPF 0\r\na=mid:a\r\na=bundle-only\r\n\
                m=video 9 RTP/SAVPF 96\r\na=mid:b\r\na=ice-ufrag:tagg\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n";
    let offer = Offer::parse(text).unwrap();
    assert_eq!(offer.transport_of(&offer.sections[0]).username_fragment.as_deref(), Some("tagg"));
    assert!(!offer.sections[0].is_rejected(), "bundle-only is not rejected");
}

#[test]
fn what_is_unknown_is_skipped() {
    let read = section(
        "i=anything\r\nk=x\r\nb=AS:4000\r\na=unknown:1 2 3\r\na=imageattr:96 [nonsense\r\na=extmap:4100 urn:a\r\na=extmap:15 urn:b\r\n\
         a=extmap:0 urn:c\r\na=fingerprint:sha3-512 00:11\r\na=ssrc:1 previous-ssrc:2\r\na=candidate:not one\r\na=msid:",
    );
    assert!(read.extensions.is_empty());
    assert!(read.transport.fingerprints.is_empty());
    assert_eq!(read.sources.len(), 1);
}

#[test]
fn errors_name_the_line() {
    for (attribute, reason) in [
        ("a=rtpmap:128 VP8/90000", "payload type"),
        ("a=rtpmap:96 VP8", "clock rate"),
        ("a=rtpmap:96 VP8/0", "clock rate"),
        ("a=rtpmap:96 /90000", "encoding name"),
        ("a=rtpmap:96 opus/48000/0", "channels"),
        ("a=rtpmap", "payload type"),
        ("a=fmtp:x y=1", "payload type"),
        ("a=rtcp-fb:96", "feedback type"),
        ("a=extmap:1", "URI"),
        ("a=extmap:x urn:a", "id"),
        ("a=extmap:1/both urn:a", "direction"),
        ("a=mid:", "MID"),
        ("a=mid:a b", "MID"),
        ("a=ssrc:-1 cname:x", "SSRC"),
        ("a=ssrc:4294967296 cname:x", "SSRC"),
        ("a=ssrc-group:FID 1 x", "SSRC"),
        ("a=ssrc-group:", "semantics"),
        ("a=rid:h both", "send nor recv"),
        ("a=rid:h,i send", "RID"),
        ("a=rid:h send pt=x", "payload type"),
        ("a=simulcast:send h;;l", "RID"),
        ("a=simulcast:both h", "send nor recv"),
        ("a=ice-ufrag:abc", "ICE characters"),
        ("a=ice-pwd:short", "ICE characters"),
        ("a=setup:holdconn", "active, passive"),
        ("a=fingerprint:sha-256 00:11", "fingerprint"),
        ("a=fingerprint:sha-256", "hash function"),
        ("m=video x RTP/SAVPF 96", "port"),
        ("m=video 70000 RTP/SAVPF 96", "port"),
        ("m=video 9 RTP/SAVPF", "format"),
        ("m=video", "port"),
        ("no line", "letter"),
        ("ab=1", "letter"),
        ("=1", "letter"),
        ("a=mid:a\u{0}b", "control character"),
        ("a=msid:a\rb", "control character"),
    ] {
        let error = refusal(&with_attributes(attribute));
        assert_eq!(error.line, 3, "{attribute}");
        assert!(error.reason.contains(reason), "{attribute}: {}", error.reason);
        assert!(error.to_string().starts_with("SDP line 3 \""), "{error}");
    }
    assert_eq!(refusal(&with_attributes("a=rtpmap:96 A/1\r\na=rtpmap:96 B/1")).line, 4);
    assert_eq!(refusal(&with_attributes("a=rid:a send\r\na=rid:a send")).line, 4);
    assert_eq!(refusal(&with_attributes("a=mid:a\r\nm=audio 9 RTP/SAVPF 0\r\na=mid:a")).line, 5);
    assert_eq!(refusal("o=- 1 1 IN IP4 0.0.0.0\r\nv=0").line, 1);
    assert_eq!(refusal("<html>").line, 1);
    assert_eq!(refusal("").to_string(), "SDP is empty");
    assert_eq!(refusal("\r\n\r\n").to_string(), "SDP is empty");
    let long = refusal(&with_attributes(&format!("a=rtpmap:{}", "é".repeat(1_000))));
    assert_eq!(long.text.chars().count(), 60);
}

#[test]
fn limits_are_kept() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| {
        with_attributes(&(0..count).map(line).collect::<Vec<_>>().join("\r\n"))
    };
    let cases: [(usize, &dyn Fn(usize) -> String); 8] = [
        (MAX_EXTENSIONS, &|i| format!("a=extmap:{} urn:{i}", if i < 14 { i + 1 } else { i + 2 })),
        (MAX_SOURCES, &|i| format!("a=ssrc:{i} cname:x")),
        (MAX_SOURCES, &|i| format!("a=ssrc-group:FID {i} 7")),
        (MAX_RIDS, &|i| format!("a=rid:r{i} send")),
        (MAX_FEEDBACK, &|i| format!("a=rtcp-fb:96 x{i}")),
        (MAX_FEEDBACK, &|i| format!("a=rtcp-fb:* x{i}")),
        (MAX_FINGERPRINTS, &|_| format!("a=fingerprint:sha-1 {}", ["00"; 20].join(":"))),
        (MAX_SECTIONS - 1, &|_| "m=audio 9 RTP/SAVPF 0".to_owned()),
    ];
    for (limit, line) in cases {
        assert!(Offer::parse(&many(limit, line)).is_ok(), "{limit} of {}", line(0));
        let error = Offer::parse(&many(limit + 1, line)).unwrap_err();
        assert_eq!(error.line, 3 + limit, "{}", line(limit));
        assert!(error.reason.contains("too many"), "{error}");
    }
    assert!(Offer::parse(&"v=0\n".repeat(MAX_BYTES / 4)).is_ok());
    assert_eq!(refusal(&"v=0\n".repeat(MAX_BYTES / 4 + 1)).line, 0);
    assert!(
        refusal("v=0\nm=audio 9 RTP/SAVPF 0\na=simulcast:send a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q")
            .reason
            .contains("too many")
    );
    assert!(refusal(&format!("v=0\na=group:BUNDLE{}", " a".repeat(65))).reason.contains("too many"));
    assert!(refusal(&format!("v=0\nm=audio 9 RTP/SAVPF{}", " 0".repeat(129))).reason.contains("128"));
}

#[test]
fn large_hostile_texts_are_read_in_linear_time() {
    // Each of these would take minutes if any step were quadratic in the number of lines.
    let lines = [
        "a=ssrc:1 cname:x\n",
        "a=candidate:1 1 udp 1 1.1.1.1 1 typ host\n",
        "a=extmap:1 urn:a\n",
        "a=fmtp:96 a=b\n",
        "a=mid:0\n",
        "\n",
    ];
    for line in lines {
        let head = "v=0\nm=video 9 RTP/SAVPF 96\n";
        let text = format!("{head}{}", line.repeat((MAX_BYTES - head.len()) / line.len()));
        assert_eq!(Offer::parse(&text).unwrap().sections.len(), 1, "{line}");
    }
    let text = format!("v=0\nm=video 9 RTP/SAVPF 96\na=rid:a send {}", ";".repeat(200_000));
    assert_eq!(Offer::parse(&text).unwrap().sections[0].rids[0].restrictions, "");
}

#[test]
fn mutations_never_panic() {
    let mut rng = Rng::from_seed([7; 32]);
    let mut accepted = 0;
    for round in 0..10_000 {
        let (_, text) = ALL[round % ALL.len()];
        let text = mutated(text, &mut rng);
        match Offer::parse(&text) {
            Ok(offer) => {
                accepted += 1;
                assert!(offer.sections.len() <= MAX_SECTIONS);
                offer.sections.iter().for_each(|section| drop(offer.transport_of(section)));
            }
            Err(error) => assert!(error.line <= text.lines().count() && !error.reason.is_empty()),
        }
    }
    assert!((1_000..9_900).contains(&accepted), "both ways are walked: {accepted}");
}
