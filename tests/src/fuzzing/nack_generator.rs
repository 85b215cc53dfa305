//! The NACK generator against a list of what is missing.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sansfu::stream::nack::{NackGenerator, NackPoll};

use crate::choices::Choices;
use crate::world::epoch;

const MAX_MISSING: usize = 1_000;
const MAX_PER_POLL: usize = 256;
const POLL_AGAIN: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Missing {
    since: Instant,
    due: Instant,
    requests: u8,
}

/// The rules of the generator's documentation, without any shortcut.
#[derive(Default)]
struct Model {
    tolerance: Duration,
    missing: BTreeMap<u64, Missing>,
    keyframe: u64,
    keyframe_needed: bool,
    /// When those may be asked for that the last poll had no room for.
    more_at: Option<Instant>,
}

impl Model {
    fn gap(&mut self, now: Instant, first: u64, end: u64) {
        let count = (end - first) as usize;
        if count + self.missing.len() > MAX_MISSING {
            self.missing = self.missing.split_off(&(self.keyframe + 1));
        }
        if count + self.missing.len() > MAX_MISSING {
            self.missing.clear();
            self.keyframe_needed = true;
            return;
        }
        let due = now + self.tolerance;
        self.missing.extend((first..end).map(|number| (number, Missing { since: now, due, requests: 0 })));
    }

    /// Numbers to ask for, and whether a keyframe is needed.
    fn poll(&mut self, now: Instant, rtt: Duration) -> (Vec<u16>, bool) {
        let mut asked = Vec::new();
        let mut keyframe_needed = std::mem::take(&mut self.keyframe_needed);
        let keyframe = self.keyframe;
        let patience = (4 * rtt).clamp(Duration::from_millis(500), Duration::from_secs(2));
        self.missing.retain(|&number, missing| {
            if missing.due > now {
                return true;
            }
            if missing.requests >= 10 || now >= missing.since + patience {
                keyframe_needed |= number > keyframe;
                return false;
            }
            if asked.len() < MAX_PER_POLL {
                asked.push(number as u16);
                missing.requests += 1;
                missing.due = now + rtt.max(Duration::from_millis(20));
            }
            true
        });
        let left = self.missing.values().any(|missing| missing.due <= now);
        self.more_at = left.then_some(now + POLL_AGAIN);
        (asked, keyframe_needed)
    }
}

/// Gaps, arrivals, keyframes and polls, on time, early and late.
pub fn nack_generator(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let tolerance = Duration::from_millis(u64::from(input.pick(&[0_u8, 10, 60])));
    let mut nack = NackGenerator::new(tolerance);
    let mut model = Model { tolerance, ..Model::default() };
    let mut now = epoch();
    let mut end = 0x1_0000 + u64::from(input.u16());
    while !input.is_exhausted() {
        match input.range(0, 8) {
            0 | 1 => {
                let first = end + u64::from(input.range(0, 3));
                end = first + u64::from(input.range(0, 5));
                if input.percent(3) {
                    end += u64::from(input.range(0, 1_400));
                }
                nack.on_gap(now, first, end);
                model.gap(now, first, end);
            }
            2 | 3 => {
                let number = end.saturating_sub(u64::from(input.u8()));
                let expected = model.missing.remove(&number).map(|missing| missing.requests);
                assert_eq!(nack.on_received(number), expected);
            }
            4 => {
                let number = end - u64::from(input.u8());
                nack.on_keyframe(number);
                model.keyframe = model.keyframe.max(number);
            }
            5 if input.percent(5) => {
                nack.clear();
                model = Model { tolerance, ..Model::default() };
            }
            5 => now = nack.deadline().map_or(now, |at| now.max(at)),
            _ => now += Duration::from_millis(u64::from(input.range(0, 128))),
        }
        if input.percent(60) {
            poll(&mut nack, &mut model, now, Duration::from_millis(u64::from(input.u8())));
        }
        assert_eq!((nack.len(), nack.is_empty()), (model.missing.len(), model.missing.is_empty()));
        assert!(nack.len() <= MAX_MISSING);
    }
}

fn poll(nack: &mut NackGenerator, model: &mut Model, now: Instant, rtt: Duration) {
    let mut out = vec![7];
    let waits = nack.deadline().is_some_and(|at| at > now) && model.more_at.is_some_and(|at| at > now);
    let found = nack.poll(now, rtt, &mut out);
    if waits {
        assert_eq!((found, out.len()), (NackPoll::default(), 1));
        return;
    }
    let (expected, keyframe_needed) = model.poll(now, rtt);
    assert_eq!(out[1..], expected, "what was there stays");
    assert_eq!(found, NackPoll { requested: expected.len(), keyframe_needed });
    let first = model.missing.values().map(|missing| missing.due).min();
    match nack.deadline() {
        None => assert!(model.missing.is_empty()),
        // Not before the next 5 ms even when a poll had no room for all; never too late.
        Some(at) => {
            assert!(at > now);
            assert!(first.is_none_or(|first| at <= first.max(now + POLL_AGAIN)));
        }
    }
}
