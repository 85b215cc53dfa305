//! What is going to happen, in order.
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Happenings ordered by time; those of one time in the order in which they were added.
#[derive(Debug)]
pub struct EventQueue<T> {
    heap: BinaryHeap<Entry<T>>,
    added: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    sequence: u64,
    what: T,
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        EventQueue { heap: BinaryHeap::new(), added: 0 }
    }
}

impl<T> EventQueue<T> {
    /// Adds what happens at `at`.
    pub fn push(&mut self, at: Instant, what: T) {
        self.added += 1;
        self.heap.push(Entry { at, sequence: self.added, what });
    }

    /// Takes the next happening if its time is at most `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.what)
    }

    /// The time of the next happening.
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.heap.retain(|entry| keep(&entry.what));
    }
}

// A `BinaryHeap` gives the greatest first: the earliest has to be the greatest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn earliest_first_and_equals_in_order() {
        let base = Instant::now();
        let at = |ms| base + Duration::from_millis(ms);
        let mut queue = EventQueue::default();
        for (ms, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            queue.push(at(ms), what);
        }
        assert_eq!(queue.pop_due(base), None);
        queue.retain(|what| *what != 'd');
        let order: String = std::iter::from_fn(|| queue.pop_due(at(5))).collect();
        assert_eq!(order, "abc");
    }
}
