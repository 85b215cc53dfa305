//! SRTP keys in signaling: plain and pipe transports exchange them there.

use serde::{Deserialize, Serialize};

use super::OrtcError;
use super::json::{MAX_STRING_BYTES, Node, json_dictionary};

/// An SRTP protection profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SrtpCryptoSuite {
    /// RFC 7714.
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
    /// RFC 7714.
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// RFC 3711 with an authentication tag of 80 bits.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    /// RFC 3711 with an authentication tag of 32 bits for RTP.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
}

impl SrtpCryptoSuite {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// The name in JSON and in SDP's `a=crypto`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The length of master key and master salt together, in bytes.
    pub fn key_and_salt_len_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32 + 12,
            Self::AeadAes128Gcm => 16 + 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + 14,
        }
    }
}

/// One direction's SRTP profile and keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct SrtpParameters {
    /// The profile.
    pub crypto_suite: SrtpCryptoSuite,
    /// Master key, then master salt, in base64.
    pub key_base64: String,
}

json_dictionary!(SrtpParameters, "srtpParameters");

impl SrtpParameters {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let suite = node.member("cryptoSuite");
        let name = suite.string(MAX_STRING_BYTES)?;
        let crypto_suite = SrtpCryptoSuite::ALL
            .into_iter()
            .find(|known| known.as_str() == name)
            .ok_or_else(|| suite.error("is not a known crypto suite"))?;
        let key = node.member("keyBase64");
        let key_base64 = key.string(MAX_STRING_BYTES)?;
        if base64_len_bytes(&key_base64) != Some(crypto_suite.key_and_salt_len_bytes()) {
            let expected = crypto_suite.key_and_salt_len_bytes();
            return Err(key.error(&format!("must be {expected} bytes in base64")));
        }
        Ok(Self { crypto_suite, key_base64 })
    }
}

// The key never belongs into a log.
impl std::fmt::Debug for SrtpParameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpParameters").field("crypto_suite", &self.crypto_suite).finish_non_exhaustive()
    }
}

/// How many bytes the text stands for, if it is base64 with padding (RFC 4648 section 4).
fn base64_len_bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let legal = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    (legal && padding <= 2 && text.len().is_multiple_of(4)).then(|| text.len() / 4 * 3 - padding)
}
