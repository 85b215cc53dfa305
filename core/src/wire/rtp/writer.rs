//! Writing RTP headers. Called once per forwarded packet and consumer, so it appends to the caller's buffer and allocates
//! nothing as long as that has room.

use super::{ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};

/// The fixed part of an RTP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 0 to 127. Higher bits are ignored.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence_number: u16,
    /// Timestamp, in units of the codec's clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Appends the header without CSRCs, extensions or padding. Whatever follows sets its own bit in the first byte.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let [s0, s1] = self.sequence_number.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.to_be_bytes();
        let second = u8::from(self.marker) << 7 | self.payload_type & 0x7F;
        out.extend_from_slice(&[0x80, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3]);
    }

    /// Appends the header and its contributing sources; those after the 15th are left out.
    pub fn write_with_csrcs(&self, csrcs: impl IntoIterator<Item = u32>, out: &mut Vec<u8>) {
        let start = out.len();
        self.write(out);
        let mut count = 0;
        for csrc in csrcs.into_iter().take(15) {
            out.extend_from_slice(&csrc.to_be_bytes());
            count += 1;
        }
        set_first_byte_bits(out, start, count);
    }
}

/// Whether an extension can be written in the one-byte form: id 1 to 14, value of 1 to 16 bytes (RFC 8285 section 4.2).
#[inline]
pub fn fits_one_byte(id: u8, value_len: usize) -> bool {
    (1..=14).contains(&id) && (1..=16).contains(&value_len)
}

/// Appends a header extension block with these ids and values to the header that began at `packet_start`: in the one-byte
/// form if all fit it, else in the two-byte form. Appends nothing for an empty list.
pub fn write_extensions(out: &mut Vec<u8>, packet_start: usize, extensions: &[(u8, &[u8])]) {
    let two_byte = !extensions.iter().all(|&(id, value)| fits_one_byte(id, value.len()));
    let mut writer = HeaderExtensionWriter::begin(out, packet_start, two_byte);
    for &(id, value) in extensions {
        writer.push(id, value);
    }
    writer.finish();
}

/// Appends `padding_len` bytes of padding to the packet that began at `packet_start` and sets its padding bit. Does nothing
/// if `padding_len` is 0.
pub fn append_padding(out: &mut Vec<u8>, packet_start: usize, padding_len: u8) {
    if padding_len == 0 {
        return;
    }
    out.resize(out.len() + usize::from(padding_len) - 1, 0);
    out.push(padding_len);
    set_first_byte_bits(out, packet_start, 0x20);
}

/// Appends a header extension block, element by element.
///
/// Nothing is valid until [`finish`](Self::finish), which pads the block, writes its length and sets the extension bit. If
/// nothing was pushed, it leaves the header as it was.
#[derive(Debug)]
pub struct HeaderExtensionWriter<'a> {
    out: &'a mut Vec<u8>,
    packet_start: usize,
    block_start: usize,
    two_byte: bool,
}

impl<'a> HeaderExtensionWriter<'a> {
    /// Begins a block at the end of `out`, where the fixed header and CSRCs of the packet that began at `packet_start` have
    /// just been written.
    #[inline]
    pub fn begin(out: &'a mut Vec<u8>, packet_start: usize, two_byte: bool) -> Self {
        let [p0, p1] = if two_byte { TWO_BYTE_PROFILE } else { ONE_BYTE_PROFILE }.to_be_bytes();
        out.extend_from_slice(&[p0, p1, 0, 0]);
        let block_start = out.len();
        Self { out, packet_start, block_start, two_byte }
    }

    /// Appends one element. An id or length that the form cannot carry is left out and `false` returned: 1 to 14 and 1 to 16
    /// bytes in the one-byte form, 1 to 255 and at most 255 bytes in the two-byte form.
    #[inline]
    pub fn push(&mut self, id: u8, value: &[u8]) -> bool {
        if self.two_byte {
            let Ok(len) = u8::try_from(value.len()) else { return false };
            if id == 0 {
                return false;
            }
            self.out.extend_from_slice(&[id, len]);
        } else {
            if !fits_one_byte(id, value.len()) {
                return false;
            }
            self.out.push(id << 4 | (value.len() - 1) as u8);
        }
        self.out.extend_from_slice(value);
        true
    }

    /// Pads to 32 bits, writes the length and sets the extension bit of the packet.
    #[inline]
    pub fn finish(self) {
        let Self { out, packet_start, block_start, .. } = self;
        let block_len = out.len() - block_start;
        if block_len == 0 {
            out.truncate(block_start - 4);
            return;
        }
        let words = block_len.div_ceil(4);
        out.resize(block_start + words * 4, 0);
        if let Some(length) = out.get_mut(block_start - 2..block_start) {
            length.copy_from_slice(&(words as u16).to_be_bytes());
        }
        set_first_byte_bits(out, packet_start, 0x10);
    }
}

fn set_first_byte_bits(out: &mut [u8], packet_start: usize, bits: u8) {
    if let Some(first) = out.get_mut(packet_start) {
        *first |= bits;
    }
}
