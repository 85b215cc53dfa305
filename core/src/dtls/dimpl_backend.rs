//! The DTLS library `dimpl` behind [`DtlsBackend`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::crypto::{Buf, CryptoProvider, HashAlgorithm};
use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, ProtocolVersion, UnexpectedMessageError};

use super::certificate::{Certificate, CertificateError};
use super::record::{Phase, client_hello_random, is_useful};
use super::{ConnectionOutput, DtlsBackend, DtlsConnection, DtlsFailure, DtlsRole};
use crate::ortc::DtlsFingerprint;

/// A deadline further away than that is the library's way to say that there is none.
const NO_DEADLINE: Duration = Duration::from_secs(60 * 60);

/// After how long a flight that is not answered is sent again at first; then after twice that, and so on. Shorter than the
/// second of RFC 9147 section 5.8.2, which has in view hosts that have never heard of each other: people are waiting, and
/// ICE has seen the path to work.
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(250);

/// How often a flight is sent again. The last time is after the 40 seconds that the library gives a whole handshake.
const RETRIES: usize = 7;

/// Timers run at least that long. While a flight has a gap the library would acknowledge what it has at once, and again, and
/// so on without end.
const SHORTEST_TIMER: Duration = Duration::from_millis(50);

/// For how long a handshake that has begun is not given up for another hello. A hello that a stranger has sent, or damaged,
/// leads nowhere; the client's own is repeated until it is answered. Longer than a round trip, shorter than a client's
/// patience.
const HELLO_PRECEDENCE: Duration = Duration::from_millis(200);

/// How long a server whose handshake broke waits for another hello before it reports what broke it: a stranger may have sent
/// that, and the client's own hello come yet.
const FAILURE_DELAY: Duration = Duration::from_secs(5);

/// Smallest datagram size that leaves room for a useful fragment, bytes.
const MIN_MTU: usize = 256;

/// Settings of a [`DimplBackend`].
#[derive(Debug, Clone)]
pub struct DimplBackendConfig {
    /// Largest datagram to send, bytes; at least 256. Default: 1200.
    pub mtu: usize,
    /// Where keys and signatures come from. Default: aws-lc-rs.
    pub crypto: Option<CryptoProvider>,
    /// Which versions are offered and accepted. Default: both.
    pub versions: DtlsVersions,
    /// Makes what is not secret repeatable: randoms, cookies, the jitter of timers. Every connection then draws the same
    /// numbers: for simulations, together with a seeded `crypto`, and nothing else. Default: the system's entropy.
    pub rng_seed: Option<u64>,
}

impl Default for DimplBackendConfig {
    fn default() -> Self {
        Self { mtu: 1200, crypto: None, versions: DtlsVersions::default(), rng_seed: None }
    }
}

/// The versions of DTLS that a backend speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DtlsVersions {
    /// 1.3 if the peer knows it, else 1.2.
    #[default]
    Both,
    /// DTLS 1.2 (RFC 6347).
    Only12,
    /// DTLS 1.3 (RFC 9147).
    Only13,
}

/// DTLS with ECDSA certificates.
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
        // No cookies: that the client is where it says was proved by ICE, and a round trip is saved.
        let mut builder = Config::builder()
            .mtu(config.mtu.max(MIN_MTU))
            .use_server_cookie(false)
            .flight_start_rto(FIRST_RETRY_AFTER)
            .flight_retries(RETRIES);
        if let Some(crypto) = config.crypto {
            builder = builder.with_crypto_provider(crypto);
        }
        if let Some(seed) = config.rng_seed {
            builder = builder.dangerously_set_rng_seed(seed);
        }
        let versions = config.versions;
        let config = builder.build().map_err(|error| CertificateError::Refused(error.to_string()))?;
        check_key(config.crypto_provider(), certificate)?;
        let shared = Shared {
            config: Arc::new(config),
            versions,
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
        Box::new(DimplConnection {
            shared,
            role,
            dtls,
            now,
            begun: None,
            hello_random: None,
            has_sent: false,
            is_connected: false,
            pending_failure: None,
            is_spent: false,
        })
    }

    fn fingerprints(&self) -> &[DtlsFingerprint] {
        &self.fingerprints
    }
}

/// What all connections of a backend have in common.
#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    versions: DtlsVersions,
    certificate: DtlsCertificate,
}

impl Shared {
    fn start(&self, role: DtlsRole, now: Instant) -> Dtls {
        let (config, certificate) = (self.config.clone(), self.certificate.clone());
        let mut dtls = match self.versions {
            DtlsVersions::Both => Dtls::new_auto(config, certificate, now),
            DtlsVersions::Only12 => Dtls::new_12(config, certificate, now),
            DtlsVersions::Only13 => Dtls::new_13(config, certificate, now),
        };
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
    /// When the first datagram came to this instance of the library.
    begun: Option<Instant>,
    /// The random value of the hello that this instance, a server, has taken.
    hello_random: Option<[u8; 32]>,
    /// Whether this instance has sent anything. From then on a client holds to this handshake and would take part in no
    /// other.
    has_sent: bool,
    is_connected: bool,
    /// Why and when the connection will have failed, if no other handshake is complete before.
    pending_failure: Option<(Instant, DtlsFailure)>,
    /// Whether the library has given up after the handshake. The keys of SRTP are as good as before.
    is_spent: bool,
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
        if self.is_replaceable() {
            self.replace();
            return Ok(());
        }
        match error {
            // Returned before anything was changed. The client sends again what was not taken.
            Error::ReceiveQueueFull => Ok(()),
            Error::UnexpectedMessage(UnexpectedMessageError::UnrecognizedAutoServerResponse) => Ok(()),
            // Our last flight may never have been acknowledged, while the peer has long been sending media. Whether it is
            // still there is for ICE to say.
            Error::Timeout(_) if self.is_connected => {
                self.is_spent = true;
                Ok(())
            }
            Error::Timeout(_) => Err(DtlsFailure::Timeout),
            error if self.role == DtlsRole::Server && !self.is_connected => {
                let failure = DtlsFailure::Protocol(error.to_string());
                self.pending_failure.get_or_insert((self.now + FAILURE_DELAY, failure));
                self.replace();
                Ok(())
            }
            error => Err(DtlsFailure::Protocol(error.to_string())),
        }
    }

    /// Whether there is nothing to lose: a server that has not answered waits for a hello, as a new one would.
    fn is_replaceable(&self) -> bool {
        self.role == DtlsRole::Server && !self.has_sent
    }

    fn replace(&mut self) {
        self.dtls = self.shared.start(self.role, self.now);
        self.begun = None;
        self.hello_random = None;
        self.has_sent = false;
        // A new instance has no timer that could fail.
        let _ = self.dtls.handle_timeout(self.now);
    }

    /// Whether the beginning of a ClientHello is to be handled, by this instance or by a new one in its place.
    fn admit_hello(&mut self, random: [u8; 32]) -> bool {
        let is_other = self.hello_random.is_some_and(|taken| taken != random);
        let is_old =
            self.begun.is_some_and(|begun| self.now.saturating_duration_since(begun) > HELLO_PRECEDENCE);
        if is_old && (is_other || !self.has_sent) {
            self.replace();
        } else if is_other {
            return false;
        }
        self.hello_random = Some(random);
        true
    }
}

impl DtlsConnection for DimplConnection {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsFailure> {
        if self.is_spent || !is_useful(datagram, self.phase()) {
            return Ok(());
        }
        self.handle_timeout(now)?;
        if self.role == DtlsRole::Server && !self.is_connected {
            let random = client_hello_random(datagram);
            if random.is_some_and(|random| !self.admit_hello(random)) {
                return Ok(());
            }
        }
        self.begun.get_or_insert(self.now);
        match self.dtls.handle_packet(datagram) {
            Ok(()) => Ok(()),
            Err(error) => self.survive(error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        // The library's clock does not run backwards, whatever the caller says.
        self.now = self.now.max(now);
        if self.is_spent {
            return Ok(());
        }
        if let Some((_, failure)) = self.pending_failure.take_if(|(at, _)| *at <= self.now) {
            return Err(failure);
        }
        match self.dtls.handle_timeout(self.now) {
            Ok(()) => Ok(()),
            Err(error) => self.survive(error),
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<(), DtlsFailure> {
        if self.is_spent {
            return Err(DtlsFailure::Timeout);
        }
        let sent = self.dtls.send_application_data(data);
        sent.map(|_| ()).map_err(|error| DtlsFailure::Protocol(error.to_string()))
    }

    fn close(&mut self) {
        // It fails only when there is nothing to close.
        let _ = if self.is_spent { Ok(()) } else { self.dtls.close() };
    }

    fn poll<'a>(&mut self, buffer: &'a mut [u8]) -> ConnectionOutput<'a> {
        if self.is_spent {
            return ConnectionOutput::Timeout(None);
        }
        match self.dtls.poll_output(buffer) {
            Output::Packet(packet) => {
                self.has_sent = true;
                ConnectionOutput::Packet(packet)
            }
            Output::PeerCert(certificate) => ConnectionOutput::PeerCertificate(certificate),
            Output::KeyingMaterial(material, profile) => ConnectionOutput::KeyingMaterial {
                protection_profile: protection_profile(profile),
                material: material.to_vec(),
            },
            Output::Connected => {
                self.is_connected = true;
                self.pending_failure = None;
                ConnectionOutput::Connected
            }
            Output::ApplicationData(data) => ConnectionOutput::ApplicationData(data),
            Output::CloseNotify => ConnectionOutput::CloseNotify,
            Output::BufferTooSmall { needed } => ConnectionOutput::BufferTooSmall(needed),
            Output::Timeout(at) => {
                let is_soon = at.saturating_duration_since(self.now) < NO_DEADLINE;
                let timer = is_soon.then(|| at.max(self.now + SHORTEST_TIMER));
                let failing = self.pending_failure.as_ref().map(|(at, _)| *at);
                ConnectionOutput::Timeout(timer.into_iter().chain(failing).min())
            }
            // The library may learn other kinds of output; nothing is known that they could be good for.
            _ => ConnectionOutput::Timeout(Some(self.now + SHORTEST_TIMER)),
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
