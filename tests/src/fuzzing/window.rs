//! The sequence window against a set.
use std::collections::BTreeSet;

use sansfu::stream::window::{Arrival, SequenceWindow, WINDOW};

use crate::choices::Choices;

/// The rules in words: up to 3000 ahead is newer, less than [`WINDOW`] behind is known by the set, the rest is suspect; two
/// suspects in a row, or 64 repetitions in a row from more than 100 behind, begin anew.
#[derive(Default)]
struct Model {
    arrived: BTreeSet<u64>,
    lowest: u64,
    run: Vec<u16>,
}

impl Model {
    fn packet(&mut self, number: u16) -> Arrival {
        let Some(&highest) = self.arrived.last() else {
            let ext_seq = 0x1_0000 + u64::from(number);
            self.begin(ext_seq);
            return Arrival::First { ext_seq };
        };
        let behind = (highest as u16).wrapping_sub(number);
        match self.retransmission(number) {
            Arrival::Stale => self.suspect(highest, number, 2, Arrival::Stale),
            Arrival::Duplicate if behind > 100 => self.suspect(highest, number, 64, Arrival::Duplicate),
            Arrival::Duplicate => Arrival::Duplicate,
            arrival => {
                self.run.clear();
                arrival
            }
        }
    }

    fn retransmission(&mut self, number: u16) -> Arrival {
        let Some(&highest) = self.arrived.last() else { return Arrival::Stale };
        let ahead = u64::from(number.wrapping_sub(highest as u16));
        if (1..=3_000).contains(&ahead) {
            self.arrived.insert(highest + ahead);
            return Arrival::Newest { ext_seq: highest + ahead, previous: highest };
        }
        let behind = u64::from((highest as u16).wrapping_sub(number));
        let ext_seq = highest - behind;
        if behind >= WINDOW || ext_seq < self.lowest {
            Arrival::Stale
        } else if self.arrived.insert(ext_seq) {
            Arrival::Late { ext_seq }
        } else {
            Arrival::Duplicate
        }
    }

    fn suspect(&mut self, highest: u64, number: u16, enough: usize, otherwise: Arrival) -> Arrival {
        if self.run.last().is_some_and(|last| last.wrapping_add(1) != number) {
            self.run.clear();
        }
        self.run.push(number);
        if self.run.len() < enough {
            return otherwise;
        }
        let ext_seq = (highest..).find(|candidate| *candidate as u16 == number).unwrap_or_default();
        self.begin(ext_seq);
        Arrival::Restart { ext_seq }
    }

    fn begin(&mut self, ext_seq: u64) {
        self.arrived = BTreeSet::from([ext_seq]);
        self.lowest = ext_seq - 100;
        self.run.clear();
    }
}

/// A row of packets: onwards, onwards with steps, back, or anywhere; some by retransmission.
pub fn window(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut window = SequenceWindow::default();
    let mut model = Model::default();
    let mut last = input.u16();
    while !input.is_exhausted() {
        let action = input.u8();
        let highest = window.highest().unwrap_or(0) as u16;
        let number = match action & 7 {
            0..=2 => highest.wrapping_add(1),
            3 => last.wrapping_add(1),
            4 => highest.wrapping_add(u16::from(input.u8())),
            5 => highest.wrapping_sub(u16::from(input.u8())),
            6 => highest.wrapping_sub(input.range(0, 4_096) as u16),
            _ => input.u16(),
        };
        // The high bits repeat the step, so that long runs are short inputs.
        let repeats = if action & 7 == 3 { u16::from(action >> 3) * 3 + 1 } else { 1 };
        for step in 0..repeats {
            let number = number.wrapping_add(step);
            if repeats == 1 && action & 0x80 != 0 {
                assert_eq!(window.on_retransmission(number), model.retransmission(number));
            } else {
                assert_eq!(window.on_packet(number), model.packet(number), "{number}");
            }
            assert_eq!(window.highest(), model.arrived.last().copied());
            last = number;
        }
    }
}
