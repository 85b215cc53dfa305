//! What sansfu may cost, and what it does cost: the measurements behind the binaries `cost` and `budgets`.
//!
//! Everything is CPU time, and what matters are ratios of one run: the machine is shared, and what else it does hits all parts
//! of a measurement alike. [`core`] measures the state machine in memory, [`server`] a whole server over real sockets.
pub mod core;
pub mod server;

use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// A measurement beside its budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured, in units.
    pub name: &'static str,
    /// What it came to.
    pub measured: f64,
    /// The most that it may be.
    pub budget: f64,
}

impl Row {
    /// The first line of a table.
    pub const HEADER: &'static str = "name,measured,budget,met";

    /// A measurement beside its budget.
    pub fn new(name: &'static str, measured: f64, budget: f64) -> Row {
        Row { name, measured, budget }
    }

    /// Whether the budget is kept.
    pub fn is_met(&self) -> bool {
        self.measured <= self.budget
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = if self.is_met() { "yes" } else { "no" };
        write!(f, "{},{:.3},{},{met}", self.name, self.measured, self.budget)
    }
}

/// CPU time of this thread: not the wall clock, because others use the machine.
pub fn cpu_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The value in the middle.
///
/// # Panics
/// Without values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_budget_is_kept() {
        assert_eq!(Row::new("a_ms", 1.0, 1.0).to_string(), "a_ms,1.000,1,yes");
        assert_eq!(Row::new("b", 1.001, 1.0).to_string(), "b,1.001,1,no");
        assert!(!Row::new("c", f64::NAN, 1.0).is_met(), "nothing was measured");
    }

    #[test]
    fn the_median_is_of_the_sorted_values() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
    }
}
