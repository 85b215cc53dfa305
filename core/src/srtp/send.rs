//! Sealing what goes to the peer.

use std::fmt;

use super::cipher::CryptoProvider;
use super::protection::{Protection, Usage};
use super::{SrtpError, SrtpProfile};

/// First RTP index that does not exist: 32 bits of rollover counter and 16 of sequence number.
const RTP_INDEX_END: u64 = 1 << 48;

/// First SRTCP index that does not exist (RFC 3711 section 3.4).
const RTCP_INDEX_END: u32 = 1 << 31;

/// Seals RTP and RTCP packets of any number of SSRCs under one master key.
///
/// Invariant: the caller gives each pair of SSRC and index to at most one plaintext (RFC 3711 section 9.1): it owns an
/// extended sequence number per SSRC. The index of SRTCP is kept here, one for all SSRCs.
pub struct Sender {
    rtp: Protection,
    rtcp: Protection,
    next_rtcp_index: u32,
}

impl Sender {
    /// Derives the session keys. `None` if key or salt have not the length of the profile.
    pub fn new(
        crypto: &dyn CryptoProvider,
        profile: SrtpProfile,
        master_key: &[u8],
        master_salt: &[u8],
    ) -> Option<Self> {
        Some(Self {
            rtp: Protection::derive(crypto, profile, master_key, master_salt, Usage::Rtp)?,
            rtcp: Protection::derive(crypto, profile, master_key, master_salt, Usage::Rtcp)?,
            next_rtcp_index: 0,
        })
    }

    /// Seals the RTCP compound `buf[start..]` in place and appends index and tag.
    ///
    /// # Errors
    /// [`SrtpError::TooShort`] without a header of 8 bytes; [`SrtpError::KeyExhausted`] after 2^31 packets. The buffer is
    /// then as it was.
    pub fn protect_rtcp(&mut self, buf: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        if self.next_rtcp_index >= RTCP_INDEX_END {
            return Err(SrtpError::KeyExhausted);
        }
        // Used up even if sealing fails: an index must not come back whatever the cipher has done with it.
        let index = self.next_rtcp_index;
        self.next_rtcp_index += 1;
        self.rtcp.seal_rtcp(buf, start, index)
    }

    /// Seals the RTP packet `buf[start..]`, of which the first `header_len` bytes stay readable, in place and appends the
    /// tag. `index` is the rollover counter followed by the 16 bits of the sequence number (RFC 3711 section 3.3.1).
    ///
    /// # Errors
    /// [`SrtpError::TooShort`] if the packet is shorter than its header; [`SrtpError::KeyExhausted`] from index 2^48 on.
    /// The buffer is then as it was.
    pub fn protect_rtp(
        &self,
        buf: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        index: u64,
    ) -> Result<(), SrtpError> {
        if index >= RTP_INDEX_END {
            return Err(SrtpError::KeyExhausted);
        }
        self.rtp.seal_rtp(buf, start, header_len, index)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("next_rtcp_index", &self.next_rtcp_index).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Sender {
    /// Continues at `index`, to reach the end of the range within a test.
    pub(super) fn set_next_rtcp_index(&mut self, index: u32) {
        self.next_rtcp_index = index;
    }
}
