//! What an `Sfu` must never do, judged by the datagrams that it sends.
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

/// Watches every datagram.
///
/// - Nothing but answers to STUN goes to an address that has not proved itself by STUN, and no more answers than requests.
/// - A packet with the SSRC and (extended) sequence number of an earlier one is the same to the last byte: otherwise one SRTP
///   key and index would have been used for two plaintexts. An SRTCP index is used once.
#[derive(Debug, Default)]
pub struct Wire {
    /// The rules broken, in words.
    pub violations: Vec<String>,
    /// The RTP streams sent, by client and SSRC.
    pub streams: BTreeMap<(Option<usize>, u32), Stream>,
    /// Datagrams sent to each client that are neither STUN nor DTLS, in all.
    pub media_datagrams: BTreeMap<Option<usize>, u64>,
    /// The size of the largest datagram sent.
    pub largest: usize,
    proved: BTreeSet<SocketAddr>,
    stun_requests: BTreeMap<SocketAddr, u64>,
    rtcp: BTreeSet<(Option<usize>, u32, [u8; 4])>,
}

/// An RTP stream as it was sent.
#[derive(Debug, Default)]
pub struct Stream {
    /// What was sent under each extended sequence number: a hash of the datagram.
    pub sent: BTreeMap<u64, u64>,
    /// How many were sent again.
    pub repeated: u64,
    /// When the last one was sent.
    pub last_at: Option<Instant>,
    /// The payload type of the last one.
    pub payload_type: u8,
    highest: u64,
}

impl Stream {
    /// The sequence numbers between first and last that were never sent.
    pub fn gaps(&self) -> Vec<u64> {
        let Some((first, _)) = self.sent.first_key_value() else { return Vec::new() };
        (*first..=self.highest).filter(|sequence| !self.sent.contains_key(sequence)).collect()
    }

    fn extend(&self, sequence_number: u16) -> u64 {
        if self.sent.is_empty() {
            // Room below, for what is sent late.
            return 65_536 + u64::from(sequence_number);
        }
        let ahead = sequence_number.wrapping_sub(self.highest as u16) as i16;
        self.highest.saturating_add_signed(i64::from(ahead))
    }
}

impl Wire {
    /// Whether the streams of a payload type to a client have gaps.
    pub fn gaps(&self, host: usize, payload_type: u8) -> Vec<u64> {
        let of_host = self.streams.iter().filter(|((index, _), _)| *index == Some(host));
        of_host
            .filter(|(_, stream)| stream.payload_type == payload_type)
            .flat_map(|(_, stream)| stream.gaps())
            .collect()
    }

    /// RTP and RTCP datagrams sent to a client.
    pub fn media_sent_to(&self, host: usize) -> u64 {
        self.media_datagrams.get(&Some(host)).copied().unwrap_or(0)
    }

    /// A client has sent a datagram, which may be lost.
    pub fn on_client_sent(&mut self, remote: SocketAddr, bytes: &[u8]) {
        if is_stun(bytes) {
            self.proved.insert(remote);
            // It may arrive twice.
            *self.stun_requests.entry(remote).or_default() += 2;
        }
    }

    /// A stranger has sent something that looks like STUN.
    pub fn on_stranger_sent(&mut self, remote: SocketAddr) {
        *self.stun_requests.entry(remote).or_default() += 1;
    }

    pub(super) fn on_sfu_sent(
        &mut self,
        now: Instant,
        host: Option<usize>,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        self.largest = self.largest.max(bytes.len());
        if is_stun(bytes) {
            let requests = self.stun_requests.entry(remote).or_default();
            if *requests == 0 {
                self.violations.push(format!("{remote}: more STUN than was asked for"));
            }
            *requests = requests.saturating_sub(1);
            return;
        }
        if !self.proved.contains(&remote) {
            self.violations.push(format!("{remote}: {} bytes to an address that is not proved", bytes.len()));
        }
        if bytes.first().is_none_or(|first| !(128..192).contains(first)) {
            return;
        }
        *self.media_datagrams.entry(host).or_default() += 1;
        let Some(header) = bytes.first_chunk::<12>() else {
            self.violations.push(format!("{remote}: a short packet"));
            return;
        };
        if (192..224).contains(&header[1]) {
            self.on_rtcp(host, bytes);
        } else {
            self.on_rtp(now, host, header, bytes);
        }
    }

    fn on_rtcp(&mut self, host: Option<usize>, bytes: &[u8]) {
        let (Some(index), Some(header)) = (bytes.last_chunk::<4>(), bytes.first_chunk::<8>()) else { return };
        let ssrc = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        // The index stands at the end in the AEAD profiles (RFC 7714 section 9.2), which all clients here negotiate.
        if !self.rtcp.insert((host, ssrc, *index)) {
            self.violations.push(format!("client {host:?}: SRTCP index {index:?} of {ssrc:#x} used twice"));
        }
    }

    fn on_rtp(&mut self, now: Instant, host: Option<usize>, header: &[u8; 12], bytes: &[u8]) {
        let ssrc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let stream = self.streams.entry((host, ssrc)).or_default();
        let sequence = stream.extend(u16::from_be_bytes([header[2], header[3]]));
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        stream.highest = stream.highest.max(sequence);
        stream.last_at = Some(now);
        stream.payload_type = header[1] & 0x7f;
        match stream.sent.insert(sequence, hash) {
            Some(earlier) if earlier != hash => self
                .violations
                .push(format!("client {host:?}: SRTP index of {ssrc:#x}/{sequence} used for two packets")),
            Some(_) => stream.repeated += 1,
            None => {}
        }
    }
}

/// RFC 7983 section 7.
fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4)
}
