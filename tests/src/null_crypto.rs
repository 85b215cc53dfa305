//! SRTP ciphers that protect nothing. **For fuzzing only**: with them, anybody's bytes are authentic, so that a fuzzer that
//! knows no key reaches what stands behind decryption.
//!
//! With a profile of AES-GCM anything as long as a tag is opened. The profile with HMAC-SHA1 compares tags itself and wants
//! [`NULL_TAG`], cut to its length.

use sansfu::srtp::cipher::{
    Aead, Authenticator, COUNTER_BLOCK_LEN, CounterMode, CryptoProvider, GCM_NONCE_LEN, GCM_TAG_LEN,
    HMAC_SHA1_LEN,
};

/// The tag of everything.
pub const NULL_TAG: [u8; HMAC_SHA1_LEN] = [0; HMAC_SHA1_LEN];

/// Gives text out as it came in, and believes every tag of AES-GCM.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullCrypto;

impl CryptoProvider for NullCrypto {
    fn aes_gcm(&self, _key: &[u8]) -> Option<Box<dyn Aead>> {
        Some(Box::new(NullCipher))
    }

    fn aes_counter(&self, _key: &[u8]) -> Option<Box<dyn CounterMode>> {
        Some(Box::new(NullCipher))
    }

    fn hmac_sha1(&self, _key: &[u8]) -> Option<Box<dyn Authenticator>> {
        Some(Box::new(NullCipher))
    }
}

struct NullCipher;

impl Aead for NullCipher {
    fn seal(
        &self,
        _nonce: &[u8; GCM_NONCE_LEN],
        _additional: &[u8],
        _text: &mut [u8],
    ) -> Option<[u8; GCM_TAG_LEN]> {
        NULL_TAG.first_chunk().copied()
    }

    fn open(&self, _nonce: &[u8; GCM_NONCE_LEN], _additional: &[u8], text: &mut [u8]) -> bool {
        text.len() >= GCM_TAG_LEN
    }
}

impl CounterMode for NullCipher {
    fn apply(&self, _start: &[u8; COUNTER_BLOCK_LEN], _text: &mut [u8]) -> bool {
        true
    }
}

impl Authenticator for NullCipher {
    fn tag(&self, _first: &[u8], _second: &[u8]) -> [u8; HMAC_SHA1_LEN] {
        NULL_TAG
    }
}

#[cfg(test)]
mod tests {
    use sansfu::srtp::{SrtpContexts, SrtpProfile};

    use super::*;

    const PACKET: [u8; 16] = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, b't', b'e', b'x', b't'];

    #[test]
    fn what_is_sealed_can_be_read_and_what_was_never_sealed_is_opened() {
        let profiles = [SrtpProfile::Aes128CmSha1_80, SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm];
        for profile in profiles {
            let material = vec![1; 2 * (profile.key_len() + profile.salt_len())];
            let mut contexts =
                SrtpContexts::from_keying_material(&NullCrypto, profile, &material, true, 8).unwrap();
            let mut sealed = PACKET.to_vec();
            contexts.sender.protect_rtp(&mut sealed, 0, 12, 1).unwrap();
            assert_eq!(sealed.split_off(PACKET.len()), NULL_TAG[..profile.rtp_overhead_len()]);
            assert_eq!(sealed, PACKET);

            let trailer = vec![u8::from(profile != SrtpProfile::Aes128CmSha1_80); profile.rtp_overhead_len()];
            let mut forged = [&PACKET[..], &trailer].concat();
            let opened = contexts.receiver.unprotect_rtp(&mut forged, 12, 3, 1);
            assert_eq!(opened, Ok((PACKET.len(), 1)), "{profile:?}");
        }
    }
}
