//! Bad behaviour: it harms nobody else, and it is the same every time.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sansfu::dtls::DtlsVersions;
use sansfu::ortc::DtlsRole;
use sansfu::srtp::SrtpProfile;
use sansfu::stats::SfuStats;

use super::super::{Misbehaviour, PathStats, Security};
use super::scene::{Scene, Stream};

/// One of each kind.
fn securities() -> [Security; 4] {
    let dtls = |role, versions| Security::Dtls { role, versions };
    [
        dtls(DtlsRole::Client, DtlsVersions::Both),
        dtls(DtlsRole::Server, DtlsVersions::Only12),
        Security::Agreed { role: DtlsRole::Client, profile: SrtpProfile::AeadAes256Gcm },
        Security::None { role: DtlsRole::Client },
    ]
}

const PUBLISHER: usize = 0;
const SUBSCRIBER: usize = 1;
const VILLAIN: usize = 2;

/// Two good clients with a stream, and a bad one that publishes and subscribes too.
fn call(security: Security, seed: u64) -> (Scene, [Stream; 3]) {
    let mut scene = Scene::new(security, seed);
    scene.add_all(3);
    scene.connect();
    let pairs = [(PUBLISHER, SUBSCRIBER, 100), (VILLAIN, SUBSCRIBER, 200), (PUBLISHER, VILLAIN, 300)];
    let mut streams = pairs.map(|(from, to, ssrc)| scene.stream(from, to, ssrc));
    for _ in 0..5 {
        streams.iter_mut().for_each(|stream| scene.send(stream));
    }
    (scene, streams)
}

/// Each round one misbehaviour and one packet of each good stream.
fn attack(
    scene: &mut Scene,
    streams: &mut [Stream; 3],
    misbehaviour: Misbehaviour,
    rounds: usize,
    seed: u64,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..rounds {
        scene.misbehave(VILLAIN, misbehaviour, &mut |bound| rng.random_range(0..bound));
        scene.send(&mut streams[0]);
        scene.send(&mut streams[1]);
    }
    scene.run_ms(500);
}

fn assert_unharmed(scene: &mut Scene, stream: &Stream) {
    scene.assert_complete(stream);
    for index in [PUBLISHER, SUBSCRIBER] {
        let stats = scene.clients[index].path.stats();
        assert!(scene.clients[index].path.is_connected());
        assert_eq!(stats.srtp_authentication_failures + stats.srtp_replays + stats.stun_errors_401, 0);
    }
    let newcomer = scene.add();
    for _ in 0..100 {
        scene.run_ms(20);
    }
    assert!(scene.clients[newcomer].path.is_connected(), "the server takes others");
}

/// What the server has to have counted: a misbehaviour that is stopped too early tests nothing.
fn assert_counted(misbehaviour: Misbehaviour, before: &SfuStats, after: &SfuStats) {
    let grown = |counter: fn(&SfuStats) -> u64| counter(after) - counter(before);
    let counts: &[u64] = match misbehaviour {
        Misbehaviour::WrongPassword | Misbehaviour::WrongUsername | Misbehaviour::RoleConflict => {
            &[grown(|stats| stats.stun_errors_sent)]
        }
        Misbehaviour::StunIndication => &[grown(|stats| stats.stun_indications_received)],
        Misbehaviour::ReplayOld => &[grown(|stats| stats.dropped_srtp_replay)],
        Misbehaviour::TruncatedOwn => &[
            grown(|stats| stats.dropped_srtp_authentication + stats.dropped_srtp_replay),
            grown(|stats| stats.dropped_stun),
        ],
        Misbehaviour::Flood { .. } => {
            &[grown(|stats| stats.dropped_unknown_protocol), grown(|stats| stats.dropped_stun)]
        }
        Misbehaviour::HugeDatagram => &[grown(|stats| stats.dropped_unknown_protocol)],
        Misbehaviour::RtpLies => {
            &[grown(|stats| stats.dropped_rtp_malformed), grown(|stats| stats.dropped_rtp_unknown_stream)]
        }
        Misbehaviour::RtcpLies => &[grown(|stats| stats.dropped_rtcp_malformed)],
        Misbehaviour::OldCredentials | Misbehaviour::HalfOpenHandshake => &[],
    };
    assert!(counts.iter().all(|count| *count > 0), "{misbehaviour:?} {counts:?}");
}

/// What the server has to have said to it.
fn assert_answered(misbehaviour: Misbehaviour, stats: &PathStats, rounds: u64) {
    let refused = [stats.stun_errors_400, stats.stun_errors_401, stats.stun_errors_487];
    match misbehaviour {
        Misbehaviour::WrongPassword | Misbehaviour::WrongUsername => assert_eq!(refused, [0, rounds, 0]),
        Misbehaviour::RoleConflict => assert_eq!(refused, [0, 0, rounds]),
        Misbehaviour::StunIndication => assert_eq!(refused, [0; 3]),
        _ => {}
    }
    assert_eq!(stats.forgeries_answered, 0);
    assert_eq!(stats.hostile_sent == 0, misbehaviour == Misbehaviour::OldCredentials);
}

#[test]
fn no_misbehaviour_harms_a_neighbour() {
    for security in securities() {
        for misbehaviour in Misbehaviour::ALL {
            let (mut scene, mut streams) = call(security, 9);
            let before = scene.sfu.stats();
            attack(&mut scene, &mut streams, misbehaviour, 40, 9);
            assert_counted(misbehaviour, &before, &scene.sfu.stats());
            assert_answered(misbehaviour, &scene.clients[VILLAIN].path.stats(), 40);
            assert_unharmed(&mut scene, &streams[0]);
        }
    }
}

/// Every kind of lie, from many seeds; keys agreed, for speed.
#[test]
fn many_lies_harm_nobody() {
    let security = Security::Agreed { role: DtlsRole::Client, profile: SrtpProfile::AeadAes128Gcm };
    for seed in 0..6 {
        let (mut scene, mut streams) = call(security, seed);
        for misbehaviour in [Misbehaviour::RtcpLies, Misbehaviour::RtpLies] {
            attack(&mut scene, &mut streams, misbehaviour, 100, seed);
        }
        assert_unharmed(&mut scene, &streams[0]);
    }
}

#[test]
fn misbehaviour_before_there_are_keys_and_after_the_end_is_survived() {
    for security in securities() {
        let mut scene = Scene::new(security, 11);
        scene.add_all(3);
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut attack_with_all = |scene: &mut Scene| {
            for misbehaviour in Misbehaviour::ALL {
                scene.misbehave(VILLAIN, misbehaviour, &mut |bound| rng.random_range(0..bound));
                scene.run_ms(10);
            }
        };
        attack_with_all(&mut scene);
        scene.run_ms(5_000);
        let mut stream = scene.stream(PUBLISHER, SUBSCRIBER, 100);
        scene.clients[VILLAIN].path.close(scene.now);
        attack_with_all(&mut scene);
        for _ in 0..20 {
            scene.send(&mut stream);
        }
        assert_unharmed(&mut scene, &stream);
    }
}

/// Everything that was sent, in order, with losses, restarts and misbehaviour.
fn trace(security: Security, seed: u64) -> Vec<Vec<u8>> {
    let (mut scene, mut streams) = call(security, seed);
    scene.is_lossy = true;
    for misbehaviour in Misbehaviour::ALL {
        attack(&mut scene, &mut streams, misbehaviour, 3, seed);
        if let Ok(ice) = scene.sfu.restart_ice(scene.now, scene.clients[VILLAIN].transport) {
            scene.clients[VILLAIN].path.restart_ice(scene.now, ice);
        }
    }
    scene.clients[PUBLISHER].path.close(scene.now);
    scene.run_ms(1_000);
    scene.trace
}

#[test]
fn one_seed_gives_the_same_bytes() {
    for security in securities() {
        let (one, two) = (trace(security, 12), trace(security, 12));
        let differing = one.iter().zip(&two).position(|(one, two)| one != two);
        assert_eq!((differing, one.len()), (None, two.len()), "{security:?}");
        assert_ne!(one[0], trace(security, 13)[0], "{security:?}");
    }
}
