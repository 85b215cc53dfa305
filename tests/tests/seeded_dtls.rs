//! Two DTLS handshakes of one seed are the same, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::dtls::{
    Certificate, DimplBackend, DimplBackendConfig, DtlsBackend, DtlsKeys, DtlsOutput, DtlsRole, DtlsState,
    DtlsTransport, DtlsVersions,
};
use sansfu::rng::Rng;
use sansfu_tests::seeded_crypto::{provider, simulation_epoch};

/// What was seen of a handshake: who sent what when, and the keys.
#[derive(Debug, PartialEq)]
struct Record {
    datagrams: Vec<(Duration, DtlsRole, Vec<u8>)>,
    keys: Vec<DtlsKeys>,
}

/// Runs a handshake in which the first datagram of each side is lost, so that timers and their jitter take part.
fn handshake(seed: u8, versions: DtlsVersions, begin: Instant) -> Record {
    let mut rng = Rng::from_seed([seed; 32]);
    let crypto = provider([seed; 32]);
    let [client, server] = [1, 2].map(|end| -> Arc<dyn DtlsBackend> {
        let certificate = Certificate::generate(&mut rng).unwrap();
        let config = DimplBackendConfig {
            crypto: Some(crypto.clone()),
            rng_seed: Some(u64::from(seed) << 8 | end),
            versions,
            ..Default::default()
        };
        Arc::new(DimplBackend::new(&certificate, config).unwrap())
    });
    let mut ends = [DtlsTransport::new(client.clone()), DtlsTransport::new(server.clone())];
    ends[0].set_remote_fingerprints(server.fingerprints()).unwrap();
    ends[1].set_remote_fingerprints(client.fingerprints()).unwrap();
    ends[1].start(begin, DtlsRole::Server);
    ends[0].start(begin, DtlsRole::Client);
    let mut record = Record { datagrams: Vec::new(), keys: Vec::new() };
    let (mut now, mut sent) = (begin, [0, 0]);
    loop {
        let mut is_quiet = true;
        for from in [0, 1] {
            while let Some(output) = ends[from].poll_output() {
                is_quiet = false;
                match output {
                    DtlsOutput::Packet(bytes) => {
                        record.datagrams.push((now - begin, ends[from].role().unwrap(), bytes.clone()));
                        sent[from] += 1;
                        if sent[from] > 1 {
                            ends[1 - from].handle_datagram(now, &bytes);
                        }
                    }
                    DtlsOutput::Connected(keys) => record.keys.push(keys),
                    other => panic!("{other:?}"),
                }
            }
        }
        if is_quiet {
            let Some(next) = ends.iter().filter_map(DtlsTransport::deadline).min() else { break };
            now = next;
            ends.iter_mut().for_each(|end| end.handle_timeout(now));
        }
    }
    assert!(ends.iter().all(|end| end.state() == DtlsState::Connected), "{versions:?}");
    record
}

const VERSIONS: [DtlsVersions; 3] = [DtlsVersions::Both, DtlsVersions::Only12, DtlsVersions::Only13];

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let begin = simulation_epoch();
    for versions in VERSIONS {
        let first = handshake(1, versions, begin);
        assert_eq!(first, handshake(1, versions, begin), "{versions:?}");
        assert_eq!(first.keys.len(), 2);
        assert!(first.datagrams.last().unwrap().0 > Duration::ZERO, "timers took part");
    }
}

#[test]
fn another_seed_gives_other_keys() {
    let begin = simulation_epoch();
    for versions in VERSIONS {
        let (first, second) = (handshake(1, versions, begin), handshake(2, versions, begin));
        assert_ne!(first.keys[0].keying_material, second.keys[0].keying_material);
    }
}

/// The clock's own beginning is not part of the result: it stands for the same time of day whenever the process started.
#[test]
fn the_time_of_day_is_the_same_in_every_run() {
    let [first, second] = [(); 2].map(|()| {
        std::thread::sleep(Duration::from_millis(20));
        handshake(3, DtlsVersions::Only12, simulation_epoch())
    });
    assert_eq!(first, second);
    // The client's random begins with the time of day (RFC 5246 section 7.4.1.2): 2100-01-01.
    let hello = &first.datagrams[0].2;
    assert_eq!(hello[27..31], 4_102_444_800_u32.to_be_bytes());
}
