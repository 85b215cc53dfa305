//! Which protocol a datagram belongs to, when several share one port (RFC 7983, RFC 5761 section 4).

/// The protocol of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// STUN (RFC 8489).
    Stun,
    /// DTLS (RFC 6347, RFC 9147).
    Dtls,
    /// RTP or SRTP (RFC 3550, RFC 3711).
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// Nothing that this server speaks (ZRTP, TURN channels, QUIC), or too short to be what its first byte promises.
    Unknown,
}

/// A STUN message has a header of 20 bytes (RFC 8489 section 5).
const STUN_MIN_LEN: usize = 20;
/// A DTLS 1.2 record has a header of 13 bytes; a DTLS 1.3 record with the unified header, at least 2 bytes of header and
/// 16 of ciphertext (RFC 9147 section 4).
const DTLS_MIN_LEN: usize = 13;
/// The fixed RTP header (RFC 3550 section 5.1).
const RTP_MIN_LEN: usize = 12;
/// An RTCP header and one SSRC: nothing shorter says anything about a stream, and SRTCP is always longer.
const RTCP_MIN_LEN: usize = 8;

/// Tells the protocol by the first byte, RTCP from RTP by the second, and checks that the shortest message of that
/// protocol would fit. Costs two comparisons and reads no more than two bytes.
pub fn classify(datagram: &[u8]) -> Kind {
    let [first, second, ..] = *datagram else { return Kind::Unknown };
    let (kind, min_len) = match first {
        0..=3 => (Kind::Stun, STUN_MIN_LEN),
        20..=63 => (Kind::Dtls, DTLS_MIN_LEN),
        128..=191 if (192..=223).contains(&second) => (Kind::Rtcp, RTCP_MIN_LEN),
        128..=191 => (Kind::Rtp, RTP_MIN_LEN),
        _ => return Kind::Unknown,
    };
    if datagram.len() < min_len { Kind::Unknown } else { kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(first: u8, second: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = first;
        bytes[1] = second;
        bytes
    }

    #[test]
    fn first_byte_ranges_of_rfc_7983() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Kind::Stun,
                20..=63 => Kind::Dtls,
                128..=191 => Kind::Rtp,
                _ => Kind::Unknown,
            };
            assert_eq!(classify(&datagram(first, 0, 40)), expected, "first byte {first}");
        }
    }

    #[test]
    fn payload_types_of_rfc_5761() {
        for second in 0..=255u8 {
            let expected = if (192..=223).contains(&second) { Kind::Rtcp } else { Kind::Rtp };
            assert_eq!(classify(&datagram(0x80, second, 40)), expected, "second byte {second}");
        }
    }

    #[test]
    fn too_short_is_unknown() {
        for (first, second, min_len, kind) in [
            (0, 1, 20, Kind::Stun),
            (22, 254, 13, Kind::Dtls),
            (0x80, 96, 12, Kind::Rtp),
            (0x80, 201, 8, Kind::Rtcp),
        ] {
            let full = datagram(first, second, min_len);
            assert_eq!(classify(&full), kind);
            for len in 0..min_len {
                assert_eq!(classify(&full[..len]), Kind::Unknown, "{kind:?} cut to {len}");
            }
        }
    }
}
