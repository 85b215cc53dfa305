//! Interarrival jitter (RFC 3550 section 6.4.1 and appendix A.8).
use std::time::{Duration, Instant};

/// Steps of the clock that are no jitter but a new clock.
const MAX_STEP: Duration = Duration::from_secs(5);

/// The mean deviation of the spacing of packets at arrival from their spacing at the sender.
#[derive(Debug, Clone)]
pub struct Jitter {
    clock_rate: u32,
    epoch: Option<Instant>,
    /// Arrival minus timestamp of the last packet, modulo 2³².
    transit: u32,
    /// 16 times the jitter.
    scaled: u32,
}

impl Jitter {
    /// For a stream with `clock_rate` timestamp units a second.
    pub const fn new(clock_rate: u32) -> Self {
        Jitter { clock_rate, epoch: None, transit: 0, scaled: 0 }
    }

    /// Takes in a packet.
    pub fn on_packet(&mut self, now: Instant, timestamp: u32) {
        let Some(epoch) = self.epoch else {
            self.epoch = Some(now);
            self.transit = timestamp.wrapping_neg();
            return;
        };
        let arrival = timestamp_units(now.saturating_duration_since(epoch), self.clock_rate);
        let transit = arrival.wrapping_sub(timestamp);
        let step = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        if u64::from(step) > MAX_STEP.as_secs() * u64::from(self.clock_rate) {
            return;
        }
        self.scaled = self.scaled + step - ((self.scaled + 8) >> 4);
    }

    /// The sender started anew: the next packet is compared with nothing.
    pub fn on_restart(&mut self) {
        self.epoch = None;
    }

    /// The jitter in timestamp units.
    pub fn value(&self) -> u32 {
        self.scaled >> 4
    }
}

/// A duration in units of a clock, modulo 2³².
pub(super) fn timestamp_units(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn an_even_stream_has_none() {
        let start = Instant::now();
        let mut jitter = Jitter::new(90_000);
        for n in 0..1_000u32 {
            jitter.on_packet(
                start + Duration::from_millis(20) * n,
                n.wrapping_mul(1_800).wrapping_sub(500_000),
            );
        }
        assert_eq!(jitter.value(), 0);
    }

    #[test]
    fn agrees_with_the_floating_formula() {
        let start = Instant::now();
        let mut rng = Rng::from_seed([31; 32]);
        let mut jitter = Jitter::new(48_000);
        let (mut expected, mut last) = (0.0f64, None);
        let mut timestamp = u32::MAX - 100_000;
        for n in 0..5_000u64 {
            let arrival_us = n * 20_000 + u64::from(rng.below(15_000));
            jitter.on_packet(start + Duration::from_micros(arrival_us), timestamp);
            let transit = arrival_us as f64 * 0.048 - n as f64 * 960.0;
            if let Some(last) = last {
                let step: f64 = transit - last;
                expected += (step.abs() - expected) / 16.0;
            }
            last = Some(transit);
            timestamp = timestamp.wrapping_add(960);
            assert!((f64::from(jitter.value()) - expected).abs() < 3.0, "{} {expected}", jitter.value());
        }
        assert!(expected > 100.0);
    }

    #[test]
    fn a_new_clock_is_no_jitter() {
        let start = Instant::now();
        let mut jitter = Jitter::new(90_000);
        jitter.on_packet(start, 0);
        jitter.on_packet(start, 3_000_000_000);
        jitter.on_packet(start, 1_500_000_000);
        assert_eq!(jitter.value(), 0);
        jitter.on_packet(start, 1_500_000_000 + 160);
        assert_eq!(jitter.value(), 10);
    }
}
