//! The payload of a retransmission: the original sequence number, then the original payload (RFC 4588 section 4).

/// Bytes that [`wrap`] puts before the original payload.
pub const ORIGINAL_SEQUENCE_NUMBER_LEN: usize = 2;

/// The original sequence number and payload of a retransmission. The payload is empty where a sender pads with
/// retransmissions of nothing. `None` when there is no room for a sequence number.
pub fn unwrap(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (number, original) = payload.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), original))
}

/// What stands before the original payload in a retransmission of the packet `original_sequence_number`.
pub const fn wrap(original_sequence_number: u16) -> [u8; ORIGINAL_SEQUENCE_NUMBER_LEN] {
    original_sequence_number.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wrapped_comes_out() {
        let mut payload = wrap(0xfffe).to_vec();
        payload.extend_from_slice(b"media");
        assert_eq!(unwrap(&payload), Some((0xfffe, &b"media"[..])));
        assert_eq!(unwrap(&payload[..2]), Some((0xfffe, &b""[..])));
    }

    #[test]
    fn too_short_is_nothing() {
        assert_eq!(unwrap(&[1]), None);
        assert_eq!(unwrap(&[]), None);
    }
}
