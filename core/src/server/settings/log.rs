//! What is logged, and the settings that can change while a server runs: mediasoup's `updateSettings`.
use std::fmt;

use serde_json::Value;

use super::SettingsError;
use crate::event::Event;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What is broken.
    Error,
    /// What should be looked at.
    Warn,
    /// Starts, stops, and who comes and goes.
    Info,
    /// Every change of state.
    Debug,
    /// All there is.
    Trace,
}

/// What a message of level `debug` about the media machine is about. The names are mediasoup's. Of the traffic itself there is
/// not a message for each packet, but one a second with counts: see [`Activity`](super::Activity).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTag {
    /// What has closed, paused or resumed.
    Info,
    /// States and selected tuples of ICE.
    Ice,
    /// States of DTLS.
    Dtls,
    /// Scores and layers of streams.
    Rtp,
    /// Packets that were not authentic, were there already, or came before keys.
    Srtp,
    /// Control packets by kind.
    Rtcp,
    /// Bandwidth estimation.
    Rbe,
    /// What was missed and sent again.
    Rtx,
}

/// A set of tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogTags {
    bits: u8,
}

/// New values for settings of a running server; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsUpdate {
    /// `logLevel`.
    pub log_level: Option<LogLevel>,
    /// `logTags`.
    pub log_tags: Option<LogTags>,
}

impl SettingsUpdate {
    /// Reads a JSON object such as `{"logLevel": "debug", "logTags": ["ice", "dtls"]}`. Members of other names are ignored, and
    /// returned so that they can be warned about.
    ///
    /// Errors: no JSON object; a value that is not what it should be.
    pub fn parse(text: &str) -> Result<(SettingsUpdate, Vec<String>), SettingsError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| SettingsError::new(error.to_string()))?;
        let Value::Object(members) = value else { return Err(SettingsError::new("no JSON object")) };
        let (mut update, mut unknown) = (SettingsUpdate::default(), Vec::new());
        for (name, value) in members {
            let told = |why: String| SettingsError::new(format!("{name}: {why}"));
            match name.as_str() {
                "logLevel" => {
                    let level = value.as_str().ok_or_else(|| told(format!("{value} is no text")))?;
                    update.log_level = Some(LogLevel::parse(level).map_err(told)?);
                }
                "logTags" => update.log_tags = Some(tags_of(&value).map_err(told)?),
                _ => unknown.push(name),
            }
        }
        Ok((update, unknown))
    }
}

impl LogLevel {
    const ALL: [LogLevel; 6] =
        [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// Reads a level.
    pub fn parse(text: &str) -> Result<LogLevel, String> {
        let level = Self::ALL.into_iter().find(|level| level.as_str() == text);
        level.ok_or_else(|| format!("'{text}' is not off, error, warn, info, debug or trace"))
    }

    /// The level as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

impl LogTag {
    const ALL: [LogTag; 8] = [
        LogTag::Info,
        LogTag::Ice,
        LogTag::Dtls,
        LogTag::Rtp,
        LogTag::Srtp,
        LogTag::Rtcp,
        LogTag::Rbe,
        LogTag::Rtx,
    ];

    /// What an event is about.
    pub fn of(event: &Event) -> LogTag {
        match event {
            Event::IceStateChanged { .. } | Event::IceSelectedTupleChanged { .. } => LogTag::Ice,
            Event::DtlsStateChanged { .. } => LogTag::Dtls,
            Event::Bandwidth { .. } => LogTag::Rbe,
            Event::ProducerScore { .. }
            | Event::ConsumerScore { .. }
            | Event::ConsumerLayersChanged { .. } => LogTag::Rtp,
            _ => LogTag::Info,
        }
    }

    /// The tag as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            LogTag::Info => "info",
            LogTag::Ice => "ice",
            LogTag::Dtls => "dtls",
            LogTag::Rtp => "rtp",
            LogTag::Srtp => "srtp",
            LogTag::Rtcp => "rtcp",
            LogTag::Rbe => "rbe",
            LogTag::Rtx => "rtx",
        }
    }
}

impl LogTags {
    /// Every tag: the default.
    pub const ALL: LogTags = LogTags { bits: u8::MAX };

    /// No tag.
    pub const NONE: LogTags = LogTags { bits: 0 };

    /// Reads tags that stand in a list.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<LogTags, String> {
        let mut tags = LogTags::NONE;
        for name in names {
            let tag = LogTag::ALL.into_iter().find(|tag| tag.as_str() == name);
            let tag =
                tag.ok_or_else(|| format!("'{name}' is not {}", LogTag::ALL.map(LogTag::as_str).join(", ")))?;
            tags.bits |= 1 << tag as u8;
        }
        Ok(tags)
    }

    /// Whether a tag is among them.
    pub fn contains(self, tag: LogTag) -> bool {
        self.bits & (1 << tag as u8) != 0
    }

    /// The set as a number, for an atomic variable.
    pub fn to_bits(self) -> u8 {
        self.bits
    }

    /// The set of [`LogTags::to_bits`].
    pub fn from_bits(bits: u8) -> LogTags {
        LogTags { bits }
    }
}

impl fmt::Debug for LogTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(LogTag::ALL.into_iter().filter(|tag| self.contains(*tag))).finish()
    }
}

fn tags_of(value: &Value) -> Result<LogTags, String> {
    let names = value.as_array().map(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    LogTags::parse(names.flatten().ok_or_else(|| format!("{value} is no array of texts"))?)
}
