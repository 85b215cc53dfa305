//! Writes `tests/bwe-scoreboard.csv`: `cargo run --release -p sansfu-tests --bin scoreboard`.
//!
//! What the bandwidth estimation reaches in each scenario of [`sansfu_tests::bandwidth::scoreboard`]. The numbers are the same
//! in every build and on every machine. It prints, and does not write, which rows miss which target, with the seed of the file
//! and with another.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what is reported")]
use std::path::Path;

use sansfu_tests::bandwidth::scoreboard::{HEADER, Outcome, Row, SEED, Targets, rows};

const OTHER_SEED: u64 = 5;

fn main() {
    let rows = rows();
    let outcomes: Vec<_> = rows.iter().map(|row| row.measure(SEED)).collect();
    let mut csv = format!("{HEADER}\n");
    for (row, outcome) in rows.iter().zip(&outcomes) {
        csv.push_str(&row.line(outcome));
        csv.push('\n');
    }
    println!("{csv}");
    summarise(SEED, &rows, &outcomes);
    let others: Vec<_> = rows.iter().map(|row| row.measure(OTHER_SEED)).collect();
    summarise(OTHER_SEED, &rows, &others);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bwe-scoreboard.csv");
    std::fs::write(path, csv).expect("the scoreboard can be written");
}

fn summarise(seed: u64, rows: &[Row], outcomes: &[Outcome]) {
    type Met = fn(&Targets) -> bool;
    let targets: [(&str, Met); 5] = [
        ("utilisation", |targets| targets.utilisation),
        ("convergence", |targets| targets.convergence),
        ("added delay", |targets| targets.delay),
        ("freezes", |targets| targets.freezes),
        ("share", |targets| targets.share),
    ];
    println!("seed {seed}, {} rows", rows.len());
    for (name, is_met) in targets {
        let missed: Vec<_> =
            rows.iter().zip(outcomes).filter(|(row, outcome)| !is_met(&row.targets(outcome))).collect();
        println!("  {name}: missed by {}", missed.len());
        for (row, outcome) in missed {
            println!("    {} (first flow {} %)", row.line(outcome), outcome.first_share_percent);
        }
    }
}
