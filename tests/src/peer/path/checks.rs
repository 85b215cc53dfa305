//! Connectivity checks of a controlling agent (RFC 8445 section 7), with aggressive nomination, and consent (RFC 7675).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use sansfu::ortc::IceParameters;

use super::stats::PathStats;
use super::stun::{Answer, BindingRequest, Outcome, Role, Transaction};

/// The time between two checks until the first is answered.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The time between two later ones until one is answered. RFC 7675 would wait for the next; browsers do not.
const CONSENT_RETRY: Duration = Duration::from_millis(500);

/// The time from an answer to the next check, on average; each is 0.8 to 1.2 of it (RFC 7675 section 5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// After how long without an answer the server is held for gone (RFC 7675 section 5.1).
const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How many requests are remembered. What is answered later than that is not known any more.
const MAX_OUTSTANDING: usize = 64;

/// The agent of one path.
#[derive(Debug)]
pub(super) struct Checks {
    rng: ChaCha8Rng,
    role: Role,
    own_fragment: String,
    remote: IceParameters,
    previous: Option<IceParameters>,
    outstanding: VecDeque<Outstanding>,
    /// Whether the server has answered under the credentials in use.
    is_answered: bool,
    /// Whether the last check has not been answered yet.
    is_awaiting: bool,
    /// When the last answer came, or what stands for it.
    last_answer: Instant,
    next_at: Instant,
    is_paused: bool,
    mapped_address: Option<SocketAddr>,
}

#[derive(Debug)]
struct Outstanding {
    transaction: Transaction,
    password: String,
    bytes: Vec<u8>,
    purpose: Purpose,
}

/// Why a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A check with the credentials in use.
    Check,
    /// One that a server may answer or refuse.
    Any,
    /// One that no server may answer with success.
    Forged,
}

impl Checks {
    /// Begins at `now`.
    pub(super) fn new(now: Instant, remote: IceParameters, mut rng: ChaCha8Rng) -> Self {
        let own_fragment = (0..8).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
        Checks {
            role: Role::Controlling(rng.next_u64()),
            rng,
            own_fragment,
            remote,
            previous: None,
            outstanding: VecDeque::new(),
            is_answered: false,
            is_awaiting: false,
            last_answer: now,
            next_at: now,
            is_paused: false,
            mapped_address: None,
        }
    }

    /// Goes on with other credentials.
    pub(super) fn restart(&mut self, now: Instant, remote: IceParameters) {
        self.previous = Some(std::mem::replace(&mut self.remote, remote));
        for request in &mut self.outstanding {
            // An answer to the old credentials says nothing about the new ones.
            if request.purpose == Purpose::Check {
                request.purpose = Purpose::Any;
            }
        }
        self.is_answered = false;
        self.is_awaiting = false;
        self.last_answer = now;
        self.next_at = now;
    }

    /// Stops, and does not wait for answers either.
    pub(super) fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Goes on, as if an answer had just come.
    pub(super) fn resume(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_paused) {
            self.last_answer = now;
            self.next_at = now;
        }
    }

    /// Takes a STUN message. Says whether it was the answer to a check.
    pub(super) fn handle_message(&mut self, now: Instant, bytes: &[u8], stats: &mut PathStats) -> bool {
        let Some(answer) = Answer::parse(bytes) else {
            stats.stun_malformed += 1;
            return false;
        };
        let known = self.outstanding.iter().position(|request| request.transaction == answer.transaction);
        let Some(at) = known else {
            stats.stun_unknown_transaction += 1;
            return false;
        };
        let request = &self.outstanding[at];
        let is_authentic = answer.is_authentic(&request.password);
        match answer.outcome {
            // RFC 8489 section 9.1.4: without the attribute, or with a wrong one, it was never received.
            Outcome::Success(_) if is_authentic != Some(true) => {
                stats.stun_integrity_failures += 1;
                false
            }
            Outcome::Success(mapped) => {
                let purpose = request.purpose;
                self.outstanding.remove(at);
                self.accept(now, mapped, purpose, stats)
            }
            Outcome::Error(_) if is_authentic == Some(false) => {
                stats.stun_integrity_failures += 1;
                false
            }
            Outcome::Error(code) => {
                self.outstanding.remove(at);
                stats.count_stun_error(code);
                false
            }
        }
    }

    /// The check that is due, if there is one.
    pub(super) fn poll(&mut self, now: Instant, stats: &mut PathStats) -> Option<Vec<u8>> {
        if self.is_paused || now < self.next_at {
            return None;
        }
        self.next_at = now + if self.is_answered { CONSENT_RETRY } else { CHECK_INTERVAL };
        stats.checks_sent += 1;
        // Clients differ in whether they repeat a request or make a new one.
        let repeats = std::mem::replace(&mut self.is_awaiting, true) && self.rng.random_bool(0.5);
        let last = self.outstanding.iter().rfind(|request| request.purpose == Purpose::Check);
        if let Some(request) = last.filter(|_| repeats) {
            return Some(request.bytes.clone());
        }
        let request = self.request();
        Some(self.register(&request, Purpose::Check))
    }

    /// A check with the credentials in use, under a new transaction, for the caller to change.
    pub(super) fn request(&mut self) -> BindingRequest {
        let remote = self.remote.clone();
        self.request_with(&remote)
    }

    /// A check with the credentials from before the last restart.
    pub(super) fn old_request(&mut self) -> Option<BindingRequest> {
        let previous = self.previous.clone()?;
        Some(self.request_with(&previous))
    }

    /// Remembers a request that is about to be sent; gives its bytes.
    pub(super) fn register(&mut self, request: &BindingRequest, purpose: Purpose) -> Vec<u8> {
        self.register_as(self.role, request, purpose)
    }

    /// The same in the role that is the server's.
    pub(super) fn register_controlled(&mut self, request: &BindingRequest) -> Vec<u8> {
        let tie_breaker = self.rng.next_u64();
        self.register_as(Role::Controlled(tie_breaker), request, Purpose::Any)
    }

    /// When something is due: a check, or the end of consent.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.is_paused).then(|| self.next_at.min(self.last_answer + CONSENT_TIMEOUT))
    }

    /// Whether no answer has come for so long that nothing may be sent any more.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        !self.is_paused && now >= self.last_answer + CONSENT_TIMEOUT
    }

    /// Whether the server has answered under the credentials in use.
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// The address that the server sees.
    pub(super) fn mapped_address(&self) -> Option<SocketAddr> {
        self.mapped_address
    }

    fn accept(&mut self, now: Instant, mapped: SocketAddr, purpose: Purpose, stats: &mut PathStats) -> bool {
        match purpose {
            Purpose::Forged => stats.forgeries_answered += 1,
            Purpose::Any => stats.answers += 1,
            Purpose::Check => {
                stats.answers += 1;
                self.mapped_address = Some(mapped);
                self.last_answer = now;
                self.is_answered = true;
                self.is_awaiting = false;
                let permille = f64::from(self.rng.random_range(800..=1_200));
                self.next_at = now + CONSENT_INTERVAL.mul_f64(permille / 1_000.0);
            }
        }
        purpose == Purpose::Check
    }

    fn request_with(&mut self, remote: &IceParameters) -> BindingRequest {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        BindingRequest {
            username: format!("{}:{}", remote.username_fragment, self.own_fragment),
            password: Some(remote.password.clone()),
            transaction,
            use_candidate: true,
        }
    }

    fn register_as(&mut self, role: Role, request: &BindingRequest, purpose: Purpose) -> Vec<u8> {
        if self.outstanding.len() == MAX_OUTSTANDING {
            self.outstanding.pop_front();
        }
        let bytes = request.to_bytes_as(role);
        self.outstanding.push_back(Outstanding {
            transaction: request.transaction,
            password: request.password.clone().unwrap_or_default(),
            bytes: bytes.clone(),
            purpose,
        });
        bytes
    }
}
