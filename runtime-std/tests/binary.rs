//! The `sansfu-std` binary from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
const BINARY: &str = env!("CARGO_BIN_EXE_sansfu-std");
const PROGRAM: &str = "sansfu-std";

#[path = "../../runtime-smol/tests/binary/suite.rs"]
mod suite;
