//! What a wrong request is answered with.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ortc::{OrtcError, OrtcErrorKind};

/// A request that was refused; nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestError {
    /// The class of the refusal, for programs.
    pub kind: RequestErrorKind,
    /// What is wrong and with which field, for people.
    pub message: String,
}

/// The class of a [`RequestError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestErrorKind {
    /// A field is missing, of the wrong type or out of range.
    InvalidParameters,
    /// The request is well formed, but asks for a codec or feature that is not there.
    Unsupported,
    /// The object named is not there (any more).
    NotFound,
    /// The object named is not in a state in which it can do that, or the same thing exists already.
    InvalidState,
    /// A limit of the configuration is reached.
    LimitReached,
}

impl RequestError {
    /// A refusal of class `kind` that says `message`.
    pub fn new(kind: RequestErrorKind, message: impl Into<String>) -> Self {
        RequestError { kind, message: message.into() }
    }

    /// A field is missing, of the wrong type or out of range.
    pub fn invalid(message: impl Into<String>) -> Self {
        RequestError::new(RequestErrorKind::InvalidParameters, message)
    }

    /// A codec or feature that is not there.
    pub fn unsupported(message: impl Into<String>) -> Self {
        RequestError::new(RequestErrorKind::Unsupported, message)
    }

    /// `what` (a kind of object) of this id is not there.
    pub fn not_found(what: &str) -> Self {
        RequestError::new(RequestErrorKind::NotFound, format!("{what} not found"))
    }

    /// The object cannot do that in its present state.
    pub fn state(message: impl Into<String>) -> Self {
        RequestError::new(RequestErrorKind::InvalidState, message)
    }

    /// The limit of `what` is reached.
    pub fn limit(what: &str, limit: usize) -> Self {
        RequestError::new(RequestErrorKind::LimitReached, format!("limit of {limit} {what} reached"))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RequestError {}

impl From<OrtcError> for RequestError {
    fn from(error: OrtcError) -> Self {
        let kind = match error.kind {
            OrtcErrorKind::Unsupported => RequestErrorKind::Unsupported,
            _ => RequestErrorKind::InvalidParameters,
        };
        RequestError::new(kind, error.message)
    }
}
