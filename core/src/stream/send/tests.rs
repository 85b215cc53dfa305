#![allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
use super::*;

const MS: Duration = Duration::from_millis(1);

fn stream() -> SendStream {
    let params = SendParams { ssrc: 11, rtx_ssrc: Some(12), clock_rate: 90_000, cname: "name".to_owned() };
    SendStream::new(params, &mut Rng::from_seed([51; 32]))
}

#[test]
fn first_numbers_leave_the_rollover_counter_at_0() {
    let mut rng = Rng::from_seed([52; 32]);
    let params = SendParams { ssrc: 1, rtx_ssrc: None, clock_rate: 8_000, cname: String::new() };
    let mut firsts: Vec<u64> = (0..1_000)
        .flat_map(|_| {
            let mut stream = SendStream::new(params.clone(), &mut rng);
            [stream.first_out(), stream.next_rtx_ext()]
        })
        .collect();
    assert!(firsts.iter().all(|first| (1..0x8000).contains(first)));
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 1_900, "they are random");
}

#[test]
fn retransmissions_count_on() {
    let mut stream = stream();
    let first = stream.next_rtx_ext();
    assert_eq!((stream.next_rtx_ext(), stream.next_rtx_ext()), (first + 1, first + 2));
}

#[test]
fn a_sender_report_extrapolates_from_the_newest_packet() {
    let start = Instant::now();
    let mut stream = stream();
    let ntp = NtpTime(0x1234_5678_9abc_def0);
    assert_eq!(stream.sender_report(start, ntp), None);
    stream.on_sent(start, 100, u32::MAX - 1_000, 1_200);
    stream.on_sent(start + 50 * MS, 102, u32::MAX, 800);
    stream.on_sent(start + 60 * MS, 101, u32::MAX - 500, 100);
    let expected = SenderInfo {
        ntp_time: ntp,
        rtp_timestamp: u32::MAX.wrapping_add(9_000),
        packet_count: 3,
        octet_count: 2_100,
    };
    assert_eq!(stream.sender_report(start + 150 * MS, ntp), Some(expected));
    assert_eq!(stream.highest_out(), Some(102));
}

#[test]
fn the_round_trip_is_measured_by_the_echo_of_a_report() {
    let start = Instant::now();
    let mut stream = stream();
    stream.on_sent(start, 1, 1, 1);
    let ntp = NtpTime(0x0001_b705_2000_0000);
    stream.sender_report(start, ntp);
    stream.sender_report(start + 1_000 * MS, NtpTime(ntp.0 + (1 << 32)));
    let mut block =
        ReportBlock { last_sr: 0xb705_2000, delay_since_last_sr: 0x0005_4000, ..Default::default() };
    // RFC 3550 figure 2: 5.25 s of delay, 6.125 s of round trip in all.
    assert_eq!(stream.on_receiver_report(start + 11_375 * MS, &block), Some(6_125 * MS));
    assert_eq!(stream.rtt(), Some(6_125 * MS));
    assert_eq!(stream.on_receiver_report(start + 5_000 * MS, &block), Some(Duration::ZERO), "never negative");
    block.last_sr = 0;
    assert_eq!(stream.on_receiver_report(start + 5_000 * MS, &block), None);
    block.last_sr = 0x1111_2222;
    assert_eq!(stream.on_receiver_report(start + 5_000 * MS, &block), None, "a report that we never sent");
    assert_eq!(stream.rtt(), Some(Duration::ZERO), "what was measured stays");
}

#[test]
fn old_reports_are_forgotten() {
    let start = Instant::now();
    let mut stream = stream();
    stream.on_sent(start, 1, 1, 1);
    for n in 1..=5u64 {
        stream.sender_report(start, NtpTime(n << 16));
    }
    let block = |last_sr| ReportBlock { last_sr, ..ReportBlock::default() };
    assert_eq!(stream.on_receiver_report(start, &block(1)), None);
    assert!((2..=5).all(|n| stream.on_receiver_report(start, &block(n)).is_some()));
}

#[test]
fn a_packet_is_resent_once_a_round_trip() {
    let start = Instant::now();
    let mut stream = stream();
    let rtt = 50 * MS;
    assert!(stream.on_nack_request(start, rtt, 500));
    assert!(!stream.on_nack_request(start + 49 * MS, rtt, 500));
    assert!(stream.on_nack_request(start + 49 * MS, rtt, 501));
    assert!(stream.on_nack_request(start + 50 * MS, rtt, 500));
    assert!(!stream.on_nack_request(start + 69 * MS, MS, 500), "at least 20 ms");
    assert!(stream.on_nack_request(start + 70 * MS, MS, 500));
    stream.on_resent();
    stream.on_rendered(start + 70 * MS, 32, 1_000, false);
    stream.on_nack_received(3);
    stream.on_pli_received();
    stream.on_fir_received();
    stream.on_discarded();
    let stats = stream.stats(start + 70 * MS);
    let expected = SendStats {
        bitrate_bps: 8_000,
        packets_discarded: 1,
        packets_retransmitted: 1,
        packets_repaired: 2,
        nack_count: 1,
        nack_packet_count: 3,
        pli_count: 1,
        fir_count: 1,
        score: 10,
        ..SendStats::default()
    };
    assert_eq!(stats, expected);
}

#[test]
fn the_memory_of_resent_packets_is_bounded() {
    let start = Instant::now();
    let mut stream = stream();
    for out_ext in 1..100_000 {
        assert!(stream.on_nack_request(start, DEFAULT_RTT, out_ext));
    }
    assert_eq!(stream.resent.places.len(), RESENT_SLOTS);
    assert!(!stream.on_nack_request(start, DEFAULT_RTT, 99_999));
    assert!(stream.on_nack_request(start, DEFAULT_RTT, 99_999 - RESENT_SLOTS as u64), "forgotten");
}

#[test]
fn reports_of_loss_lower_the_score() {
    let start = Instant::now();
    let mut stream = stream();
    for out_ext in 1..=100 {
        stream.on_sent(start, out_ext, 0, 10);
    }
    let block = ReportBlock { fraction_lost: 77, cumulative_lost: 30, ..ReportBlock::default() };
    stream.on_receiver_report(start, &block);
    let stats = stream.stats(start);
    assert_eq!((stats.score, stats.fraction_lost, stats.packets_lost, stats.packet_count), (2, 77, 30, 100));
    stream.on_receiver_report(start, &block);
    assert_eq!(stream.score(), 2, "nothing was sent since");
    let hostile = ReportBlock { cumulative_lost: i32::MIN, ..block };
    stream.on_receiver_report(start, &hostile);
    stream.on_receiver_report(start, &ReportBlock { cumulative_lost: i32::MAX, ..block });
    stream.on_inactive();
    assert_eq!(stream.score(), 0);
}
