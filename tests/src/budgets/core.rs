//! The cost of the core in memory: no socket, no kernel.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sansfu::dtls::{Certificate, DimplBackend, DimplBackendConfig};
use sansfu::rng::Rng;
use sansfu::sfu::{Datagram, Input, Output, Protocol};
use sansfu::srtp::SrtpProfile;

use super::{cpu_time_ns, median};
use crate::counting_allocator::CountingAllocator;
use crate::fixed_dtls::FixedDtls;
use crate::load::memory::{Load, PAYLOAD_BYTES};
use crate::world::{Endpoint as _, ScriptedClient, sfu_address};

/// Rounds of which the median counts.
const ROUNDS: usize = 9;

/// Virtual time in which a client has to be connected.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// What forwarding costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// CPU for each packet sent, in ns.
    pub packet_ns: f64,
    /// What no SFU can do without, measured in the same rounds: one copy of the payload and one seal, in ns.
    pub floor_ns: f64,
    /// Packets in each transmit.
    pub packets_per_transmit: f64,
}

impl Cost {
    /// How often the floor it is.
    pub fn ratio(&self) -> f64 {
        self.packet_ns / self.floor_ns
    }
}

/// Live bytes, in KiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// Of a connected transport with one video consumer that streams.
    pub transport_kib: f64,
    /// Of each further consumer.
    pub consumer_kib: f64,
}

/// Forwards `streams` streams to as many consumers on each of `transports` transports, and drains the outputs once in `batch`
/// packets of each stream. Each round is of forwarding and floor in turn, so that what else the machine does hits both.
pub fn forwarding(transports: usize, streams: usize, batch: usize) -> Cost {
    let mut load = Load::new(transports, streams);
    let mut floor = Floor::new();
    let per_round = (200_000 / (transports * streams)).clamp(32, 20_000).next_multiple_of(batch);
    forward(&mut load, 1, 1, true);
    forward(&mut load, 2_048usize.min(400_000 / (transports * streams)).max(64), batch, false);
    let mut rounds = Vec::new();
    let mut packets_per_transmit = 0.0;
    for _ in 0..ROUNDS {
        let (nanoseconds, sent, transmits) = forward(&mut load, per_round, batch, false);
        packets_per_transmit = sent as f64 / transmits as f64;
        rounds.push((nanoseconds as f64 / sent as f64, floor.packet_ns(sent.min(200_000))));
    }
    Cost {
        packet_ns: median(rounds.iter().map(|round| round.0).collect()),
        floor_ns: median(rounds.iter().map(|round| round.1).collect()),
        packets_per_transmit,
    }
}

/// What a connected transport and its consumers hold. Needs the [`CountingAllocator`].
pub fn memory() -> Memory {
    const TRANSPORTS: usize = 100;
    const FURTHER: usize = 9;
    let backend = Arc::new(FixedDtls::new(SrtpProfile::AeadAes128Gcm));
    let mut load = Load::new(1, 1 + FURTHER);
    let stream = |load: &mut Load| {
        forward(load, 1, 1, true);
        forward(load, 2_000, 1, false);
        CountingAllocator::counts().live_bytes
    };
    let start = stream(&mut load);
    let transports: Vec<_> = (0..TRANSPORTS).map(|_| load.add_transport(1, &backend)).collect();
    let first = stream(&mut load);
    for transport in &transports {
        load.add_consumers(*transport, 1, FURTHER);
    }
    let all = stream(&mut load);
    let kib = |bytes: i64, count: usize| bytes as f64 / count as f64 / 1_024.0;
    Memory {
        transport_kib: kib(first - start, TRANSPORTS),
        consumer_kib: kib(all - first, TRANSPORTS * FURTHER),
    }
}

/// Allocations for each packet that is forwarded in steady state, reports left out. Needs the [`CountingAllocator`].
pub fn allocations_per_packet() -> f64 {
    let mut load = Load::new(20, 3);
    forward(&mut load, 1, 1, true);
    forward(&mut load, 3_000, 1, false);
    // Within less than half a second no report is due but by chance: of the shortest of several times.
    let least = (0..ROUNDS).map(|_| {
        let packets: Vec<_> = (0..10).map(|_| load.next_packets(false)).collect();
        let before = CountingAllocator::counts().allocations;
        let sent = pass(&mut load, packets, 1).1;
        (CountingAllocator::counts().allocations - before) as f64 / sent as f64
    });
    least.fold(f64::INFINITY, f64::min)
}

/// CPU that connected transports without media take in a second of virtual time, in ms: timers, and the consent requests of
/// their clients.
pub fn idle_ms_per_second(transports: usize) -> f64 {
    const SECONDS: u64 = 20;
    let backend = Arc::new(FixedDtls::new(SrtpProfile::AeadAes128Gcm));
    let mut load = Load::empty(Some(backend.clone()), Duration::from_secs(30));
    let mut clients: Vec<_> = (0..transports).map(|_| load.new_client(backend.clone())).collect();
    for (client, remote) in &mut clients {
        // Clients do not ask all at once.
        load.pass(Duration::from_secs(5) / transports as u32);
        while !client.is_connected() {
            assert!(load.exchange(client, *remote), "connected");
        }
    }
    let mut spent_ns = 0;
    for _ in 0..SECONDS * 100 {
        load.pass(Duration::from_millis(10));
        for (client, remote) in &mut clients {
            spent_ns += say(&mut load, client, *remote);
        }
        spent_ns += timed(|| {
            load.timeout();
            load.drain()
        });
    }
    spent_ns as f64 / SECONDS as f64 / 1e6
}

/// CPU that the server spends on a client that connects, ICE and DTLS, in ms: the median of some.
pub fn connect_ms() -> f64 {
    const CLIENTS: usize = 100;
    let mut rng = Rng::from_seed([9; 32]);
    let certificate = Certificate::generate(&mut rng).unwrap_or_else(|error| panic!("{error}"));
    let backend = DimplBackend::new(&certificate, DimplBackendConfig::default());
    let backend = Arc::new(backend.unwrap_or_else(|error| panic!("{error}")));
    let mut load = Load::empty(None, Duration::from_secs(30));
    let connect = |load: &mut Load| {
        let mut made = None;
        let mut spent_ns = timed(|| made = Some(load.new_client(backend.clone())));
        let Some((mut client, remote)) = made else { unreachable!("it was made") };
        let start = load.now;
        while !client.is_connected() {
            assert!(load.now < start + CONNECT_PATIENCE, "a client does not connect");
            load.pass(Duration::from_millis(10));
            spent_ns += say(load, &mut client, remote);
            spent_ns += hear(load, &mut client);
        }
        // Its last words: with them the server is connected too.
        spent_ns += say(load, &mut client, remote);
        spent_ns += hear(load, &mut client);
        spent_ns as f64 / 1e6
    };
    median((0..CLIENTS).map(|_| connect(&mut load)).collect())
}

/// Takes what a client has to say; what that costs, in ns.
fn say(load: &mut Load, client: &mut ScriptedClient, remote: SocketAddr) -> u64 {
    let mut sent = Vec::new();
    client.poll(load.now, &mut sent);
    let datagrams = sent.iter_mut().map(|(_, payload)| {
        let datagram = Datagram { local: sfu_address(), remote, protocol: Protocol::Udp, payload };
        timed(|| load.sfu.handle_input(load.now, Input::Datagram(datagram)))
    });
    datagrams.sum()
}

/// Gives a client what there is for it; what that costs, in ns.
fn hear(load: &mut Load, client: &mut ScriptedClient) -> u64 {
    let mut spent_ns = 0;
    loop {
        let start = cpu_time_ns();
        let output = load.sfu.poll_output();
        spent_ns += cpu_time_ns() - start;
        match output {
            Output::Transmit(transmit) => {
                let size = transmit.segment_size.unwrap_or(transmit.payload.len());
                transmit
                    .payload
                    .chunks(size)
                    .for_each(|bytes| client.handle_datagram(load.now, sfu_address(), bytes));
            }
            Output::Timeout(_) => return spent_ns,
            Output::Event(_) | Output::Listen { .. } | Output::Unlisten { .. } => {}
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> u64 {
    let start = cpu_time_ns();
    work();
    cpu_time_ns() - start
}

/// Forwards `count` packets of every stream; gives CPU time, packets and transmits.
fn forward(load: &mut Load, count: usize, batch: usize, keyframe: bool) -> (u64, usize, usize) {
    let mut all = (0, 0, 0);
    // Encrypting what comes in is not the core's work: it is done before, a part at a time to save memory.
    let part = 64.max(batch);
    let mut left = count;
    while left > 0 {
        let packets: Vec<_> = (0..part.min(left)).map(|_| load.next_packets(keyframe)).collect();
        left -= packets.len();
        let (nanoseconds, sent, transmits) = pass(load, packets, batch);
        all = (all.0 + nanoseconds, all.1 + sent, all.2 + transmits);
    }
    all
}

/// Forwards packets that are encrypted; gives CPU time, packets and transmits.
fn pass(load: &mut Load, packets: Vec<Vec<(SocketAddr, Vec<u8>)>>, batch: usize) -> (u64, usize, usize) {
    let (mut datagrams, mut transmits) = (0, 0);
    let mut drain = |load: &mut Load| {
        let sent = load.drain();
        datagrams += sent.datagrams;
        transmits += sent.transmits;
    };
    let nanoseconds = timed(|| {
        for (nth, packet) in packets.into_iter().enumerate() {
            load.pass(Duration::from_millis(4));
            for (remote, mut bytes) in packet {
                load.feed(remote, &mut bytes);
            }
            if (nth + 1) % batch == 0 {
                drain(load);
            }
        }
        drain(load);
    });
    (nanoseconds, datagrams, transmits)
}

/// What no SFU can do without: copying the payload and sealing it.
struct Floor {
    key: LessSafeKey,
    payload: Vec<u8>,
    buffer: Vec<u8>,
}

impl Floor {
    fn new() -> Self {
        let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).unwrap_or_else(|_| panic!("a key of 16 bytes"));
        Floor {
            key: LessSafeKey::new(key),
            payload: vec![0x5a; PAYLOAD_BYTES],
            buffer: Vec::with_capacity(2 * PAYLOAD_BYTES),
        }
    }

    fn packet_ns(&mut self, packets: usize) -> f64 {
        let header = [0x90; 28];
        let nanoseconds = timed(|| {
            for index in 0..packets as u64 {
                self.buffer.clear();
                self.buffer.extend_from_slice(&header);
                self.buffer.extend_from_slice(&self.payload);
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&index.to_be_bytes());
                let (head, body) = self.buffer.split_at_mut(header.len());
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*head), body);
                let tag = tag.unwrap_or_else(|_| panic!("sealing"));
                self.buffer.extend_from_slice(tag.as_ref());
                std::hint::black_box(&self.buffer);
            }
        });
        nanoseconds as f64 / packets as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_measured_comes_about() {
        let cost = forwarding(2, 1, 2);
        assert!(cost.packet_ns > 0.0 && cost.floor_ns > 0.0);
        assert!(cost.packets_per_transmit > 1.0, "{cost:?}");
        assert!(idle_ms_per_second(3) > 0.0);
        assert!(connect_ms() > 0.0);
    }
}
