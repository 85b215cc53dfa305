//! What receivers get of the bandwidth that their paths have: layers that follow it, shares by priority, nobody held down for
//! ever. In the simulated world, by its clients and under its judge.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::sync::Arc;
use std::time::Duration;

use sansfu::config::Config;
use sansfu::ortc::DtlsRole;
use sansfu::server::ServerConfig;
use sansfu::srtp::SrtpProfile;
use sansfu_tests::fixed_dtls::FixedDtls;
use sansfu_tests::net::{GilbertElliott, LinkConfig, NatConfig, Probability, Translation};
use sansfu_tests::peer::call::{Caller, CallerConfig, Order};
use sansfu_tests::peer::media::CurrentLayers;
use sansfu_tests::peer::path::Security;
use sansfu_tests::peer::publishing::{Generation, TrackKind};
use sansfu_tests::seeded_crypto::simulation_epoch;
use sansfu_tests::sim::check::Checker;
use sansfu_tests::sim::run::CallWorld;
use sansfu_tests::sim::world::World;
use serde_json::json;

const MBPS: u64 = 1_000_000;

/// One room: publishers, and a subscriber whose downlink is the matter.
struct Scene {
    world: CallWorld,
    subscriber: usize,
}

/// A second of the subscriber's life.
#[derive(Debug, Clone, Copy)]
struct Second {
    layers: Option<CurrentLayers>,
    received_bps: u64,
}

impl Scene {
    fn new(seed: u64, publishers: &[TrackKind], downlink: LinkConfig) -> Self {
        let profile = SrtpProfile::AeadAes256Gcm;
        let sfu = Config { dtls_backend: Some(Arc::new(FixedDtls::new(profile))), ..Config::default() };
        let config = ServerConfig { sfu, ..ServerConfig::default() };
        let start = simulation_epoch();
        let mut world = World::new(1, &config, seed, start, Checker::new(start));
        let security = Security::Agreed { role: DtlsRole::Client, profile };
        for index in 0..=publishers.len() {
            let client = Caller::new(CallerConfig {
                peer_id: format!("peer-{index}"),
                index: index as u32,
                security,
                seed: seed + index as u64,
                lacks: Vec::new(),
                generation: Generation::Three,
                spy: false,
            });
            world.add(
                client,
                NatConfig::Translate(Translation::default()),
                LinkConfig::default(),
                seed * 10 + index as u64,
            );
        }
        let mut scene = Scene { world, subscriber: publishers.len() };
        scene.limit(downlink);
        for (index, track) in publishers.iter().enumerate() {
            scene.order(index, Order::Join { room_id: "room".to_owned(), tracks: vec![*track] });
        }
        scene.order(scene.subscriber, Order::Join { room_id: "room".to_owned(), tracks: Vec::new() });
        scene
    }

    fn order(&mut self, host: usize, order: Order) {
        let now = self.world.now;
        self.world.hosts[host].client.order(now, order);
        self.world.wake(host);
    }

    fn limit(&mut self, downlink: LinkConfig) {
        self.world.hosts[self.subscriber].downlink.set_config(downlink);
    }

    /// Lets seconds pass, and says what the subscriber got of track number `nth` in each.
    fn run(&mut self, seconds: u32, nth: usize) -> Vec<Second> {
        let mut log = Vec::new();
        for _ in 0..seconds {
            let before = self.bytes();
            self.world.run_until(self.world.now + Duration::from_secs(1));
            assert!(self.world.observer.violation.is_none(), "{:?}", self.world.observer.violation);
            for host in &mut self.world.hosts {
                let complaints = host.client.take_complaints();
                assert!(complaints.is_empty(), "{complaints:?}");
            }
            let incoming = self.world.hosts[self.subscriber].client.incoming().nth(nth);
            let layers = incoming.and_then(|(_, incoming)| incoming.receiver.current_layers());
            log.push(Second { layers, received_bps: (self.bytes() - before) * 8 });
        }
        log
    }

    fn bytes(&self) -> u64 {
        self.world.hosts[self.subscriber].downlink.stats().delivered_bytes
    }

    fn longest_freeze(&self, nth: usize) -> Duration {
        let (_, incoming) = self.world.hosts[self.subscriber].client.incoming().nth(nth).unwrap();
        incoming.receiver.counters().longest_freeze
    }
}

fn link(rate_bps: u64) -> LinkConfig {
    LinkConfig { rate_bps: Some(rate_bps), queue: Duration::from_millis(300), ..LinkConfig::default() }
}

fn encodings(log: &[Second]) -> Vec<Option<u8>> {
    log.iter().map(|second| second.layers.map(|layers| layers.encoding)).collect()
}

#[test]
fn simulcast_follows_the_path_down_and_up_again() {
    let mut scene = Scene::new(1, &[TrackKind::Vp8Simulcast], link(5 * MBPS));
    let log = scene.run(12, 0);
    assert_eq!(encodings(&log).last(), Some(&Some(2)), "{log:?}");
    // 150, 500 and 1500 kbit/s are sent.
    scene.limit(link(300_000));
    let log = scene.run(15, 0);
    assert!(encodings(&log)[3..].iter().all(|encoding| *encoding < Some(2)), "{log:?}");
    let changes = encodings(&log)[3..].windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes <= 4, "{log:?}");
    let steady: u64 = log[5..].iter().map(|second| second.received_bps).sum::<u64>() / 10;
    assert!((100_000..=300_000).contains(&steady), "{log:?}");
    scene.limit(link(5 * MBPS));
    let log = scene.run(20, 0);
    assert_eq!(encodings(&log).last(), Some(&Some(2)), "{log:?}");
    let top = encodings(&log).iter().position(|encoding| *encoding == Some(2)).unwrap();
    assert!(top <= 12, "{log:?}");
    assert!(scene.longest_freeze(0) < Duration::from_secs(2), "{:?}", scene.longest_freeze(0));
}

#[test]
fn svc_follows_the_path_down_and_up_again() {
    for track in [TrackKind::Vp9Svc, TrackKind::Av1Svc] {
        let mut scene = Scene::new(2, &[track], link(5 * MBPS));
        let top = track.spec(0).encodings[0].layers.spatial - 1;
        let spatial = |log: &[Second]| log.last().and_then(|second| Some(second.layers?.spatial_id));
        let log = scene.run(12, 0);
        assert_eq!(spatial(&log), Some(top), "{track:?} {log:?}");
        scene.limit(link(400_000));
        let log = scene.run(15, 0);
        assert!(spatial(&log) < Some(top), "{track:?} {log:?}");
        scene.limit(link(5 * MBPS));
        let log = scene.run(25, 0);
        assert_eq!(spatial(&log), Some(top), "{track:?} {log:?}");
        assert!(scene.longest_freeze(0) < Duration::from_secs(2), "{track:?}");
    }
}

#[test]
fn random_loss_does_not_take_the_layers_away() {
    let loss = GilbertElliott::random(Probability::percent(10));
    let mut scene = Scene::new(3, &[TrackKind::Vp8Simulcast], LinkConfig { loss, ..link(5 * MBPS) });
    let log = scene.run(30, 0);
    let top = encodings(&log[15..]).iter().filter(|encoding| **encoding == Some(2)).count();
    assert!(top >= 12, "{log:?}");
}

#[test]
fn a_dead_path_comes_back() {
    let mut scene = Scene::new(4, &[TrackKind::Vp8Simulcast], link(5 * MBPS));
    scene.run(10, 0);
    let until = scene.world.now + Duration::from_secs(8);
    scene.world.hosts[scene.subscriber].downlink.blackout_until(until);
    scene.world.hosts[scene.subscriber].uplink.blackout_until(until);
    scene.run(8, 0);
    let log = scene.run(15, 0);
    assert_eq!(encodings(&log).last(), Some(&Some(2)), "{log:?}");
}

#[test]
fn a_path_that_was_hardly_there_is_found_better() {
    let mut scene = Scene::new(5, &[TrackKind::Vp8Simulcast], link(40_000));
    scene.run(20, 0);
    scene.limit(link(5 * MBPS));
    let log = scene.run(30, 0);
    assert_eq!(encodings(&log).last(), Some(&Some(2)), "{log:?}");
}

#[test]
fn who_has_priority_gets_more() {
    let tracks = [TrackKind::Vp8Simulcast, TrackKind::Vp8Simulcast];
    let mut scene = Scene::new(6, &tracks, link(900_000));
    scene.run(5, 0);
    scene.order(scene.subscriber, Order::AskConsumer(1, "setConsumerPriority", json!({ "priority": 10 })));
    let (mut favoured, mut other) = (0, 0);
    for _ in 0..20 {
        scene.run(1, 0);
        let mut incoming = scene.world.hosts[scene.subscriber].client.incoming();
        let layers = |incoming: Option<(&String, &sansfu_tests::peer::consuming::Incoming)>| {
            incoming.and_then(|(_, incoming)| incoming.receiver.current_layers())
        };
        other += layers(incoming.next()).map_or(0, |layers| u32::from(layers.encoding));
        favoured += layers(incoming.next()).map_or(0, |layers| u32::from(layers.encoding));
    }
    assert!(favoured > other, "{favoured} against {other}");
}
