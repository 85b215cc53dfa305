//! Media of which every byte is known: what is sent can be told from what arrives.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opus: one packet every 20 ms.
    Opus,
    /// VP8: 30 frames a second, of several packets each.
    Vp8,
}

/// A frame of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Counts from 0.
    pub number: u32,
    /// Whether a decoder can start with it.
    pub keyframe: bool,
}

/// A track that is sent: makes frames by the clock.
#[derive(Debug)]
pub struct Source {
    /// What it carries.
    pub kind: Kind,
    /// Whether it makes frames.
    pub running: bool,
    /// Whether the next frame is to be a keyframe.
    pub keyframe_wanted: bool,
    /// The frames made so far, with the time of each.
    pub made: Vec<(Instant, Frame)>,
    next_at: Instant,
    next_sequence: u64,
}

/// An RTP packet to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingPacket {
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Whether it is the last of its frame.
    pub marker: bool,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A packet that arrived.
#[derive(Debug, Clone)]
pub struct IncomingPacket {
    /// When.
    pub at: Instant,
    /// RTP timestamp.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Its payload.
    pub payload: Arc<[u8]>,
}

/// A track that is received.
#[derive(Debug)]
pub struct Sink {
    /// What it carries.
    pub kind: Kind,
    /// What arrived, by extended sequence number.
    pub packets: BTreeMap<u64, IncomingPacket>,
}

/// A frame put together from what arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenFrame {
    /// Which.
    pub frame: Frame,
    /// Whether all of its packets are there, in order, with the marker on the last.
    pub complete: bool,
}

impl Kind {
    /// The time between two frames.
    pub fn interval(self) -> Duration {
        match self {
            Kind::Opus => Duration::from_millis(20),
            Kind::Vp8 => Duration::from_micros(33_333),
        }
    }

    /// Timestamp units between two frames.
    pub fn timestamp_step(self) -> u32 {
        match self {
            Kind::Opus => 960,
            Kind::Vp8 => 3_000,
        }
    }

    /// How many packets a frame has: 20 for a keyframe, 1 to 7 for another one.
    pub fn packet_count(self, frame: Frame) -> u16 {
        match self {
            Kind::Opus => 1,
            Kind::Vp8 if frame.keyframe => 20,
            Kind::Vp8 => 1 + (frame.number.wrapping_mul(0x9e37_79b9) >> 16) as u16 % 7,
        }
    }

    /// The payload of a packet: only what is passed decides about it.
    pub fn payload(self, frame: Frame, index: u16) -> Vec<u8> {
        let mut bytes = self.codec_header(frame, index);
        bytes.extend(frame.number.to_be_bytes());
        bytes.extend(index.to_be_bytes());
        bytes.push(u8::from(frame.keyframe));
        let last = index + 1 == self.packet_count(frame);
        let fill = match self {
            Kind::Opus => 40 + frame.number % 80,
            Kind::Vp8 if last => 100 + frame.number % 900,
            Kind::Vp8 => 1_080,
        };
        let mut state = frame.number.wrapping_mul(0x85eb_ca6b) ^ u32::from(index) << 7 | 1;
        for _ in 0..fill {
            // xorshift32: any sequence that does not repeat within a packet will do.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            bytes.push(state as u8);
        }
        bytes
    }

    /// What a payload says it is; `None` when it is not exactly what was made.
    pub fn recognise(self, payload: &[u8]) -> Option<(Frame, u16)> {
        // The marks lie behind the codec's own header, which has one of three lengths.
        let marks = |at: usize| {
            let number = u32::from_be_bytes(payload.get(at..at + 4)?.try_into().ok()?);
            let index = u16::from_be_bytes(payload.get(at + 4..at + 6)?.try_into().ok()?);
            let frame = Frame { number, keyframe: *payload.get(at + 6)? == 1 };
            let mut same = payload.to_vec();
            if self == Kind::Vp8 {
                // The picture id is the forwarder's.
                same.get_mut(2..4)?.copy_from_slice(&(number as u16 | 0x8000).to_be_bytes());
            }
            (self.payload(frame, index) == same).then_some((frame, index))
        };
        [1, 4, 7, 14].into_iter().find_map(marks)
    }

    fn codec_header(self, frame: Frame, index: u16) -> Vec<u8> {
        if self == Kind::Opus {
            return vec![0x78]; // CELT, 20 ms, mono, one frame (RFC 6716 section 3.1)
        }
        let start = if index == 0 { 0x10 } else { 0 };
        let picture_id = (frame.number as u16 | 0x8000).to_be_bytes();
        // RFC 7741 section 4.2: X and S, then I, then a 15-bit picture id.
        let mut bytes = vec![0x80 | start, 0x80, picture_id[0], picture_id[1]];
        match (index, frame.keyframe) {
            // Section 4.3 and RFC 6386 section 9.1: the frame tag; of a keyframe start code and size as well.
            (0, true) => bytes.extend([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]),
            (0, false) => bytes.extend([0x11, 0x02, 0x00]),
            _ => {}
        }
        bytes
    }
}

impl Source {
    /// A track whose first frame is due at `start`.
    pub fn new(kind: Kind, start: Instant, first_sequence: u64) -> Self {
        Source {
            kind,
            running: true,
            keyframe_wanted: false,
            made: Vec::new(),
            next_at: start,
            next_sequence: first_sequence,
        }
    }

    /// When the next frame is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.running.then_some(self.next_at)
    }

    /// Makes the frame that is due at `now`: its packets, none if nothing is due.
    pub fn poll(&mut self, now: Instant) -> Vec<OutgoingPacket> {
        if self.deadline().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let number = self.made.len() as u32;
        let keyframe = self.kind == Kind::Vp8 && (number == 0 || std::mem::take(&mut self.keyframe_wanted));
        let frame = Frame { number, keyframe };
        self.made.push((now, frame));
        self.next_at = (self.next_at + self.kind.interval()).max(now);
        let count = self.kind.packet_count(frame);
        (0..count)
            .map(|index| {
                let sequence = self.next_sequence;
                self.next_sequence += 1;
                OutgoingPacket {
                    sequence,
                    timestamp: number.wrapping_mul(self.kind.timestamp_step()).wrapping_add(7_000),
                    marker: self.kind == Kind::Vp8 && index + 1 == count,
                    payload: self.kind.payload(frame, index),
                }
            })
            .collect()
    }
}

impl Sink {
    /// A track that nothing has arrived of.
    pub fn new(kind: Kind) -> Self {
        Sink { kind, packets: BTreeMap::new() }
    }

    /// What the packets are, by sequence number.
    ///
    /// # Panics
    /// If a payload is not what was sent.
    pub fn contents(&self) -> impl Iterator<Item = (u64, &IncomingPacket, Frame, u16)> {
        self.packets.iter().map(|(sequence, packet)| {
            let recognised = self.kind.recognise(&packet.payload);
            let (frame, index) =
                recognised.unwrap_or_else(|| panic!("packet {sequence} is not what was sent"));
            (*sequence, packet, frame, index)
        })
    }

    /// The frames in the order of their packets' sequence numbers.
    pub fn frames(&self) -> Vec<SeenFrame> {
        let packets: Vec<_> = self.contents().collect();
        packets
            .chunk_by(|a, b| a.2 == b.2)
            .map(|packets| {
                let (first, _, frame, _) = packets[0];
                let count = usize::from(self.kind.packet_count(frame));
                let in_order = packets.iter().enumerate().all(|(position, (sequence, packet, _, index))| {
                    *sequence == first + position as u64
                        && usize::from(*index) == position
                        && packet.timestamp == packets[0].1.timestamp
                        && packet.marker == (self.kind == Kind::Vp8 && position + 1 == count)
                });
                SeenFrame { frame, complete: in_order && packets.len() == count }
            })
            .collect()
    }

    /// When the last packet arrived.
    pub fn last_at(&self) -> Option<Instant> {
        self.packets.values().map(|packet| packet.at).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_recognised_and_nothing_else() {
        for kind in [Kind::Opus, Kind::Vp8] {
            for frame in
                [Frame { number: 70_000, keyframe: kind == Kind::Vp8 }, Frame { number: 3, keyframe: false }]
            {
                for index in 0..kind.packet_count(frame) {
                    let payload = kind.payload(frame, index);
                    assert_eq!(kind.recognise(&payload), Some((frame, index)));
                    assert!(payload.len() < 1_150);
                    let mut other = payload.clone();
                    *other.last_mut().unwrap() ^= 1;
                    assert_eq!(kind.recognise(&other), None);
                    assert_eq!(kind.recognise(&payload[..payload.len() - 1]), None);
                }
            }
        }
    }
}
