//! What was sent under which transport-wide number, until feedback tells what became of it.
use std::num::NonZeroU16;

/// Entries at first, and at most; powers of two that divide the circle of numbers.
const FIRST_CAPACITY: usize = 256;
const MAX_CAPACITY: usize = 4_096;

/// An entry that is overwritten before this age without having been reported shows that there are too few.
const WORTH_KEEPING_US: i64 = 2_000_000;

/// Names a probe cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeId(pub(super) NonZeroU16);

/// A packet as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentPacket {
    /// When, in µs of the estimator's clock.
    pub sent_us: i64,
    /// Its size on the wire.
    pub bytes: u16,
    /// The cluster that it belongs to.
    pub probe: Option<ProbeId>,
    /// Feedback had told before that it did not arrive.
    pub was_lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Empty,
    InFlight,
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    sent_us: i64,
    bytes: u16,
    number: u16,
    probe: Option<ProbeId>,
    fate: Fate,
}

const EMPTY: Entry = Entry { sent_us: 0, bytes: 0, number: 0, probe: None, fate: Fate::Empty };

/// A ring of sent packets by their numbers. It doubles, up to 4096, when packets leave it unreported; otherwise a packet costs
/// no allocation.
#[derive(Debug, Default)]
pub struct SentHistory {
    entries: Vec<Entry>,
}

impl SentHistory {
    /// Remembers a packet that leaves.
    pub fn record(&mut self, number: u16, sent_us: i64, bytes: usize, probe: Option<ProbeId>) {
        if self.entries.is_empty() {
            self.entries.resize(FIRST_CAPACITY, EMPTY);
        }
        let old = self.entries[self.slot(number)];
        let unreported = old.fate == Fate::InFlight && sent_us - old.sent_us < WORTH_KEEPING_US;
        if unreported && self.entries.len() < MAX_CAPACITY {
            self.grow();
        }
        let slot = self.slot(number);
        let bytes = bytes.min(usize::from(u16::MAX)) as u16;
        self.entries[slot] = Entry { sent_us, bytes, number, probe, fate: Fate::InFlight };
    }

    /// The packet arrived: each is given out once.
    pub fn take_received(&mut self, number: u16) -> Option<SentPacket> {
        let entry = self.find(number)?;
        let was_lost = entry.fate == Fate::Lost;
        entry.fate = Fate::Empty;
        Some(SentPacket { sent_us: entry.sent_us, bytes: entry.bytes, probe: entry.probe, was_lost })
    }

    /// The packet has not arrived (it may yet): each is given out once.
    pub fn mark_lost(&mut self, number: u16) -> Option<SentPacket> {
        let entry = self.find(number).filter(|entry| entry.fate == Fate::InFlight)?;
        entry.fate = Fate::Lost;
        Some(SentPacket { sent_us: entry.sent_us, bytes: entry.bytes, probe: entry.probe, was_lost: false })
    }

    /// The packet has not left after all.
    pub fn forget(&mut self, number: u16) {
        if let Some(entry) = self.find(number) {
            entry.fate = Fate::Empty;
        }
    }

    fn find(&mut self, number: u16) -> Option<&mut Entry> {
        if self.entries.is_empty() {
            return None;
        }
        let slot = self.slot(number);
        Some(&mut self.entries[slot]).filter(|entry| entry.fate != Fate::Empty && entry.number == number)
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.entries);
        self.entries.resize(old.len() * 2, EMPTY);
        for entry in old {
            if entry.fate != Fate::Empty {
                let slot = self.slot(entry.number);
                self.entries[slot] = entry;
            }
        }
    }

    fn slot(&self, number: u16) -> usize {
        usize::from(number) & (self.entries.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_given_out_once_and_a_lost_one_may_still_come() {
        let mut history = SentHistory::default();
        assert_eq!((history.take_received(5), history.mark_lost(5)), (None, None));
        history.record(65_535, 1_000, 100, None);
        history.record(0, 2_000, 200, None);
        assert_eq!(history.mark_lost(65_535).map(|packet| packet.bytes), Some(100));
        assert_eq!(history.mark_lost(65_535), None);
        assert_eq!(history.take_received(65_535).map(|packet| packet.was_lost), Some(true));
        assert_eq!(history.take_received(0).map(|packet| packet.was_lost), Some(false));
        assert_eq!((history.take_received(0), history.mark_lost(0)), (None, None));
        assert_eq!(history.take_received(256), None, "the same slot is not the same number");
    }

    #[test]
    fn it_grows_when_packets_leave_it_unreported_and_is_bounded() {
        let mut history = SentHistory::default();
        for n in 0..1_000u32 {
            history.record(n as u16, i64::from(n), 100, None);
        }
        assert!((0..1_000).all(|n| history.take_received(n).is_some()));
        assert_eq!(history.entries.len(), 1_024);
        for n in 0..100_000u32 {
            history.record(n as u16, i64::from(n), 100, None);
        }
        assert_eq!(history.entries.len(), MAX_CAPACITY);
    }

    #[test]
    fn silence_of_the_receiver_does_not_make_it_grow() {
        let mut history = SentHistory::default();
        for n in 0..2_000i64 {
            history.record(n as u16, n * 10_000, 100, None);
        }
        assert_eq!(history.entries.len(), FIRST_CAPACITY);
        history.record(3_000, 0, 100, None);
        history.forget(3_000);
        assert_eq!(history.take_received(3_000), None);
    }
}
