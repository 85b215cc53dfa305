//! The client's end of one WebRTC transport: ICE, DTLS and SRTP as a browser has them, as a state machine of its own.
//!
//! It shares dictionaries with the core and nothing that decides: a mistake that the core makes with a packet is not made
//! here in the same way. Everything random follows from a seed, so that two paths with one seed and the same inputs send the
//! same bytes. (With DTLS 1.2 from one process to the next only if time begins at
//! [`simulation_epoch`](crate::seeded_crypto::simulation_epoch).) And it can misbehave: see [`Misbehaviour`].
//!
//! A caller gives it datagrams and the time, and after each call takes what is to be sent with [`Path::poll_transmit`].

mod checks;
mod handshake;
mod lies;
mod misbehave;
mod security;
mod srtp;
mod stats;
pub mod stun;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sansfu::ortc::{DtlsFingerprint, DtlsParameters, IceParameters};

use checks::Checks;
use security::{Association, SecurityOutput};

pub use misbehave::Misbehaviour;
pub use security::Security;
pub use srtp::{Srtp, SrtpError};
pub use stats::PathStats;

/// How many datagrams are kept to be repeated or mangled.
const MAX_KEPT: usize = 64;

/// What a path is made of.
#[derive(Debug, Clone)]
pub struct PathParameters {
    /// Where everything is sent to.
    pub server: SocketAddr,
    /// The server's credentials.
    pub ice: IceParameters,
    /// Those of the server's certificate.
    pub fingerprints: Vec<DtlsFingerprint>,
    /// How it comes to its keys.
    pub security: Security,
    /// From which all that is random follows.
    pub seed: u64,
}

/// How far a path has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathState {
    /// Nothing was sent yet.
    New,
    /// Checks and handshake are under way.
    Connecting,
    /// Media can flow.
    Connected,
    /// The handshake failed, or no check was answered for 30 seconds. Out of the latter [`Path::restart_ice`] leads.
    Failed,
    /// Closed by either side.
    Closed,
}

/// What came from the server, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// An RTP packet.
    Rtp(Vec<u8>),
    /// An RTCP compound.
    Rtcp(Vec<u8>),
}

/// The client's end of one transport.
#[derive(Debug)]
pub struct Path {
    server: SocketAddr,
    state: PathState,
    checks: Checks,
    association: Association,
    /// Whether there will never be keys.
    is_refused: bool,
    srtp: Option<Srtp>,
    is_silent: bool,
    outgoing: VecDeque<Vec<u8>>,
    received: VecDeque<Received>,
    /// What was sent last in good faith.
    kept: VecDeque<Vec<u8>>,
    hostile_rng: ChaCha8Rng,
    stats: PathStats,
}

impl Path {
    /// A path whose first check is due at `now`.
    pub fn new(now: Instant, parameters: PathParameters) -> Self {
        let PathParameters { server, ice, fingerprints, security, seed } = parameters;
        Path {
            server,
            state: PathState::New,
            checks: Checks::new(now, ice, generator(seed, 1)),
            association: Association::new(now, security, fingerprints, seed),
            is_refused: false,
            srtp: None,
            is_silent: false,
            outgoing: VecDeque::new(),
            received: VecDeque::new(),
            kept: VecDeque::new(),
            hostile_rng: generator(seed, 2),
            stats: PathStats::default(),
        }
    }

    /// Takes a datagram from the server.
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        if self.is_over() {
            return;
        }
        // RFC 7983 section 7, RFC 5761 section 4.
        match bytes {
            [0..=3, ..] => {
                if self.checks.handle_message(now, bytes, &mut self.stats) {
                    self.association.start(now);
                    self.drain_association();
                }
            }
            [20..=63, ..] => {
                self.stats.dtls_received += 1;
                self.association.handle_datagram(now, bytes);
                self.drain_association();
            }
            [128..=191, 192..=223, ..] => self.unprotect(bytes, Srtp::unprotect_rtcp, Received::Rtcp),
            [128..=191, ..] => self.unprotect(bytes, Srtp::unprotect_rtp, Received::Rtp),
            _ => self.stats.unknown_datagrams += 1,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        if self.state == PathState::New {
            self.state = PathState::Connecting;
        }
        if self.checks.has_expired(now) {
            self.state = PathState::Failed;
            return;
        }
        if let Some(check) = self.checks.poll(now, &mut self.stats) {
            self.send(check);
        }
        self.association.handle_timeout(now);
        self.drain_association();
    }

    /// Encrypts and sends an RTP packet. Does nothing but count before there are keys.
    ///
    /// The rollover counter follows from the sequence numbers as they come (RFC 3711 section 3.3.1).
    pub fn send_rtp(&mut self, packet: &[u8]) {
        if self.protect_and_send(packet, Srtp::protect_rtp) {
            self.stats.rtp_sent += 1;
        }
    }

    /// Encrypts and sends an RTCP compound. Does nothing but count before there are keys.
    pub fn send_rtcp(&mut self, packet: &[u8]) {
        if self.protect_and_send(packet, Srtp::protect_rtcp) {
            self.stats.rtcp_sent += 1;
        }
    }

    /// Goes on with new credentials, which the server has signalled. The handshake and its keys stay (RFC 8842 section 4).
    pub fn restart_ice(&mut self, now: Instant, ice: IceParameters) {
        if self.state == PathState::Closed || self.is_refused {
            return;
        }
        self.checks.restart(now, ice);
        if self.state == PathState::Failed {
            self.state = if self.srtp.is_some() { PathState::Connected } else { PathState::Connecting };
        }
    }

    /// Stops sending checks, as a client that has forgotten its duty. Media and handshake go on.
    pub fn pause_consent(&mut self) {
        self.checks.pause();
    }

    /// Goes on with the checks.
    pub fn resume_consent(&mut self, now: Instant) {
        self.checks.resume(now);
    }

    /// While silent, it sends nothing at all, as a device whose network is gone; it does not know that itself.
    pub fn set_silent(&mut self, is_silent: bool) {
        self.is_silent = is_silent;
    }

    /// Ends the connection; with DTLS the server is told.
    pub fn close(&mut self, now: Instant) {
        if self.state != PathState::Closed {
            self.association.close(now);
            self.drain_association();
            self.end(PathState::Closed);
        }
    }

    /// The next datagram for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    /// The next packet from the server.
    pub fn poll_received(&mut self) -> Option<Received> {
        self.received.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.checks.deadline(), self.association.deadline()];
        deadlines.into_iter().flatten().min().filter(|_| !self.is_over())
    }

    /// Where everything is sent to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// What the server has to be told of this end.
    pub fn local_dtls_parameters(&self) -> DtlsParameters {
        self.association.local_parameters()
    }

    /// The address under which the server has last seen this client (XOR-MAPPED-ADDRESS).
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.checks.mapped_address()
    }

    /// Whether the server has answered a check made with the credentials in use.
    pub fn is_answered(&self) -> bool {
        self.checks.is_answered()
    }

    /// Whether media can flow.
    pub fn is_connected(&self) -> bool {
        self.state == PathState::Connected
    }

    /// How far it has come.
    pub fn state(&self) -> PathState {
        self.state
    }

    /// What was counted.
    pub fn stats(&self) -> PathStats {
        self.stats
    }

    fn is_over(&self) -> bool {
        matches!(self.state, PathState::Failed | PathState::Closed)
    }

    fn drain_association(&mut self) {
        while let Some(output) = self.association.poll() {
            match output {
                SecurityOutput::Packet(packet) => self.send(packet),
                SecurityOutput::Keys(keys) => {
                    self.srtp = Some(Srtp::new(keys.profile, &keys.material, keys.is_client));
                    self.state = PathState::Connected;
                }
                SecurityOutput::Closed => self.end(PathState::Closed),
                SecurityOutput::Failed => {
                    self.is_refused = true;
                    self.end(PathState::Failed);
                }
            }
        }
    }

    fn end(&mut self, state: PathState) {
        self.state = state;
        self.srtp = None;
    }

    fn unprotect(
        &mut self,
        bytes: &[u8],
        open: impl FnOnce(&mut Srtp, &[u8]) -> Result<Vec<u8>, SrtpError>,
        received: impl FnOnce(Vec<u8>) -> Received,
    ) {
        let Some(srtp) = &mut self.srtp else {
            self.stats.received_before_keys += 1;
            return;
        };
        match open(srtp, bytes).map(received) {
            Ok(packet) => {
                match packet {
                    Received::Rtp(_) => self.stats.rtp_received += 1,
                    Received::Rtcp(_) => self.stats.rtcp_received += 1,
                }
                self.received.push_back(packet);
            }
            Err(SrtpError::Malformed) => self.stats.srtp_malformed += 1,
            Err(SrtpError::AuthenticationFailed) => self.stats.srtp_authentication_failures += 1,
            Err(SrtpError::Replayed) => self.stats.srtp_replays += 1,
        }
    }

    fn protect_and_send(
        &mut self,
        packet: &[u8],
        protect: impl FnOnce(&mut Srtp, &[u8]) -> Result<Vec<u8>, SrtpError>,
    ) -> bool {
        // A failed path must not send, even though it has keys (RFC 7675 section 5.1).
        let Some(srtp) = self.srtp.as_mut().filter(|_| self.state == PathState::Connected) else {
            self.stats.unsent_without_keys += 1;
            return false;
        };
        match protect(srtp, packet) {
            Ok(bytes) => {
                self.send(bytes);
                true
            }
            Err(_) => {
                self.stats.unsent_malformed += 1;
                false
            }
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(bytes.clone());
        self.transmit(bytes);
    }

    fn transmit(&mut self, bytes: Vec<u8>) {
        if self.is_silent {
            self.stats.silenced += 1;
        } else {
            self.outgoing.push_back(bytes);
        }
    }
}

/// One of the generators of a path: what one draws does not shift the draws of another.
fn generator(seed: u64, usage: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(usage);
    rng
}
