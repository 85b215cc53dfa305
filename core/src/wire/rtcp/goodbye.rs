//! BYE (RFC 3550 section 6.6).

use super::packet_type::GOODBYE;
use super::writer::{packet, put_u32};

/// View of a BYE packet.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'a> {
    ssrcs: &'a [u8],
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        body.get(..usize::from(count) * 4).map(|ssrcs| Self { ssrcs })
    }

    /// The sources that leave, at most 31.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.ssrcs.as_chunks::<4>().0.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }
}

/// Appends a BYE packet. Sources after the 31st are left out.
pub fn write_bye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    let ssrcs = ssrcs.get(..31).unwrap_or(ssrcs);
    packet(out, ssrcs.len() as u8, GOODBYE, |out| ssrcs.iter().for_each(|&ssrc| put_u32(out, ssrc)));
}
