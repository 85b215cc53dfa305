//! HTTP requests and responses, as far as the server looks at them.
use super::Secret;

/// An HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// Path and query as received (origin form, RFC 9112 section 3.2.1).
    pub target: &'a str,
    /// The `Content-Type` field.
    pub content_type: Option<&'a str>,
    /// The `If-Match` field.
    pub if_match: Option<&'a str>,
    /// The `Authorization` field.
    pub authorization: Option<&'a Secret>,
    /// The body.
    pub body: &'a [u8],
}

/// An HTTP response. The runtime adds `Content-Length` and what concerns the connection, and leaves the body out when the
/// method was `HEAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Fields in order; names in lower case, each at most once.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl HttpResponse {
    /// A response without a body, open to scripts of every origin.
    pub fn empty(status: u16) -> Self {
        let headers = vec![
            ("access-control-allow-origin", "*".to_owned()),
            ("access-control-expose-headers", "Location, ETag, Link, X-Sansfu-Producers".to_owned()),
        ];
        HttpResponse { status, headers, body: String::new() }
    }

    /// A response with a body of type `content_type`.
    pub fn new(status: u16, content_type: &str, body: impl Into<String>) -> Self {
        let mut response = HttpResponse::empty(status).with("content-type", content_type);
        response.body = body.into();
        response
    }

    /// A JSON response.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        HttpResponse::new(status, "application/json", body)
    }

    /// A refusal that says why, as plain text for people.
    pub fn error(status: u16, message: &str) -> Self {
        HttpResponse::new(status, "text/plain; charset=utf-8", format!("{message}\n"))
    }

    /// 404: there is no such thing.
    pub fn not_found(message: &str) -> Self {
        HttpResponse::error(404, message)
    }

    /// 405: the methods `allow` (comma-separated) are the ones understood here.
    pub fn method_not_allowed(allow: &str) -> Self {
        HttpResponse::error(405, &format!("method not allowed here; allowed: {allow}")).with("allow", allow)
    }

    /// 413: the body is longer than `limit_bytes`.
    pub fn too_large(limit_bytes: usize) -> Self {
        HttpResponse::error(413, &format!("the body is longer than {limit_bytes} bytes"))
    }

    /// 503: the server cannot take more at the moment.
    pub fn unavailable(message: &str) -> Self {
        HttpResponse::error(503, message)
    }

    /// The same response with another field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a field (name in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }
}
