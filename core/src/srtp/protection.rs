//! The two families of transforms, AEAD (RFC 7714) and AES counter mode with HMAC (RFC 3711), under the session keys of one
//! direction of either RTP or RTCP.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::cipher::{
    Aead, Authenticator, COUNTER_BLOCK_LEN, CounterMode, CryptoProvider, GCM_NONCE_LEN, GCM_TAG_LEN,
};
use super::{SrtpError, SrtpProfile};

/// Length of the truncated HMAC-SHA1 tag of the `_80` profile, bytes.
pub(super) const HMAC_TAG_LEN: usize = 10;

/// Length of the word that carries the E flag and the SRTCP index, bytes.
pub(super) const RTCP_INDEX_LEN: usize = 4;

/// The E flag: this SRTCP packet is encrypted (RFC 3711 section 3.4).
pub(super) const RTCP_ENCRYPTED: u32 = 1 << 31;

/// The part of an RTCP packet that stays readable: its first header and the sender's SSRC.
pub(super) const RTCP_HEADER_LEN: usize = 8;

/// Length of the session authentication key of HMAC-SHA1, bytes (RFC 3711 section 5.2).
const HMAC_KEY_LEN: usize = 20;

/// Length of the session salt as counter mode uses it, bytes.
const COUNTER_SALT_LEN: usize = 14;

/// For which packets session keys are derived: the labels of RFC 3711 section 4.3.2.
#[derive(Debug, Clone, Copy)]
pub(super) enum Usage {
    Rtp,
    Rtcp,
}

/// The ciphers of one usage with their session salt.
pub(super) enum Protection {
    Aead { cipher: Box<dyn Aead>, salt: [u8; GCM_NONCE_LEN] },
    CounterHmac { cipher: Box<dyn CounterMode>, mac: Box<dyn Authenticator>, salt: [u8; COUNTER_SALT_LEN] },
}

impl Protection {
    /// Derives the session keys of `usage` from the master key and salt (RFC 3711 section 4.3, key derivation rate 0).
    pub(super) fn derive(
        crypto: &dyn CryptoProvider,
        profile: SrtpProfile,
        master_key: &[u8],
        master_salt: &[u8],
        usage: Usage,
    ) -> Option<Self> {
        if master_key.len() != profile.key_len() || master_salt.len() != profile.salt_len() {
            return None;
        }
        let derivation = crypto.aes_counter(master_key)?;
        let first_label = match usage {
            Usage::Rtp => 0,
            Usage::Rtcp => 3,
        };
        let derive = |label: u8, out: &mut [u8]| {
            derive_key(derivation.as_ref(), master_salt, first_label + label, out).then_some(())
        };
        let mut key = [0; 32];
        let key = key.get_mut(..profile.key_len())?;
        derive(0, key)?;
        match profile {
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => {
                let mut salt = [0; GCM_NONCE_LEN];
                derive(2, &mut salt)?;
                Self::aead(crypto, key, salt)
            }
            SrtpProfile::Aes128CmSha1_80 => {
                let (mut mac_key, mut salt) = ([0; HMAC_KEY_LEN], [0; COUNTER_SALT_LEN]);
                derive(1, &mut mac_key)?;
                derive(2, &mut salt)?;
                let (cipher, mac) = (crypto.aes_counter(key)?, crypto.hmac_sha1(&mac_key)?);
                Some(Self::CounterHmac { cipher, mac, salt })
            }
        }
    }

    /// AEAD under a session key and salt.
    pub(super) fn aead(crypto: &dyn CryptoProvider, key: &[u8], salt: [u8; GCM_NONCE_LEN]) -> Option<Self> {
        Some(Self::Aead { cipher: crypto.aes_gcm(key)?, salt })
    }

    /// Encrypts the payload of the RTP packet at `start` and appends the tag.
    pub(super) fn seal_rtp(
        &self,
        buf: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        index: u64,
    ) -> Result<(), SrtpError> {
        let packet = buf.get_mut(start..).ok_or(SrtpError::TooShort)?;
        let ssrc = read_u32(packet, 8).ok_or(SrtpError::TooShort)?;
        let (header, payload) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
        match self {
            Self::Aead { cipher, salt } => {
                let nonce = gcm_rtp_nonce(salt, ssrc, index);
                let tag = cipher.seal(&nonce, header, payload).ok_or(SrtpError::CipherFailed)?;
                buf.extend_from_slice(&tag);
            }
            Self::CounterHmac { cipher, mac, salt } => {
                apply(cipher.as_ref(), &counter_block(salt, ssrc, index), payload)?;
                let tag = mac.tag(packet, &rollover(index));
                buf.extend_from_slice(tag.get(..HMAC_TAG_LEN).unwrap_or(&[]));
            }
        }
        Ok(())
    }

    /// Authenticates and decrypts an RTP packet in place. Returns the length of header and payload, bytes.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let plain_len = packet.len().checked_sub(self.tag_len()).ok_or(SrtpError::TooShort)?;
        if plain_len < header_len {
            return Err(SrtpError::TooShort);
        }
        match self {
            Self::Aead { cipher, salt } => {
                let (header, text) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
                if !cipher.open(&gcm_rtp_nonce(salt, ssrc, index), header, text) {
                    return Err(SrtpError::AuthenticationFailed);
                }
            }
            Self::CounterHmac { cipher, mac, salt } => {
                let (text, tag) = packet.split_at_mut_checked(plain_len).ok_or(SrtpError::TooShort)?;
                verify(&mac.tag(text, &rollover(index)), tag)?;
                let payload = text.get_mut(header_len..).ok_or(SrtpError::TooShort)?;
                apply(cipher.as_ref(), &counter_block(salt, ssrc, index), payload)?;
            }
        }
        Ok(plain_len)
    }

    /// Encrypts the RTCP compound at `start` behind its first header and appends what SRTCP appends.
    pub(super) fn seal_rtcp(&self, buf: &mut Vec<u8>, start: usize, index: u32) -> Result<(), SrtpError> {
        let packet = buf.get_mut(start..).ok_or(SrtpError::TooShort)?;
        let ssrc = read_u32(packet, 4).ok_or(SrtpError::TooShort)?;
        let (header, text) = packet.split_at_mut_checked(RTCP_HEADER_LEN).ok_or(SrtpError::TooShort)?;
        let word = (RTCP_ENCRYPTED | index).to_be_bytes();
        match self {
            Self::Aead { cipher, salt } => {
                let additional = rtcp_additional(header, &word);
                let nonce = gcm_rtcp_nonce(salt, ssrc, index);
                let tag = cipher.seal(&nonce, &additional, text).ok_or(SrtpError::CipherFailed)?;
                buf.extend_from_slice(&tag);
                buf.extend_from_slice(&word);
            }
            Self::CounterHmac { cipher, mac, salt } => {
                apply(cipher.as_ref(), &counter_block(salt, ssrc, index.into()), text)?;
                let tag = mac.tag(packet, &word);
                buf.extend_from_slice(&word);
                buf.extend_from_slice(tag.get(..HMAC_TAG_LEN).unwrap_or(&[]));
            }
        }
        Ok(())
    }

    /// Authenticates and decrypts an SRTCP packet in place. Returns the length of the RTCP compound, bytes.
    pub(super) fn open_rtcp(&self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let RtcpTrailer { ssrc, word, plain_len } = self.rtcp_trailer(packet)?;
        let (encrypted, index) = (word & RTCP_ENCRYPTED != 0, word & !RTCP_ENCRYPTED);
        let word = word.to_be_bytes();
        match self {
            Self::Aead { cipher, salt } => {
                let nonce = gcm_rtcp_nonce(salt, ssrc, index);
                if !encrypted {
                    return open_tagged_rtcp(cipher.as_ref(), &nonce, packet, plain_len);
                }
                let protected = packet.get_mut(..plain_len + GCM_TAG_LEN).ok_or(SrtpError::TooShort)?;
                let (header, text) =
                    protected.split_at_mut_checked(RTCP_HEADER_LEN).ok_or(SrtpError::TooShort)?;
                if !cipher.open(&nonce, &rtcp_additional(header, &word), text) {
                    return Err(SrtpError::AuthenticationFailed);
                }
            }
            Self::CounterHmac { cipher, mac, salt } => {
                let (text, trailer) = packet.split_at_mut_checked(plain_len).ok_or(SrtpError::TooShort)?;
                verify(&mac.tag(text, &word), trailer.get(RTCP_INDEX_LEN..).unwrap_or(&[]))?;
                if encrypted {
                    let text = text.get_mut(RTCP_HEADER_LEN..).ok_or(SrtpError::TooShort)?;
                    apply(cipher.as_ref(), &counter_block(salt, ssrc, index.into()), text)?;
                }
            }
        }
        Ok(plain_len)
    }

    /// What an SRTCP packet says about itself before anything of it is proved.
    pub(super) fn rtcp_trailer(&self, packet: &[u8]) -> Result<RtcpTrailer, SrtpError> {
        let trailer_len = self.tag_len() + RTCP_INDEX_LEN;
        let plain_len = packet.len().checked_sub(trailer_len).ok_or(SrtpError::TooShort)?;
        if plain_len < RTCP_HEADER_LEN {
            return Err(SrtpError::TooShort);
        }
        let word_at = match self {
            Self::Aead { .. } => plain_len + GCM_TAG_LEN,
            Self::CounterHmac { .. } => plain_len,
        };
        let ssrc = read_u32(packet, 4).ok_or(SrtpError::TooShort)?;
        let word = read_u32(packet, word_at).ok_or(SrtpError::TooShort)?;
        Ok(RtcpTrailer { ssrc, word, plain_len })
    }

    fn tag_len(&self) -> usize {
        match self {
            Self::Aead { .. } => GCM_TAG_LEN,
            Self::CounterHmac { .. } => HMAC_TAG_LEN,
        }
    }
}

/// The unproved claims of an SRTCP packet.
pub(super) struct RtcpTrailer {
    /// Sender of the first packet of the compound.
    pub(super) ssrc: u32,
    /// E flag and index.
    pub(super) word: u32,
    /// Length of the compound without what SRTCP appended, bytes.
    pub(super) plain_len: usize,
}

/// RFC 7714 section 9.3: of a packet that is only tagged, everything is additional data, index included. To have that in one
/// piece, index and tag change places.
fn open_tagged_rtcp(
    cipher: &dyn Aead,
    nonce: &[u8; GCM_NONCE_LEN],
    packet: &mut [u8],
    plain_len: usize,
) -> Result<usize, SrtpError> {
    packet.get_mut(plain_len..).ok_or(SrtpError::TooShort)?.rotate_right(RTCP_INDEX_LEN);
    let (additional, tag) =
        packet.split_at_mut_checked(plain_len + RTCP_INDEX_LEN).ok_or(SrtpError::TooShort)?;
    if cipher.open(nonce, additional, tag) { Ok(plain_len) } else { Err(SrtpError::AuthenticationFailed) }
}

/// RFC 3711 section 4.3.3: the key stream of AES counter mode under the master key, started at salt and label.
/// Salts of 12 bytes are extended with zeros on the right (RFC 7714 section 11).
fn derive_key(cipher: &dyn CounterMode, master_salt: &[u8], label: u8, out: &mut [u8]) -> bool {
    let mut block = [0; COUNTER_BLOCK_LEN];
    for (to, from) in block.iter_mut().zip(master_salt) {
        *to = *from;
    }
    block[7] ^= label;
    out.fill(0);
    cipher.apply(&block, out)
}

/// RFC 3711 section 4.1.1.
fn counter_block(salt: &[u8; COUNTER_SALT_LEN], ssrc: u32, index: u64) -> [u8; COUNTER_BLOCK_LEN] {
    let salt_bits = salt.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    (salt_bits << 16 ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16).to_be_bytes()
}

/// RFC 7714 section 8.1: 16 zero bits, SSRC, rollover counter and sequence number, combined with the salt.
fn gcm_rtp_nonce(salt: &[u8; GCM_NONCE_LEN], ssrc: u32, index: u64) -> [u8; GCM_NONCE_LEN] {
    gcm_nonce(salt, u128::from(ssrc) << 48 | u128::from(index))
}

/// RFC 7714 section 9.1: 16 zero bits, SSRC, 16 zero bits and the index, combined with the salt.
fn gcm_rtcp_nonce(salt: &[u8; GCM_NONCE_LEN], ssrc: u32, index: u32) -> [u8; GCM_NONCE_LEN] {
    gcm_nonce(salt, u128::from(ssrc) << 48 | u128::from(index))
}

fn gcm_nonce(salt: &[u8; GCM_NONCE_LEN], value: u128) -> [u8; GCM_NONCE_LEN] {
    let value = value.to_be_bytes();
    std::array::from_fn(|at| salt[at] ^ value[at + 4])
}

/// RFC 7714 section 9.2: the readable header, then the word of E flag and index.
fn rtcp_additional(header: &[u8], word: &[u8; RTCP_INDEX_LEN]) -> [u8; RTCP_HEADER_LEN + RTCP_INDEX_LEN] {
    let mut additional = [0; RTCP_HEADER_LEN + RTCP_INDEX_LEN];
    for (to, from) in additional.iter_mut().zip(header.iter().chain(word)) {
        *to = *from;
    }
    additional
}

/// The rollover counter, which is authenticated behind the packet (RFC 3711 section 4.2).
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn apply(
    cipher: &dyn CounterMode,
    start: &[u8; COUNTER_BLOCK_LEN],
    text: &mut [u8],
) -> Result<(), SrtpError> {
    if cipher.apply(start, text) { Ok(()) } else { Err(SrtpError::CipherFailed) }
}

fn verify(expected: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
    let expected = expected.get(..HMAC_TAG_LEN).unwrap_or(expected);
    verify_slices_are_equal(expected, tag).map_err(|_| SrtpError::AuthenticationFailed)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
