//! Generic NACKs against sets of sequence numbers (RFC 4585 section 6.2.1).

use std::collections::BTreeSet;

use sansfu::wire::rtcp::{Nack, RtcpView, packets, write_nack};

use crate::choices::Choices;

/// RTCP header and two SSRCs.
const HEADER_LEN: usize = 12;

/// Lists in the stream's order come back exactly and take the fewest items; any other list comes back as the same set.
pub fn nack(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let (sender_ssrc, media_ssrc) = (choices.u32(), choices.u32());
    let first = choices.u16();
    let gaps = choices.long_piece();
    let any: Vec<u16> =
        choices.rest().as_chunks::<2>().0.iter().map(|&bytes| u16::from_be_bytes(bytes)).collect();

    let in_order = in_order(first, gaps);
    let mut out = Vec::new();
    write_nack(&mut out, sender_ssrc, media_ssrc, &in_order);
    let view = only_nack(&out);
    assert_eq!((view.sender_ssrc, view.media_ssrc), (sender_ssrc, media_ssrc));
    assert!(view.sequence_numbers().eq(in_order.iter().copied()));
    assert_eq!(out.len(), HEADER_LEN + 4 * fewest_items(&in_order));

    out.clear();
    write_nack(&mut out, sender_ssrc, media_ssrc, &any);
    if any.is_empty() {
        assert!(out.is_empty());
        return;
    }
    let read: BTreeSet<u16> = only_nack(&out).sequence_numbers().collect();
    assert_eq!(read, any.iter().copied().collect());
    assert!(out.len() <= HEADER_LEN + 4 * any.len());
}

/// Numbers that grow by the gaps, as far as they do not come round to the first one.
fn in_order(first: u16, gaps: &[u8]) -> Vec<u16> {
    let mut numbers = vec![first];
    let mut distance = 0u16;
    for gap in gaps {
        // Mostly neighbours, now and then far away.
        let step = if *gap < 200 { u16::from(gap % 20) + 1 } else { u16::from(*gap) << 4 };
        let Some(further) = distance.checked_add(step) else { break };
        distance = further;
        numbers.push(first.wrapping_add(distance));
    }
    numbers
}

/// An item covers a number and the 16 after it; taking the first one left is best.
fn fewest_items(in_order: &[u16]) -> usize {
    let mut count = 0;
    let mut rest = in_order;
    while let Some(&first) = rest.first() {
        count += 1;
        let covered = rest.iter().take_while(|number| number.wrapping_sub(first) <= 16).count();
        rest = &rest[covered..];
    }
    count
}

fn only_nack(message: &[u8]) -> Nack<'_> {
    let mut views = packets(message);
    let (Some(RtcpView::Nack(view)), None) = (views.next(), views.next()) else { panic!("not one NACK") };
    view
}
