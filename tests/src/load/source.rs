//! What publishers send: VP8 and opus as encoders make them, in size and in time, with nothing in them but when they were sent.
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How many times as large as an average frame a keyframe is.
const KEYFRAME_FACTOR: f64 = 5.0;
/// The part of each following frame's bytes that pays for a keyframe.
const KEYFRAME_INSTALMENT: f64 = 0.2;
/// Frames are that much larger or smaller than their average.
const VARIATION: f64 = 0.25;
/// What frames of the upper temporal layer are to an average frame; those of the lower one are larger by as much.
const UPPER_LAYER_FACTOR: f64 = 0.8;
/// Nothing smaller holds headers and stamps of all its packets.
const SMALLEST_FRAME_BYTES: usize = 64;
/// What encoders do at most, however many ask: one keyframe in that time.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
/// The descriptor of every payload (RFC 7741 section 4.2): two bytes of flags, two of picture id, TL0PICIDX, TID with KEYIDX.
pub const DESCRIPTOR_BYTES: usize = 6;
/// The first bytes of an opus packet (RFC 6716 section 3.1): 20 ms of CELT, full band, mono, one frame.
const OPUS_TOC: u8 = 0xf8;
/// What fills payloads.
const FILLING: u8 = 0x5a;

/// When a packet was sent, at the end of its payload.
pub mod stamp {
    use std::time::Duration;

    /// Bytes that it takes.
    pub const BYTES: usize = 16;
    /// Tells it from other payload.
    const MAGIC: [u8; 8] = *b"\x00sansfu\x01";

    /// Writes the time since 1970 over the end of a payload that is long enough.
    pub fn write(payload: &mut [u8], sent_at: Duration) {
        if let Some(end) = payload.last_chunk_mut::<BYTES>() {
            end[..8].copy_from_slice(&MAGIC);
            end[8..].copy_from_slice(&(sent_at.as_nanos() as u64).to_be_bytes());
        }
    }

    /// Reads it back.
    pub fn read(payload: &[u8]) -> Option<Duration> {
        let (magic, nanos) = payload.last_chunk::<BYTES>()?.split_first_chunk::<8>()?;
        let nanos = u64::from_be_bytes(*nanos.first_chunk()?);
        (*magic == MAGIC).then(|| Duration::from_nanos(nanos))
    }
}

/// One encoding of a video track.
#[derive(Debug)]
pub struct Vp8Source {
    rng: ChaCha8Rng,
    frame_bytes: f64,
    width: u16,
    height: u16,
    temporal_layers: u8,
    picture_id: u16,
    tl0_picture_index: u8,
    key_index: u8,
    keyframe_wanted: bool,
    last_keyframe_at: Option<Duration>,
    /// What keyframes took beyond their share and later frames have not given back.
    debt_bytes: f64,
    in_group: u8,
}

/// A frame that is to be cut into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Frame {
    /// Of the whole frame.
    pub bytes: usize,
    /// Whether a receiver can begin with it.
    pub is_keyframe: bool,
    temporal_id: u8,
    has_temporal_layers: bool,
    picture_id: u16,
    tl0_picture_index: u8,
    key_index: u8,
    size: (u16, u16),
}

impl Vp8Source {
    /// Frames of that rate and size, with one temporal layer or two. The first is a keyframe.
    pub fn new(
        seed: u64,
        bitrate_bps: u64,
        fps: u32,
        (width, height): (u16, u16),
        temporal_layers: u8,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Vp8Source {
            frame_bytes: bitrate_bps as f64 / 8.0 / f64::from(fps),
            width,
            height,
            temporal_layers,
            picture_id: rng.random::<u16>() & 0x7fff,
            tl0_picture_index: rng.random(),
            key_index: 0,
            keyframe_wanted: true,
            last_keyframe_at: None,
            debt_bytes: 0.0,
            in_group: 0,
            rng,
        }
    }

    /// Somebody wants a keyframe.
    pub fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// The next frame, `at` that time since any beginning.
    pub fn next_frame(&mut self, at: Duration) -> Vp8Frame {
        let is_allowed = self.last_keyframe_at.is_none_or(|last| at >= last + KEYFRAME_INTERVAL);
        let is_keyframe = self.keyframe_wanted && is_allowed;
        if is_keyframe {
            self.keyframe_wanted = false;
            self.last_keyframe_at = Some(at);
            self.in_group = 0;
            self.key_index = (self.key_index + 1) & 0x1f;
        }
        let temporal_id = if self.temporal_layers > 1 { self.in_group } else { 0 };
        self.in_group ^= 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        if temporal_id == 0 {
            self.tl0_picture_index = self.tl0_picture_index.wrapping_add(1);
        }
        Vp8Frame {
            bytes: self.next_size(is_keyframe, temporal_id),
            is_keyframe,
            temporal_id,
            has_temporal_layers: self.temporal_layers > 1,
            picture_id: self.picture_id,
            tl0_picture_index: self.tl0_picture_index,
            key_index: self.key_index,
            size: (self.width, self.height),
        }
    }

    fn next_size(&mut self, is_keyframe: bool, temporal_id: u8) -> usize {
        let share = match (self.temporal_layers > 1, temporal_id) {
            (true, 0) => self.frame_bytes * (2.0 - UPPER_LAYER_FACTOR),
            (true, _) => self.frame_bytes * UPPER_LAYER_FACTOR,
            (false, _) => self.frame_bytes,
        };
        let varied = share * self.rng.random_range(1.0 - VARIATION..=1.0 + VARIATION);
        let bytes = if is_keyframe {
            self.debt_bytes += varied * KEYFRAME_FACTOR - share;
            varied * KEYFRAME_FACTOR
        } else {
            let paid = (varied * KEYFRAME_INSTALMENT).min(self.debt_bytes);
            self.debt_bytes -= paid;
            varied - paid
        };
        (bytes as usize).max(SMALLEST_FRAME_BYTES)
    }
}

impl Vp8Frame {
    /// Cuts the frame into payloads of at most `max_bytes` with their descriptors: about equally long ones, the longer ones last,
    /// as libwebrtc does. Gives the lengths.
    pub fn packets(&self, max_bytes: usize) -> impl Iterator<Item = usize> + use<> {
        let per_packet = max_bytes - DESCRIPTOR_BYTES;
        let count = self.bytes.div_ceil(per_packet);
        let (bytes, longer) = (self.bytes / count, self.bytes % count);
        (0..count).map(move |nth| DESCRIPTOR_BYTES + bytes + usize::from(nth >= count - longer))
    }

    /// Writes a payload of that length, descriptor and all; the first one of the frame has its header (RFC 6386 section 9.1).
    pub fn write(&self, is_first: bool, bytes: usize, out: &mut Vec<u8>) {
        let end = out.len() + bytes;
        let non_reference = if self.temporal_id > 0 { 0x20 } else { 0 };
        let start = if is_first { 0x10 } else { 0 };
        let [high, low] = (0x8000 | self.picture_id).to_be_bytes();
        // With two temporal layers each upper frame depends on the base alone: it is a point to switch up at.
        let (has, layer) = match (self.has_temporal_layers, self.temporal_id) {
            (false, _) => (0x90, 0),
            (true, 0) => (0xf0, 0),
            (true, id) => (0xf0, id << 6 | 0x20),
        };
        out.extend([0x80 | non_reference | start, has, high, low]);
        if self.has_temporal_layers {
            out.push(self.tl0_picture_index);
        }
        out.push(layer | self.key_index);
        if is_first {
            self.write_header(out);
        }
        out.resize(end, FILLING);
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        let first_partition_bytes = (self.bytes / 4) as u32 & 0x7_ffff;
        let tag = first_partition_bytes << 5 | 1 << 4 | u32::from(!self.is_keyframe);
        out.extend(&tag.to_le_bytes()[..3]);
        if self.is_keyframe {
            out.extend([0x9d, 0x01, 0x2a]);
            out.extend(self.size.0.to_le_bytes());
            out.extend(self.size.1.to_le_bytes());
        }
    }
}

/// Sound: a packet every 20 ms.
#[derive(Debug)]
pub struct OpusSource {
    rng: ChaCha8Rng,
}

impl OpusSource {
    /// The time between two packets.
    pub const INTERVAL: Duration = Duration::from_millis(20);
    /// The same on the RTP clock.
    pub const TICKS: u32 = 960;

    /// Packets of about 36 kbit/s.
    pub fn new(seed: u64) -> Self {
        OpusSource { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Writes the next payload.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        let end = out.len() + self.rng.random_range(80..=100);
        out.push(OPUS_TOC);
        out.resize(end, FILLING);
    }
}

#[cfg(test)]
mod tests {
    use sansfu::wire::codec::vp8::{Vp8Descriptor, is_keyframe};

    use super::*;

    const MAX_BYTES: usize = 1_150;

    fn source(bitrate_bps: u64, temporal_layers: u8) -> Vp8Source {
        Vp8Source::new(3, bitrate_bps, 30, (1_280, 720), temporal_layers)
    }

    fn at(frame: u32) -> Duration {
        Duration::from_secs(1) * frame / 30
    }

    #[test]
    fn the_rate_is_kept_within_five_percent_whoever_asks_for_keyframes() {
        for (bitrate_bps, layers, seconds_per_request) in
            [(2_500_000, 1, 1_000), (2_500_000, 2, 3), (150_000, 1, 5), (600_000, 2, 1_000)]
        {
            let mut source = source(bitrate_bps, layers);
            let mut bytes = 0;
            for frame in 0..30 * 60 {
                if frame % (30 * seconds_per_request) == 0 {
                    source.request_keyframe();
                }
                bytes += source.next_frame(at(frame)).bytes;
            }
            let ratio = bytes as f64 * 8.0 / 60.0 / bitrate_bps as f64;
            assert!((0.95..=1.05).contains(&ratio), "{bitrate_bps} by {layers}: {ratio}");
        }
    }

    #[test]
    fn payloads_are_read_by_the_core_as_what_they_are() {
        let mut source = source(2_500_000, 2);
        let mut last: Option<Vp8Descriptor> = None;
        for number in 0..100 {
            let frame = source.next_frame(at(number));
            let lengths: Vec<usize> = frame.packets(MAX_BYTES).collect();
            assert!(lengths.iter().all(|bytes| (100..=MAX_BYTES).contains(bytes)), "{lengths:?}");
            assert!(lengths.is_sorted() && lengths.last().unwrap() - lengths[0] <= 1);
            let whole: usize = lengths.iter().map(|bytes| bytes - DESCRIPTOR_BYTES).sum();
            assert_eq!(whole, frame.bytes);
            for (nth, bytes) in lengths.into_iter().enumerate() {
                let mut payload = Vec::new();
                frame.write(nth == 0, bytes, &mut payload);
                assert_eq!(payload.len(), bytes);
                let read = Vp8Descriptor::parse(&payload).unwrap();
                assert_eq!(read.len, DESCRIPTOR_BYTES);
                assert_eq!(read.is_frame_start(), nth == 0);
                assert_eq!(is_keyframe(&payload), nth == 0 && number == 0);
                assert_eq!(read.temporal_layer.unwrap().temporal_id, (number % 2) as u8);
                if let Some(last) = last.filter(|_| nth == 0) {
                    assert_ne!(last.picture_id, read.picture_id);
                    let is_base = u8::from(number % 2 == 0);
                    let expected = last.tl0_picture_index.map(|index| index.wrapping_add(is_base));
                    assert_eq!(read.tl0_picture_index, expected);
                }
                last = Some(read);
            }
        }
    }

    #[test]
    fn keyframes_come_when_asked_for_and_not_too_often() {
        let mut source = source(1_000_000, 1);
        let mut keyframes = Vec::new();
        for number in 0..60 {
            if number >= 30 {
                source.request_keyframe();
            }
            let frame = source.next_frame(at(number));
            if frame.is_keyframe {
                assert!(frame.bytes > 10_000, "{frame:?}");
                keyframes.push(number);
            }
        }
        assert_eq!(keyframes, [0, 30, 39, 48, 57]);
    }

    #[test]
    fn one_layer_has_no_temporal_fields() {
        let mut payload = Vec::new();
        source(1_000_000, 1).next_frame(at(0)).write(true, 500, &mut payload);
        let read = Vp8Descriptor::parse(&payload).unwrap();
        assert_eq!((read.temporal_layer, read.tl0_picture_index, read.key_index), (None, None, Some(1)));
        assert!(is_keyframe(&payload));
    }

    #[test]
    fn stamps_are_read_back_and_nothing_else_is() {
        let mut payload = vec![FILLING; 40];
        assert_eq!(stamp::read(&payload), None);
        let sent_at = Duration::new(1_800_000_000, 123_456_789);
        stamp::write(&mut payload, sent_at);
        assert_eq!(stamp::read(&payload), Some(sent_at));
        stamp::write(&mut payload[..8], sent_at);
        assert_eq!(stamp::read(&payload[..8]), None);
    }

    #[test]
    fn sound_has_its_size() {
        let mut source = OpusSource::new(1);
        for _ in 0..100 {
            let mut payload = Vec::new();
            source.write(&mut payload);
            assert!((80..=100).contains(&payload.len()));
        }
    }
}
