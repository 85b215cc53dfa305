//! The state machine of one transport's DTLS.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::certificate::fingerprint;
use super::{ConnectionOutput, DtlsBackend, DtlsConnection, DtlsFailure, DtlsRole};
use crate::ortc::{DtlsFingerprint, FingerprintAlgorithm};

/// How much is queued at most for the owner, outputs. A flight has fewer; application data beyond it is dropped.
const MAX_OUTPUTS: usize = 64;

/// Size with which the buffer for the library's outputs begins, bytes.
const BUFFER_LEN: usize = 2048;

/// Size beyond which the buffer does not grow, bytes: a record holds less.
const MAX_BUFFER_LEN: usize = 1 << 16;

/// How far DTLS has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DtlsState {
    /// Not started.
    New,
    /// The handshake runs, or waits for the peer's fingerprints.
    Connecting,
    /// The peer is the one that was signalled, and the keys are handed out.
    Connected,
    /// No connection came about, or it broke.
    Failed,
    /// Closed by either side.
    Closed,
}

/// What the owner of a [`DtlsTransport`] has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum DtlsOutput {
    /// Send this datagram over the selected tuple.
    Packet(Vec<u8>),
    /// The state is [`DtlsState::Connected`]: make the SRTP contexts.
    Connected(DtlsKeys),
    /// Data from the peer, which is proved.
    ApplicationData(Vec<u8>),
    /// The peer has closed the connection.
    Closed,
    /// The state is [`DtlsState::Failed`].
    Failed(DtlsFailure),
}

/// The keys of SRTP for both directions.
#[derive(Clone, PartialEq, Eq)]
pub struct DtlsKeys {
    /// Number in IANA's registry of DTLS-SRTP protection profiles.
    pub protection_profile: u16,
    /// Client key, server key, client salt, server salt (RFC 5764 section 4.2).
    pub keying_material: Vec<u8>,
    /// Our role, which says which of them are ours.
    pub role: DtlsRole,
}

/// The keys stay out of logs.
impl fmt::Debug for DtlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsKeys")
            .field("protection_profile", &self.protection_profile)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Why the peer's fingerprints were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintError {
    /// There is none of SHA-256, SHA-384 or SHA-512; the others prove too little.
    NoStrongFingerprint,
    /// Others were set before: a connection has one peer.
    AlreadySet,
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoStrongFingerprint => "a fingerprint of sha-256, sha-384 or sha-512 is needed",
            Self::AlreadySet => "other fingerprints were set before",
        })
    }
}

impl std::error::Error for FingerprintError {}

/// DTLS of one transport.
///
/// All that follows from an input is decided when it is handled; [`Self::poll_output`] only hands it out.
#[derive(Debug)]
pub struct DtlsTransport {
    backend: Arc<dyn DtlsBackend>,
    state: DtlsState,
    role: Option<DtlsRole>,
    connection: Option<Box<dyn DtlsConnection>>,
    remote_fingerprints: Vec<DtlsFingerprint>,
    peer_certificate: Option<Vec<u8>>,
    /// Of a handshake that the library has completed, until the peer is known to be the right one.
    keys: Option<DtlsKeys>,
    is_handshake_complete: bool,
    deadline: Option<Instant>,
    outputs: VecDeque<DtlsOutput>,
}

impl DtlsTransport {
    /// A transport that waits for [`Self::start`].
    pub fn new(backend: Arc<dyn DtlsBackend>) -> Self {
        Self {
            backend,
            state: DtlsState::New,
            role: None,
            connection: None,
            remote_fingerprints: Vec::new(),
            peer_certificate: None,
            keys: None,
            is_handshake_complete: false,
            deadline: None,
            outputs: VecDeque::new(),
        }
    }

    /// Sets what the peer's certificate is compared with; one match suffices. Until then a complete handshake waits.
    ///
    /// # Errors
    /// If none of them is strong enough, or if it was called before with others. Nothing has changed then.
    pub fn set_remote_fingerprints(
        &mut self,
        fingerprints: &[DtlsFingerprint],
    ) -> Result<(), FingerprintError> {
        let strong: Vec<_> = fingerprints.iter().filter(|one| is_strong(one.algorithm)).cloned().collect();
        if strong.is_empty() {
            return Err(FingerprintError::NoStrongFingerprint);
        }
        if !self.remote_fingerprints.is_empty() {
            return if self.remote_fingerprints == strong {
                Ok(())
            } else {
                Err(FingerprintError::AlreadySet)
            };
        }
        self.remote_fingerprints = strong;
        self.check_peer();
        Ok(())
    }

    /// Starts the handshake. Does nothing if it was started before.
    pub fn start(&mut self, now: Instant, role: DtlsRole) {
        if self.state != DtlsState::New {
            return;
        }
        self.state = DtlsState::Connecting;
        self.role = Some(role);
        self.connection = Some(self.backend.connect(role, now));
        self.advance(|connection| connection.handle_timeout(now));
    }

    /// Handles a datagram of the selected tuple. Returns whether there is a connection that it can be for.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let is_open = matches!(self.state, DtlsState::Connecting | DtlsState::Connected);
        if is_open {
            self.advance(|connection| connection.handle_datagram(now, datagram));
        }
        is_open
    }

    /// Fires what is due. Harmless when nothing is.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.advance(|connection| connection.handle_timeout(now));
        }
    }

    /// Sends data to the peer. Returns whether the connection took it: not before [`DtlsState::Connected`].
    pub fn send(&mut self, data: &[u8]) -> bool {
        let is_connected = self.state == DtlsState::Connected;
        if is_connected {
            self.advance(|connection| connection.send(data));
        }
        is_connected && self.state == DtlsState::Connected
    }

    /// Closes the connection; a close-notify goes out if there is one to be told.
    pub fn close(&mut self) {
        if matches!(self.state, DtlsState::Failed | DtlsState::Closed) {
            return;
        }
        self.state = DtlsState::Closed;
        self.advance(|connection| {
            connection.close();
            Ok(())
        });
        self.connection = None;
        self.deadline = None;
    }

    /// The next thing to do; `None` when there is nothing.
    pub fn poll_output(&mut self) -> Option<DtlsOutput> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How far DTLS has come.
    pub fn state(&self) -> DtlsState {
        self.state
    }

    /// Our role, once it is decided.
    pub fn role(&self) -> Option<DtlsRole> {
        self.role
    }

    /// The peer's certificate, DER, once the handshake has come to it. It is proved when the state is connected.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.peer_certificate.as_deref()
    }

    /// Changes the connection and takes everything out of it that follows.
    fn advance(&mut self, change: impl FnOnce(&mut dyn DtlsConnection) -> Result<(), DtlsFailure>) {
        let Some(mut connection) = self.connection.take() else { return };
        let result = change(connection.as_mut());
        // Also after an error: the peer may get an alert that tells it why.
        self.drain(connection.as_mut());
        if matches!(self.state, DtlsState::Connecting | DtlsState::Connected) {
            match result {
                Ok(()) => {
                    self.connection = Some(connection);
                    self.check_peer();
                }
                Err(failure) => self.fail(failure),
            }
        }
    }

    fn drain(&mut self, connection: &mut dyn DtlsConnection) {
        let mut buffer = vec![0; BUFFER_LEN];
        loop {
            match connection.poll(&mut buffer) {
                ConnectionOutput::Packet(packet) => self.push(DtlsOutput::Packet(packet.to_vec())),
                ConnectionOutput::PeerCertificate(der) => self.peer_certificate = Some(der.to_vec()),
                ConnectionOutput::KeyingMaterial { protection_profile, material } => {
                    let role = self.role.unwrap_or(DtlsRole::Server);
                    self.keys = Some(DtlsKeys { protection_profile, keying_material: material, role });
                }
                ConnectionOutput::Connected => self.is_handshake_complete = true,
                ConnectionOutput::ApplicationData(data) => {
                    // Data of a peer that is not proved yet is not kept: it may be anybody's.
                    if self.state == DtlsState::Connected {
                        self.push(DtlsOutput::ApplicationData(data.to_vec()));
                    }
                }
                ConnectionOutput::CloseNotify => {
                    if matches!(self.state, DtlsState::Connecting | DtlsState::Connected) {
                        self.state = DtlsState::Closed;
                        self.deadline = None;
                        self.outputs.push_back(DtlsOutput::Closed);
                    }
                }
                ConnectionOutput::BufferTooSmall(needed) => {
                    if needed <= buffer.len() || needed > MAX_BUFFER_LEN {
                        return self.fail(DtlsFailure::Protocol(format!("output of {needed} bytes")));
                    }
                    buffer.resize(needed, 0);
                }
                ConnectionOutput::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
            }
        }
    }

    /// Hands the keys out if the handshake is complete and the peer is the one that was signalled.
    ///
    /// Not before it is complete: until then a certificate may be anybody's who has copied it.
    fn check_peer(&mut self) {
        let is_due = self.is_handshake_complete && !self.remote_fingerprints.is_empty();
        if self.state != DtlsState::Connecting || !is_due {
            return;
        }
        let Some(certificate) = self.peer_certificate.as_deref() else {
            return self.fail(DtlsFailure::NoPeerCertificate);
        };
        let is_signalled = |signalled: &DtlsFingerprint| {
            fingerprint(signalled.algorithm, certificate).as_ref() == Some(signalled)
        };
        if !self.remote_fingerprints.iter().any(is_signalled) {
            return self.fail(DtlsFailure::FingerprintMismatch);
        }
        match self.keys.take() {
            Some(keys) => {
                self.state = DtlsState::Connected;
                self.outputs.push_back(DtlsOutput::Connected(keys));
            }
            None => self.fail(DtlsFailure::NoProtectionProfile),
        }
    }

    fn fail(&mut self, failure: DtlsFailure) {
        self.state = DtlsState::Failed;
        self.connection = None;
        self.deadline = None;
        self.keys = None;
        self.outputs.push_back(DtlsOutput::Failed(failure));
    }

    /// Packets and data that are not polled in time are lost, as they may be on the way; changes of state are not.
    fn push(&mut self, output: DtlsOutput) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(output);
        }
    }
}

fn is_strong(algorithm: FingerprintAlgorithm) -> bool {
    fingerprint(algorithm, &[]).is_some()
}
