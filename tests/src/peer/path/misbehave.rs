//! Datagrams that no honest client sends.

use std::ops::RangeInclusive;
use std::time::Instant;

use rand::Rng as _;

use super::checks::Purpose;
use super::lies;
use super::stun::binding_indication;
use super::{Path, Srtp, SrtpError};

/// The longest UDP datagram over IPv4, bytes.
const MAX_DATAGRAM_LEN: usize = 65_507;

/// The first bytes of each protocol of RFC 7983 section 7, and of what belongs to none.
const CLASSES: [RangeInclusive<u8>; 8] =
    [0..=3, 4..=15, 16..=19, 20..=63, 64..=79, 80..=127, 128..=191, 192..=255];

/// What a path can be made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// A check with another password: to be refused with 401.
    WrongPassword,
    /// A check for another username fragment: not to be answered with success.
    WrongUsername,
    /// A check in the role that is the server's: to be refused with 487.
    RoleConflict,
    /// A check with the credentials from before the last restart; nothing if there was none.
    OldCredentials,
    /// A binding indication: not to be answered.
    StunIndication,
    /// Up to eight of the last datagrams once more.
    ReplayOld,
    /// Up to eight of the last datagrams, cut short or with flipped bits.
    TruncatedOwn,
    /// Random bytes for each protocol that is told by the first byte in turn.
    Flood {
        /// How many datagrams.
        count: u32,
    },
    /// A datagram as long as there can be.
    HugeDatagram,
    /// A new ClientHello, and no answer to what comes of it.
    HalfOpenHandshake,
    /// RTP under the right key that is broken or belongs to nothing. It may make this path's own streams unintelligible, and
    /// use an index of theirs twice.
    RtpLies,
    /// RTCP under the right key that is broken or untrue.
    RtcpLies,
}

impl Misbehaviour {
    /// One of each.
    pub const ALL: [Misbehaviour; 12] = [
        Misbehaviour::WrongPassword,
        Misbehaviour::WrongUsername,
        Misbehaviour::RoleConflict,
        Misbehaviour::OldCredentials,
        Misbehaviour::StunIndication,
        Misbehaviour::ReplayOld,
        Misbehaviour::TruncatedOwn,
        Misbehaviour::Flood { count: 16 },
        Misbehaviour::HugeDatagram,
        Misbehaviour::HalfOpenHandshake,
        Misbehaviour::RtpLies,
        Misbehaviour::RtcpLies,
    ];
}

/// The caller's choices.
pub(super) struct Draw<'a>(pub(super) &'a mut dyn FnMut(u32) -> u32);

impl Draw<'_> {
    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.0)(bound as u32) as usize % bound
    }

    /// One of `choices`, of which there is one at least.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Any number.
    pub(super) fn any(&mut self) -> u32 {
        (self.0)(1 << 16) << 16 | (self.0)(1 << 16) & 0xffff
    }
}

impl Path {
    /// Sends something hostile. `draw` makes the choices: it is given a bound and gives a number below it. Bytes in bulk follow
    /// from the seed.
    pub fn misbehave(&mut self, now: Instant, misbehaviour: &Misbehaviour, draw: &mut dyn FnMut(u32) -> u32) {
        let mut draw = Draw(draw);
        match misbehaviour {
            Misbehaviour::WrongPassword => self.send_forged_check(true),
            Misbehaviour::WrongUsername => self.send_forged_check(false),
            Misbehaviour::RoleConflict => {
                let request = self.checks.request();
                let bytes = self.checks.register_controlled(&request);
                self.send_hostile(bytes);
            }
            Misbehaviour::OldCredentials => {
                if let Some(request) = self.checks.old_request() {
                    let bytes = self.checks.register(&request, Purpose::Any);
                    self.send_hostile(bytes);
                }
            }
            Misbehaviour::StunIndication => {
                let transaction = self.checks.request().transaction;
                self.send_hostile(binding_indication(transaction));
            }
            Misbehaviour::ReplayOld => self.repeat(&mut draw, |bytes, _| bytes),
            Misbehaviour::TruncatedOwn => self.repeat(&mut draw, mangle),
            Misbehaviour::Flood { count } => {
                for class in CLASSES.iter().cycle().take(*count as usize) {
                    let length = 1 + draw.below(1_400);
                    self.send_random(class, length, &mut draw);
                }
            }
            Misbehaviour::HugeDatagram => {
                let class = &CLASSES[draw.below(CLASSES.len())];
                self.send_random(class, MAX_DATAGRAM_LEN, &mut draw);
            }
            Misbehaviour::HalfOpenHandshake => {
                let seed = self.hostile_rng.next_u64();
                for packet in self.association.abandoned_hello(now, seed) {
                    self.send_hostile(packet);
                }
            }
            Misbehaviour::RtpLies => {
                let lies = lies::rtp(&mut draw, self.srtp.as_ref());
                self.send_lies(lies, Srtp::protect_rtp);
            }
            Misbehaviour::RtcpLies => {
                let lies = lies::rtcp(&mut draw, self.srtp.as_ref());
                self.send_lies(lies, Srtp::protect_rtcp);
            }
        }
    }

    fn send_forged_check(&mut self, is_password_wrong: bool) {
        let mut request = self.checks.request();
        if is_password_wrong {
            request.password = request.password.map(|password| format!("not {password}"));
        } else {
            request.username = format!("not{}", request.username);
        }
        let bytes = self.checks.register(&request, Purpose::Forged);
        self.send_hostile(bytes);
    }

    fn repeat(&mut self, draw: &mut Draw<'_>, change: impl Fn(Vec<u8>, &mut Draw<'_>) -> Vec<u8>) {
        if self.kept.is_empty() {
            return;
        }
        for _ in 0..=draw.below(8) {
            let bytes = self.kept[draw.below(self.kept.len())].clone();
            let changed = change(bytes, draw);
            self.send_hostile(changed);
        }
    }

    fn send_random(&mut self, class: &RangeInclusive<u8>, length: usize, draw: &mut Draw<'_>) {
        let mut bytes = vec![0; length];
        self.hostile_rng.fill_bytes(&mut bytes);
        bytes[0] = class.start() + draw.below(class.len()) as u8;
        // Half of what looks like STUN at first has its cookie and its length, so that it is read further.
        if class.contains(&0) && length >= 20 && draw.below(2) == 0 {
            let attributes_len = (length - 20) & !3;
            bytes.truncate(20 + attributes_len);
            bytes[2..4].copy_from_slice(&(attributes_len as u16).to_be_bytes());
            bytes[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
        }
        self.send_hostile(bytes);
    }

    fn send_lies(
        &mut self,
        lies: Vec<Vec<u8>>,
        protect: impl Fn(&mut Srtp, &[u8]) -> Result<Vec<u8>, SrtpError>,
    ) {
        for lie in lies {
            if let Some(Ok(bytes)) = self.srtp.as_mut().map(|srtp| protect(srtp, &lie)) {
                self.send_hostile(bytes);
            } else {
                self.stats.unsent_without_keys += 1;
            }
        }
    }

    /// Unlike what is sent in good faith, it is not kept.
    fn send_hostile(&mut self, bytes: Vec<u8>) {
        self.stats.hostile_sent += 1;
        self.transmit(bytes);
    }
}

fn mangle(mut bytes: Vec<u8>, draw: &mut Draw<'_>) -> Vec<u8> {
    if draw.below(2) == 0 {
        bytes.truncate(draw.below(bytes.len()));
    } else {
        for _ in 0..=draw.below(4) {
            let at = draw.below(bytes.len());
            bytes[at] ^= 1 << draw.below(8);
        }
    }
    bytes
}
