#![allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
use std::collections::BTreeMap;

use super::*;
use crate::rng::Rng;

const MS: Duration = Duration::from_millis(1);

fn poll(nack: &mut NackGenerator, now: Instant, rtt_ms: u32) -> (Vec<u16>, bool) {
    let mut out = Vec::new();
    let poll = nack.poll(now, rtt_ms * MS, &mut out);
    assert_eq!(poll.requested, out.len());
    (out, poll.keyframe_needed)
}

#[test]
fn asks_at_once_and_then_every_round_trip() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 65_534, 65_538);
    assert_eq!(nack.deadline(), Some(start));
    assert_eq!(poll(&mut nack, start, 50), (vec![65_534, 65_535, 0, 1], false));
    assert_eq!(nack.deadline(), Some(start + 50 * MS));
    assert_eq!(poll(&mut nack, start + 49 * MS, 50), (vec![], false));
    assert_eq!(nack.on_received(65_535), Some(1));
    assert_eq!(nack.on_received(65_535), None);
    assert_eq!(poll(&mut nack, start + 50 * MS, 3).0, [65_534, 0, 1]);
    assert_eq!(nack.deadline(), Some(start + 70 * MS), "never faster than 20 ms");
    for ext_seq in [65_534, 65_536, 65_537] {
        assert_eq!(nack.on_received(ext_seq), Some(2));
    }
    assert_eq!((nack.deadline(), nack.is_empty()), (None, true));
}

#[test]
fn reordered_packets_are_not_asked_for_within_the_tolerance() {
    let start = Instant::now();
    let mut nack = NackGenerator::new(10 * MS);
    nack.on_gap(start, 5, 7);
    assert_eq!(nack.deadline(), Some(start + 10 * MS));
    assert_eq!(nack.on_received(5), Some(0));
    assert_eq!(poll(&mut nack, start + 10 * MS, 50).0, [6]);
}

#[test]
fn a_packet_is_given_up_after_ten_requests() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 1, 2);
    let mut asked = 0;
    let mut gave_up = false;
    while let Some(at) = nack.deadline() {
        let (numbers, keyframe_needed) = poll(&mut nack, at, 0);
        asked += numbers.len();
        gave_up |= keyframe_needed;
    }
    assert_eq!((asked, gave_up, nack.len()), (10, true, 0));
}

/// When a packet that never comes is asked for, and when it is given up, in ms.
fn asked_for(rtt_ms: u32) -> (Vec<u32>, u32) {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 1, 2);
    let mut asked = Vec::new();
    loop {
        let at = nack.deadline().unwrap();
        let ms = (at - start).as_millis() as u32;
        match poll(&mut nack, at, rtt_ms) {
            (numbers, false) => asked.extend(numbers.iter().map(|_| ms)),
            (numbers, true) => {
                assert_eq!((numbers, nack.deadline()), (vec![], None));
                return (asked, ms);
            }
        }
    }
}

#[test]
fn a_packet_is_given_up_when_a_keyframe_would_be_there_sooner() {
    assert_eq!(asked_for(100), (vec![0, 100, 200, 300, 400], 500));
    assert_eq!(asked_for(200), (vec![0, 200, 400, 600], 800), "four round trips");
    assert_eq!(asked_for(400), (vec![0, 400, 800, 1_200], 1_600));
    assert_eq!(asked_for(900), (vec![0, 900, 1_800], 2_700), "what was asked for last is waited for");
}

#[test]
fn what_is_missing_before_a_keyframe_needs_no_other() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 1, 2);
    nack.on_keyframe(10);
    assert_eq!(poll(&mut nack, start, 50), (vec![1], false), "but it is still asked for");
    assert_eq!(poll(&mut nack, start + 2_000 * MS, 50), (vec![], false));
}

#[test]
fn too_many_missing_need_a_keyframe() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 1, 1_001);
    assert_eq!(nack.len(), 1_000);
    nack.on_gap(start, 1_002, 1_003);
    assert_eq!((nack.len(), nack.deadline()), (0, Some(start)));
    assert_eq!(poll(&mut nack, start, 50), (vec![], true));
    assert_eq!((poll(&mut nack, start, 50), nack.deadline()), ((vec![], false), None));
    nack.on_gap(start, 2_000, 4_000);
    assert_eq!((nack.len(), poll(&mut nack, start, 50).1), (0, true));
}

#[test]
fn the_list_makes_room_at_a_keyframe() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 0, 900);
    nack.on_keyframe(800);
    nack.on_gap(start, 1_000, 1_200);
    assert_eq!(nack.len(), 99 + 200);
    assert!(!poll(&mut nack, start, 50).1);
}

#[test]
fn one_poll_asks_for_a_bounded_number() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 0, 600);
    assert_eq!(poll(&mut nack, start, 100).0.len(), 256);
    assert_eq!(nack.deadline(), Some(start + 5 * MS));
    assert_eq!(poll(&mut nack, start + 5 * MS, 100).0, (256..512).collect::<Vec<u16>>());
    assert_eq!(poll(&mut nack, start + 10 * MS, 100).0.len(), 88);
    assert_eq!(nack.deadline(), Some(start + 100 * MS));
}

/// Against a list of all that is missing, looked through at every step.
#[test]
fn agrees_with_a_naive_list_under_random_loss() {
    let mut rng = Rng::from_seed([41; 32]);
    let mut now = Instant::now();
    let mut nack = NackGenerator::default();
    let mut model: BTreeMap<u64, (Instant, Instant, u8)> = BTreeMap::new();
    let mut next = 65_000u64;
    for _ in 0..50_000 {
        now += Duration::from_micros(u64::from(rng.below(8_000)));
        let lost = if rng.below(5) == 0 { u64::from(rng.below(6)) } else { 0 };
        nack.on_gap(now, next, next + lost);
        model.extend((next..next + lost).map(|n| (n, (now, now, 0))));
        next += lost + 1;
        if rng.below(3) == 0 {
            let recovered = next - 1 - u64::from(rng.below(200));
            assert_eq!(nack.on_received(recovered), model.remove(&recovered).map(|entry| entry.2));
        }
        let rtt_ms = 30 + rng.below(50);
        let mut expected = Vec::new();
        let mut gave_up = false;
        if nack.deadline().is_none_or(|at| at > now) {
            assert!(model.values().all(|&(_, due, _)| due > now));
        }
        model.retain(|&n, (since, due, requests)| {
            if *due > now {
                return true;
            }
            if *requests == 10 || now - *since >= 500 * MS {
                gave_up = true;
                return false;
            }
            expected.push(n as u16);
            (*due, *requests) = (now + rtt_ms * MS, *requests + 1);
            true
        });
        assert!(expected.len() < 256);
        assert_eq!(poll(&mut nack, now, rtt_ms), (expected, gave_up));
        assert_eq!(nack.len(), model.len());
    }
}

#[test]
fn it_tells_what_was_given_up() {
    let start = Instant::now();
    let mut nack = NackGenerator::default();
    nack.on_gap(start, 10, 13);
    nack.on_gap(start, 20, 22);
    nack.on_received(11);
    nack.on_keyframe(10);
    assert!(!poll(&mut nack, start, 500).1 && nack.given_up().is_empty());
    assert!(poll(&mut nack, start + 2_500 * MS, 500).1);
    assert_eq!(nack.given_up(), [(12, 12), (20, 21)], "what came before a keyframe is of no use");
    for index in 0..20 {
        nack.on_gap(start + 3_000 * MS, 100 + 2 * index, 101 + 2 * index);
    }
    assert!(poll(&mut nack, start + 6_000 * MS, 500).1);
    assert_eq!((nack.given_up().len(), nack.given_up().last()), (MAX_GIVEN_UP_RUNS, Some(&(114, 138))));
    nack.on_gap(start + 7_000 * MS, 200, 201);
    nack.on_gap(start + 7_000 * MS, 300, 1_400);
    assert!(poll(&mut nack, start + 7_000 * MS, 500).1);
    assert_eq!(nack.given_up().last(), Some(&(200, 1_399)), "too much at once");
}
