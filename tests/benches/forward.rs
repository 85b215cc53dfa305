//! Forwarding one packet to N consumers, in memory; `src/bin/cost.rs` sets it beside the floor.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sansfu_tests::load::memory::Load;

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for (transports, streams) in [(1, 1), (10, 1), (100, 1), (1_000, 1), (10, 10), (10, 100)] {
        let mut load = Load::new(transports, streams);
        for (remote, mut packet) in load.next_packets(true) {
            load.feed(remote, &mut packet);
        }
        load.drain();
        let load = std::cell::RefCell::new(load);
        group.throughput(Throughput::Elements((transports * streams) as u64));
        group.bench_function(format!("{transports}x{streams}"), |bencher| {
            bencher.iter_batched(
                || load.borrow_mut().next_packets(false),
                |packets| {
                    let mut load = load.borrow_mut();
                    load.pass(Duration::from_millis(4));
                    for (remote, mut packet) in packets {
                        load.feed(remote, &mut packet);
                    }
                    load.drain()
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
