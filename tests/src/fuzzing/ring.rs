//! The bounded queue against a list.
use sansfu::ring::Ring;

use crate::choices::Choices;

/// Everything that a ring can do, in any order.
pub fn ring(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let limit = input.range(0, 9) as usize;
    let mut ring = Ring::new(limit);
    let mut model: Vec<u8> = Vec::new();
    let mut overflowed = 0;
    while !input.is_exhausted() {
        let full = model.len() == limit;
        match input.range(0, 4) {
            0 => {
                let item = input.u8();
                assert_eq!(ring.push(item), if full { Err(item) } else { Ok(()) });
                if full { overflowed += 1 } else { model.push(item) }
            }
            1 => {
                let item = input.u8();
                model.push(item);
                // With room for none, that is the item itself.
                let evicted = full.then(|| model.remove(0));
                overflowed += u64::from(full);
                assert_eq!(ring.push_evicting(item), evicted);
            }
            2 => assert_eq!(ring.pop(), (!model.is_empty()).then(|| model.remove(0))),
            _ => {
                let bit = 1 << input.range(0, 8);
                ring.retain(|item| item & bit == 0);
                model.retain(|item| item & bit == 0);
            }
        }
        assert!(ring.len() <= limit);
        assert!(ring.iter().eq(&model) && ring.front() == model.first());
        assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
        assert_eq!(ring.overflowed(), overflowed);
    }
}
