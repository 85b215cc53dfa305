//! Puts load on a server and tells how it does: `cargo run --release -p sansfu-tests --bin load -- --url ws://HOST:PORT`.
//!
//! `--help` lists the options.
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sansfu_tests::load::args::{Args, USAGE};
use sansfu_tests::load::crowd;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(words) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGINT, stop.clone()) {
        eprintln!("SIGINT will end the run without a summary: {error}");
    }
    match crowd::run(&args, &stop, &mut io::stderr()) {
        Ok(summary) => {
            print!("{summary}");
            if args.csv {
                print!("{}", summary.to_csv());
            }
            if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
