//! Why an offer or a fragment was refused.

use std::fmt;

use super::sdp::SdpError;
use crate::error::{RequestError, RequestErrorKind};

/// The refusal of an offer or a fragment, as HTTP says it. Nothing was changed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcError {
    /// The HTTP status: 400 (not SDP, or without what WebRTC needs), 404 (no such router or transport), 422 (well formed, but
    /// nothing here can do it), 503 (a limit is reached).
    pub status: u16,
    /// What is wrong and in which line or section, for people.
    pub message: String,
}

impl WebRtcError {
    /// Not SDP, or without what WebRTC needs: 400.
    pub fn malformed(message: impl Into<String>) -> Self {
        WebRtcError { status: 400, message: message.into() }
    }

    /// Well formed, but nothing here can do it: 422.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        WebRtcError { status: 422, message: message.into() }
    }
}

impl From<SdpError> for WebRtcError {
    fn from(error: SdpError) -> Self {
        WebRtcError::malformed(error.to_string())
    }
}

impl From<RequestError> for WebRtcError {
    fn from(error: RequestError) -> Self {
        let status = match error.kind {
            RequestErrorKind::InvalidParameters => 400,
            RequestErrorKind::NotFound => 404,
            RequestErrorKind::Unsupported | RequestErrorKind::InvalidState => 422,
            RequestErrorKind::LimitReached => 503,
        };
        WebRtcError { status, message: error.message }
    }
}

impl fmt::Display for WebRtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status)
    }
}

impl std::error::Error for WebRtcError {}
