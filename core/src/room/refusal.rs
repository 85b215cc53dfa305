//! A request of a client that is answered with an error.
use crate::error::{RequestError, RequestErrorKind};
use crate::ortc::{OrtcError, OrtcErrorKind};

/// Why a client's request is refused: `errorCode` and `errorReason` of the response, or status and text of an HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Like an HTTP status.
    pub code: u16,
    /// For people.
    pub reason: String,
}

impl Refusal {
    /// A field is missing, of the wrong type or out of range.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Refusal { code: 400, reason: reason.into() }
    }

    /// The object is somebody else's, or made for something else.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Refusal { code: 403, reason: reason.into() }
    }

    /// There is no such thing.
    pub fn not_found(what: &str) -> Self {
        Refusal { code: 404, reason: format!("{what} not found") }
    }

    /// Not now.
    pub fn state(reason: impl Into<String>) -> Self {
        Refusal { code: 409, reason: reason.into() }
    }

    /// The server cannot do that yet.
    pub fn not_supported(what: &str) -> Self {
        Refusal { code: 501, reason: format!("{what} is not supported yet") }
    }

    /// A limit is reached.
    pub fn limit(what: &str, limit: usize) -> Self {
        Refusal { code: 503, reason: format!("limit of {limit} {what} reached") }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let code = match error.kind {
            RequestErrorKind::InvalidParameters => 400,
            RequestErrorKind::NotFound => 404,
            RequestErrorKind::InvalidState => 409,
            RequestErrorKind::Unsupported => 422,
            RequestErrorKind::LimitReached => 503,
        };
        Refusal { code, reason: error.message }
    }
}

impl From<OrtcError> for Refusal {
    fn from(error: OrtcError) -> Self {
        let code = match error.kind {
            OrtcErrorKind::InvalidParameters => 400,
            OrtcErrorKind::Unsupported => 422,
            OrtcErrorKind::Exhausted => 503,
        };
        Refusal { code, reason: error.message }
    }
}
