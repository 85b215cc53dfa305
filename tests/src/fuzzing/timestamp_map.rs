//! The timestamp map against sums over all sources.
use std::time::{Duration, Instant};

use sansfu::seq::is_newer_timestamp;
use sansfu::stream::timestamp_map::TimestampMap;

use crate::choices::Choices;
use crate::world::epoch;

/// Sources that begin anywhere, with packets in any order.
pub fn timestamp_map(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let clock_rate: u32 = input.pick(&[90_000, 48_000, 8_000]);
    let mut map = TimestampMap::new(clock_rate);
    let mut now = epoch();
    let mut source = input.u32();
    // The newest output, and when it came.
    let mut newest: Option<(u32, Instant)> = None;
    // Where the present source begins: its own timestamp, and the output for it.
    let mut begin = (source, source);
    while !input.is_exhausted() {
        now += Duration::from_micros(u64::from(input.u16()) * 100);
        if input.percent(15) {
            // Another clock, or the same one further on.
            source =
                if input.percent(50) { input.u32() } else { source.wrapping_add(input.range(0, 200_000)) };
            let goes_on = input.percent(30);
            // Who goes on has a clock that is right, however it stands to ours.
            let tolerance = if goes_on { i64::MAX } else { i64::from(clock_rate) };
            let output = newest.map_or(source.wrapping_add(map.offset()), |(last, at)| {
                let passed = (now - at).as_nanos() * u128::from(clock_rate) / 1_000_000_000;
                let expected = i64::from(last) + passed.max(1) as i64;
                let continued = source.wrapping_add(map.offset());
                let off = |lap: i64| (i64::from(continued) + (lap << 32) - expected).abs();
                let is_near = (0..=2).map(off).min() <= Some(tolerance);
                if is_near && is_newer_timestamp(continued, last) { continued } else { expected as u32 }
            });
            begin = (source, output);
            assert_eq!(map.restart(source, now, goes_on), output.wrapping_sub(source));
            assert_eq!(map.offset(), output.wrapping_sub(source));
            assert!(newest.is_none_or(|(last, _)| output != last), "a new source steps");
        }
        let timestamp = match input.range(0, 3) {
            0 => source,
            1 => source.wrapping_sub(u32::from(input.u8())),
            _ => source.wrapping_add(u32::from(input.u16())),
        };
        let output = begin.1.wrapping_add(timestamp.wrapping_sub(begin.0));
        assert_eq!(map.map(timestamp, now), output);
        if newest.is_none_or(|(last, _)| is_newer_timestamp(output, last)) {
            newest = Some((output, now));
            source = timestamp;
        }
    }
}
