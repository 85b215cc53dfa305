//! SRTP and SRTCP (RFC 3711, RFC 7714), written to be plainly right and not to be fast: a packet is a new vector, the replay
//! list is a set of everything that ever came, counter mode is made of blocks. Nothing here is shared with the core.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use sansfu::srtp::SrtpProfile;

/// Length of the tag of AES-GCM and of no protection at all, bytes.
const TAG_LEN: usize = 16;
/// Length of the truncated tag of HMAC-SHA1, bytes.
const HMAC_TAG_LEN: usize = 10;
/// Length of E flag and SRTCP index, bytes.
const WORD_LEN: usize = 4;
/// The E flag (RFC 3711 section 3.4).
const ENCRYPTED: u32 = 1 << 31;
/// What stays readable of RTCP, bytes.
const RTCP_HEADER_LEN: usize = 8;
const BLOCK_LEN: usize = 16;

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpError {
    /// Too short for its own header.
    Malformed,
    /// Not from the peer, or damaged.
    AuthenticationFailed,
    /// It has come before.
    Replayed,
}

/// Both directions of one connection.
#[derive(Debug)]
pub struct Srtp {
    local: Keys,
    remote: Keys,
    /// The highest index sent of each SSRC.
    sent: BTreeMap<u32, u64>,
    next_rtcp_index: u32,
    received: BTreeMap<u32, Stream>,
    received_rtcp: BTreeSet<(u32, u32)>,
}

/// What has come of one SSRC.
#[derive(Debug, Default)]
struct Stream {
    highest: u64,
    seen: BTreeSet<u64>,
}

impl Srtp {
    /// Takes what DTLS exported (RFC 5764 section 4.2), with `profile`; `None`: nothing is protected, and the material not
    /// looked at.
    pub fn new(profile: Option<SrtpProfile>, material: &[u8], is_client: bool) -> Self {
        let [client, server] = match profile {
            None => [(); 2].map(|()| Keys { rtp: Transform::Nothing, rtcp: Transform::Nothing }),
            Some(profile) => {
                let (key_len, salt_len) = lengths(profile);
                let (keys, salts) = material.split_at(2 * key_len);
                [0, 1].map(|end| {
                    let (key, salt) =
                        (&keys[end * key_len..][..key_len], &salts[end * salt_len..][..salt_len]);
                    Keys::derive(profile, key, salt)
                })
            }
        };
        let (local, remote) = if is_client { (client, server) } else { (server, client) };
        Srtp {
            local,
            remote,
            sent: BTreeMap::new(),
            next_rtcp_index: 0,
            received: BTreeMap::new(),
            received_rtcp: BTreeSet::new(),
        }
    }

    /// Protects an RTP packet. A header that claims to be longer than the packet is taken for one without extension, so that
    /// lies can be told.
    ///
    /// # Errors
    /// If there is no header at all.
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let (ssrc, sequence) = position(packet).ok_or(SrtpError::Malformed)?;
        let header_len = header_len(packet).unwrap_or(12);
        let highest = self.sent.get(&ssrc).copied();
        let index = highest.map_or(u64::from(sequence), |highest| nearest_index(highest, sequence));
        self.sent.insert(ssrc, highest.unwrap_or(0).max(index));
        Ok(self.local.rtp.seal_rtp(packet, header_len, ssrc, index))
    }

    /// Protects an RTCP compound.
    ///
    /// # Errors
    /// If it is shorter than its header.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let ssrc = read_u32(packet, 4).ok_or(SrtpError::Malformed)?;
        let index = self.next_rtcp_index;
        self.next_rtcp_index += 1;
        Ok(self.local.rtcp.seal_rtcp(packet, ssrc, index))
    }

    /// Opens an RTP packet.
    ///
    /// # Errors
    /// All of [`SrtpError`]. Nothing has changed then.
    pub fn unprotect_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let (ssrc, sequence) = position(packet).ok_or(SrtpError::Malformed)?;
        let header_len = header_len(packet).ok_or(SrtpError::Malformed)?;
        let known = self.received.get(&ssrc);
        let index = known.map_or(u64::from(sequence), |stream| nearest_index(stream.highest, sequence));
        let opened = self.remote.rtp.open_rtp(packet, header_len, ssrc, index)?;
        let stream = self.received.entry(ssrc).or_default();
        if !stream.seen.insert(index) {
            return Err(SrtpError::Replayed);
        }
        stream.highest = stream.highest.max(index);
        Ok(opened)
    }

    /// Opens an RTCP compound.
    ///
    /// # Errors
    /// All of [`SrtpError`]. Nothing has changed then.
    pub fn unprotect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let ssrc = read_u32(packet, 4).ok_or(SrtpError::Malformed)?;
        let (opened, index) = self.remote.rtcp.open_rtcp(packet, ssrc)?;
        if self.received_rtcp.insert((ssrc, index)) { Ok(opened) } else { Err(SrtpError::Replayed) }
    }

    /// The SSRCs that were sent.
    pub fn sent_ssrcs(&self) -> impl Iterator<Item = u32> {
        self.sent.keys().copied()
    }

    /// The SSRCs that have come.
    pub fn received_ssrcs(&self) -> impl Iterator<Item = u32> {
        self.received.keys().copied()
    }
}

/// The session keys of one direction.
#[derive(Debug)]
struct Keys {
    rtp: Transform,
    rtcp: Transform,
}

impl Keys {
    /// RFC 3711 section 4.3.2: labels 0 to 2 for RTP, 3 to 5 for RTCP.
    fn derive(profile: SrtpProfile, master_key: &[u8], master_salt: &[u8]) -> Self {
        let derivation = block_cipher(master_key);
        let transform = |first_label: u8| {
            let derive =
                |label: u8, length| derive_key(&derivation, master_salt, first_label + label, length);
            let (key_len, salt_len) = lengths(profile);
            let (key, salt) = (derive(0, key_len), derive(2, salt_len));
            match profile {
                SrtpProfile::Aes128CmSha1_80 => Transform::counter_hmac(&key, &derive(1, 20), &salt),
                SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => Transform::gcm(&key, &salt),
            }
        };
        Keys { rtp: transform(0), rtcp: transform(3) }
    }
}

/// How packets are protected.
enum Transform {
    /// RFC 7714.
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    /// RFC 3711 sections 4.1.1 and 4.2.1.
    CounterHmac { cipher: Box<EncryptingKey>, mac: Box<hmac::Key>, salt: [u8; 14] },
    /// The shape of AES-GCM with a tag of zeros.
    Nothing,
}

impl Transform {
    fn gcm(key: &[u8], salt: &[u8]) -> Self {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).expect("the length of the algorithm"));
        Transform::Gcm { key, salt: salt.try_into().expect("12 bytes") }
    }

    fn counter_hmac(key: &[u8], mac_key: &[u8], salt: &[u8]) -> Self {
        let cipher = Box::new(block_cipher(key));
        let mac = Box::new(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, mac_key));
        Transform::CounterHmac { cipher, mac, salt: salt.try_into().expect("14 bytes") }
    }

    fn seal_rtp(&self, packet: &[u8], header_len: usize, ssrc: u32, index: u64) -> Vec<u8> {
        let (header, payload) = packet.split_at(header_len);
        match self {
            Transform::Gcm { key, salt } => {
                let text = gcm_seal(key, nonce(salt, ssrc, index), header, payload);
                [header, &text].concat()
            }
            Transform::CounterHmac { cipher, mac, salt } => {
                let text = [header, &counter_mode(cipher, start(salt, ssrc, index), payload)].concat();
                let tag = hmac::sign(mac, &[&text[..], &rollover(index)].concat());
                [&text, &tag.as_ref()[..HMAC_TAG_LEN]].concat()
            }
            Transform::Nothing => [packet, &[0; TAG_LEN]].concat(),
        }
    }

    fn open_rtp(
        &self,
        packet: &[u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<Vec<u8>, SrtpError> {
        let plain_len = packet.len().checked_sub(self.tag_len()).filter(|length| *length >= header_len);
        let plain_len = plain_len.ok_or(SrtpError::Malformed)?;
        let (header, rest) = packet.split_at(header_len);
        match self {
            Transform::Gcm { key, salt } => {
                let text = gcm_open(key, nonce(salt, ssrc, index), header, rest)?;
                Ok([header, &text].concat())
            }
            Transform::CounterHmac { cipher, mac, salt } => {
                let (text, tag) = packet.split_at(plain_len);
                verify(mac, &[text, &rollover(index)].concat(), tag)?;
                let payload = counter_mode(cipher, start(salt, ssrc, index), &text[header_len..]);
                Ok([header, &payload].concat())
            }
            Transform::Nothing => Ok(packet[..plain_len].to_vec()),
        }
    }

    fn seal_rtcp(&self, packet: &[u8], ssrc: u32, index: u32) -> Vec<u8> {
        let (header, rest) = packet.split_at(RTCP_HEADER_LEN);
        let word = (ENCRYPTED | index).to_be_bytes();
        match self {
            Transform::Gcm { key, salt } => {
                let additional = [header, &word].concat();
                let text = gcm_seal(key, nonce(salt, ssrc, index.into()), &additional, rest);
                [header, &text, &word].concat()
            }
            Transform::CounterHmac { cipher, mac, salt } => {
                let text = counter_mode(cipher, start(salt, ssrc, index.into()), rest);
                let text = [header, &text, &word].concat();
                let tag = hmac::sign(mac, &text);
                [&text, &tag.as_ref()[..HMAC_TAG_LEN]].concat()
            }
            Transform::Nothing => [packet, &[0; TAG_LEN], &word].concat(),
        }
    }

    /// Opens an encrypted compound; gives its index too. One that is only authenticated is refused: nobody here makes them.
    fn open_rtcp(&self, packet: &[u8], ssrc: u32) -> Result<(Vec<u8>, u32), SrtpError> {
        let least = RTCP_HEADER_LEN + self.tag_len() + WORD_LEN;
        if packet.len() < least {
            return Err(SrtpError::Malformed);
        }
        let word_at = match self {
            Transform::CounterHmac { .. } => packet.len() - HMAC_TAG_LEN - WORD_LEN,
            Transform::Gcm { .. } | Transform::Nothing => packet.len() - WORD_LEN,
        };
        let word = read_u32(packet, word_at).ok_or(SrtpError::Malformed)?;
        if word & ENCRYPTED == 0 {
            return Err(SrtpError::Malformed);
        }
        let index = word & !ENCRYPTED;
        let (header, text) = packet[..word_at].split_at(RTCP_HEADER_LEN);
        let text = match self {
            Transform::Gcm { key, salt } => {
                let additional = [header, &word.to_be_bytes()].concat();
                gcm_open(key, nonce(salt, ssrc, index.into()), &additional, text)?
            }
            Transform::CounterHmac { cipher, mac, salt } => {
                let (signed, tag) = packet.split_at(word_at + WORD_LEN);
                verify(mac, signed, tag)?;
                counter_mode(cipher, start(salt, ssrc, index.into()), text)
            }
            Transform::Nothing => text[..text.len() - TAG_LEN].to_vec(),
        };
        Ok(([header, &text].concat(), index))
    }

    fn tag_len(&self) -> usize {
        match self {
            Transform::CounterHmac { .. } => HMAC_TAG_LEN,
            Transform::Gcm { .. } | Transform::Nothing => TAG_LEN,
        }
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transform::Gcm { .. } => "Gcm",
            Transform::CounterHmac { .. } => "CounterHmac",
            Transform::Nothing => "Nothing",
        })
    }
}

/// RFC 3550 section 5.1: fixed header, contributing sources and extension, in bytes; `None` if they do not fit.
pub(super) fn header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (length <= packet.len()).then_some(length)
}

/// Lengths of master key and master salt, bytes (RFC 5764 section 4.1.2, RFC 7714 section 12).
fn lengths(profile: SrtpProfile) -> (usize, usize) {
    match profile {
        SrtpProfile::Aes128CmSha1_80 => (16, 14),
        SrtpProfile::AeadAes128Gcm => (16, 12),
        SrtpProfile::AeadAes256Gcm => (32, 12),
    }
}

fn position(packet: &[u8]) -> Option<(u32, u16)> {
    let sequence = packet.get(2..4)?.try_into().ok().map(u16::from_be_bytes)?;
    Some((read_u32(packet, 8)?, sequence))
}

/// RFC 3711 section 3.3.1 and appendix A: the index with that sequence number that is nearest to the highest one; at the same
/// distance, the one with the same rollover counter. None is below zero.
fn nearest_index(highest: u64, sequence: u16) -> u64 {
    let rollover = highest >> 16;
    let candidates = [Some(rollover), rollover.checked_sub(1), Some(rollover + 1)];
    let indexes = candidates.into_iter().flatten().map(|counter| counter << 16 | u64::from(sequence));
    indexes.min_by_key(|index| index.abs_diff(highest)).unwrap_or(u64::from(sequence))
}

fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// RFC 3711 section 4.3.1 with a key derivation rate of 0, and section 4.3.3: the label is the seventh byte from the right of a
/// salt of 14 bytes. Salts of 12 bytes are filled up with zeros (RFC 7714 section 11).
fn derive_key(cipher: &EncryptingKey, master_salt: &[u8], label: u8, length: usize) -> Vec<u8> {
    let mut salt = [0; 14];
    salt[..master_salt.len()].copy_from_slice(master_salt);
    salt[7] ^= label;
    counter_mode(cipher, start(&salt, 0, 0), &vec![0; length])
}

/// RFC 3711 section 4.1.1: `(salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16)`.
fn start(salt: &[u8; 14], ssrc: u32, index: u64) -> u128 {
    let mut block = [0; BLOCK_LEN];
    block[..14].copy_from_slice(salt);
    u128::from_be_bytes(block) ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16
}

/// RFC 3711 section 4.1.1: each block of text combined with the encrypted number of the block.
fn counter_mode(cipher: &EncryptingKey, start: u128, text: &[u8]) -> Vec<u8> {
    let blocks = text.len().div_ceil(BLOCK_LEN) as u128;
    let mut stream: Vec<u8> = (0..blocks).flat_map(|at| start.wrapping_add(at).to_be_bytes()).collect();
    cipher.encrypt(&mut stream).expect("whole blocks");
    text.iter().zip(stream).map(|(byte, key)| byte ^ key).collect()
}

/// AES of single blocks, with a key of 16 or 32 bytes.
fn block_cipher(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = UnboundCipherKey::new(algorithm, key).expect("the length of the algorithm");
    EncryptingKey::ecb(key).expect("a block cipher")
}

/// RFC 7714 sections 8.1 and 9.1: two zero bytes, SSRC, and the index in 48 bits, combined with the salt.
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut nonce = *salt;
    let place = [&[0, 0], &ssrc.to_be_bytes()[..], &index.to_be_bytes()[2..]].concat();
    nonce.iter_mut().zip(place).for_each(|(byte, place)| *byte ^= place);
    Nonce::assume_unique_for_key(nonce)
}

fn gcm_seal(key: &LessSafeKey, nonce: Nonce, additional: &[u8], text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(additional), &mut text).expect("not too long");
    text
}

fn gcm_open(key: &LessSafeKey, nonce: Nonce, additional: &[u8], text: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut text = text.to_vec();
    let opened = key.open_in_place(nonce, Aad::from(additional), &mut text);
    opened.map(|text| text.to_vec()).map_err(|_| SrtpError::AuthenticationFailed)
}

fn verify(mac: &hmac::Key, text: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
    let expected = hmac::sign(mac, text);
    if expected.as_ref()[..HMAC_TAG_LEN] == *tag { Ok(()) } else { Err(SrtpError::AuthenticationFailed) }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
