//! What forwarding a packet costs the core, beside what it must cost: `cargo run --release -p sansfu-tests --bin cost`.
//!
//! CPU time of this thread, in memory: no socket, no kernel. The floor is measured in the same run, between the others.
use sansfu_tests::budgets::core::{forwarding, memory};
use sansfu_tests::counting_allocator::CountingAllocator;

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
            let cost = forwarding(transports, streams, batch);
            println!(
                "{transports:>10} {streams:>8} {batch:>6} {:>10.0} {:>10.0} {:>7.2} {:>9.2}",
                cost.packet_ns,
                cost.floor_ns,
                cost.ratio(),
                cost.packets_per_transmit
            );
        }
    }
    let memory = memory();
    println!("\nconnected transport with one video consumer: {:.1} KiB", memory.transport_kib);
    println!("each further consumer: {:.1} KiB", memory.consumer_kib);
}
