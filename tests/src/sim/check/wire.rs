//! The rules of what a server may send in datagrams.
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansfu::event::{CloseReason, Event};

use super::Violation;
use super::model::RoomsModel;
use crate::sim::world::{Done, Step, Told};
use crate::stun::Stun;

/// No datagram is longer: an Ethernet frame with room for IPv6 and UDP.
const MAX_DATAGRAM_BYTES: usize = 1_452;

/// The default of `Config::ice_consent_timeout`.
const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How late a timer may fire that is set while others fire.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// Watches every datagram.
///
/// - Nothing but answers to STUN goes to an address that has not proved itself by STUN with the password of a transport that is
///   there, and no more answers than requests; a success answers a request with the right password.
/// - A packet with the SSRC and (extended) sequence number of an earlier one is the same to the last byte: otherwise one SRTP key
///   and index would have been used for two plaintexts. An SRTCP index is used once.
/// - Where nothing is lost on the way to the server, new sequence numbers of an SSRC are one more than the highest before.
/// - Media of a consumer comes only while it may flow.
/// - A transport ends when its client has asked for nothing for as long as consent lasts: neither before nor after.
#[derive(Debug, Default)]
pub struct WireRules {
    /// RTP packets sent that were new.
    pub rtp_packets: u64,
    /// RTP packets sent again under their own numbers.
    pub repeated_packets: u64,
    /// The size of the largest datagram.
    pub largest: usize,
    /// Transports that ended because their clients were silent.
    pub expired: u64,
    /// Whether gaps in outgoing sequence numbers are the server's own making: nothing is lost on the way to it.
    pub expects_no_gaps: bool,
    /// The username fragments with which each address has proved itself: clients that change places use one by turns.
    proved: BTreeMap<SocketAddr, BTreeSet<String>>,
    /// When the last valid request for each transport was answered.
    consents: BTreeMap<String, Instant>,
    /// By the consumer's flow and the SSRC, which in version 2 outlives transports and their keys.
    streams: BTreeMap<(u64, u32), Stream>,
    control_indices: BTreeSet<(u64, u32, [u8; 4])>,
}

/// An RTP stream as it was sent.
#[derive(Debug, Default)]
struct Stream {
    /// What was sent under each extended sequence number: a hash of the datagram.
    sent: BTreeMap<u64, u64>,
    highest: u64,
}

impl WireRules {
    pub(super) fn observe(&mut self, step: &Step<'_>, model: &RoomsModel) -> Result<(), Violation> {
        let mut request = None;
        if let Told::Datagram { remote, bytes } = step.told
            && let Some(stun) = Stun::parse(bytes).filter(Stun::is_binding_request)
        {
            let fragment = stun.fragment().unwrap_or_default().to_owned();
            let valid = model.ice_password(&fragment).is_some_and(|known| stun.is_made_with(known));
            if valid {
                // Not every request with the right password counts: one from another's tuple is ignored until its hold has
                // ended, and one that claims our role is refused.
                let answered = |done: &Done| match done {
                    Done::Datagram { bytes, .. } => {
                        Stun::parse(bytes).is_some_and(|answer| answer.is_success())
                    }
                    _ => false,
                };
                if let Some(transport) = model.transport_of(&fragment)
                    && step.done.iter().any(answered)
                {
                    self.consents.insert(transport.clone(), step.now);
                }
                self.proved.entry(*remote).or_default().insert(fragment);
            }
            request = Some((*remote, stun, valid));
        }
        step.done.iter().try_for_each(|done| match done {
            Done::Datagram { remote, bytes } => self.check(step.now, *remote, bytes, &mut request, model),
            Done::Event(Event::TransportClosed { transport_id, reason: CloseReason::ConsentExpired }) => {
                let core = transport_id.to_string();
                self.check_expiry(step.now, model.core_transports.get(&core).unwrap_or(&core))
            }
            _ => Ok(()),
        })?;
        self.check_overdue(step.now, model)
    }

    /// Whether a transport that is there should have ended.
    fn check_overdue(&mut self, now: Instant, model: &RoomsModel) -> Result<(), Violation> {
        let is_overdue = |last: &Instant| now > *last + CONSENT_TIMEOUT + TIMER_GRAIN;
        let overdue = self.consents.extract_if(.., |_, last| is_overdue(last));
        let mut still_there = overdue.filter(|(id, _)| model.has_transport(id));
        still_there.next().map_or(Ok(()), |(transport, last)| {
            let what = format!("transport {transport}: {:?} after its last request", now - last);
            Err(Violation::new("consent expired too late", what))
        })
    }

    fn check_expiry(&mut self, now: Instant, transport: &str) -> Result<(), Violation> {
        self.expired += 1;
        let last = self.consents.get(transport);
        if last.is_none_or(|last| now >= *last + CONSENT_TIMEOUT) {
            return Ok(());
        }
        let what =
            format!("transport {transport}: {:?} after its last request", last.map(|last| now - *last));
        Err(Violation::new("consent expired too early", what))
    }

    fn check(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        bytes: &[u8],
        request: &mut Option<(SocketAddr, Stun<'_>, bool)>,
        model: &RoomsModel,
    ) -> Result<(), Violation> {
        self.largest = self.largest.max(bytes.len());
        if bytes.len() > MAX_DATAGRAM_BYTES {
            return Err(Violation::new("a datagram too long", format!("{} bytes to {remote}", bytes.len())));
        }
        if bytes[0] < 4 {
            return check_answer(remote, bytes, request.take());
        }
        // The last that a client hears of a transport is that it has ended, by RTCP and by DTLS.
        let mut fragments = self.proved.get(&remote).into_iter().flatten();
        if !fragments.any(|fragment| model.may_hear(fragment, now)) {
            let what = format!("{} bytes ({:#04x}…) to {remote}", bytes.len(), bytes[0]);
            return Err(Violation::new("a datagram to an unproved address", what));
        }
        match bytes[0] {
            128..=191 if bytes.len() < 12 => Err(Violation::new("a short packet", format!("{bytes:02x?}"))),
            128..=191 if (192..=223).contains(&bytes[1]) => self.check_rtcp(bytes, model),
            128..=191 => self.check_rtp(bytes, model),
            20..=63 => Ok(()),
            first => Err(Violation::new("a datagram of no protocol", format!("{first:#04x} to {remote}"))),
        }
    }

    fn check_rtcp(&mut self, bytes: &[u8], model: &RoomsModel) -> Result<(), Violation> {
        let ssrc = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        // The index stands at the end in the AEAD profiles (RFC 7714 section 9.2), which all clients here negotiate.
        let index = [0, 1, 2, 3].map(|n| bytes[bytes.len() - 4 + n]);
        if self.control_indices.insert((model.flow_of(ssrc), ssrc, index)) {
            return Ok(());
        }
        Err(Violation::new("an SRTCP index used twice", format!("{index:?} of {ssrc:#x}")))
    }

    fn check_rtp(&mut self, bytes: &[u8], model: &RoomsModel) -> Result<(), Violation> {
        let ssrc = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let sequence_number = u16::from_be_bytes([bytes[2], bytes[3]]);
        model.check_media(ssrc)?;
        let stream = self.streams.entry((model.flow_of(ssrc), ssrc)).or_default();
        let sequence = stream.extend(sequence_number);
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        match stream.sent.insert(sequence, hash) {
            Some(earlier) if earlier != hash => {
                let what = format!("{ssrc:#x}, sequence number {sequence}");
                return Err(Violation::new("an SRTP index used for two packets", what));
            }
            Some(_) => self.repeated_packets += 1,
            None if self.expects_no_gaps && !stream.is_next(sequence) => {
                let what = format!("{ssrc:#x}: {sequence} after {}", stream.highest);
                return Err(Violation::new("a gap in outgoing sequence numbers", what));
            }
            None => self.rtp_packets += 1,
        }
        stream.highest = stream.highest.max(sequence);
        Ok(())
    }
}

impl Stream {
    /// The first one, or the next.
    fn is_next(&self, sequence: u64) -> bool {
        // A late packet of the source may fill a place that was kept for it.
        self.sent.len() == 1 || sequence <= self.highest + 1
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

fn check_answer(
    remote: SocketAddr,
    bytes: &[u8],
    request: Option<(SocketAddr, Stun<'_>, bool)>,
) -> Result<(), Violation> {
    let Some((asker, asked, valid)) = request.filter(|(asker, ..)| *asker == remote) else {
        return Err(Violation::new("STUN that nobody asked for", format!("to {remote}")));
    };
    let answer = Stun::parse(bytes).filter(|answer| answer.transaction == asked.transaction);
    let Some(answer) = answer else {
        return Err(Violation::new("a STUN answer to another request", format!("to {asker}")));
    };
    if answer.is_success() && !valid {
        return Err(Violation::new("STUN success for a wrong password", format!("to {asker}")));
    }
    Ok(())
}
