//! Which of the last packets of a stream have arrived, by extended sequence number.

/// How many packets behind the newest are told apart; those further behind count as too old.
pub const WINDOW: u64 = 2_048;

/// The largest step forward that is taken for loss at once (RFC 3550 appendix A.1: MAX_DROPOUT).
const MAX_DROPOUT: u16 = 3_000;

/// How far behind the newest a packet may be and be taken for reordered without a doubt (RFC 3550 appendix A.1: MAX_MISORDER).
const MAX_MISORDER: u64 = 100;

/// Consecutive packets out of all order that make a restart.
const RESTART_RUN: u16 = 2;

/// Consecutive packets that look like duplicates and still make a restart: more than a burst of repeated retransmissions.
const DUPLICATE_RESTART_RUN: u16 = 64;

/// What the number of a packet says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first packet of the stream.
    First {
        /// Its extended number, 65536 to 131071.
        ext_seq: u64,
    },
    /// It is newer than all before.
    Newest {
        /// Its extended number.
        ext_seq: u64,
        /// The highest number before.
        previous: u64,
    },
    /// It fills a gap.
    Late {
        /// Its extended number.
        ext_seq: u64,
    },
    /// It has arrived before.
    Duplicate,
    /// The sender has started anew with other numbers. What came before has no place any more.
    Restart {
        /// Its extended number, higher than all before.
        ext_seq: u64,
    },
    /// It is too far from the others; the first packets of a restart look like this too.
    Stale,
}

/// Extends the sequence numbers of one stream and remembers which arrived.
///
/// A step of more than 3000 forward, or to where the window does not reach, is believed only when a second consecutive packet
/// follows (RFC 3550 appendix A.1). Numbers of packets that have arrived already are retransmissions sent twice, unless there
/// are very many in a row.
#[derive(Debug, Clone)]
pub struct SequenceWindow {
    highest: Option<u64>,
    /// Below this nothing belongs to the stream as it runs since its start or restart.
    lowest: u64,
    /// A bit for each of the last numbers, in a circle.
    bits: [u64; WINDOW as usize / 64],
    /// The number that would go on with the packets out of order, and how many those are in a row.
    run_next: u16,
    run_length: u16,
}

impl Default for SequenceWindow {
    fn default() -> Self {
        SequenceWindow {
            highest: None,
            lowest: 0,
            bits: [0; WINDOW as usize / 64],
            run_next: 0,
            run_length: 0,
        }
    }
}

impl SequenceWindow {
    /// Takes in a packet of the stream itself.
    pub fn on_packet(&mut self, seq: u16) -> Arrival {
        let Some(highest) = self.highest else {
            let ext_seq = 0x1_0000 + u64::from(seq);
            self.begin(ext_seq);
            return Arrival::First { ext_seq };
        };
        match self.on_retransmission(seq) {
            Arrival::Stale => self.suspect(highest, seq, RESTART_RUN, Arrival::Stale),
            Arrival::Duplicate if u64::from((highest as u16).wrapping_sub(seq)) > MAX_MISORDER => {
                self.suspect(highest, seq, DUPLICATE_RESTART_RUN, Arrival::Duplicate)
            }
            Arrival::Duplicate => Arrival::Duplicate,
            arrival => {
                self.run_length = 0;
                arrival
            }
        }
    }

    /// Takes in the original number of a packet that came by another way (RTX). It neither starts nor restarts the stream.
    pub fn on_retransmission(&mut self, seq: u16) -> Arrival {
        let Some(highest) = self.highest else { return Arrival::Stale };
        let forward = seq.wrapping_sub(highest as u16);
        if (1..=MAX_DROPOUT).contains(&forward) {
            let ext_seq = highest + u64::from(forward);
            self.advance(highest, ext_seq);
            return Arrival::Newest { ext_seq, previous: highest };
        }
        let behind = u64::from((highest as u16).wrapping_sub(seq));
        let ext_seq = highest.saturating_sub(behind);
        if behind >= WINDOW || ext_seq < self.lowest {
            Arrival::Stale
        } else if self.mark(ext_seq) {
            Arrival::Late { ext_seq }
        } else {
            Arrival::Duplicate
        }
    }

    /// The highest extended number so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// A packet that does not fit: a restart if it is the last of `enough` consecutive ones, and else `otherwise`.
    fn suspect(&mut self, highest: u64, seq: u16, enough: u16, otherwise: Arrival) -> Arrival {
        self.run_length = if self.run_length > 0 && self.run_next == seq { self.run_length + 1 } else { 1 };
        self.run_next = seq.wrapping_add(1);
        if self.run_length < enough {
            return otherwise;
        }
        let ext_seq = highest + u64::from(seq.wrapping_sub(highest as u16));
        self.begin(ext_seq);
        Arrival::Restart { ext_seq }
    }

    fn begin(&mut self, ext_seq: u64) {
        self.bits = [0; WINDOW as usize / 64];
        self.run_length = 0;
        self.highest = Some(ext_seq);
        // Packets that were sent shortly before the first one and are overtaken by it still count.
        self.lowest = ext_seq - MAX_MISORDER;
        self.mark(ext_seq);
    }

    fn advance(&mut self, highest: u64, ext_seq: u64) {
        for number in (highest + 1..ext_seq).take(WINDOW as usize) {
            let (word, bit) = place(number);
            self.bits[word] &= !bit;
        }
        if ext_seq - highest > WINDOW {
            self.bits = [0; WINDOW as usize / 64];
        }
        let (word, bit) = place(ext_seq);
        self.bits[word] |= bit;
        self.highest = Some(ext_seq);
    }

    /// Sets the bit of a number; whether it was not set before.
    fn mark(&mut self, ext_seq: u64) -> bool {
        let (word, bit) = place(ext_seq);
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }
}

/// The word and the bit in it that stand for a number.
fn place(ext_seq: u64) -> (usize, u64) {
    ((ext_seq % WINDOW / 64) as usize, 1 << (ext_seq % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn numbers_go_on_over_the_wrap() {
        let mut window = SequenceWindow::default();
        assert_eq!(window.on_packet(65_534), Arrival::First { ext_seq: 0x1_fffe });
        assert_eq!(window.on_packet(1), Arrival::Newest { ext_seq: 0x2_0001, previous: 0x1_fffe });
        assert_eq!(window.on_packet(65_535), Arrival::Late { ext_seq: 0x1_ffff });
        assert_eq!(window.on_packet(65_535), Arrival::Duplicate);
        assert_eq!(window.on_packet(1), Arrival::Duplicate);
        assert_eq!(window.highest(), Some(0x2_0001));
    }

    #[test]
    fn packets_overtaken_by_the_first_one_count() {
        let mut window = SequenceWindow::default();
        window.on_packet(5);
        assert_eq!(window.on_packet(65_530), Arrival::Late { ext_seq: 0xfffa });
        assert_eq!(window.on_packet(65_400), Arrival::Stale, "more than 100 before");
    }

    #[test]
    fn a_restart_takes_two_consecutive_packets() {
        for start in [4_100u16, 40_000, 62_000] {
            let mut window = SequenceWindow::default();
            window.on_packet(1_000);
            assert_eq!(window.on_packet(start), Arrival::Stale, "{start}");
            assert_eq!(window.on_packet(1_001), Arrival::Newest { ext_seq: 66_537, previous: 66_536 });
            assert_eq!(window.on_packet(start + 1), Arrival::Stale, "the run was broken");
            let ext_seq = 0x1_0000 + u64::from(start) + 2;
            assert_eq!(window.on_packet(start + 2), Arrival::Restart { ext_seq });
            assert_eq!(window.on_packet(start + 1), Arrival::Late { ext_seq: ext_seq - 1 });
            assert_eq!(window.on_packet(1_002), Arrival::Stale);
        }
    }

    #[test]
    fn a_restart_backwards_gets_higher_numbers() {
        let mut window = SequenceWindow::default();
        window.on_packet(30_000);
        assert_eq!(window.on_packet(10), Arrival::Stale);
        assert_eq!(window.on_packet(11), Arrival::Restart { ext_seq: 0x2_000b });
    }

    #[test]
    fn repeated_retransmissions_are_no_restart_but_a_long_run_is() {
        let mut window = SequenceWindow::default();
        for seq in 0..1_000 {
            window.on_packet(seq);
        }
        for seq in 100..163 {
            assert_eq!(window.on_packet(seq), Arrival::Duplicate);
        }
        assert_eq!(window.on_packet(163), Arrival::Restart { ext_seq: 0x2_0000 + 163 });
        assert_eq!(
            window.on_packet(164),
            Arrival::Newest { ext_seq: 0x2_0000 + 164, previous: 0x2_0000 + 163 }
        );
    }

    #[test]
    fn retransmissions_never_restart() {
        let mut window = SequenceWindow::default();
        assert_eq!(window.on_retransmission(5), Arrival::Stale);
        window.on_packet(1_000);
        for seq in 20_000..20_100 {
            assert_eq!(window.on_retransmission(seq), Arrival::Stale);
        }
        assert_eq!(window.on_retransmission(999), Arrival::Late { ext_seq: 0x1_0000 + 999 });
        assert_eq!(
            window.on_retransmission(1_001),
            Arrival::Newest { ext_seq: 66_537, previous: 66_536 },
            "the retransmission overtook what it repeats"
        );
    }

    #[test]
    fn agrees_with_a_set_under_random_orders() {
        let mut rng = Rng::from_seed([21; 32]);
        let mut window = SequenceWindow::default();
        let mut arrived = BTreeSet::from([0x1_0000 + 60_000u64]);
        window.on_packet(60_000);
        let first = 0x1_0000 + 60_000u64;
        for _ in 0..100_000 {
            let highest = *arrived.last().unwrap();
            let truth = match rng.below(100) {
                0 => highest + u64::from(rng.below(3_001)),
                1..40 => highest.saturating_sub(u64::from(rng.below(101))),
                40..50 => highest.saturating_sub(u64::from(rng.below(2_048))),
                _ => highest + 1,
            };
            if truth < first {
                continue;
            }
            let expected = match () {
                () if arrived.contains(&truth) => Arrival::Duplicate,
                () if truth > highest => Arrival::Newest { ext_seq: truth, previous: highest },
                () => Arrival::Late { ext_seq: truth },
            };
            assert_eq!(window.on_packet(truth as u16), expected);
            arrived.insert(truth);
            while arrived.first().is_some_and(|n| n + 5_000 < truth) {
                arrived.pop_first();
            }
        }
    }
}
