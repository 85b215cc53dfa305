//! DTLS with certificates that are known by their fingerprints (RFC 8827 section 6.5), for the keys of SRTP (RFC 5764).
//!
//! [`DtlsTransport`] is the state machine of one transport. The protocol itself stands behind [`DtlsBackend`], so that a
//! simulation or another library can take its place; [`DimplBackend`] is the default, and its file the only one that names
//! the library.
//!
//! Invariant: keys are handed out only after the peer's certificate was found among the fingerprints that were signalled.

mod certificate;
mod dimpl_backend;
mod record;
mod transport;

use std::fmt;
use std::time::Instant;

pub use certificate::{Certificate, CertificateError, fingerprint};
pub use dimpl_backend::{DimplBackend, DimplBackendConfig, DtlsVersions};
pub use transport::{DtlsKeys, DtlsOutput, DtlsState, DtlsTransport, FingerprintError};

use crate::ortc::DtlsFingerprint;

/// Who sends the ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DtlsRole {
    /// We do.
    Client,
    /// The peer does.
    Server,
}

impl DtlsRole {
    /// Our role, given the peer's as it was signalled. Of a peer that leaves it to us we await the ClientHello: it knows
    /// better when its checks have succeeded.
    pub fn opposite_of(remote: crate::ortc::DtlsRole) -> Self {
        match remote {
            crate::ortc::DtlsRole::Server => Self::Client,
            crate::ortc::DtlsRole::Client | crate::ortc::DtlsRole::Auto => Self::Server,
        }
    }
}

/// Makes the connections of an `Sfu`, with what they share: the certificate and the settings.
pub trait DtlsBackend: Send + Sync + fmt::Debug {
    /// Begins a connection. A client's first flight is ready to be polled.
    fn connect(&self, role: DtlsRole, now: Instant) -> Box<dyn DtlsConnection>;

    /// The fingerprints of the local certificate, the most widely known one last: that is the one that mediasoup's clients
    /// take.
    fn fingerprints(&self) -> &[DtlsFingerprint];
}

/// One connection of a backend, without policy.
///
/// After each call that changes it, it is polled until [`ConnectionOutput::Timeout`]. After an error it is not used any more.
pub trait DtlsConnection: Send + fmt::Debug {
    /// Handles a datagram, which may come from anybody.
    ///
    /// # Errors
    /// Only for what ends the connection. What a stranger could have sent is dropped.
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DtlsFailure>;

    /// Fires what is due.
    ///
    /// # Errors
    /// The handshake took too long.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure>;

    /// Sends application data in one record.
    ///
    /// # Errors
    /// The connection cannot take it.
    fn send(&mut self, data: &[u8]) -> Result<(), DtlsFailure>;

    /// Ends the connection; a close-notify is ready to be polled if the handshake is complete.
    fn close(&mut self);

    /// The next output, for which `buffer` provides the memory.
    fn poll<'a>(&mut self, buffer: &'a mut [u8]) -> ConnectionOutput<'a>;
}

/// What a [`DtlsConnection`] gives out.
#[derive(Debug)]
pub enum ConnectionOutput<'a> {
    /// A datagram for the peer.
    Packet(&'a [u8]),
    /// The peer's own certificate, DER. The library has checked that the peer has its key, or will have before
    /// [`Self::Connected`].
    PeerCertificate(&'a [u8]),
    /// What the handshake exported for SRTP, with the number of the protection profile in IANA's registry.
    KeyingMaterial {
        /// The profile.
        protection_profile: u16,
        /// The bytes (RFC 5764 section 4.2).
        material: Vec<u8>,
    },
    /// The handshake is complete.
    Connected,
    /// Application data from the peer.
    ApplicationData(&'a [u8]),
    /// The peer has closed the connection.
    CloseNotify,
    /// The buffer has to have at least this length, bytes, for the next output.
    BufferTooSmall(usize),
    /// Nothing more for now; when to call [`DtlsConnection::handle_timeout`], if ever.
    Timeout(Option<Instant>),
}

/// Why a connection could not be made, or ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DtlsFailure {
    /// The peer's certificate is not the one that was signalled.
    FingerprintMismatch,
    /// The handshake ended without a certificate.
    NoPeerCertificate,
    /// The peer knows no protection profile that we know.
    NoProtectionProfile,
    /// The handshake took too long.
    Timeout,
    /// The peer, or somebody in its name, broke the protocol.
    Protocol(String),
}

impl fmt::Display for DtlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FingerprintMismatch => {
                f.write_str("the certificate does not match the signalled fingerprint")
            }
            Self::NoPeerCertificate => f.write_str("the peer sent no certificate"),
            Self::NoProtectionProfile => f.write_str("no SRTP protection profile in common"),
            Self::Timeout => f.write_str("the handshake took too long"),
            Self::Protocol(what) => write!(f, "protocol error: {what}"),
        }
    }
}

impl std::error::Error for DtlsFailure {}

#[cfg(test)]
mod tests;
