//! The simulated world, its plan read from bytes instead of drawn from a seed.
use crate::sim::plan::Plan;
use crate::sim::run::run;

/// Carries out the plan that the bytes describe; no rule may be broken.
///
/// # Panics
/// If one is.
pub fn world(data: &[u8]) {
    let report = run(&Plan::of_bytes(data));
    if let Some((at, violation)) = report.failure {
        panic!("at {at:?}: {violation}\n{}", report.log.join("\n"));
    }
}
