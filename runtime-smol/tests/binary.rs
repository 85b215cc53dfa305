//! The `sansfu` binary from outside.
const BINARY: &str = env!("CARGO_BIN_EXE_sansfu");
const PROGRAM: &str = "sansfu";

#[path = "binary/suite.rs"]
mod suite;
