//! The seam between the SRTP transforms and the cryptographic primitives that they are made of.
//!
//! The transforms need three primitives: AES in Galois/counter mode, AES in counter mode and HMAC-SHA1. [`AwsLcRs`] is the
//! default; an embedder may bring others, and a fuzzer one that protects nothing. Every object holds its key schedule, which
//! is computed once when the object is made: nothing here is set up per packet, and nothing allocates per packet.

use std::fmt::Debug;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// Length of the nonce of AES-GCM, bytes.
pub const GCM_NONCE_LEN: usize = 12;

/// Length of the tag of AES-GCM, bytes.
pub const GCM_TAG_LEN: usize = 16;

/// Length of the initial counter block of AES in counter mode, bytes.
pub const COUNTER_BLOCK_LEN: usize = 16;

/// Length of an HMAC-SHA1 tag before it is truncated, bytes.
pub const HMAC_SHA1_LEN: usize = 20;

/// Makes the primitives that SRTP needs.
///
/// Each function returns `None` if the key has a length that the primitive does not know.
pub trait CryptoProvider: Send + Sync + Debug {
    /// AES-GCM with a key of 16 or 32 bytes.
    fn aes_gcm(&self, key: &[u8]) -> Option<Box<dyn Aead>>;

    /// AES in counter mode with a key of 16 or 32 bytes.
    fn aes_counter(&self, key: &[u8]) -> Option<Box<dyn CounterMode>>;

    /// HMAC-SHA1 with a key of any length.
    fn hmac_sha1(&self, key: &[u8]) -> Option<Box<dyn Authenticator>>;
}

/// Authenticated encryption under one key.
pub trait Aead: Send + Sync {
    /// Encrypts `text` in place and returns the tag over `additional` and the ciphertext; `None` if the library fails.
    ///
    /// The caller never uses a nonce twice.
    fn seal(
        &self,
        nonce: &[u8; GCM_NONCE_LEN],
        additional: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; GCM_TAG_LEN]>;

    /// Decrypts `text`, ciphertext followed by its tag, in place. Returns whether the tag was right; if it was not, what
    /// `text` then holds is unspecified and must not be used.
    fn open(&self, nonce: &[u8; GCM_NONCE_LEN], additional: &[u8], text: &mut [u8]) -> bool;
}

/// A key stream under one key, of which encryption and decryption are the same operation.
pub trait CounterMode: Send + Sync {
    /// Combines `text` with the key stream that starts at the counter block `start`. Returns whether the library succeeded.
    fn apply(&self, start: &[u8; COUNTER_BLOCK_LEN], text: &mut [u8]) -> bool;
}

/// A message authentication code under one key.
pub trait Authenticator: Send + Sync {
    /// The tag over `first` followed by `second`.
    fn tag(&self, first: &[u8], second: &[u8]) -> [u8; HMAC_SHA1_LEN];
}

/// The primitives of `aws-lc-rs`.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsLcRs;

impl CryptoProvider for AwsLcRs {
    fn aes_gcm(&self, key: &[u8]) -> Option<Box<dyn Aead>> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        let key = UnboundKey::new(algorithm, key).ok()?;
        Some(Box::new(AwsGcm(LessSafeKey::new(key))))
    }

    fn aes_counter(&self, key: &[u8]) -> Option<Box<dyn CounterMode>> {
        let algorithm = match key.len() {
            16 => &AES_128,
            32 => &AES_256,
            _ => return None,
        };
        let key = UnboundCipherKey::new(algorithm, key).ok()?;
        Some(Box::new(AwsCounter(EncryptingKey::ctr(key).ok()?)))
    }

    fn hmac_sha1(&self, key: &[u8]) -> Option<Box<dyn Authenticator>> {
        Some(Box::new(AwsHmac(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key))))
    }
}

struct AwsGcm(LessSafeKey);

impl Aead for AwsGcm {
    fn seal(
        &self,
        nonce: &[u8; GCM_NONCE_LEN],
        additional: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; GCM_TAG_LEN]> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(additional), text).ok()?;
        tag.as_ref().try_into().ok()
    }

    fn open(&self, nonce: &[u8; GCM_NONCE_LEN], additional: &[u8], text: &mut [u8]) -> bool {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(additional), text).is_ok()
    }
}

struct AwsCounter(EncryptingKey);

impl CounterMode for AwsCounter {
    fn apply(&self, start: &[u8; COUNTER_BLOCK_LEN], text: &mut [u8]) -> bool {
        let context = EncryptionContext::Iv128(FixedLength::from(*start));
        self.0.less_safe_encrypt(text, context).is_ok()
    }
}

struct AwsHmac(hmac::Key);

impl Authenticator for AwsHmac {
    fn tag(&self, first: &[u8], second: &[u8]) -> [u8; HMAC_SHA1_LEN] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(first);
        context.update(second);
        let mut tag = [0; HMAC_SHA1_LEN];
        // The lengths agree by the algorithm; zip rather than copy_from_slice so that no length can panic.
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }
}
