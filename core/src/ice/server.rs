//! The state machine of one transport's ICE.

use std::fmt;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::stun::{Class, ErrorCode, Message, write_error, write_success};
use super::{IceState, Tuple};
use crate::rng::Rng;

/// Length of the username fragment, characters: 95 bits. RFC 8445 section 5.3 asks for 24.
const USERNAME_FRAGMENT_LEN: usize = 16;

/// Length of the password, characters: 190 bits. RFC 8445 section 5.3 asks for 128.
const PASSWORD_LEN: usize = 32;

/// Settings of an [`IceServer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IceServerConfig {
    /// After how long without a valid request consent has expired. Zero: never. Default: 30 s (RFC 7675 section 5.1).
    pub consent_timeout: Duration,
    /// How many tuples are known at a time, at least 2. Default: 8. A further one replaces the one that was silent longest
    /// and is not selected.
    pub max_tuples: usize,
}

impl Default for IceServerConfig {
    fn default() -> Self {
        Self { consent_timeout: Duration::from_secs(30), max_tuples: 8 }
    }
}

/// What a client needs to send valid requests.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `ice-ufrag`, letters and digits.
    pub username_fragment: String,
    /// `ice-pwd`, letters and digits.
    pub password: String,
}

/// The password stays out of logs.
impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials")
            .field("username_fragment", &self.username_fragment)
            .finish_non_exhaustive()
    }
}

/// What became of a STUN message, and what has changed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingOutcome {
    /// How the message was judged.
    pub verdict: Verdict,
    /// The new state, if it changed.
    pub state: Option<IceState>,
    /// The newly selected tuple, if it changed.
    pub selected: Option<Tuple>,
    /// A tuple that is known from now on.
    pub added_tuple: Option<Tuple>,
    /// A tuple that is no longer known, since another took its place.
    pub removed_tuple: Option<Tuple>,
    /// A username fragment that is no longer valid, since the client has used newer credentials.
    pub retired_username_fragment: Option<String>,
}

/// How a STUN message was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A valid request: the success answer is in the buffer.
    Accepted,
    /// A keepalive, which asks for nothing.
    Indication,
    /// The error answer is in the buffer.
    Refused(ErrorCode),
    /// Not answered.
    Dropped(DropReason),
}

/// Why a STUN message was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// No STUN, or malformed.
    Malformed,
    /// FINGERPRINT, which ICE demands (RFC 8445 section 7.1), is absent or wrong.
    NoFingerprint,
    /// An answer, though nothing was asked.
    UnexpectedResponse,
    /// An indication of a method that is not ours.
    UnknownIndication,
}

/// What [`IceServer::handle_timeout`] reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentExpired {
    /// The tuples that were known; none is now.
    pub removed_tuples: Vec<Tuple>,
}

/// The ICE-Lite agent of one transport.
#[derive(Debug)]
pub struct IceServer {
    config: IceServerConfig,
    current: Keyed,
    /// Whether a valid request has used `current`.
    current_used: bool,
    /// The credentials in use before the last restart, valid until `current` is used.
    previous: Option<Keyed>,
    state: IceState,
    /// In order of their last valid request, the latest last.
    tuples: Vec<Tuple>,
    selected: Option<Tuple>,
    /// Highest value of the nomination attribute under the credentials in use.
    nomination: Option<u32>,
    last_consent: Option<Instant>,
}

impl IceServer {
    /// An agent with credentials of its own.
    pub fn new(rng: &mut Rng, config: IceServerConfig) -> Self {
        Self {
            config,
            current: Keyed::generate(rng),
            current_used: false,
            previous: None,
            state: IceState::New,
            tuples: Vec::new(),
            selected: None,
            nomination: None,
            last_consent: None,
        }
    }

    /// Makes new credentials. Those that the client uses stay valid until it has used the new ones (RFC 8445 section 9).
    ///
    /// Returns the username fragment that became invalid at once: that of credentials which no valid request had used before
    /// the next ones replaced them.
    pub fn restart(&mut self, rng: &mut Rng) -> Option<String> {
        let replaced = std::mem::replace(&mut self.current, Keyed::generate(rng));
        let was_used = std::mem::replace(&mut self.current_used, false);
        if was_used || self.previous.is_none() {
            self.previous.replace(replaced).map(|keyed| keyed.credentials.username_fragment)
        } else {
            Some(replaced.credentials.username_fragment)
        }
    }

    /// Handles a STUN message that came over `tuple` and appends the answer, if there is one, to `out`. It is to be sent back
    /// over the same tuple.
    ///
    /// RFC 8445 section 7.3, RFC 8489 sections 6.3 and 9.1.3. Mediasoup's rule of selection: a valid request selects its tuple
    /// if none is selected; from then on a request with USE-CANDIDATE or a nomination does, of nominations only a higher one.
    pub fn handle_binding(
        &mut self,
        now: Instant,
        tuple: Tuple,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> BindingOutcome {
        let mut outcome = BindingOutcome::without_change(Verdict::Accepted);
        let Some(message) = Message::parse(bytes) else {
            outcome.verdict = Verdict::Dropped(DropReason::Malformed);
            return outcome;
        };
        match self.judge(&message) {
            Judgement::Ignore(verdict) => outcome.verdict = verdict,
            Judgement::Refuse(code) => {
                write_error(&message, code, None, out);
                outcome.verdict = Verdict::Refused(code);
            }
            Judgement::Authentic(generation) => {
                let Some(keyed) = self.keyed(generation) else { return outcome };
                if let Some(code) = refusal(&message) {
                    write_error(&message, code, Some(&keyed.key), out);
                    outcome.verdict = Verdict::Refused(code);
                } else {
                    write_success(&message, tuple.remote, &keyed.key, out);
                    self.accept(now, tuple, &message, generation, &mut outcome);
                }
            }
        }
        outcome
    }

    /// Ends consent if it is due. Harmless when it is not.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<ConsentExpired> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        self.state = IceState::Disconnected;
        self.selected = None;
        self.last_consent = None;
        Some(ConsentExpired { removed_tuples: std::mem::take(&mut self.tuples) })
    }

    /// Another transport's client uses a tuple now, so that it is no longer this one's. If it was the selected one, nothing can be
    /// sent until the next valid request selects another.
    pub fn lose_tuple(&mut self, tuple: &Tuple) {
        self.tuples.retain(|known| known != tuple);
        self.selected = self.selected.filter(|selected| selected != tuple);
    }

    /// When the last valid request came; `None` before the first, and after consent has expired.
    pub fn last_consent(&self) -> Option<Instant> {
        self.last_consent
    }

    /// When consent expires, unless a valid request comes before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.config.consent_timeout.is_zero() {
            return None;
        }
        self.last_consent?.checked_add(self.config.consent_timeout)
    }

    /// The credentials to signal.
    pub fn credentials(&self) -> &IceCredentials {
        &self.current.credentials
    }

    /// The username fragments under which requests are valid: the current one, and after a restart the one before.
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        let previous = self.previous.as_ref();
        std::iter::once(&self.current)
            .chain(previous)
            .map(|keyed| keyed.credentials.username_fragment.as_str())
    }

    /// How far ICE has come.
    pub fn state(&self) -> IceState {
        self.state
    }

    /// Where to send. `None` before the first valid request and after consent has expired.
    pub fn selected(&self) -> Option<Tuple> {
        self.selected
    }

    /// The tuples over which valid requests came.
    pub fn tuples(&self) -> &[Tuple] {
        &self.tuples
    }

    /// Whether a valid request came over `tuple`, so that what else comes over it may be from the client.
    pub fn is_known_tuple(&self, tuple: &Tuple) -> bool {
        self.tuples.contains(tuple)
    }

    /// What can be said of a message without changing anything.
    fn judge(&self, message: &Message<'_>) -> Judgement {
        if !message.has_valid_fingerprint {
            return Judgement::Ignore(Verdict::Dropped(DropReason::NoFingerprint));
        }
        match message.class {
            Class::Request => {}
            Class::Indication if message.is_binding => return Judgement::Ignore(Verdict::Indication),
            Class::Indication => {
                return Judgement::Ignore(Verdict::Dropped(DropReason::UnknownIndication));
            }
            Class::Success | Class::Error => {
                return Judgement::Ignore(Verdict::Dropped(DropReason::UnexpectedResponse));
            }
        }
        let (true, true, Some(username)) =
            (message.is_binding, message.has_integrity(), message.local_username_fragment())
        else {
            return Judgement::Refuse(ErrorCode::BadRequest);
        };
        let generation = [Generation::Current, Generation::Previous].into_iter().find(|generation| {
            self.keyed(*generation)
                .is_some_and(|keyed| keyed.credentials.username_fragment.as_bytes() == username)
        });
        match generation {
            Some(generation)
                if self.keyed(generation).is_some_and(|keyed| message.verify_integrity(&keyed.key)) =>
            {
                Judgement::Authentic(generation)
            }
            _ => Judgement::Refuse(ErrorCode::Unauthenticated),
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        tuple: Tuple,
        message: &Message<'_>,
        generation: Generation,
        outcome: &mut BindingOutcome,
    ) {
        if generation == Generation::Current {
            self.current_used = true;
            if let Some(retired) = self.previous.take() {
                // The nominations of another session do not compare (RFC 8445 section 9).
                self.nomination = None;
                outcome.retired_username_fragment = Some(retired.credentials.username_fragment);
            }
        }
        // Time does not run backwards, whatever the caller says.
        self.last_consent = self.last_consent.max(Some(now));
        self.remember(tuple, outcome);
        let is_first = self.selected.is_none();
        let nominates = self.nominates(message);
        if is_first || nominates {
            let state = match (nominates, self.state) {
                (true, _) | (_, IceState::Completed) => IceState::Completed,
                (false, _) => IceState::Connected,
            };
            if self.state != state {
                self.state = state;
                outcome.state = Some(state);
            }
            if self.selected != Some(tuple) {
                self.selected = Some(tuple);
                outcome.selected = Some(tuple);
            }
        }
    }

    /// Whether the request selects its tuple. Remembers the nomination.
    fn nominates(&mut self, message: &Message<'_>) -> bool {
        let Some(nomination) = message.nomination else { return message.use_candidate };
        let is_higher = self.nomination.is_none_or(|highest| nomination > highest);
        if is_higher {
            self.nomination = Some(nomination);
        }
        is_higher
    }

    fn remember(&mut self, tuple: Tuple, outcome: &mut BindingOutcome) {
        if self.tuples.last() == Some(&tuple) {
            return;
        }
        let known = self.tuples.iter().position(|known| *known == tuple);
        if let Some(at) = known {
            self.tuples.remove(at);
        } else {
            outcome.added_tuple = Some(tuple);
            // Beside the selected one there is place for one that may become it.
            if self.tuples.len() >= self.config.max_tuples.max(2) {
                let selected = self.selected;
                let oldest = self.tuples.iter().position(|known| Some(*known) != selected).unwrap_or(0);
                outcome.removed_tuple = Some(self.tuples.remove(oldest));
            }
        }
        self.tuples.push(tuple);
    }

    fn keyed(&self, generation: Generation) -> Option<&Keyed> {
        match generation {
            Generation::Current => Some(&self.current),
            Generation::Previous => self.previous.as_ref(),
        }
    }
}

impl BindingOutcome {
    /// The message changed nothing.
    pub fn without_change(verdict: Verdict) -> Self {
        Self {
            verdict,
            state: None,
            selected: None,
            added_tuple: None,
            removed_tuple: None,
            retired_username_fragment: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Current,
    Previous,
}

enum Judgement {
    Ignore(Verdict),
    /// Refused without proof of who asks.
    Refuse(ErrorCode),
    /// A binding request that was made with these credentials.
    Authentic(Generation),
}

/// Credentials with the key that the password makes, set up once.
#[derive(Debug)]
struct Keyed {
    credentials: IceCredentials,
    key: hmac::Key,
}

impl Keyed {
    fn generate(rng: &mut Rng) -> Self {
        let username_fragment = rng.alphanumeric(USERNAME_FRAGMENT_LEN);
        let password = rng.alphanumeric(PASSWORD_LEN);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        Self { credentials: IceCredentials { username_fragment, password }, key }
    }
}

/// Why an authentic request is refused all the same.
fn refusal(message: &Message<'_>) -> Option<ErrorCode> {
    if !message.unknown_attributes().is_empty() {
        return Some(ErrorCode::UnknownAttribute);
    }
    // RFC 8445 section 7.1.1: PRIORITY is in every connectivity check.
    if message.priority.is_none() {
        return Some(ErrorCode::BadRequest);
    }
    message.is_controlled.then_some(ErrorCode::RoleConflict)
}
