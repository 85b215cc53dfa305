#![allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
use std::collections::BTreeSet;

use super::*;
use crate::rng::Rng;

const MS: Duration = Duration::from_millis(1);

fn stream(use_nack: bool) -> ReceiveStream {
    ReceiveStream::new(ReceiveParams { ssrc: 1, rtx_ssrc: Some(2), clock_rate: 90_000, use_nack })
}

fn nacks(stream: &mut ReceiveStream, now: Instant) -> Vec<u16> {
    let mut out = Vec::new();
    stream.poll_nack(now, 50 * MS, &mut out);
    out
}

#[test]
fn a_lost_packet_is_asked_for_and_recovered() {
    let now = Instant::now();
    let mut stream = stream(true);
    assert_eq!(stream.receive(now, 65_535, 0, 100), Received::New { ext_seq: 0x1_ffff });
    assert_eq!(stream.receive(now, 3, 0, 100), Received::New { ext_seq: 0x2_0003 });
    assert_eq!(stream.nack_deadline(), Some(now));
    assert_eq!(nacks(&mut stream, now), [0, 1, 2]);
    assert_eq!(stream.receive_rtx(now, 1, 100, 9), Received::Recovered { ext_seq: 0x2_0001 });
    assert_eq!(stream.receive(now, 2, 0, 100), Received::Recovered { ext_seq: 0x2_0002 });
    assert_eq!(stream.receive(now, 1, 0, 100), Received::Duplicate);
    assert_eq!(stream.receive_rtx(now, 2, 100, 10), Received::Duplicate);
    assert_eq!(nacks(&mut stream, now + 50 * MS), [0]);
    let stats = stream.stats(now);
    let expected = ReceiveStats {
        packet_count: 4,
        byte_count: 400,
        bitrate_bps: 3_200,
        packets_lost: 2,
        packets_retransmitted: 2,
        packets_repaired: 2,
        nack_count: 2,
        nack_packet_count: 4,
        duplicates: 2,
        score: 10,
        ..ReceiveStats::default()
    };
    assert_eq!(stats, expected);
}

#[test]
fn without_nack_late_packets_are_new() {
    let now = Instant::now();
    let mut stream = stream(false);
    stream.receive(now, 10, 0, 1);
    stream.receive(now, 12, 0, 1);
    assert_eq!((stream.nack_deadline(), nacks(&mut stream, now)), (None, vec![]));
    assert_eq!(stream.receive(now, 11, 0, 1), Received::New { ext_seq: 0x1_000b });
    assert_eq!(stream.stats(now).late, 1);
}

#[test]
fn reordered_before_the_request_is_not_repaired() {
    let now = Instant::now();
    let mut stream = stream(true);
    stream.receive(now, 10, 0, 1);
    stream.receive(now, 12, 0, 1);
    assert_eq!(stream.receive(now, 11, 0, 1), Received::New { ext_seq: 0x1_000b });
    assert_eq!((stream.nack_deadline(), stream.stats(now).packets_repaired), (None, 0));
}

#[test]
fn retransmissions_before_the_first_packet_belong_nowhere() {
    let now = Instant::now();
    let mut stream = stream(true);
    assert_eq!(stream.receive_rtx(now, 100, 1, 1), Received::TooOld);
    assert_eq!(stream.receive(now, 100, 0, 1), Received::New { ext_seq: 0x1_0064 });
    assert_eq!(stream.receive_rtx(now, 100, 1, 1), Received::Duplicate, "by its own number");
    assert_eq!(stream.receive_rtx(now, 101, 1, 2), Received::Recovered { ext_seq: 0x1_0065 });
}

#[test]
fn padding_on_the_retransmission_stream_counts_for_its_report_alone() {
    let now = Instant::now();
    let mut stream = stream(true);
    stream.receive(now, 100, 0, 1);
    stream.receive_rtx_padding(7);
    stream.receive_rtx_padding(9);
    let [block, rtx_block] = stream.report_blocks(now);
    assert_eq!(block.map(|block| block.extended_highest_sequence_number), Some(100));
    let rtx_block = rtx_block.unwrap();
    assert_eq!((rtx_block.extended_highest_sequence_number, rtx_block.cumulative_lost), (9, 1));
    let stats = stream.stats(now);
    assert_eq!((stats.packet_count, stats.packets_retransmitted), (1, 0));
}

#[test]
fn a_restart_asks_for_nothing_and_forgets_the_old_clock() {
    let now = Instant::now();
    let mut stream = stream(true);
    stream.on_sender_report(
        now,
        SenderInfo { ntp_time: NtpTime(1 << 32), rtp_timestamp: 5, packet_count: 0, octet_count: 0 },
    );
    assert_eq!(stream.sender_report_anchor(), Some((NtpTime(1 << 32), 5)));
    stream.receive(now, 10, 0, 1);
    stream.receive(now, 12, 0, 1);
    assert_eq!(stream.receive(now, 50_000, 7_000, 1), Received::TooOld);
    assert_eq!(stream.receive(now, 50_001, 7_000, 1), Received::Restarted { ext_seq: 0x1_0000 + 50_001 });
    assert_eq!((stream.nack_deadline(), stream.sender_report_anchor()), (None, None));
    let [block, _] = stream.report_blocks(now);
    let block = block.unwrap();
    assert_eq!((block.cumulative_lost, block.extended_highest_sequence_number), (1, 50_001));
}

#[test]
fn too_large_a_gap_needs_a_keyframe() {
    let now = Instant::now();
    let mut stream = stream(true);
    stream.receive(now, 0, 0, 1);
    stream.receive(now, 2_000, 0, 1);
    let poll = stream.poll_nack(now, 50 * MS, &mut Vec::new());
    assert_eq!(poll, NackPoll { requested: 0, keyframe_needed: true });
    assert_eq!(stream.stats(now).nack_count, 0);
}

#[test]
fn report_blocks_say_what_came() {
    let start = Instant::now();
    let mut stream = stream(true);
    assert_eq!(stream.report_blocks(start), [None, None]);
    stream.on_sender_report(
        start,
        SenderInfo {
            ntp_time: NtpTime(0x0000_b705_2000_0000),
            rtp_timestamp: 0,
            packet_count: 0,
            octet_count: 0,
        },
    );
    for seq in (0..100u16).filter(|seq| seq % 4 != 1) {
        stream.receive(start, seq.wrapping_sub(50), 0, 1);
    }
    stream.receive_rtx(start, 65_523, 1, 700);
    stream.receive_rtx(start, 65_527, 1, 702);
    let expected = ReportBlock {
        ssrc: 1,
        fraction_lost: 64,
        cumulative_lost: 25,
        extended_highest_sequence_number: 0x1_0031,
        jitter: 0,
        last_sr: 0xb705_2000,
        delay_since_last_sr: 0x0005_4000,
    };
    let expected_rtx = ReportBlock {
        ssrc: 2,
        fraction_lost: 85,
        cumulative_lost: 1,
        extended_highest_sequence_number: 702,
        ..ReportBlock::default()
    };
    assert_eq!(stream.report_blocks(start + 5_250 * MS), [Some(expected), Some(expected_rtx)]);
    assert!(stream.score() < 6, "{}", stream.score());
    let [block, _] = stream.report_blocks(start + 6_000 * MS);
    assert_eq!(block.map(|block| (block.fraction_lost, block.cumulative_lost)), Some((0, 25)));
}

#[test]
fn another_retransmission_stream_starts_anew() {
    let now = Instant::now();
    let mut stream =
        ReceiveStream::new(ReceiveParams { ssrc: 1, rtx_ssrc: None, clock_rate: 90_000, use_nack: true });
    stream.receive(now, 1, 0, 1);
    stream.receive(now, 4, 0, 1);
    stream.set_rtx_ssrc(9);
    assert_eq!(stream.receive_rtx(now, 2, 1, 30_000), Received::Recovered { ext_seq: 0x1_0002 });
    stream.set_rtx_ssrc(9);
    assert_eq!(stream.receive_rtx(now, 2, 1, 30_000), Received::Duplicate);
    stream.set_rtx_ssrc(10);
    assert_eq!(stream.receive_rtx(now, 3, 1, 1), Received::Recovered { ext_seq: 0x1_0003 });
    assert_eq!(stream.report_blocks(now)[1].map(|block| block.ssrc), Some(10));
}

/// A link that loses, delays and doubles; a sender that answers NACKs by RTX over the same link. In the end all is there, and
/// the numbers agree with sums kept beside.
#[test]
fn everything_arrives_over_a_bad_link() {
    let mut rng = Rng::from_seed([61; 32]);
    let start = Instant::now();
    let mut stream = stream(true);
    let mut flying: Vec<(u64, u16, Option<u16>)> = Vec::new();
    let (mut sent, mut rtx_seq, mut lost) = (0u64, 60_000u16, 0i64);
    let mut got = BTreeSet::new();
    let mut now_ms = 0;
    while now_ms < 70_000 {
        now_ms += 1;
        let now = start + now_ms as u32 * MS;
        if now_ms < 66_000 && now_ms % 2 == 1 {
            let seq = (65_000 + sent) as u16;
            // The ends of the row arrive, so that both sides agree on what was expected.
            if sent > 0 && now_ms < 65_990 && rng.below(20) == 0 {
                lost += 1;
            } else {
                let late = if sent > 0 { u64::from(rng.below(8)) } else { 0 };
                flying.push((now_ms + 10 + late, seq, None));
            }
            sent += 1;
        }
        let (arrived, still): (Vec<_>, Vec<_>) = flying.iter().partition(|&&(at, _, _)| at <= now_ms);
        flying = still;
        for (_, seq, rtx) in arrived {
            let received = match rtx {
                None => stream.receive(now, seq, 0, 10),
                Some(rtx_seq) => stream.receive_rtx(now, seq, 10, rtx_seq),
            };
            match received {
                Received::New { ext_seq } | Received::Recovered { ext_seq } => {
                    assert!(got.insert(ext_seq), "{ext_seq} twice");
                    assert_eq!(ext_seq as u16, seq);
                }
                Received::Duplicate => {}
                other => panic!("{other:?}"),
            }
        }
        for seq in nacks(&mut stream, now) {
            rtx_seq = rtx_seq.wrapping_add(1);
            if rng.below(20) != 0 {
                flying.push((now_ms + 20 + u64::from(rng.below(20)), seq, Some(rtx_seq)));
            }
        }
    }
    let first = 0x1_0000 + 65_000;
    assert_eq!(got, (first..first + sent).collect::<BTreeSet<_>>());
    let [block, _] = stream.report_blocks(start + now_ms as u32 * MS);
    assert_eq!(i64::from(block.unwrap().cumulative_lost), lost);
    assert_eq!(stream.stats(start).packet_count, sent);
    assert!(stream.stats(start).packets_repaired as i64 >= lost);
    assert_eq!(stream.nack_deadline(), None);
}

/// Consumers derive SRTP indices from these numbers: one that is given twice could give a key stream away.
#[test]
fn no_number_is_given_twice_whatever_comes() {
    for seed in 0..20 {
        let mut rng = Rng::from_seed([seed; 32]);
        let mut now = Instant::now();
        let mut stream = stream(true);
        let mut got = BTreeSet::new();
        let mut highest = 0;
        let (mut seq, mut rtx_seq) = (rng.next_u32() as u16, 0u16);
        for _ in 0..20_000 {
            now += Duration::from_micros(u64::from(rng.below(3_000)));
            match rng.below(400) {
                0 => seq = rng.next_u32() as u16,
                1 => seq = seq.wrapping_sub(rng.below(3_000) as u16),
                2 => seq = seq.wrapping_add(rng.below(6_000) as u16),
                3..60 => seq = seq.wrapping_sub(rng.below(4) as u16),
                _ => seq = seq.wrapping_add(1),
            }
            rtx_seq = rtx_seq.wrapping_add(rng.below(3) as u16);
            let received = match rng.below(6) {
                0 => stream.receive_rtx(now, seq.wrapping_sub(rng.below(20) as u16), 1, rtx_seq),
                _ => stream.receive(now, seq, rng.next_u32(), 1),
            };
            match received {
                Received::New { ext_seq } | Received::Recovered { ext_seq } => assert!(got.insert(ext_seq)),
                Received::Restarted { ext_seq } => {
                    assert!(ext_seq > highest + 100, "nothing before belongs to it");
                    assert!(got.insert(ext_seq));
                }
                Received::Duplicate | Received::TooOld => {}
            }
            highest = got.last().copied().unwrap_or(0);
            if rng.below(50) == 0 {
                nacks(&mut stream, now);
                let [block, _] = stream.report_blocks(now);
                assert!(block.is_none_or(|block| block.cumulative_lost >= 0));
            }
            assert_eq!(stream.highest().unwrap_or(0), highest);
        }
        let restarts = got.iter().zip(got.iter().skip(1)).filter(|(a, b)| *b - *a > 3_000).count();
        assert!(restarts > 5, "{restarts}");
    }
}
