//! Which transport a datagram is for.
//!
//! By the tuple, once it has proved itself by STUN; a STUN request also by the username fragment in it.
use std::collections::HashMap;

use crate::ice::Tuple;
use crate::id::TransportId;

/// The transports by address and by ICE username fragment.
#[derive(Debug, Default)]
pub struct Demux {
    tuples: HashMap<Tuple, TransportId>,
    username_fragments: HashMap<String, TransportId>,
}

impl Demux {
    /// Makes a username fragment lead to a transport.
    pub fn add_username_fragment(&mut self, fragment: &str, transport: TransportId) {
        self.username_fragments.insert(fragment.to_owned(), transport);
    }

    /// Forgets a username fragment.
    pub fn remove_username_fragment(&mut self, fragment: &str) {
        self.username_fragments.remove(fragment);
    }

    /// Makes a tuple lead to a transport, and no longer to another one: a client may open its next transport from the same
    /// port. Returns the transport that it led to, if that was another.
    pub fn add_tuple(&mut self, tuple: Tuple, transport: TransportId) -> Option<TransportId> {
        self.tuples.insert(tuple, transport).filter(|previous| *previous != transport)
    }

    /// Forgets a tuple, if it still leads to this transport.
    pub fn remove_tuple(&mut self, tuple: Tuple, transport: TransportId) {
        if self.tuples.get(&tuple) == Some(&transport) {
            self.tuples.remove(&tuple);
        }
    }

    /// The transport of a tuple.
    #[inline]
    pub fn by_tuple(&self, tuple: &Tuple) -> Option<TransportId> {
        self.tuples.get(tuple).copied()
    }

    /// The transport of a username fragment.
    pub fn by_username_fragment(&self, fragment: &str) -> Option<TransportId> {
        self.username_fragments.get(fragment).copied()
    }

    /// How many tuples are known.
    pub fn tuple_count(&self) -> usize {
        self.tuples.len()
    }

    /// Whether nothing leads anywhere.
    pub fn is_empty(&self) -> bool {
        self.tuples.is_empty() && self.username_fragments.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Id;
    use crate::ice::Protocol;
    use crate::id::RouterId;

    fn transport(index: u64) -> TransportId {
        TransportId { router: RouterId(Id::from_bits(0)), own: Id::from_bits(index) }
    }

    #[test]
    fn a_tuple_leads_to_the_transport_that_had_it_last() {
        let remote = ([192, 0, 2, 1], 5_000).into();
        let tuple = Tuple { local: ([192, 0, 2, 2], 40_000).into(), remote, protocol: Protocol::Udp };
        let mut demux = Demux::default();
        assert_eq!(demux.add_tuple(tuple, transport(1)), None);
        assert_eq!(demux.add_tuple(tuple, transport(1)), None);
        assert_eq!(demux.add_tuple(tuple, transport(2)), Some(transport(1)));
        demux.remove_tuple(tuple, transport(1));
        assert_eq!(demux.by_tuple(&tuple), Some(transport(2)), "only its holder gives it up");
        demux.remove_tuple(tuple, transport(2));
        assert!(demux.is_empty());
    }
}
