//! How a path comes to its keys: a real handshake, or keys that are agreed beforehand.

use std::collections::VecDeque;
use std::time::Instant;

use sansfu::dtls::DtlsVersions;
use sansfu::ortc::{DtlsFingerprint, DtlsParameters, DtlsRole};
use sansfu::srtp::SrtpProfile;

use super::handshake::Handshake;
use crate::fixed_dtls::{HELLO_INTERVAL, Identity, fingerprint_of, hello, hello_of_nobody, keying_material};

/// How a path comes to its keys, and what it does with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// DTLS and SRTP.
    Dtls {
        /// What is signalled. [`DtlsRole::Auto`] leaves the choice to the server, which has the client begin.
        role: DtlsRole,
        /// What is offered or taken.
        versions: DtlsVersions,
    },
    /// The hello of [`FixedDtls`], and SRTP with its keys. The server's `dtls_backend` is to be a [`FixedDtls`] of the same
    /// profile.
    Agreed {
        /// Who says hello: the client.
        role: DtlsRole,
        /// The profile.
        profile: SrtpProfile,
    },
    /// As `Agreed`, but nothing is protected. The server is to have a [`FixedDtls`] with a profile of AES-GCM, and
    /// [`NullCrypto`](crate::null_crypto::NullCrypto) as its `srtp_crypto`.
    None {
        /// Who says hello: the client.
        role: DtlsRole,
    },
}

impl Security {
    /// DTLS of both versions, as client.
    pub fn dtls() -> Self {
        Security::Dtls { role: DtlsRole::Client, versions: DtlsVersions::Both }
    }

    /// The same with the other end beginning the handshake.
    pub fn as_server(self) -> Self {
        let role = DtlsRole::Server;
        match self {
            Security::Dtls { versions, .. } => Security::Dtls { role, versions },
            Security::Agreed { profile, .. } => Security::Agreed { role, profile },
            Security::None { .. } => Security::None { role },
        }
    }

    /// What will be signalled of a path with that seed, which can be said before there is one.
    pub fn local_parameters(self, now: Instant, seed: u64) -> DtlsParameters {
        Association::new(now, self, Vec::new(), seed).local_parameters()
    }
}

/// The keys of SRTP.
#[derive(Debug)]
pub(super) struct Keys {
    /// `None`: nothing is protected.
    pub(super) profile: Option<SrtpProfile>,
    /// As RFC 5764 section 4.2 has it.
    pub(super) material: Vec<u8>,
    /// Whether we were the client of the handshake.
    pub(super) is_client: bool,
}

/// What the way to the keys gives out.
#[derive(Debug)]
pub(super) enum SecurityOutput {
    /// To be sent.
    Packet(Vec<u8>),
    /// The peer is the one that was signalled, and these are the keys.
    Keys(Keys),
    /// The peer has closed the connection.
    Closed,
    /// There will be no connection.
    Failed,
}

/// The way to the keys.
#[derive(Debug)]
pub(super) enum Association {
    Dtls(Box<Handshake>),
    Hello(Hello),
}

impl Association {
    pub(super) fn new(
        now: Instant,
        security: Security,
        fingerprints: Vec<DtlsFingerprint>,
        seed: u64,
    ) -> Self {
        match security {
            Security::Dtls { role, versions } => {
                Association::Dtls(Box::new(Handshake::new(now, role, versions, fingerprints, seed)))
            }
            Security::Agreed { role, profile } => Association::Hello(Hello::new(role, Some(profile), seed)),
            Security::None { role } => Association::Hello(Hello::new(role, None, seed)),
        }
    }

    /// What to signal.
    pub(super) fn local_parameters(&self) -> DtlsParameters {
        match self {
            Association::Dtls(handshake) => handshake.local_parameters(),
            Association::Hello(hello) => DtlsParameters {
                role: hello.role,
                fingerprints: fingerprint_of(hello.identity).into_iter().collect(),
            },
        }
    }

    /// The path works: whoever begins may begin.
    pub(super) fn start(&mut self, now: Instant) {
        match self {
            Association::Dtls(handshake) => handshake.start(now),
            Association::Hello(hello) => hello.start(now),
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        match self {
            Association::Dtls(handshake) => handshake.handle_datagram(now, bytes),
            Association::Hello(hello) => hello.handle_datagram(bytes),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Association::Dtls(handshake) => handshake.handle_timeout(now),
            Association::Hello(hello) => hello.handle_timeout(now),
        }
    }

    pub(super) fn close(&mut self, now: Instant) {
        match self {
            Association::Dtls(handshake) => handshake.close(now),
            Association::Hello(hello) => hello.next_at = None,
        }
    }

    pub(super) fn poll(&mut self) -> Option<SecurityOutput> {
        match self {
            Association::Dtls(handshake) => handshake.poll(),
            Association::Hello(hello) => hello.outputs.pop_front(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Association::Dtls(handshake) => handshake.deadline(),
            Association::Hello(hello) => hello.next_at,
        }
    }

    /// The first flight of a handshake that nobody will go on with.
    pub(super) fn abandoned_hello(&self, now: Instant, seed: u64) -> Vec<Vec<u8>> {
        match self {
            Association::Dtls(handshake) => handshake.abandoned_hello(now, seed),
            Association::Hello(_) => vec![hello(seed.to_be_bytes()).to_vec()],
        }
    }
}

/// The other end of [`FixedDtls`](crate::fixed_dtls::FixedDtls).
#[derive(Debug)]
pub(super) struct Hello {
    role: DtlsRole,
    identity: Identity,
    profile: Option<SrtpProfile>,
    next_at: Option<Instant>,
    has_begun: bool,
    is_connected: bool,
    outputs: VecDeque<SecurityOutput>,
}

impl Hello {
    fn new(role: DtlsRole, profile: Option<SrtpProfile>, seed: u64) -> Self {
        Hello {
            role,
            identity: seed.to_be_bytes(),
            profile,
            next_at: None,
            has_begun: false,
            is_connected: false,
            outputs: VecDeque::new(),
        }
    }

    fn start(&mut self, now: Instant) {
        if !self.has_begun && self.role != DtlsRole::Server {
            self.has_begun = true;
            self.next_at = Some(now);
            self.handle_timeout(now);
        }
    }

    fn handle_datagram(&mut self, bytes: &[u8]) {
        if self.role == DtlsRole::Server {
            // Said again because the answer was lost, perhaps.
            if bytes == hello_of_nobody() {
                self.outputs.push_back(SecurityOutput::Packet(hello(self.identity).to_vec()));
                self.connect();
            }
        } else if bytes == hello(self.identity) && self.has_begun {
            self.connect();
        }
    }

    fn connect(&mut self) {
        if !self.is_connected {
            self.is_connected = true;
            self.next_at = None;
            let material = keying_material(self.shape());
            let is_client = self.role != DtlsRole::Server;
            self.outputs.push_back(SecurityOutput::Keys(Keys { profile: self.profile, material, is_client }));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next_at.is_some_and(|at| at <= now) {
            self.next_at = Some(now + HELLO_INTERVAL);
            self.outputs.push_back(SecurityOutput::Packet(hello(self.identity).to_vec()));
        }
    }

    /// The profile whose shape packets have.
    fn shape(&self) -> SrtpProfile {
        self.profile.unwrap_or(SrtpProfile::AeadAes128Gcm)
    }
}
