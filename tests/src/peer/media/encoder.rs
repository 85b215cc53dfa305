//! An encoder that makes no pictures, but frames that depend on each other as a real one's do.
use super::frame::{MARKS_BYTES, Marks, PictureNumbers, fewest_packets, split};
use super::layers::{Layers, References};
use super::random::Random;
use super::track::{Codec, TrackSpec};

/// How many times the size of another frame a keyframe has.
const KEYFRAME_WEIGHT: u64 = 5;

/// The encoder of one encoding.
#[derive(Debug, Clone)]
pub struct Encoder {
    track: u32,
    codec: Codec,
    encoding: u8,
    layers: Layers,
    /// Of the next picture.
    number: u32,
    /// Of the next picture since the last keyframe.
    position: u32,
    keyframe_wanted: bool,
    numbers: PictureNumbers,
    sizes: Random,
}

/// A layer frame: the marks of its first packet, and its picture's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedFrame {
    /// Of the first packet.
    pub marks: Marks,
    /// Of the picture.
    pub numbers: PictureNumbers,
}

impl Encoder {
    /// The encoder of one of the track's encodings. Picture numbers begin anywhere, as the seed says.
    pub fn new(track: &TrackSpec, encoding: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let layers = track.encodings[encoding].layers;
        let has_picture_id = matches!(track.codec, Codec::Vp8 | Codec::Vp9);
        let has_tl0 = match track.codec {
            Codec::Vp8 => layers.temporal > 1,
            Codec::Vp9 => !track.flexible_mode && layers != Layers::ONE,
            _ => false,
        };
        let numbers = PictureNumbers {
            picture_id: has_picture_id.then(|| random.below(0x8000) as u16),
            tl0_picture_index: has_tl0.then(|| random.below(0x100) as u8),
            frame_number: None,
        };
        Encoder {
            track: track.id,
            codec: track.codec,
            encoding: encoding as u8,
            layers,
            number: 0,
            position: 0,
            keyframe_wanted: track.codec.is_video(),
            numbers,
            sizes: random,
        }
    }

    /// The next picture is to be a keyframe. Audio has none.
    pub fn request_keyframe(&mut self) {
        self.keyframe_wanted = self.codec.is_video();
    }

    /// Encodes what was captured `capture` RTP clock units after the start into about `bytes` bytes (a keyframe: more): a frame
    /// for each spatial layer.
    pub fn encode(&mut self, capture: u32, bytes: u64) -> impl Iterator<Item = EncodedFrame> + use<> {
        let keyframe = std::mem::take(&mut self.keyframe_wanted);
        if keyframe {
            self.position = 0;
        }
        if self.number > 0 {
            self.advance_numbers();
        }
        let bytes = if keyframe { bytes * KEYFRAME_WEIGHT } else { bytes };
        // Between three quarters and five quarters of it.
        let bytes = bytes * u64::from(768 + self.sizes.below(513)) / 1024;
        let (encoder, spatial) = (self.clone(), self.layers.spatial);
        self.number += 1;
        self.position += 1;
        (0..spatial).map(move |spatial_id| EncodedFrame {
            marks: encoder.marks(capture, keyframe, spatial_id, bytes),
            numbers: encoder.numbers,
        })
    }

    fn advance_numbers(&mut self) {
        self.numbers.picture_id = self.numbers.picture_id.map(|id| (id + 1) & 0x7FFF);
        if self.layers.temporal_id(self.position) == 0 {
            self.numbers.tl0_picture_index =
                self.numbers.tl0_picture_index.map(|index| index.wrapping_add(1));
        }
    }

    fn marks(&self, capture: u32, keyframe: bool, spatial_id: u8, bytes: u64) -> Marks {
        // Each spatial layer has twice the bytes of the one below.
        let share = bytes << spatial_id >> (self.layers.spatial - 1);
        let layer_bytes = if self.layers.spatial > 1 { share / 2 } else { share };
        let (count, len) =
            split((layer_bytes as usize).max(MARKS_BYTES), fewest_packets(self.codec, keyframe));
        let video = self.codec.is_video();
        let references = self.layers.references(self.position, spatial_id);
        Marks {
            track: self.track,
            encoding: self.encoding,
            number: self.number,
            capture,
            spatial_id,
            temporal_id: self.layers.temporal_id(self.position),
            keyframe,
            references: if video { references } else { References::default() },
            layer_sync: self.layers.is_layer_sync(self.position),
            is_reference: self.layers.is_reference(self.position),
            last_of_picture: spatial_id + 1 == self.layers.spatial,
            index: 0,
            count,
            len,
        }
    }
}
