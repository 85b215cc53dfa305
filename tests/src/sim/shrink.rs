//! Cuts a failing plan down to what the failure needs.
use std::collections::BTreeSet;

use super::plan::{Cut, Fault, Plan};
use super::run::run;

/// The most runs that shrinking takes.
const MAX_RUNS: usize = 120;

/// Finds a smaller cut of `plan` that breaks `rule` as well, from `cut` on.
pub fn shrink(plan: &Plan, cut: Cut, rule: &str) -> Cut {
    shrink_by(plan, cut, |plan| run(plan).broken_rule() == Some(rule))
}

fn shrink_by(plan: &Plan, cut: Cut, mut fails: impl FnMut(&Plan) -> bool) -> Cut {
    let mut runs = 0;
    let mut still_fails = |cut: &Cut| {
        runs += 1;
        runs <= MAX_RUNS && fails(&plan.cut(cut))
    };
    let mut best = cut;
    for (fault, _) in Fault::ALL {
        let mut smaller = best.clone();
        if smaller.off.insert(fault) && still_fails(&smaller) {
            best = smaller;
        }
    }
    let all: BTreeSet<usize> = best.kept.clone().unwrap_or_else(|| (0..plan.actions.len()).collect());
    let mut chunk = all.len().div_ceil(2);
    let mut kept = all;
    // Delta debugging (Zeller, Hildebrandt 2002): leave out ever smaller pieces.
    while chunk > 0 {
        let pieces: Vec<Vec<usize>> =
            kept.iter().copied().collect::<Vec<_>>().chunks(chunk).map(<[usize]>::to_vec).collect();
        for piece in pieces {
            let smaller: BTreeSet<usize> =
                kept.iter().filter(|index| !piece.contains(index)).copied().collect();
            let candidate = Cut { kept: Some(smaller.clone()), ..best.clone() };
            if still_fails(&candidate) {
                kept = smaller;
                best = candidate;
            }
        }
        chunk /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::Action;

    #[test]
    fn only_what_the_failure_needs_is_left() {
        let is_rebind = |action: &Action| matches!(action, Action::Rebind);
        let seed = (0..).find(|seed| {
            let plan = Plan::of_seed(*seed);
            plan.actions.len() > 10 && plan.actions.iter().any(|timed| is_rebind(&timed.action))
        });
        let plan = Plan::of_seed(seed.unwrap());
        let fails = |plan: &Plan| plan.actions.iter().any(|timed| is_rebind(&timed.action));
        let cut = shrink_by(&plan, Cut::default(), fails);
        let left = plan.cut(&cut);
        assert!(left.actions.len() == 1 && fails(&left));
        assert!(!cut.off.contains(&Fault::Nat) && cut.off.len() == Fault::ALL.len() - 1);
        let shown = cut.to_string();
        assert!(shown.starts_with(" --off loss,") && shown.contains(" --only "), "{shown}");
    }
}
