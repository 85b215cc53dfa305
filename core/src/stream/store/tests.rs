#![allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
use std::collections::BTreeMap;

use super::*;
use crate::rng::Rng;

fn meta(ext_seq: u64, now: Instant) -> PacketMeta {
    PacketMeta {
        ext_seq,
        timestamp: ext_seq as u32 * 3_000,
        marker: ext_seq.is_multiple_of(3),
        payload_type: 96,
        frame: FrameInfo::without_layers(ext_seq.is_multiple_of(50), true),
        received_at: now,
        extensions: ExtensionValues { audio_level: Some(ext_seq as u8), ..ExtensionValues::default() },
    }
}

#[test]
fn a_packet_stays_small() {
    assert!(size_of::<PacketMeta>() <= 112, "{}", size_of::<PacketMeta>());
    assert!(size_of::<Slot>() <= 128, "{}", size_of::<Slot>());
}

#[test]
fn what_is_stored_comes_back_whole() {
    let now = Instant::now();
    let mut store = PacketStore::new(8, 4_000);
    assert_eq!((store.memory_bytes(), store.highest()), (0, None));
    assert!(store.insert(&meta(70_000, now), b"descriptor", b"payload"));
    assert!(store.insert(&meta(70_001, now), b"", b""));
    let stored = store.get(70_000).unwrap();
    assert_eq!((stored.dependency_descriptor, stored.payload), (&b"descriptor"[..], &b"payload"[..]));
    assert_eq!(*stored.meta, meta(70_000, now));
    assert_eq!(store.get(70_001).unwrap().payload, b"");
    assert_eq!(store.get(70_008), None, "shares a slot");
    assert_eq!(store.memory_bytes(), 4_000 + 8 * size_of::<Slot>());
}

#[test]
fn too_old_and_too_large_are_refused() {
    let now = Instant::now();
    let mut store = PacketStore::new(8, 400);
    assert!(store.insert(&meta(100, now), b"", &[1; 100]));
    assert!(!store.insert(&meta(101, now), b"", &[1; 101]));
    assert!(!store.insert(&meta(101, now), b"1", &[1; 100]));
    assert!(!store.insert(&meta(92, now), b"", b"x"));
    assert!(store.insert(&meta(93, now), b"", b"x"));
    assert_eq!((store.highest(), store.get(93).unwrap().payload), (Some(100), &b"x"[..]));
    assert!(store.get(100).is_some() && store.get(101).is_none());
}

#[test]
fn a_store_of_nothing_stores_nothing() {
    let now = Instant::now();
    let mut store = PacketStore::new(0, 0);
    assert!(!store.insert(&meta(1, now), b"", b"x"));
    assert_eq!(store.get(1), None);
    assert!(store.insert(&meta(1, now), b"", b""), "an empty packet takes no room");
    assert_eq!(store.get(1).unwrap().payload, b"");
}

#[test]
fn bytes_written_over_are_not_found() {
    let now = Instant::now();
    let mut store = PacketStore::new(64, 1_000);
    for n in 0..4 {
        assert!(store.insert(&meta(n, now), b"", &[n as u8; 250]));
    }
    assert!((0..4).all(|n| store.get(n).unwrap().payload == [n as u8; 250]), "exactly full");
    store.insert(&meta(4, now), b"", &[4; 1]);
    assert_eq!(store.get(0), None, "its first byte is gone");
    assert!((1..5).all(|n| store.get(n).is_some()));
}

#[test]
fn clearing_forgets_all_and_lower_numbers_may_follow() {
    let now = Instant::now();
    let mut store = PacketStore::new(8, 400);
    store.insert(&meta(100_000, now), b"", b"x");
    let memory_bytes = store.memory_bytes();
    store.clear();
    assert_eq!((store.get(100_000), store.highest(), store.memory_bytes()), (None, None, memory_bytes));
    assert!(store.insert(&meta(5, now), b"", b"y"));
    assert_eq!(store.get(5).unwrap().payload, b"y");
}

/// A model that keeps everything, and says what the limits must leave in any case and must have taken in any case.
#[test]
fn agrees_with_a_map_under_random_orders() {
    let now = Instant::now();
    let mut rng = Rng::from_seed([11; 32]);
    for (max_packets, max_bytes) in [(64, 8_000), (32, 100_000), (256, 3_000)] {
        let mut store = PacketStore::new(max_packets, max_bytes);
        let mut model: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        // The order of arrival, for the bytes that followed a packet.
        let mut lengths: Vec<(u64, usize)> = Vec::new();
        let mut highest = 65_500u64;
        for step in 0..4_000 {
            let ext_seq = match rng.below(10) {
                0 => highest.saturating_sub(u64::from(rng.below(80))),
                1 => highest + 1 + u64::from(rng.below(300)),
                _ => highest + 1,
            };
            let payload: Vec<u8> = (0..rng.below(600)).map(|_| rng.next_u32() as u8).collect();
            let descriptor: Vec<u8> = (0..rng.below(20)).map(|n| n as u8).collect();
            let before = store.highest();
            let fits = (payload.len() + descriptor.len()) * 4 <= max_bytes;
            let expected = fits && before.is_none_or(|high| ext_seq + max_packets as u64 > high);
            assert_eq!(store.insert(&meta(ext_seq, now), &descriptor, &payload), expected);
            if expected {
                highest = highest.max(ext_seq);
                // Its former bytes still take room.
                lengths
                    .iter_mut()
                    .filter(|(number, _)| *number == ext_seq)
                    .for_each(|entry| entry.0 = u64::MAX);
                lengths.push((ext_seq, payload.len() + descriptor.len()));
                model.insert(ext_seq, [descriptor, payload].concat());
            }
            if step % 16 == 0 {
                check(&store, &model, &lengths, highest, max_packets as u64, max_bytes);
            }
        }
    }
}

fn check(
    store: &PacketStore,
    model: &BTreeMap<u64, Vec<u8>>,
    lengths: &[(u64, usize)],
    highest: u64,
    max_packets: u64,
    max_bytes: usize,
) {
    let mut since = 0;
    for &(ext_seq, length) in lengths.iter().rev().take(400) {
        since += length;
        if ext_seq == u64::MAX {
            continue;
        }
        let found = store.get(ext_seq);
        if let Some(stored) = found {
            assert_eq!([stored.dependency_descriptor, stored.payload].concat(), model[&ext_seq]);
            assert_eq!(stored.meta.ext_seq, ext_seq);
            assert!(since <= max_bytes);
        }
        let shares_a_slot = model.range(ext_seq + 1..).any(|(n, _)| (n - ext_seq) % max_packets == 0);
        if shares_a_slot || ext_seq + max_packets <= highest && since > max_bytes {
            assert_eq!(found, None);
        } else if since <= max_bytes / 2 {
            // A packet that did not fit before the end of the ring may have skipped up to a quarter of it.
            assert!(found.is_some(), "{ext_seq} of {highest}, {since} bytes ago");
        }
    }
}
