//! What forwarding a packet costs the core, beside what it must cost: `cargo run --release -p sansfu-tests --bin cost`.
//!
//! CPU time of this thread, in memory: no socket, no kernel. The floor is measured in the same run, between the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::time::{ClockId, clock_gettime};
use sansfu::srtp::SrtpProfile;
use sansfu_tests::counting_allocator::CountingAllocator;
use sansfu_tests::fixed_dtls::FixedDtls;
use sansfu_tests::load::memory::{Load, PAYLOAD_BYTES};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Packets handled before outputs are taken: 1 as from an idle socket, 8 as from a burst.
const BATCHES: [usize; 2] = [1, 8];

fn main() {
    let filter: Option<usize> = std::env::args().nth(1).and_then(|text| text.parse().ok());
    println!(
        "{:>10} {:>8} {:>6} {:>10} {:>10} {:>7} {:>9}",
        "transports", "streams", "batch", "ns/packet", "floor ns", "ratio", "pkts/call"
    );
    for (transports, streams) in [(1, 1), (10, 1), (100, 1), (1_000, 1), (10, 10), (10, 100)] {
        if filter.is_some_and(|only| only != transports) {
            continue;
        }
        for batch in BATCHES {
            let cost = measure(transports, streams, batch);
            println!(
                "{transports:>10} {streams:>8} {batch:>6} {:>10.0} {:>10.0} {:>7.2} {:>9.2}",
                cost.packet_ns,
                cost.floor_ns,
                cost.packet_ns / cost.floor_ns,
                cost.packets_per_transmit
            );
        }
    }
    memory();
}

struct Cost {
    packet_ns: f64,
    floor_ns: f64,
    packets_per_transmit: f64,
}

/// The median of several rounds, each of forwarding and floor in turn, so that what else the machine does hits both.
fn measure(transports: usize, streams: usize, batch: usize) -> Cost {
    let mut load = Load::new(transports, streams);
    let mut floor = Floor::new();
    let per_round = (200_000 / (transports * streams)).clamp(32, 20_000).next_multiple_of(batch);
    forward(&mut load, 1, 1, true);
    forward(&mut load, 2_048usize.min(400_000 / (transports * streams)).max(64), batch, false);
    let mut rounds: Vec<(f64, f64)> = Vec::new();
    let mut packets_per_transmit = 0.0;
    for _ in 0..9 {
        let (nanoseconds, sent, transmits) = forward(&mut load, per_round, batch, false);
        packets_per_transmit = sent as f64 / transmits as f64;
        rounds.push((nanoseconds as f64 / sent as f64, floor.packet_ns(sent.min(200_000))));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        packet_ns: median(rounds.iter().map(|round| round.0).collect()),
        floor_ns: median(rounds.iter().map(|round| round.1).collect()),
        packets_per_transmit,
    }
}

/// Forwards `count` packets of every stream; gives CPU time, packets and transmits.
fn forward(load: &mut Load, count: usize, batch: usize, keyframe: bool) -> (u64, usize, usize) {
    let (mut nanoseconds, mut datagrams, mut transmits) = (0, 0, 0);
    // Encrypting what comes in is not the core's work: it is done before, a part at a time to save memory.
    let part = 64.max(batch);
    let mut left = count;
    while left > 0 {
        let packets: Vec<_> = (0..part.min(left)).map(|_| load.next_packets(keyframe)).collect();
        left -= packets.len();
        let start = cpu_time_ns();
        let mut waiting = 0;
        for packet in packets {
            load.pass(Duration::from_millis(4));
            for (remote, mut bytes) in packet {
                load.feed(remote, &mut bytes);
            }
            waiting += 1;
            if waiting % batch == 0 {
                let sent = load.drain();
                datagrams += sent.datagrams;
                transmits += sent.transmits;
            }
        }
        let sent = load.drain();
        datagrams += sent.datagrams;
        transmits += sent.transmits;
        nanoseconds += cpu_time_ns() - start;
    }
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
        let start = cpu_time_ns();
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
        (cpu_time_ns() - start) as f64 / packets as f64
    }
}

/// Live bytes for a connected transport with one consumer that streams, and for each further consumer.
fn memory() {
    const TRANSPORTS: usize = 100;
    const FURTHER: usize = 9;
    let backend = Arc::new(FixedDtls::new(SrtpProfile::AeadAes128Gcm));
    let mut load = Load::new(1, 1 + FURTHER);
    forward(&mut load, 1, 1, true);
    forward(&mut load, 2_000, 1, false);
    let start = CountingAllocator::counts().live_bytes;
    let transports: Vec<_> = (0..TRANSPORTS).map(|_| load.add_transport(1, &backend)).collect();
    forward(&mut load, 1, 1, true);
    forward(&mut load, 2_000, 1, false);
    let first = CountingAllocator::counts().live_bytes;
    for transport in &transports {
        load.add_consumers(*transport, 1, FURTHER);
    }
    forward(&mut load, 1, 1, true);
    forward(&mut load, 2_000, 1, false);
    let all = CountingAllocator::counts().live_bytes;
    let kibibytes = |bytes: i64, count: usize| bytes as f64 / count as f64 / 1_024.0;
    println!(
        "\nconnected transport with one video consumer: {:.1} KiB",
        kibibytes(first - start, TRANSPORTS)
    );
    println!("each further consumer: {:.1} KiB", kibibytes(all - first, TRANSPORTS * FURTHER));
}

/// CPU time of this thread: not the wall clock, because others use the machine.
fn cpu_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
