//! The load tool against both runtimes: everybody joins, media flows, and the numbers are about what was done.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;

use sansfu::server::settings::{RtcAddresses, Settings};
use sansfu_runtime::{Running, StartError};
use sansfu_tests::load::args::Args;
use sansfu_tests::load::crowd::{RunError, run};
use sansfu_tests::load::report::Summary;

/// The summary and the live lines of a run, which may have been stopped before it begins.
fn measure<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
    args: Args,
    is_stopped: bool,
) -> (Summary, String) {
    let settings = Settings {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        rtc_ipv4: RtcAddresses::List(vec![Ipv4Addr::LOCALHOST]),
        rtc_ipv6: RtcAddresses::Off,
        rtc_port: 0,
        num_workers: Some(1),
        ..Settings::default()
    };
    let server = start(&settings).unwrap();
    let args = Args { authority: server.http_address().to_string(), ..args };
    let mut live = Vec::new();
    let summary = run(&args, &AtomicBool::new(is_stopped), &mut live).unwrap();
    server.stopper().stop();
    server.wait().unwrap();
    (summary, String::from_utf8(live).unwrap())
}

#[test]
fn a_publisher_and_two_subscribers_over_threads() {
    let args = Args {
        publishers: 1,
        subscribers: 2,
        full: 1,
        seconds: 2,
        audio: true,
        pid: Some(std::process::id()),
        ..Args::default()
    };
    let (summary, live) = measure(sansfu_std::start, args, false);
    assert_eq!((summary.joined, summary.failed_joins(), summary.dropped_clients()), (3, 0, 0), "{summary}");
    let totals = &summary.measured.totals;
    assert!(totals.sent > 0 && totals.received > 0, "{summary}");
    assert!(totals.expected >= totals.received);
    // One of two decrypts.
    let latency = &summary.measured.latency;
    assert!(latency.count() > 0 && latency.count() < totals.received, "{summary}");
    assert_eq!(totals.refused, 0, "{summary}");
    assert!(live.lines().all(|line| line.contains("/3 joined")) && live.contains("3/3 joined"), "{live}");
    assert!(summary.server.is_some());
}

#[test]
fn simulcast_among_publishers_over_smol() {
    let args = Args {
        publishers: 2,
        subscribers: 0,
        publishers_consume: true,
        simulcast: true,
        full: 2,
        seconds: 2,
        threads: 2,
        ..Args::default()
    };
    let (summary, _) = measure(sansfu_smol::start, args, false);
    assert_eq!((summary.joined, summary.failed_joins()), (2, 0), "{summary}");
    let totals = &summary.measured.totals;
    assert!(totals.received > 0 && summary.measured.latency.count() > 0, "{summary}");
    assert_eq!(totals.refused, 0, "{summary}");
}

#[test]
fn without_a_server_it_says_so() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let args = Args { authority: nobody.to_string(), ..Args::default() };
    match run(&args, &AtomicBool::new(false), &mut Vec::new()) {
        Err(RunError::NoServer(why)) => assert!(why.contains(&nobody.to_string()), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_stopped_sums_up_what_there_was() {
    let args = Args { publishers: 1, subscribers: 1, seconds: 600, ..Args::default() };
    let (summary, _) = measure(sansfu_std::start, args, true);
    assert_eq!((summary.joined, summary.failed_joins()), (0, 2), "{summary}");
}
