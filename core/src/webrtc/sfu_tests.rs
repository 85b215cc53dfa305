//! Publishing and watching on a real `Sfu`.

use std::time::{Instant, SystemTime};

use super::sdp::tests as clients;
use super::sdp::{Direction, Offer};
use super::*;
use crate::config::{Config, ListenAddress};
use crate::id::{ProducerId, RouterId};
use crate::model::RouterOptions;
use crate::ortc::{MediaKind, ProducerType, default_media_codecs};
use crate::rng::Rng;
use crate::sfu::Sfu;

struct World {
    sfu: Sfu,
    now: Instant,
    router: RouterId,
}

impl World {
    fn new() -> Self {
        let listen = vec![ListenAddress { local: "192.0.2.1:40000".parse().unwrap(), announced: None }];
        World::with(Config { listen, ..Config::default() })
    }

    fn with(config: Config) -> Self {
        // The one place where a clock is read: any moment will do.
        #[allow(clippy::disallowed_methods)]
        let (now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let mut sfu = Sfu::new(config, [3; 32], now, wall).unwrap();
        let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
        let router = sfu.create_router(now, options).unwrap();
        World { sfu, now, router }
    }

    fn publish(&mut self, offer: &str) -> Result<Published, WebRtcError> {
        publish(&mut self.sfu, self.now, self.router, offer)
    }

    fn watch(&mut self, offer: &str, producers: &[ProducerId]) -> Result<Watched, WebRtcError> {
        watch(&mut self.sfu, self.now, self.router, offer, producers)
    }

    fn patch(&mut self, session: &mut Session, fragment: &str) -> Result<Patched, WebRtcError> {
        patch(&mut self.sfu, self.now, session, fragment)
    }

    fn counts(&self) -> (u64, u64, u64) {
        let stats = self.sfu.stats();
        (stats.transports, stats.producers, stats.consumers)
    }
}

fn ids(published: &Published) -> Vec<ProducerId> {
    published.producers.iter().map(|&(_, id)| id).collect()
}

fn local_credentials(answer: &str) -> (String, String) {
    let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    (value("a=ice-ufrag:"), value("a=ice-pwd:"))
}

#[test]
fn every_client_can_publish() {
    for (name, text) in clients::ALL {
        if name.ends_with("recvonly") {
            continue;
        }
        let mut world = World::new();
        let published = world.publish(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut kinds: Vec<_> = published.producers.iter().map(|&(kind, _)| kind).collect();
        kinds.sort();
        assert_eq!(kinds, [MediaKind::Audio, MediaKind::Video], "{name}");
        assert_eq!(world.counts(), (1, 2, 0), "{name}");
        let expected =
            if name.contains("simulcast") { ProducerType::Simulcast } else { ProducerType::Simple };
        for &(kind, id) in &published.producers {
            let producer = world.sfu.producer(id).unwrap();
            assert_eq!((producer.kind, producer.transport_id), (kind, published.transport), "{name}");
            if kind == MediaKind::Video {
                assert_eq!(producer.r#type, expected, "{name}");
            }
        }
        assert_eq!(published.etag, published.session.etag());
        assert_eq!(published.etag, format!("\"{}\"", local_credentials(&published.answer).0));
    }
}

#[test]
fn viewers_get_what_they_can_receive_with_their_numbers() {
    let mut world = World::new();
    let published = world.publish(clients::CHROMIUM_SENDONLY).unwrap();
    for (name, text) in [
        ("chromium", clients::CHROMIUM_RECVONLY),
        ("safari", clients::SAFARI),
        ("sendrecv", clients::CHROMIUM_SENDRECV),
        ("aiortc", clients::AIORTC),
        ("webrtc-rs", clients::WEBRTC_RS),
    ] {
        let watched = world.watch(text, &ids(&published)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(watched.consumers.len(), 2, "{name}");
        let (offer, answer) = (Offer::parse(text).unwrap(), Offer::parse(&watched.answer).unwrap());
        for (offered, section) in offer.sections.iter().zip(&answer.sections) {
            assert_eq!((&section.mid, section.media), (&offered.mid, offered.media), "{name}");
            assert_eq!(section.direction, Direction::SendOnly, "{name}");
            assert_eq!(
                section.msid.as_ref().unwrap().split(' ').next(),
                Some(watched.transport.to_string().as_str())
            );
            let codec = &section.codecs[0];
            let codec_offered = offered.codec(codec.payload_type).unwrap();
            assert!(codec.name.eq_ignore_ascii_case(&codec_offered.name), "{name}");
            assert!(["opus", "vp8"].contains(&codec.name.to_lowercase().as_str()), "{name}: {}", codec.name);
            assert!(section.extensions.iter().all(|it| offered.extensions.contains(it)), "{name}");
            assert!(section.sources.iter().all(|source| source.cname.is_some()), "{name}");
        }
        for &id in &watched.consumers {
            let consumer = world.sfu.consumer(id).unwrap();
            let section = answer.section(consumer.rtp_parameters.mid.as_ref().unwrap()).unwrap();
            assert_eq!(section.kind(), Some(consumer.kind), "{name}");
            assert!(!consumer.paused, "{name}");
            let ssrcs: Vec<_> = section.sources.iter().map(|source| Some(source.ssrc)).collect();
            let encoding = &consumer.rtp_parameters.encodings[0];
            assert_eq!(ssrcs[0], encoding.ssrc, "{name}");
            if let Some(rtx) = encoding.rtx {
                assert_eq!(section.groups[0].ssrcs, [encoding.ssrc.unwrap(), rtx.ssrc], "{name}");
                assert_eq!(section.codecs[1].fmtp, Some(format!("apt={}", section.codecs[0].payload_type)));
            }
        }
    }
    assert_eq!(world.counts(), (6, 2, 10));
}

#[test]
fn sections_and_producers_left_over_do_no_harm() {
    let mut world = World::new();
    let published = world.publish(clients::CHROMIUM_SENDONLY).unwrap();
    let [(_, audio), (_, video)] = published.producers.as_slice() else { panic!() };
    let only_audio = world.watch(clients::CHROMIUM_RECVONLY, &[*audio]).unwrap();
    let answer = Offer::parse(&only_audio.answer).unwrap();
    assert_eq!(answer.sections[0].direction, Direction::SendOnly);
    assert_eq!(answer.sections[1].direction, Direction::Inactive);
    assert!(!answer.sections[1].is_rejected() && answer.sections[1].sources.is_empty());

    let first_of_each = world.watch(clients::CHROMIUM_RECVONLY, &[*video, *video, *audio, *audio]).unwrap();
    assert_eq!(first_of_each.consumers.len(), 2);

    let h264_only = clients::OBS.replace("a=sendonly", "a=recvonly");
    let watched = world.watch(&h264_only, &ids(&published)).unwrap();
    let answer = Offer::parse(&watched.answer).unwrap();
    assert_eq!(watched.consumers.len(), 1, "VP8 is not sent to who has H264 only");
    assert_eq!(answer.sections[1].direction, Direction::Inactive);
}

#[test]
fn nothing_is_left_behind_by_what_is_refused() {
    let mut world = World::new();
    let published = world.publish(clients::OBS).unwrap();
    let before = world.counts();
    let vp8_only = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
    let refused = [
        world.watch(clients::CHROMIUM_RECVONLY, &[]).unwrap_err(),
        world.watch(clients::CHROMIUM_SENDONLY, &ids(&published)).unwrap_err(),
        world.watch(vp8_only, &ids(&published)).unwrap_err(),
        world.publish(clients::CHROMIUM_RECVONLY).unwrap_err(),
        world.publish(&clients::OBS.replace("H264/90000", "x").replace("opus", "x")).unwrap_err(),
        // Both sections claim one SSRC: found by the Sfu, when there is a transport and a producer already.
        world.publish(&clients::OBS.replace("1847293651", "1847293650")).unwrap_err(),
        world.publish(&clients::OBS.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-1 ")).unwrap_err(),
        world.publish("").unwrap_err(),
    ];
    let statuses: Vec<_> = refused.iter().map(|error| error.status).collect();
    assert_eq!(statuses, [422, 422, 422, 422, 400, 400, 400, 400], "{refused:?}");
    assert_eq!(world.counts(), before);

    let gone = world.router;
    world.sfu.close_router(world.now, gone).unwrap();
    assert_eq!(world.publish(clients::OBS).unwrap_err().status, 404);
    assert_eq!(world.watch(clients::CHROMIUM_RECVONLY, &ids(&published)).unwrap_err().status, 404);
    assert_eq!(world.counts(), (0, 0, 0));
}

#[test]
fn a_limit_that_is_reached_is_a_503() {
    let mut world = World::with(Config { max_producers_per_transport: 1, ..Config::default() });
    assert_eq!(world.publish(clients::OBS).unwrap_err().status, 503);
    assert_eq!(world.counts(), (0, 0, 0));
}

#[test]
fn credentials_of_another_session_restart_ice() {
    let mut world = World::new();
    let mut published = world.publish(clients::OBS).unwrap();
    let session = &mut published.session;
    let etag = session.etag().to_owned();
    let candidate = "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.9 5000 typ host\r\n";
    let known = format!("a=ice-ufrag:QJYS\r\na=ice-pwd:Y1oYPlQ1xWJ0nWFBsKPjZ2\r\n{candidate}");
    assert_eq!(world.patch(session, candidate), Ok(Patched::NoContent));
    assert_eq!(world.patch(session, &known), Ok(Patched::NoContent));
    assert_eq!(world.patch(session, "a=ice-ufrag:other\r\n").unwrap_err().status, 400);
    assert_eq!(world.patch(session, "a=candidate:1\r\n").unwrap_err().status, 400);
    assert_eq!(session.etag(), etag);

    let other = known.replace("QJYS", "NEWU").replace("Y1oY", "NEWP");
    let Ok(Patched::Restarted { fragment, etag: new }) = world.patch(session, &other) else { panic!() };
    assert_ne!(new, etag);
    assert_eq!(new, session.etag());
    let (username_fragment, password) = local_credentials(&fragment);
    assert_ne!((username_fragment.clone(), password.clone()), local_credentials(&published.answer));
    let now_used = world.sfu.webrtc_transport(published.transport).unwrap().ice_parameters;
    assert_eq!((now_used.username_fragment, now_used.password), (username_fragment, password));
    let lines: Vec<&str> = fragment.split("\r\n").collect();
    assert_eq!(
        lines[..4],
        ["a=ice-lite", "a=group:BUNDLE 0 1", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0"]
    );
    assert!(fragment.ends_with("typ host\r\na=end-of-candidates\r\n"), "{fragment}");
    assert_eq!(Fragment::parse(&fragment).unwrap().candidates, 1, "readable by ourselves");

    let mut session = published.session.clone();
    assert_eq!(world.patch(&mut session, &other), Ok(Patched::NoContent), "said again, it changes nothing");
    world.sfu.close_transport(world.now, published.transport).unwrap();
    assert_eq!(world.patch(&mut session, &other).unwrap_err().status, 404);
    assert_eq!(world.patch(&mut session, candidate).unwrap_err().status, 404);
}

#[test]
fn mutated_offers_leave_nothing_behind() {
    let mut rng = Rng::from_seed([5; 32]);
    let mut world = World::new();
    let producers = ids(&world.publish(clients::CHROMIUM_SENDONLY).unwrap());
    let before = world.counts();
    let mut made = 0;
    for round in 0..1_000 {
        let text = clients::mutated(clients::ALL[round % clients::ALL.len()].1, &mut rng);
        let results = [
            world.publish(&text).map(|published| published.transport),
            world.watch(&text, &producers).map(|watched| watched.transport),
        ];
        for transport in results {
            match transport {
                Ok(transport) => {
                    made += 1;
                    world.sfu.close_transport(world.now, transport).unwrap();
                }
                Err(error) => assert!([400, 422].contains(&error.status), "{error}\n{text}"),
            }
        }
        assert_eq!(world.counts(), before);
    }
    assert!(made > 200, "{made}");
}
