//! Walking a header extension block (RFC 8285).

use super::ONE_BYTE_PROFILE;

/// Iterator over the header extensions of one packet: local id and value.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

impl<'a> Extensions<'a> {
    pub(super) fn new(profile: Option<u16>, block: &'a [u8]) -> Self {
        match profile {
            Some(ONE_BYTE_PROFILE) => Self { rest: block, two_byte: false },
            // The low four bits are the application's (section 4.3).
            Some(0x1000..=0x100F) => Self { rest: block, two_byte: true },
            _ => Self { rest: &[], two_byte: false },
        }
    }

    /// Splits the next element's head off: id, length of its value and what follows the head. `None` ends the block.
    fn next_head(&self) -> Option<(u8, usize, &'a [u8])> {
        if self.two_byte {
            let (&[id, len], tail) = self.rest.split_first_chunk()?;
            return Some((id, usize::from(len), tail));
        }
        let (&head, tail) = self.rest.split_first()?;
        let id = head >> 4;
        // 15 is reserved, and padding with a length is an error; both end the whole block (section 4.2).
        (1..=14).contains(&id).then_some((id, usize::from(head & 0x0F) + 1, tail))
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let [0, tail @ ..] = self.rest {
            self.rest = tail;
        }
        let element = self.next_head().and_then(|(id, len, tail)| {
            let (value, tail) = tail.split_at_checked(len)?;
            self.rest = tail;
            Some((id, value))
        });
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

impl std::iter::FusedIterator for Extensions<'_> {}
