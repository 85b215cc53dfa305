//! The client's end of one transport: ICE, DTLS and SRTP, over a socket of its own.
//!
//! It shares DTLS and SRTP with the core, unlike [`crate::peer::path`]: not a second opinion is wanted here but little work for
//! many connections.
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sansfu::dtls::{DimplBackend, DtlsKeys, DtlsOutput, DtlsRole, DtlsTransport};
use sansfu::ortc::{DtlsFingerprint, IceParameters};
use sansfu::srtp::cipher::AwsLcRs;
use sansfu::srtp::{SrtpContexts, SrtpProfile};
use sansfu::wire::rtp;

use super::socket::Socket;
use crate::peer::path::stun::{Answer, BindingRequest, Outcome, Role, Transaction};

/// The time between two checks until one is answered.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Checks that may be answered yet: a server that is loaded takes its time.
const MOST_OUTSTANDING: usize = 64;
/// The time from an answer to the next check (RFC 7675 section 5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// After how long without an answer the server is held for gone (RFC 7675 section 5.1).
const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// More streams than a room gives one receiver, retransmissions and all.
const MAX_STREAMS: usize = 4_096;

/// What the server has said of a transport.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub address: SocketAddr,
    /// Its credentials.
    pub ice: IceParameters,
    /// Those of its certificate.
    pub fingerprints: Vec<DtlsFingerprint>,
}

/// What of a datagram is for the path's owner.
#[derive(Debug)]
pub enum Received<'a> {
    /// It was the path's own.
    Nothing,
    /// An RTP packet, encrypted.
    Rtp(&'a mut [u8]),
    /// An RTCP compound, in the clear.
    Rtcp(&'a [u8]),
}

/// How far a path has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathState {
    /// Checks and handshake are under way.
    Connecting,
    /// Media can flow.
    Connected,
    /// It is over, and why.
    Failed(&'static str),
}

/// The client's end of a transport.
#[derive(Debug)]
pub struct Path {
    /// What it is carried by. Shared, so that the path can work on what the socket is handing out.
    pub socket: Arc<Socket>,
    state: PathState,
    checks: Checks,
    dtls: DtlsTransport,
    srtp: Option<SrtpContexts>,
}

impl Path {
    /// A path whose first check is due at once.
    ///
    /// # Errors
    /// There is no socket to be had, or the server's fingerprints prove nothing.
    pub fn new(now: Instant, remote: &Remote, backend: Arc<DimplBackend>, seed: u64) -> io::Result<Self> {
        let mut dtls = DtlsTransport::new(backend);
        dtls.set_remote_fingerprints(&remote.fingerprints)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        Ok(Path {
            socket: Arc::new(Socket::connect(remote.address)?),
            state: PathState::Connecting,
            checks: Checks::new(now, remote.ice.clone(), seed),
            dtls,
            srtp: None,
        })
    }

    /// How far it has come.
    pub fn state(&self) -> PathState {
        self.state
    }

    /// Takes a datagram (RFC 7983 section 7, RFC 5761 section 4).
    pub fn handle_datagram<'a>(&mut self, now: Instant, bytes: &'a mut [u8]) -> Received<'a> {
        match bytes {
            [0..=3, ..] => {
                if self.checks.handle_answer(now, bytes) {
                    self.dtls.start(now, DtlsRole::Client);
                    self.drain_dtls();
                }
                Received::Nothing
            }
            [20..=63, ..] => {
                self.dtls.handle_datagram(now, bytes);
                self.drain_dtls();
                Received::Nothing
            }
            [128..=191, 192..=223, ..] => self.open_rtcp(bytes),
            [128..=191, ..] => Received::Rtp(bytes),
            _ => Received::Nothing,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.state, PathState::Failed(_)) {
            return;
        }
        if self.checks.has_expired(now) {
            self.state = PathState::Failed("no check was answered for 30 s");
            return;
        }
        if let Some(request) = self.checks.poll(now) {
            self.socket.send(&request);
        }
        self.dtls.handle_timeout(now);
        self.drain_dtls();
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let over = matches!(self.state, PathState::Failed(_));
        let both = [Some(self.checks.next_at), self.dtls.deadline()];
        both.into_iter().flatten().min().filter(|_| !over)
    }

    /// Opens an RTP packet in place; gives its length in the clear.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let (header_len, (ssrc, number)) = rtp::header_len(packet).zip(rtp::stream_position(packet))?;
        let opened = self.srtp.as_mut()?.receiver.unprotect_rtp(packet, header_len, ssrc, number);
        opened.ok().map(|(length, _)| length)
    }

    /// Sends an RTP packet, encrypting it in place; `index` is its extended sequence number.
    pub fn send_rtp(&mut self, packet: &mut Vec<u8>, header_len: usize, index: u64) {
        let Some(srtp) = &self.srtp else { return };
        if srtp.sender.protect_rtp(packet, 0, header_len, index).is_ok() {
            self.socket.send(packet);
        }
    }

    /// Sends an RTCP compound.
    pub fn send_rtcp(&mut self, mut compound: Vec<u8>) {
        let Some(srtp) = &mut self.srtp else { return };
        if srtp.sender.protect_rtcp(&mut compound, 0).is_ok() {
            self.socket.send(&compound);
        }
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        self.dtls.close();
        self.drain_dtls();
        self.state = PathState::Failed("closed");
    }

    fn open_rtcp<'a>(&mut self, bytes: &'a mut [u8]) -> Received<'a> {
        let opened = self.srtp.as_mut().and_then(|srtp| srtp.receiver.unprotect_rtcp(bytes).ok());
        opened.map_or(Received::Nothing, |length| Received::Rtcp(&bytes[..length]))
    }

    fn drain_dtls(&mut self) {
        while let Some(output) = self.dtls.poll_output() {
            match output {
                DtlsOutput::Packet(packet) => self.socket.send(&packet),
                DtlsOutput::Connected(keys) => {
                    self.srtp = contexts(&keys);
                    self.state = match self.srtp {
                        Some(_) => PathState::Connected,
                        None => PathState::Failed("an SRTP profile that is not known"),
                    };
                }
                DtlsOutput::ApplicationData(_) => {}
                DtlsOutput::Closed => self.state = PathState::Failed("the server has closed the transport"),
                DtlsOutput::Failed(_) => self.state = PathState::Failed("DTLS failed"),
            }
        }
    }
}

fn contexts(keys: &DtlsKeys) -> Option<SrtpContexts> {
    let profile = SrtpProfile::from_protection_profile(keys.protection_profile)?;
    let is_client = keys.role == DtlsRole::Client;
    SrtpContexts::from_keying_material(&AwsLcRs, profile, &keys.keying_material, is_client, MAX_STREAMS)
}

/// The checks of a controlling agent that nominates at once, and its consent.
#[derive(Debug)]
struct Checks {
    rng: ChaCha8Rng,
    remote: IceParameters,
    own_fragment: String,
    tie_breaker: u64,
    outstanding: VecDeque<Transaction>,
    last_answer: Instant,
    next_at: Instant,
}

impl Checks {
    fn new(now: Instant, remote: IceParameters, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let own_fragment = (0..8).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
        let tie_breaker = rng.next_u64();
        let outstanding = VecDeque::new();
        Checks { rng, remote, own_fragment, tie_breaker, outstanding, last_answer: now, next_at: now }
    }

    /// Whether it was the answer to a check.
    fn handle_answer(&mut self, now: Instant, bytes: &[u8]) -> bool {
        let is_right = Answer::parse(bytes).is_some_and(|answer| {
            self.outstanding.contains(&answer.transaction)
                && matches!(answer.outcome, Outcome::Success(_))
                && answer.is_authentic(&self.remote.password) == Some(true)
        });
        if is_right {
            self.outstanding.clear();
            self.last_answer = now;
            // Clients that came together do not check together for ever.
            self.next_at = now + CONSENT_INTERVAL.mul_f64(self.rng.random_range(0.8..=1.2));
        }
        is_right
    }

    fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next_at {
            return None;
        }
        self.next_at = now + CHECK_INTERVAL;
        let mut transaction = Transaction::default();
        self.rng.fill_bytes(&mut transaction);
        if self.outstanding.len() == MOST_OUTSTANDING {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back(transaction);
        let request = BindingRequest {
            username: format!("{}:{}", self.remote.username_fragment, self.own_fragment),
            password: Some(self.remote.password.clone()),
            transaction,
            use_candidate: true,
        };
        Some(request.to_bytes_as(Role::Controlling(self.tie_breaker)))
    }

    fn has_expired(&self, now: Instant) -> bool {
        now >= self.last_answer + CONSENT_TIMEOUT
    }
}
