//! What a publisher keeps, to send it again when the server asks (RFC 4588).

/// Packets that are kept: a second and more of most streams, and a power of two.
const KEPT: usize = 512;

/// The last packets of one stream.
#[derive(Debug, Default)]
pub struct History {
    /// By the last bits of their numbers; empty as long as nothing was sent.
    packets: Vec<Kept>,
}

/// A packet that was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its extended sequence number.
    pub sequence: u64,
    /// Its timestamp.
    pub timestamp: u32,
    /// Its marker.
    pub marker: bool,
    /// What follows its header.
    pub payload: Vec<u8>,
}

impl History {
    /// Keeps a packet, in the memory of the one that is given up for it.
    pub fn keep(&mut self, sequence: u64, timestamp: u32, marker: bool, payload: &[u8]) {
        if self.packets.is_empty() {
            self.packets.resize(KEPT, Kept::default());
        }
        let kept = &mut self.packets[sequence as usize % KEPT];
        (kept.sequence, kept.timestamp, kept.marker) = (sequence, timestamp, marker);
        kept.payload.clear();
        kept.payload.extend_from_slice(payload);
    }

    /// The packet of a number, if it is still there.
    pub fn find(&self, sequence_number: u16) -> Option<&Kept> {
        let kept = self.packets.get(usize::from(sequence_number) % KEPT)?;
        (kept.sequence as u16 == sequence_number && !kept.payload.is_empty()).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_packets_are_found_over_the_wrap_and_older_ones_are_not() {
        let mut history = History::default();
        assert_eq!(history.find(0), None);
        let first = (1 << 16) - 300;
        for sequence in first..first + 600 {
            history.keep(sequence, sequence as u32 * 90, false, &sequence.to_be_bytes());
        }
        let find = |sequence: u64| history.find(sequence as u16).map(|kept| kept.payload.clone());
        for sequence in first + 600 - KEPT as u64..first + 600 {
            assert_eq!(find(sequence), Some(sequence.to_be_bytes().to_vec()));
        }
        assert_eq!((find(first), find(first + 600)), (None, None));
    }
}
