//! RTP headers: the view against a second reader, and the writer against the view (RFC 3550 section 5.1, RFC 8285).

use std::collections::BTreeSet;

use sansfu::wire::rtp::{
    FIXED_HEADER_LEN, HeaderExtensionWriter, ONE_BYTE_PROFILE, RtpHeader, RtpView, TWO_BYTE_PROFILE,
    append_padding, header_len, stream_position, write_extensions,
};

use crate::choices::Choices;

/// The view shows what a reader that follows the figures byte by byte shows, and a packet that is written anew from what it
/// shows looks the same.
pub fn rtp(data: &[u8]) {
    let plain = Plain::read(data);
    assert_eq!(header_len(data), plain.as_ref().map(|plain| plain.header_len));
    let view = RtpView::parse(data);
    let padding_len = plain.as_ref().and_then(|plain| plain.padding_len(data));
    assert_eq!(
        view.is_some(),
        padding_len.is_some(),
        "only wrong padding makes a packet of a good header unreadable"
    );
    let (Some(view), Some(plain), Some(padding_len)) = (view, plain, padding_len) else { return };

    assert_eq!(view.as_bytes(), data);
    assert_eq!(view.payload_range(), plain.header_len..data.len() - padding_len);
    assert_eq!(view.payload(), &data[view.payload_range()]);
    assert_eq!(view.padding_len(), padding_len);
    assert_eq!(stream_position(data), Some((view.ssrc(), view.sequence_number())));
    assert_eq!(view.csrcs().collect::<Vec<_>>(), plain.csrcs);
    assert_eq!(view.extension_profile(), plain.profile);
    assert_eq!(view.extension_block(), plain.block);
    let elements: Vec<_> = view.extensions().collect();
    assert_eq!(elements, read_elements(plain.profile, plain.block));
    for id in elements.iter().map(|(id, _)| *id).chain([0, 255]).collect::<BTreeSet<_>>() {
        let first = elements.iter().find(|(found, _)| *found == id).map(|(_, value)| *value);
        assert_eq!(view.extension(id), first);
    }

    let written = write_anew(&view);
    let again = RtpView::parse(&written).expect("what was written can be read");
    assert_eq!(header_of(&again), header_of(&view));
    assert!(again.csrcs().eq(view.csrcs()) && again.extensions().eq(view.extensions()));
    assert_eq!((again.payload(), again.padding_len()), (view.payload(), view.padding_len()));
    assert_eq!(write_anew(&again), written, "there is one way to write it");
}

/// What is written is read back, less what the chosen form of header extensions cannot carry; nothing before the packet in the
/// buffer is touched.
pub fn rtp_writer(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let header = RtpHeader {
        marker: choices.flag(),
        payload_type: choices.u8(),
        sequence_number: choices.u16(),
        timestamp: choices.u32(),
        ssrc: choices.u32(),
    };
    let csrcs: Vec<u32> = (0..choices.below(20)).map(|_| choices.u32()).collect();
    let (before, padding_len, two_byte) = (choices.piece(), choices.u8(), choices.flag());
    let payload = choices.piece();
    let mut elements = Vec::new();
    while !choices.is_exhausted() && elements.len() < 300 {
        elements.push((choices.u8(), choices.piece()));
    }

    let mut out = before.to_vec();
    header.write_with_csrcs(csrcs.iter().copied(), &mut out);
    let mut writer = HeaderExtensionWriter::begin(&mut out, before.len(), two_byte);
    let carried = |&&(id, value): &&(u8, &[u8])| {
        // RFC 8285 sections 4.2 and 4.3.
        if two_byte { id != 0 } else { id > 0 && id < 15 && !value.is_empty() && value.len() < 17 }
    };
    for element in &elements {
        assert_eq!(writer.push(element.0, element.1), carried(&element));
    }
    writer.finish();
    out.extend_from_slice(payload);
    append_padding(&mut out, before.len(), padding_len);

    let (head, packet) = out.split_at(before.len());
    assert_eq!(head, before);
    let view = RtpView::parse(packet).expect("what was written can be read");
    assert_eq!(header_of(&view), RtpHeader { payload_type: header.payload_type & 0x7F, ..header });
    assert!(view.csrcs().eq(csrcs.iter().copied().take(15)));
    let expected: Vec<_> = elements.iter().filter(carried).copied().collect();
    assert!(view.extensions().eq(expected.iter().copied()));
    assert_eq!(view.extension_profile().is_some(), !expected.is_empty(), "no block is written for nothing");
    assert_eq!((view.payload(), view.padding_len()), (payload, usize::from(padding_len)));
    assert_eq!(view.header_len() % 4, 0);
    rtp(packet);
}

fn header_of(view: &RtpView<'_>) -> RtpHeader {
    RtpHeader {
        marker: view.marker(),
        payload_type: view.payload_type(),
        sequence_number: view.sequence_number(),
        timestamp: view.timestamp(),
        ssrc: view.ssrc(),
    }
}

fn write_anew(view: &RtpView<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    header_of(view).write_with_csrcs(view.csrcs(), &mut out);
    write_extensions(&mut out, 0, &view.extensions().collect::<Vec<_>>());
    out.extend_from_slice(view.payload());
    append_padding(&mut out, 0, view.padding_len() as u8);
    out
}

/// A header read word by word.
struct Plain<'a> {
    csrcs: Vec<u32>,
    profile: Option<u16>,
    block: &'a [u8],
    header_len: usize,
}

impl<'a> Plain<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let word = |index: usize| Some(u32::from_be_bytes(*data.as_chunks::<4>().0.get(index)?));
        let bits = word(0)?;
        if bits >> 30 != 2 {
            return None;
        }
        let mut words = FIXED_HEADER_LEN / 4 + (bits >> 24 & 0xF) as usize;
        let csrcs = (3..words).map(word).collect::<Option<_>>()?;
        let (mut profile, mut block) = (None, &[][..]);
        if bits & 1 << 28 != 0 {
            let head = word(words)?;
            let end = words + 1 + (head & 0xFFFF) as usize;
            profile = Some((head >> 16) as u16);
            block = data.get((words + 1) * 4..end * 4)?;
            words = end;
        }
        (data.len() >= words * 4).then_some(Self { csrcs, profile, block, header_len: words * 4 })
    }

    /// `None` if the padding cannot be: it counts itself and lies behind the header.
    fn padding_len(&self, data: &[u8]) -> Option<usize> {
        if data[0] & 0x20 == 0 {
            return Some(0);
        }
        let len = usize::from(data[data.len() - 1]);
        (len > 0 && self.header_len + len <= data.len()).then_some(len)
    }
}

/// The elements of a block, by position.
fn read_elements(profile: Option<u16>, block: &[u8]) -> Vec<(u8, &[u8])> {
    let two_byte = profile.is_some_and(|profile| profile & 0xFFF0 == TWO_BYTE_PROFILE);
    let mut elements = Vec::new();
    if !two_byte && profile != Some(ONE_BYTE_PROFILE) {
        return elements;
    }
    let mut at = 0;
    while at < block.len() {
        let (id, start, len) = match (two_byte, block[at]) {
            (_, 0) => {
                at += 1;
                continue;
            }
            (true, id) if at + 1 < block.len() => (id, at + 2, usize::from(block[at + 1])),
            (false, head) if head >> 4 != 0 && head >> 4 != 15 => {
                (head >> 4, at + 1, usize::from(head & 15) + 1)
            }
            _ => break,
        };
        let Some(value) = block.get(start..start + len) else { break };
        elements.push((id, value));
        at = start + len;
    }
    elements
}
