//! A generational arena: objects name each other by [`Id`], and a stale id finds nothing.
//!
//! An arena may be keyed by a marker type instead of by what it holds (`Arena<Producer, tag::Producer>`), so that objects of lower
//! floors can name objects of higher ones.
//!
//! Invariant: an id is never given out twice. A slot's generation grows with each removal; a slot whose generation would wrap
//! is retired instead of being used again.
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// Names an object in an [`Arena`] keyed by `K`; stays unique after the object is gone.
pub struct Id<K> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> K>,
}

impl<T> Id<T> {
    /// Rebuilds an id from [`Id::to_bits`]; a made-up value finds nothing or an object that exists.
    pub const fn from_bits(bits: u64) -> Self {
        Id { index: bits as u32, generation: (bits >> 32) as u32, of: PhantomData }
    }

    /// The id as a number: generation in the upper half, slot in the lower.
    pub const fn to_bits(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    /// The slot: dense, for side tables that are kept in step with the arena.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// Objects in slots that are reused, each under an [`Id`] that is not.
#[derive(Debug, Clone)]
pub struct Arena<T, K = T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
    of: PhantomData<fn() -> K>,
}

#[derive(Debug, Clone)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T, K> Default for Arena<T, K> {
    fn default() -> Self {
        Arena { slots: Vec::new(), free: Vec::new(), len: 0, of: PhantomData }
    }
}

impl<T, K> Arena<T, K> {
    /// An empty arena; allocates nothing.
    pub fn new() -> Self {
        Arena::default()
    }

    /// Stores what `make` returns; `make` is told the id it will have.
    pub fn insert_with(&mut self, make: impl FnOnce(Id<K>) -> T) -> Id<K> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot { generation: 0, value: None });
                (self.slots.len() - 1) as u32
            }
        };
        let slot = &mut self.slots[index as usize];
        let id = Id { index, generation: slot.generation, of: PhantomData };
        slot.value = Some(make(id));
        self.len += 1;
        id
    }

    /// Stores `value`.
    pub fn insert(&mut self, value: T) -> Id<K> {
        self.insert_with(|_| value)
    }

    /// Takes the object out; its id finds nothing from now on.
    pub fn remove(&mut self, id: Id<K>) -> Option<T> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        let value = slot.value.take()?;
        self.len -= 1;
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(id.index);
        }
        Some(value)
    }

    /// The object, if the id is not stale.
    #[inline]
    pub fn get_mut(&mut self, id: Id<K>) -> Option<&mut T> {
        self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?.value.as_mut()
    }

    /// Every object in slot order, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id<K>, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| {
            let id = Id { index: index as u32, generation: slot.generation, of: PhantomData };
            slot.value.as_mut().map(|value| (id, value))
        })
    }

    /// The object, if the id is not stale.
    #[inline]
    pub fn get(&self, id: Id<K>) -> Option<&T> {
        self.slots.get(id.index()).filter(|slot| slot.generation == id.generation)?.value.as_ref()
    }

    /// Whether the id names an object that is here.
    pub fn contains(&self, id: Id<K>) -> bool {
        self.get(id).is_some()
    }

    /// Every object in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<K>, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = Id { index: index as u32, generation: slot.generation, of: PhantomData };
            slot.value.as_ref().map(|value| (id, value))
        })
    }

    /// Every id in slot order.
    pub fn ids(&self) -> impl Iterator<Item = Id<K>> {
        self.iter().map(|(id, _)| id)
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

// Derives would demand the same of `T`.
impl<T> Copy for Id<T> {}
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_bits().cmp(&other.to_bits())
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.index, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing() {
        let mut arena = Arena::<&str>::new();
        let a = arena.insert("a");
        assert_eq!(arena.remove(a), Some("a"));
        let b = arena.insert("b");
        assert_eq!(a.index(), b.index(), "the slot is used again");
        assert_eq!(arena.get(a), None);
        assert_eq!(arena.get_mut(a), None);
        assert_eq!(arena.remove(a), None);
        assert_eq!(arena.get(b), Some(&"b"));
        assert_eq!(arena.len(), 1);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let mut arena: Arena<u8> = Arena::new();
        arena.slots.push(Slot { generation: u32::MAX, value: None });
        arena.free.push(0);
        let last = arena.insert(1);
        assert_eq!(arena.remove(last), Some(1));
        let next = arena.insert(2);
        assert_eq!(next.index(), 1);
        assert!(!arena.contains(last));
    }

    #[test]
    fn bits_round_trip_and_made_up_bits_are_harmless() {
        let mut arena = Arena::<i32>::new();
        let id = arena.insert(5);
        assert_eq!(arena.get(Id::from_bits(id.to_bits())), Some(&5));
        assert_eq!(arena.get(Id::from_bits(u64::MAX)), None);
    }

    #[test]
    fn iteration_is_in_slot_order() {
        let mut arena = Arena::<i32>::new();
        let ids: Vec<_> = (0..5).map(|n| arena.insert(n)).collect();
        arena.remove(ids[2]);
        assert_eq!(arena.iter().map(|(_, &n)| n).collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(arena.ids().count(), arena.len());
    }
}
