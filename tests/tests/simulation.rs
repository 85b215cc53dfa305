//! The simulated world itself: a seed is a run, and whoever breaks a rule is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::collections::BTreeSet;

use std::time::Duration;

use sansfu_tests::peer::publishing::TrackKind;
use sansfu_tests::sim::golden;
use sansfu_tests::sim::plan::{Action, Cut, Fault, HostPlan, Plan, SecurityKind, Silence, Timed};
use sansfu_tests::sim::run::{Report, run};

/// The whole plan in peace.
fn without_faults(seed: u64) -> Plan {
    let off: BTreeSet<Fault> = Fault::ALL.iter().map(|(fault, _)| *fault).collect();
    Plan::of_seed(seed).cut(&Cut { off, kept: None })
}

#[test]
fn the_same_seed_is_the_same_run_to_the_last_byte() {
    let mut traces = BTreeSet::new();
    for seed in 1..=6 {
        let plan = Plan::of_seed(seed);
        let (one, two) = (run(&plan), run(&plan));
        assert_eq!(one.line(), two.line());
        assert_eq!((one.simulated, one.datagrams), (two.simulated, two.datagrams));
        assert!(one.failure.is_none(), "{}: {:?}", one.line(), one.failure);
        traces.insert(one.trace);
    }
    assert_eq!(traces.len(), 6, "another seed is another run");
}

#[test]
fn rooms_on_one_worker_or_on_two_are_the_same_for_those_in_them() {
    let mut received = 0;
    for seed in 10..20 {
        let outcome = |workers| {
            let report = run(&Plan { workers, ..without_faults(seed) });
            assert!(report.failure.is_none(), "{}: {:?}", report.line(), report.failure);
            report.outcome
        };
        let one = outcome(1);
        assert_eq!(one, outcome(2), "seed {seed}");
        received += one.values().filter(|flows| **flows).count();
    }
    assert!(received > 20, "there was something to compare: {received}");
}

/// The file was written by a release build, mostly on another machine: what differs between those would show here.
#[test]
fn golden_traces_are_the_same_in_every_build_and_on_every_machine() {
    let written = std::fs::read_to_string(golden::FILE).unwrap();
    let traces = golden::traces();
    assert!(
        traces == written,
        "The traces are not those of {}. If nothing was meant to change in what is sent, this is a bug. Else write them anew, \
         from another build than that of this test, and say in the commit why they have changed:\n\
         cargo run --release -p sansfu-tests --bin sim -- --write-traces\n\nthey are:\n{traces}\nthey were:\n{written}",
        golden::FILE,
    );
}

#[test]
fn golden_traces_are_of_every_kind() {
    let plans = golden::SEEDS.map(Plan::of_seed);
    for kind in [SecurityKind::Agreed, SecurityKind::Dtls12, SecurityKind::Dtls13] {
        assert!(plans.iter().any(|plan| plan.security == kind), "{kind:?}");
    }
    for workers in [1, 2] {
        assert!(plans.iter().any(|plan| plan.workers == workers), "{workers} worker(s)");
    }
}

/// Two clients in peace but for a silence of one of them, five seconds into the call.
fn with_a_silence(sending: bool, of: Silence, hold: Duration) -> Report {
    let peace = without_faults(10);
    let hosts =
        peace.hosts.iter().take(2).map(|host| HostPlan { lacks: Vec::new(), ..host.clone() }).collect();
    let timed = |at, host, action| Timed { at: Duration::from_secs(at), host, action };
    let tracks = vec![TrackKind::Opus];
    let actions = vec![
        timed(0, 0, Action::Join { room: 0, tracks: tracks.clone() }),
        timed(0, 1, Action::Join { room: 0, tracks }),
        timed(5, 0, Action::Silence { sending, of, hold }),
    ];
    let duration = Duration::from_secs(45);
    run(&Plan { workers: 1, rooms: 1, security: SecurityKind::Agreed, hosts, duration, actions, ..peace })
}

#[test]
fn short_silences_are_survived_and_long_ones_end_the_transport() {
    for (sending, of) in [
        (true, Silence::Checks),
        (false, Silence::Checks),
        (true, Silence::Everything),
        (false, Silence::Everything),
    ] {
        for (hold, expired) in [(20, 0), (35, 1)] {
            let report = with_a_silence(sending, of, Duration::from_secs(hold));
            assert!(report.failure.is_none(), "{}: {:?}", report.line(), report.failure);
            assert_eq!(report.expired, expired, "sending {sending}, {of:?}, {hold} s");
        }
    }
}
