//! Values of RTP header extensions: everything that can be read is written the same, and everything that can be said is read back.

use std::time::Duration;

use sansfu::wire::ext::{
    AbsCaptureTime, AbsSendTime, AudioLevel, Mid, PlayoutDelay, Rid, TransmissionOffset,
    TransportSequenceNumber, VideoOrientation,
};
use sansfu::wire::ntp::NtpTime;

use crate::choices::Choices;

/// All types, over the input as the value on the wire and as the numbers of one to be written.
pub fn ext(data: &[u8]) {
    values_on_the_wire(data);
    identifications(data);
    let mut choices = Choices::from_bytes(data);
    levels_and_turns(&mut choices);
    send_times(&mut choices);
    delays_and_captures(&mut choices);
}

fn values_on_the_wire(value: &[u8]) {
    let read = AbsSendTime::parse(value).map(AbsSendTime::to_bytes);
    assert_eq!(read.as_ref().map(|bytes| &bytes[..]), (value.len() == 3).then_some(value));
    let read = TransmissionOffset::parse(value).map(TransmissionOffset::to_bytes);
    assert_eq!(read.as_ref().map(|bytes| &bytes[..]), (value.len() == 3).then_some(value));
    let read = TransportSequenceNumber::parse(value).map(TransportSequenceNumber::to_bytes);
    assert_eq!(
        read.as_ref().map(|bytes| &bytes[..]),
        value.get(..2).filter(|_| matches!(value.len(), 2 | 4))
    );
    let read = AudioLevel::parse(value).map(AudioLevel::to_bytes);
    assert_eq!(read.as_ref().map(|bytes| &bytes[..]), (value.len() == 1).then_some(value));
    let read = AbsCaptureTime::parse(value).map(AbsCaptureTime::to_bytes);
    assert_eq!(read.as_ref().map(|bytes| &bytes[..]), matches!(value.len(), 8 | 16).then_some(value));
    // The four highest bits are reserved.
    let read = VideoOrientation::parse(value).map(VideoOrientation::to_bytes);
    assert_eq!(read, <[u8; 1]>::try_from(value).ok().map(|[byte]| [byte & 0x0F]));
    // Two numbers of twelve bits, the lower one first.
    let in_order = |v: &[u8; 3]| {
        u16::from(v[0]) << 4 | u16::from(v[1] >> 4) <= u16::from(v[1] & 15) << 8 | u16::from(v[2])
    };
    let read = PlayoutDelay::parse(value).map(PlayoutDelay::to_bytes);
    assert_eq!(read, <[u8; 3]>::try_from(value).ok().filter(in_order));
}

fn identifications(value: &[u8]) {
    let (mid, rid) = (Mid::parse(value), Rid::parse(value));
    let mut name = value;
    while let [head @ .., 0] = name {
        name = head;
    }
    let letters = |extra: &'static [u8]| {
        let allowed = move |byte: &u8| byte.is_ascii_alphanumeric() || extra.contains(byte);
        (1..=32).contains(&name.len()) && name.iter().all(allowed)
    };
    // The token characters of RFC 4566 section 9; the characters of RFC 8851 section 10.
    assert_eq!(mid.is_some(), letters(b"!#$%&'*+-.^_`{|}~"));
    assert_eq!(rid.is_some(), letters(b"-_"));
    for read in [mid.as_ref().map(Mid::as_str), rid.as_ref().map(Rid::as_str)].into_iter().flatten() {
        assert_eq!(read.as_bytes(), name);
        assert_eq!(Mid::parse(read.as_bytes()).as_ref().map(Mid::as_str), Some(read));
    }
}

fn levels_and_turns(choices: &mut Choices<'_>) {
    let level = AudioLevel { voice: choices.flag(), minus_dbov: choices.u8() };
    let cut = AudioLevel { minus_dbov: level.minus_dbov.min(127), ..level };
    assert_eq!(AudioLevel::parse(&level.to_bytes()), Some(cut));
    let orientation = VideoOrientation {
        camera_back: choices.flag(),
        flip: choices.flag(),
        rotation_degrees: choices.u16(),
    };
    let read = VideoOrientation::parse(&orientation.to_bytes()).expect("one byte");
    assert_eq!(read, VideoOrientation { rotation_degrees: read.rotation_degrees, ..orientation });
    let turned = orientation.rotation_degrees % 360;
    assert!(read.rotation_degrees <= turned && turned - read.rotation_degrees < 90);
    let offset = choices.u32() as i32;
    let read = TransmissionOffset::parse(&TransmissionOffset(offset).to_bytes()).expect("three bytes");
    assert_eq!(read.0, offset.clamp(-(1 << 23), (1 << 23) - 1));
}

fn send_times(choices: &mut Choices<'_>) {
    let since_epoch = Duration::new(choices.u64() >> 1, choices.u32() % 1_000_000_000);
    let time = AbsSendTime::from_wall(since_epoch);
    let ticks =
        (since_epoch.as_nanos() * u128::from(AbsSendTime::TICKS_PER_SECOND) / 1_000_000_000) & 0xFF_FFFF;
    assert_eq!(u128::from(time.ticks()), ticks);
    let other = AbsSendTime::from_ticks(choices.u32());
    let difference = time.wrapping_difference(other);
    assert!((-(1 << 23)..1 << 23).contains(&difference));
    assert_eq!(AbsSendTime::from_ticks(other.ticks().wrapping_add_signed(difference)), time);
}

fn delays_and_captures(choices: &mut Choices<'_>) {
    let delay = PlayoutDelay { min_ms: choices.u16(), max_ms: choices.u16() };
    let on_the_wire = |ms: u16| (ms - ms % 10).min(40_950);
    let cut = PlayoutDelay { min_ms: on_the_wire(delay.min_ms), max_ms: on_the_wire(delay.max_ms) };
    assert_eq!(PlayoutDelay::parse(&delay.to_bytes()), (cut.min_ms <= cut.max_ms).then_some(cut));
    let capture = AbsCaptureTime {
        capture_time: NtpTime(choices.u64()),
        estimated_clock_offset: choices.flag().then(|| choices.u64() as i64),
    };
    assert_eq!(AbsCaptureTime::parse(&capture.to_bytes()), Some(capture));
}
