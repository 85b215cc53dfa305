//! Wall-clock time derived from the one pair of clock readings that the core ever gets.
use std::time::{Duration, Instant, SystemTime};

/// Seconds between the NTP epoch (1900) and the Unix epoch (1970).
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

/// Turns instants into wall-clock time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Instant,
    /// Time since 1970 at `base`.
    unix_at_base: Duration,
}

impl Clock {
    /// `now` and `wall` are the same moment. A wall clock before 1970 counts as 1970.
    pub fn new(now: Instant, wall: SystemTime) -> Self {
        Clock { base: now, unix_at_base: wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() }
    }

    /// Time since 1970; an instant before the base counts as the base.
    pub fn unix(&self, now: Instant) -> Duration {
        self.unix_at_base + now.saturating_duration_since(self.base)
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(&self, now: Instant) -> u64 {
        self.unix(now).as_millis() as u64
    }

    /// NTP time in 32.32 fixed point (RFC 3550 section 4).
    pub fn ntp(&self, now: Instant) -> u64 {
        let unix = self.unix(now);
        let seconds = unix.as_secs().wrapping_add(NTP_UNIX_OFFSET_S) << 32;
        seconds | ((u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000)
    }

    /// The 24-bit absolute send time of the header extension (6.18 fixed point, wraps every 64 s).
    pub fn abs_send_time(&self, now: Instant) -> u32 {
        (self.ntp(now) >> 14) as u32 & 0x00ff_ffff
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    #[test]
    fn ntp_and_abs_send_time() {
        let base = Instant::now();
        let clock = Clock::new(base, SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(clock.ntp(base), ((NTP_UNIX_OFFSET_S + 1) << 32) | 0x8000_0000);
        assert_eq!(clock.unix_ms(base + Duration::from_millis(20)), 1_520);
        let second = 1 << 18;
        let passed =
            clock.abs_send_time(base + Duration::from_secs(1)).wrapping_sub(clock.abs_send_time(base));
        assert_eq!(passed & 0x00ff_ffff, second);
        let whole_turn = clock.abs_send_time(base + Duration::from_secs(64));
        assert_eq!(whole_turn, clock.abs_send_time(base));
    }
}
