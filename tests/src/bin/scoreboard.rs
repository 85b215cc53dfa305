//! Writes `tests/bwe-scoreboard.csv`: `cargo run --release -p sansfu-tests --bin scoreboard`.
//!
//! What the bandwidth estimation reaches in each scenario of [`sansfu_tests::bandwidth::scoreboard`]. The numbers are the same
//! in every build and on every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what is reported")]
use std::path::Path;

use sansfu_tests::bandwidth::scoreboard::{HEADER, rows};

fn main() {
    let mut csv = format!("{HEADER}\n");
    for row in rows() {
        let line = row.line();
        println!("{line}");
        csv.push_str(&line);
        csv.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bwe-scoreboard.csv");
    std::fs::write(path, csv).expect("the scoreboard can be written");
}
