//! Candidates as clients trickle them.

/// Whether it is what stands behind `a=candidate:` (RFC 8839 section 5.1).
///
/// Only the form is looked at: an ICE-Lite server sends no checks, so it has no use for candidates of its clients.
pub(super) fn is_candidate(text: &str) -> bool {
    let mut parts = text.split_ascii_whitespace();
    let mut next = || parts.next().unwrap_or("");
    let foundation = next();
    let component = next();
    let protocol = next();
    let priority = next();
    let address = next();
    let port = next();
    let typ = next();
    let candidate_type = next();
    let ice_character = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    (1..=32).contains(&foundation.len())
        && foundation.bytes().all(ice_character)
        && component.parse().is_ok_and(|component: u16| (1..=256).contains(&component))
        && super::sdp::is_token(protocol)
        && priority.parse::<u32>().is_ok()
        && is_address(address)
        && port.parse::<u16>().is_ok()
        && typ == "typ"
        && super::sdp::is_token(candidate_type)
        // What follows are pairs of names and values.
        && parts.count().is_multiple_of(2)
}

/// An IP address or a host name, such as those of mDNS.
fn is_address(text: &str) -> bool {
    let address_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(address_byte)
}
