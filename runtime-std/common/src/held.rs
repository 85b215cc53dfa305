//! What a full socket could not take and must not lose.
use std::collections::VecDeque;
use std::net::SocketAddr;

use sansfu::server::TransmitClass;

/// Held at most for one socket, in bytes: a second of control for thousands of clients.
const MAX_BYTES: usize = 256 << 10;

/// Of which sound may take so much: behind more than this it would come too late.
const MAX_AUDIO_BYTES: usize = 64 << 10;

/// Datagrams for one destination that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTransmit {
    /// Where to.
    pub remote: SocketAddr,
    /// Back to back.
    pub payload: Vec<u8>,
    /// The length of each datagram but the last.
    pub segment_size: usize,
}

/// Transmits in the order in which they were decided.
#[derive(Debug, Default)]
pub struct Held {
    transmits: VecDeque<HeldTransmit>,
    bytes: usize,
}

impl Held {
    /// Holds a transmit. `false`: pictures are not held, and of all else not more than there is room for.
    pub fn push(
        &mut self,
        class: TransmitClass,
        remote: SocketAddr,
        payload: &[u8],
        segment_size: usize,
    ) -> bool {
        let max_bytes = match class {
            TransmitClass::Control => MAX_BYTES,
            TransmitClass::Audio => MAX_AUDIO_BYTES,
            TransmitClass::Video => return false,
        };
        if self.bytes + payload.len() > max_bytes {
            return false;
        }
        self.bytes += payload.len();
        self.transmits.push_back(HeldTransmit { remote, payload: payload.to_vec(), segment_size });
        true
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<HeldTransmit> {
        let first = self.transmits.pop_front()?;
        self.bytes -= first.payload.len();
        Some(first)
    }

    /// Gives back what was taken, less the first `sent` bytes.
    pub fn put_back(&mut self, mut first: HeldTransmit, sent: usize) {
        first.payload.drain(..sent);
        self.bytes += first.payload.len();
        self.transmits.push_front(first);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn pictures_are_dropped_and_sound_before_control() {
        let mut held = Held::default();
        assert!(!held.push(TransmitClass::Video, remote(1), &[0; 10], 10));
        assert!(held.is_empty());
        assert!(held.push(TransmitClass::Audio, remote(1), &[1; MAX_AUDIO_BYTES], 100));
        assert!(!held.push(TransmitClass::Audio, remote(1), &[2], 1));
        assert!(held.push(TransmitClass::Control, remote(2), &[3; MAX_BYTES - MAX_AUDIO_BYTES], 100));
        assert!(!held.push(TransmitClass::Control, remote(2), &[4], 1));
    }

    #[test]
    fn order_and_the_rest_of_what_was_sent_in_part_are_kept() {
        let mut held = Held::default();
        assert!(held.push(TransmitClass::Control, remote(1), &[1, 2, 3, 4, 5], 2));
        assert!(held.push(TransmitClass::Audio, remote(2), &[9], 1));
        let first = held.pop().unwrap();
        held.put_back(first, 2);
        assert_eq!(held.bytes, 4);
        let first = held.pop().unwrap();
        assert_eq!((first.remote, first.payload, first.segment_size), (remote(1), vec![3, 4, 5], 2));
        assert_eq!(held.pop().unwrap().payload, [9]);
        assert!(held.pop().is_none() && held.bytes == 0);
    }
}
