//! The life of a server binary: command line, logs, signals, exit status.
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use sansfu::server::settings::{self, Command, LogLevel, Settings};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::filter::LevelFilter;

use crate::{StartError, Stopper, WorkerFailed};

/// Exit status when the command line or something that it names is wrong.
const WRONG_USAGE: u8 = 2;

/// A server that runs.
pub trait Running {
    /// Where HTTP is served.
    fn http_address(&self) -> SocketAddr;

    /// Where media is received, worker by worker.
    fn rtc_addresses(&self) -> &[SocketAddr];

    /// Asks it to stop.
    fn stopper(&self) -> Stopper;

    /// Waits until it has been asked to stop and has stopped.
    ///
    /// Errors: one of its threads has panicked.
    fn wait(self) -> Result<(), WorkerFailed>;
}

/// The `main` of a server binary called `program`.
///
/// Exit status 0 after a stop by SIGINT or SIGTERM, 2 when it could not start (one line on stderr says why), 1 after a panic.
pub fn run_binary<R: Running>(
    program: &str,
    start: impl FnOnce(&Settings) -> Result<R, StartError>,
) -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let settings = match settings::parse(program, arguments, |name| std::env::var(name).ok()) {
        Ok(Command::Run(settings)) => settings,
        Ok(Command::Help(text)) => return print(text.trim_end()),
        Ok(Command::Version(line)) => return print(&line),
        Err(error) => return refuse(program, &error.to_string()),
    };
    start_logs(settings.log_level);
    // Before the start, so that no signal is missed.
    let mut signals = match Signals::new([SIGINT, SIGTERM]) {
        Ok(signals) => signals,
        Err(error) => return refuse(program, &format!("cannot handle signals: {error}")),
    };
    let running = match start(&settings) {
        Ok(running) => running,
        Err(error) => return refuse(program, &error.to_string()),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        http = %running.http_address(),
        rtc = ?running.rtc_addresses(),
        "{program} runs: http://{}/",
        running.http_address(),
    );
    let stopper = running.stopper();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            tracing::info!(signal, "stops");
            stopper.stop();
        }
    });
    match running.wait() {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Standard output may be a pipe that nobody reads any more: that is no failure.
fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn refuse(program: &str, why: &str) -> ExitCode {
    eprintln!("{program}: {why}");
    ExitCode::from(WRONG_USAGE)
}

fn start_logs(level: LogLevel) {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let is_terminal = std::io::stderr().is_terminal();
    // Another subscriber, set by a program that embeds this, stays.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .try_init();
}
