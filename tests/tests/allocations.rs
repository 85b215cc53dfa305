//! A forwarded packet allocates nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::time::Duration;

use sansfu_tests::counting_allocator::CountingAllocator;
use sansfu_tests::load::memory::Load;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_forwarded_packet_allocates_nothing() {
    let mut load = Load::new(20, 3);
    // Until every buffer has its size: more than the retransmission storage holds, reports and feedback among it.
    let mut forward = |packets: usize, keyframe: bool| {
        let batches: Vec<_> = (0..packets).map(|_| load.next_packets(keyframe)).collect();
        let before = CountingAllocator::counts().allocations;
        let mut datagrams = 0;
        for batch in batches {
            load.pass(Duration::from_millis(10));
            for (remote, mut packet) in batch {
                load.feed(remote, &mut packet);
            }
            datagrams += load.drain().datagrams;
        }
        (CountingAllocator::counts().allocations - before, datagrams)
    };
    forward(1, true);
    forward(3_000, false);
    let (allocations, datagrams) = forward(100, false);
    assert!(datagrams >= 20 * 3 * 100, "{datagrams}");
    // What a report allocates is allowed, not what a packet does: 21 transports report once in this second.
    assert!(allocations < 21 * 8, "{allocations} allocations for {datagrams} datagrams");
}
