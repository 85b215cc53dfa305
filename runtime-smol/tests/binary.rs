//! The `sansfu` binary from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
const BINARY: &str = env!("CARGO_BIN_EXE_sansfu");
const PROGRAM: &str = "sansfu";

#[path = "binary/suite.rs"]
mod suite;
