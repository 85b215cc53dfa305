use super::*;

#[test]
fn abs_send_time_is_6_18_fixed_point() {
    assert_eq!(AbsSendTime::from_wall(Duration::from_millis(1500)).to_bytes(), [0x06, 0x00, 0x00]);
    assert_eq!(AbsSendTime::from_wall(Duration::from_secs(64)).ticks(), 0);
    assert_eq!(AbsSendTime::from_wall(Duration::new(63, 999_999_999)).ticks(), 0xFF_FFFF);
    // The epoch does not matter.
    let ntp_epoch = Duration::from_secs(2_208_988_800);
    let now = Duration::new(1_700_000_000, 123_456_789);
    assert_eq!(AbsSendTime::from_wall(now), AbsSendTime::from_wall(now + ntp_epoch));
}

#[test]
fn abs_send_time_differences_wrap() {
    let time = |ms| AbsSendTime::from_wall(Duration::from_millis(ms));
    let second = AbsSendTime::TICKS_PER_SECOND as i32;
    assert_eq!(time(64_500).wrapping_difference(time(63_500)), second);
    assert_eq!(time(63_500).wrapping_difference(time(64_500)), -second);
    assert_eq!(
        AbsSendTime::from_ticks(0x80_0000).wrapping_difference(AbsSendTime::from_ticks(0)),
        -0x80_0000
    );
}

#[test]
fn values_of_a_wrong_length_are_refused() {
    let bytes = [0; 20];
    for len in 0..=20 {
        let value = &bytes[..len];
        assert_eq!(AbsSendTime::parse(value).is_some(), len == 3);
        assert_eq!(TransportSequenceNumber::parse(value).is_some(), len == 2 || len == 4);
        assert_eq!(AudioLevel::parse(value).is_some(), len == 1);
        assert_eq!(VideoOrientation::parse(value).is_some(), len == 1);
        assert_eq!(TransmissionOffset::parse(value).is_some(), len == 3);
        assert_eq!(PlayoutDelay::parse(value).is_some(), len == 3);
        assert_eq!(AbsCaptureTime::parse(value).is_some(), len == 8 || len == 16);
    }
}

#[test]
fn audio_level_and_orientation_bytes() {
    assert_eq!(AudioLevel::parse(&[0xFF]), Some(AudioLevel { voice: true, minus_dbov: 127 }));
    assert_eq!(AudioLevel { voice: false, minus_dbov: 200 }.to_bytes(), [127]);
    let turned = VideoOrientation { camera_back: true, flip: false, rotation_degrees: 270 };
    assert_eq!(turned.to_bytes(), [0b1011]);
    for byte in 0..=255u8 {
        assert_eq!(AudioLevel::parse(&[byte]).unwrap().to_bytes(), [byte]);
        assert_eq!(VideoOrientation::parse(&[byte]).unwrap().to_bytes(), [byte & 0x0F]);
    }
}

#[test]
fn transmission_offset_is_signed() {
    assert_eq!(TransmissionOffset::parse(&[0xFF, 0xFF, 0xFE]), Some(TransmissionOffset(-2)));
    for (offset, written) in [(-2, -2), (i32::MIN, -0x80_0000), (i32::MAX, 0x7F_FFFF), (0, 0)] {
        let bytes = TransmissionOffset(offset).to_bytes();
        assert_eq!(TransmissionOffset::parse(&bytes), Some(TransmissionOffset(written)));
    }
}

#[test]
fn playout_delay_units() {
    assert_eq!(PlayoutDelay::parse(&[0x00, 0xA0, 0x64]), Some(PlayoutDelay { min_ms: 100, max_ms: 1000 }));
    assert_eq!(PlayoutDelay::parse(&[0x00, 0x20, 0x01]), None);
    let most = PlayoutDelay { min_ms: 40_950, max_ms: u16::MAX };
    assert_eq!(most.to_bytes(), [0xFF; 3]);
    assert_eq!(PlayoutDelay::parse(&[0xFF; 3]), Some(PlayoutDelay { min_ms: 40_950, max_ms: 40_950 }));
}

#[test]
fn capture_time_round_trip() {
    for estimated_clock_offset in [None, Some(-5), Some(i64::MAX)] {
        let time = AbsCaptureTime { capture_time: NtpTime(0x0102_0304_0506_0708), estimated_clock_offset };
        assert_eq!(AbsCaptureTime::parse(&time.to_bytes()), Some(time));
    }
}

#[test]
fn names() {
    assert_eq!(Mid::parse(b"0").unwrap().as_str(), "0");
    assert_eq!(Mid::parse(b"video.1+a~").unwrap().as_str(), "video.1+a~");
    assert_eq!(Rid::parse(b"r_0-Hi").unwrap().as_str(), "r_0-Hi");
    assert_eq!(Rid::parse(b"r0\0\0").unwrap().as_str(), "r0");
    for wrong in [&b""[..], b"\0", b"a b", b"a\0b", b"\xC3\xA9", b"a\n", &[b'a'; 33]] {
        assert_eq!(Mid::parse(wrong), None, "{wrong:?}");
        assert_eq!(Rid::parse(wrong), None, "{wrong:?}");
    }
    assert_eq!(Rid::parse(b"a.b"), None);
    assert!(Mid::parse(&[b'a'; 32]).is_some());
}
