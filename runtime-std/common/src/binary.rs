//! The life of a server binary: command line, logs, signals, exit status.
use std::net::SocketAddr;
use std::process::ExitCode;

use sansfu::server::settings::{self, Command, Settings, SettingsError, SettingsUpdate};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::logs::set_level;
use crate::{LiveSettings, StartError, Stopper, WorkerFailed, start_logs};

/// Exit status when the command line or something that it names is wrong.
const WRONG_USAGE: u8 = 2;

/// A server that runs.
pub trait Running {
    /// Where HTTP is served.
    fn http_address(&self) -> SocketAddr;

    /// Where media is received, worker by worker.
    fn rtc_addresses(&self) -> &[SocketAddr];

    /// Changes the settings that can change while it runs.
    fn live_settings(&self) -> LiveSettings;

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
    // The level in the file is known only after it has been read, and reading it may have something to say.
    start_logs(settings.log_level);
    for name in
        settings::unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
    {
        tracing::warn!("{name} is set, but there is no such setting: ignored");
    }
    let given = *settings;
    let settings = match read_file(&given) {
        Ok(settings) => settings,
        Err(error) => return refuse(program, &error.to_string()),
    };
    set_level(settings.log_level);
    // Before the start, so that no signal is missed. Without a file to read again, SIGHUP ends the process as ever.
    let rereads = given.settings_file.is_some().then_some(SIGHUP);
    let mut signals = match Signals::new([SIGINT, SIGTERM].into_iter().chain(rereads)) {
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
    let (stopper, live) = (running.stopper(), running.live_settings());
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                read_file_again(&given, &live);
                continue;
            }
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

/// The settings with what their file says; what it says in vain is warned about.
fn read_file(settings: &Settings) -> Result<Settings, SettingsError> {
    let (settings, unknown) = settings.with_file(|path| std::fs::read_to_string(path))?;
    for name in unknown {
        tracing::warn!("the settings file names '{name}', which is no setting that can change: ignored");
    }
    Ok(settings)
}

/// Reads the settings file again. When it is broken, nothing changes.
fn read_file_again(settings: &Settings, live: &LiveSettings) {
    match read_file(settings) {
        Ok(Settings { log_level, log_tags, .. }) => {
            live.update(&SettingsUpdate { log_level: Some(log_level), log_tags: Some(log_tags) });
            tracing::info!(log_level = log_level.as_str(), ?log_tags, "settings read again");
        }
        Err(error) => tracing::warn!("settings stay as they are: {error}"),
    }
}
