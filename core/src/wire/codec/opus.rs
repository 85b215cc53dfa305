//! Opus (RFC 7587).

/// Whether this payload is a sign of silence and not sound: with discontinuous transmission, an encoder that has nothing to
/// say sends frames of at most two bytes, and those rarely (RFC 7587 section 3.1.3, RFC 6716 section 3.1).
pub fn is_dtx(payload: &[u8]) -> bool {
    payload.len() <= 2
}
