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
        loop {
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
    let mut pair = Pair::new(backend(1), backend(2));
    assert_eq!(pair.states(), [DtlsState::New; 2]);
    pair.start();
    assert_eq!(pair.states(), [DtlsState::Connecting; 2]);
    pair.run();
    assert_eq!(pair.states(), [DtlsState::Connected; 2]);
    let (client, server) = (pair.keys(CLIENT), pair.keys(SERVER));
    assert_eq!(client.keying_material, server.keying_material);
    assert_eq!(client.protection_profile, server.protection_profile);
    assert_eq!((client.role, server.role), (DtlsRole::Client, DtlsRole::Server));
    assert_eq!(pair.ends[CLIENT].deadline(), None, "nothing is left to wait for");
}
