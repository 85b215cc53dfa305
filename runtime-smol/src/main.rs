//! The `sansfu` server.
use std::process::ExitCode;

fn main() -> ExitCode {
    sansfu_runtime::run_binary("sansfu", sansfu_smol::start)
}
