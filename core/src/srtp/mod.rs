//! SRTP and SRTCP (RFC 3711, RFC 7714) with keys from DTLS (RFC 5764).
//!
//! A [`Sender`] seals packets in place at the end of a buffer that the caller reuses; a [`Receiver`] opens them in place.
//! Key schedules are set up once, when a context is made; nothing allocates per packet.
//!
//! Invariant: a [`Receiver`] creates or moves the state of a stream only after the packet was authenticated, so that what
//! an outsider sends can neither fill its table nor move a window.

pub mod cipher;
mod protection;
mod receive;
mod replay;
mod send;
#[cfg(test)]
mod tests;

use std::fmt;

pub use receive::{DEFAULT_MAX_STREAMS, Receiver};
pub use send::Sender;

use cipher::CryptoProvider;

/// The transforms that are negotiated with DTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SrtpProfile {
    /// AES-128 in counter mode with an HMAC-SHA1 tag of 80 bits (RFC 5764 section 4.1.2).
    Aes128CmSha1_80,
    /// AES-128 in Galois/counter mode (RFC 7714 section 14.2).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714 section 14.2).
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// The profile with this number in the IANA registry of DTLS-SRTP protection profiles; `None` for the many others.
    pub fn from_protection_profile(number: u16) -> Option<Self> {
        [Self::Aes128CmSha1_80, Self::AeadAes128Gcm, Self::AeadAes256Gcm]
            .into_iter()
            .find(|profile| profile.protection_profile() == number)
    }

    /// The number in the IANA registry of DTLS-SRTP protection profiles.
    pub fn protection_profile(self) -> u16 {
        match self {
            Self::Aes128CmSha1_80 => 0x0001,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// Length of the master key and of the session encryption key, bytes.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Length of the master salt, bytes.
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// How many bytes sealing adds to an RTP packet.
    pub fn rtp_overhead_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => protection::HMAC_TAG_LEN,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => cipher::GCM_TAG_LEN,
        }
    }

    /// How many bytes sealing adds to an RTCP compound.
    pub fn rtcp_overhead_len(self) -> usize {
        self.rtp_overhead_len() + protection::RTCP_INDEX_LEN
    }
}

/// Both directions of one connection.
#[derive(Debug)]
pub struct SrtpContexts {
    /// What goes to the peer.
    pub sender: Sender,
    /// What comes from the peer.
    pub receiver: Receiver,
}

impl SrtpContexts {
    /// Splits what DTLS exported (RFC 5764 section 4.2): client key, server key, client salt, server salt.
    ///
    /// `is_client` is the local role in the DTLS handshake; `max_streams` limits the receiver's table. `None` if the
    /// material is shorter than the profile needs.
    pub fn from_keying_material(
        crypto: &dyn CryptoProvider,
        profile: SrtpProfile,
        material: &[u8],
        is_client: bool,
        max_streams: usize,
    ) -> Option<Self> {
        let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
        let (client_key, rest) = material.split_at_checked(key_len)?;
        let (server_key, rest) = rest.split_at_checked(key_len)?;
        let (client_salt, rest) = rest.split_at_checked(salt_len)?;
        let server_salt = rest.get(..salt_len)?;
        let (local, remote) = ((client_key, client_salt), (server_key, server_salt));
        let (local, remote) = if is_client { (local, remote) } else { (remote, local) };
        Some(Self {
            sender: Sender::new(crypto, profile, local.0, local.1)?,
            receiver: Receiver::new(crypto, profile, remote.0, remote.1, max_streams)?,
        })
    }
}

/// Why a packet was not sealed or not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpError {
    /// Not from the peer, damaged, or protected with a wrong index.
    AuthenticationFailed,
    /// Received before, or older than the replay window.
    Replayed,
    /// Too short for its header and for what the profile appends.
    TooShort,
    /// Authentic, but of one stream more than the table holds, and none of those is idle.
    TableFull,
    /// No further packet may be protected with this key (RFC 3711 section 9.2).
    KeyExhausted,
    /// The cryptographic library refused to work.
    CipherFailed,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthenticationFailed => "authentication failed",
            Self::Replayed => "replayed or too old",
            Self::TooShort => "too short",
            Self::TableFull => "too many streams",
            Self::KeyExhausted => "key used up",
            Self::CipherFailed => "cipher failed",
        })
    }
}

impl std::error::Error for SrtpError {}
