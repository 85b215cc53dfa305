//! The `sansfu-std` binary from outside.
const BINARY: &str = env!("CARGO_BIN_EXE_sansfu-std");
const PROGRAM: &str = "sansfu-std";

#[path = "../../runtime-smol/tests/binary/suite.rs"]
mod suite;
