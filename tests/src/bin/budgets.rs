//! Every budget of the design beside what is measured: `cargo run --release -p sansfu-tests --bin budgets`.
//!
//! Prints a line that describes the machine, and a CSV line for each budget: `name,measured,budget,met`. Takes some minutes, and
//! is the truer the less else the machine does.
use std::process::ExitCode;

use sansfu_tests::budgets::Row;
use sansfu_tests::budgets::core::{
    allocations_per_packet, connect_ms, forwarding, idle_ms_per_second, memory,
};
use sansfu_tests::budgets::server::{Runtime, bare_send_us, run, serve_if_asked};
use sansfu_tests::counting_allocator::CountingAllocator;
use sansfu_tests::load::args::Args;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What mediasoup's worker 3.27 takes for a packet with 100 WebRTC consumers and bandwidth estimation, in µs: the lowest that was
/// measured, on a machine where a bare `sendto` takes [`REFERENCE_SEND_US`]. Its binary cannot be fetched everywhere, so it is
/// scaled by what a bare send costs here.
const MEDIASOUP_US: f64 = 5.4;
const REFERENCE_SEND_US: f64 = 2.55;

fn main() -> ExitCode {
    if let Some(status) = serve_if_asked() {
        return status;
    }
    println!("# {}", machine());
    println!("{}", Row::HEADER);
    measure_core();
    match measure_servers() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_core() {
    let [ten, hundred, thousand] = [10, 100, 1_000].map(|consumers| forwarding(consumers, 1, 1));
    println!("{}", Row::new("core_10_consumers_ratio_to_floor", ten.ratio(), 1.5));
    println!("{}", Row::new("core_100_consumers_ratio_to_floor", hundred.ratio(), 1.5));
    println!("{}", Row::new("core_1000_consumers_ratio_to_floor", thousand.ratio(), 1.5));
    println!("{}", Row::new("core_1000_consumers_ratio_to_10", thousand.ratio() / ten.ratio(), 1.2));
    let streams = forwarding(10, 100, 1).ratio() / ten.ratio();
    println!("{}", Row::new("core_100_streams_a_transport_ratio_to_1", streams, 1.2));
    println!("{}", Row::new("allocations_per_packet", allocations_per_packet(), 0.0));
    println!("{}", Row::new("idle_1000_transports_ms_per_s", idle_ms_per_second(1_000), 2.0));
    let memory = memory();
    println!("{}", Row::new("memory_transport_with_consumer_kib", memory.transport_kib, 48.0));
    println!("{}", Row::new("memory_further_consumer_kib", memory.consumer_kib, 12.0));
    println!("{}", Row::new("connect_ms", connect_ms(), 1.0));
}

/// Both with about half a core busy, as what they are compared with was measured on a core that was: of a server with little to do
/// waking up is most of the cost. Bursts: frames of thirty packets. Steady: a packet of each stream every 8 ms.
fn measure_servers() -> Result<(), String> {
    let args = Args { publishers: 3, subscribers: 100, video_kbps: 8_000, seconds: 10, ..Args::default() };
    let reference_us = MEDIASOUP_US * bare_send_us(1.0)? / REFERENCE_SEND_US;
    let mut bursts_us = Vec::new();
    for (runtime, name, against) in [
        (Runtime::Smol, "runtime_smol_ratio_to_core_and_sends", "smol_bursts_ratio_to_mediasoup_scaled"),
        (Runtime::Std, "runtime_std_ratio_to_core_and_sends", "std_bursts_ratio_to_mediasoup_scaled"),
    ] {
        let served = run(runtime, args.clone())?;
        let batch = served.per_transmit.round().max(1.0) as usize;
        let core = forwarding(args.subscribers, args.publishers, batch);
        let least_us = core.packet_ns / 1_000.0 + bare_send_us(served.per_transmit)?;
        println!("{}", Row::new(name, served.us_per_packet / least_us, 1.25));
        println!("{}", Row::new(against, served.us_per_packet / reference_us, 0.3));
        bursts_us.push(served.us_per_packet);
    }
    let (smol_us, std_us) = (bursts_us[0], bursts_us[1]);
    println!("{}", Row::new("dearer_runtime_ratio_to_other", (smol_us / std_us).max(std_us / smol_us), 1.1));
    let steady = Args { publishers: 6, video_kbps: 1_000, fps: 120, ..args };
    let steady_us = run(Runtime::Smol, steady)?.us_per_packet;
    println!("{}", Row::new("smol_steady_ratio_to_mediasoup_scaled", steady_us / reference_us, 0.5));
    Ok(())
}

/// Processor, cores and kernel.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    format!(
        "{}, {cores} cores, Linux {}, load average {}",
        model.trim_start_matches([' ', '\t', ':']),
        read("/proc/sys/kernel/osrelease").trim(),
        load.split(' ').next().unwrap_or("unknown")
    )
}
