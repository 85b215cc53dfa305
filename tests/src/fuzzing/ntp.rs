//! NTP timestamps and the short format (RFC 5905 section 6).

use std::time::Duration;

use sansfu::wire::ntp::{NtpTime, from_short_format, to_short_format};

use crate::choices::Choices;

/// Seconds from 1900 to 1970: 70 years, 17 of them leap years.
const EPOCHS_APART_S: u64 = (70 * 365 + 17) * 86_400;

/// Conversions there and back lose less than the coarser of the two units.
pub fn ntp(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    timestamps(NtpTime(choices.u64()));
    instants(Duration::new(choices.u64(), choices.u32() % 1_000_000_000));
    short_format(choices.u32());
}

fn timestamps(time: NtpTime) {
    let seconds = time.0 >> 32;
    assert_eq!(time.middle_32(), ((seconds & 0xFFFF) << 16 | (time.0 & 0xFFFF_FFFF) >> 16) as u32);
    // From 1968 to 1970 there is no time since 1970.
    if (1 << 31..EPOCHS_APART_S).contains(&seconds) {
        assert_eq!(time.to_unix().as_secs(), 0);
        return;
    }
    // A nanosecond has 4.3 units.
    let lost = time.0.wrapping_sub(NtpTime::from_unix(time.to_unix()).0);
    assert!(lost <= 5, "{time:?} loses {lost}");
}

fn instants(time: Duration) {
    let ntp = NtpTime::from_unix(time);
    let seconds = time.as_secs().wrapping_add(EPOCHS_APART_S);
    assert_eq!(ntp.0 >> 32, seconds & 0xFFFF_FFFF);
    // From 1970 to 2104 the era is known.
    if time.as_secs() < (1 << 32) + (1 << 31) - EPOCHS_APART_S {
        let lost = time - ntp.to_unix();
        assert!(lost <= Duration::from_nanos(1), "{time:?} loses {lost:?}");
    }
    let units = time.as_nanos().saturating_mul(1 << 16) / 1_000_000_000;
    assert_eq!(u128::from(to_short_format(time)), units.min(u32::MAX.into()));
}

fn short_format(units: u32) {
    let lost = units - to_short_format(from_short_format(units));
    assert!(lost <= 1, "{units} loses {lost}");
}
