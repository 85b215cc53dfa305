//! A stand-in for DTLS that agrees on fixed keys with one datagram each way: for benchmarks and for simulations in which the
//! handshake is not what matters.
use std::time::Instant;

use sansfu::dtls::{ConnectionOutput, DtlsBackend, DtlsConnection, DtlsFailure, DtlsRole, fingerprint};
use sansfu::ortc::{DtlsFingerprint, FingerprintAlgorithm};
use sansfu::srtp::SrtpProfile;

/// The certificate that everybody has.
const CERTIFICATE: &[u8] = b"not a certificate";

/// What goes over the wire, each way: a record of the type "handshake" with nothing useful in it.
pub const HELLO: [u8; 16] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3];

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
        let fingerprints = fingerprint(FingerprintAlgorithm::Sha256, CERTIFICATE).into_iter().collect();
        FixedDtls { profile, fingerprints }
    }
}

impl DtlsBackend for FixedDtls {
    fn connect(&self, role: DtlsRole, _now: Instant) -> Box<dyn DtlsConnection> {
        let step = if role == DtlsRole::Client { Step::SayHello } else { Step::Wait };
        Box::new(FixedConnection { role, profile: self.profile, step })
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
        if datagram == HELLO {
            self.step = match (self.step, self.role) {
                (Step::Wait, DtlsRole::Server) => Step::SayHello,
                (Step::Wait, DtlsRole::Client) => Step::ShowCertificate,
                (Step::Done, DtlsRole::Server) => Step::AnswerAgain,
                (step, _) => step,
            };
        }
        Ok(())
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), DtlsFailure> {
        Ok(())
    }

    fn send(&mut self, _data: &[u8]) -> Result<(), DtlsFailure> {
        Ok(())
    }

    fn close(&mut self) {
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
                let Some(packet) = buffer.get_mut(..HELLO.len()) else {
                    return ConnectionOutput::BufferTooSmall(HELLO.len());
                };
                packet.copy_from_slice(&HELLO);
                (next, ConnectionOutput::Packet(packet))
            }
            Step::ShowCertificate => (Step::GiveKeys, ConnectionOutput::PeerCertificate(CERTIFICATE)),
            Step::GiveKeys => {
                let material = keying_material(self.profile);
                let protection_profile = self.profile.protection_profile();
                (Step::Connect, ConnectionOutput::KeyingMaterial { protection_profile, material })
            }
            Step::Connect => (Step::Done, ConnectionOutput::Connected),
            Step::Wait | Step::Done => (self.step, ConnectionOutput::Timeout(None)),
        };
        self.step = next;
        output
    }
}
