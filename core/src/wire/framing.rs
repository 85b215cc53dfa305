//! Packets over TCP: each behind its length in 16 bits (RFC 4571 section 2).

use std::fmt;

/// Length of the length field in bytes.
const LENGTH_LEN: usize = 2;

/// Cuts a byte stream into packets.
///
/// Holds at most one packet: its buffer grows to the longest one seen, and never beyond the limit.
#[derive(Clone, Debug)]
pub struct Deframer {
    /// The length field and what has come of the packet.
    buffer: Vec<u8>,
    max_frame_len: u16,
    state: State,
}

/// The peer announced a packet longer than allowed. Nothing in the stream can be found again after that: the connection is to
/// be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    /// The packet in the buffer was handed out.
    Delivered,
    Broken,
}

impl Deframer {
    /// A deframer that accepts packets of up to `max_frame_len` bytes.
    pub fn new(max_frame_len: u16) -> Self {
        Self { buffer: Vec::new(), max_frame_len, state: State::Filling }
    }

    /// Takes bytes off the front of `input` until a packet is complete, and returns it; `None` if there are no more. Call it
    /// again with the rest until then. Empty packets are skipped. After an error, every further call is the same error.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<&mut [u8]>, FrameTooLong> {
        match self.state {
            State::Broken => return Err(FrameTooLong),
            State::Delivered => {
                self.buffer.clear();
                self.state = State::Filling;
            }
            State::Filling => {}
        }
        loop {
            if !self.fill_to(LENGTH_LEN, input) {
                return Ok(None);
            }
            let frame_len = match *self.buffer {
                [high, low, ..] => u16::from_be_bytes([high, low]),
                _ => return Ok(None),
            };
            if frame_len > self.max_frame_len {
                self.state = State::Broken;
                self.buffer = Vec::new();
                return Err(FrameTooLong);
            }
            if frame_len == 0 {
                self.buffer.clear();
                continue;
            }
            if !self.fill_to(LENGTH_LEN + usize::from(frame_len), input) {
                return Ok(None);
            }
            self.state = State::Delivered;
            return Ok(self.buffer.get_mut(LENGTH_LEN..));
        }
    }

    /// Moves bytes until the buffer has `len`; whether it has.
    fn fill_to(&mut self, len: usize, input: &mut &[u8]) -> bool {
        let missing = len.saturating_sub(self.buffer.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.buffer.extend_from_slice(taken);
        *input = rest;
        taken.len() == missing
    }
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("frame longer than allowed")
    }
}

impl std::error::Error for FrameTooLong {}

/// Appends a packet and its length. `false`, and nothing appended, if it is longer than 65535 bytes.
pub fn write_frame(out: &mut Vec<u8>, packet: &[u8]) -> bool {
    let Ok(len) = u16::try_from(packet.len()) else { return false };
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(packet);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn read_all(deframer: &mut Deframer, mut input: &[u8]) -> Result<Vec<Vec<u8>>, FrameTooLong> {
        let mut frames = Vec::new();
        while let Some(frame) = deframer.read(&mut input)? {
            frames.push(frame.to_vec());
        }
        assert!(input.is_empty());
        Ok(frames)
    }

    #[test]
    fn frames_come_back_however_the_stream_is_cut() {
        let mut rng = Rng::from_seed([3; 32]);
        let frames: Vec<Vec<u8>> = (0..200).map(|i| vec![i as u8; 1 + rng.below(300) as usize]).collect();
        let mut stream = Vec::new();
        for frame in &frames {
            assert!(write_frame(&mut stream, frame));
            assert!(write_frame(&mut stream, &[]), "empty ones are skipped by the reader");
        }
        for longest_piece in [1, 2, 3, 100, 100_000] {
            let mut deframer = Deframer::new(300);
            let (mut found, mut rest) = (Vec::new(), &stream[..]);
            while !rest.is_empty() {
                let len = (1 + rng.below(longest_piece) as usize).min(rest.len());
                found.extend(read_all(&mut deframer, &rest[..len]).unwrap());
                rest = &rest[len..];
            }
            assert_eq!(found, frames);
            assert!(deframer.buffer.capacity() <= 1024, "one frame is held, not the stream");
        }
    }

    #[test]
    fn longest_frame() {
        let mut stream = Vec::new();
        assert!(write_frame(&mut stream, &[7; 65_535]));
        assert!(!write_frame(&mut stream, &[7; 65_536]));
        assert_eq!(stream.len(), 65_537);
        assert_eq!(read_all(&mut Deframer::new(65_535), &stream), Ok(vec![vec![7; 65_535]]));
    }

    #[test]
    fn too_long_is_final() {
        let mut deframer = Deframer::new(10);
        let mut good = Vec::new();
        assert!(write_frame(&mut good, &[1; 10]));
        assert_eq!(read_all(&mut deframer, &good), Ok(vec![vec![1; 10]]));
        let mut input = &[0, 11, 1, 2][..];
        assert_eq!(deframer.read(&mut input), Err(FrameTooLong));
        assert_eq!(read_all(&mut deframer, &good), Err(FrameTooLong));
    }

    #[test]
    fn the_packet_can_be_changed_in_place() {
        let mut deframer = Deframer::new(10);
        let mut input = &[0, 2, 5, 6, 0, 1, 9][..];
        deframer.read(&mut input).unwrap().unwrap().fill(0xFF);
        assert_eq!(deframer.read(&mut input).unwrap().unwrap(), [9]);
        assert_eq!(deframer.read(&mut input), Ok(None));
    }
}
