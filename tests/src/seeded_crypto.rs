//! A cryptographic provider for DTLS all of whose randomness follows from a seed, and the clock that goes with it, so that a
//! simulation gives the same bytes each time. For tests: whoever knows the seed knows the keys.
//!
//! What is random in a DTLS handshake, and what makes it repeatable here:
//!
//! - key exchange: curve P-256 alone, with keys drawn from a seeded ChaCha;
//! - signatures: RustCrypto's, which are deterministic (RFC 6979);
//! - randoms, explicit nonces and the jitter of timers: dimpl's own generator, seeded by `DimplBackendConfig::rng_seed`;
//! - the time of day, which DTLS 1.2 puts into its randoms: see [`simulation_epoch`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dimpl::CryptoError;
use dimpl::crypto::{
    ActiveKeyExchange, Buf, CryptoProvider, NamedGroup, SecureRandom, SupportedKxGroup, rust_crypto,
};
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{NonZeroScalar, ProjectivePoint, PublicKey, SecretKey};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// 2100-01-01 00:00:00.5 UTC, in seconds since 1970: after any start of the process, and as far from the next second as from
/// the last.
const EPOCH: Duration = Duration::from_millis(4_102_444_800_500);

/// A provider that draws from `seed`. Its parts are never freed, since dimpl wants them static: 200 bytes a call.
///
/// The order of draws is part of what must be repeated: one thread, and one provider for each simulation.
pub fn provider(seed: [u8; 32]) -> CryptoProvider {
    let source = Arc::new(Source(Mutex::new(ChaCha20Rng::from_seed(seed))));
    let group: &'static dyn SupportedKxGroup = Box::leak(Box::new(SeededGroup(source.clone())));
    CryptoProvider {
        kx_groups: Box::leak(Box::new([group])),
        secure_random: Box::leak(Box::new(SeededRandom(source))),
        ..rust_crypto::default_provider()
    }
}

/// The instant at which a simulation is to begin so that DTLS 1.2, which turns it into a time of day, always sees the same.
///
/// dimpl relates `Instant` to the time of day when it is first used, to the second. So the simulated time must be one that
/// any process maps to the same second: a fixed date that lies ahead.
pub fn simulation_epoch() -> Instant {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Instant::now() + EPOCH.saturating_sub(now)
}

struct Source(Mutex<ChaCha20Rng>);

impl Source {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    fn secret_key(&self) -> SecretKey {
        loop {
            let mut scalar = [0; 32];
            self.fill(&mut scalar);
            if let Ok(key) = SecretKey::from_slice(&scalar) {
                return key;
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[derive(Debug)]
struct SeededRandom(Arc<Source>);

impl SecureRandom for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        self.0.fill(bytes);
        Ok(())
    }
}

#[derive(Debug)]
struct SeededGroup(Arc<Source>);

impl SupportedKxGroup for SeededGroup {
    fn name(&self) -> NamedGroup {
        NamedGroup::Secp256r1
    }

    fn start_exchange(&self, mut public: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let secret = self.0.secret_key();
        public.clear();
        public.extend_from_slice(secret.public_key().to_sec1_point(false).as_bytes());
        Ok(Box::new(SeededExchange { secret, public }))
    }
}

struct SeededExchange {
    secret: SecretKey,
    public: Buf,
}

impl ActiveKeyExchange for SeededExchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = PublicKey::from_sec1_bytes(peer)
            .map_err(|_| CryptoError::InvalidPublicKey(NamedGroup::Secp256r1))?;
        let scalar: NonZeroScalar = self.secret.to_nonzero_scalar();
        let shared = (ProjectivePoint::from(peer) * *scalar).to_affine();
        let shared = shared.to_sec1_point(false);
        let x = shared.x().ok_or(CryptoError::InvalidPublicKey(NamedGroup::Secp256r1))?;
        out.clear();
        out.extend_from_slice(x);
        Ok(())
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::Secp256r1
    }
}

impl fmt::Debug for SeededExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededExchange")
    }
}
