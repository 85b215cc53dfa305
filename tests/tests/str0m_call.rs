//! Calls of `str0m` clients through an `Sfu`, in memory and in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::time::Duration;

use sansfu::event::{CloseReason, DtlsState, Event, IceState};
use sansfu::id::{ConsumerId, ProducerId, RouterId};
use sansfu::model::ConsumerOptions;
use sansfu::ortc::{DtlsRole, RtpCapabilities};
use sansfu::stats::SfuStats;
use sansfu_tests::net::LinkConfig;
use sansfu_tests::world::{
    Dialect, Kind, Str0mClient, World, config, connect, connect_with, consume, default_router, produce,
    settle,
};
use str0m::media::KeyframeRequestKind;

/// One publisher (client 0) of audio and video, and subscribers (1, 2, …) of both.
struct Call {
    world: World<Str0mClient>,
    router: RouterId,
    capabilities: RtpCapabilities,
    audio: ProducerId,
    video: ProducerId,
    /// Audio and video of each subscriber.
    consumers: Vec<[ConsumerId; 2]>,
    /// Whether every subscriber that gets video has a whole keyframe.
    all_begun: bool,
}

const PUBLISHER: usize = 0;

impl Call {
    fn new(seed: u64, link: LinkConfig, subscribers: usize) -> Self {
        Call::with(seed, link, subscribers, DtlsRole::Client, false)
    }

    fn with(seed: u64, link: LinkConfig, subscribers: usize, role: DtlsRole, audio_nack: bool) -> Self {
        let mut world = World::new(config(), seed);
        let router = default_router(&mut world);
        let mut capabilities = world.sfu.router_rtp_capabilities(router).unwrap().clone();
        if !audio_nack {
            let audio =
                capabilities.codecs.iter_mut().filter(|codec| codec.mime_type.as_str() == "audio/opus");
            audio.for_each(|codec| codec.rtcp_feedback.retain(|feedback| feedback.r#type != "nack"));
        }
        let dialect = Dialect::browser();
        let publisher = connect_with(&mut world, router, &dialect, link, role);
        assert_eq!(publisher, PUBLISHER);
        let audio = produce(&mut world, publisher, Kind::Opus, &dialect);
        let video = produce(&mut world, publisher, Kind::Vp8, &dialect);
        let mut call =
            Call { world, router, capabilities, audio, video, consumers: Vec::new(), all_begun: false };
        for _ in 0..subscribers {
            call.subscribe(link, role);
        }
        settle(&mut call.world);
        call
    }

    fn subscribe(&mut self, link: LinkConfig, role: DtlsRole) -> usize {
        self.all_begun = false;
        let dialect = Dialect::of_router(&self.capabilities);
        let index = connect_with(&mut self.world, self.router, &dialect, link, role);
        let consumers = [(Kind::Opus, self.audio), (Kind::Vp8, self.video)].map(|(kind, producer)| {
            let mut options = ConsumerOptions::new(producer, self.capabilities.clone());
            // By default audio is not sent again, whatever the client can do.
            options.enable_rtx = Some(true);
            consume(&mut self.world, index, kind, options)
        });
        self.consumers.push(consumers);
        index
    }

    fn run(&mut self, seconds: f64) {
        let mut left = Duration::from_secs_f64(seconds);
        while !left.is_zero() {
            let slice = left.min(Duration::from_millis(500));
            self.world.run_for(slice);
            left -= slice;
            if !self.all_begun {
                self.ask_where_the_beginning_was_lost();
            }
        }
    }

    /// What comes before the first packet that a client can read (lost, or sent before its keys were ready) is not known to be
    /// missing. A receiver that cannot begin to decode asks for another keyframe.
    fn ask_where_the_beginning_was_lost(&mut self) {
        self.all_begun = true;
        for index in 0..self.world.hosts.len() {
            let sinks = &self.world.hosts[index].client.sinks;
            let frames = sinks.values().filter(|sink| sink.kind == Kind::Vp8).map(|sink| sink.frames());
            let waiting: Vec<_> = frames
                .filter(|frames| !frames.iter().any(|frame| frame.frame.keyframe && frame.complete))
                .collect();
            self.all_begun &= waiting.is_empty();
            if waiting.iter().any(|frames| !frames.is_empty()) {
                self.client(index).request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    }

    /// Stops the media and lets what is on the way, and what is asked for again, arrive.
    fn finish(&mut self) {
        for host in &mut self.world.hosts {
            for link in [&mut host.uplink, &mut host.downlink] {
                link.set_config(link.config().without_loss());
            }
        }
        // A packet is only missed when a later one has come, so the last ones must get through.
        self.run(0.5);
        self.world.hosts[PUBLISHER].client.set_sending(false);
        self.run(2.0);
        self.world.assert_sound();
    }

    fn client(&mut self, index: usize) -> &mut Str0mClient {
        self.world.wake(index);
        &mut self.world.hosts[index].client
    }

    fn seen(&self, index: usize, kind: Kind) -> usize {
        self.world.hosts[index].client.sink(kind).packets.len()
    }

    fn keyframe_requests(&self) -> usize {
        self.world.hosts[PUBLISHER].client.keyframe_requests.len()
    }

    /// Every frame from the subscriber's first keyframe on is there, whole, once, and in order.
    fn assert_video_complete(&self, index: usize) -> usize {
        let seen = self.world.hosts[index].client.sink(Kind::Vp8).frames();
        let made = &self.world.hosts[PUBLISHER].client.source(Kind::Vp8).made;
        assert!(!seen.is_empty(), "client {index} got no video");
        let begin = seen.iter().position(|frame| frame.frame.keyframe && frame.complete);
        let seen = &seen[begin.expect("no whole keyframe")..];
        let first = seen[0].frame;
        let expected = made[first.number as usize..].iter().map(|(_, frame)| *frame);
        for (seen, expected) in seen.iter().zip(expected.clone()) {
            assert!(seen.complete, "client {index}: {:?} is not complete", seen.frame);
            assert_eq!(seen.frame, expected, "client {index}");
        }
        assert_eq!(seen.len(), expected.len(), "client {index}");
        seen.len()
    }

    fn events(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.world.events.iter().filter(|(_, event)| matches(event)).count()
    }
}

fn counts(stats: &SfuStats) -> [u64; 5] {
    [stats.routers, stats.transports, stats.producers, stats.consumers, stats.tuples]
}

#[test]
fn a_clean_call_delivers_everything() {
    let mut call = Call::new(1, LinkConfig::default(), 2);
    call.run(5.0);
    call.finish();
    for subscriber in [1, 2] {
        assert!(call.assert_video_complete(subscriber) > 140);
        let audio = call.world.hosts[subscriber].client.sink(Kind::Opus).frames();
        assert!(audio.len() > 240 && audio.iter().all(|frame| frame.complete), "{}", audio.len());
        let client = &call.world.hosts[subscriber].client;
        assert!(client.sender_reports >= 4, "{:?}", client.rtcp_received());
        assert_eq!(client.nacks_sent, 0);
    }
    let publisher = &call.world.hosts[PUBLISHER].client;
    assert!(publisher.receiver_reports >= 4, "{:?}", publisher.rtcp_received());
    assert!(publisher.rtcp_received().contains_key("Twcc"), "{:?}", publisher.rtcp_received());
    assert_eq!(publisher.nacks_received, 0);
    let stats = call.world.sfu.stats();
    assert_eq!(counts(&stats), [1, 3, 2, 4, 3]);
    assert_eq!((stats.dropped_queue_full, stats.dropped_overwritten, stats.dropped_events), (0, 0, 0));
    assert_eq!((stats.dropped_srtp_authentication, stats.dropped_srtp_replay), (0, 0));
    assert!(call.world.wire.largest <= 1_250, "{}", call.world.wire.largest);
    assert!(call.world.strays.is_empty());
}

#[test]
fn every_frame_arrives_with_five_percent_loss_both_ways() {
    for seed in 2..5 {
        let mut call = Call::new(seed, LinkConfig::lossy(), 2);
        call.run(10.0);
        call.finish();
        let publisher = &call.world.hosts[PUBLISHER].client;
        assert!(publisher.nacks_received > 20, "{}", publisher.nacks_received);
        let audio_sent = publisher.source(Kind::Opus).made.len();
        for subscriber in [1, 2] {
            assert!(call.assert_video_complete(subscriber) > 240, "seed {seed}");
            let audio = call.world.hosts[subscriber].client.sink(Kind::Opus).frames();
            assert!(audio.iter().all(|frame| frame.complete));
            assert!(audio.windows(2).all(|pair| pair[0].frame.number < pair[1].frame.number));
            // Two links of 5 % each.
            let share = audio.len() as f64 / (audio_sent - audio[0].frame.number as usize) as f64;
            assert!((0.84..0.96).contains(&share), "seed {seed}: {share}");
            assert_eq!(
                call.world.wire.gaps(subscriber, video_payload_type(&call)),
                Vec::<u64>::new(),
                "seed {seed}"
            );
            assert!(call.world.hosts[subscriber].client.nacks_sent > 20);
        }
    }
}

fn video_payload_type(call: &Call) -> u8 {
    Dialect::of_router(&call.capabilities).vp8
}

#[test]
fn audio_with_nack_arrives_whole() {
    let mut call = Call::with(6, LinkConfig::lossy(), 1, DtlsRole::Client, true);
    // The publisher has not negotiated it: what is lost on its side stays lost.
    let uplink = &mut call.world.hosts[PUBLISHER].uplink;
    uplink.set_config(uplink.config().without_loss());
    call.run(10.0);
    call.finish();
    let audio = call.world.hosts[1].client.sink(Kind::Opus).frames();
    let first = audio[0].frame.number;
    let made = call.world.hosts[PUBLISHER].client.source(Kind::Opus).made.len();
    assert_eq!(audio.len(), made - first as usize);
    assert!(audio.iter().zip(first..).all(|(frame, number)| frame.complete && frame.frame.number == number));
    let opus = Dialect::of_router(&call.capabilities).opus;
    let streams = call.world.wire.streams.iter().filter(|((host, _), _)| *host == Some(1));
    let repeated: u64 =
        streams.filter(|(_, stream)| stream.payload_type == opus).map(|(_, stream)| stream.repeated).sum();
    assert!(repeated > 10, "sent again under the same number, byte for byte: {repeated}");
}

#[test]
fn the_client_can_be_the_dtls_server() {
    let mut call = Call::with(7, LinkConfig::lossy(), 1, DtlsRole::Server, false);
    // A lost flight is sent again after a second, then after two.
    call.run(10.0);
    call.finish();
    assert!(call.assert_video_complete(1) > 50);
    let role =
        call.world.sfu.webrtc_transport(call.world.hosts[1].client.transport).unwrap().dtls_parameters.role;
    assert_eq!(role, DtlsRole::Client);
}

#[test]
fn keyframe_requests_reach_the_publisher_once_a_second() {
    let mut call = Call::new(8, LinkConfig::default(), 2);
    call.run(2.0);
    for kind in [KeyframeRequestKind::Pli, KeyframeRequestKind::Fir] {
        let before = call.keyframe_requests();
        call.client(2).request_keyframe(kind);
        call.run(0.2);
        assert_eq!(call.keyframe_requests(), before + 1, "{kind:?} passes at once");
        call.run(2.0);
        assert_eq!(call.keyframe_requests(), before + 1, "answered: not repeated");
    }
    // Two subscribers that ask ten times a second each.
    let before = call.keyframe_requests();
    for _ in 0..50 {
        call.client(1).request_keyframe(KeyframeRequestKind::Pli);
        call.client(2).request_keyframe(KeyframeRequestKind::Fir);
        call.run(0.1);
    }
    let asked = call.keyframe_requests() - before;
    assert!((4..=6).contains(&asked), "{asked} in five seconds");
    let requests = &call.world.hosts[PUBLISHER].client.keyframe_requests;
    assert!(requests.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(990)));
    call.finish();
    call.assert_video_complete(1);
}

#[test]
fn a_keyframe_request_that_is_lost_is_repeated() {
    let mut call = Call::new(9, LinkConfig::default(), 1);
    call.run(2.0);
    let before = call.keyframe_requests();
    call.client(PUBLISHER).obliging = false;
    call.client(1).request_keyframe(KeyframeRequestKind::Pli);
    call.run(3.5);
    let asked = call.keyframe_requests() - before;
    assert!((2..=4).contains(&asked), "no keyframe comes, so it is asked for again: {asked}");
}

#[test]
fn a_late_subscriber_begins_with_a_keyframe_soon() {
    let mut call = Call::new(10, LinkConfig::default(), 1);
    call.run(3.0);
    let at = call.world.now;
    let late = call.subscribe(LinkConfig::default(), DtlsRole::Client);
    settle(&mut call.world);
    call.run(2.0);
    let sink = call.world.hosts[late].client.sink(Kind::Vp8);
    let first = sink.packets.values().map(|packet| packet.at).min().unwrap();
    assert!(first - at < Duration::from_millis(600), "{:?}", first - at);
    call.finish();
    call.assert_video_complete(late);
    call.assert_video_complete(1);
}

#[test]
fn pausing_a_consumer_stops_only_its_own() {
    let mut call = Call::new(11, LinkConfig::default(), 2);
    call.run(1.0);
    let [_, video] = call.consumers[0];
    call.world.sfu.pause_consumer(call.world.now, video).unwrap();
    call.world.drain();
    call.run(0.1);
    let (paused, other, audio) = (call.seen(1, Kind::Vp8), call.seen(2, Kind::Vp8), call.seen(1, Kind::Opus));
    call.run(1.0);
    assert_eq!(call.seen(1, Kind::Vp8), paused);
    assert!(call.seen(2, Kind::Vp8) > other + 60);
    assert!(call.seen(1, Kind::Opus) > audio + 40);
    let requests = call.keyframe_requests();
    call.world.sfu.resume_consumer(call.world.now, video).unwrap();
    call.world.drain();
    call.run(0.5);
    assert_eq!(call.keyframe_requests(), requests + 1);
    call.finish();
    let frames = call.world.hosts[1].client.sink(Kind::Vp8).frames();
    let gap = frames.windows(2).find(|pair| pair[1].frame.number != pair[0].frame.number + 1).unwrap();
    assert!(gap[1].frame.keyframe, "goes on with a keyframe: {gap:?}");
    assert_eq!(
        call.world.wire.gaps(1, video_payload_type(&call)),
        Vec::<u64>::new(),
        "the pause leaves no gap in the numbers"
    );
    let resumed = frames.iter().filter(|seen| seen.frame.number >= gap[1].frame.number);
    assert!(resumed.clone().all(|seen| seen.complete) && resumed.count() > 10);
    call.assert_video_complete(2);
    // Timestamps go on too: no further than the time that has passed.
    let sink = call.world.hosts[1].client.sink(Kind::Vp8);
    let packets: Vec<_> = sink.packets.values().collect();
    for pair in packets.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(step < 90_000 * 2, "a jump of {step}");
    }
}

#[test]
fn pausing_a_producer_stops_all_its_consumers() {
    let mut call = Call::new(12, LinkConfig::default(), 2);
    call.run(1.0);
    let video = call.video;
    call.world.sfu.pause_producer(call.world.now, video).unwrap();
    call.world.drain();
    call.run(0.1);
    let paused = [call.seen(1, Kind::Vp8), call.seen(2, Kind::Vp8)];
    let audio = call.seen(1, Kind::Opus);
    call.run(1.0);
    assert_eq!([call.seen(1, Kind::Vp8), call.seen(2, Kind::Vp8)], paused);
    assert!(call.seen(1, Kind::Opus) > audio + 40);
    assert_eq!(call.events(|event| matches!(event, Event::ConsumerProducerPaused { .. })), 2);
    call.world.sfu.resume_producer(call.world.now, video).unwrap();
    call.world.drain();
    call.run(1.0);
    assert_eq!(call.events(|event| matches!(event, Event::ConsumerProducerResumed { .. })), 2);
    assert!(call.seen(1, Kind::Vp8) > paused[0] + 40 && call.seen(2, Kind::Vp8) > paused[1] + 40);
    call.finish();
    for subscriber in [1, 2] {
        assert_eq!(call.world.wire.gaps(subscriber, video_payload_type(&call)), Vec::<u64>::new());
        let frames = call.world.hosts[subscriber].client.sink(Kind::Vp8).frames();
        assert!(frames.iter().all(|frame| frame.complete));
    }
}

#[test]
fn a_consumer_made_paused_sends_nothing_until_resumed() {
    let mut call = Call::new(13, LinkConfig::default(), 0);
    let dialect = Dialect::of_router(&call.capabilities);
    let index = connect(&mut call.world, call.router, &dialect, LinkConfig::default());
    let options =
        ConsumerOptions { paused: true, ..ConsumerOptions::new(call.video, call.capabilities.clone()) };
    let consumer = consume(&mut call.world, index, Kind::Vp8, options);
    settle(&mut call.world);
    call.run(2.0);
    assert_eq!((call.seen(index, Kind::Vp8), call.keyframe_requests()), (0, 0));
    call.world.sfu.resume_consumer(call.world.now, consumer).unwrap();
    call.world.drain();
    call.run(1.0);
    assert_eq!(call.keyframe_requests(), 1);
    call.finish();
    assert!(call.assert_video_complete(index) > 20);
}

#[test]
fn closing_at_every_level_leaves_nothing_flowing() {
    let mut call = Call::new(14, LinkConfig::default(), 2);
    call.run(1.0);
    let now = call.world.now;
    // One consumer.
    let [audio, video] = call.consumers[0];
    call.world.sfu.close_consumer(now, video).unwrap();
    call.world.drain();
    call.run(0.1);
    let (closed, other) = (call.seen(1, Kind::Vp8), call.seen(2, Kind::Vp8));
    call.run(0.5);
    assert_eq!(call.seen(1, Kind::Vp8), closed);
    assert!(call.seen(2, Kind::Vp8) > other);
    assert!(call.world.sfu.consumer(video).is_err() && call.world.sfu.consumer(audio).is_ok());
    assert_eq!(counts(&call.world.sfu.stats()), [1, 3, 2, 3, 3]);
    // A producer: its consumers go with an event each.
    let now = call.world.now;
    call.world.sfu.close_producer(now, call.video).unwrap();
    call.world.drain();
    let closed =
        |event: &Event| matches!(event, Event::ConsumerClosed { reason: CloseReason::ProducerClosed, .. });
    assert_eq!(call.events(closed), 1);
    call.run(0.1);
    let (closed_video, audio) = (call.seen(2, Kind::Vp8), call.seen(2, Kind::Opus));
    call.run(0.5);
    assert_eq!(call.seen(2, Kind::Vp8), closed_video);
    assert!(call.seen(2, Kind::Opus) > audio);
    // The publisher's transport: the audio consumers go.
    let now = call.world.now;
    let transport = call.world.hosts[PUBLISHER].client.transport;
    call.world.sfu.close_transport(now, transport).unwrap();
    call.world.drain();
    assert_eq!(call.events(closed), 3);
    assert_eq!(counts(&call.world.sfu.stats()), [1, 2, 0, 0, 2]);
    call.run(0.1);
    let sent = call.world.wire.media_sent_to(PUBLISHER);
    let audio = [call.seen(1, Kind::Opus), call.seen(2, Kind::Opus)];
    call.run(3.0);
    assert_eq!([call.seen(1, Kind::Opus), call.seen(2, Kind::Opus)], audio);
    assert_eq!(call.world.wire.media_sent_to(PUBLISHER), sent);
    // The router.
    let now = call.world.now;
    call.world.sfu.close_router(now, call.router).unwrap();
    call.world.drain();
    call.run(0.1);
    let sent: Vec<_> = (0..3).map(|index| call.world.wire.media_sent_to(index)).collect();
    call.run(3.0);
    assert_eq!((0..3).map(|index| call.world.wire.media_sent_to(index)).collect::<Vec<_>>(), sent);
    assert_nothing_left(&call);
    assert_eq!(call.events(|event| matches!(event, Event::TransportClosed { .. })), 0, "all were asked for");
    call.world.assert_sound();
}

fn assert_nothing_left(call: &Call) {
    let stats = call.world.sfu.stats();
    assert_eq!(counts(&stats), [0; 5]);
    assert!(call.world.sfu.is_empty(), "{:?}", call.world.sfu);
}

#[test]
fn the_tuple_moves_with_the_client() {
    for mover in [PUBLISHER, 1] {
        let mut call = Call::new(15 + mover as u64, LinkConfig::default(), 2);
        call.run(2.0);
        let transport = call.world.hosts[mover].client.transport;
        let before = call.world.sfu.webrtc_transport(transport).unwrap().ice_selected_tuple.unwrap();
        call.world.rebind(mover, 77);
        let moved = call.world.hosts[mover].external;
        let mut seen = 0;
        let arrived = call.world.run_until(Duration::from_secs(10), |world| {
            let tuple = world.sfu.webrtc_transport(transport).unwrap().ice_selected_tuple.unwrap();
            seen += 1;
            tuple.remote_port == moved.port()
        });
        assert!(arrived && seen > 0, "client {mover}: the tuple stays at {before:?}");
        let (one, two) = (call.seen(1, Kind::Vp8), call.seen(2, Kind::Vp8));
        call.run(3.0);
        assert!(call.seen(1, Kind::Vp8) > one + 200 && call.seen(2, Kind::Vp8) > two + 200, "client {mover}");
        assert!(call.world.hosts[mover].client.connected);
        call.finish();
    }
}

#[test]
fn restarted_ice_keeps_media_flowing() {
    let mut call = Call::new(17, LinkConfig::lossy(), 1);
    call.run(2.0);
    for mover in [PUBLISHER, 1] {
        let transport = call.world.hosts[mover].client.transport;
        let old = call.world.sfu.webrtc_transport(transport).unwrap().ice_parameters;
        let new = call.world.sfu.restart_ice(call.world.now, transport).unwrap();
        call.world.drain();
        assert_ne!((&old.username_fragment, &old.password), (&new.username_fragment, &new.password));
        // The old ones are good for as long as the client does not know better.
        let before = call.seen(1, Kind::Vp8);
        call.run(6.0);
        assert!(call.seen(1, Kind::Vp8) > before + 500);
        call.client(mover).set_remote_ice(&new);
        let before = call.seen(1, Kind::Vp8);
        call.run(40.0);
        assert!(call.seen(1, Kind::Vp8) > before + 4_000, "beyond the consent timeout");
    }
    call.finish();
    call.assert_video_complete(1);
}

#[test]
fn a_client_that_falls_silent_is_gone_after_the_consent_timeout() {
    let mut call = Call::new(18, LinkConfig::default(), 1);
    call.run(3.0);
    let (publisher, subscriber) =
        (call.world.hosts[0].client.transport, call.world.hosts[1].client.transport);
    call.world.hosts[PUBLISHER].dead = true;
    call.run(24.0);
    assert_eq!(counts(&call.world.sfu.stats()), [1, 2, 2, 2, 2], "not yet");
    call.run(9.0);
    assert_eq!(counts(&call.world.sfu.stats()), [1, 1, 0, 0, 1]);
    let told: Vec<_> = call
        .world
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .filter(|event| {
            !matches!(event, Event::ConsumerScore { .. } | Event::ProducerScore { .. })
                && !matches!(event, Event::IceStateChanged { state, .. } if *state != IceState::Disconnected)
                && !matches!(
                    event,
                    Event::DtlsStateChanged { state: DtlsState::Connecting | DtlsState::Connected, .. }
                )
                && !matches!(event, Event::IceSelectedTupleChanged { .. })
        })
        .collect();
    let [audio, video] = call.consumers[0];
    let closed = |consumer_id| Event::ConsumerClosed { consumer_id, reason: CloseReason::ProducerClosed };
    let gone = |producer_id| Event::ProducerClosed { producer_id, reason: CloseReason::TransportClosed };
    assert_eq!(told[0], Event::IceStateChanged { transport_id: publisher, state: IceState::Disconnected });
    assert_eq!(
        told[1..5],
        [closed(audio), gone(call.audio), closed(video), gone(call.video)],
        "consumers before what they consumed"
    );
    let expired = |transport_id| Event::TransportClosed { transport_id, reason: CloseReason::ConsentExpired };
    assert!(told.contains(&expired(publisher)), "{told:#?}");
    // The other one dies as well.
    call.world.hosts[1].dead = true;
    call.run(35.0);
    assert!(call.world.events.iter().any(|(_, event)| *event == expired(subscriber)));
    assert_eq!(counts(&call.world.sfu.stats()), [1, 0, 0, 0, 0]);
    call.world.sfu.close_router(call.world.now, call.router).unwrap();
    call.world.drain();
    assert_nothing_left(&call);
    call.world.assert_sound();
}

#[test]
fn a_client_that_says_goodbye_is_gone_at_once() {
    let mut call = Call::new(19, LinkConfig::default(), 1);
    call.run(1.0);
    call.client(PUBLISHER).rtc.close().unwrap();
    call.run(0.5);
    let transport_id = call.world.hosts[PUBLISHER].client.transport;
    let closed = Event::TransportClosed { transport_id, reason: CloseReason::DtlsClosed };
    assert!(call.world.events.iter().any(|(_, event)| *event == closed), "{:#?}", call.world.events);
    assert_eq!(counts(&call.world.sfu.stats()), [1, 1, 0, 0, 1]);
}
