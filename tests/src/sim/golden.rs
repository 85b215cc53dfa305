//! Golden traces: what a few seeds came to is written down, so that a machine or a build profile on which they come to something
//! else is found out, and so is a change that was not meant to change anything.
use super::plan::{Fault, Plan};
use super::run::run;

/// The seeds: keys agreed beforehand, both versions of DTLS, one worker and two.
pub const SEEDS: [u64; 6] = [1, 5, 7, 9, 17, 21];

/// Where the traces are kept.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces.txt");

/// The text of that file as this build would write it: a line for each seed.
///
/// # Panics
/// If a seed breaks a rule: what is wrong is not written down as what is right.
pub fn traces() -> String {
    let line = |seed| {
        // They were written down before there were any.
        let plan = Plan::of_seed(seed).without(Fault::Spies).without(Fault::Operations);
        let report = run(&plan);
        assert!(report.failure.is_none(), "{}: {:?}", report.line(), report.failure);
        report.trace_line() + "\n"
    };
    SEEDS.into_iter().map(line).collect()
}
