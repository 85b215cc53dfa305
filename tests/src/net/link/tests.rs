use super::*;
use crate::world::epoch;

const SEED: u64 = 20_261_128;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A datagram of 100 bytes that says which it is.
fn datagram(nth: u64) -> Vec<u8> {
    let mut bytes = vec![0x5a; 100];
    bytes[..8].copy_from_slice(&nth.to_be_bytes());
    bytes
}

/// What comes of `count` datagrams, one every millisecond.
fn run_link(link: &mut Link, count: u64) -> Vec<Vec<Delivery>> {
    (0..count).map(|nth| link.send(epoch() + ms(nth), &datagram(nth)).collect()).collect()
}

fn run(config: LinkConfig, count: u64) -> (Vec<Vec<Delivery>>, LinkStats) {
    let mut link = Link::new(config, SEED);
    (run_link(&mut link, count), link.stats())
}

fn arrival(link: &mut Link, now: Instant) -> Option<Duration> {
    link.send(now, b"x").next().map(|delivery| delivery.at - epoch())
}

/// Everything at once, and often.
fn bad() -> LinkConfig {
    LinkConfig {
        jitter: ms(7),
        loss: GilbertElliott::bursts(Probability::percent(10), 3),
        duplicate: Probability::percent(10),
        reorder: Probability::percent(10),
        corrupt: Probability::percent(10),
        ..LinkConfig::default()
    }
}

#[test]
fn a_clean_link_only_delays() {
    let (seen, stats) = run(LinkConfig::default(), 50);
    for (nth, deliveries) in seen.iter().enumerate() {
        let expected = Delivery { at: epoch() + ms(10 + nth as u64), bytes: datagram(nth as u64) };
        assert_eq!(deliveries, &[expected]);
    }
    let all = LinkStats {
        sent: 50,
        sent_bytes: 5_000,
        delivered: 50,
        delivered_bytes: 5_000,
        ..LinkStats::default()
    };
    assert_eq!(stats, all);
}

#[test]
fn random_loss_takes_its_share_in_no_order() {
    let (seen, stats) = run(
        LinkConfig { loss: GilbertElliott::random(Probability::percent(5)), ..Default::default() },
        100_000,
    );
    assert!((4_700..5_300).contains(&stats.lost), "{}", stats.lost);
    assert_eq!(stats.lost, seen.iter().filter(|deliveries| deliveries.is_empty()).count() as u64);
    assert_eq!(stats.lost + stats.delivered, stats.sent);
    // Independent: after a lost one, the next is lost as often as any.
    let mean = stats.lost as f64 / bursts(&seen).len() as f64;
    assert!((1.02..1.09).contains(&mean), "{mean}");
}

#[test]
fn a_dead_link_delivers_nothing_and_a_healed_one_everything() {
    let mut link = Link::new(LinkConfig::dead(), SEED);
    assert!(run_link(&mut link, 50).concat().is_empty());
    link.set_config(link.config().without_loss());
    assert_eq!(link.config(), &LinkConfig::default());
    assert_eq!(arrival(&mut link, epoch() + ms(50)), Some(ms(60)));
}

/// The lengths of the runs of lost datagrams.
fn bursts(seen: &[Vec<Delivery>]) -> Vec<usize> {
    let runs = seen.chunk_by(|one, next| one.is_empty() == next.is_empty());
    runs.filter(|run| run[0].is_empty()).map(<[_]>::len).collect()
}

#[test]
fn bursts_are_as_long_and_as_often_as_asked_for() {
    for (share, length) in [(5, 4), (20, 10), (50, 2)] {
        let loss = GilbertElliott::bursts(Probability::percent(share), length);
        let (seen, stats) = run(LinkConfig { loss, ..Default::default() }, 200_000);
        let expected = u64::from(share) * 2_000;
        assert!(stats.lost.abs_diff(expected) < expected / 10, "{share} %: {}", stats.lost);
        let bursts = bursts(&seen);
        let mean = bursts.iter().sum::<usize>() as f64 / bursts.len() as f64;
        assert!((mean / f64::from(length) - 1.0).abs() < 0.05, "{length}: {mean}");
        // Geometric: a burst that has begun ends with each datagram with the same probability.
        let single = bursts.iter().filter(|burst| **burst == 1).count() as f64 / bursts.len() as f64;
        assert!((single - 1.0 / f64::from(length)).abs() < 0.02, "{length}: {single}");
    }
}

#[test]
fn each_state_of_the_loss_chain_has_its_own_loss() {
    // A third of the time in the bad state: 1/3 * 60 % + 2/3 * 3 % = 22 %.
    let loss = GilbertElliott {
        to_bad: Probability::percent(10),
        to_good: Probability::percent(20),
        loss_good: Probability::percent(3),
        loss_bad: Probability::percent(60),
    };
    let (_, stats) = run(LinkConfig { loss, ..Default::default() }, 100_000);
    assert!((21_000..23_000).contains(&stats.lost), "{}", stats.lost);
}

#[test]
fn doubled_ones_come_twice_the_second_time_not_much_later() {
    let (seen, stats) = run(LinkConfig { duplicate: Probability::percent(3), ..Default::default() }, 50_000);
    assert!((1_350..1_650).contains(&stats.duplicated), "{}", stats.duplicated);
    let twice: Vec<_> = seen.iter().filter(|deliveries| deliveries.len() == 2).collect();
    assert_eq!(twice.len() as u64, stats.duplicated);
    assert!(twice.iter().all(|pair| pair[0].bytes == pair[1].bytes));
    assert!(twice.iter().all(|pair| pair[0].at <= pair[1].at && pair[1].at < pair[0].at + ms(10)));
    assert_eq!((stats.delivered, stats.delivered_bytes), (50_000, 5_000_000), "copies do not count");
}

#[test]
fn held_back_ones_are_overtaken() {
    let config = LinkConfig { reorder: Probability::percent(4), reorder_delay: ms(40), ..Default::default() };
    let (seen, stats) = run(config, 50_000);
    assert!((1_800..2_200).contains(&stats.reordered), "{}", stats.reordered);
    let mut overtaken = 0;
    for (nth, deliveries) in seen.iter().enumerate() {
        let late = deliveries[0].at - (epoch() + ms(10 + nth as u64));
        assert!(late < ms(40));
        overtaken += u64::from(late > ms(1));
    }
    // One millisecond in forty is too short for the next one to overtake.
    assert!(overtaken > stats.reordered * 19 / 20 && overtaken < stats.reordered, "{overtaken}");
}

#[test]
fn jitter_spreads_and_never_reorders() {
    let (seen, _) = run(LinkConfig { jitter: ms(20), ..Default::default() }, 20_000);
    let arrivals: Vec<_> = seen.iter().map(|deliveries| deliveries[0].at).collect();
    assert!(arrivals.is_sorted());
    let late = |nth: usize| arrivals[nth] - (epoch() + ms(10 + nth as u64));
    assert!((0..20_000).all(|nth| late(nth) < ms(20)));
    // Far apart, none waits for another: uniform over the range, a quarter in each quarter.
    let mut link = Link::new(LinkConfig { jitter: ms(20), ..Default::default() }, SEED);
    let mut quarters = [0; 4];
    for nth in 0..10_000 {
        let sent = epoch() + ms(100 * nth);
        let extra = link.send(sent, b"x").next().unwrap().at - sent - ms(10);
        quarters[(extra.as_micros() / 5_000) as usize] += 1;
    }
    assert!(quarters.iter().all(|count| (2_350..2_650).contains(count)), "{quarters:?}");
}

#[test]
fn the_bottleneck_takes_its_time_and_its_queue_drops_what_comes_last() {
    // 1,000 bytes at a megabit take 8 ms; the fourth of a burst waits 24 ms, the fifth would wait 32.
    let config = LinkConfig { rate_bps: Some(1_000_000), queue: ms(24), ..Default::default() };
    let mut link = Link::new(config, SEED);
    let mut send = |at, length| {
        link.send(epoch() + ms(at), &vec![0; length]).next().map(|delivery| delivery.at - epoch())
    };
    let burst: Vec<_> = (0..6).map(|_| send(0, 1_000)).collect();
    assert_eq!(burst, [Some(ms(18)), Some(ms(26)), Some(ms(34)), Some(ms(42)), None, None]);
    // At 8 ms the queue is 24 ms long again; a short one takes a shorter time.
    assert_eq!(send(7, 100), None);
    assert_eq!(send(8, 125), Some(ms(32 + 1 + 10)));
    // The line is idle from 33 ms on.
    assert_eq!(send(100, 1_000), Some(ms(118)));
    let stats = link.stats();
    assert_eq!((stats.sent, stats.queue_dropped, stats.delivered), (9, 3, 6));
    assert_eq!(stats.delivered_bytes, 5_125);
    assert_eq!(stats.largest_queueing_delay, ms(24));
}

#[test]
fn a_bottleneck_lets_its_rate_through() {
    // Offered: 100 bytes a millisecond, 800 kbit/s.
    let (seen, stats) = run(LinkConfig { rate_bps: Some(600_000), ..Default::default() }, 10_000);
    let last = seen.concat().last().unwrap().at;
    let carried_bps = stats.delivered_bytes * 8 * 1_000 / (last - epoch() - ms(10)).as_millis() as u64;
    assert!(carried_bps.abs_diff(600_000) < 600, "{carried_bps}");
    let longest = LinkConfig::default().queue;
    assert!(stats.largest_queueing_delay <= longest && stats.largest_queueing_delay > longest - ms(3));
}

#[test]
fn what_is_longer_than_the_mtu_vanishes() {
    let mut link = Link::new(LinkConfig { mtu: Some(1_200), ..Default::default() }, SEED);
    let came = [1_199, 1_200, 1_201, 1_500].map(|length| link.send(epoch(), &vec![0; length]).count());
    assert_eq!(came, [1, 1, 0, 0]);
    assert_eq!((link.stats().too_long, link.stats().delivered), (2, 2));
}

#[test]
fn corruption_changes_one_to_three_bytes() {
    let (seen, stats) = run(LinkConfig { corrupt: Probability::percent(10), ..Default::default() }, 30_000);
    assert!((2_800..3_200).contains(&stats.corrupted), "{}", stats.corrupted);
    let mut by_count = [0; 4];
    let mut places = [0; 100];
    for (nth, deliveries) in seen.iter().enumerate() {
        let original = datagram(nth as u64);
        let changed: Vec<usize> = (0..100).filter(|at| deliveries[0].bytes[*at] != original[*at]).collect();
        assert_eq!(deliveries[0].bytes.len(), 100);
        by_count[changed.len()] += 1;
        changed.iter().for_each(|at| places[*at] += 1);
    }
    assert_eq!(by_count[1..].iter().sum::<u64>(), stats.corrupted);
    assert!(by_count[1..].iter().all(|count| (900..1_100).contains(count)), "{by_count:?}");
    assert!(places.iter().all(|count| (20..110).contains(count)), "every byte, evenly: {places:?}");
}

#[test]
fn corruption_of_short_ones_changes_what_there_is() {
    let mut link = Link::new(LinkConfig { corrupt: Probability::ALWAYS, ..Default::default() }, SEED);
    for _ in 0..1_000 {
        assert_eq!(link.send(epoch(), b"").next().unwrap().bytes, b"");
        assert_ne!(link.send(epoch(), b"a").next().unwrap().bytes, b"a");
        assert_ne!(link.send(epoch(), b"ab").next().unwrap().bytes, b"ab");
    }
    assert_eq!(link.stats().corrupted, 2_000);
}

#[test]
fn a_clog_holds_everything_and_lets_it_go_in_order() {
    let mut link = Link::new(bad().without_loss(), SEED);
    let before: Vec<_> = (0..20).filter_map(|nth| arrival(&mut link, epoch() + ms(nth))).collect();
    assert!(before.iter().any(|at| *at < ms(60)), "what is on the way is not held: {before:?}");
    link.clog_until(epoch() + ms(500));
    let held: Vec<_> = (20..480).filter_map(|nth| arrival(&mut link, epoch() + ms(nth))).collect();
    assert_eq!(held, vec![ms(500); 460]);
    // Sent before the end, at the place of the link where it takes them longer than until then.
    let late = arrival(&mut link, epoch() + ms(499)).unwrap();
    assert!((ms(509)..ms(516)).contains(&late), "{late:?}");
    let after = arrival(&mut link, epoch() + ms(500)).unwrap();
    assert!(after >= late && after < ms(560), "{after:?}");
    assert_eq!(link.stats().delivered, link.stats().sent);
}

#[test]
fn a_blackout_loses_everything_until_it_ends() {
    let mut link = Link::new(LinkConfig::default(), SEED);
    link.blackout_until(epoch() + ms(100));
    let seen = run_link(&mut link, 200);
    assert!(seen[..100].concat().is_empty());
    assert!(seen[100..].iter().all(|deliveries| deliveries.len() == 1));
    assert_eq!((link.stats().lost, link.stats().delivered), (100, 100));
}

#[test]
fn a_changed_link_does_not_touch_what_is_on_the_way() {
    let mut link = Link::new(LinkConfig { delay: ms(100), ..Default::default() }, SEED);
    assert_eq!(arrival(&mut link, epoch()), Some(ms(100)));
    link.set_config(LinkConfig::default());
    assert_eq!(arrival(&mut link, epoch() + ms(1)), Some(ms(100)), "nor overtakes it");
    assert_eq!(arrival(&mut link, epoch() + ms(95)), Some(ms(105)));
    // A line that becomes slower is busy with what it has for as long as it was.
    link.set_config(LinkConfig { rate_bps: Some(8_000), ..Default::default() });
    link.send(epoch() + ms(200), &[0; 100]).for_each(drop);
    link.set_config(LinkConfig { rate_bps: Some(8_000_000), ..Default::default() });
    let next = link.send(epoch() + ms(201), &[0; 1_000]).next().unwrap();
    assert_eq!(next.at - epoch(), ms(200 + 100 + 1 + 10));
}

#[test]
fn the_same_seed_gives_the_same_deliveries_and_another_one_others() {
    let run = |seed| run_link(&mut Link::new(bad(), seed), 2_000);
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}

#[test]
fn a_seed_means_the_same_on_every_machine() {
    let mut hash: u64 = 0;
    for delivery in run(bad(), 5_000).0.concat() {
        let nanos = (delivery.at - epoch()).as_nanos() as u64;
        for word in delivery.bytes.iter().map(|byte| u64::from(*byte)).chain([nanos]) {
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(
        hash, 5_150_545_731_540_946_240,
        "what a seed means has changed: every seed that is kept means something else now"
    );
}

/// The numbers of those for which something is the case.
fn which(seen: &[Vec<Delivery>], is: impl Fn(u64, &[Delivery]) -> bool) -> Vec<u64> {
    (0..).zip(seen).filter(|(nth, deliveries)| is(*nth, deliveries)).map(|(nth, _)| nth).collect()
}

/// Asserts that those of `seen` that arrive do as those of `all` do in every respect.
fn assert_part_of(seen: &[Vec<Delivery>], all: &[Vec<Delivery>]) {
    for (nth, (some, all)) in seen.iter().zip(all).enumerate() {
        assert!(some.is_empty() || some == all, "datagram {nth} arrives in another way");
    }
}

#[test]
fn loss_does_not_move_the_other_faults() {
    let (all, _) = run(bad().without_loss(), 5_000);
    assert!(all.iter().all(|deliveries| !deliveries.is_empty()));
    for percent in [1, 10, 40] {
        for loss in [GilbertElliott::random, |share| GilbertElliott::bursts(share, 5)] {
            let (seen, stats) = run(LinkConfig { loss: loss(Probability::percent(percent)), ..bad() }, 5_000);
            assert!(stats.lost > 10);
            assert_part_of(&seen, &all);
        }
    }
    let mut blacked_out = Link::new(bad().without_loss(), SEED);
    blacked_out.blackout_until(epoch() + ms(2_000));
    let seen = run_link(&mut blacked_out, 5_000);
    // The first after a blackout do not wait for ones that were lost in it.
    assert_part_of(&seen[2_010..], &all[2_010..]);
}

#[test]
fn a_rarer_loss_loses_a_part_of_what_a_more_frequent_one_does() {
    let lost = |percent| {
        let loss = GilbertElliott::random(Probability::percent(percent));
        which(&run(LinkConfig { loss, ..bad() }, 5_000).0, |_, deliveries| deliveries.is_empty())
    };
    let (few, many) = (lost(2), lost(8));
    assert!(few.len() > 50 && many.len() > 2 * few.len());
    assert!(few.iter().all(|nth| many.contains(nth)));
}

#[test]
fn what_the_mtu_takes_does_not_move_the_other_faults() {
    let (all, _) = run(LinkConfig { jitter: Duration::ZERO, ..bad() }, 2_000);
    let mut link = Link::new(LinkConfig { jitter: Duration::ZERO, mtu: Some(100), ..bad() }, SEED);
    for nth in 0..2_000 {
        // Every third is too long.
        let bytes = if nth % 3 == 0 { vec![0; 101] } else { datagram(nth) };
        let seen: Vec<_> = link.send(epoch() + ms(nth), &bytes).collect();
        assert_eq!(seen, if nth % 3 == 0 { Vec::new() } else { all[nth as usize].clone() });
    }
}

#[test]
fn no_fault_moves_what_another_strikes() {
    let (all, _) = run(bad(), 5_000);
    let (in_order, _) = run(LinkConfig { reorder: Probability::NEVER, ..bad() }, 5_000);
    let lost = |seen: &[Vec<Delivery>]| which(seen, |_, deliveries| deliveries.is_empty());
    let doubled = |seen: &[Vec<Delivery>]| which(seen, |_, deliveries| deliveries.len() == 2);
    let first = |seen: &[Vec<Delivery>]| -> Vec<Option<Delivery>> {
        seen.iter().map(|deliveries| deliveries.first().cloned()).collect()
    };
    let arrivals = |seen: &[Vec<Delivery>]| -> Vec<Vec<Instant>> {
        seen.iter().map(|deliveries| deliveries.iter().map(|one| one.at).collect()).collect()
    };
    let bytes = |seen: &[Vec<Delivery>]| -> Vec<Vec<Vec<u8>>> {
        seen.iter().map(|deliveries| deliveries.iter().map(|one| one.bytes.clone()).collect()).collect()
    };
    for percent in [0, 3, 50] {
        let other = Probability::percent(percent);
        let (seen, stats) = run(LinkConfig { duplicate: other, ..bad() }, 5_000);
        assert!((stats.duplicated == 0) == (percent == 0) && first(&seen) == first(&all));
        let (seen, stats) = run(LinkConfig { corrupt: other, ..bad() }, 5_000);
        assert!((stats.corrupted == 0) == (percent == 0) && arrivals(&seen) == arrivals(&all));
        let (seen, stats) = run(LinkConfig { reorder: other, ..bad() }, 5_000);
        assert!((stats.reordered == 0) == (percent == 0) && bytes(&seen) == bytes(&all));
        let moved = seen.iter().zip(&in_order).filter(|(one, other)| one != other).count();
        assert_eq!(moved as u64, stats.reordered, "only those move that are held back");
    }
    let (seen, _) = run(LinkConfig { jitter: Duration::ZERO, ..bad() }, 5_000);
    assert!(bytes(&seen) == bytes(&all) && arrivals(&seen) != arrivals(&all));
    let (seen, stats) = run(LinkConfig { rate_bps: Some(2_000_000), ..bad() }, 5_000);
    assert!(stats.queue_dropped == 0 && bytes(&seen) == bytes(&all));
    assert!(!lost(&all).is_empty() && !doubled(&all).is_empty());
}
