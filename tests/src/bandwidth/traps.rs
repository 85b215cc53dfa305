//! The known traps of the field.
use super::bottleneck::{Bucket, Path};
use super::measured::Measured;
use super::receiver::Lie;
use super::run::{Change, Scenario, run};
use super::sender::Mode;

const SECOND_US: i64 = 1_000_000;
const PATH: Path = Path {
    rate_bps: 3_000_000,
    delay_us: 50_000,
    jitter_us: 0,
    loss_per_mille: 0,
    queue_us: 100_000,
    bucket: None,
};

fn changed(mode: Mode, changes: &[(i64, Change)]) -> Measured {
    let changes = changes.iter().map(|(second, change)| (second * SECOND_US, *change)).collect();
    run(&Scenario { changes, ..Scenario::steady(PATH, mode) }, 1).remove(0)
}

#[test]
fn a_phase_with_little_to_send_is_followed_by_full_use_within_seconds() {
    let flow = changed(Mode::Elastic, &[(10, Change::Limit(150_000)), (25, Change::Limit(0))]);
    let (lowest, _) = flow.range_bps(20 * SECOND_US, 25 * SECOND_US);
    assert!(lowest > 1_000_000, "it does not decay: {lowest}");
    let reached = flow.within_ms(25 * SECOND_US, 2_500_000..=3_300_000);
    assert!(reached.is_some_and(|ms| ms <= 5_000), "{reached:?}");
}

#[test]
fn feedback_that_stops_lowers_the_rate_and_its_return_restores_it() {
    let flow = changed(Mode::Elastic, &[(15, Change::FeedbackLost(true)), (18, Change::FeedbackLost(false))]);
    let (lowest, _) = flow.range_bps(17 * SECOND_US, 18 * SECOND_US);
    assert!(lowest < 1_200_000, "{lowest}");
    let reached = flow.within_ms(18 * SECOND_US, 2_500_000..=3_300_000);
    assert!(reached.is_some_and(|ms| ms <= 5_000), "{reached:?}");
}

#[test]
fn a_receiver_whose_clock_jumps_does_no_lasting_harm() {
    for error_us in [3_600 * SECOND_US, -3_600 * SECOND_US, 700_000, -700_000] {
        let flow = changed(Mode::Elastic, &[(15, Change::ClockError(error_us))]);
        let (_, highest) = flow.range_bps(15 * SECOND_US, 30 * SECOND_US);
        assert!(highest < 6_000_000, "{error_us}: {highest}");
        let (lowest, _) = flow.range_bps(22 * SECOND_US, 40 * SECOND_US);
        assert!(lowest > 2_000_000, "{error_us}: {lowest}");
    }
}

#[test]
fn layers_do_not_flap_at_their_boundary() {
    // 2.5 Mbit/s is a layer, and so is 2.6 what the path carries.
    let path = Path { rate_bps: 2_600_000, ..PATH };
    let flow = run(&Scenario::steady(path, Mode::Layers), 1).remove(0);
    assert!(flow.switches <= 12, "{} in 40 s", flow.switches);
    assert_eq!(flow.frozen_us, 0);
}

#[test]
fn an_estimate_that_moves_about_a_boundary_does_not_make_layers_flap() {
    // What the path carries goes to and fro, so that the layer of 2.5 Mbit/s fits half of the time.
    let rates =
        (10..40).map(|second| (second, Change::Rate(if second % 4 < 2 { 2_300_000 } else { 2_900_000 })));
    let changes: Vec<_> = rates.collect();
    let flow = changed(Mode::Layers, &changes);
    assert!(flow.switches <= 7, "{} in 30 s, where the path changes fifteen times", flow.switches);
    assert_eq!(flow.frozen_us, 0);
}

#[test]
fn a_shaper_that_lets_bursts_through_is_not_flooded_again_and_again() {
    for (rate_bps, burst_bytes) in [(1_000_000, 16_000), (1_000_000, 32_000), (3_000_000, 32_000)] {
        let bucket = Some(Bucket { burst_bytes, line_bps: 100_000_000 });
        let path = Path { rate_bps, bucket, delay_us: 20_000, ..PATH };
        let flow = run(&Scenario::steady(path, Mode::Elastic), 1).remove(0);
        let lost_per_mille = flow.dropped * 1_000 / flow.sent;
        // It was 120 when each probe was believed.
        assert!(lost_per_mille <= 40, "{rate_bps} with {burst_bytes}: {lost_per_mille}");
        let mean_bps = flow.mean_bps(10 * SECOND_US, 40 * SECOND_US);
        assert!((rate_bps * 80 / 100..rate_bps * 110 / 100).contains(&mean_bps), "{mean_bps} of {rate_bps}");
    }
}

#[test]
fn a_step_down_at_low_rates_is_answered_within_a_second() {
    let path = Path { rate_bps: 540_000, ..PATH };
    let changes = vec![(15 * SECOND_US, Change::Rate(150_000))];
    for seed in 1..5 {
        let scenario = Scenario { changes: changes.clone(), ..Scenario::steady(path, Mode::Elastic) };
        let flow = run(&scenario, seed).remove(0);
        let relieved = flow.relieved_ms(15 * SECOND_US, 150_000);
        assert!(relieved.is_some_and(|ms| ms <= 1_000), "{seed}: {relieved:?}");
    }
}

/// What the first of two flows has of what both have, in percent, after ten seconds.
fn share_percent(stagger_us: i64, seed: u64) -> u64 {
    let flows = vec![Mode::Elastic; 2];
    let steady = Scenario::steady(PATH, Mode::Elastic);
    let flows = run(&Scenario { flows, stagger_us, length_us: 60 * SECOND_US, ..steady }, seed);
    flows[0].media_bytes * 100 / (flows[0].media_bytes + flows[1].media_bytes)
}

#[test]
fn two_flows_share() {
    let shares: Vec<_> = (4..7).map(|seed| share_percent(0, seed)).collect();
    assert!(shares.iter().all(|share| (40..=60).contains(share)), "{shares:?}");
}

#[test]
fn a_latecomer_gets_its_share() {
    let shares: Vec<_> = (4..7).map(|seed| share_percent(5 * SECOND_US, seed)).collect();
    assert!(shares.iter().all(|share| (40..=60).contains(share)), "{shares:?}");
}

#[test]
fn a_flow_that_fills_the_queue_does_not_starve_ours_and_its_end_is_noticed() {
    let changes = vec![(10 * SECOND_US, Change::Reno(true)), (25 * SECOND_US, Change::Reno(false))];
    let scenario = Scenario { changes, ..Scenario::steady(PATH, Mode::Elastic) };
    let flows: Vec<_> = (1..5).map(|seed| run(&scenario, seed).remove(0)).collect();
    let means = flows.iter().map(|flow| flow.mean_bps(15 * SECOND_US, 25 * SECOND_US));
    let mean = means.sum::<u64>() / 4;
    assert!((600_000..2_400_000).contains(&mean), "{mean} of 3 Mbit/s");
    let reached: Vec<_> = flows.iter().map(|flow| flow.converged_ms(25 * SECOND_US, 3_000_000)).collect();
    assert!(reached.iter().all(|ms| ms.is_some_and(|ms| ms <= 8_000)), "{reached:?}");
}

#[test]
fn feedback_that_lies_does_no_lasting_harm() {
    for lie in [Lie::AllAtOnce, Lie::Stretched, Lie::Scattered, Lie::MostLost] {
        let changes = [(10, Change::Lie(Some(lie))), (20, Change::Lie(None))];
        let flow = changed(Mode::Constant(2_500_000), &changes);
        let (lowest, highest) = flow.range_bps(10 * SECOND_US, 40 * SECOND_US);
        assert!(lowest >= 30_000 && highest <= 4_500_000, "{lie:?}: {lowest} to {highest}");
        let (lowest, highest) = flow.range_bps(32 * SECOND_US, 40 * SECOND_US);
        assert!(lowest > 2_000_000 && highest < 4_000_000, "{lie:?}: then {lowest} to {highest}");
    }
}

#[test]
fn a_run_repeats_exactly() {
    let path = Path { jitter_us: 20_000, loss_per_mille: 30, ..PATH };
    let scenario = Scenario { length_us: 5 * SECOND_US, ..Scenario::steady(path, Mode::Elastic) };
    assert_eq!(run(&scenario, 7)[0].estimates_bps, run(&scenario, 7)[0].estimates_bps);
    assert_ne!(run(&scenario, 7)[0].estimates_bps, run(&scenario, 8)[0].estimates_bps);
}
