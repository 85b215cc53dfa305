//! What must hold of everything that a machine with SRTP that protects nothing sends.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use sansfu::sfu::{Deadline, Transmit};

use super::packets::open_rtp;

/// The most that one input may give.
const MAX_OUTPUTS: usize = 5_000;

/// Judges outputs, from one input to the next.
#[derive(Debug, Default)]
pub struct Watch {
    proved: BTreeSet<SocketAddr>,
    /// Where the datagrams since the last drain came from.
    asking: Vec<SocketAddr>,
    /// The RTP packets sent by SSRC and sequence number.
    sent: BTreeMap<(u32, u16), Vec<u8>>,
    last: BTreeMap<u32, u16>,
    /// The SSRCs sent since the last drain.
    pub ssrcs: BTreeSet<u32>,
    outputs: usize,
}

impl Watch {
    /// A datagram is going to be handled.
    pub fn on_datagram(&mut self, remote: SocketAddr) {
        self.asking.push(remote);
    }

    /// The machine has something to send. What is not STUN goes to those only who were told that their STUN was right.
    pub fn on_transmit(&mut self, transmit: &Transmit<'_>) {
        self.on_output();
        let size = transmit.segment_size.unwrap_or(transmit.payload.len());
        assert!(size > 0 && transmit.segment_size.is_none_or(|size| size < transmit.payload.len()));
        for datagram in transmit.payload.chunks(size) {
            match datagram[0] {
                0..=3 => self.on_stun(transmit.remote, datagram),
                20..=63 => assert!(self.proved.contains(&transmit.remote), "DTLS to a stranger"),
                128..=191 => {
                    assert!(self.proved.contains(&transmit.remote), "media to a stranger");
                    if !(192..224).contains(&datagram[1]) {
                        self.on_rtp(open_rtp(datagram));
                    }
                }
                other => panic!("a datagram that begins with {other}"),
            }
        }
    }

    /// The machine has something else to say.
    pub fn on_output(&mut self) {
        self.outputs += 1;
        assert!(self.outputs < MAX_OUTPUTS, "it does not end");
    }

    /// Nothing is queued any more. The deadline lies after the last input or request.
    pub fn on_timeout(&mut self, deadline: Deadline, now: Instant) {
        assert!(deadline.at.is_none_or(|at| at > now), "a deadline that has passed");
        self.asking.clear();
        self.outputs = 0;
    }

    /// The sequence number that was sent last.
    pub fn last_number(&self, ssrc: u32) -> u16 {
        self.last.get(&ssrc).copied().unwrap_or_default()
    }

    /// An answer goes to the one who asked, once.
    fn on_stun(&mut self, remote: SocketAddr, datagram: &[u8]) {
        let asked = self.asking.iter().position(|asking| *asking == remote);
        self.asking.remove(asked.unwrap_or_else(|| panic!("STUN to {remote}, who has not asked")));
        if datagram[..2] == [1, 1] {
            self.proved.insert(remote);
        }
    }

    /// Under one SSRC and number there is one packet only: otherwise one SRTP index would have been used for two plaintexts.
    fn on_rtp(&mut self, packet: &[u8]) {
        let number = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        self.ssrcs.insert(ssrc);
        self.last.insert(ssrc, number);
        let first = self.sent.entry((ssrc, number)).or_insert_with(|| packet.to_vec());
        assert_eq!(first, packet, "two packets under number {number} of {ssrc:#x}");
    }
}
