//! The committed scoreboard is what the code gives: a sample of its rows is run again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use sansfu_tests::bandwidth::scoreboard::{HEADER, SEED, rows};

const COMMITTED: &str = include_str!("../bwe-scoreboard.csv");

/// One row in so many is run again, but for those of the fastest links, which take long.
const SAMPLE: usize = 7;

#[test]
fn the_scoreboard_has_every_row() {
    let mut lines = COMMITTED.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let names: Vec<_> = lines.map(|line| line.split(',').next().unwrap_or_default().to_owned()).collect();
    let expected: Vec<_> = rows().into_iter().map(|row| row.name).collect();
    assert_eq!(names, expected);
}

#[test]
fn rows_that_are_run_again_have_not_drifted() {
    let rows = rows();
    let mut checked = 0;
    for (row, line) in rows.iter().zip(COMMITTED.lines().skip(1)).step_by(SAMPLE) {
        if !row.name.starts_with("10M") {
            assert_eq!(
                row.line(&row.measure(SEED)),
                line,
                "run the binary `scoreboard` again if this is meant"
            );
            checked += 1;
        }
    }
    assert!(checked >= 5, "{checked}");
}
