//! Source descriptions (RFC 3550 section 6.5).

use super::packet_type::SOURCE_DESCRIPTION;
use super::writer::{packet, put_u32};
use crate::wire::reader::Reader;

/// Item types (RFC 3550 section 12.2, RFC 9143 section 15.1, RFC 8852 section 4).
mod item_type {
    pub const END: u8 = 0;
    pub const CNAME: u8 = 1;
    pub const RTP_STREAM_ID: u8 = 12;
    pub const REPAIRED_RTP_STREAM_ID: u8 = 13;
    pub const MID: u8 = 15;
}

/// View of an SDES packet.
#[derive(Clone, Copy, Debug)]
pub struct SourceDescription<'a> {
    count: u8,
    body: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    pub(super) fn new(count: u8, body: &'a [u8]) -> Self {
        Self { count, body }
    }

    /// The described sources, at most 31. Ends at the first malformed chunk.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + 'a {
        let mut reader = Reader::new(self.body);
        (0..self.count).map_while(move |_| SdesChunk::read(&mut reader))
    }
}

/// What is said about one source.
#[derive(Clone, Copy, Debug)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

/// One thing said about a source, as bytes that nobody has checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdesItem<'a> {
    /// The canonical name: the same for all streams that belong together.
    Cname(&'a [u8]),
    /// The media section, see [`Mid`](crate::wire::ext::Mid).
    Mid(&'a [u8]),
    /// The encoding, see [`Rid`](crate::wire::ext::Rid).
    RtpStreamId(&'a [u8]),
    /// The encoding that this source repairs.
    RepairedRtpStreamId(&'a [u8]),
}

impl<'a> SdesChunk<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let ssrc = reader.u32()?;
        let start = reader.rest();
        // One or more zero bytes end the list and fill up to 32 bits; both counted from the SSRC.
        let mut len = 0;
        loop {
            match start.get(len..)? {
                [item_type::END, ..] => break,
                [_, item_len, ..] => len += 2 + usize::from(*item_len),
                _ => return None,
            }
        }
        let items = start.get(..len)?;
        reader.take((len + 1).next_multiple_of(4))?;
        Some(Self { ssrc, items })
    }

    /// The items that this server has a use for; others are skipped.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + 'a {
        let mut reader = Reader::new(self.items);
        std::iter::from_fn(move || {
            loop {
                let item_type = reader.u8()?;
                let len = reader.u8()?;
                let value = reader.take(usize::from(len))?;
                match item_type {
                    item_type::CNAME => return Some(SdesItem::Cname(value)),
                    item_type::MID => return Some(SdesItem::Mid(value)),
                    item_type::RTP_STREAM_ID => return Some(SdesItem::RtpStreamId(value)),
                    item_type::REPAIRED_RTP_STREAM_ID => return Some(SdesItem::RepairedRtpStreamId(value)),
                    _ => {}
                }
            }
        })
    }
}

/// Appends an SDES packet with the canonical name of one source. A name longer than 255 bytes is cut.
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &[u8]) {
    let cname = cname.get(..255).unwrap_or(cname);
    packet(out, 1, SOURCE_DESCRIPTION, |out| {
        put_u32(out, ssrc);
        out.extend_from_slice(&[item_type::CNAME, cname.len() as u8]);
        out.extend_from_slice(cname);
        // The end of the list; `packet` appends the rest of the zero bytes.
        out.push(item_type::END);
    });
}
