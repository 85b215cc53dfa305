//! The simulated world itself: a seed is a run, and whoever breaks a rule is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::collections::BTreeSet;

use sansfu_tests::sim::plan::{Cut, Fault, Plan};
use sansfu_tests::sim::run::run;

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
