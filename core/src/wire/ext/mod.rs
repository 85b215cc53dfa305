//! Values of the RTP header extensions: what the bytes behind a local id mean.
//!
//! Each type has `parse`, which takes the element's value and is `None` when its length or content is wrong, and `to_bytes`.

mod identification;

pub use identification::{IDENTIFIER_MAX_LEN, Mid, Rid};

use super::ntp::NtpTime;
use super::reader::{Reader, sign_extend_24};
use std::time::Duration;

/// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`: when a packet left its sender, modulo 64 s, in units of
/// 2⁻¹⁸ s (about 3.8 µs). Only differences mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(u32);

impl AbsSendTime {
    /// Units in a second.
    pub const TICKS_PER_SECOND: u32 = 1 << 18;

    /// From 24 bits; higher ones are ignored.
    pub fn from_ticks(ticks: u32) -> Self {
        Self(ticks & 0xFF_FFFF)
    }

    /// From the wall clock, given as the time since the Unix epoch. (The NTP epoch gives the same value: the two are a
    /// multiple of 64 s apart.)
    pub fn from_wall(since_epoch: Duration) -> Self {
        let seconds = (since_epoch.as_secs() & 63) as u32;
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 18) / 1_000_000_000;
        Self::from_ticks(seconds << 18 | fraction as u32)
    }

    /// Reads three bytes.
    pub fn parse(value: &[u8]) -> Option<Self> {
        exact(value, Reader::u24).map(Self)
    }

    /// The value on the wire.
    pub fn to_bytes(self) -> [u8; 3] {
        low_24(self.0)
    }

    /// The value in units of 2⁻¹⁸ s, below 2²⁴.
    pub fn ticks(self) -> u32 {
        self.0
    }

    /// Time from `earlier` to `self` in units of 2⁻¹⁸ s. Right as long as they are less than 32 s apart; negative if
    /// `earlier` is later.
    pub fn wrapping_difference(self, earlier: Self) -> i32 {
        sign_extend_24(self.0.wrapping_sub(earlier.0))
    }
}

/// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`: the number of a packet among all that one
/// transport sent. Also reads the second version of the extension, whose feedback request is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportSequenceNumber(pub u16);

impl TransportSequenceNumber {
    /// Reads two bytes, or four in the second version.
    pub fn parse(value: &[u8]) -> Option<Self> {
        matches!(value.len(), 2 | 4).then(|| Reader::new(value).u16().map(Self))?
    }

    /// The value on the wire.
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Whether the sender thinks that this is speech. Means nothing unless signalled `vad=on`.
    pub voice: bool,
    /// Loudness as decibels below overload: 0 is the loudest, 127 is silence.
    pub minus_dbov: u8,
}

impl AudioLevel {
    /// Reads one byte.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let byte = exact(value, Reader::u8)?;
        Some(Self { voice: byte & 0x80 != 0, minus_dbov: byte & 0x7F })
    }

    /// The value on the wire. A level above 127 is written as 127.
    pub fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.voice) << 7 | self.minus_dbov.min(127)]
    }
}

/// `urn:3gpp:video-orientation` (3GPP TS 26.114 section 7.4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoOrientation {
    /// Taken by a back-facing camera.
    pub camera_back: bool,
    /// Mirrored horizontally before it was sent.
    pub flip: bool,
    /// Clockwise rotation that a receiver has to undo: 0, 90, 180 or 270 degrees.
    pub rotation_degrees: u16,
}

impl VideoOrientation {
    /// Reads one byte.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let byte = exact(value, Reader::u8)?;
        Some(Self {
            camera_back: byte & 0x08 != 0,
            flip: byte & 0x04 != 0,
            rotation_degrees: u16::from(byte & 0x03) * 90,
        })
    }

    /// The value on the wire. The rotation is rounded down to a quarter turn.
    pub fn to_bytes(self) -> [u8; 1] {
        let quarter_turns = (self.rotation_degrees / 90 % 4) as u8;
        [u8::from(self.camera_back) << 3 | u8::from(self.flip) << 2 | quarter_turns]
    }
}

/// `urn:ietf:params:rtp-hdrext:toffset` (RFC 5450): from the packet's timestamp to when it was sent, in units of the
/// codec's clock rate. Between -2²³ and 2²³ - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransmissionOffset(pub i32);

impl TransmissionOffset {
    /// Reads three bytes.
    pub fn parse(value: &[u8]) -> Option<Self> {
        exact(value, Reader::u24).map(|bits| Self(sign_extend_24(bits)))
    }

    /// The value on the wire. Numbers outside the range are cut to it.
    pub fn to_bytes(self) -> [u8; 3] {
        low_24(self.0.clamp(-0x80_0000, 0x7F_FFFF) as u32)
    }
}

/// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`: how long a receiver should hold frames back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// At least so long, in milliseconds: 0 to 40950, a multiple of 10.
    pub min_ms: u16,
    /// At most so long, in milliseconds: 0 to 40950, a multiple of 10, not below `min_ms`.
    pub max_ms: u16,
}

impl PlayoutDelay {
    /// Reads three bytes. `None` if the minimum is above the maximum.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let bits = exact(value, Reader::u24)?;
        let (min_ms, max_ms) = ((bits >> 12) as u16 * 10, (bits & 0xFFF) as u16 * 10);
        (min_ms <= max_ms).then_some(Self { min_ms, max_ms })
    }

    /// The value on the wire, rounded down to 10 ms and cut to the range.
    pub fn to_bytes(self) -> [u8; 3] {
        let units = |ms: u16| u32::from(ms / 10).min(0xFFF);
        low_24(units(self.min_ms) << 12 | units(self.max_ms))
    }
}

/// `http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time`: when the first sample of a frame was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsCaptureTime {
    /// By the clock of whoever captured it.
    pub capture_time: NtpTime,
    /// What a mixer adds: how far the capturer's clock is ahead of its own, in units of 2⁻³² s.
    pub estimated_clock_offset: Option<i64>,
}

impl AbsCaptureTime {
    /// Reads 8 bytes, or 16 with the offset.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let capture_time = NtpTime(reader.u64()?);
        let estimated_clock_offset = match reader.rest().len() {
            0 => None,
            8 => Some(reader.u64()? as i64),
            _ => return None,
        };
        Some(Self { capture_time, estimated_clock_offset })
    }

    /// The value on the wire: 8 or 16 bytes.
    pub fn to_bytes(self) -> heapless::Vec<u8, 16> {
        let mut bytes = heapless::Vec::from_array(self.capture_time.0.to_be_bytes());
        if let Some(offset) = self.estimated_clock_offset {
            // Cannot fail: 8 + 8 bytes in 16.
            let _ = bytes.extend_from_slice(&offset.to_be_bytes());
        }
        bytes
    }
}

/// Reads one thing that has to be the whole value.
fn exact<'a, T>(value: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> Option<T>) -> Option<T> {
    let mut reader = Reader::new(value);
    let read = read(&mut reader)?;
    reader.is_empty().then_some(read)
}

fn low_24(value: u32) -> [u8; 3] {
    let [_, a, b, c] = value.to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests;
