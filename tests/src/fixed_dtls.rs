//! A stand-in for DTLS that agrees on fixed keys with one datagram each way: for benchmarks and for simulations in which the
//! handshake is not what matters.
use std::time::{Duration, Instant};

use sansfu::dtls::{ConnectionOutput, DtlsBackend, DtlsConnection, DtlsFailure, DtlsRole, fingerprint};
use sansfu::ortc::{DtlsFingerprint, FingerprintAlgorithm};
use sansfu::srtp::SrtpProfile;

/// A number by which an endpoint is told from others. It stands for a certificate: who has another one than was signalled is
/// refused, so that clients that change places in mid-handshake are not taken for each other.
pub type Identity = [u8; 8];

/// The identity of who needs none.
const NOBODY: Identity = [0; 8];

/// What goes over the wire: a record of the type "handshake" with the client's identity in it. The server's answer is the same.
pub fn hello(client: Identity) -> [u8; HELLO_LEN] {
    let mut hello = [0; HELLO_LEN];
    hello[..HEADER.len()].copy_from_slice(&HEADER);
    hello[HEADER.len()..].copy_from_slice(&client);
    hello
}

/// What the owner of an identity signals.
pub fn fingerprint_of(identity: Identity) -> Option<DtlsFingerprint> {
    fingerprint(FingerprintAlgorithm::Sha256, &identity)
}

/// The header of the record: type, version, epoch, sequence number, length.
const HEADER: [u8; 13] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8];
const HELLO_LEN: usize = HEADER.len() + NOBODY.len();
/// The time between two hellos until one is answered.
pub const HELLO_INTERVAL: Duration = Duration::from_millis(200);

/// What the server says when it is the client of the handshake: the other side answers with its own identity.
pub fn hello_of_nobody() -> [u8; HELLO_LEN] {
    hello(NOBODY)
}

/// What the handshake would export for `profile` (RFC 5764 section 4.2).
pub fn keying_material(profile: SrtpProfile) -> Vec<u8> {
    let length = 2 * (profile.key_len() + profile.salt_len());
    (0..length).map(|n| n as u8).collect()
}

/// Makes connections of which all have the same keys.
#[derive(Debug)]
pub struct FixedDtls {
    profile: SrtpProfile,
    fingerprints: Vec<DtlsFingerprint>,
}

impl FixedDtls {
    /// Keys for `profile`.
    pub fn new(profile: SrtpProfile) -> Self {
        FixedDtls { profile, fingerprints: fingerprint_of(NOBODY).into_iter().collect() }
    }
}

impl DtlsBackend for FixedDtls {
    fn connect(&self, role: DtlsRole, now: Instant) -> Box<dyn DtlsConnection> {
        let (step, again_at) = match role {
            DtlsRole::Client => (Step::SayHello, Some(now + HELLO_INTERVAL)),
            DtlsRole::Server => (Step::Wait, None),
        };
        Box::new(FixedConnection { role, profile: self.profile, step, peer: NOBODY, again_at })
    }

    fn fingerprints(&self) -> &[DtlsFingerprint] {
        &self.fingerprints
    }
}

#[derive(Debug)]
struct FixedConnection {
    role: DtlsRole,
    profile: SrtpProfile,
    step: Step,
    /// Who said hello to the server, or answered the client's hello.
    peer: Identity,
    /// When a client says hello again.
    again_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    SayHello,
    Wait,
    ShowCertificate,
    GiveKeys,
    Connect,
    Done,
    /// The client says hello again: it has not heard the answer.
    AnswerAgain,
}

impl DtlsConnection for FixedConnection {
    fn handle_datagram(&mut self, _now: Instant, datagram: &[u8]) -> Result<(), DtlsFailure> {
        let Some(peer) = datagram.strip_prefix(&HEADER).and_then(|identity| identity.try_into().ok()) else {
            return Ok(());
        };
        self.step = match (self.step, self.role) {
            (Step::Wait, DtlsRole::Server) => {
                self.peer = peer;
                Step::SayHello
            }
            (Step::Wait, DtlsRole::Client) => {
                self.peer = peer;
                self.again_at = None;
                Step::ShowCertificate
            }
            (Step::Done, DtlsRole::Server) if self.peer == peer => Step::AnswerAgain,
            (step, _) => step,
        };
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = Some(now + HELLO_INTERVAL);
            self.step = Step::SayHello;
        }
        Ok(())
    }

    fn send(&mut self, _data: &[u8]) -> Result<(), DtlsFailure> {
        Ok(())
    }

    fn close(&mut self) {
        self.again_at = None;
        self.step = Step::Done;
    }

    fn poll<'a>(&mut self, buffer: &'a mut [u8]) -> ConnectionOutput<'a> {
        let (next, output) = match self.step {
            Step::SayHello | Step::AnswerAgain => {
                let next = match (self.step, self.role) {
                    (Step::AnswerAgain, _) => Step::Done,
                    (_, DtlsRole::Server) => Step::ShowCertificate,
                    (_, DtlsRole::Client) => Step::Wait,
                };
                let Some(packet) = buffer.get_mut(..HELLO_LEN) else {
                    return ConnectionOutput::BufferTooSmall(HELLO_LEN);
                };
                // A client says that it is nobody; a server repeats who said hello.
                packet.copy_from_slice(&hello(self.peer));
                (next, ConnectionOutput::Packet(packet))
            }
            Step::ShowCertificate => {
                let Some(certificate) = buffer.get_mut(..NOBODY.len()) else {
                    return ConnectionOutput::BufferTooSmall(NOBODY.len());
                };
                certificate.copy_from_slice(&self.peer);
                (Step::GiveKeys, ConnectionOutput::PeerCertificate(certificate))
            }
            Step::GiveKeys => {
                let material = keying_material(self.profile);
                let protection_profile = self.profile.protection_profile();
                (Step::Connect, ConnectionOutput::KeyingMaterial { protection_profile, material })
            }
            Step::Connect => (Step::Done, ConnectionOutput::Connected),
            Step::Wait | Step::Done => (self.step, ConnectionOutput::Timeout(self.again_at)),
        };
        self.step = next;
        output
    }
}
