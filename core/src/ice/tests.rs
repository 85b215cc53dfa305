use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use is::stun::{StunMessage, StunMessageBuilder, TransId};

use super::*;
use crate::rng::Rng;

#[allow(clippy::disallowed_methods)]
fn start_time() -> Instant {
    Instant::now()
}

fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().try_into().unwrap()
}

/// What a client puts into a request.
#[derive(Clone)]
struct Request {
    username: String,
    password: String,
    use_candidate: bool,
    is_controlling: bool,
    nomination: Option<u32>,
}

impl Request {
    fn with(credentials: &IceCredentials) -> Self {
        Self {
            username: format!("{}:remote", credentials.username_fragment),
            password: credentials.password.clone(),
            use_candidate: false,
            is_controlling: true,
            nomination: None,
        }
    }

    fn use_candidate(mut self) -> Self {
        self.use_candidate = true;
        self
    }

    fn nomination(mut self, value: u32) -> Self {
        self.nomination = Some(value);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let message = StunMessage::binding_request(
            &self.username,
            TransId::new(),
            self.is_controlling,
            7,
            0x6E00_01FF,
            self.use_candidate,
        );
        let mut buf = vec![0; 512];
        let length = message.to_bytes(Some(self.password.as_bytes()), &mut buf, sha1_hmac).unwrap();
        buf.truncate(length);
        match self.nomination {
            Some(value) => insert_nomination(&buf, value, &self.password),
            None => buf,
        }
    }
}

/// The crate knows no nomination: it is put before MESSAGE-INTEGRITY, and what follows is made anew.
fn insert_nomination(bytes: &[u8], value: u32, password: &str) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - 8 - 24].to_vec();
    bytes.extend([0xC0, 0x01, 0, 4]);
    bytes.extend(value.to_be_bytes());
    close(bytes, Some(password))
}

/// Appends MESSAGE-INTEGRITY, if there is a password, and FINGERPRINT.
fn close(mut bytes: Vec<u8>, password: Option<&str>) -> Vec<u8> {
    if let Some(password) = password {
        let length = bytes.len() as u16 - 20 + 24;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let tag = sha1_hmac(password.as_bytes(), &[&bytes]);
        bytes.extend([0, 8, 0, 20]);
        bytes.extend(tag);
    }
    let length = bytes.len() as u16 - 20 + 8;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let crc = crc32(&bytes) ^ 0x5354_554E;
    bytes.extend([0x80, 0x28, 0, 4]);
    bytes.extend(crc.to_be_bytes());
    bytes
}

/// Bit by bit, to be independent of the table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn tuple(port: u16) -> Tuple {
    Tuple {
        local: "192.0.2.1:40000".parse().unwrap(),
        remote: SocketAddr::from(([198, 51, 100, 7], port)),
        protocol: Protocol::Udp,
    }
}

struct Fixture {
    rng: Rng,
    now: Instant,
    server: IceServer,
    answer: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let mut rng = Rng::from_seed([3; 32]);
        let server = IceServer::new(&mut rng, IceServerConfig::default());
        Self { rng, now: start_time(), server, answer: Vec::new() }
    }

    fn request(&self) -> Request {
        Request::with(self.server.credentials())
    }

    fn send(&mut self, port: u16, request: &Request) -> BindingOutcome {
        self.send_bytes(port, &request.bytes())
    }

    fn send_bytes(&mut self, port: u16, bytes: &[u8]) -> BindingOutcome {
        self.answer.clear();
        self.server.handle_binding(self.now, tuple(port), bytes, &mut self.answer)
    }

    /// The error that the last answer reports, as the crate reads it.
    fn error(&self) -> Option<u16> {
        StunMessage::parse(&self.answer).unwrap().error_code().map(|(number, _)| number)
    }
}

#[test]
fn credentials_are_long_and_from_the_seed() {
    let credentials = |seed| {
        let mut rng = Rng::from_seed([seed; 32]);
        IceServer::new(&mut rng, IceServerConfig::default()).credentials().clone()
    };
    let one = credentials(1);
    assert_eq!((one.username_fragment.len(), one.password.len()), (16, 32));
    assert!(one.username_fragment.chars().chain(one.password.chars()).all(|c| c.is_ascii_alphanumeric()));
    assert_eq!(one, credentials(1));
    assert_ne!(one, credentials(2));
    assert!(!format!("{one:?}").contains(&one.password));
}

#[test]
fn a_valid_request_is_answered_and_connects() {
    let mut fixture = Fixture::new();
    assert_eq!((fixture.server.state(), fixture.server.selected()), (IceState::New, None));
    let bytes = fixture.request().bytes();
    assert_eq!(peek_username(&bytes), Some(fixture.server.credentials().username_fragment.as_str()));
    let outcome = fixture.send_bytes(1000, &bytes);
    let expected = BindingOutcome {
        verdict: Verdict::Accepted,
        state: Some(IceState::Connected),
        selected: Some(tuple(1000)),
        added_tuple: Some(tuple(1000)),
        removed_tuple: None,
        retired_username_fragment: None,
    };
    assert_eq!(outcome, expected);
    let answer = StunMessage::parse(&fixture.answer).unwrap();
    assert!(answer.is_successful_binding_response());
    assert_eq!(answer.mapped_address(), Some(tuple(1000).remote));
    assert!(answer.verify(fixture.server.credentials().password.as_bytes(), sha1_hmac));
    assert_eq!(answer.trans_id(), StunMessage::parse(&bytes).unwrap().trans_id());

    let again = fixture.send_bytes(1000, &bytes);
    assert_eq!(again, BindingOutcome { state: None, selected: None, added_tuple: None, ..expected });
}

#[test]
fn use_candidate_completes() {
    let mut fixture = Fixture::new();
    let request = fixture.request().use_candidate();
    let outcome = fixture.send(1000, &request);
    assert_eq!((outcome.state, outcome.selected), (Some(IceState::Completed), Some(tuple(1000))));
    // Of a connected one too.
    let mut fixture = Fixture::new();
    fixture.send(1000, &fixture.request());
    let outcome = fixture.send(1000, &fixture.request().use_candidate());
    assert_eq!((outcome.state, outcome.selected), (Some(IceState::Completed), None));
}

#[test]
fn the_latest_use_candidate_wins() {
    let mut fixture = Fixture::new();
    fixture.send(1000, &fixture.request().use_candidate());
    let outcome = fixture.send(2000, &fixture.request());
    assert_eq!((outcome.selected, outcome.added_tuple), (None, Some(tuple(2000))), "not nominated");
    let outcome = fixture.send(2000, &fixture.request().use_candidate());
    assert_eq!((outcome.state, outcome.selected), (None, Some(tuple(2000))));
    let outcome = fixture.send(1000, &fixture.request().use_candidate());
    assert_eq!(outcome.selected, Some(tuple(1000)));
    assert!(fixture.server.is_known_tuple(&tuple(2000)));
}

#[test]
fn only_a_higher_nomination_wins() {
    let mut fixture = Fixture::new();
    let outcome = fixture.send(1000, &fixture.request().nomination(5));
    assert_eq!((outcome.state, outcome.selected), (Some(IceState::Completed), Some(tuple(1000))));
    for (port, value, selected) in
        [(2000, 5, 1000), (2000, 4, 1000), (2000, 6, 2000), (3000, u32::MAX, 3000), (1000, 7, 3000)]
    {
        fixture.send(port, &fixture.request().nomination(value).use_candidate());
        assert_eq!(fixture.server.selected(), Some(tuple(selected)), "{value} over {port}");
    }
}

#[test]
fn wrong_requests_get_the_error_that_says_so() {
    let mut fixture = Fixture::new();
    let good = fixture.request();
    let wrong_password = Request { password: "x".repeat(32), ..good.clone() };
    let wrong_fragment = Request { username: "x".repeat(16) + ":remote", ..good.clone() };
    let shorter = Request { username: good.username[..15].to_owned() + ":remote", ..good.clone() };
    let controlled = Request { is_controlling: false, ..good.clone() };
    for (request, code) in [
        (&wrong_password, ErrorCode::Unauthenticated),
        (&wrong_fragment, ErrorCode::Unauthenticated),
        (&shorter, ErrorCode::Unauthenticated),
        (&controlled, ErrorCode::RoleConflict),
    ] {
        let outcome = fixture.send(1000, request);
        assert_eq!(outcome, BindingOutcome { verdict: Verdict::Refused(code), ..nothing() });
        assert_eq!(fixture.error(), Some(code.number()));
        let is_signed =
            StunMessage::parse(&fixture.answer).unwrap().verify(good.password.as_bytes(), sha1_hmac);
        assert_eq!(is_signed, code == ErrorCode::RoleConflict, "only who has proved itself gets a proof");
    }
    assert_eq!((fixture.server.state(), fixture.server.tuples()), (IceState::New, &[][..]));
}

fn nothing() -> BindingOutcome {
    BindingOutcome {
        verdict: Verdict::Accepted,
        state: None,
        selected: None,
        added_tuple: None,
        removed_tuple: None,
        retired_username_fragment: None,
    }
}

/// A message of these attributes, made by hand.
fn message(kind: u16, attributes: &[(u16, &[u8])], password: Option<&str>) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0x21, 0x12, 0xA4, 0x42]);
    bytes.extend(*b"transaction.");
    for (kind, value) in attributes {
        bytes.extend(kind.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    close(bytes, password)
}

#[test]
fn incomplete_requests_are_bad_requests() {
    let mut fixture = Fixture::new();
    let good = fixture.request();
    let (username, password) = ((0x0006, good.username.as_bytes()), good.password.as_str());
    let priority = (0x0024, &[0, 0, 0, 1][..]);
    let cases = [
        ("no username", message(1, &[priority], Some(password)), 400),
        ("no integrity", message(1, &[username, priority], None), 400),
        ("no priority", message(1, &[username], Some(password)), 400),
        ("another method", message(3, &[username, priority], Some(password)), 400),
        (
            "an unknown attribute",
            message(1, &[username, priority, (0x0019, &[17, 0, 0, 0])], Some(password)),
            420,
        ),
        ("no colon", message(1, &[(0x0006, &username.1[..15]), priority], Some(password)), 401),
    ];
    for (what, bytes, number) in cases {
        let outcome = fixture.send_bytes(1000, &bytes);
        assert!(matches!(outcome.verdict, Verdict::Refused(code) if code.number() == number), "{what}");
        assert!(!fixture.answer.is_empty(), "{what}");
    }
    let bytes = message(1, &[username, priority], Some(password));
    assert_eq!(fixture.send_bytes(1000, &bytes).verdict, Verdict::Accepted);
}

#[test]
fn what_must_not_be_answered_is_not() {
    let mut fixture = Fixture::new();
    let good = fixture.request();
    let mut without_fingerprint = good.bytes();
    without_fingerprint.truncate(without_fingerprint.len() - 8);
    let length = without_fingerprint.len() as u16 - 20;
    without_fingerprint[2..4].copy_from_slice(&length.to_be_bytes());
    let mut wrong_fingerprint = good.bytes();
    *wrong_fingerprint.last_mut().unwrap() ^= 1;
    let success = {
        let reply = StunMessage::binding_reply(TransId::new(), tuple(1).remote);
        let mut buf = vec![0; 512];
        let length = reply.to_bytes(Some(good.password.as_bytes()), &mut buf, sha1_hmac).unwrap();
        buf[..length].to_vec()
    };
    let indication = {
        let message = StunMessageBuilder::new().binding().indication().build(TransId::new());
        let mut buf = vec![0; 512];
        let length = message.to_bytes(None, &mut buf, sha1_hmac).unwrap();
        buf[..length].to_vec()
    };
    let cases = [
        (vec![], Verdict::Dropped(DropReason::Malformed)),
        (vec![0; 20], Verdict::Dropped(DropReason::Malformed)),
        (without_fingerprint, Verdict::Dropped(DropReason::NoFingerprint)),
        (wrong_fingerprint, Verdict::Dropped(DropReason::NoFingerprint)),
        (success, Verdict::Dropped(DropReason::UnexpectedResponse)),
        (indication, Verdict::Indication),
        (message(0x0016, &[], None), Verdict::Dropped(DropReason::UnknownIndication)),
    ];
    for (bytes, verdict) in cases {
        assert_eq!(fixture.send_bytes(1000, &bytes), BindingOutcome { verdict, ..nothing() });
        assert!(fixture.answer.is_empty(), "{verdict:?}");
    }
}

#[test]
fn old_credentials_live_until_the_new_ones_are_used() {
    let mut fixture = Fixture::new();
    let old = fixture.request();
    fixture.send(1000, &old.clone().nomination(9));
    assert_eq!(fixture.server.restart(&mut fixture.rng), None);
    let new = fixture.request();
    assert_ne!(old.username, new.username);
    assert_eq!(fixture.server.username_fragments().count(), 2);

    fixture.now += Duration::from_secs(20);
    assert_eq!(fixture.send(1000, &old).verdict, Verdict::Accepted);
    assert!(StunMessage::parse(&fixture.answer).unwrap().verify(old.password.as_bytes(), sha1_hmac));

    // A lower nomination than before: it is another session's.
    let outcome = fixture.send(2000, &new.clone().nomination(1));
    assert_eq!(outcome.retired_username_fragment, Some(old.username[..16].to_owned()));
    assert_eq!(outcome.selected, Some(tuple(2000)));
    assert_eq!(fixture.server.username_fragments().count(), 1);
    assert_eq!(fixture.send(1000, &old).verdict, Verdict::Refused(ErrorCode::Unauthenticated));
    assert_eq!(fixture.send(1000, &new).verdict, Verdict::Accepted);
}

#[test]
fn restarts_in_a_row_keep_what_the_client_uses() {
    let mut fixture = Fixture::new();
    let used = fixture.request();
    fixture.send(1000, &used);
    assert_eq!(fixture.server.restart(&mut fixture.rng), None);
    let unused = fixture.request();
    let dropped = fixture.server.restart(&mut fixture.rng);
    assert_eq!(dropped, Some(unused.username[..16].to_owned()));
    assert_eq!(fixture.send(1000, &used).verdict, Verdict::Accepted);
    assert_eq!(fixture.send(1000, &unused).verdict, Verdict::Refused(ErrorCode::Unauthenticated));
    assert_eq!(fixture.send(1000, &fixture.request()).verdict, Verdict::Accepted);
    assert_eq!(fixture.send(1000, &used).verdict, Verdict::Refused(ErrorCode::Unauthenticated));
}

#[test]
fn consent_expires_without_requests() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.server.deadline(), None, "nobody to wait for");
    fixture.send(1000, &fixture.request().use_candidate());
    let first = fixture.now;
    assert_eq!(fixture.server.deadline(), Some(first + Duration::from_secs(30)));

    fixture.now += Duration::from_secs(29);
    assert_eq!(fixture.server.handle_timeout(fixture.now), None);
    fixture.send(2000, &fixture.request());
    assert_eq!(fixture.server.deadline(), Some(first + Duration::from_secs(59)), "any tuple will do");

    let wrong = Request { password: "x".repeat(32), ..fixture.request() };
    fixture.send(1000, &wrong);
    assert_eq!(fixture.server.deadline(), Some(first + Duration::from_secs(59)), "but no wrong request");

    assert_eq!(fixture.server.handle_timeout(first + Duration::from_millis(58_999)), None);
    let expired = fixture.server.handle_timeout(first + Duration::from_secs(59)).unwrap();
    assert_eq!(expired.removed_tuples, [tuple(1000), tuple(2000)]);
    assert_eq!(fixture.server.state(), IceState::Disconnected);
    assert_eq!((fixture.server.selected(), fixture.server.deadline()), (None, None));
    assert!(!fixture.server.is_known_tuple(&tuple(1000)));
    assert_eq!(fixture.server.handle_timeout(first + Duration::from_secs(99)), None, "reported once");

    let outcome = fixture.send(3000, &fixture.request());
    assert_eq!((outcome.state, outcome.selected), (Some(IceState::Connected), Some(tuple(3000))));
}

#[test]
fn consent_may_never_expire() {
    let mut rng = Rng::from_seed([3; 32]);
    let config = IceServerConfig { consent_timeout: Duration::ZERO, ..Default::default() };
    let mut server = IceServer::new(&mut rng, config);
    let now = start_time();
    let bytes = Request::with(server.credentials()).bytes();
    server.handle_binding(now, tuple(1), &bytes, &mut Vec::new());
    assert_eq!(server.deadline(), None);
    assert_eq!(server.handle_timeout(now + Duration::from_secs(1 << 20)), None);
    assert_eq!(server.state(), IceState::Connected);
}

#[test]
fn tuples_are_bounded_and_the_selected_one_stays() {
    let mut fixture = Fixture::new();
    fixture.send(1, &fixture.request().use_candidate());
    for port in 2..=8 {
        assert_eq!(fixture.send(port, &fixture.request()).removed_tuple, None);
    }
    // 2 shows that it is still there.
    fixture.send(2, &fixture.request());
    let outcome = fixture.send(9, &fixture.request());
    assert_eq!((outcome.added_tuple, outcome.removed_tuple), (Some(tuple(9)), Some(tuple(3))));
    for port in 10..100 {
        fixture.send(port, &fixture.request());
        assert_eq!(fixture.server.tuples().len(), 8);
        assert_eq!(fixture.server.selected(), Some(tuple(1)));
        assert!(fixture.server.is_known_tuple(&tuple(1)));
    }
    // However little room there is, a tuple that is only probed does not push the selected one out.
    let mut rng = Rng::from_seed([3; 32]);
    let mut server = IceServer::new(&mut rng, IceServerConfig { max_tuples: 0, ..Default::default() });
    let nominated = Request::with(server.credentials()).use_candidate().bytes();
    let probed = Request::with(server.credentials()).bytes();
    server.handle_binding(fixture.now, tuple(1), &nominated, &mut Vec::new());
    for port in [2, 3] {
        server.handle_binding(fixture.now, tuple(port), &probed, &mut Vec::new());
        assert_eq!((server.selected(), server.is_known_tuple(&tuple(1))), (Some(tuple(1)), true));
    }
    server.handle_binding(fixture.now, tuple(4), &nominated, &mut Vec::new());
    assert_eq!((server.selected(), server.tuples().len()), (Some(tuple(4)), 2));
}

#[test]
fn a_tuple_that_another_transport_uses_now_is_lost_and_the_next_request_selects_anew() {
    let mut fixture = Fixture::new();
    let nominated = fixture.request().use_candidate();
    fixture.send(1, &nominated);
    fixture.server.lose_tuple(&tuple(2));
    assert_eq!(fixture.server.selected(), Some(tuple(1)), "that was not its own");
    fixture.server.lose_tuple(&tuple(1));
    assert_eq!((fixture.server.selected(), fixture.server.is_known_tuple(&tuple(1))), (None, false));
    assert!(fixture.server.deadline().is_some(), "consent goes on until it expires");
    let outcome = fixture.send(3, &fixture.request());
    assert_eq!((outcome.selected, fixture.server.selected()), (Some(tuple(3)), Some(tuple(3))));
    assert_eq!(fixture.server.state(), IceState::Completed, "it was nominated once");
}

#[test]
fn ten_thousand_damaged_requests_change_nothing() {
    let mut fixture = Fixture::new();
    fixture.send(1000, &fixture.request().use_candidate());
    let (good, deadline) = (fixture.request().nomination(3).bytes(), fixture.server.deadline());
    fixture.now += Duration::from_secs(1);
    let mut rng = Rng::from_seed([4; 32]);
    let mut answered = 0;
    for _ in 0..10_000 {
        let mut bytes = good.clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() as u32) as usize;
            bytes[at] ^= 1 << rng.below(8);
        }
        match rng.below(4) {
            0 => bytes.truncate(rng.below(bytes.len() as u32) as usize),
            1 => bytes.extend(vec![0; rng.below(9) as usize]),
            // The checksum is no secret.
            2 => bytes = close(bytes[..bytes.len() - 8].to_vec(), None),
            _ => {}
        }
        if bytes == good {
            continue;
        }
        let outcome = fixture.send_bytes(2000, &bytes);
        let is_refused = matches!(outcome.verdict, Verdict::Refused(_));
        assert_eq!(outcome, BindingOutcome { verdict: outcome.verdict, ..nothing() });
        assert_ne!(outcome.verdict, Verdict::Accepted, "{bytes:02x?}");
        assert_eq!(is_refused, !fixture.answer.is_empty());
        assert!(fixture.answer.len() <= bytes.len(), "an answer is no amplification");
        answered += usize::from(is_refused);
    }
    assert!(answered > 500, "{answered}");
    assert_eq!(fixture.server.tuples(), [tuple(1000)]);
    assert_eq!(fixture.server.deadline(), deadline);
}

#[test]
fn random_bytes_are_dropped() {
    let mut fixture = Fixture::new();
    let mut rng = Rng::from_seed([5; 32]);
    for length in 0..2_000 {
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes);
        assert_eq!(peek_username(&bytes), None);
        assert_eq!(fixture.send_bytes(1, &bytes).verdict, Verdict::Dropped(DropReason::Malformed));
    }
}
