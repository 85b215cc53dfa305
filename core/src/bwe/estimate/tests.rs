use super::*;
use crate::wire::rtcp::{RtcpView, TransportFeedbackHeader, packets, write_transport_feedback};

const MS: Duration = Duration::from_millis(1);
const LIMITS: BitrateLimits = BitrateLimits { start_bps: 600_000, min_bps: 30_000, max_bps: None };

/// Feedback about packets from `base` on, each with its delta in ticks, after a reference time.
fn feed(
    estimator: &mut BandwidthEstimator,
    now: Instant,
    (base, reference_time_64ms): (u16, i32),
    deltas: &[Option<i16>],
) {
    let header = TransportFeedbackHeader {
        sender_ssrc: 1,
        media_ssrc: 2,
        base_sequence_number: base,
        reference_time_64ms,
        feedback_packet_count: 0,
    };
    let mut bytes = Vec::new();
    assert_eq!(write_transport_feedback(&mut bytes, &header, deltas, 10_000), deltas.len());
    for packet in packets(&bytes) {
        if let RtcpView::TransportFeedback(feedback) = packet {
            estimator.on_feedback(now, &feedback);
        }
    }
}

/// Sends a packet of 1000 bytes every 10 ms for `count` times 100 ms and tells of all of them every 100 ms.
fn steady(estimator: &mut BandwidthEstimator, start: Instant, from: u32, count: u32) {
    for step in from..from + count {
        let base = (step * 10) as u16;
        for n in 0..10u32 {
            estimator.on_sent(start + (step * 100 + n * 10) * MS, base.wrapping_add(n as u16), 1_000, None);
        }
        let deltas: Vec<_> =
            (0..10).map(|n| Some(if n == 0 { (step * 400 % 256) as i16 } else { 40 })).collect();
        let reference = (step * 400 / 256) as i32;
        feed(estimator, start + (step * 100 + 99) * MS, (base, reference), &deltas);
    }
}

#[test]
fn it_starts_where_it_is_told_and_stays_within_limits() {
    let now = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    assert_eq!((estimator.estimate_bps(), estimator.deadline()), (600_000, None));
    estimator.set_limits(now, BitrateLimits { max_bps: Some(400_000), ..LIMITS });
    assert_eq!(estimator.estimate_bps(), 400_000);
    estimator.set_limits(now, BitrateLimits { min_bps: 900_000, ..LIMITS });
    assert_eq!(estimator.estimate_bps(), 900_000);
}

#[test]
fn what_gets_through_lets_it_grow_but_not_without_bound() {
    let start = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    steady(&mut estimator, start, 0, 7_000);
    let bps = estimator.estimate_bps();
    assert!(
        (800_000..1_300_000).contains(&bps),
        "{bps}: 800 kbit/s get through, over two wraps of the numbers"
    );
    assert_eq!(estimator.state().usage, Usage::Normal);
}

#[test]
fn clients_without_feedback_are_led_by_remb_or_by_their_reports() {
    let now = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    estimator.on_loss_report(now, 128);
    assert_eq!(estimator.estimate_bps(), 450_000);
    estimator.on_remb(now, 2_000_000);
    assert_eq!(estimator.estimate_bps(), 2_000_000);
    estimator.on_remb(now, 1);
    assert_eq!(estimator.estimate_bps(), 30_000);
}

#[test]
fn with_feedback_neither_counts() {
    let start = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    steady(&mut estimator, start, 0, 10);
    let before = estimator.estimate_bps();
    estimator.on_remb(start + 1_000 * MS, 50_000);
    estimator.on_loss_report(start + 1_000 * MS, 255);
    assert_eq!(estimator.estimate_bps(), before);
}

#[test]
fn feedback_about_what_was_never_sent_changes_nothing() {
    let start = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    feed(&mut estimator, start, (7, 7), &[Some(0); 200]);
    estimator.on_sent(start, 100, 1_000, None);
    feed(&mut estimator, start + 50 * MS, (200, 7), &[Some(0); 200]);
    assert_eq!(estimator.estimate_bps(), 600_000);
    assert_eq!(estimator.state().acknowledged_bps, None);
}

#[test]
fn lies_about_times_stay_bounded() {
    let start = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    steady(&mut estimator, start, 0, 20);
    let deltas =
        [Some(i16::MIN), Some(i16::MAX), Some(0), Some(0), None, Some(-1), Some(1), Some(0), Some(0), None];
    for step in 20..600u32 {
        let (now, base) = (start + step * 100 * MS, (step * 10) as u16);
        for n in 0..10 {
            estimator.on_sent(now + n * MS, base.wrapping_add(n as u16), 1_000, None);
        }
        let reference = [i32::MAX >> 8, i32::MIN >> 8, 0, -1][step as usize % 4];
        feed(&mut estimator, now + 50 * MS, (base, reference), &deltas);
        feed(&mut estimator, now + 51 * MS, (base, reference), &deltas);
        estimator.handle_timeout(now + 52 * MS);
        let bps = estimator.estimate_bps();
        assert!((30_000..=2_000_000).contains(&bps), "{bps}");
    }
}

#[test]
fn a_clock_that_jumps_or_goes_back_does_no_harm() {
    let start = Instant::now() + Duration::from_secs(100);
    let mut estimator = BandwidthEstimator::new(LIMITS);
    estimator.set_wanted(start, 5_000_000);
    steady(&mut estimator, start, 0, 20);
    let before = estimator.estimate_bps();
    estimator.handle_timeout(start - Duration::from_secs(50));
    estimator.on_sent(start - Duration::from_secs(50), 9_999, 1_000, None);
    let far = start + Duration::from_secs(365 * 24 * 3_600);
    estimator.handle_timeout(far);
    estimator.poll_probe(far);
    assert!(estimator.estimate_bps() >= before / 2);
    assert!(estimator.deadline().is_none_or(|at| at >= far));
}

#[test]
fn a_probe_is_asked_for_when_more_is_wanted_and_raises_the_estimate() {
    let start = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    assert_eq!(estimator.poll_probe(start), None, "nothing is wanted");
    estimator.set_wanted(start, 5_000_000);
    let (mut now, mut number, mut deltas, mut last) = (start, 0u16, Vec::new(), start);
    while let Some(probe) = estimator.poll_probe(now) {
        estimator.on_sent(now, number, probe.bytes, Some(probe.id));
        deltas.push(Some(((now - last).as_micros() / 250) as i16));
        (number, last) = (number + 1, now);
        now = estimator.deadline().filter(|at| *at > now && *at < start + 100 * MS).unwrap_or(now);
    }
    assert!(number >= 6 && estimator.current_probe().is_none());
    feed(&mut estimator, now + 50 * MS, (0, 0), &deltas);
    let bps = estimator.estimate_bps();
    assert!((1_600_000..=1_900_000).contains(&bps), "{bps}: three times the start");
}

#[test]
fn dropped_at_our_own_socket_is_not_lost_but_stops_growth() {
    let start = Instant::now();
    let mut estimator = BandwidthEstimator::new(LIMITS);
    steady(&mut estimator, start, 0, 20);
    let before = estimator.estimate_bps();
    for n in 200..300u16 {
        estimator.on_sent(start + 2_000 * MS, n, 1_000, None);
        estimator.on_dropped(start + 2_000 * MS, n);
    }
    feed(&mut estimator, start + 2_100 * MS, (200, 31), &[None; 100]);
    steady(&mut estimator, start, 31, 4);
    assert!(estimator.estimate_bps() <= before + before / 10);
    assert_eq!(estimator.state().loss, 0.0);
}
