//! Packets over TCP (RFC 4571).

use sansfu::wire::framing::{Deframer, FrameTooLong, write_frame};

use crate::choices::Choices;

/// Streams up to this length are cut at every single place.
const CUT_EVERYWHERE_LEN: usize = 200;

/// However a stream is cut, the same frames come out, and they are those that a reader of the whole stream finds.
pub fn framing(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let max_frame_len = choices.u16();
    let cuts = choices.piece();
    let stream = choices.rest();

    let whole = read_plainly(stream, max_frame_len);
    assert_eq!(deframe([stream], max_frame_len), whole);
    assert_eq!(deframe(pieces(stream, cuts), max_frame_len), whole);
    if stream.len() <= CUT_EVERYWHERE_LEN {
        assert_eq!(deframe(stream.chunks(1), max_frame_len), whole);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(deframe([head, tail], max_frame_len), whole, "cut at {at}");
        }
    }

    let mut written = Vec::new();
    assert!(whole.frames.iter().all(|frame| write_frame(&mut written, frame)));
    assert_eq!(deframe([&written[..]], max_frame_len), Frames { is_broken: false, ..whole });
}

/// What came out of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Frames {
    frames: Vec<Vec<u8>>,
    /// Whether a frame longer than allowed was announced.
    is_broken: bool,
}

fn deframe<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, max_frame_len: u16) -> Frames {
    let mut deframer = Deframer::new(max_frame_len);
    let mut found = Frames { frames: Vec::new(), is_broken: false };
    for mut piece in pieces {
        loop {
            match deframer.read(&mut piece) {
                Ok(Some(frame)) => {
                    found.frames.push(frame.to_vec());
                    // Whoever gets a frame may change it: decryption happens in place.
                    frame.fill(0xFF);
                }
                Ok(None) => {
                    assert!(piece.is_empty() && !found.is_broken, "an error is final");
                    break;
                }
                Err(FrameTooLong) => {
                    found.is_broken = true;
                    break;
                }
            }
        }
    }
    found
}

/// The stream in pieces of these lengths, in turn; 0 is an empty read.
fn pieces<'a>(stream: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for &len in lengths {
        let (piece, tail) = rest.split_at(usize::from(len).min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

fn read_plainly(stream: &[u8], max_frame_len: u16) -> Frames {
    let mut found = Frames { frames: Vec::new(), is_broken: false };
    let mut at = 0;
    while let Some(&[high, low]) = stream.get(at..at + 2).and_then(<[u8]>::as_array) {
        let len = u16::from_be_bytes([high, low]);
        if len > max_frame_len {
            found.is_broken = true;
            break;
        }
        let Some(frame) = stream.get(at + 2..at + 2 + usize::from(len)) else { break };
        if !frame.is_empty() {
            found.frames.push(frame.to_vec());
        }
        at += 2 + frame.len();
    }
    found
}
