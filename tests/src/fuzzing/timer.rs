//! The timer queue against an ordered map.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sansfu::timer::{TimerId, TimerQueue};

use crate::choices::Choices;
use crate::world::epoch;

#[derive(Default)]
struct Model {
    /// When each timer is due, and the how manieth setting that was.
    set: BTreeMap<u32, (Instant, u64)>,
    settings: u64,
}

impl Model {
    fn set(&mut self, key: u32, at: Option<Instant>) {
        match at {
            None => drop(self.set.remove(&key)),
            Some(at) if self.set.get(&key).is_some_and(|(old, _)| *old == at) => {}
            Some(at) => {
                self.settings += 1;
                self.set.insert(key, (at, self.settings));
            }
        }
    }

    fn first(&self) -> Option<(Instant, u32)> {
        let (key, (at, _)) = self.set.iter().min_by_key(|(_, when)| **when)?;
        Some((*at, *key))
    }
}

/// Adds, moves, stops, removes and fires timers, removed ones among them.
pub fn timer(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut queue = TimerQueue::new();
    let mut model = Model::default();
    let mut ever: Vec<(TimerId<u32>, bool)> = Vec::new();
    let mut now = epoch();
    while !input.is_exhausted() {
        let action = input.range(0, 8);
        if ever.is_empty() || action == 0 {
            ever.push((queue.add(ever.len() as u32), true));
            continue;
        }
        let key = input.range(0, ever.len() as u32);
        let (timer, alive) = &mut ever[key as usize];
        match action {
            1 => {
                queue.remove(*timer);
                *alive = false;
                model.set(key, None);
            }
            2 | 3 => {
                now += Duration::from_millis(u64::from(input.range(0, 32)));
                let due = model.first().filter(|(at, _)| *at <= now).map(|(_, key)| key);
                assert_eq!(queue.pop_due(now), due);
                due.into_iter().for_each(|key| model.set(key, None));
            }
            _ => {
                let at = now + Duration::from_millis(u64::from(input.range(0, 64)));
                let at = Some(at).filter(|_| action != 4);
                queue.set(*timer, at);
                if *alive {
                    model.set(key, at);
                }
            }
        }
        assert_eq!(queue.next(), model.first());
        assert_eq!(queue.len(), ever.iter().filter(|(_, alive)| *alive).count());
    }
    while let Some((at, key)) = model.first() {
        assert_eq!(queue.pop_due(at), Some(key));
        model.set(key, None);
    }
    assert_eq!(queue.next(), None);
}
