//! The loudness of producers over an interval.
use std::collections::BTreeMap;

use crate::event::AudioLevel;
use crate::id::ProducerId;

/// Collects the levels of packets.
///
/// Invariant: there is an entry only for producers that have sent something since the last report.
#[derive(Debug, Clone, Default)]
pub struct AudioLevelMeter {
    sums: BTreeMap<ProducerId, Sum>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    minus_dbov: u64,
    packets: u64,
}

impl AudioLevelMeter {
    /// Counts a packet: its level as decibels below overload, 0 to 127.
    pub fn on_packet(&mut self, producer: ProducerId, minus_dbov: u8) {
        let sum = self.sums.entry(producer).or_default();
        sum.minus_dbov += u64::from(minus_dbov.min(127));
        sum.packets += 1;
    }

    /// The levels since the last time, the loudest first; equally loud ones in the order of their ids.
    pub fn take_report(&mut self) -> Vec<AudioLevel> {
        let level = |(producer_id, sum): (ProducerId, Sum)| {
            let mean = sum.minus_dbov / sum.packets.max(1);
            AudioLevel { producer_id, level_dbov: i8::try_from(mean).map_or(-127, |mean| -mean) }
        };
        let mut levels: Vec<AudioLevel> = std::mem::take(&mut self.sums).into_iter().map(level).collect();
        levels.sort_by_key(|level| std::cmp::Reverse(level.level_dbov));
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(index: u32) -> ProducerId {
        format!("{:016x}{index:08x}{:08x}", 0, 1).parse().unwrap()
    }

    #[test]
    fn the_loudest_comes_first_by_the_mean_of_its_packets() {
        let (a, b, c) = (producer(1), producer(2), producer(3));
        let mut meter = AudioLevelMeter::default();
        for (producer, level) in [(a, 60), (b, 20), (a, 10), (b, 30), (c, 127)] {
            meter.on_packet(producer, level);
        }
        let report: Vec<_> =
            meter.take_report().into_iter().map(|level| (level.producer_id, level.level_dbov)).collect();
        assert_eq!(report, [(b, -25), (a, -35), (c, -127)]);
        assert_eq!(meter.take_report(), [], "each packet counts once");
    }
}
