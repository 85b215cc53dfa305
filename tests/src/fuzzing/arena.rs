//! The arena against a map that never forgets which ids there were.
use std::collections::BTreeMap;

use sansfu::arena::{Arena, Id};

use crate::choices::Choices;

/// Inserts, removals and look-ups under every id that there ever was, and under made-up ones.
pub fn arena(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut arena = Arena::<u32>::new();
    let mut model: BTreeMap<Id<u32>, u32> = BTreeMap::new();
    let mut ever: Vec<Id<u32>> = Vec::new();
    while !input.is_exhausted() {
        match input.range(0, 4) {
            0 => {
                let value = input.u32();
                let id = arena.insert(value);
                assert!(!ever.contains(&id), "{id:?} was given out before");
                ever.push(id);
                model.insert(id, value);
            }
            1 if !ever.is_empty() => {
                let id = input.pick(&ever);
                assert_eq!(arena.remove(id), model.remove(&id));
            }
            2 if !ever.is_empty() => {
                let (id, value) = (input.pick(&ever), input.u32());
                let (found, expected) = (arena.get_mut(id), model.get_mut(&id));
                assert_eq!(found, expected);
                if let Some((found, expected)) = found.zip(expected) {
                    (*found, *expected) = (value, value);
                }
            }
            _ => {
                let bits = u64::from(input.range(0, 8)) << 32 | u64::from(input.range(0, 64));
                let id = Id::from_bits(bits);
                assert_eq!(arena.get(id), model.get(&id));
                assert_eq!(arena.contains(id), model.contains_key(&id));
            }
        }
        assert_eq!((arena.len(), arena.is_empty()), (model.len(), model.is_empty()));
    }
    let mut expected: Vec<_> = model.iter().map(|(&id, &value)| (id.index(), id, value)).collect();
    expected.sort_unstable();
    let found: Vec<_> = arena.iter().map(|(id, &value)| (id.index(), id, value)).collect();
    assert_eq!(found, expected);
    assert!(arena.ids().eq(expected.iter().map(|(_, id, _)| *id)));
    assert_eq!(arena.iter_mut().count(), expected.len());
}
