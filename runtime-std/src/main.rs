//! The `sansfu-std` server.
use std::process::ExitCode;

fn main() -> ExitCode {
    sansfu_runtime::run_binary("sansfu-std", sansfu_std::start)
}
