//! What must be remembered of sent packets where they are sent again under their own SSRC.
//!
//! Without RTX a retransmission has the sequence number, and so the SRTP index, of the original. Two different plaintexts
//! under one index would give the key stream away (RFC 3711 section 9.1; for GCM the authentication key too, RFC 7714
//! section 8.4), so the packet must be the same to the last byte: also the header extensions that say when it was sent.
use crate::outbox::{Content, QueuedPacket};
use crate::wire::codec::dependency_descriptor::ActiveDecodeTargets;

/// How many packets can be sent again: 256 of audio are five seconds.
const CAPACITY: usize = 256;

/// The headers of the packets sent last.
#[derive(Debug)]
pub(super) struct ResendLog {
    entries: Box<[Entry; CAPACITY]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    index: u64,
    header: Option<SentHeader>,
}

/// What of a sent packet cannot be derived again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SentHeader {
    timestamp: u32,
    abs_send_time: u32,
    transport_sequence: u16,
    decode_targets: Option<ActiveDecodeTargets>,
    empty: bool,
}

impl Default for ResendLog {
    fn default() -> Self {
        ResendLog { entries: Box::new([Entry::default(); CAPACITY]) }
    }
}

impl ResendLog {
    pub(super) fn insert(&mut self, index: u64, header: SentHeader) {
        self.entries[index as usize % CAPACITY] = Entry { index, header: Some(header) };
    }

    pub(super) fn get(&self, index: u64) -> Option<SentHeader> {
        let entry = self.entries[index as usize % CAPACITY];
        entry.header.filter(|_| entry.index == index)
    }
}

impl SentHeader {
    pub(super) fn of(packet: &QueuedPacket) -> Self {
        SentHeader {
            timestamp: packet.timestamp,
            abs_send_time: packet.abs_send_time,
            transport_sequence: packet.transport_sequence,
            decode_targets: packet.decode_targets,
            empty: packet.content == Content::Empty,
        }
    }

    pub(super) fn restore(self, packet: &mut QueuedPacket) {
        packet.timestamp = self.timestamp;
        packet.abs_send_time = self.abs_send_time;
        packet.transport_sequence = self.transport_sequence;
        packet.decode_targets = self.decode_targets;
        if self.empty {
            packet.content = Content::Empty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_packet_is_found() {
        let header = SentHeader {
            timestamp: 1,
            abs_send_time: 2,
            transport_sequence: 3,
            decode_targets: None,
            empty: false,
        };
        let mut log = ResendLog::default();
        assert_eq!(log.get(0), None, "an untouched entry is nobody's");
        log.insert(7, header);
        assert_eq!(log.get(7), Some(header));
        assert_eq!(log.get(7 + CAPACITY as u64), None);
        log.insert(7 + CAPACITY as u64, header);
        assert_eq!(log.get(7), None);
    }
}
