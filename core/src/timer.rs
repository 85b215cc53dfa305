//! One queue of deadlines: an indexed 4-ary heap.
//!
//! Adding, moving, removing and firing cost O(log n); a deadline that is not due costs nothing until it is. Deadlines that
//! are equal fire in the order in which they were set, so that a run can be repeated.
use std::time::Instant;

use crate::arena::{Arena, Id};

const ARITY: usize = 4;

/// Names a timer in a [`TimerQueue`].
pub type TimerId<K> = Id<Timer<K>>;

/// A timer: what it is for, and where in the heap it stands while it is set.
#[derive(Debug)]
pub struct Timer<K> {
    key: K,
    position: Option<usize>,
}

/// Deadlines with a key each.
#[derive(Debug)]
pub struct TimerQueue<K> {
    timers: Arena<Timer<K>>,
    heap: Vec<Entry<K>>,
    set_count: u64,
}

#[derive(Debug)]
struct Entry<K> {
    at: Instant,
    order: u64,
    timer: TimerId<K>,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        TimerQueue { timers: Arena::new(), heap: Vec::new(), set_count: 0 }
    }
}

impl<K: Copy> TimerQueue<K> {
    /// An empty queue.
    pub fn new() -> Self {
        TimerQueue::default()
    }

    /// Makes a timer that is not set.
    pub fn add(&mut self, key: K) -> TimerId<K> {
        self.timers.insert(Timer { key, position: None })
    }

    /// Sets, moves or (with `None`) stops a timer. Setting it to where it stands already changes nothing.
    pub fn set(&mut self, timer: TimerId<K>, at: Option<Instant>) {
        let Some(position) = self.timers.get(timer).map(|timer| timer.position) else { return };
        match (position, at) {
            (Some(position), Some(at)) if self.heap[position].at == at => {}
            (Some(position), Some(at)) => {
                self.set_count += 1;
                self.heap[position] = Entry { at, order: self.set_count, timer };
                self.restore(position);
            }
            (None, Some(at)) => {
                self.set_count += 1;
                self.heap.push(Entry { at, order: self.set_count, timer });
                let position = self.heap.len() - 1;
                self.place(position);
                self.restore(position);
            }
            (Some(position), None) => self.take(position),
            (None, None) => {}
        }
    }

    /// Removes a timer altogether.
    pub fn remove(&mut self, timer: TimerId<K>) {
        self.set(timer, None);
        self.timers.remove(timer);
    }

    /// The key of the earliest timer that is due at `now`; it is no longer set afterwards.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let first = self.heap.first().filter(|entry| entry.at <= now)?;
        let key = self.timers.get(first.timer)?.key;
        self.take(0);
        Some(key)
    }

    /// The earliest deadline and its key.
    pub fn next(&self) -> Option<(Instant, K)> {
        let first = self.heap.first()?;
        Some((first.at, self.timers.get(first.timer)?.key))
    }

    /// How many timers exist, set or not.
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no timer exists.
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    fn take(&mut self, position: usize) {
        let entry = self.heap.swap_remove(position);
        if let Some(timer) = self.timers.get_mut(entry.timer) {
            timer.position = None;
        }
        if position < self.heap.len() {
            self.place(position);
            self.restore(position);
        }
    }

    /// Moves the entry at `position` up or down to where it belongs.
    fn restore(&mut self, mut position: usize) {
        while position > 0 && self.before(position, (position - 1) / ARITY) {
            let parent = (position - 1) / ARITY;
            self.swap(position, parent);
            position = parent;
        }
        loop {
            let children = ARITY * position + 1..(ARITY * position + 1 + ARITY).min(self.heap.len());
            let Some(least) = children.reduce(|a, b| if self.before(b, a) { b } else { a }) else { return };
            if !self.before(least, position) {
                return;
            }
            self.swap(position, least);
            position = least;
        }
    }

    fn before(&self, a: usize, b: usize) -> bool {
        (self.heap[a].at, self.heap[a].order) < (self.heap[b].at, self.heap[b].order)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place(a);
        self.place(b);
    }

    fn place(&mut self, position: usize) {
        if let Some(timer) = self.timers.get_mut(self.heap[position].timer) {
            timer.position = Some(position);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn equal_deadlines_fire_in_the_order_they_were_set() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        let timers: Vec<_> = (0..20).map(|n| queue.add(n)).collect();
        for &timer in timers.iter().rev() {
            queue.set(timer, Some(now));
        }
        let fired: Vec<_> = std::iter::from_fn(|| queue.pop_due(now)).collect();
        assert_eq!(fired, (0..20).rev().collect::<Vec<_>>());
    }

    #[test]
    fn agrees_with_a_sorted_list_under_random_moves() {
        let start = Instant::now();
        let mut rng = Rng::from_seed([9; 32]);
        let mut queue = TimerQueue::new();
        let timers: Vec<_> = (0..64).map(|n| queue.add(n)).collect();
        let mut model: Vec<Option<(Instant, u64)>> = vec![None; 64];
        let mut order = 0;
        for step in 0..20_000u64 {
            let n = rng.below(64) as usize;
            let now = start + Duration::from_millis(step);
            match rng.below(4) {
                0 => {
                    queue.set(timers[n], None);
                    model[n] = None;
                }
                1 => {
                    let due = |entry: &Option<(Instant, u64)>| entry.filter(|(at, _)| *at <= now);
                    let expected = (0..64).filter(|&n| due(&model[n]).is_some()).min_by_key(|&n| model[n]);
                    assert_eq!(queue.pop_due(now), expected);
                    if let Some(n) = expected {
                        model[n] = None;
                    }
                }
                _ => {
                    let at = now + Duration::from_millis(u64::from(rng.below(100)));
                    queue.set(timers[n], Some(at));
                    if model[n].is_none_or(|(old, _)| old != at) {
                        order += 1;
                        model[n] = Some((at, order));
                    }
                }
            }
            assert_eq!(queue.next().map(|(at, _)| at), model.iter().flatten().min().map(|(at, _)| *at));
        }
    }

    #[test]
    fn a_removed_timer_never_fires() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        let timer = queue.add('a');
        queue.set(timer, Some(now));
        queue.remove(timer);
        queue.set(timer, Some(now));
        assert_eq!((queue.pop_due(now), queue.next(), queue.len()), (None, None, 0));
    }
}
