//! NTP timestamps, as RTCP reports and the capture time header extension carry them (RFC 5905 section 6).

use std::time::Duration;

/// Seconds from 1900-01-01, the NTP epoch, to 1970-01-01, the Unix epoch.
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;

/// A point in time since 1900-01-01 UTC, as 32.32 bit fixed point. Wraps in 2036 as the format does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since the Unix epoch.
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(NTP_TO_UNIX_SECONDS) & 0xFFFF_FFFF;
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// The middle 32 bits, in units of 1/65536 s: how "last SR" and "last RR" name a report (RFC 3550 section 6.4.1).
    pub fn middle_32(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// Time since the Unix epoch. Values with the top bit clear are read as after 2036 (RFC 4330 section 3).
    pub fn to_unix(self) -> Duration {
        let seconds = self.0 >> 32;
        let era = if seconds & 0x8000_0000 == 0 { 1 << 32 } else { 0 };
        let nanos = ((self.0 & 0xFFFF_FFFF) * 1_000_000_000) >> 32;
        Duration::new((seconds + era).saturating_sub(NTP_TO_UNIX_SECONDS), nanos as u32)
    }
}

/// A duration in units of 1/65536 s, as "delay since last SR" is written (RFC 3550 section 6.4.1). Saturates.
pub fn to_short_format(duration: Duration) -> u32 {
    let units =
        (u128::from(duration.as_secs()) << 16) + (u128::from(duration.subsec_nanos()) << 16) / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The duration of `units` of 1/65536 s.
pub fn from_short_format(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_epoch_is_the_offset() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO), NtpTime(NTP_TO_UNIX_SECONDS << 32));
        assert_eq!(NtpTime::from_unix(Duration::from_millis(500)).0 & 0xFFFF_FFFF, 0x8000_0000);
    }

    #[test]
    fn there_and_back_across_2036() {
        for seconds in [1, 1_700_000_000, 2_085_978_495, 2_085_978_496, 2_200_000_000] {
            let time = Duration::new(seconds, 250_000_000);
            assert_eq!(NtpTime::from_unix(time).to_unix(), time);
        }
    }

    #[test]
    fn middle_of_rfc_3550_figure_2() {
        // SR sent at 0xb44d_b705 . 0x2000_0000; the report block names it 0xb705:2000.
        assert_eq!(NtpTime(0xB44D_B705_2000_0000).middle_32(), 0xB705_2000);
        // DLSR 5.25 s is 0x0005:4000.
        assert_eq!(to_short_format(Duration::from_millis(5250)), 0x0005_4000);
        assert_eq!(from_short_format(0x0005_4000), Duration::from_millis(5250));
        assert_eq!(to_short_format(Duration::from_secs(70_000)), u32::MAX);
    }
}
