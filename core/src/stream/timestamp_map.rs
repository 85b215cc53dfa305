//! RTP timestamps that go on over a change or restart of the source.
use std::time::{Duration, Instant};

use super::jitter::timestamp_units;
use crate::seq::is_newer_timestamp;

/// Most sources remembered: the encodings of simulcast.
const MAX_KNOWN: usize = 4;

/// Maps the timestamps of received streams to those of the one stream that is sent.
///
/// Output is input plus an offset; the very first output is the source's own. At a restart the offset stays when the source's
/// clock has gone on, as it does after a pause or an outage: what arrives late or early must not move picture against sound.
/// Otherwise it is chosen so that the output goes on by the time that passed since the last packet. Between the encodings of
/// one track, whose clocks the sender's reports relate to each other, it is chosen so that capture times go on.
#[derive(Debug, Clone)]
pub struct TimestampMap {
    clock_rate: u32,
    offset: u32,
    /// What of the offset is there only so that a source that lags behind the one before does not go backwards.
    step: u32,
    /// The offsets of sources that were there before: reports are exact to a millisecond or so, and to come back must not move
    /// anything.
    known: heapless::Vec<(u8, u32), MAX_KNOWN>,
    /// The newest output, and when its packet arrived.
    last: Option<(u32, Instant)>,
}

impl TimestampMap {
    /// For streams with `clock_rate` timestamp units a second.
    pub const fn new(clock_rate: u32) -> Self {
        TimestampMap { clock_rate, offset: 0, step: 0, known: heapless::Vec::new(), last: None }
    }

    /// The source begins, or (`goes_on`) is the same as before after a time in which nothing was sent, with a packet of this
    /// timestamp. Returns what is added to its timestamps from now on. A source that goes on has its own clock, however that stands
    /// to ours: a camera may have stood still.
    pub fn restart(&mut self, timestamp: u32, received_at: Instant, goes_on: bool) -> u32 {
        let Some((last, last_at)) = self.last else { return self.offset };
        let continued = timestamp.wrapping_add(self.offset);
        let is_ahead = is_newer_timestamp(continued, last);
        let tolerance = if goes_on { u32::MAX } else { self.clock_rate };
        if !(is_ahead && distance(continued, self.expected(last, last_at, received_at)) <= tolerance) {
            let expected = self.expected(last, last_at, received_at);
            (self.offset, self.step) = (expected.wrapping_sub(timestamp), 0);
        }
        self.offset
    }

    /// Goes from source `from` to source `to`, which begins with a packet of this timestamp, captured when `from` had `aligned`,
    /// as the sender's reports tell; `None` where they do not. Returns what is added to its timestamps from now on.
    pub fn switch(
        &mut self,
        from: u8,
        to: u8,
        timestamp: u32,
        aligned: Option<u32>,
        received_at: Instant,
    ) -> u32 {
        let Some((last, _)) = self.last else { return self.offset };
        let own = self.offset.wrapping_sub(self.step);
        self.forget(from);
        // Full: the one more is aligned anew when it comes back.
        let _ = self.known.push((from, own));
        let exact = self.exact(to, timestamp, aligned, received_at).unwrap_or(last);
        // A picture that was captured before the last one sent must not go backwards.
        self.step =
            if is_newer_timestamp(exact, last) { 0 } else { last.wrapping_add(1).wrapping_sub(exact) };
        self.offset = exact.wrapping_add(self.step).wrapping_sub(timestamp);
        self.offset
    }

    /// A source has begun anew: what was known of it is of another clock.
    pub fn forget(&mut self, source: u8) {
        self.known.retain(|(known, _)| *known != source);
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

    /// How far the first packet of another source would lie behind the newest that was sent ([`Self::switch`]).
    pub fn lag(&self, to: u8, timestamp: u32, aligned: Option<u32>, received_at: Instant) -> Duration {
        let exact = self.exact(to, timestamp, aligned, received_at);
        let behind = self.last.zip(exact).map_or(0, |((last, _), exact)| last.wrapping_sub(exact) as i32);
        Duration::from_secs_f64(f64::from(behind.max(0)) / f64::from(self.clock_rate.max(1)))
    }

    /// What is added to the timestamps of the current source.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// The output of the first packet of another source, as its capture time wants it; `None` before anything was sent.
    fn exact(&self, to: u8, timestamp: u32, aligned: Option<u32>, received_at: Instant) -> Option<u32> {
        let (last, last_at) = self.last?;
        let own = self.offset.wrapping_sub(self.step);
        let continued = aligned.map(|aligned| aligned.wrapping_add(own));
        let near = continued.filter(|continued| self.is_near(*continued, last, last_at, received_at));
        let told = near.unwrap_or_else(|| self.expected(last, last_at, received_at));
        let known = self.known.iter().find(|(source, _)| *source == to);
        let known = known.map(|(_, offset)| timestamp.wrapping_add(*offset));
        // Without reports the time of arrival is all there is.
        let tolerance = if near.is_some() { self.clock_rate / 50 } else { self.long() };
        Some(known.filter(|known| distance(*known, told) <= tolerance).unwrap_or(told))
    }

    fn passed(&self, since: Instant, until: Instant) -> u32 {
        timestamp_units(until.saturating_duration_since(since), self.clock_rate).max(1)
    }

    /// Whether an output is within a second of what is to be expected by the time that passed.
    fn is_near(&self, output: u32, last: u32, last_at: Instant, received_at: Instant) -> bool {
        distance(output, self.expected(last, last_at, received_at)) <= self.clock_rate
    }

    fn expected(&self, last: u32, last_at: Instant, received_at: Instant) -> u32 {
        last.wrapping_add(self.passed(last_at, received_at))
    }

    /// By how much the time of arrival, where there is nothing else, may be wrong: outages put off by seconds.
    fn long(&self) -> u32 {
        self.clock_rate.saturating_mul(10)
    }
}

fn distance(a: u32, b: u32) -> u32 {
    (a.wrapping_sub(b) as i32).unsigned_abs()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_source_keeps_its_timestamps() {
        let start = Instant::now();
        let mut map = TimestampMap::new(90_000);
        assert_eq!(map.restart(u32::MAX - 10, start, false), 0);
        assert_eq!(map.map(u32::MAX - 10, start), u32::MAX - 10);
        assert_eq!(map.map(2_990, start + 33 * MS), 2_990);
    }

    #[test]
    fn a_restart_goes_on_by_the_time_that_passed() {
        let start = Instant::now();
        let mut map = TimestampMap::new(90_000);
        map.map(4_294_960_000, start);
        map.map(4_294_950_000, start + 5 * MS);
        let offset = map.restart(1_000_000, start + 2_000 * MS, false);
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
            assert_eq!(map.restart(181_000, start + 2_000 * MS - late * MS, false), 0, "{late} ms");
        }
        let late = start + 3_100 * MS;
        assert_eq!(map.clone().restart(181_000, late, true), 0, "an outage");
        let much_later = start + 60_000 * MS;
        assert_eq!(map.clone().restart(181_000, much_later, true), 0, "a camera that stood still");
        assert_eq!(map.restart(181_000, late, false), 99_000, "more than a second off is another clock");
    }

    #[test]
    fn a_switch_goes_on_in_capture_time() {
        let start = Instant::now();
        let mut map = TimestampMap::new(90_000);
        map.map(1_000, start);
        // The other encoding's 500,000 was captured when this one's 4,000 was.
        assert_eq!(map.switch(0, 1, 500_000, Some(4_000), start + 90 * MS), 4_000u32.wrapping_sub(500_000));
        assert_eq!(map.map(500_000, start + 90 * MS), 4_000);
        assert_eq!(map.map(503_000, start + 99 * MS), 7_000);
        // Back, to a picture that lags behind what was sent: it is pushed forward, but for once only. The reports are off by 20.
        assert_eq!(map.switch(1, 0, 5_000, Some(501_020), start + 100 * MS), 2_001);
        assert_eq!(map.map(5_000, start + 100 * MS), 7_001);
        let offset = map.switch(0, 1, 510_000, Some(14_000), start + 180 * MS);
        assert_eq!(offset, 4_000u32.wrapping_sub(500_000));
        // Reports that are wrong by more than a second, and none at all: by the time that passed.
        map.map(510_000, start + 180 * MS);
        assert_eq!(map.switch(1, 2, 7, Some(1_000_000), start + 200 * MS), 14_000 + 1_800 - 7);
        map.map(7, start + 200 * MS);
        assert_eq!(map.switch(2, 3, 70, None, start + 210 * MS), 15_800 + 900 - 70);
        map.map(70, start + 210 * MS);
        // A clock that began anew is not taken for the one of old.
        map.forget(0);
        assert_eq!(map.switch(3, 0, 17_000, Some(1_870), start + 221 * MS), 1_870 + 16_630 - 17_000);
    }

    #[test]
    fn a_restart_without_time_passing_still_steps() {
        let start = Instant::now();
        let mut map = TimestampMap::new(48_000);
        map.map(500, start);
        map.restart(10, start, false);
        assert_eq!(map.map(10, start), 501);
    }
}
