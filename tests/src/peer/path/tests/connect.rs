//! Good behaviour.

use sansfu::dtls::DtlsVersions;
use sansfu::event::{CloseReason, Event};
use sansfu::ortc::DtlsRole;
use sansfu::srtp::SrtpProfile;

use super::super::stun::refresh_fingerprint;
use super::super::{Misbehaviour, PathParameters, PathState, Security};
use super::scene::Scene;
use crate::world::sfu_address;

const VERSIONS: [DtlsVersions; 3] = [DtlsVersions::Both, DtlsVersions::Only12, DtlsVersions::Only13];

fn handshakes() -> Vec<Security> {
    let roles = [DtlsRole::Auto, DtlsRole::Client, DtlsRole::Server];
    let pairs = roles.into_iter().flat_map(|role| VERSIONS.map(|versions| (role, versions)));
    pairs.map(|(role, versions)| Security::Dtls { role, versions }).collect()
}

fn securities() -> Vec<Security> {
    let profiles = [SrtpProfile::Aes128CmSha1_80, SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm];
    let agreed = profiles.map(|profile| Security::Agreed { role: DtlsRole::Client, profile });
    let of_clients =
        [handshakes(), agreed.to_vec(), vec![Security::None { role: DtlsRole::Client }]].concat();
    let of_servers = [agreed[2].as_server(), of_clients[of_clients.len() - 1].as_server()];
    [of_clients, of_servers.to_vec()].concat()
}

/// A PLI for `media`.
fn keyframe_request(media: u32) -> Vec<u8> {
    [&[0x81, 206, 0, 2][..], &1_u32.to_be_bytes(), &media.to_be_bytes()].concat()
}

fn closed_by(scene: &Scene) -> Option<CloseReason> {
    scene.events.iter().find_map(|event| match event {
        Event::TransportClosed { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn media_and_its_control_go_both_ways_under_every_security() {
    for security in securities() {
        let mut scene = Scene::new(security, 1);
        let (publisher, subscriber) = (scene.add(), scene.add());
        scene.connect();
        assert_eq!(scene.clients[publisher].path.mapped_address(), Some(scene.clients[publisher].address));
        let mut stream = scene.stream(publisher, subscriber, 4_711);
        for _ in 0..100 {
            scene.send(&mut stream);
        }
        scene.assert_complete(&stream);
        let requests = scene.keyframe_requests(publisher);
        scene.clients[subscriber].path.send_rtcp(&keyframe_request(stream.consumer_ssrc));
        scene.run_ms(500);
        assert_eq!(scene.keyframe_requests(publisher), requests + 1, "{security:?}");
        let is_sender_report = |compound: &Vec<u8>| compound[1] == 200;
        assert!(scene.clients[subscriber].rtcp.iter().any(is_sender_report), "{security:?}");
        for client in &scene.clients {
            let stats = client.path.stats();
            assert_eq!(stats.srtp_authentication_failures + stats.srtp_malformed + stats.srtp_replays, 0);
            assert_eq!(stats.stun_malformed + stats.stun_unknown_transaction + stats.unknown_datagrams, 0);
        }
        let stats = scene.sfu.stats();
        assert_eq!(stats.dropped_srtp_authentication + stats.dropped_stun + stats.stun_errors_sent, 0);
    }
}

#[test]
fn every_third_datagram_may_be_lost() {
    for security in securities() {
        let mut scene = Scene::new(security, 1);
        scene.is_lossy = true;
        let (publisher, subscriber) = (scene.add(), scene.add());
        scene.connect();
        let mut stream = scene.stream(publisher, subscriber, 4_711);
        for _ in 0..100 {
            scene.send(&mut stream);
        }
        let arrived = scene.arrived(&stream).len();
        assert!((20..100).contains(&arrived), "{security:?} {arrived}");
        // Consent holds.
        scene.run_ms(60_000);
        assert_eq!(closed_by(&scene), None, "{security:?}");
        for client in &scene.clients {
            assert!(client.path.is_connected(), "{security:?} {:?}", client.path.stats());
        }
    }
}

#[test]
fn media_goes_on_through_a_restart_of_ice() {
    for security in securities() {
        let mut scene = Scene::new(security, 2);
        let (publisher, subscriber) = (scene.add(), scene.add());
        scene.connect();
        let mut stream = scene.stream(publisher, subscriber, 4_711);
        for nth in 0..60 {
            if nth == 20 {
                let transport = scene.clients[publisher].transport;
                let ice = scene.sfu.restart_ice(scene.now, transport).unwrap();
                scene.clients[publisher].path.restart_ice(scene.now, ice);
                assert!(!scene.clients[publisher].path.is_answered());
            }
            scene.send(&mut stream);
        }
        scene.assert_complete(&stream);
        assert!(scene.clients[publisher].path.is_answered() && scene.clients[publisher].path.is_connected());
        assert_eq!(scene.clients[publisher].path.stats().stun_errors_401, 0);
        scene.misbehave(publisher, Misbehaviour::OldCredentials, &mut |_| 0);
        scene.run_ms(20);
        assert_eq!(scene.clients[publisher].path.stats().stun_errors_401, 1, "they have been replaced");
    }
}

#[test]
fn closing_tells_the_server() {
    for security in handshakes() {
        let mut scene = Scene::new(security, 3);
        let index = scene.add();
        scene.connect();
        let now = scene.now;
        scene.clients[index].path.close(now);
        scene.run_ms(100);
        assert_eq!(closed_by(&scene), Some(CloseReason::DtlsClosed), "{security:?}");
        let path = &mut scene.clients[index].path;
        assert_eq!((path.state(), path.deadline()), (PathState::Closed, None));
        path.send_rtp(&[0x80; 20]);
        assert_eq!((path.stats().unsent_without_keys, path.poll_transmit()), (1, None));
    }
}

#[test]
fn the_server_can_close() {
    for security in handshakes() {
        let mut scene = Scene::new(security, 3);
        let index = scene.add();
        scene.connect();
        let transport = scene.clients[index].transport;
        scene.sfu.close_transport(scene.now, transport).unwrap();
        scene.run_ms(100);
        assert_eq!(scene.clients[index].path.state(), PathState::Closed, "{security:?}");
    }
}

#[test]
fn whoever_stops_asking_for_consent_loses_it() {
    let mut scene = Scene::new(Security::dtls(), 4);
    let (forgetful, silent, good) = (scene.add(), scene.add(), scene.add());
    scene.connect();
    scene.clients[forgetful].path.pause_consent();
    scene.clients[silent].path.set_silent(true);
    scene.run_ms(29_000);
    assert_eq!(closed_by(&scene), None);
    scene.run_ms(7_000);
    let expired = scene
        .events
        .iter()
        .filter(|event| matches!(event, Event::TransportClosed { reason: CloseReason::ConsentExpired, .. }));
    assert_eq!(expired.count(), 2);
    let states = [forgetful, silent, good].map(|index| scene.clients[index].path.state());
    // The forgetful one is told by a close-notify; the silent one has given up before.
    assert_eq!(states, [PathState::Closed, PathState::Failed, PathState::Connected]);
    assert!(scene.clients[silent].path.stats().silenced >= 4);
}

#[test]
fn a_pause_shorter_than_consent_lasts_is_forgiven() {
    let mut scene = Scene::new(Security::dtls(), 4);
    let index = scene.add();
    scene.connect();
    for _ in 0..3 {
        scene.clients[index].path.pause_consent();
        scene.run_ms(24_000);
        let now = scene.now;
        scene.clients[index].path.resume_consent(now);
        scene.run_ms(100);
    }
    scene.run_ms(60_000);
    assert_eq!((closed_by(&scene), scene.clients[index].path.state()), (None, PathState::Connected));
}

#[test]
fn without_answers_a_path_fails_and_a_restart_leads_out_of_it() {
    let mut scene = Scene::new(Security::dtls(), 5);
    let (publisher, subscriber) = (scene.add(), scene.add());
    scene.connect();
    let mut stream = scene.stream(publisher, subscriber, 4_711);
    scene.is_deaf = true;
    scene.run_ms(31_000);
    let path = &mut scene.clients[publisher].path;
    assert_eq!((path.state(), path.deadline()), (PathState::Failed, None));
    path.send_rtp(&[0x80; 20]);
    assert_eq!((path.stats().unsent_without_keys, path.poll_transmit()), (1, None));
    scene.is_deaf = false;
    for index in [publisher, subscriber] {
        let transport = scene.clients[index].transport;
        let ice = scene.sfu.restart_ice(scene.now, transport).unwrap();
        scene.clients[index].path.restart_ice(scene.now, ice);
    }
    for _ in 0..10 {
        scene.send(&mut stream);
    }
    assert!(scene.clients[publisher].path.is_answered());
    scene.assert_complete(&stream);
}

#[test]
fn a_server_with_another_certificate_is_refused() {
    for versions in VERSIONS {
        let security = Security::Dtls { role: DtlsRole::Client, versions };
        let mut scene = Scene::new(security, 6);
        let transport = scene.create_transport();
        let data = scene.sfu.webrtc_transport(transport).unwrap();
        let mut fingerprints = data.dtls_parameters.fingerprints;
        fingerprints.iter_mut().for_each(|fingerprint| fingerprint.value[5] ^= 1);
        let ice = data.ice_parameters;
        let parameters = PathParameters { server: sfu_address(), ice, fingerprints, security, seed: 1 };
        let index = scene.add_with(transport, parameters);
        scene.run_ms(1_000);
        assert_eq!(scene.clients[index].path.state(), PathState::Failed, "{versions:?}");
    }
}

/// Answers are believed once, and only under the right key.
#[test]
fn forged_and_repeated_answers_are_not_believed() {
    let mut scene = Scene::new(Security::dtls(), 7);
    let index = scene.add();
    scene.connect();
    let answer = scene.trace.iter().find(|bytes| bytes[..2] == [1, 1]).unwrap().clone();
    let check = scene.trace.iter().find(|bytes| bytes[..2] == [0, 1]).unwrap().clone();
    let now = scene.now;
    let before = scene.clients[index].path.stats();
    let path = &mut scene.clients[index].path;
    path.handle_datagram(now, &answer);
    path.handle_datagram(now, &check);
    assert_eq!(path.stats().stun_unknown_transaction, before.stun_unknown_transaction + 1);
    assert_eq!(path.stats().stun_malformed, before.stun_malformed + 1);

    let mut scene = Scene::new(Security::dtls(), 7);
    let index = scene.add();
    let path = &mut scene.clients[index].path;
    path.handle_timeout(now);
    // The same seed: the same transaction, but for the address in it.
    let mut forged = answer;
    forged[24 + 7] ^= 1;
    refresh_fingerprint(&mut forged);
    path.handle_datagram(now, &forged);
    assert_eq!(path.stats().stun_integrity_failures, 1);
    assert_eq!((path.is_answered(), path.mapped_address()), (false, None));
}

#[test]
fn nothing_is_sent_before_there_are_keys() {
    let mut scene = Scene::new(Security::dtls(), 8);
    let index = scene.add();
    let path = &mut scene.clients[index].path;
    assert_eq!(path.state(), PathState::New);
    path.send_rtp(&[0x80; 20]);
    path.send_rtcp(&[0x80; 20]);
    assert_eq!((path.stats().unsent_without_keys, path.poll_transmit()), (2, None));
    path.handle_timeout(scene.now);
    assert_eq!(path.state(), PathState::Connecting);
    scene.connect();
    let path = &mut scene.clients[index].path;
    path.send_rtp(&[0x80; 11]);
    assert_eq!((path.stats().unsent_malformed, path.poll_transmit()), (1, None));
}
