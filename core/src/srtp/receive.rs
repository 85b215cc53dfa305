//! Opening what comes from the peer.

use std::fmt;

use super::cipher::CryptoProvider;
use super::protection::{Protection, RTCP_ENCRYPTED, Usage};
use super::replay::ReplayWindow;
use super::{SrtpError, SrtpProfile};

/// Default limit of the number of SSRCs that a [`Receiver`] keeps apart, for RTP and for RTCP each.
pub const DEFAULT_MAX_STREAMS: usize = 256;

/// After how many packets of other streams a silent one may be replaced in a full table: some seconds of a busy connection.
const IDLE_AFTER_PACKETS: u64 = 4096;

/// Opens RTP and RTCP packets of any number of SSRCs under one master key, and refuses repetitions.
///
/// The state of a stream is its highest index and its replay window, 160 bytes. The table of streams is bounded. When it is
/// full, a new stream replaces the one that was silent longest, but only if 4096 packets of others were accepted since:
/// the replay window of a live stream is never given up. Otherwise the new stream is refused with
/// [`SrtpError::TableFull`]. Only the peer itself can fill the table, since only authentic packets enter it.
pub struct Receiver {
    rtp: Protection,
    rtcp: Protection,
    rtp_streams: StreamTable,
    rtcp_streams: StreamTable,
}

impl Receiver {
    /// Derives the session keys. `None` if key or salt have not the length of the profile.
    pub fn new(
        crypto: &dyn CryptoProvider,
        profile: SrtpProfile,
        master_key: &[u8],
        master_salt: &[u8],
        max_streams: usize,
    ) -> Option<Self> {
        Some(Self {
            rtp: Protection::derive(crypto, profile, master_key, master_salt, Usage::Rtp)?,
            rtcp: Protection::derive(crypto, profile, master_key, master_salt, Usage::Rtcp)?,
            rtp_streams: StreamTable::new(max_streams),
            rtcp_streams: StreamTable::new(max_streams),
        })
    }

    /// Opens an RTP packet in place, whose header of `header_len` bytes the caller has parsed.
    ///
    /// Returns the length of header and payload in bytes, and the packet's index: the estimated rollover counter followed
    /// by the sequence number (RFC 3711 section 3.3.1).
    ///
    /// # Errors
    /// Any but [`SrtpError::KeyExhausted`]; the packet's bytes must then not be used, and no state has changed.
    pub fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        seq: u16,
    ) -> Result<(usize, u64), SrtpError> {
        let window = self.rtp_streams.window(ssrc);
        let index = window.map_or(u64::from(seq), |window| estimate_index(window.highest(), seq));
        if window.is_some_and(|window| !window.is_fresh(index)) {
            return Err(SrtpError::Replayed);
        }
        let plain_len = self.rtp.open_rtp(packet, header_len, ssrc, index)?;
        self.rtp_streams.accept(ssrc, index)?;
        Ok((plain_len, index))
    }

    /// Opens an SRTCP packet in place. Returns the length of the RTCP compound in bytes.
    ///
    /// Indexes are kept per sender SSRC: senders count each of theirs from zero.
    ///
    /// # Errors
    /// Any but [`SrtpError::KeyExhausted`]; the packet's bytes must then not be used, and no state has changed.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let trailer = self.rtcp.rtcp_trailer(packet)?;
        let index = u64::from(trailer.word & !RTCP_ENCRYPTED);
        if self.rtcp_streams.window(trailer.ssrc).is_some_and(|window| !window.is_fresh(index)) {
            return Err(SrtpError::Replayed);
        }
        let plain_len = self.rtcp.open_rtcp(packet)?;
        self.rtcp_streams.accept(trailer.ssrc, index)?;
        Ok(plain_len)
    }

    /// How many RTP streams have state.
    pub fn rtp_stream_count(&self) -> usize {
        self.rtp_streams.streams.len()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("rtp_streams", &self.rtp_streams.streams.len())
            .field("rtcp_streams", &self.rtcp_streams.streams.len())
            .finish_non_exhaustive()
    }
}

/// RFC 3711 section 3.3.1: of the three rollover counters that are possible, the one that brings `seq` nearest to the
/// highest index. There is none below zero, nor beyond 32 bits.
fn estimate_index(highest: u64, seq: u16) -> u64 {
    const HALF: u16 = 1 << 15;
    let (rollover, last) = (highest >> 16, highest as u16);
    let rollover = if last < HALF && seq.saturating_sub(last) > HALF {
        rollover.saturating_sub(1)
    } else if last >= HALF && last - HALF > seq {
        (rollover + 1).min(u64::from(u32::MAX))
    } else {
        rollover
    };
    rollover << 16 | u64::from(seq)
}

/// Streams in order of their SSRC.
struct StreamTable {
    streams: Vec<Stream>,
    max_streams: usize,
    accepted: u64,
}

struct Stream {
    ssrc: u32,
    /// Value of the table's `accepted` when this stream's last packet came.
    last_accepted: u64,
    window: ReplayWindow,
}

impl StreamTable {
    fn new(max_streams: usize) -> Self {
        Self { streams: Vec::new(), max_streams, accepted: 0 }
    }

    fn accept(&mut self, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        match self.position(ssrc) {
            Ok(at) => {
                if let Some(stream) = self.streams.get_mut(at) {
                    stream.window.accept(index);
                    stream.last_accepted = self.accepted;
                }
            }
            Err(at) => {
                let at = if self.streams.len() < self.max_streams { at } else { self.make_room(ssrc)? };
                let window = ReplayWindow::new(index);
                self.streams.insert(at, Stream { ssrc, last_accepted: self.accepted, window });
            }
        }
        self.accepted += 1;
        Ok(())
    }

    /// Removes the stream that was silent longest, if it is idle. Returns where `ssrc` belongs then.
    fn make_room(&mut self, ssrc: u32) -> Result<usize, SrtpError> {
        let oldest = self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.last_accepted);
        match oldest {
            Some((at, stream)) if self.accepted - stream.last_accepted > IDLE_AFTER_PACKETS => {
                self.streams.remove(at);
                Ok(self.position(ssrc).unwrap_or_else(|at| at))
            }
            _ => Err(SrtpError::TableFull),
        }
    }

    fn window(&self, ssrc: u32) -> Option<&ReplayWindow> {
        let at = self.position(ssrc).ok()?;
        self.streams.get(at).map(|stream| &stream.window)
    }

    fn position(&self, ssrc: u32) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&ssrc, |stream| stream.ssrc)
    }
}
