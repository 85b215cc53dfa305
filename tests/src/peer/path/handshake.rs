//! DTLS with `dimpl`, driven directly, and with everything random drawn from a seed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use dimpl::crypto::CryptoProvider;
use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, UnexpectedMessageError};
use sansfu::dtls::{Certificate, DtlsVersions};
use sansfu::ortc::{DtlsFingerprint, DtlsParameters, DtlsRole, FingerprintAlgorithm};
use sansfu::rng::Rng;
use sansfu::srtp::SrtpProfile;

use super::security::{Keys, SecurityOutput};
use crate::seeded_crypto::provider;

/// Largest datagram to send, bytes: as browsers have it.
const MTU: usize = 1_200;

/// After how long a flight is sent again at first: as browsers have it (50 ms to 400 ms).
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(200);

const RETRIES: usize = 7;

/// No timer of the library runs shorter: it may ask for an acknowledgement at once, and again and again while a flight is
/// incomplete.
const SHORTEST_TIMER: Duration = Duration::from_millis(20);

/// What is further away is the library's way to say never.
const NEVER: Duration = Duration::from_secs(60 * 60);

/// One end of a DTLS connection.
pub(super) struct Handshake {
    role: DtlsRole,
    versions: DtlsVersions,
    fingerprints: Vec<DtlsFingerprint>,
    certificate: Certificate,
    crypto: CryptoProvider,
    dtls: Dtls,
    stage: Stage,
    peer_certificate: Option<Vec<u8>>,
    is_complete: bool,
    keys: Option<Keys>,
    deadline: Option<Instant>,
    outputs: VecDeque<SecurityOutput>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is no path yet.
    Waiting,
    Shaking,
    Connected,
    /// Closed, failed, or connected and of no further use.
    Over,
}

impl Handshake {
    /// An end that waits for [`Self::start`]. The memory of its provider is never freed: 200 bytes.
    pub(super) fn new(
        now: Instant,
        role: DtlsRole,
        versions: DtlsVersions,
        fingerprints: Vec<DtlsFingerprint>,
        seed: u64,
    ) -> Self {
        let mut rng = Rng::from_seed(wide_seed(seed, 1));
        let certificate = Certificate::generate(&mut rng).expect("a certificate");
        let crypto = provider(wide_seed(seed, 2));
        let dtls = instance(now, role, versions, &certificate, &crypto, seed);
        Handshake {
            role,
            versions,
            fingerprints,
            certificate,
            crypto,
            dtls,
            stage: Stage::Waiting,
            peer_certificate: None,
            is_complete: false,
            keys: None,
            deadline: None,
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn local_parameters(&self) -> DtlsParameters {
        DtlsParameters { role: self.role, fingerprints: self.certificate.fingerprints().to_vec() }
    }

    pub(super) fn start(&mut self, now: Instant) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Shaking;
            self.advance(|dtls| dtls.handle_timeout(now), now);
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        // As a server one may be faster than one's own check is answered.
        self.start(now);
        self.advance(
            |dtls| {
                dtls.handle_timeout(now)?;
                dtls.handle_packet(bytes)
            },
            now,
        );
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.advance(|dtls| dtls.handle_timeout(now), now);
        }
    }

    pub(super) fn close(&mut self, now: Instant) {
        if self.stage != Stage::Waiting {
            self.advance(Dtls::close, now);
        }
        self.stage = Stage::Over;
        self.deadline = None;
    }

    pub(super) fn poll(&mut self) -> Option<SecurityOutput> {
        self.outputs.pop_front()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The hello of another client with the same certificate, whose randoms follow from `seed`.
    pub(super) fn abandoned_hello(&self, now: Instant, seed: u64) -> Vec<Vec<u8>> {
        let client = DtlsRole::Client;
        let mut dtls = instance(now, client, self.versions, &self.certificate, &self.crypto, seed);
        let mut packets = Vec::new();
        let mut buffer = vec![0; 2 * MTU];
        if dtls.handle_timeout(now).is_ok() {
            while let Output::Packet(packet) = dtls.poll_output(&mut buffer) {
                packets.push(packet.to_vec());
            }
        }
        packets
    }

    fn advance(&mut self, change: impl FnOnce(&mut Dtls) -> Result<(), Error>, now: Instant) {
        if self.stage == Stage::Over {
            return;
        }
        let result = change(&mut self.dtls);
        self.drain(now);
        // The library gives certificate, keys and the news of its completion in any order.
        if self.is_complete && self.stage == Stage::Shaking {
            self.on_complete();
        }
        let is_harmless = |error: &Error| {
            let unexpected = UnexpectedMessageError::UnrecognizedAutoServerResponse;
            matches!(error, Error::ReceiveQueueFull) || *error == Error::UnexpectedMessage(unexpected)
        };
        if let Err(error) = result
            && !is_harmless(&error)
        {
            self.fail();
        }
    }

    fn drain(&mut self, now: Instant) {
        let mut buffer = vec![0; 4 * MTU];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.outputs.push_back(SecurityOutput::Packet(packet.to_vec())),
                Output::PeerCert(certificate) => self.peer_certificate = Some(certificate.to_vec()),
                Output::KeyingMaterial(material, profile) => {
                    let is_client = self.role != DtlsRole::Server;
                    let profile = Some(srtp_profile(profile));
                    self.keys = Some(Keys { profile, material: material.to_vec(), is_client });
                }
                Output::Connected => self.is_complete = true,
                Output::CloseNotify => {
                    self.stage = Stage::Over;
                    self.outputs.push_back(SecurityOutput::Closed);
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => {
                    let is_ever = self.stage != Stage::Over && at.saturating_duration_since(now) < NEVER;
                    self.deadline = is_ever.then(|| at.max(now + SHORTEST_TIMER));
                    return;
                }
                // Data channels are not spoken here.
                _ => {}
            }
        }
    }

    fn on_complete(&mut self) {
        let certificate = self.peer_certificate.as_deref().unwrap_or_default();
        let is_signalled = self.fingerprints.iter().any(|fingerprint| matches(fingerprint, certificate));
        match self.keys.take().filter(|_| is_signalled) {
            Some(keys) => {
                self.stage = Stage::Connected;
                self.outputs.push_back(SecurityOutput::Keys(keys));
            }
            None => self.fail(),
        }
    }

    /// After the handshake the keys are as good as before, whatever became of the connection that made them.
    fn fail(&mut self) {
        if self.stage != Stage::Connected {
            self.outputs.push_back(SecurityOutput::Failed);
        }
        self.stage = Stage::Over;
        self.deadline = None;
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("role", &self.role)
            .field("versions", &self.versions)
            .field("stage", &self.stage)
            .field("dtls", &self.dtls)
            .finish_non_exhaustive()
    }
}

fn instance(
    now: Instant,
    role: DtlsRole,
    versions: DtlsVersions,
    certificate: &Certificate,
    crypto: &CryptoProvider,
    seed: u64,
) -> Dtls {
    let config = Config::builder()
        .mtu(MTU)
        .flight_start_rto(FIRST_RETRY_AFTER)
        .flight_retries(RETRIES)
        .with_crypto_provider(crypto.clone())
        .dangerously_set_rng_seed(seed)
        .build();
    let config = Arc::new(config.expect("valid settings"));
    let certificate = DtlsCertificate {
        certificate: certificate.certificate_der().to_vec(),
        private_key: certificate.private_key_der().to_vec(),
    };
    let mut dtls = match versions {
        DtlsVersions::Both => Dtls::new_auto(config, certificate, now),
        DtlsVersions::Only12 => Dtls::new_12(config, certificate, now),
        DtlsVersions::Only13 => Dtls::new_13(config, certificate, now),
    };
    if role != DtlsRole::Server {
        dtls.set_active(true);
    }
    dtls
}

/// A seed for one of the uses of the path's seed.
fn wide_seed(seed: u64, usage: u8) -> [u8; 32] {
    let mut wide = [usage; 32];
    wide[..8].copy_from_slice(&seed.to_be_bytes());
    wide
}

/// RFC 8122 section 5. SHA-1 and SHA-224 prove too little.
fn matches(fingerprint: &DtlsFingerprint, certificate: &[u8]) -> bool {
    let algorithm = match fingerprint.algorithm {
        FingerprintAlgorithm::Sha1 | FingerprintAlgorithm::Sha224 => return false,
        FingerprintAlgorithm::Sha256 => &digest::SHA256,
        FingerprintAlgorithm::Sha384 => &digest::SHA384,
        FingerprintAlgorithm::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, certificate).as_ref() == fingerprint.value
}

fn srtp_profile(profile: dimpl::SrtpProfile) -> SrtpProfile {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::Aes128CmSha1_80,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
        other => panic!("the library has learned {other}"),
    }
}
