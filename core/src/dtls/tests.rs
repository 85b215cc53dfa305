use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::ortc::FingerprintAlgorithm;
use crate::rng::Rng;

/// The clock of a test; where it starts is of no consequence.
#[allow(clippy::disallowed_methods)]
fn start_time() -> Instant {
    Instant::now()
}

fn backend(seed: u8) -> Arc<dyn DtlsBackend> {
    backend_with(seed, DimplBackendConfig::default())
}

fn backend_with(seed: u8, config: DimplBackendConfig) -> Arc<dyn DtlsBackend> {
    let certificate = Certificate::generate(&mut Rng::from_seed([seed; 32])).unwrap();
    Arc::new(DimplBackend::new(&certificate, config).unwrap())
}

/// Who speaks what, so that each version is negotiated from either side's restriction.
const VERSIONS: [[DtlsVersions; 2]; 4] = [
    [DtlsVersions::Both, DtlsVersions::Both],
    [DtlsVersions::Only12, DtlsVersions::Both],
    [DtlsVersions::Both, DtlsVersions::Only12],
    [DtlsVersions::Only13, DtlsVersions::Only13],
];

/// Client and server.
fn backends(versions: [DtlsVersions; 2]) -> [Arc<dyn DtlsBackend>; 2] {
    [1, 2].map(|seed| {
        let versions = versions[usize::from(seed) - 1];
        backend_with(seed, DimplBackendConfig { versions, ..Default::default() })
    })
}

/// Two transports and the datagrams between them.
struct Pair {
    now: Instant,
    ends: [DtlsTransport; 2],
    events: [Vec<DtlsOutput>; 2],
    /// Every datagram that an end has sent.
    sent: [Vec<Vec<u8>>; 2],
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Pair {
    fn new(client: Arc<dyn DtlsBackend>, server: Arc<dyn DtlsBackend>) -> Self {
        let mut ends = [DtlsTransport::new(client.clone()), DtlsTransport::new(server.clone())];
        ends[CLIENT].set_remote_fingerprints(server.fingerprints()).unwrap();
        ends[SERVER].set_remote_fingerprints(client.fingerprints()).unwrap();
        Self { now: start_time(), ends, events: Default::default(), sent: Default::default() }
    }

    fn of(versions: [DtlsVersions; 2]) -> Self {
        let [client, server] = backends(versions);
        Self::new(client, server)
    }

    fn start(&mut self) {
        self.ends[SERVER].start(self.now, DtlsRole::Server);
        self.ends[CLIENT].start(self.now, DtlsRole::Client);
    }

    /// Delivers what one end has sent; `network` sees each datagram and says what arrives, in order.
    fn deliver(&mut self, from: usize, network: &mut dyn FnMut(usize, Vec<u8>) -> Vec<Vec<u8>>) -> bool {
        let mut was_active = false;
        while let Some(output) = self.ends[from].poll_output() {
            was_active = true;
            let DtlsOutput::Packet(packet) = output else {
                self.events[from].push(output);
                continue;
            };
            self.sent[from].push(packet.clone());
            for datagram in network(from, packet) {
                self.ends[1 - from].handle_datagram(self.now, &datagram);
            }
        }
        was_active
    }

    /// Runs until nobody waits for anything within `limit`.
    fn run_with(&mut self, limit: Duration, network: &mut dyn FnMut(usize, Vec<u8>) -> Vec<Vec<u8>>) {
        let end = self.now + limit;
        for steps in 0.. {
            assert!(steps < 2_000, "timers make no progress: {:?} at {:?}", self.ends, self.now);
            while self.deliver(CLIENT, network) | self.deliver(SERVER, network) {}
            let deadline = self.ends.iter().filter_map(DtlsTransport::deadline).min();
            match deadline {
                Some(deadline) if deadline <= end => self.now = self.now.max(deadline),
                _ => break,
            }
            self.ends[CLIENT].handle_timeout(self.now);
            self.ends[SERVER].handle_timeout(self.now);
        }
    }

    fn run(&mut self) {
        self.run_with(Duration::from_secs(120), &mut |_, packet| vec![packet]);
    }

    fn states(&self) -> [DtlsState; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }

    fn keys(&self, end: usize) -> &DtlsKeys {
        let keys = self.events[end].iter().find_map(|event| match event {
            DtlsOutput::Connected(keys) => Some(keys),
            _ => None,
        });
        keys.expect("connected")
    }
}

#[test]
fn both_ends_get_the_same_keys() {
    for versions in VERSIONS {
        let mut pair = Pair::of(versions);
        assert_eq!(pair.states(), [DtlsState::New; 2]);
        pair.start();
        assert_eq!(pair.states(), [DtlsState::Connecting; 2]);
        pair.run();
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "{versions:?}");
        let (client, server) = (pair.keys(CLIENT), pair.keys(SERVER));
        assert_eq!(client.keying_material, server.keying_material);
        assert_eq!((client.protection_profile, server.protection_profile), (8, 8));
        assert_eq!(client.keying_material.len(), 2 * (32 + 12));
        assert_eq!((client.role, server.role), (DtlsRole::Client, DtlsRole::Server));
        assert_eq!(pair.ends.each_ref().map(DtlsTransport::deadline), [None; 2], "nothing to wait for");
        // Only a handshake of 1.3 ends with encrypted datagrams of the unified header.
        let has_unified = pair.sent.iter().flatten().any(|packet| packet[0] & 0xE0 == 0x20);
        assert_eq!(has_unified, !versions.contains(&DtlsVersions::Only12), "{versions:?}");
    }
}

#[test]
fn versions_without_overlap_do_not_connect() {
    for versions in
        [[DtlsVersions::Only12, DtlsVersions::Only13], [DtlsVersions::Only13, DtlsVersions::Only12]]
    {
        let mut pair = Pair::of(versions);
        pair.start();
        pair.run();
        assert_eq!(pair.ends[CLIENT].state(), DtlsState::Failed, "{versions:?}");
        assert_ne!(pair.ends[SERVER].state(), DtlsState::Connected, "{versions:?}");
    }
}

#[test]
fn certificates_of_either_curve_work() {
    let certificate = Certificate::from_pem(
        include_str!("certificate/testdata/p384.crt"),
        include_str!("certificate/testdata/p384.pkcs8.key"),
    );
    let p384: Arc<dyn DtlsBackend> =
        Arc::new(DimplBackend::new(&certificate.unwrap(), DimplBackendConfig::default()).unwrap());
    for (client, server) in [(p384.clone(), backend(2)), (backend(1), p384)] {
        let mut pair = Pair::new(client, server);
        pair.start();
        pair.run();
        assert_eq!(pair.states(), [DtlsState::Connected; 2]);
    }
}

/// A fresh pair that has shaken hands.
fn connected(versions: [DtlsVersions; 2]) -> Pair {
    let mut pair = Pair::of(versions);
    pair.start();
    pair.run();
    assert_eq!(pair.states(), [DtlsState::Connected; 2]);
    pair
}

/// Application data of one end arrives at the other, with the events so far forgotten.
fn exchange(pair: &mut Pair) {
    for (from, text) in [(CLIENT, &b"from the client"[..]), (SERVER, b"from the server")] {
        pair.events = Default::default();
        assert!(pair.ends[from].send(text));
        pair.run();
        assert_eq!(pair.events[1 - from], [DtlsOutput::ApplicationData(text.to_vec())]);
    }
}

#[test]
fn application_data_goes_both_ways() {
    for versions in VERSIONS {
        exchange(&mut connected(versions));
    }
}

#[test]
fn data_before_the_connection_is_not_taken() {
    let mut pair = Pair::new(backend(1), backend(2));
    assert!(!pair.ends[CLIENT].send(b"early"));
    pair.start();
    assert!(!pair.ends[CLIENT].send(b"early"));
    assert!(!DtlsTransport::new(backend(1)).handle_datagram(pair.now, b"whatever"));
}

#[test]
fn closing_tells_the_peer() {
    for (versions, closing) in VERSIONS.into_iter().flat_map(|it| [(it, CLIENT), (it, SERVER)]) {
        let mut pair = connected(versions);
        pair.events = Default::default();
        pair.ends[closing].close();
        assert_eq!(pair.ends[closing].state(), DtlsState::Closed);
        pair.run();
        assert_eq!(pair.states(), [DtlsState::Closed; 2]);
        assert_eq!(pair.events[1 - closing], [DtlsOutput::Closed]);
        assert_eq!(pair.events[closing], []);
        assert_eq!(pair.ends.each_ref().map(DtlsTransport::deadline), [None; 2]);
        assert!(!pair.ends[closing].send(b"late"));
        pair.ends[closing].close();
        assert_eq!(pair.ends[closing].poll_output(), None);
    }
}

#[test]
fn closing_before_the_handshake_is_silent() {
    let mut pair = Pair::new(backend(1), backend(2));
    pair.ends[SERVER].close();
    pair.start();
    assert_eq!(pair.ends[SERVER].state(), DtlsState::Closed);
    assert_eq!(pair.ends[SERVER].poll_output(), None);
}

#[test]
fn a_wrong_fingerprint_fails_before_keys() {
    let mut other = Pair::new(backend(1), backend(2));
    other.ends[SERVER] = DtlsTransport::new(backend(2));
    // The certificate of somebody else was signalled.
    other.ends[SERVER].set_remote_fingerprints(backend(3).fingerprints()).unwrap();
    other.start();
    other.run_with(Duration::from_secs(5), &mut |_, packet| vec![packet]);
    assert_eq!(other.ends[SERVER].state(), DtlsState::Failed);
    assert_eq!(other.events[SERVER], [DtlsOutput::Failed(DtlsFailure::FingerprintMismatch)]);
    assert_eq!(other.ends[SERVER].deadline(), None);
    assert!(!other.ends[SERVER].handle_datagram(other.now, &[22]));
}

#[test]
fn each_strong_algorithm_is_checked_and_one_match_suffices() {
    let [client, server] = [backend(1), backend(2)];
    for right in client.fingerprints() {
        let mut damaged = right.clone();
        damaged.value[0] ^= 1;
        let weak = DtlsFingerprint { algorithm: FingerprintAlgorithm::Sha1, value: vec![0; 20] };
        let cases = [
            (vec![right.clone()], DtlsState::Connected),
            (vec![damaged.clone()], DtlsState::Failed),
            (vec![weak.clone(), damaged.clone(), right.clone()], DtlsState::Connected),
            (vec![weak, damaged], DtlsState::Failed),
        ];
        for (fingerprints, state) in cases {
            let mut pair = Pair::new(client.clone(), server.clone());
            pair.ends[SERVER] = DtlsTransport::new(server.clone());
            pair.ends[SERVER].set_remote_fingerprints(&fingerprints).unwrap();
            pair.start();
            pair.run_with(Duration::from_secs(5), &mut |_, packet| vec![packet]);
            assert_eq!(pair.ends[SERVER].state(), state, "{fingerprints:?}");
        }
    }
}

#[test]
fn weak_or_changed_fingerprints_are_refused() {
    let mut transport = DtlsTransport::new(backend(1));
    let weak = [(FingerprintAlgorithm::Sha1, 20), (FingerprintAlgorithm::Sha224, 28)]
        .map(|(algorithm, length)| DtlsFingerprint { algorithm, value: vec![0; length] });
    assert_eq!(transport.set_remote_fingerprints(&[]), Err(FingerprintError::NoStrongFingerprint));
    assert_eq!(transport.set_remote_fingerprints(&weak), Err(FingerprintError::NoStrongFingerprint));
    assert_eq!(transport.set_remote_fingerprints(backend(2).fingerprints()), Ok(()));
    assert_eq!(transport.set_remote_fingerprints(backend(2).fingerprints()), Ok(()));
    assert_eq!(
        transport.set_remote_fingerprints(backend(3).fingerprints()),
        Err(FingerprintError::AlreadySet)
    );
}

#[test]
fn keys_wait_for_late_fingerprints() {
    let [client, server] = [backend(1), backend(2)];
    let mut pair = Pair::new(client.clone(), server.clone());
    pair.ends[SERVER] = DtlsTransport::new(server);
    pair.start();
    pair.run();
    assert_eq!(pair.states(), [DtlsState::Connected, DtlsState::Connecting]);
    assert_eq!(pair.events[SERVER], []);
    pair.ends[SERVER].set_remote_fingerprints(client.fingerprints()).unwrap();
    assert_eq!(pair.ends[SERVER].state(), DtlsState::Connected);
    pair.run();
    assert_eq!(pair.keys(SERVER).keying_material, pair.keys(CLIENT).keying_material);
}

#[test]
fn a_client_hello_in_two_fragments_works() {
    // Small datagrams split every flight.
    for (mtu, versions) in [256, 300, 400, 600].into_iter().flat_map(|mtu| VERSIONS.map(|it| (mtu, it))) {
        let [client, server] = [1, 2].map(|seed| {
            let versions = versions[usize::from(seed) - 1];
            backend_with(seed, DimplBackendConfig { mtu, versions, ..Default::default() })
        });
        let mut pair = Pair::new(client, server);
        pair.start();
        pair.run();
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "{mtu}");
        for packet in pair.sent.iter().flatten() {
            // The library's first hello of a client that offers both versions is one record whatever the setting.
            let is_first_hello = packet[0] == 22 && packet[13] == 1;
            assert!(packet.len() <= mtu || is_first_hello, "{} of {mtu}", packet.len());
        }
    }
}

/// Splits a datagram with one plaintext handshake record into two, as browsers send their long hello.
fn split_hello(packet: &[u8], at: usize) -> Option<[Vec<u8>; 2]> {
    let is_whole_hello = packet.first() == Some(&22) && packet[3..5] == [0, 0] && packet[13] == 1;
    if !is_whole_hello || packet.len() < 25 + at + 1 {
        return None;
    }
    let body = &packet[25..];
    let part = |record_seq: u8, offset: usize, bytes: &[u8]| {
        let mut part = packet[..25].to_vec();
        // A sequence number of its own, high enough not to be one of the client's.
        part[9] = 1 + record_seq;
        part[11..13].copy_from_slice(&(bytes.len() as u16 + 12).to_be_bytes());
        part[19..22].copy_from_slice(&(offset as u32).to_be_bytes()[1..]);
        part[22..25].copy_from_slice(&(bytes.len() as u32).to_be_bytes()[1..]);
        part.extend(bytes);
        part
    };
    Some([part(0, 0, &body[..at]), part(1, at, &body[at..])])
}

#[test]
fn a_split_client_hello_works_in_either_order() {
    for (versions, is_reversed) in VERSIONS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut pair = Pair::of(versions);
        pair.start();
        let mut split_count = 0;
        pair.run_with(Duration::from_secs(60), &mut |from, packet| match split_hello(&packet, 60) {
            Some(mut parts) if from == CLIENT => {
                split_count += 1;
                if is_reversed {
                    parts.reverse();
                }
                parts.to_vec()
            }
            _ => vec![packet],
        });
        assert!(split_count > 0);
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "reversed: {is_reversed}");
    }
}

#[test]
fn lost_datagrams_are_sent_again() {
    let mut rng = Rng::from_seed([12; 32]);
    for round in 0..40 {
        let mut pair = Pair::of(VERSIONS[round % 4]);
        pair.start();
        pair.run_with(Duration::from_secs(60), &mut |_, packet| {
            if rng.below(5) == 0 { vec![] } else { vec![packet] }
        });
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "round {round}: {:?}", pair.events);
        assert_eq!(pair.keys(CLIENT).keying_material, pair.keys(SERVER).keying_material);
    }
}

/// The library would acknowledge the rest of such a flight without end.
#[test]
fn a_gap_in_a_flight_is_waited_for_in_peace() {
    let config = DimplBackendConfig { mtu: 256, ..Default::default() };
    let mut pair = Pair::new(backend_with(1, config.clone()), backend_with(2, config));
    pair.start();
    while pair.deliver(CLIENT, &mut |_, packet| vec![packet]) {}
    let hello_count = pair.sent[CLIENT].len();
    // At first only the beginning of the client's next flight is lost, then all that it sends.
    let mut is_first = true;
    pair.run_with(Duration::ZERO, &mut |from, packet| {
        let is_lost = from == CLIENT && std::mem::take(&mut is_first);
        if is_lost { vec![] } else { vec![packet] }
    });
    assert!(!is_first && pair.sent[CLIENT].len() > hello_count + 1);
    let server_count = pair.sent[SERVER].len();
    pair.run_with(Duration::from_secs(5), &mut |from, packet| {
        if from == CLIENT { vec![] } else { vec![packet] }
    });
    assert_eq!(pair.ends[SERVER].state(), DtlsState::Connecting);
    let acknowledgements = pair.sent[SERVER].len() - server_count;
    assert!((1..=110).contains(&acknowledgements), "{acknowledgements}");
    pair.run();
    assert_eq!(pair.states(), [DtlsState::Connected; 2]);
}

#[test]
fn deadlines_lie_ahead() {
    let mut rng = Rng::from_seed([17; 32]);
    for _ in 0..20 {
        let mut pair = Pair::new(backend(1), backend(2));
        pair.start();
        for _ in 0..400 {
            let network = &mut |_, packet| if rng.below(2) == 0 { vec![] } else { vec![packet] };
            while pair.deliver(CLIENT, network) | pair.deliver(SERVER, network) {}
            let Some(next) = pair.ends.iter().filter_map(DtlsTransport::deadline).min() else { break };
            assert!(next > pair.now);
            pair.now = next;
            pair.ends[CLIENT].handle_timeout(next);
            pair.ends[SERVER].handle_timeout(next);
        }
    }
}

#[test]
fn a_peer_that_never_answers_fails_in_time() {
    let mut pair = Pair::new(backend(1), backend(2));
    pair.start();
    let begin = pair.now;
    pair.run_with(Duration::from_secs(300), &mut |_, _| vec![]);
    assert_eq!(pair.states(), [DtlsState::Failed, DtlsState::Connecting], "a server has no reason to hurry");
    assert_eq!(pair.events[CLIENT], [DtlsOutput::Failed(DtlsFailure::Timeout)]);
    assert!(pair.now - begin < Duration::from_secs(60), "{:?}", pair.now - begin);
}

/// What a stranger could write who knows the protocol but none of the secrets.
fn garbage(rng: &mut Rng, models: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = match (rng.below(3), models) {
        (0, [_, ..]) => models[rng.below(models.len() as u32) as usize].clone(),
        (1, _) => {
            // A record with a true length and a random body.
            let mut body = vec![0; rng.below(300) as usize];
            rng.fill(&mut body);
            let content_type =
                [20, 21, 22, 22, 22, 23, 24, 26, 0x2C, 0x2E, 0x2F, 0x3F][rng.below(12) as usize];
            let mut record = vec![content_type, 0xFE, 0xFD, 0, rng.below(3) as u8, 0, 0, 0, 0, 0];
            record.push(rng.below(40) as u8);
            record.extend((body.len() as u16).to_be_bytes());
            record.extend(body);
            record
        }
        _ => {
            let mut random = vec![0; rng.below(1_500) as usize];
            rng.fill(&mut random);
            random
        }
    };
    if !bytes.is_empty() {
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u32) as usize;
            bytes[at] = rng.next_u32() as u8;
        }
        if rng.below(4) == 0 {
            bytes.truncate(rng.below(bytes.len() as u32) as usize);
        }
    }
    bytes
}

#[test]
fn garbage_after_the_handshake_changes_nothing() {
    let mut rng = Rng::from_seed([13; 32]);
    for versions in VERSIONS {
        garbage_after_the_handshake(&mut rng, versions);
    }
}

fn garbage_after_the_handshake(rng: &mut Rng, versions: [DtlsVersions; 2]) {
    let mut pair = connected(versions);
    let sent = pair.sent.clone();
    for end in [CLIENT, SERVER] {
        for count in 0..2_500 {
            let mut bytes = garbage(rng, &sent[1 - end]);
            if count % 10 == 0 {
                // A true repetition.
                bytes = sent[1 - end][count % sent[1 - end].len()].clone();
            }
            pair.ends[end].handle_datagram(pair.now, &bytes);
            assert_eq!(pair.ends[end].state(), DtlsState::Connected, "{count}: {bytes:02x?}");
        }
        pair.events = Default::default();
        pair.run_with(Duration::from_secs(1), &mut |_, _| vec![]);
        assert_eq!(pair.events, [vec![], vec![]]);
    }
    exchange(&mut pair);
    pair.ends[CLIENT].close();
    pair.run();
    assert_eq!(pair.states(), [DtlsState::Closed; 2]);
}

/// Noise between the datagrams of a handshake that is not a forged message of just that handshake: random bytes, records of
/// random content, and damaged repetitions of what has arrived.
#[test]
fn garbage_during_the_handshake_does_not_end_it() {
    let mut rng = Rng::from_seed([14; 32]);
    let mut count = 0;
    let mut round = 0;
    while count < 10_000 {
        round += 1;
        let mut pair = Pair::of(VERSIONS[round % 4]);
        pair.start();
        let mut arrived: [Vec<Vec<u8>>; 2] = Default::default();
        pair.run_with(Duration::from_secs(60), &mut |from, packet| {
            arrived[from].push(packet.clone());
            let noise = 10 + rng.below(20);
            count += noise;
            let mut datagrams = vec![packet];
            datagrams.extend((0..noise).map(|_| garbage(&mut rng, &arrived[from])));
            datagrams
        });
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "round {round}: {:?}", pair.events);
    }
}

/// What is no hello. A forged hello is another matter: its answer goes to the client, which takes it for its own.
#[test]
fn garbage_before_the_first_hello_does_not_wear_a_server_out() {
    let mut rng = Rng::from_seed([15; 32]);
    let models = [VERSIONS[0], VERSIONS[1]].map(|versions| connected(versions).sent[CLIENT].clone()).concat();
    for (round, versions) in VERSIONS.into_iter().cycle().take(12).enumerate() {
        let [_, server] = backends(versions);
        let now = start_time();
        let is_hello = |bytes: &[u8]| {
            let mut probe = DtlsTransport::new(server.clone());
            probe.start(now, DtlsRole::Server);
            probe.handle_datagram(now, bytes);
            probe.poll_output().is_some()
        };
        let mut pair = Pair::of(versions);
        pair.ends[SERVER].start(pair.now, DtlsRole::Server);
        for _ in 0..1_000 {
            let bytes = garbage(&mut rng, &models);
            if record::client_hello_random(&bytes).is_none_or(|_| !is_hello(&bytes)) {
                pair.ends[SERVER].handle_datagram(pair.now, &bytes);
            }
        }
        assert_eq!(pair.ends[SERVER].poll_output(), None, "round {round}");
        assert_eq!(pair.ends[SERVER].state(), DtlsState::Connecting);
        pair.ends[CLIENT].start(pair.now, DtlsRole::Client);
        pair.run();
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "round {round}: {:?}", pair.events);
    }
}

/// The client's hello comes through though another was answered before it.
#[test]
fn a_forged_hello_only_delays() {
    for versions in VERSIONS {
        let mut pair = Pair::of(versions);
        pair.start();
        let mut forger = Pair::of(versions);
        forger.start();
        forger.run();
        let [forged, ..] = &forger.sent[CLIENT][..] else { panic!("no hello") };
        pair.ends[SERVER].handle_datagram(pair.now, forged);
        // The answer to it is lost on the way.
        let mut lost = 0;
        while let Some(output) = pair.ends[SERVER].poll_output() {
            assert!(matches!(output, DtlsOutput::Packet(_)));
            lost += 1;
        }
        assert!(lost > 0, "answered");
        pair.now += Duration::from_millis(201);
        pair.run();
        assert_eq!(pair.states(), [DtlsState::Connected; 2], "{versions:?}: {:?}", pair.events);
    }
}

/// A peer that really cannot is told apart from a stranger's noise by time.
#[test]
fn a_server_reports_what_broke_the_handshake() {
    let mut pair = Pair::of([DtlsVersions::Only12, DtlsVersions::Both]);
    pair.start();
    let begin = pair.now;
    pair.run_with(Duration::from_secs(30), &mut |from, mut packet| {
        // The client's certificate, in plaintext, is always damaged.
        if from == CLIENT && packet[0] == 22 && packet[13] == 11 {
            packet[60..120].fill(0xFF);
        }
        vec![packet]
    });
    let [DtlsOutput::Failed(DtlsFailure::Protocol(why))] = &pair.events[SERVER][..] else {
        panic!("{:?}", pair.events[SERVER]);
    };
    assert!(!why.is_empty());
    assert!(pair.now > begin);
    assert_eq!(pair.ends[SERVER].deadline(), None);
}

/// Forged messages of the very handshake may spoil it, as in any DTLS: but it ends, in time and without a panic.
#[test]
fn forged_flights_leave_an_outcome() {
    let mut rng = Rng::from_seed([16; 32]);
    for round in 0..80 {
        let mut pair = Pair::of(VERSIONS[round % 4]);
        pair.start();
        pair.run_with(Duration::from_secs(300), &mut |_, packet| {
            let mut forged = packet.clone();
            for _ in 0..=rng.below(3) {
                let at = rng.below(forged.len() as u32) as usize;
                forged[at] ^= 1 << rng.below(8);
            }
            vec![forged, packet]
        });
        for end in [CLIENT, SERVER] {
            let is_over = matches!(pair.ends[end].state(), DtlsState::Connected | DtlsState::Failed);
            assert!(is_over || pair.ends[end].deadline().is_none(), "round {round}: {:?}", pair.ends[end]);
        }
    }
}

#[test]
fn remote_roles_are_answered() {
    use crate::ortc::DtlsRole as Signalled;
    assert_eq!(DtlsRole::opposite_of(Signalled::Client), DtlsRole::Server);
    assert_eq!(DtlsRole::opposite_of(Signalled::Server), DtlsRole::Client);
    assert_eq!(DtlsRole::opposite_of(Signalled::Auto), DtlsRole::Server);
}
