//! What a message of the mediasoup protocol is refused with: the name of a JavaScript error and a text.
use std::fmt;

use crate::error::{RequestError, RequestErrorKind};
use crate::room::refusal::Refusal;

/// A message that was refused; nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediasoupError {
    /// The class, as clients know it.
    pub name: ErrorName,
    /// What is wrong, for people.
    pub message: String,
}

/// The class of a [`MediasoupError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorName {
    /// A member is missing or of the wrong type.
    TypeError,
    /// Well-formed, but not now.
    InvalidStateError,
    /// Anything else.
    Error,
}

impl ErrorName {
    /// The name as JavaScript has it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorName::TypeError => "TypeError",
            ErrorName::InvalidStateError => "InvalidStateError",
            ErrorName::Error => "Error",
        }
    }
}

impl MediasoupError {
    /// A member is missing or of the wrong type.
    pub fn wrong_type(message: impl Into<String>) -> Self {
        MediasoupError { name: ErrorName::TypeError, message: message.into() }
    }

    /// Not now.
    pub fn state(message: impl Into<String>) -> Self {
        MediasoupError { name: ErrorName::InvalidStateError, message: message.into() }
    }

    /// Anything else.
    pub fn other(message: impl Into<String>) -> Self {
        MediasoupError { name: ErrorName::Error, message: message.into() }
    }

    /// `what` of that id is not there.
    pub(in crate::room) fn not_found(what: &str) -> Self {
        MediasoupError::other(format!("{what} not found"))
    }

    /// What the producer says of its RTP cannot be used.
    pub(super) fn wrong_rtp(why: impl fmt::Display) -> Self {
        MediasoupError::other(format!("wrong RTP parameters: {why}"))
    }
}

/// As JavaScript writes an error: its name, a colon and the text.
impl fmt::Display for MediasoupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name.as_str(), self.message)
    }
}

impl std::error::Error for MediasoupError {}

impl From<RequestError> for MediasoupError {
    fn from(error: RequestError) -> Self {
        let name = match error.kind {
            RequestErrorKind::InvalidParameters => ErrorName::TypeError,
            RequestErrorKind::InvalidState => ErrorName::InvalidStateError,
            RequestErrorKind::Unsupported | RequestErrorKind::NotFound | RequestErrorKind::LimitReached => {
                ErrorName::Error
            }
        };
        MediasoupError { name, message: error.message }
    }
}

impl From<Refusal> for MediasoupError {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            400 => MediasoupError::wrong_type(refusal.reason),
            409 => MediasoupError::state(refusal.reason),
            _ => MediasoupError::other(refusal.reason),
        }
    }
}

/// As a protoo response says it.
impl From<MediasoupError> for Refusal {
    fn from(error: MediasoupError) -> Self {
        let code = match error.name {
            ErrorName::TypeError => 400,
            ErrorName::InvalidStateError => 409,
            ErrorName::Error => 500,
        };
        Refusal { code, reason: error.to_string() }
    }
}
