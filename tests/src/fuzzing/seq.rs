//! Extended sequence numbers against a search of all candidates.
use sansfu::seq::{self, Extender};

use crate::choices::Choices;

/// The number with those low bits that is nearest; of two equally near ones the lower, if there is one.
fn nearest(reference: u64, number: u16) -> u64 {
    let cycle = reference >> 16;
    (cycle.saturating_sub(1)..=cycle + 1)
        .map(|cycle| cycle << 16 | u64::from(number))
        .min_by_key(|&candidate| (candidate.abs_diff(reference), candidate))
        .unwrap_or_default()
}

/// A row of numbers through the extender, and each alone through the functions.
pub fn seq(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut reference = u64::from(input.u32());
    let mut extender = Extender::default();
    let mut highest: Option<u64> = None;
    while !input.is_exhausted() {
        let number = input.u16();
        let extended = seq::extend(reference, number);
        assert_eq!(extended, nearest(reference, number), "{reference:#x} {number:#x}");
        let other = reference as u16;
        assert!(!(seq::is_newer(number, other) && seq::is_newer(other, number)));
        if reference >= 0x1_0000 {
            // Below that there may be no older candidate.
            assert_eq!(seq::is_newer(number, other), extended > reference);
        }
        reference = extended;

        let expected = match highest {
            None => 0x1_0000 + u64::from(number),
            Some(highest) => nearest(highest, number),
        };
        assert_eq!(extender.extend(number), expected);
        assert_eq!(extender.advance(number), expected);
        highest = highest.max(Some(expected));
        assert_eq!(extender.highest(), highest);
    }
}
