//! The loss counter against lists of all packets.
use std::collections::BTreeSet;

use sansfu::stream::loss::{LossCounter, LossReport};

use crate::choices::Choices;

/// What RFC 3550 appendix A.3 says, computed from scratch.
#[derive(Default)]
struct Model {
    /// The numbers of each run, repetitions left out.
    runs: Vec<BTreeSet<u64>>,
    received: i128,
    reported: (i128, i128),
}

impl Model {
    fn expected(&self) -> i128 {
        let ends = self.runs.iter().filter_map(|run| run.first().zip(run.last()));
        ends.map(|(first, last)| i128::from(last - first + 1)).sum()
    }

    fn report(&mut self) -> LossReport {
        let expected = self.expected() - self.reported.0;
        let lost = (expected - (self.received - self.reported.1)).max(0);
        self.reported = (self.expected(), self.received);
        LossReport {
            fraction_lost: if expected == 0 { 0 } else { (lost * 256 / expected).min(255) as u8 },
            cumulative_lost: self.cumulative_lost(),
            expected: expected.min(u32::MAX.into()) as u32,
            lost: lost.min(u32::MAX.into()) as u32,
        }
    }

    fn cumulative_lost(&self) -> i32 {
        (self.expected() - self.received).clamp(-0x80_0000, 0x7f_ffff) as i32
    }
}

/// Packets with gaps, late ones, repetitions and restarts, and reports between them.
pub fn loss(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut loss = LossCounter::default();
    let mut model = Model::default();
    let mut highest = 0x1_0000 + u64::from(input.u16());
    while !input.is_exhausted() {
        let action = input.u8();
        if action.is_multiple_of(8) {
            assert_eq!(loss.report(), model.report());
        } else {
            let restarted = action % 8 == 7;
            let ext_seq = match action % 8 {
                1..=3 => highest + 1,
                4 => highest + u64::from(input.u8()),
                5 => highest - u64::from(input.u8()),
                _ => highest + u64::from(input.u32() >> 8),
            };
            loss.on_packet(ext_seq, restarted);
            if restarted || model.runs.is_empty() {
                model.runs.push(BTreeSet::new());
            }
            if let Some(run) = model.runs.last_mut() {
                run.insert(ext_seq);
            }
            model.received += 1;
            highest = if restarted { ext_seq } else { highest.max(ext_seq) };
        }
        assert_eq!(loss.cumulative_lost(), model.cumulative_lost());
        assert_eq!(i128::from(loss.received()), model.received);
        assert_eq!(loss.highest(), model.runs.last().and_then(|run| run.last().copied()));
    }
}
