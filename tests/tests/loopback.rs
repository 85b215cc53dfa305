//! One scenario, wherever it runs: in the simulated world and over real sockets, under smol and under threads, with its rooms on
//! one worker or spread over two. Everybody receives the same of everybody.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
#![allow(clippy::disallowed_methods, reason = "the runtimes need the time of the real world")]
mod over_sockets;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use over_sockets::{Host, Received, caller, flowing, run_until};
use sansfu::server::settings::{RtcAddresses, Settings};
use sansfu::server::{ServerConfig, edge};
use sansfu_runtime::{Running, StartError};
use sansfu_tests::net::{LinkConfig, NatConfig, Translation};
use sansfu_tests::peer::call::{Caller, Order};
use sansfu_tests::peer::publishing::TrackKind;
use sansfu_tests::sim::check::Checker;
use sansfu_tests::sim::world::World;

/// The rooms of the scenario; two workers have one each.
const ROOMS: [&str; 2] = ["blue", "red"];

#[test]
fn the_rooms_are_on_two_workers() {
    assert_ne!(edge::shard(ROOMS[0], 2), edge::shard(ROOMS[1], 2));
}

#[test]
fn in_the_simulated_world() {
    for workers in [1, 2] {
        assert_eq!(simulate(workers), expected(), "{workers} worker(s)");
    }
}

macro_rules! over_sockets {
    ($($name:ident: $start:path, $workers:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(over_sockets($start, $workers), expected());
        }
    )*};
}

over_sockets! {
    smol_with_one_worker: sansfu_smol::start, 1;
    smol_with_two_workers: sansfu_smol::start, 2;
    threads_with_one_worker: sansfu_std::start, 1;
    threads_with_two_workers: sansfu_std::start, 2;
}

/// Who goes where and publishes what.
fn arrivals() -> Vec<Order> {
    use TrackKind::{H264, Opus, Vp8, Vp8Simulcast, Vp9Svc};
    let join = |room: usize, tracks: &[TrackKind]| Order::Join {
        room_id: ROOMS[room].to_owned(),
        tracks: tracks.to_vec(),
    };
    vec![
        join(0, &[Opus, Vp8]),
        join(0, &[Opus, Vp8Simulcast]),
        join(0, &[]),
        join(1, &[Opus, Vp9Svc]),
        join(1, &[Opus, H264]),
    ]
}

/// What happens once everything flows: who does it, and what.
fn changes() -> [(usize, Order); 4] {
    [
        (0, Order::PauseProducer(0, true)),
        (2, Order::PauseConsumer(0, true)),
        (3, Order::Mute(1, true)),
        (4, Order::Leave),
    ]
}

/// Everything of everybody in the same room, before the changes.
fn everything() -> Received {
    received(&[(0, 0, &[1_001, 1_002]), (0, 1, &[1, 2]), (0, 2, &[1, 2, 1_001, 1_002])])
        .into_iter()
        .chain(received(&[(1, 3, &[4_001, 4_002]), (1, 4, &[3_001, 3_002])]))
        .collect()
}

/// What is left of it. Consumers of one client are counted in the order of their ids: the first one of client 2 is that of the
/// track that was produced first.
fn expected() -> BTreeMap<&'static str, Received> {
    let after = received(&[(0, 0, &[1_001, 1_002]), (0, 1, &[2]), (0, 2, &[2, 1_001, 1_002])]);
    BTreeMap::from([("before", everything()), ("after", after)])
}

fn received(of: &[(usize, usize, &[u32])]) -> Received {
    let each = |(room, peer, tracks): &(usize, usize, &[u32])| {
        let key = (ROOMS[*room].to_owned(), format!("peer-{peer}"));
        tracks.iter().map(move |track| (key.0.clone(), key.1.clone(), *track)).collect::<Vec<_>>()
    };
    of.iter().flat_map(each).collect()
}

fn callers() -> Vec<Caller> {
    (0..arrivals().len() as u32).map(caller).collect()
}

fn simulate(workers: usize) -> BTreeMap<&'static str, Received> {
    let start = Instant::now();
    let mut world: World<Caller, Checker> =
        World::new(workers, &ServerConfig::default(), 7, start, Checker::new(start));
    for (seed, caller) in (0..).zip(callers()) {
        world.add(caller, NatConfig::Translate(Translation::default()), LinkConfig::default(), seed);
    }
    let give = |world: &mut World<Caller, Checker>, index: usize, order| {
        world.hosts[index].client.order(world.now, order);
        world.wake(index);
    };
    for (index, order) in arrivals().into_iter().enumerate() {
        give(&mut world, index, order);
        world.run_until(world.now + Duration::from_millis(300));
    }
    world.run_until(world.now + Duration::from_secs(5));
    let before = flowing(world.hosts.iter().map(|host| &host.client), world.now);
    for (index, order) in changes() {
        give(&mut world, index, order);
    }
    world.run_until(world.now + Duration::from_secs(3));
    let after = flowing(world.hosts.iter().map(|host| &host.client), world.now);
    assert_eq!(world.observer.violation, None);
    BTreeMap::from([("before", before), ("after", after)])
}

fn over_sockets<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
    workers: usize,
) -> BTreeMap<&'static str, Received> {
    let settings = Settings {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        rtc_ipv4: RtcAddresses::List(vec![Ipv4Addr::LOCALHOST]),
        rtc_ipv6: RtcAddresses::Off,
        rtc_port: 0,
        num_workers: Some(workers),
        ..Settings::default()
    };
    let server = start(&settings).unwrap();
    let address = server.http_address();
    let mut hosts: Vec<Host> = callers().into_iter().map(|caller| Host::new(caller, address)).collect();
    for (index, order) in arrivals().into_iter().enumerate() {
        hosts[index].caller.order(Instant::now(), order);
        run_until(&mut hosts, |hosts| hosts[index].caller.is_settled());
    }
    let flowing_now = |hosts: &[Host]| flowing(hosts.iter().map(|host| &host.caller), Instant::now());
    run_until(&mut hosts, |hosts| flowing_now(hosts) == everything());
    let before = flowing_now(&hosts);
    for (index, order) in changes() {
        hosts[index].caller.order(Instant::now(), order);
    }
    let expected_after = expected().remove("after");
    run_until(&mut hosts, |hosts| Some(flowing_now(hosts)) == expected_after);
    let after = flowing_now(&hosts);
    server.stopper().stop();
    server.wait().unwrap();
    BTreeMap::from([("before", before), ("after", after)])
}
