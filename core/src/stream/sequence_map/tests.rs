use std::collections::BTreeMap;

use super::*;
use crate::rng::Rng;

fn started(first_out: u64, first_in: u64) -> SequenceMap<u16> {
    let mut map = SequenceMap::new(first_out);
    map.restart(first_in, 7);
    map
}

#[test]
fn nothing_is_mapped_before_the_first_source() {
    let mut map = SequenceMap::<u16>::new(5);
    assert_eq!(
        (map.map(10), map.drop(10), map.inverse(5), map.highest_out()),
        (None, DropOutcome::Dropped, None, 4)
    );
}

#[test]
fn losses_stay_and_late_packets_get_their_place() {
    let mut map = started(100, 65_540);
    assert_eq!(map.map(65_540), Some(100));
    assert_eq!(map.map(65_543), Some(103));
    assert_eq!(map.map(65_541), Some(101));
    assert_eq!(map.map(65_539), None, "from before the beginning");
    assert_eq!(map.highest_out(), 103);
}

#[test]
fn numbers_close_up_where_packets_are_dropped() {
    let mut map = started(1, 1_000);
    assert_eq!(map.map(1_000), Some(1));
    assert_eq!(map.drop(1_001), DropOutcome::Dropped);
    assert_eq!(map.drop(1_002), DropOutcome::Dropped);
    assert_eq!(map.map(1_003), Some(2));
    assert_eq!(map.map(1_001), None, "dropped is dropped");
    assert_eq!(map.drop(1_002), DropOutcome::Dropped);
    assert_eq!(map.segments.len(), 2, "a run of dropped packets is one segment");
    // 1004 is on its way when 1005 is dropped.
    assert_eq!(map.drop(1_005), DropOutcome::Dropped);
    assert_eq!(map.map(1_006), Some(4));
    assert_eq!(map.map(1_004), Some(3));
}

#[test]
fn what_comes_too_late_to_be_dropped_keeps_its_number() {
    let mut map = started(1, 1_000);
    map.map(1_000);
    map.map(1_002);
    assert_eq!(map.drop(1_001), DropOutcome::TooLate { reserved_out: 2 });
    assert_eq!(map.drop(1_001), DropOutcome::TooLate { reserved_out: 2 });
    assert_eq!(map.inverse(2).unwrap().in_seq, 1_001);
    assert_eq!(map.map(1_003), Some(4));
}

#[test]
fn the_first_packets_of_a_source_may_be_dropped() {
    let mut map = started(1, 1_000);
    assert_eq!(map.drop(1_000), DropOutcome::Dropped);
    assert_eq!(map.map(1_001), Some(1));
    assert_eq!(map.map(1_000), None);
}

#[test]
fn another_source_goes_on_where_the_last_one_stopped() {
    let mut map = started(65_534, 1_000);
    assert_eq!((map.map(1_000), map.map(1_001)), (Some(65_534), Some(65_535)));
    assert_eq!(map.drop(1_005), DropOutcome::Dropped, "1002 to 1004 never come");
    map.restart(70, 8);
    assert_eq!((map.map(1_002), map.map(70)), (Some(65_536 + 932), Some(65_536)));
}

#[test]
fn the_origin_of_what_was_sent() {
    let mut map = started(65_534, 1_000);
    map.map(1_000);
    map.map(1_001);
    map.restart(70, 8);
    map.map(70);
    map.drop(71);
    map.map(72);
    let origin = |source, in_seq, out_seq| Some(Origin { source, in_seq, out_seq });
    assert_eq!(map.inverse(65_534), origin(7, 1_000, 65_534));
    assert_eq!(map.inverse(65_535), origin(7, 1_001, 65_535));
    assert_eq!(map.inverse(0), origin(8, 70, 65_536));
    assert_eq!(map.inverse(1), origin(8, 72, 65_537));
    assert_eq!(map.inverse(2), None, "not given yet");
    assert_eq!(map.inverse(65_533), None, "before the first");
    assert_eq!(map.inverse(40_000), None);
}

#[test]
fn memory_is_bounded_and_the_oldest_is_forgotten() {
    let mut map = started(1, 1_000);
    for n in 0..10_000u64 {
        assert_eq!(map.map(1_000 + 2 * n), Some(1 + n));
        assert_eq!(map.drop(1_001 + 2 * n), DropOutcome::Dropped);
    }
    assert_eq!(map.segments.len(), MAX_SEGMENTS);
    assert_eq!(map.inverse(9_900).map(|origin| origin.in_seq), Some(1_000 + 2 * 9_899));
    assert_eq!(map.inverse(9_000), None);
    assert_eq!(map.map(2_000), None);
}

/// What was mapped, each input on its own, and no segments.
#[derive(Default)]
struct Model {
    tag: u16,
    first_in: u64,
    /// One more than the highest input seen.
    next_in: u64,
    next_out: u64,
    /// Output kept for each input of the source; `None` when it was dropped in time.
    kept: BTreeMap<u64, Option<u64>>,
    /// The output that the next unseen input gets.
    free_out: u64,
    given: BTreeMap<u64, (u16, u64)>,
}

impl Model {
    fn restart(&mut self, first_in: u64, tag: u16) {
        (self.tag, self.first_in, self.next_in) = (tag, first_in, first_in);
        self.free_out = self.next_out;
        self.kept.clear();
    }

    /// Reserves outputs for the inputs up to before `in_seq`.
    fn reserve_below(&mut self, in_seq: u64) {
        while self.next_in < in_seq {
            self.kept.insert(self.next_in, Some(self.free_out));
            (self.next_in, self.free_out) = (self.next_in + 1, self.free_out + 1);
        }
    }

    fn map(&mut self, in_seq: u64) -> Option<u64> {
        if in_seq < self.first_in {
            return None;
        }
        self.reserve_below(in_seq + 1);
        let out_seq = self.kept[&in_seq]?;
        self.given.insert(out_seq, (self.tag, in_seq));
        self.next_out = self.next_out.max(out_seq + 1);
        Some(out_seq)
    }

    fn drop(&mut self, in_seq: u64) -> DropOutcome {
        if in_seq < self.first_in {
            return DropOutcome::Dropped;
        }
        if in_seq < self.next_in {
            let Some(reserved_out) = self.kept[&in_seq] else { return DropOutcome::Dropped };
            self.given.insert(reserved_out, (self.tag, in_seq));
            self.next_out = self.next_out.max(reserved_out + 1);
            return DropOutcome::TooLate { reserved_out };
        }
        self.reserve_below(in_seq);
        self.kept.insert(in_seq, None);
        self.next_in += 1;
        DropOutcome::Dropped
    }
}

#[test]
fn agrees_with_a_naive_list_under_random_orders() {
    for seed in 0..10 {
        let mut rng = Rng::from_seed([seed; 32]);
        let first_out = u64::from(1 + rng.below(0x7ffe));
        let mut map = SequenceMap::new(first_out);
        let mut model = Model { next_out: first_out, ..Model::default() };
        let mut next_in = 0;
        for step in 0..20_000u64 {
            if step == 0 || rng.below(300) == 0 {
                next_in = u64::from(rng.below(200_000));
                map.restart(next_in, step as u16);
                model.restart(next_in, step as u16);
            }
            let in_seq = match rng.below(20) {
                0 => next_in + u64::from(rng.below(5)),
                1..4 => next_in.saturating_sub(u64::from(rng.below(12))),
                _ => next_in,
            };
            next_in = next_in.max(in_seq + 1);
            if rng.below(4) == 0 {
                assert_eq!(map.drop(in_seq), model.drop(in_seq));
            } else {
                assert_eq!(map.map(in_seq), model.map(in_seq));
            }
            assert_eq!(map.highest_out() + 1, model.next_out);
            let asked = model.next_out.saturating_sub(1 + u64::from(rng.below(60)));
            if let Some(&(tag, in_seq)) = model.given.get(&asked) {
                let origin = map.inverse(asked as u16).unwrap();
                assert_eq!((origin.source, origin.in_seq, origin.out_seq), (tag, in_seq, asked));
            }
        }
    }
}

#[test]
fn what_is_older_than_the_newest_of_its_source_is_late() {
    let mut map = SequenceMap::new(7);
    assert!(!map.is_late(0), "nothing has come");
    map.restart(100, 0);
    map.map(104);
    map.drop(105);
    assert!(map.is_late(104) && map.is_late(105) && !map.is_late(106));
    map.restart(50, 1);
    assert!(!map.is_late(50) && map.is_late(49), "another source, other numbers");
}
