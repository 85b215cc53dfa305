//! RTP timestamps that go on over a change or restart of the source.
use std::time::Instant;

use super::jitter::timestamp_units;
use crate::seq::is_newer_timestamp;

/// Maps the timestamps of received streams to those of the one stream that is sent.
///
/// Output is input plus an offset; the very first output is the source's own. At a restart the offset stays when the source's
/// clock has gone on, as it does after a pause or an outage: what arrives late or early must not move picture against sound.
/// Otherwise it is chosen so that the output goes on by the time that passed since the last packet.
#[derive(Debug, Clone)]
pub struct TimestampMap {
    clock_rate: u32,
    offset: u32,
    /// The newest output, and when its packet arrived.
    last: Option<(u32, Instant)>,
}

impl TimestampMap {
    /// For streams with `clock_rate` timestamp units a second.
    pub const fn new(clock_rate: u32) -> Self {
        TimestampMap { clock_rate, offset: 0, last: None }
    }

    /// The source begins, or begins again, with a packet of this timestamp. Returns what is added to its timestamps from now on.
    pub fn restart(&mut self, timestamp: u32, received_at: Instant) -> u32 {
        let Some((last, last_at)) = self.last else { return self.offset };
        let passed = timestamp_units(received_at.saturating_duration_since(last_at), self.clock_rate).max(1);
        let expected = last.wrapping_add(passed);
        let continued = timestamp.wrapping_add(self.offset);
        let is_near = (continued.wrapping_sub(expected) as i32).unsigned_abs() <= self.clock_rate;
        if !(is_near && is_newer_timestamp(continued, last)) {
            self.offset = expected.wrapping_sub(timestamp);
        }
        self.offset
    }

    /// The output of a timestamp of the current source.
    #[inline]
    pub fn map(&mut self, timestamp: u32, received_at: Instant) -> u32 {
        let output = timestamp.wrapping_add(self.offset);
        if self.last.is_none_or(|(last, _)| is_newer_timestamp(output, last)) {
            self.last = Some((output, received_at));
        }
        output
    }

    /// What is added to the timestamps of the current source.
    pub fn offset(&self) -> u32 {
        self.offset
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_source_keeps_its_timestamps() {
        let start = Instant::now();
        let mut map = TimestampMap::new(90_000);
        assert_eq!(map.restart(u32::MAX - 10, start), 0);
        assert_eq!(map.map(u32::MAX - 10, start), u32::MAX - 10);
        assert_eq!(map.map(2_990, start + 33 * MS), 2_990);
    }

    #[test]
    fn a_restart_goes_on_by_the_time_that_passed() {
        let start = Instant::now();
        let mut map = TimestampMap::new(90_000);
        map.map(4_294_960_000, start);
        map.map(4_294_950_000, start + 5 * MS);
        let offset = map.restart(1_000_000, start + 2_000 * MS);
        assert_eq!(offset, map.offset());
        let first = 4_294_960_000u32.wrapping_add(180_000);
        assert_eq!(map.map(1_000_000, start + 2_000 * MS), first, "since the newest, not the last");
        assert_eq!(map.map(1_003_000, start + 2_033 * MS), first + 3_000);
        assert_eq!(map.map(999_000, start + 2_034 * MS), first.wrapping_sub(1_000));
    }

    #[test]
    fn a_clock_that_has_gone_on_is_left_alone() {
        let start = Instant::now();
        let mut map = TimestampMap::new(90_000);
        map.map(1_000, start);
        // Two seconds of the source's clock, of which the network swallows or adds some.
        for late in [0, 80, 900] {
            assert_eq!(map.restart(181_000, start + 2_000 * MS - late * MS), 0, "{late} ms");
        }
        assert_eq!(
            map.restart(181_000, start + 3_100 * MS),
            99_000,
            "more than a second off is another clock"
        );
    }

    #[test]
    fn a_restart_without_time_passing_still_steps() {
        let start = Instant::now();
        let mut map = TimestampMap::new(48_000);
        map.map(500, start);
        map.restart(10, start);
        assert_eq!(map.map(10, start), 501);
    }
}
