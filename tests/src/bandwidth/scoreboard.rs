//! The scenarios of `tests/bwe-scoreboard.csv` and their rows.
use super::bottleneck::{Bucket, Path};
use super::measured::Measured;
use super::run::{Change, STEADY_US, Scenario, run, run_observed};
use super::sender::{Mode, Sender};

/// The first line.
pub const HEADER: &str =
    "scenario,utilisation,converge_s,added_delay_p95_ms,loss_pct,switches_per_min,frozen_s";

const SECOND_US: i64 = 1_000_000;

/// Seed of the rows in the file; others show whether its numbers are an accident.
pub const SEED: u64 = 4;

/// What convergence means in a row.
#[derive(Debug, Clone, Copy)]
enum Goal {
    /// From this time on, the mean estimate of each flow over a second comes within a tenth of this rate.
    Reach(i64, u64),
    /// From this time on, the estimate is at most a tenth above this rate and the queue drained.
    Relieve(i64, u64),
    /// From this time on, the mean estimate of each flow over five seconds comes within a fifth of this rate.
    Share(i64, u64),
}

impl Goal {
    fn reached_ms(self, flow: &Measured) -> Option<i64> {
        match self {
            Goal::Reach(from_us, rate_bps) => flow.converged_ms(from_us, rate_bps),
            Goal::Relieve(from_us, rate_bps) => flow.relieved_ms(from_us, rate_bps),
            Goal::Share(from_us, rate_bps) => flow.mean_reached_ms(from_us, rate_bps),
        }
    }
}

/// A row to be.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name.
    pub name: String,
    scenario: Scenario,
    /// What the flows can have of the path on average after [`STEADY_US`].
    available_bps: u64,
    goal: Goal,
}

/// The numbers of a row.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Media that arrived, in thousandths of what can.
    pub utilisation_per_mille: u64,
    /// Until the goal was reached, in ms.
    pub converge_ms: Option<i64>,
    /// Most that 95 % of the packets waited, in ms.
    pub added_delay_p95_ms: u64,
    /// Packets dropped at the queue's end, in thousandths.
    pub loss_per_mille: u64,
    /// Switches between layers after [`STEADY_US`], in tenths a minute.
    pub switches: u64,
    /// Without media for more than a second, in µs.
    pub frozen_us: i64,
    /// Of what the first flow has, in percent of all.
    pub first_share_percent: u64,
}

/// Which targets of the issue were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// 85 % of what can be had are used, 80 % where a tenth gets lost anyhow.
    pub utilisation: bool,
    /// Within 5 s, or 1 s for a step down.
    pub convergence: bool,
    /// At most 50 ms.
    pub delay: bool,
    /// Nothing is frozen outside of an outage.
    pub freezes: bool,
    /// Flows that share a path have between 40 and 60 % each.
    pub share: bool,
}

/// All rows, in the order of the file.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (rate_name, rate_bps) in
        [("300k", 300_000), ("1M", 1_000_000), ("3M", 3_000_000), ("10M", 10_000_000)]
    {
        for rtt_ms in [20, 100, 300] {
            for loss_percent in [0, 2, 10] {
                for queue_ms in [100, 500] {
                    let name = format!("{rate_name} rtt{rtt_ms} loss{loss_percent} queue{queue_ms}");
                    let path = path(rate_bps, rtt_ms, loss_percent, queue_ms);
                    rows.push(Row::steady(name, path));
                }
            }
        }
    }
    rows.extend(special());
    rows
}

impl Row {
    /// Runs the scenario with senders that use the whole estimate for utilisation, delay, loss and convergence, and with layers
    /// for switches and freezes.
    pub fn measure(&self, seed: u64) -> Outcome {
        let elastic = run(&self.scenario, seed);
        let modes = vec![Mode::Layers; self.scenario.flows.len()];
        let layers = run(&Scenario { flows: modes, ..self.scenario.clone() }, seed);
        let seconds = (self.scenario.length_us - STEADY_US) / SECOND_US;
        let total = |of: fn(&Measured) -> u64| elastic.iter().map(of).sum::<u64>();
        let media_bytes = total(|flow| flow.media_bytes);
        let reached: Option<Vec<i64>> = elastic.iter().map(|flow| self.goal.reached_ms(flow)).collect();
        let switches: u64 = layers.iter().map(|flow| flow.switches).sum();
        Outcome {
            utilisation_per_mille: media_bytes * 8_000 / (self.available_bps * seconds as u64),
            converge_ms: reached.and_then(|ms| ms.into_iter().max()),
            added_delay_p95_ms: elastic.iter().map(Measured::wait_p95_ms).max().unwrap_or(0),
            loss_per_mille: total(|flow| flow.dropped) * 1_000 / total(|flow| flow.sent).max(1),
            switches: switches * 600 / (seconds as u64 * layers.len() as u64),
            frozen_us: layers.iter().map(|flow| flow.frozen_us).max().unwrap_or(0),
            first_share_percent: elastic[0].media_bytes * 100 / media_bytes.max(1),
        }
    }

    /// Runs the scenario with senders that use the whole estimate, and gives each 100 ms the time in µs, the index of a flow and
    /// its sender to `observe`: for looking into a row.
    pub fn observe(&self, seed: u64, observe: impl FnMut(i64, usize, &Sender)) -> Vec<Measured> {
        run_observed(&self.scenario, seed, observe)
    }

    /// The line of the file.
    pub fn line(&self, outcome: &Outcome) -> String {
        let utilisation = outcome.utilisation_per_mille;
        format!(
            "{},{}.{:03},{},{},{},{},{}",
            self.name,
            utilisation / 1_000,
            utilisation % 1_000,
            outcome.converge_ms.map_or("never".to_owned(), |ms| tenths(ms as u64 / 100)),
            outcome.added_delay_p95_ms,
            tenths(outcome.loss_per_mille),
            tenths(outcome.switches),
            tenths(outcome.frozen_us as u64 / 100_000)
        )
    }

    /// Compares with the targets.
    pub fn targets(&self, outcome: &Outcome) -> Targets {
        let is_lossy = self.scenario.path.loss_per_mille >= 100;
        let most_ms = if matches!(self.goal, Goal::Relieve(..)) { 1_000 } else { 5_000 };
        let has_outage = self.scenario.changes.iter().any(|(_, change)| matches!(change, Change::Down(true)));
        Targets {
            utilisation: outcome.utilisation_per_mille >= if is_lossy { 800 } else { 850 },
            convergence: outcome.converge_ms.is_some_and(|ms| ms <= most_ms),
            delay: outcome.added_delay_p95_ms <= 50,
            freezes: outcome.frozen_us == 0 || has_outage,
            share: self.scenario.flows.len() == 1 || (40..=60).contains(&outcome.first_share_percent),
        }
    }

    fn steady(name: String, path: Path) -> Self {
        let arriving_bps = path.rate_bps * u64::from(1_000 - path.loss_per_mille) / 1_000;
        Row {
            name,
            scenario: Scenario::steady(path, Mode::Elastic),
            available_bps: arriving_bps,
            goal: Goal::Reach(0, path.rate_bps),
        }
    }

    fn changing(name: &str, path: Path, changes: &[(i64, Change)], available_bps: u64, goal: Goal) -> Self {
        let row = Row::steady(name.to_owned(), path);
        let scenario = Scenario { changes: changes.to_vec(), ..row.scenario };
        Row { scenario, available_bps, goal, ..row }
    }

    fn sharing(name: &str, path: Path, stagger_us: i64) -> Self {
        let row = Row::steady(name.to_owned(), path);
        let flows = vec![Mode::Elastic; 2];
        let scenario = Scenario { flows, stagger_us, length_us: 60 * SECOND_US, ..row.scenario };
        Row { scenario, goal: Goal::Share(stagger_us, path.rate_bps / 2), ..row }
    }
}

fn path(rate_bps: u64, rtt_ms: i64, loss_percent: u32, queue_ms: i64) -> Path {
    Path {
        rate_bps,
        delay_us: rtt_ms * 500,
        jitter_us: 0,
        loss_per_mille: loss_percent * 10,
        queue_us: queue_ms * 1_000,
        bucket: None,
    }
}

fn shaped(rate_bps: u64, burst_bytes: u64) -> Path {
    let bucket = Some(Bucket { burst_bytes, line_bps: 100_000_000 });
    Path { bucket, ..path(rate_bps, 40, 0, 100) }
}

fn special() -> Vec<Row> {
    let base = path(3_000_000, 100, 0, 100);
    let at = |second: i64| second * SECOND_US;
    let steps = [(at(15), Change::Rate(800_000)), (at(25), Change::Rate(3_000_000))];
    let outage = [(at(15), Change::Down(true)), (at(18), Change::Down(false))];
    let cross = [(at(15), Change::Cross(1_500_000)), (at(25), Change::Cross(0))];
    let reno = [(at(15), Change::Reno(true)), (at(25), Change::Reno(false))];
    let long = Path { queue_us: 500_000, ..base };
    let jitter = Path { jitter_us: 50_000, ..base };
    let back = Goal::Reach(at(25), 3_000_000);
    let narrow = path(540_000, 100, 0, 100);
    let narrower = [(at(15), Change::Rate(150_000))];
    let wider = [(at(25), Change::Rate(3_000_000))];
    let wide = Goal::Reach(at(25), 3_000_000);
    vec![
        Row::changing("step down to 0.8M", base, &steps, 2_266_666, Goal::Relieve(at(15), 800_000)),
        Row::changing("step up to 3M", base, &steps, 2_266_666, back),
        Row::changing("step down to 0.8M queue500", long, &steps, 2_266_666, Goal::Relieve(at(15), 800_000)),
        Row::changing("step up to 3M queue500", long, &steps, 2_266_666, back),
        Row::changing("outage 3s", base, &outage, 2_700_000, Goal::Reach(at(18), 3_000_000)),
        Row::changing("competing 1.5M", base, &cross, 2_500_000, back),
        // Half of the path while the other is there.
        Row::changing("competing AIMD", base, &reno, 2_500_000, back),
        Row::sharing("two flows 3M", base, 0),
        Row::sharing("two flows 3M the second 5s later", base, 5_000_000),
        Row::steady("jitter 50ms 3M".to_owned(), jitter),
        Row::changing("step down 540k to 150k", narrow, &narrower, 215_000, Goal::Relieve(at(15), 150_000)),
        Row::steady("shaper 300k burst 16K".to_owned(), shaped(300_000, 16_000)),
        Row::steady("shaper 1M burst 16K".to_owned(), shaped(1_000_000, 16_000)),
        Row::steady("shaper 1M burst 32K".to_owned(), shaped(1_000_000, 32_000)),
        Row::steady("shaper 3M burst 32K".to_owned(), shaped(3_000_000, 32_000)),
        Row::steady("shaper 10M burst 64K".to_owned(), shaped(10_000_000, 64_000)),
        Row::changing("shaper 1M to 3M burst 32K", shaped(1_000_000, 32_000), &wider, 2_000_000, wide),
    ]
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}
