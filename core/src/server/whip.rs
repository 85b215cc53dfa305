//! WHIP (RFC 9725) and WHEP: the HTTP resources of publishers and viewers.
use super::http::HttpResponse;

/// The answer to any `OPTIONS` request: what scripts of other origins may do.
pub(super) fn preflight() -> HttpResponse {
    HttpResponse::empty(204)
        .with("access-control-allow-methods", "GET, POST, PATCH, DELETE, OPTIONS")
        .with("access-control-allow-headers", "Authorization, Content-Type, If-Match, If-None-Match")
        .with("access-control-max-age", "86400")
        .with("accept-post", "application/sdp")
        .with("accept-patch", "application/trickle-ice-sdpfrag")
}
