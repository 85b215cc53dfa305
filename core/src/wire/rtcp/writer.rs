//! The common header of what is written.

/// Appends one RTCP packet: its header, then what `body` appends. Pads with zero bytes to 32 bits and writes the length.
pub(super) fn packet(out: &mut Vec<u8>, count: u8, packet_type: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count & 0x1F, packet_type, 0, 0]);
    body(out);
    let words = (out.len() - start).div_ceil(4);
    out.resize(start + words * 4, 0);
    // Lengths count 32-bit words without the first one (RFC 3550 section 6.4.1).
    let length = u16::try_from(words - 1).unwrap_or(u16::MAX);
    if let Some(bytes) = out.get_mut(start + 2..start + 4) {
        bytes.copy_from_slice(&length.to_be_bytes());
    }
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}
