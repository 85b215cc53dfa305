//! Which protocol a datagram belongs to.

use sansfu::wire::demux::{Kind, classify};
use sansfu::wire::rtp::{RtpView, header_len};

/// The answer is the one of the RFCs' tables, and what a parser accepts is never sent elsewhere.
pub fn demux(data: &[u8]) {
    let kind = classify(data);
    assert_eq!(kind, by_the_tables(data));
    if header_len(data).is_some() {
        assert!(matches!(kind, Kind::Rtp | Kind::Rtcp), "an RTP header in a datagram of kind {kind:?}");
    }
    if let (Kind::Rtcp, Some(view)) = (kind, RtpView::parse(data)) {
        // RFC 5761 section 4: these payload types are not to be used with a marker bit.
        assert!(view.marker() && (64..=95).contains(&view.payload_type()));
    }
}

/// RFC 7983 section 7, RFC 5761 section 4, and the shortest message of each protocol.
fn by_the_tables(data: &[u8]) -> Kind {
    let first = data.first().copied().unwrap_or(4);
    let second = data.get(1).copied().unwrap_or(0);
    let is_rtcp = second >> 5 == 6;
    match data.len() {
        20.. if first < 4 => Kind::Stun,
        13.. if first > 19 && first < 64 => Kind::Dtls,
        12.. if first >> 6 == 2 && !is_rtcp => Kind::Rtp,
        8.. if first >> 6 == 2 && is_rtcp => Kind::Rtcp,
        _ => Kind::Unknown,
    }
}
