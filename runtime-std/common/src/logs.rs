//! What a server logs, and how that is changed while it runs.
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use sansfu::server::settings::{LogLevel, LogTag, LogTags, Settings, SettingsUpdate};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// The level of the log that [`start_logs`] has started: a program has one log.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// The settings of a running server that can change: mediasoup's `updateSettings`. Clones are the same.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    log_tags: Arc<AtomicU8>,
}

impl LiveSettings {
    /// As a server starts with them.
    pub(crate) fn new(settings: &Settings) -> LiveSettings {
        LiveSettings { log_tags: Arc::new(AtomicU8::new(settings.log_tags.to_bits())) }
    }

    /// Changes them, from any thread. The level is that of the log which [`start_logs`] has started; one that the embedding program
    /// has set up itself is left as it is.
    pub fn update(&self, update: &SettingsUpdate) {
        if let Some(tags) = update.log_tags {
            self.log_tags.store(tags.to_bits(), Ordering::Relaxed);
        }
        if let Some(level) = update.log_level {
            set_level(level);
        }
    }

    /// Whether messages of a tag are logged.
    pub(crate) fn logs(&self, tag: LogTag) -> bool {
        LogTags::from_bits(self.log_tags.load(Ordering::Relaxed)).contains(tag)
    }
}

/// Logs to standard error from now on. Another log, set up by a program that embeds a server, stays.
pub fn start_logs(level: LogLevel) {
    let (level, handle) = reload::Layer::new(filter(level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    if tracing_subscriber::registry().with(level).with(lines).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// Changes the level of the log that [`start_logs`] has started.
pub(crate) fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // It fails only when the log is gone.
        let _ = handle.reload(filter(level));
    }
}

/// Of the libraries only warnings and errors, but for level `trace`: tags choose among the messages of ours.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let of_libraries = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    Targets::new().with_default(of_libraries).with_target("sansfu", level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_what_it_names() {
        let live = LiveSettings::new(&Settings::default());
        let same = live.clone();
        assert!(same.logs(LogTag::Ice) && same.logs(LogTag::Info));
        let log_tags = Some(LogTags::parse(["ice"]).unwrap());
        live.update(&SettingsUpdate { log_tags, ..SettingsUpdate::default() });
        assert_eq!((same.logs(LogTag::Ice), same.logs(LogTag::Info)), (true, false));
        live.update(&SettingsUpdate { log_level: Some(LogLevel::Error), log_tags: None });
        assert_eq!((same.logs(LogTag::Ice), same.logs(LogTag::Info)), (true, false));
    }

    #[test]
    fn libraries_are_heard_when_something_is_wrong() {
        use tracing::Level;
        let logs = |level, target, of: &Level| filter(level).would_enable(target, of);
        for ours in ["sansfu_runtime::worker", "sansfu_std::session"] {
            assert!(logs(LogLevel::Debug, ours, &Level::DEBUG) && !logs(LogLevel::Info, ours, &Level::DEBUG));
        }
        assert!(!logs(LogLevel::Debug, "dimpl::engine", &Level::DEBUG));
        assert!(logs(LogLevel::Info, "dimpl::engine", &Level::WARN));
        assert!(logs(LogLevel::Trace, "dimpl::engine", &Level::TRACE));
        assert!(!logs(LogLevel::Error, "dimpl::engine", &Level::WARN));
        assert!(!logs(LogLevel::Off, "sansfu_std", &Level::ERROR));
    }
}
