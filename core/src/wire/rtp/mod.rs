//! RTP packets: a view for reading, a header writer for sending (RFC 3550 section 5.1, RFC 8285).

mod extensions;
mod writer;

pub use extensions::Extensions;
pub use writer::{HeaderExtensionWriter, RtpHeader, append_padding, fits_one_byte, write_extensions};

/// Length of the header before CSRCs and extensions, in bytes.
pub const FIXED_HEADER_LEN: usize = 12;

/// Profile of a header extension block in the one-byte form (RFC 8285 section 4.2).
pub const ONE_BYTE_PROFILE: u16 = 0xBEDE;

/// Profile of a header extension block in the two-byte form, with the application bits zero (RFC 8285 section 4.3).
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// The length in bytes of the RTP header at the front of `packet`, CSRCs and header extensions included, or `None` if it is
/// not RTP or cut off. Reads nothing behind the header: usable on a packet whose payload is encrypted (RFC 3711
/// section 3.1).
pub fn header_len(packet: &[u8]) -> Option<usize> {
    Layout::of(packet).map(|layout| layout.header_len)
}

/// SSRC and sequence number of the RTP packet that begins like `packet`, which may be encrypted behind its header.
pub fn stream_position(packet: &[u8]) -> Option<(u32, u16)> {
    let [_, _, q0, q1, _, _, _, _, s0, s1, s2, s3] = *packet.first_chunk()?;
    Some((u32::from_be_bytes([s0, s1, s2, s3]), u16::from_be_bytes([q0, q1])))
}

/// A whole, unencrypted RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct RtpView<'a> {
    packet: &'a [u8],
    layout: Layout,
    padding_len: u8,
    marker: bool,
    payload_type: u8,
    sequence_number: u16,
    timestamp: u32,
    ssrc: u32,
}

impl<'a> RtpView<'a> {
    /// Checks version, CSRC count, extension length and padding length. `None` if any of them is wrong.
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let layout = Layout::of(packet)?;
        let [first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *packet.first_chunk()?;
        let padding_len = if first & 0x20 == 0 { 0 } else { *packet.last()? };
        // The last byte counts itself, so 0 is not a length (RFC 3550 section 5.1).
        let has_padding = first & 0x20 != 0;
        if has_padding && (padding_len == 0 || usize::from(padding_len) > packet.len() - layout.header_len) {
            return None;
        }
        Some(Self {
            packet,
            layout,
            padding_len,
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        })
    }

    /// Payload type, 0 to 127.
    pub fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.marker
    }

    /// Sequence number.
    pub fn sequence_number(&self) -> u16 {
        self.sequence_number
    }

    /// Timestamp, in units of the codec's clock rate.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Contributing sources, at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        let bytes = self.packet.get(FIXED_HEADER_LEN..self.layout.csrc_end).unwrap_or_default();
        bytes.as_chunks::<4>().0.iter().map(|csrc| u32::from_be_bytes(*csrc))
    }

    /// Length in bytes of everything before the payload.
    pub fn header_len(&self) -> usize {
        self.layout.header_len
    }

    /// The payload without padding. Empty in packets that are only padding.
    pub fn payload(&self) -> &'a [u8] {
        self.packet.get(self.payload_range()).unwrap_or_default()
    }

    /// Where in the packet the payload lies.
    pub fn payload_range(&self) -> std::ops::Range<usize> {
        self.layout.header_len..self.packet.len() - usize::from(self.padding_len)
    }

    /// Padding at the end, in bytes.
    pub fn padding_len(&self) -> usize {
        usize::from(self.padding_len)
    }

    /// The whole packet, as it was given.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.packet
    }

    /// Profile of the header extension block, if there is one.
    pub fn extension_profile(&self) -> Option<u16> {
        self.layout.extension_profile
    }

    /// The header extension block without its four-byte head. Empty if there is none.
    pub fn extension_block(&self) -> &'a [u8] {
        if self.layout.extension_profile.is_none() {
            return &[];
        }
        self.packet.get(self.layout.csrc_end + 4..self.layout.header_len).unwrap_or_default()
    }

    /// The header extensions in the order of the packet: local id and value. Ends at the first malformed one. Nothing if the
    /// profile is neither of RFC 8285's.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.layout.extension_profile, self.extension_block())
    }

    /// The value of the first header extension with this local id.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|&(found, _)| found == id).map(|(_, value)| value)
    }
}

/// Where the parts of a header end.
#[derive(Clone, Copy, Debug)]
struct Layout {
    csrc_end: usize,
    header_len: usize,
    extension_profile: Option<u16>,
}

impl Layout {
    #[inline]
    fn of(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        if first >> 6 != 2 {
            return None;
        }
        let csrc_end = FIXED_HEADER_LEN + usize::from(first & 0x0F) * 4;
        if first & 0x10 == 0 {
            return (packet.len() >= csrc_end).then_some(Self {
                csrc_end,
                header_len: csrc_end,
                extension_profile: None,
            });
        }
        let [p0, p1, l0, l1] = *packet.get(csrc_end..)?.first_chunk()?;
        let header_len = csrc_end + 4 + usize::from(u16::from_be_bytes([l0, l1])) * 4;
        (packet.len() >= header_len).then_some(Self {
            csrc_end,
            header_len,
            extension_profile: Some(u16::from_be_bytes([p0, p1])),
        })
    }
}

#[cfg(test)]
mod tests;
