//! Frames of which every byte is known.
//!
//! A payload is the codec's own descriptor and frame header, then [`Marks`] that say what the packet is, then a fill that is a
//! function of the marks. So [`recognise`] can tell that a forwarder changed nothing but what it may: the picture numbers of a
//! VP8 or VP9 descriptor.
mod av1;
mod h264;
mod vp8;
mod vp9;

use super::layers::References;
use super::random::{fill, is_fill, mix};
use super::track::{Codec, TrackSpec};

pub use av1::{active_decode_targets, dependency_descriptor, is_for_any};

/// Length of the marks in a payload.
pub const MARKS_BYTES: usize = 22;
/// Most bytes of marks and fill in a packet.
pub const MAX_BODY_BYTES: usize = 1_100;

/// What a packet says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The track's id.
    pub track: u32,
    /// The encoding's index in its track.
    pub encoding: u8,
    /// The picture's number in its encoding, from 0 without gaps.
    pub number: u32,
    /// When it was captured, in RTP clock units from the track's start.
    pub capture: u32,
    /// Spatial layer of the frame.
    pub spatial_id: u8,
    /// Temporal layer of the picture.
    pub temporal_id: u8,
    /// The picture refers to no other.
    pub keyframe: bool,
    /// What the frame refers to.
    pub references: References,
    /// The picture refers to the base temporal layer only.
    pub layer_sync: bool,
    /// Later pictures may refer to this one.
    pub is_reference: bool,
    /// The frame is of the highest spatial layer of its picture.
    pub last_of_picture: bool,
    /// The packet's index in its frame.
    pub index: u16,
    /// Number of packets of the frame.
    pub count: u16,
    /// Length of marks and fill.
    pub len: u16,
}

/// The numbers in a payload descriptor that a forwarder may rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureNumbers {
    /// PictureID, 15 bits.
    pub picture_id: Option<u16>,
    /// TL0PICIDX.
    pub tl0_picture_index: Option<u8>,
    /// The frame number of the dependency descriptor, where the packet has one.
    pub frame_number: Option<u16>,
}

/// A payload that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recognised {
    /// What it is.
    pub marks: Marks,
    /// What its descriptor says that a forwarder may have rewritten.
    pub numbers: PictureNumbers,
}

/// Why a payload is not one that the track's sender made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// The descriptor is cut off or does not fit the codec.
    Descriptor,
    /// There are no marks behind the descriptor, or they contradict themselves.
    Marks,
    /// It is of another track.
    Track(u32),
    /// Descriptor or frame header are not those of these marks.
    Header(Marks),
    /// What follows the marks is not theirs.
    Fill(Marks),
}

impl Marks {
    /// Whether a decoder can start with the frame: the base layer of a keyframe.
    pub fn starts_decoding(&self) -> bool {
        self.keyframe && self.spatial_id == 0
    }

    /// Whether it is the frame's first packet.
    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Whether it is the frame's last packet.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }

    /// Whether both are of the same frame.
    pub fn same_frame(&self, other: &Marks) -> bool {
        self.same_picture(other) && self.spatial_id == other.spatial_id
    }

    /// Whether both are of the same picture.
    pub fn same_picture(&self, other: &Marks) -> bool {
        (self.encoding, self.number) == (other.encoding, other.number)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.track.to_be_bytes());
        out.extend(self.number.to_be_bytes());
        out.extend(self.capture.to_be_bytes());
        out.extend(self.index.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend(self.len.to_be_bytes());
        let flags = [
            self.keyframe,
            self.references.lower_layer,
            self.last_of_picture,
            self.layer_sync,
            self.is_reference,
        ];
        let flags = flags.iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(*flag));
        out.extend([
            self.encoding,
            self.spatial_id << 4 | self.temporal_id,
            flags,
            self.references.pictures_back,
        ]);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let &[encoding, layers, flags, pictures_back] = bytes.get(18..MARKS_BYTES)? else { return None };
        let marks = Marks {
            track: word(0)?,
            encoding,
            number: word(4)?,
            capture: word(8)?,
            spatial_id: layers >> 4,
            temporal_id: layers & 0x0F,
            keyframe: flags & 1 != 0,
            references: References { pictures_back, lower_layer: flags & 2 != 0 },
            layer_sync: flags & 8 != 0,
            is_reference: flags & 16 != 0,
            last_of_picture: flags & 4 != 0,
            index: half(12)?,
            count: half(14)?,
            len: half(16)?,
        };
        (marks.index < marks.count && usize::from(marks.len) == bytes.len()).then_some(marks)
    }
}

/// The fill's seed: every bit of the marks decides about it.
fn fill_seed(marks: &[u8]) -> u64 {
    marks.chunks(8).fold(0, |seed, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(seed ^ u64::from_le_bytes(word))
    })
}

/// The bodies' lengths of a frame of about `bytes` bytes: how many packets, and marks and fill of each.
pub fn split(bytes: usize, at_least: usize) -> (u16, u16) {
    let count = bytes.div_ceil(MAX_BODY_BYTES).max(at_least).max(1);
    (count as u16, (bytes / count).max(MARKS_BYTES + 8) as u16)
}

/// The fewest packets that a frame can have: an H.264 keyframe has its parameter sets in one of their own.
pub fn fewest_packets(codec: Codec, keyframe: bool) -> usize {
    if codec == Codec::H264 && keyframe { 2 } else { 1 }
}

/// Appends the payload of a packet.
pub fn write_payload(track: &TrackSpec, marks: &Marks, numbers: PictureNumbers, out: &mut Vec<u8>) {
    write_header(track, marks, numbers, out);
    let marks_at = out.len();
    marks.write(out);
    let seed = fill_seed(&out[marks_at..]);
    fill(seed, usize::from(marks.len) - MARKS_BYTES, out);
}

/// What a payload is.
///
/// # Errors
/// If it is not, apart from rewritten picture numbers and to the last byte, one that a sender of the track makes.
pub fn recognise(track: &TrackSpec, payload: &[u8]) -> Result<Recognised, Mismatch> {
    let (marks_at, numbers) = match track.codec {
        Codec::Opus => Some((1, PictureNumbers::default())),
        Codec::Vp8 => vp8::find_marks(payload),
        Codec::Vp9 => vp9::find_marks(payload),
        Codec::H264 => h264::find_marks(payload).map(|at| (at, PictureNumbers::default())),
        Codec::Av1 => av1::find_marks(payload).map(|at| (at, PictureNumbers::default())),
    }
    .ok_or(Mismatch::Descriptor)?;
    let marks = payload.get(marks_at..).and_then(Marks::read).ok_or(Mismatch::Marks)?;
    if marks.track != track.id {
        return Err(Mismatch::Track(marks.track));
    }
    if usize::from(marks.encoding) >= track.encodings.len() {
        return Err(Mismatch::Marks);
    }
    let mut head = Vec::with_capacity(64);
    write_header(track, &marks, numbers, &mut head);
    marks.write(&mut head);
    if !payload.starts_with(&head) {
        return Err(Mismatch::Header(marks));
    }
    if !is_fill(fill_seed(&head[head.len() - MARKS_BYTES..]), &payload[head.len()..]) {
        return Err(Mismatch::Fill(marks));
    }
    Ok(Recognised { marks, numbers })
}

/// What stands before the marks.
fn write_header(track: &TrackSpec, marks: &Marks, numbers: PictureNumbers, out: &mut Vec<u8>) {
    let layers = track.encodings[usize::from(marks.encoding)].layers;
    match track.codec {
        // CELT, 20 ms, stereo, one frame (RFC 6716 section 3.1).
        Codec::Opus => out.push(0xFC),
        Codec::Vp8 => vp8::write_header(layers, marks, numbers, out),
        Codec::Vp9 => vp9::write_header(layers, track.flexible_mode, marks, numbers, out),
        Codec::H264 => h264::write_header(marks, out),
        Codec::Av1 => av1::write_header(layers, marks, out),
    }
}

#[cfg(test)]
mod tests;
