//! The DTLS library `dimpl` behind [`DtlsBackend`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::crypto::{Buf, CryptoProvider, HashAlgorithm};
use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, ProtocolVersion};

use super::certificate::{Certificate, CertificateError};
use super::record::{Phase, has_server_hello, is_useful};
use super::{ConnectionOutput, DtlsBackend, DtlsConnection, DtlsFailure, DtlsRole};
use crate::ortc::DtlsFingerprint;

/// A deadline further away than that is the library's way to say that there is none.
const NO_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// Smallest datagram size that leaves room for a useful fragment, bytes.
const MIN_MTU: usize = 256;

/// Settings of a [`DimplBackend`].
#[derive(Debug, Clone)]
pub struct DimplBackendConfig {
    /// Largest datagram to send, bytes; at least 256. Default: 1200.
    pub mtu: usize,
    /// Where keys and signatures come from. Default: aws-lc-rs.
    pub crypto: Option<CryptoProvider>,
    /// Makes what is not secret repeatable: randoms, cookies, the jitter of timers. Every connection then draws the same
    /// numbers: for simulations, together with a seeded `crypto`, and nothing else. Default: the system's entropy.
    pub rng_seed: Option<u64>,
}

impl Default for DimplBackendConfig {
    fn default() -> Self {
        Self { mtu: 1200, crypto: None, rng_seed: None }
    }
}

/// DTLS 1.2 and 1.3 with ECDSA certificates, whichever the peer prefers.
#[derive(Debug)]
pub struct DimplBackend {
    shared: Arc<Shared>,
    fingerprints: Vec<DtlsFingerprint>,
}

impl DimplBackend {
    /// A backend for one `Sfu`: its settings are made once, which takes longer than a handshake.
    ///
    /// # Errors
    /// [`CertificateError::KeyMismatch`] if the private key is not that of the certificate, and
    /// [`CertificateError::Refused`] if the library does not take the settings.
    pub fn new(certificate: &Certificate, config: DimplBackendConfig) -> Result<Self, CertificateError> {
        let mut builder = Config::builder().mtu(config.mtu.max(MIN_MTU));
        if let Some(crypto) = config.crypto {
            builder = builder.with_crypto_provider(crypto);
        }
        if let Some(seed) = config.rng_seed {
            builder = builder.dangerously_set_rng_seed(seed);
        }
        let config = builder.build().map_err(|error| CertificateError::Refused(error.to_string()))?;
        check_key(config.crypto_provider(), certificate)?;
        let shared = Shared {
            config: Arc::new(config),
            certificate: DtlsCertificate {
                certificate: certificate.certificate_der().to_vec(),
                private_key: certificate.private_key_der().to_vec(),
            },
        };
        Ok(Self { shared: Arc::new(shared), fingerprints: certificate.fingerprints().to_vec() })
    }
}

impl DtlsBackend for DimplBackend {
    fn connect(&self, role: DtlsRole, now: Instant) -> Box<dyn DtlsConnection> {
        let dtls = self.shared.start(role, now);
        let shared = self.shared.clone();
        Box::new(DimplConnection { shared, role, dtls, now, is_committed: false, is_connected: false })
    }

    fn fingerprints(&self) -> &[DtlsFingerprint] {
        &self.fingerprints
    }
}

/// What all connections of a backend have in common.
#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl Shared {
    fn start(&self, role: DtlsRole, now: Instant) -> Dtls {
        let mut dtls = Dtls::new_auto(self.config.clone(), self.certificate.clone(), now);
        // Never set_active(false): a new instance is a server anyway, and a pending client panics at it.
        if role == DtlsRole::Client {
            dtls.set_active(true);
        }
        dtls
    }
}

struct DimplConnection {
    shared: Arc<Shared>,
    role: DtlsRole,
    dtls: Dtls,
    now: Instant,
    /// Whether a ServerHello was sent: the client holds to this handshake and would not take part in another.
    is_committed: bool,
    is_connected: bool,
}

impl DimplConnection {
    fn phase(&self) -> Phase {
        match (self.is_connected, self.dtls.protocol_version()) {
            (false, _) => Phase::Handshake,
            (true, Some(ProtocolVersion::DTLS1_3)) => Phase::Connected13,
            (true, _) => Phase::Connected12,
        }
    }

    /// Every error of the library leaves it in an undefined state, with two exceptions; but a stranger's datagram must not
    /// end a connection. So what can be replaced is replaced.
    fn survive(&mut self, error: Error) -> Result<(), DtlsFailure> {
        match error {
            // Returned before anything was changed. The client sends again what was not taken.
            Error::ReceiveQueueFull => Ok(()),
            Error::UnexpectedMessage(dimpl::UnexpectedMessageError::UnrecognizedAutoServerResponse) => Ok(()),
            Error::Timeout(_) => Err(DtlsFailure::Timeout),
            // A server that has not answered with its own hello has nothing to lose: the client's next hello begins anew.
            _ if self.role == DtlsRole::Server && !self.is_committed => {
                self.dtls = self.shared.start(self.role, self.now);
                self.dtls.handle_timeout(self.now).map_err(|_| DtlsFailure::Timeout)
            }
            error => Err(DtlsFailure::Protocol(error.to_string())),
        }
    }
}

impl DtlsConnection for DimplConnection {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsFailure> {
        if !is_useful(datagram, self.phase()) {
            return Ok(());
        }
        self.handle_timeout(now)?;
        match self.dtls.handle_packet(datagram) {
            Ok(()) => Ok(()),
            Err(error) => self.survive(error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        // The library's clock does not run backwards, whatever the caller says.
        self.now = self.now.max(now);
        match self.dtls.handle_timeout(self.now) {
            Ok(()) => Ok(()),
            Err(error) => self.survive(error),
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), DtlsFailure> {
        let sent = self.dtls.send_application_data(data);
        sent.map(|_| ()).map_err(|error| DtlsFailure::Protocol(error.to_string()))
    }

    fn close(&mut self) {
        // It fails only when there is nothing to close.
        let _ = self.dtls.close();
    }

    fn poll<'a>(&mut self, buffer: &'a mut [u8]) -> ConnectionOutput<'a> {
        match self.dtls.poll_output(buffer) {
            Output::Packet(packet) => {
                self.is_committed |= has_server_hello(packet);
                ConnectionOutput::Packet(packet)
            }
            Output::PeerCert(certificate) => ConnectionOutput::PeerCertificate(certificate),
            Output::KeyingMaterial(material, profile) => ConnectionOutput::KeyingMaterial {
                protection_profile: protection_profile(profile),
                material: material.to_vec(),
            },
            Output::Connected => {
                self.is_connected = true;
                ConnectionOutput::Connected
            }
            Output::ApplicationData(data) => ConnectionOutput::ApplicationData(data),
            Output::CloseNotify => ConnectionOutput::CloseNotify,
            Output::BufferTooSmall { needed } => ConnectionOutput::BufferTooSmall(needed),
            Output::Timeout(at) => {
                let is_soon = at.saturating_duration_since(self.now) < NO_DEADLINE;
                ConnectionOutput::Timeout(is_soon.then_some(at))
            }
            // The library may learn other kinds of output; nothing is known that they could be good for.
            _ => ConnectionOutput::Timeout(Some(self.now)),
        }
    }
}

impl fmt::Debug for DimplConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DimplConnection")
            .field("role", &self.role)
            .field("dtls", &self.dtls)
            .finish_non_exhaustive()
    }
}

/// The number in IANA's registry of DTLS-SRTP protection profiles; 0, which nobody has, for what we do not know.
fn protection_profile(profile: dimpl::SrtpProfile) -> u16 {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => 0x0001,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => 0x0007,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => 0x0008,
        _ => 0,
    }
}

/// Signs with the private key and verifies with the certificate, as a peer will.
fn check_key(crypto: &CryptoProvider, certificate: &Certificate) -> Result<(), CertificateError> {
    const MESSAGE: &[u8] = b"sansfu";
    let mut key = crypto
        .key_provider
        .load_private_key(certificate.private_key_der())
        .map_err(|_| CertificateError::Malformed("private key"))?;
    let (hash, algorithm): (HashAlgorithm, _) = (key.hash_algorithm(), key.algorithm());
    let mut signature = Buf::new();
    key.sign(MESSAGE, hash, &mut signature).map_err(|_| CertificateError::Malformed("private key"))?;
    crypto
        .signature_verification
        .verify_signature(certificate.certificate_der(), MESSAGE, &signature, hash, algorithm)
        .map_err(|_| CertificateError::KeyMismatch)
}
