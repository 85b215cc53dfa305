//! Transport-wide feedback from a model of what arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

use sansfu::wire::rtcp::{
    RtcpView, TransportFeedback, TransportFeedbackHeader, packets, write_transport_feedback,
};

use crate::choices::Choices;

/// Header, one chunk and one large delta, filled up to 32 bits.
const SHORTEST_LEN: usize = 24;

/// Packets that a case has at most.
const MAX_PACKETS: usize = 70_000;

/// Any list of arrivals comes back from as many messages as it takes, each as long as allowed and as full as it can be.
pub fn transport_feedback(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let mut header = TransportFeedbackHeader {
        sender_ssrc: choices.u32(),
        media_ssrc: choices.u32(),
        base_sequence_number: choices.u16(),
        // Sign-extended from 24 bits.
        reference_time_64ms: (choices.u32() as i32) >> 8,
        feedback_packet_count: choices.u8(),
    };
    let max_len = usize::from(choices.u16());
    let deltas = arrivals(&mut choices);
    let mut rest = &deltas[..];
    let mut out = vec![0xAA; 3];
    while !rest.is_empty() {
        let start = out.len();
        let written = write_transport_feedback(&mut out, &header, rest, max_len);
        if written == 0 {
            assert!(out.len() == start && max_len < SHORTEST_LEN, "only what cannot fit is not written");
            break;
        }
        check_message(&out[start..], &header, rest, written, max_len);
        rest = &rest[written..];
        header.base_sequence_number = header.base_sequence_number.wrapping_add(written as u16);
        header.feedback_packet_count = header.feedback_packet_count.wrapping_add(1);
        // Short messages for many packets say nothing new.
        if out.len() > 5_000 {
            break;
        }
    }
    assert_eq!(out[..3], [0xAA; 3]);
}

/// Runs of packets of one kind: lost, with small deltas, with large ones, or any delta.
fn arrivals(choices: &mut Choices<'_>) -> Vec<Option<i16>> {
    let mut deltas = Vec::new();
    while !choices.is_exhausted() && deltas.len() < MAX_PACKETS {
        let kind = choices.below(5);
        // Mostly short runs; now and then one beyond what a chunk covers.
        let len = match choices.u8() {
            0xFF => usize::from(choices.u16()),
            short => usize::from(short % 32),
        };
        let delta = match kind {
            0 => None,
            1 => Some(i16::from(choices.u8())),
            _ => Some(choices.u16() as i16),
        };
        deltas.extend(std::iter::repeat_n(delta, len.max(1)));
    }
    deltas.truncate(MAX_PACKETS);
    deltas
}

fn check_message(
    message: &[u8],
    header: &TransportFeedbackHeader,
    deltas: &[Option<i16>],
    written: usize,
    max_len: usize,
) {
    assert!(message.len() <= max_len && message.len().is_multiple_of(4));
    let view = only_feedback(message);
    assert_eq!(view.header, *header);
    assert_eq!(usize::from(view.packet_status_count), written);
    let numbers = (0..written).map(|at| header.base_sequence_number.wrapping_add(at as u16));
    assert!(view.packets().eq(numbers.zip(deltas[..written].iter().copied())));
    let padding_len = if message[0] & 0x20 == 0 { 0 } else { usize::from(message[message.len() - 1]) };
    assert!(padding_len < 4);
    let body = &message[4..message.len() - padding_len];
    assert_eq!(read_plainly(body), Some(view.packets().collect()));
    if let Some(next) = deltas.get(written).filter(|_| written < usize::from(u16::MAX)) {
        let needed = 2 + next.map_or(0, |delta| if (0..256).contains(&delta) { 1 } else { 2 });
        assert!(4 + body.len() + needed > max_len & !3, "there was room for one more");
    }
}

fn only_feedback(message: &[u8]) -> TransportFeedback<'_> {
    let mut views = packets(message);
    let (Some(RtcpView::TransportFeedback(view)), None) = (views.next(), views.next()) else {
        panic!("not one message of transport-wide feedback")
    };
    view
}

/// The packets of a message without its common header: first all symbols, then all deltas.
pub(super) fn read_plainly(body: &[u8]) -> Option<Vec<(u16, Option<i16>)>> {
    let u16_at = |at: usize| Some(u16::from_be_bytes(*body.get(at..at + 2)?.as_array()?));
    let (base, count) = (u16_at(8)?, usize::from(u16_at(10)?));
    let mut at = 16;
    body.get(..at)?;
    let mut symbols = Vec::new();
    while symbols.len() < count {
        let chunk = u16_at(at)?;
        at += 2;
        match chunk >> 14 {
            0 | 1 => symbols.extend(std::iter::repeat_n(chunk >> 13, usize::from(chunk & 0x1FFF))),
            2 => symbols.extend((0..14).rev().map(|bit| chunk >> bit & 1)),
            _ => symbols.extend((0..7).rev().map(|pair| chunk >> (2 * pair) & 3)),
        }
    }
    symbols.truncate(count);
    let mut packets = Vec::new();
    for (index, symbol) in symbols.into_iter().enumerate() {
        let delta = match symbol {
            0 => None,
            1 => Some(i16::from(*body.get(at)?)),
            2 => Some(u16_at(at)? as i16),
            _ => return None,
        };
        at += usize::from(symbol);
        packets.push((base.wrapping_add(index as u16), delta));
    }
    Some(packets)
}
