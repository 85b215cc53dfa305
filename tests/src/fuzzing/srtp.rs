//! SRTP and SRTCP against sets of what was accepted.
use std::collections::{BTreeMap, BTreeSet};

use sansfu::srtp::cipher::AwsLcRs;
use sansfu::srtp::{Receiver, Sender, SrtpError, SrtpProfile};

use crate::choices::Choices;

/// What the receiver tells apart behind the highest index.
const WINDOW: u64 = 1_024;
const MAX_STREAMS: usize = 3;
const SSRCS: [u32; 4] = [1, 0xdead_beef, 7, u32::MAX];
const RTP_HEADER_LEN: usize = 12;
const RTCP_HEADER_LEN: usize = 8;
/// Fewer than those after which a silent stream may be replaced, so that a full table stays as it is.
const MAX_PACKETS: usize = 2_000;

/// The indexes accepted of each SSRC: RFC 3711 sections 3.3.1 and 3.3.2 with unlimited memory.
#[derive(Default)]
struct Model {
    streams: BTreeMap<u32, BTreeSet<u64>>,
}

impl Model {
    /// The index that a receiver takes the number for: the nearest to the highest one, of those that exist.
    fn guess(&self, ssrc: u32, number: u16) -> u64 {
        let Some(highest) = self.highest(ssrc) else { return u64::from(number) };
        let rollover = highest >> 16;
        let candidates = [Some(rollover), rollover.checked_sub(1), Some(rollover + 1)];
        let candidates = candidates.into_iter().flatten().filter(|rollover| *rollover <= u64::from(u32::MAX));
        candidates
            .map(|rollover| rollover << 16 | u64::from(number))
            .min_by_key(|index| index.abs_diff(highest))
            .unwrap_or_default()
    }

    fn is_replayed(&self, ssrc: u32, index: u64) -> bool {
        let seen = self.streams.get(&ssrc).is_some_and(|seen| seen.contains(&index));
        seen || self.highest(ssrc).is_some_and(|highest| index + WINDOW <= highest)
    }

    /// What becomes of a packet whose authenticity is known.
    fn receive(&mut self, ssrc: u32, index: u64, authentic: bool) -> Result<(), SrtpError> {
        if self.is_replayed(ssrc, index) {
            return Err(SrtpError::Replayed);
        }
        if !authentic {
            return Err(SrtpError::AuthenticationFailed);
        }
        if !self.streams.contains_key(&ssrc) && self.streams.len() >= MAX_STREAMS {
            return Err(SrtpError::TableFull);
        }
        self.streams.entry(ssrc).or_default().insert(index);
        Ok(())
    }

    fn highest(&self, ssrc: u32) -> Option<u64> {
        self.streams.get(&ssrc)?.last().copied()
    }
}

/// A packet on the wire, and what it was before.
struct Sealed {
    plain: Vec<u8>,
    bytes: Vec<u8>,
    index: u64,
}

struct World {
    sender: Sender,
    receiver: Receiver,
    rtp: Model,
    rtcp: Model,
    sent_rtp: Vec<Sealed>,
    sent_rtcp: Vec<Sealed>,
    /// Where each SSRC's row of numbers stands.
    next: BTreeMap<u32, u64>,
}

/// Packets sent in jumps over rollovers and back, delivered late, twice, damaged and cut, under one of the three profiles.
pub fn srtp(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let profiles = [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];
    let mut world = World::new(input.pick(&profiles));
    for _ in 0..MAX_PACKETS {
        if input.is_exhausted() {
            break;
        }
        match input.range(0, 8) {
            0..=2 => world.send_rtp(&mut input),
            3 => world.send_rtcp(&mut input),
            4..=6 => world.deliver_rtp(&mut input),
            _ => world.deliver_rtcp(&mut input),
        }
        assert_eq!(world.receiver.rtp_stream_count(), world.rtp.streams.len());
    }
}

impl World {
    fn new(profile: SrtpProfile) -> Self {
        let key: Vec<u8> = (0..profile.key_len() as u8).collect();
        let salt: Vec<u8> = (100..100 + profile.salt_len() as u8).collect();
        World {
            sender: Sender::new(&AwsLcRs, profile, &key, &salt).unwrap(),
            receiver: Receiver::new(&AwsLcRs, profile, &key, &salt, MAX_STREAMS).unwrap(),
            rtp: Model::default(),
            rtcp: Model::default(),
            sent_rtp: Vec::new(),
            sent_rtcp: Vec::new(),
            next: BTreeMap::new(),
        }
    }

    /// Seals the packet of an index, which always has the same content, and delivers it unless it is to come later.
    fn send_rtp(&mut self, input: &mut Choices<'_>) {
        let ssrc = input.pick(&SSRCS);
        let next = self.next.entry(ssrc).or_insert_with(|| u64::from(input.u16()));
        let index = match input.range(0, 8) {
            0..=3 => *next,
            4 => *next + u64::from(input.u8()),
            5 => *next + u64::from(input.u16()),
            6 => next.saturating_sub(u64::from(input.range(0, 1_100))),
            _ => *next + 0x8000 - u64::from(input.range(0, 3)),
        };
        *next = (*next).max(index + 1);
        let mut plain = vec![0x80, 96];
        plain.extend((index as u16).to_be_bytes());
        plain.extend((index as u32).to_be_bytes());
        plain.extend(ssrc.to_be_bytes());
        plain.extend((0..index as u8 % 40).map(|at| at ^ ssrc as u8));
        let mut bytes = plain.clone();
        self.sender.protect_rtp(&mut bytes, 0, RTP_HEADER_LEN, index).unwrap();
        assert_eq!(bytes[..RTP_HEADER_LEN], plain[..RTP_HEADER_LEN]);
        self.sent_rtp.push(Sealed { plain, bytes, index });
        if input.percent(70) {
            self.open_rtp(self.sent_rtp.len() - 1, Damage::None);
        }
    }

    fn send_rtcp(&mut self, input: &mut Choices<'_>) {
        let index = self.sent_rtcp.len() as u64;
        let mut plain = vec![0x80, 201, 0, 1];
        plain.extend(input.pick(&SSRCS).to_be_bytes());
        plain.extend(input.bytes(usize::from(index as u8 % 20)));
        let mut bytes = plain.clone();
        self.sender.protect_rtcp(&mut bytes, 0).unwrap();
        assert_eq!(bytes[..RTCP_HEADER_LEN], plain[..RTCP_HEADER_LEN]);
        self.sent_rtcp.push(Sealed { plain, bytes, index });
        if input.percent(70) {
            self.open_rtcp(self.sent_rtcp.len() - 1, Damage::None);
        }
    }

    fn deliver_rtp(&mut self, input: &mut Choices<'_>) {
        if !self.sent_rtp.is_empty() {
            let which = input.range(0, self.sent_rtp.len() as u32) as usize;
            self.open_rtp(which, Damage::choose(input));
        }
    }

    fn deliver_rtcp(&mut self, input: &mut Choices<'_>) {
        if !self.sent_rtcp.is_empty() {
            let which = input.range(0, self.sent_rtcp.len() as u32) as usize;
            self.open_rtcp(which, Damage::choose(input));
        }
    }

    fn open_rtp(&mut self, which: usize, damage: Damage) {
        let sealed = &self.sent_rtp[which];
        let mut bytes = sealed.bytes.clone();
        damage.apply(&mut bytes);
        if bytes.len() < RTP_HEADER_LEN {
            return;
        }
        let (ssrc, number) = (word(&bytes, 8), u16::from_be_bytes([bytes[2], bytes[3]]));
        let guess = self.rtp.guess(ssrc, number);
        let authentic = bytes == sealed.bytes && guess == sealed.index;
        let found = self.receiver.unprotect_rtp(&mut bytes, RTP_HEADER_LEN, ssrc, number);
        if found == Err(SrtpError::TooShort) {
            assert!(matches!(damage, Damage::Cut(_)));
            return;
        }
        assert_eq!(found.map(drop), self.rtp.receive(ssrc, guess, authentic));
        if let Ok((length, index)) = found {
            assert_eq!((&bytes[..length], index), (&sealed.plain[..], sealed.index));
        }
    }

    fn open_rtcp(&mut self, which: usize, damage: Damage) {
        let sealed = &self.sent_rtcp[which];
        let mut bytes = sealed.bytes.clone();
        damage.apply(&mut bytes);
        let unchanged = bytes == sealed.bytes;
        let found = match self.receiver.unprotect_rtcp(&mut bytes) {
            Err(SrtpError::TooShort) => return assert!(matches!(damage, Damage::Cut(_))),
            found => found,
        };
        if unchanged {
            let ssrc = word(&sealed.plain, 4);
            assert_eq!(found.map(drop), self.rtcp.receive(ssrc, sealed.index, true));
        } else {
            // Damaged, it may name an index that is old.
            assert!(matches!(found, Err(SrtpError::AuthenticationFailed | SrtpError::Replayed)));
        }
        if let Ok(length) = found {
            assert_eq!(bytes[..length], sealed.plain);
        }
    }
}

/// What happened to a packet on its way.
#[derive(Clone, Copy)]
enum Damage {
    None,
    Flip { at: u8, bit: u8 },
    Cut(u8),
}

impl Damage {
    fn choose(input: &mut Choices<'_>) -> Self {
        match input.range(0, 6) {
            0 => Damage::Flip { at: input.u8(), bit: input.u8() & 7 },
            1 => Damage::Cut(input.u8()),
            _ => Damage::None,
        }
    }

    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Damage::None => {}
            Damage::Flip { at, bit } => {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= 1 << bit;
            }
            Damage::Cut(count) => bytes.truncate(bytes.len().saturating_sub(usize::from(count))),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
