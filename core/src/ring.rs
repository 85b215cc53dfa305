//! A bounded first-in first-out queue whose overflow is visible.
use std::collections::VecDeque;

/// A queue of at most `limit` items; what no longer fits is counted, never silently lost.
#[derive(Debug, Clone)]
pub struct Ring<T> {
    items: VecDeque<T>,
    limit: usize,
    overflowed: u64,
}

impl<T> Ring<T> {
    /// A queue of at most `limit` items; storage grows as it is used and is then kept.
    pub fn new(limit: usize) -> Self {
        Ring { items: VecDeque::new(), limit, overflowed: 0 }
    }

    /// Appends `item`, or gives it back and counts it when the queue is full.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.items.len() >= self.limit {
            self.overflowed += 1;
            return Err(item);
        }
        self.items.push_back(item);
        Ok(())
    }

    /// Appends `item`; when the queue is full the oldest item is taken out, counted and returned. Where there is room for none,
    /// that is `item` itself.
    pub fn push_evicting(&mut self, item: T) -> Option<T> {
        if self.limit == 0 {
            self.overflowed += 1;
            return Some(item);
        }
        let evicted = if self.items.len() >= self.limit { self.items.pop_front() } else { None };
        self.overflowed += u64::from(evicted.is_some());
        self.items.push_back(item);
        evicted
    }

    /// Takes the oldest item.
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// Keeps the items for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.items.retain(keep);
    }

    /// The oldest item.
    pub fn front(&self) -> Option<&T> {
        self.items.front()
    }

    /// The items, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.iter()
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many items did not fit so far.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_counts() {
        let mut ring = Ring::new(2);
        assert_eq!((ring.push(1), ring.push(2), ring.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!((ring.overflowed(), ring.len(), ring.front()), (1, 2, Some(&1)));
        assert_eq!((ring.pop(), ring.pop(), ring.pop()), (Some(1), Some(2), None));
    }

    #[test]
    fn evicting_takes_the_oldest() {
        let mut ring = Ring::new(2);
        assert_eq!(
            (ring.push_evicting(1), ring.push_evicting(2), ring.push_evicting(3)),
            (None, None, Some(1))
        );
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(ring.overflowed(), 1);
    }

    #[test]
    fn a_ring_without_room_stays_empty() {
        let mut ring = Ring::new(0);
        assert_eq!((ring.push(1), ring.push_evicting(2), ring.len()), (Err(1), Some(2), 0));
        assert_eq!(ring.overflowed(), 2);
    }
}
