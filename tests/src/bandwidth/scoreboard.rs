//! The scenarios of `tests/bwe-scoreboard.csv` and their rows.
use super::bottleneck::Path;
use super::run::{Change, Measured, STEADY_US, Scenario, run};
use super::sender::Mode;

/// The first line.
pub const HEADER: &str =
    "scenario,utilisation,converge_s,added_delay_p95_ms,loss_pct,switches_per_min,frozen_s";

/// Seed of all rows.
const SEED: u64 = 4;

/// A row to be: its name, the run, what the flows can have of the path on average after [`STEADY_US`], and from when and to
/// which rate convergence counts.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name.
    pub name: String,
    scenario: Scenario,
    available_bps: u64,
    converge: (i64, u64),
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
    /// The line: runs the scenario with senders that use the whole estimate for utilisation, delay, loss and convergence, and
    /// with layers for switches and freezes.
    pub fn line(&self) -> String {
        let elastic = run(&self.scenario, SEED);
        let layers =
            Scenario { flows: vec![Mode::Layers; self.scenario.flows.len()], ..self.scenario.clone() };
        let layers = run(&layers, SEED);
        let seconds = (self.scenario.length_us - STEADY_US) / 1_000_000;
        let arrived: u64 = elastic.iter().map(|flow| flow.media_bytes * 8).sum();
        let utilisation = arrived * 1_000 / (self.available_bps * seconds as u64);
        let (from_us, rate_bps) = self.converge;
        // From above, a tenth too much is reached as well.
        let bounds_bps = rate_bps * 9 / 10..if rate_bps < 600_000 { rate_bps * 11 / 10 } else { u64::MAX };
        let reached = |flow: &Measured| flow.reached_ms(from_us, bounds_bps.clone());
        let converge_ms = elastic.iter().map(reached).max().flatten();
        let converge = converge_ms.map_or("never".to_owned(), |ms| tenths(ms as u64 / 100));
        let delay_ms = elastic.iter().map(Measured::wait_p95_ms).max().unwrap_or(0);
        let sent: u64 = elastic.iter().map(|flow| flow.sent).sum();
        let dropped: u64 = elastic.iter().map(|flow| flow.dropped).sum();
        let loss = dropped * 1_000 / sent.max(1);
        let switches: u64 = layers.iter().map(|flow| flow.switches).sum();
        let switches = switches * 600_000_000 / (self.scenario.length_us as u64 * layers.len() as u64);
        let frozen_us = layers.iter().map(|flow| flow.frozen_us).max().unwrap_or(0);
        format!(
            "{},0.{utilisation:03},{converge},{delay_ms},{},{},{}",
            self.name,
            tenths(loss),
            tenths(switches),
            tenths(frozen_us as u64 / 100_000)
        )
    }

    fn steady(name: String, path: Path) -> Self {
        let arriving_bps = path.rate_bps * u64::from(1_000 - path.loss_per_mille) / 1_000;
        Row {
            name,
            scenario: Scenario::steady(path, Mode::Elastic),
            available_bps: arriving_bps,
            converge: (0, path.rate_bps),
        }
    }
}

fn path(rate_bps: u64, rtt_ms: i64, loss_percent: u32, queue_ms: i64) -> Path {
    Path {
        rate_bps,
        delay_us: rtt_ms * 500,
        jitter_us: 0,
        loss_per_mille: loss_percent * 10,
        queue_us: queue_ms * 1_000,
    }
}

fn special() -> Vec<Row> {
    let base = path(3_000_000, 100, 0, 100);
    let row = |name: &str| Row::steady(name.to_owned(), base);
    let with = |row: Row, changes: &[(i64, Change)]| Row {
        scenario: Scenario { changes: changes.to_vec(), ..row.scenario.clone() },
        ..row
    };
    let second = 1_000_000;
    let steps = [(15 * second, Change::Rate(800_000)), (25 * second, Change::Rate(3_000_000))];
    let outage = [(15 * second, Change::Down(true)), (18 * second, Change::Down(false))];
    let cross = [(15 * second, Change::Cross(1_500_000)), (25 * second, Change::Cross(0))];
    let jitter = Path { jitter_us: 50_000, ..base };
    let two = Scenario { flows: vec![Mode::Elastic; 2], ..Scenario::steady(base, Mode::Elastic) };
    vec![
        Row {
            available_bps: 2_266_666,
            converge: (15 * second, 720_000),
            ..with(row("step down to 0.8M"), &steps)
        },
        Row {
            available_bps: 2_266_666,
            converge: (25 * second, 3_000_000),
            ..with(row("step up to 3M"), &steps)
        },
        Row {
            available_bps: 2_700_000,
            converge: (18 * second, 3_000_000),
            ..with(row("outage 3s"), &outage)
        },
        Row {
            available_bps: 2_500_000,
            converge: (25 * second, 3_000_000),
            ..with(row("competing 1.5M"), &cross)
        },
        Row { scenario: two, converge: (0, 1_500_000), ..row("two flows 3M") },
        Row::steady("jitter 50ms 3M".to_owned(), jitter),
    ]
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}
