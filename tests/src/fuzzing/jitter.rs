//! Interarrival jitter against the formula of RFC 3550 in floating point.
use std::time::{Duration, Instant};

use sansfu::stream::jitter::Jitter;

use crate::choices::Choices;
use crate::world::epoch;

/// What the integers round away: half a unit of the sixteenfold value each step, which the filter sums up to 8, and one unit of
/// each transit time.
const ROUNDING: f64 = 3.0;

struct Model {
    clock_rate: f64,
    last: Option<(Instant, u32)>,
    jitter: f64,
}

impl Model {
    fn packet(&mut self, now: Instant, timestamp: u32) -> bool {
        let Some((last_at, last)) = self.last.replace((now, timestamp)) else { return true };
        let spacing = now.saturating_duration_since(last_at).as_secs_f64() * self.clock_rate;
        // The difference of transit times on the circle of 2³².
        let step = (spacing - f64::from(timestamp.wrapping_sub(last))).rem_euclid(4_294_967_296.0);
        let step = step.min(4_294_967_296.0 - step);
        let limit = 5.0 * self.clock_rate;
        if step <= limit - 2.0 {
            self.jitter += (step - self.jitter) / 16.0;
        }
        // On the limit itself rounding decides, and the two may go apart.
        (step - limit).abs() >= 2.0
    }
}

/// Packets with any spacing at sender and receiver.
pub fn jitter(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let clock_rate = input.pick(&[90_000, 48_000, 8_000, 1_000_000]);
    let mut jitter = Jitter::new(clock_rate);
    let mut model = Model { clock_rate: f64::from(clock_rate), last: None, jitter: 0.0 };
    let (mut now, mut timestamp) = (epoch(), input.u32());
    while !input.is_exhausted() {
        match input.range(0, 8) {
            0 => {
                jitter.on_restart();
                model.last = None;
            }
            1 => timestamp = input.u32(),
            2 => now += Duration::from_millis(u64::from(input.u16())),
            _ => {
                now += Duration::from_micros(u64::from(input.u16()));
                timestamp = timestamp.wrapping_add(u32::from(input.u16()));
            }
        }
        jitter.on_packet(now, timestamp);
        if !model.packet(now, timestamp) {
            return;
        }
        let difference = (f64::from(jitter.value()) - model.jitter).abs();
        assert!(difference <= ROUNDING, "{} instead of {}", jitter.value(), model.jitter);
    }
}
