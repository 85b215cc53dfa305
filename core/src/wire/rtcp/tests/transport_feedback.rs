// Bits are grouped by the symbols that they belong to.
#![allow(clippy::unusual_byte_groupings)]

use super::{only, written};
use crate::rng::Rng;
use crate::wire::rtcp::*;

const HEADER: TransportFeedbackHeader = TransportFeedbackHeader {
    sender_ssrc: 1,
    media_ssrc: 2,
    base_sequence_number: 65530,
    reference_time_64ms: -5,
    feedback_packet_count: 200,
};

/// A message with these chunks and delta bytes.
fn message(count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
    let mut out = vec![0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFE];
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&[0, 0, 1, 9]);
    chunks.iter().for_each(|chunk| out.extend_from_slice(&chunk.to_be_bytes()));
    out.extend_from_slice(deltas);
    let padding = out.len().next_multiple_of(4) - out.len();
    if padding > 0 {
        out.resize(out.len() + padding - 1, 0);
        out.push(padding as u8);
        out[0] |= 0x20;
    }
    let words = out.len() / 4 - 1;
    out[2..4].copy_from_slice(&(words as u16).to_be_bytes());
    out
}

fn statuses(bytes: &[u8]) -> Option<Vec<(u16, Option<i16>)>> {
    match packets(bytes).next()? {
        RtcpView::TransportFeedback(view) => {
            let found: Vec<_> = view.packets().collect();
            assert_eq!(
                found.len(),
                usize::from(view.packet_status_count),
                "a view always has all of its packets"
            );
            Some(found)
        }
        other => panic!("{other:?}"),
    }
}

fn round_trip(deltas: &[Option<i16>]) -> Vec<u8> {
    let bytes = written(|out| {
        assert_eq!(write_transport_feedback(out, &HEADER, deltas, 100_000), deltas.len());
    });
    let RtcpView::TransportFeedback(view) = only(&bytes) else { panic!() };
    assert_eq!(view.header, HEADER);
    assert_eq!(usize::from(view.packet_status_count), deltas.len());
    let expected = deltas
        .iter()
        .enumerate()
        .map(|(i, &delta)| (HEADER.base_sequence_number.wrapping_add(i as u16), delta));
    assert!(view.packets().eq(expected));
    bytes
}

fn chunks_of(bytes: &[u8], count: usize) -> Vec<u16> {
    bytes[20..20 + 2 * count].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn header_fields() {
    let bytes = message(1, &[0x2001], &[4]);
    let RtcpView::TransportFeedback(view) = only(&bytes) else { panic!() };
    assert_eq!((view.header.sender_ssrc, view.header.media_ssrc), (1, 2));
    assert_eq!(view.header.base_sequence_number, 0xFFFE);
    assert_eq!(view.header.reference_time_64ms, 1);
    assert_eq!(view.header.feedback_packet_count, 9);
    assert!(view.packets().eq([(0xFFFE, Some(4))]));
}

#[test]
fn chunk_examples_of_the_draft() {
    // Section 3.1.3: run of 221 not received; run of 24 received with small deltas... as run length chunks.
    let found = statuses(&message(221, &[0x00DD], &[])).unwrap();
    assert!(found.iter().all(|&(_, delta)| delta.is_none()) && found.len() == 221);
    let found = statuses(&message(24, &[0x6018], &[]));
    assert_eq!(found, None, "3 is a reserved symbol");

    // Section 3.1.4: one bit each, 0 11111 000 111 00; sequence numbers wrap.
    let found = statuses(&message(14, &[0x9F1C], &[1, 2, 3, 4, 5, 6, 7, 8])).unwrap();
    let expected = [
        None,
        Some(1),
        Some(2),
        Some(3),
        Some(4),
        Some(5),
        None,
        None,
        None,
        Some(6),
        Some(7),
        Some(8),
        None,
        None,
    ];
    assert!(found.iter().map(|&(_, delta)| delta).eq(expected));
    assert!(
        found
            .iter()
            .map(|&(sequence_number, _)| sequence_number)
            .eq([0xFFFE, 0xFFFF].into_iter().chain(0..12))
    );

    // Two bits each: 00 11…: without the reserved one, 00 01 01 01 10 00 00.
    let found = statuses(&message(7, &[0xC560], &[1, 2, 3, 0x80, 0x00])).unwrap();
    assert!(found.iter().map(|&(_, delta)| delta).eq([
        None,
        Some(1),
        Some(2),
        Some(3),
        Some(i16::MIN),
        None,
        None
    ]));
}

#[test]
fn what_does_not_add_up_is_refused() {
    assert_eq!(statuses(&message(2, &[0x2001], &[1, 2])), None, "too few chunks");
    assert_eq!(statuses(&message(3, &[0x2003], &[1])), None, "too few deltas");
    assert_eq!(statuses(&message(1, &[0xF000], &[1, 1])), None, "reserved symbol");
    assert_eq!(statuses(&message(8191, &[0x3FFF], &[1; 100])), None);
    assert!(statuses(&message(1, &[0xDC00 & 0xD3FF], &[1])).is_some());
}

#[test]
fn filling_and_empty_runs_are_ignored() {
    // Symbols past the last packet ask for no delta.
    assert_eq!(statuses(&message(1, &[0xBFFF], &[5])).unwrap(), [(0xFFFE, Some(5))]);
    assert_eq!(statuses(&message(1, &[0x2000, 0x4000, 0x2001], &[5])).unwrap(), [(0xFFFE, Some(5))]);
    assert_eq!(statuses(&message(0, &[], &[])).unwrap(), []);
    // A run longer than the count.
    assert_eq!(statuses(&message(2, &[0x3FFF], &[5, 6])).unwrap().len(), 2);
}

#[test]
fn writer_prefers_short_forms() {
    let bytes = round_trip(&[Some(4); 14]);
    assert_eq!(chunks_of(&bytes, 1), [0x200E], "14 alike are a run");
    let mut mixed = vec![Some(4); 14];
    mixed[3] = None;
    assert_eq!(chunks_of(&round_trip(&mixed), 1), [0xBBFF], "14 mixed ones are one bit each");
    mixed.truncate(7);
    mixed[6] = Some(-1);
    assert_eq!(
        chunks_of(&round_trip(&mixed), 1),
        [0xC000 | 0b01_01_01_00_01_01_10],
        "large ones need two bits"
    );
    mixed.truncate(3);
    assert_eq!(chunks_of(&round_trip(&mixed), 1), [0x2003]);
    // A large delta as the eighth: the first seven must not become a vector of one bit.
    let mut eighth = vec![Some(1), None, Some(1), None, Some(1), None, Some(1), Some(300)];
    round_trip(&eighth);
    eighth.extend([None; 20]);
    round_trip(&eighth);
}

#[test]
fn runs_of_the_longest() {
    for len in [1, 13, 14, 8190, 8191, 8192, 16_383, 65_535] {
        for delta in [None, Some(0), Some(255), Some(256), Some(-1)] {
            let bytes = round_trip(
                &vec![delta; len].clone()[..len.min(if delta.is_none() { 65_535 } else { 40_000 })],
            );
            if len == 8191 && delta == Some(256) {
                assert_eq!(chunks_of(&bytes, 1), [0x5FFF]);
            }
        }
    }
}

#[test]
fn delta_boundaries() {
    round_trip(&[Some(0), Some(255), Some(256), Some(i16::MAX), Some(-1), Some(i16::MIN), None]);
}

#[test]
fn splits_at_the_limit() {
    let deltas: Vec<_> =
        (0..2000).map(|i| (i % 3 != 0).then_some(if i % 50 == 1 { -7 } else { 9 })).collect();
    let (mut done, mut found, mut messages) = (0, Vec::new(), 0);
    while done < deltas.len() {
        let mut out = vec![0xAA; 3];
        let header = TransportFeedbackHeader { base_sequence_number: done as u16, ..HEADER };
        let count = write_transport_feedback(&mut out, &header, &deltas[done..], 200);
        assert!(count > 0 && out.len() - 3 <= 200);
        found.extend(statuses(&out[3..]).unwrap());
        done += count;
        messages += 1;
    }
    assert!(found.into_iter().eq(deltas.iter().enumerate().map(|(i, &delta)| (i as u16, delta))));
    assert!(messages <= 12, "{messages} messages for about 1640 bytes of chunks and deltas");
}

#[test]
fn a_limit_that_nothing_fits_writes_nothing() {
    for max_len in 0..24 {
        let mut out = vec![1, 2, 3];
        assert_eq!(write_transport_feedback(&mut out, &HEADER, &[Some(1)], max_len), 0);
        assert_eq!(out, [1, 2, 3]);
    }
    let mut out = Vec::new();
    assert_eq!(write_transport_feedback(&mut out, &HEADER, &[], 1000), 0);
    assert_eq!(write_transport_feedback(&mut out, &HEADER, &[Some(300), Some(300)], 24), 1);
    assert_eq!(out.len(), 24);
}

#[test]
fn random_lists_round_trip_within_random_limits() {
    let mut rng = Rng::from_seed([4; 32]);
    for _ in 0..300 {
        let len = rng.next_u32() as usize % 300 + 1;
        let style = rng.next_u32() % 4;
        let mut delta = None;
        let deltas: Vec<_> = (0..len)
            .map(|_| {
                if style == 0 || rng.below(style * style * 4) == 0 {
                    delta = match rng.next_u32() % 4 {
                        0 => None,
                        1 => Some(rng.next_u32() as i16),
                        _ => Some((rng.next_u32() % 256) as i16),
                    };
                }
                delta
            })
            .collect();
        round_trip(&deltas);
        let max_len = 24 + rng.next_u32() as usize % 200;
        let mut out = Vec::new();
        let count = write_transport_feedback(&mut out, &HEADER, &deltas, max_len);
        assert!(count > 0 && out.len() <= max_len);
        assert!(statuses(&out).unwrap().iter().map(|&(_, delta)| delta).eq(deltas[..count].iter().copied()));
    }
}
