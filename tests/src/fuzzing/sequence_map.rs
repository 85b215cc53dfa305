//! The sequence map against a record of every number.
use std::collections::{BTreeMap, BTreeSet};

use sansfu::stream::sequence_map::{DropOutcome, Origin, SequenceMap};

use crate::choices::Choices;

/// Below this the map's memory may have ended.
const SURE_SEGMENTS: usize = 126;

type Source = (u8, u32);

/// What has happened since the last restart.
struct Run {
    first_in: u64,
    first_out: u64,
    next_in: u64,
    dropped: BTreeSet<u64>,
    /// Where in `Model::segments` it begins.
    segment: usize,
}

struct Model {
    run: Option<Run>,
    next_out: u64,
    /// For each piece within which output is input plus a constant: its first input, and what is remembered of it.
    segments: Vec<(u64, Source)>,
    /// By output: where it came from, and in which segment that is.
    given: BTreeMap<u64, (Origin<Source>, usize)>,
}

impl Model {
    /// The output of an input by counting: one for each input since the start that was not left out.
    fn reserved(&self, in_seq: u64) -> Option<(u64, usize)> {
        let run = self.run.as_ref()?;
        if in_seq < run.first_in || run.dropped.contains(&in_seq) {
            return None;
        }
        let dropped = run.dropped.range(..in_seq).count() as u64;
        let pieces = &self.segments[run.segment..];
        let segment = run.segment + pieces.iter().rposition(|(first, _)| *first <= in_seq)?;
        Some((run.first_out + (in_seq - run.first_in) - dropped, segment))
    }

    fn restart(&mut self, first_in: u64, source: Source) {
        let (segment, first_out) = (self.segments.len(), self.next_out);
        self.segments.push((first_in, source));
        self.run = Some(Run { first_in, first_out, next_in: first_in, dropped: BTreeSet::new(), segment });
    }

    fn give(&mut self, in_seq: u64, out_seq: u64, segment: usize) {
        let origin = Origin { source: self.segments[segment].1, in_seq, out_seq };
        let before = self.given.insert(out_seq, (origin, segment));
        assert_eq!(before, None, "{out_seq} was given twice");
        self.next_out = self.next_out.max(out_seq + 1);
    }

    fn leave_out(&mut self, in_seq: u64) {
        let Some(run) = &mut self.run else { return };
        run.next_in = in_seq + 1;
        run.dropped.insert(in_seq);
        match self.segments.last_mut() {
            Some((first, _)) if *first == in_seq => *first = in_seq + 1,
            Some((_, source)) => {
                let source = *source;
                self.segments.push((in_seq + 1, source));
            }
            None => {}
        }
    }

    fn is_sure(&self, segment: usize) -> bool {
        self.segments.len() - segment <= SURE_SEGMENTS
    }

    fn check_inverse(&self, map: &SequenceMap<Source>, out_seq: u64) {
        let found = map.inverse(out_seq as u16);
        if out_seq >= self.next_out {
            assert_eq!(found, None, "{out_seq} was not given yet");
            return;
        }
        let Some((expected, segment)) = self.given.get(&out_seq) else { return };
        let Some(found) = found else {
            assert!(!self.is_sure(*segment), "{out_seq} is forgotten");
            return;
        };
        assert_eq!(found, *expected);
    }
}

/// Packets in any order, sent or left out, and restarts; and what NACKs may ask for.
pub fn sequence_map(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let first_out = u64::from(input.u16());
    let mut map = SequenceMap::new(first_out);
    let mut model = Model { run: None, next_out: first_out, segments: Vec::new(), given: BTreeMap::new() };
    let mut came: BTreeSet<u64> = BTreeSet::new();
    while !input.is_exhausted() {
        let action = input.range(0, 16);
        let next_in = model.run.as_ref().map_or(0x1_0000, |run| run.next_in);
        if action == 0 || model.run.is_none() {
            let source = (input.u8(), input.u32());
            let first_in = if input.percent(50) { next_in } else { 0x1_0000 + u64::from(input.u16()) };
            map.restart(first_in, source);
            model.restart(first_in, source);
            came.clear();
            continue;
        }
        let in_seq = match action {
            1..=9 => next_in,
            10 | 11 => next_in + u64::from(input.range(0, 8)),
            12 => next_in + u64::from(input.u8()),
            _ => next_in.saturating_sub(u64::from(input.range(0, 40))),
        };
        // The receiving stream lets each number through once.
        if came.insert(in_seq) {
            one(&mut map, &mut model, in_seq, input.percent(25));
        }
        model.check_inverse(&map, (model.next_out + 2).saturating_sub(u64::from(input.u8())));
        assert_eq!(map.highest_out(), model.next_out.saturating_sub(1));
    }
    for out_seq in model.next_out.saturating_sub(600)..model.next_out {
        model.check_inverse(&map, out_seq);
    }
}

fn one(map: &mut SequenceMap<Source>, model: &mut Model, in_seq: u64, leave_out: bool) {
    let reserved = model.reserved(in_seq);
    let sure = reserved.is_none_or(|(_, segment)| model.is_sure(segment));
    let next_in = model.run.as_ref().map_or(0, |run| run.next_in);
    if !leave_out {
        let found = map.map(in_seq);
        assert!(found == reserved.map(|(out_seq, _)| out_seq) || !sure && found.is_none());
        if let Some((out_seq, segment)) = reserved.filter(|_| found.is_some()) {
            model.give(in_seq, out_seq, segment);
            model.run.iter_mut().for_each(|run| run.next_in = run.next_in.max(in_seq + 1));
        }
        return;
    }
    let found = map.drop(in_seq);
    match reserved {
        Some((reserved_out, segment)) if in_seq < next_in => {
            let kept = found == DropOutcome::TooLate { reserved_out };
            assert!(kept || !sure && found == DropOutcome::Dropped);
            if kept {
                model.give(in_seq, reserved_out, segment);
            }
        }
        Some(_) => {
            assert_eq!(found, DropOutcome::Dropped);
            model.leave_out(in_seq);
        }
        None => assert_eq!(found, DropOutcome::Dropped),
    }
}
