//! STUN messages at an ICE-Lite agent (RFC 8489, RFC 8445 section 7.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use sansfu::ice::{
    BindingOutcome, DropReason, ErrorCode, IceCredentials, IceServer, IceServerConfig, IceState, Protocol,
    Tuple, Verdict, peek_username,
};
use sansfu::rng::Rng;
use str0m::ice::StunMessage;

use crate::choices::Choices;
use crate::stun::{Stun, integrity};
use crate::world::stun::refresh_fingerprint;

const MAX_TUPLES: usize = 3;

/// No answer is longer: nobody can make us send much for little.
const MAX_ANSWER_LEN: usize = 100;

/// Some messages to one agent, from some addresses; before some of them the credentials are renewed or time passes. Only what is
/// made with the agent's password changes anything, and what is answered is what another library can read.
pub fn stun(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let mut rng = Rng::from_seed([5; 32]);
    let config = IceServerConfig { max_tuples: MAX_TUPLES, ..IceServerConfig::default() };
    let mut server = IceServer::new(&mut rng, config);
    let mut now = Instant::now();
    let mut all_credentials = vec![server.credentials().clone()];
    while !choices.is_exhausted() {
        match choices.below(16) {
            0 => {
                server.restart(&mut rng);
                all_credentials.push(server.credentials().clone());
            }
            1 => {
                now += Duration::from_secs(choices.u8().into());
                if server.handle_timeout(now).is_some() {
                    assert!(server.tuples().is_empty() && server.state() == IceState::Disconnected);
                }
            }
            _ => {
                let tuple = tuple(&mut choices);
                let message = message(&mut choices, &all_credentials);
                one_message(&mut server, now, tuple, &message, &all_credentials);
            }
        }
        check_state(&server);
    }
}

fn check_state(server: &IceServer) {
    assert!(server.tuples().len() <= MAX_TUPLES);
    assert_eq!(server.selected().is_some(), server.last_consent().is_some());
    assert_eq!(server.deadline().is_some(), server.last_consent().is_some());
    assert!(server.selected().is_none_or(|tuple| server.is_known_tuple(&tuple)));
    assert!((1..=2).contains(&server.username_fragments().count()));
}

fn one_message(
    server: &mut IceServer,
    now: Instant,
    tuple: Tuple,
    bytes: &[u8],
    all_credentials: &[IceCredentials],
) {
    let before = (server.state(), server.selected(), server.tuples().to_vec(), server.last_consent());
    let valid: Vec<String> = server.username_fragments().map(str::to_owned).collect();
    let mut out = vec![0xAA; 5];
    let outcome = server.handle_binding(now, tuple, bytes, &mut out);
    let (head, answer) = out.split_at(5);
    assert_eq!(head, [0xAA; 5]);

    let verdict = outcome.verdict;
    let plain = Stun::parse(bytes);
    assert_eq!(plain.is_none(), verdict == Verdict::Dropped(DropReason::Malformed));
    if !matches!(verdict, Verdict::Accepted) {
        assert_eq!(outcome, BindingOutcome::without_change(verdict));
        let after = (server.state(), server.selected(), server.tuples().to_vec(), server.last_consent());
        assert_eq!(before, after, "nothing but a valid request changes anything");
    }
    let name = peek_username(bytes);
    if let Verdict::Accepted = verdict {
        let name = name.expect("a valid request has a name");
        assert!(valid.iter().any(|fragment| fragment == name));
        assert_eq!(server.tuples().last(), Some(&tuple));
    }
    let Some(plain) = plain else { return };
    assert_eq!(plain.fragment(), name);
    let credentials =
        all_credentials.iter().find(|credentials| Some(credentials.username_fragment.as_str()) == name);
    let credentials = credentials.filter(|credentials| valid.contains(&credentials.username_fragment));
    assert_eq!(verdict, expected_verdict(&plain, credentials));
    check_answer(answer, verdict, bytes, tuple.remote, credentials);
}

/// What the RFCs say, in the order in which they say it.
fn expected_verdict(message: &Stun<'_>, credentials: Option<&IceCredentials>) -> Verdict {
    let is_binding = message.kind & !0x0110 == 1;
    if !message.has_fingerprint {
        return Verdict::Dropped(DropReason::NoFingerprint);
    }
    match message.kind & 0x0110 {
        0x0010 if is_binding => return Verdict::Indication,
        0x0010 => return Verdict::Dropped(DropReason::UnknownIndication),
        0x0100 | 0x0110 => return Verdict::Dropped(DropReason::UnexpectedResponse),
        _ => {}
    }
    if !is_binding || message.integrity.is_none() || message.username.is_none() {
        return Verdict::Refused(ErrorCode::BadRequest);
    }
    let is_right = credentials.is_some_and(|credentials| message.is_made_with(&credentials.password));
    match message {
        _ if !is_right => Verdict::Refused(ErrorCode::Unauthenticated),
        Stun { has_unknown: true, .. } => Verdict::Refused(ErrorCode::UnknownAttribute),
        Stun { has_priority: false, .. } => Verdict::Refused(ErrorCode::BadRequest),
        Stun { is_controlled: true, .. } => Verdict::Refused(ErrorCode::RoleConflict),
        _ => Verdict::Accepted,
    }
}

fn check_answer(
    answer: &[u8],
    verdict: Verdict,
    request: &[u8],
    remote: SocketAddr,
    credentials: Option<&IceCredentials>,
) {
    let code = match verdict {
        Verdict::Accepted => None,
        Verdict::Refused(code) => Some(code),
        Verdict::Indication | Verdict::Dropped(_) => return assert!(answer.is_empty()),
    };
    assert!(answer.len() <= MAX_ANSWER_LEN, "{} bytes", answer.len());
    let plain = Stun::parse(answer).expect("the answer is well formed");
    assert!(plain.has_fingerprint);
    assert_eq!(answer[4..20], request[4..20], "cookie and transaction");
    let class = if code.is_some() { 0x0110 } else { 0x0100 };
    assert_eq!(plain.kind, u16::from_be_bytes([request[0], request[1]]) | class);
    if let (Some(_), Some(credentials)) = (plain.integrity, credentials) {
        assert!(plain.is_made_with(&credentials.password));
    }
    let is_signed = !matches!(code, Some(ErrorCode::Unauthenticated)) && credentials.is_some();
    assert!(plain.integrity.is_none() || is_signed, "who proves nothing learns nothing about the password");
    if plain.kind & !0x0110 != 1 {
        return;
    }
    // The other library does not read errors without a mapped address of methods that it does not know.
    if let Ok(other) = StunMessage::parse(answer) {
        assert_eq!(other.is_successful_binding_response(), code.is_none());
        assert_eq!(other.error_code().map(|(number, _)| number), code.map(ErrorCode::number));
        let mapped = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        assert_eq!(other.mapped_address(), code.is_none().then_some(mapped));
    } else {
        assert!(code.is_some(), "another library reads the success");
    }
}

fn tuple(choices: &mut Choices<'_>) -> Tuple {
    let host = choices.u8() & 7;
    let ip = match host {
        0..4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
        4 | 5 => IpAddr::V6(Ipv6Addr::new(0xFD00, 1, 2, 3, 4, 5, 6, host.into())),
        _ => IpAddr::V6(Ipv4Addr::new(10, 0, 0, host).to_ipv6_mapped()),
    };
    Tuple {
        local: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000),
        remote: SocketAddr::new(ip, 1000 + u16::from(choices.u8() & 3)),
        protocol: if choices.flag() { Protocol::Tcp } else { Protocol::Udp },
    }
}

/// A message of chosen attributes, with MESSAGE-INTEGRITY and FINGERPRINT mostly right and mostly there; or any bytes.
fn message(choices: &mut Choices<'_>, all_credentials: &[IceCredentials]) -> Vec<u8> {
    let shape = choices.u8();
    if shape == 0xFF {
        return choices.piece().to_vec();
    }
    let credentials = &choices.pick(all_credentials);
    let kind: u16 = if shape & 0x0F == 0 { choices.u16() & 0x3FFF } else { 0x0001 };
    let mut bytes =
        [&kind.to_be_bytes()[..], &[0, 0, 0x21, 0x12, 0xA4, 0x42], &choices.array::<12>()].concat();
    if shape & 0x30 != 0 {
        let name = format!("{}:them", credentials.username_fragment);
        attribute(&mut bytes, 0x0006, name.as_bytes());
    }
    if shape & 0x40 == 0 {
        attribute(&mut bytes, 0x0024, &choices.array::<4>());
    }
    for _ in 0..choices.below(5) {
        let kind =
            choices.pick(&[0x0006, 0x0024, 0x0025, 0x8029, 0x802A, 0xC001, 0x0020, 0x8022, 0x7FFF, 0x0008]);
        // Attributes of a fixed length are long enough only now and then.
        let value = if choices.flag() { &choices.array::<4>()[..] } else { choices.piece() };
        attribute(&mut bytes, kind, value);
    }
    if shape & 0x80 == 0 {
        let tag = integrity(&bytes, &credentials.password);
        attribute(&mut bytes, 0x0008, &tag);
    }
    if choices.u8() & 7 == 7 {
        let (kind, value) = (choices.u16(), choices.piece());
        attribute(&mut bytes, kind, value);
    }
    if choices.u8() & 15 != 15 {
        attribute(&mut bytes, 0x8028, &[0; 4]);
        refresh_fingerprint(&mut bytes);
    }
    if choices.u8() & 15 == 15 {
        let at = choices.u16() as usize % bytes.len();
        bytes[at] ^= choices.u8();
    }
    bytes
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = bytes.len() as u16 - 20;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}
