#![allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
use std::collections::BTreeMap;

use super::*;
use crate::rng::Rng;
use crate::wire::rtcp::{RtcpView, packets};

const MS: Duration = Duration::from_millis(1);

/// A message: its count, and for each packet its number and when it arrived, in ticks since the epoch.
type Report = (u8, Vec<(u16, Option<i64>)>);

fn written(recorder: &mut TransportFeedbackRecorder, now: Instant) -> Vec<Report> {
    let mut reports = Vec::new();
    let mut bytes = Vec::new();
    while recorder.write(now, &mut bytes, 77) {
        assert!(bytes.len() <= MAX_MESSAGE_BYTES && bytes.len() % 4 == 0);
        let views: Vec<_> = packets(&bytes).collect();
        let [RtcpView::TransportFeedback(feedback)] = views.as_slice() else { panic!("{views:?}") };
        assert_eq!(feedback.header.sender_ssrc, 77);
        let mut at = i64::from(feedback.header.reference_time_64ms) * 256;
        let packets = feedback.packets().map(|(number, delta)| {
            at += i64::from(delta.unwrap_or(0));
            (number, delta.map(|_| at))
        });
        reports.push((feedback.header.feedback_packet_count, packets.collect()));
        bytes.clear();
    }
    reports
}

#[test]
fn arrivals_are_reported_after_100_ms() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    assert_eq!((recorder.deadline(), recorder.is_due(start)), (None, false));
    recorder.on_packet(start + 70 * MS, 65_534, 5, 100);
    recorder.on_packet(start + 71 * MS, 65_535, 5, 100);
    recorder.on_packet(start + 80 * MS, 1, 5, 100);
    assert_eq!(recorder.deadline(), Some(start + 170 * MS));
    assert_eq!(written(&mut recorder, start + 169 * MS), []);
    let expected = vec![(65_534, Some(280)), (65_535, Some(284)), (0, None), (1, Some(320))];
    assert_eq!(written(&mut recorder, start + 170 * MS), [(0, expected)]);
    assert_eq!(recorder.deadline(), None);
    // The next one begins with what was missing since.
    recorder.on_packet(start + 200 * MS, 3, 5, 100);
    let expected = vec![(2, None), (3, Some(800))];
    assert_eq!(written(&mut recorder, start + 300 * MS), [(1, expected)]);
}

#[test]
fn the_message_names_a_stream_and_the_reporter() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    recorder.on_packet(start, 9, 0x0102_0304, 100);
    let mut bytes = Vec::new();
    assert!(recorder.write(start + LONGEST_INTERVAL, &mut bytes, 0x0506_0708));
    // Arrival at the epoch is told as one tick later: 0 would be "not received".
    let expected = [0xaf, 205, 0, 5, 5, 6, 7, 8, 1, 2, 3, 4, 0, 9, 0, 1, 0, 0, 0, 0, 0x20, 0x01, 1, 1];
    assert_eq!(bytes, expected);
}

/// When messages are due, in ms, if packets of `bytes` come every 5 ms.
fn spacing(bytes: usize) -> Vec<u32> {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    let mut sent = Vec::new();
    for n in 0..400u16 {
        let now = start + u32::from(n) * 5 * MS;
        recorder.on_packet(now, n, 5, bytes);
        if !written(&mut recorder, now).is_empty() {
            sent.push(u32::from(n) * 5);
        }
    }
    sent.windows(2).map(|pair| pair[1] - pair[0]).skip_while(|apart| *apart >= 100).collect()
}

#[test]
fn the_pace_follows_the_rate_so_that_feedback_takes_a_twentieth_of_it() {
    // 5 ms pass from a message to the next packet.
    assert_eq!(spacing(60), Vec::<u32>::new(), "96 kbit/s: always 100 ms");
    let apart = spacing(100);
    assert!(
        apart.iter().rev().take(10).all(|apart| (70..=80).contains(apart)),
        "160 kbit/s: 68 ms, {apart:?}"
    );
    let apart = spacing(1_000);
    assert!(apart.iter().rev().take(20).all(|apart| *apart == 55), "1.6 Mbit/s: {apart:?}");
}

#[test]
fn half_a_window_is_reported_at_once_in_messages_of_bounded_size() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    for n in 0..512u16 {
        recorder.on_packet(start + MS, n, 5, 100);
        assert!(!recorder.is_due(start + MS));
    }
    // 70 ms more than a small delta holds: two bytes each.
    for n in 512..1_000u16 {
        recorder.on_packet(start + (u32::from(n) - 511) * 70 * MS, n, 5, 100);
    }
    let reports = written(&mut recorder, start + 40_000 * MS);
    assert!(reports.len() > 1, "{}", reports.len());
    let numbers: Vec<u16> =
        reports.iter().flat_map(|(_, packets)| packets).map(|&(number, _)| number).collect();
    assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    assert!(reports.iter().enumerate().all(|(n, &(count, _))| usize::from(count) == n));
}

#[test]
fn a_long_silence_needs_a_new_reference() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    recorder.on_packet(start + MS, 1, 5, 100);
    recorder.on_packet(start + 9_000 * MS, 2, 5, 100);
    let reports = written(&mut recorder, start + 9_000 * MS);
    assert_eq!(reports, [(0, vec![(1, Some(4))]), (1, vec![(2, Some(36_000))])]);
}

#[test]
fn a_late_packet_is_reported_again_with_those_after_it() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    for n in [10, 12, 13] {
        recorder.on_packet(start + 10 * MS, n, 5, 100);
    }
    written(&mut recorder, start + 110 * MS);
    recorder.on_packet(start + 120 * MS, 11, 5, 100);
    recorder.on_packet(start + 121 * MS, 13, 5, 100);
    let expected = vec![(11, Some(480)), (12, Some(40)), (13, Some(40))];
    assert_eq!(written(&mut recorder, start + 220 * MS), [(1, expected)]);
}

#[test]
fn numbers_far_away_start_anew() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    recorder.on_packet(start + MS, 100, 5, 100);
    recorder.on_packet(start + 2 * MS, 30_000, 5, 100);
    assert_eq!(written(&mut recorder, start + 200 * MS), [(0, vec![(30_000, Some(8))])]);
    for n in 0..9 {
        recorder.on_packet(start + 300 * MS, 5 + n, 5, 100);
        assert_eq!(recorder.deadline(), None, "far behind");
    }
    recorder.on_packet(start + 300 * MS, 14, 5, 100);
    recorder.on_packet(start + 300 * MS, 15, 5, 100);
    assert_eq!(written(&mut recorder, start + 400 * MS), [(1, vec![(14, Some(1_200)), (15, Some(1_200))])]);
}

#[test]
fn everything_that_arrives_is_reported_with_its_time() {
    for seed in 0..10 {
        let mut rng = Rng::from_seed([seed; 32]);
        let start = Instant::now();
        let mut recorder = TransportFeedbackRecorder::new(start);
        let mut arrived = BTreeMap::new();
        let mut reported = BTreeMap::new();
        let mut flying = Vec::new();
        for sent in 0..20_000u64 {
            let now_us = sent * 1_000;
            if rng.below(20) != 0 {
                let delay_us = if rng.below(10) == 0 { rng.below(150_000) } else { 1_000 };
                flying.push((now_us + u64::from(delay_us), 60_000 + sent));
            }
            let now = start + Duration::from_micros(now_us);
            let (landed, still): (Vec<_>, Vec<_>) = flying.iter().partition(|&&(at, _)| at <= now_us);
            flying = still;
            for (_, number) in landed {
                recorder.on_packet(now, number as u16, 5, 100);
                arrived.insert(number as u16, (now_us / 250) as i64);
            }
            reported.extend(arrivals(written(&mut recorder, now)));
        }
        reported.extend(arrivals(written(&mut recorder, start + 30_000 * MS)));
        assert_eq!(reported, arrived);
    }
}

/// What the messages say arrived.
fn arrivals(reports: Vec<Report>) -> impl Iterator<Item = (u16, i64)> {
    reports.into_iter().flat_map(|(_, packets)| packets).filter_map(|(number, at)| Some((number, at?)))
}

#[test]
fn whatever_numbers_come_messages_stay_bounded_and_end() {
    let mut rng = Rng::from_seed([71; 32]);
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    let mut now = start;
    for _ in 0..50_000 {
        now += Duration::from_micros(u64::from(rng.below(20_000)) * u64::from(rng.below(20)));
        recorder.on_packet(now, rng.next_u32() as u16 >> rng.below(16), rng.next_u32(), 100);
        if rng.below(30) == 0 {
            assert!(written(&mut recorder, now).len() <= 1_024);
            assert!(!recorder.is_due(now));
        }
    }
}

/// Found by the fuzz target `feedback`: 597 was reported with the arrival time of 597 + 1024, which has taken its place.
#[test]
fn a_leap_does_not_give_an_old_number_the_time_of_a_new_one() {
    let start = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(start);
    (100..=598).for_each(|number| recorder.on_packet(start + MS, number, 5, 100));
    recorder.on_packet(start + 50 * MS, 598 + 1_023, 5, 100);
    let reported: BTreeMap<_, _> = arrivals(written(&mut recorder, start + 200 * MS)).collect();
    assert_eq!(reported, BTreeMap::from([(598, 4), (1_621, 200)]));
}
