//! The one error type of the dictionaries and of negotiation.

use std::fmt;

/// Why a dictionary was refused or two sides could not agree.
///
/// The message is meant for the person who sent the dictionary and names the field, for example
/// `codecs[1].clockRate must be a positive integer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrtcError {
    /// What kind of refusal it is.
    pub kind: OrtcErrorKind,
    /// One sentence in English, without a final dot.
    pub message: String,
}

/// The kinds of [`OrtcError`]; they correspond to mediasoup's `TypeError`, `UnsupportedError` and plain `Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrtcErrorKind {
    /// A dictionary is malformed or contradicts itself (`TypeError`).
    InvalidParameters,
    /// Well-formed, but nothing here can do it (`UnsupportedError`).
    Unsupported,
    /// A finite supply, such as the dynamic payload types or SCTP streams, is used up (`Error`).
    Exhausted,
}

impl OrtcError {
    /// A malformed or contradictory dictionary.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: OrtcErrorKind::InvalidParameters, message: message.into() }
    }

    /// A well-formed wish that cannot be met.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: OrtcErrorKind::Unsupported, message: message.into() }
    }

    /// A finite supply is used up.
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self { kind: OrtcErrorKind::Exhausted, message: message.into() }
    }
}

impl fmt::Display for OrtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OrtcError {}
