//! Transports with ports of their own.
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;
use is::stun::{StunMessage, TransId};

use super::*;
use crate::config::PortRange;
use crate::dtls::DtlsState;
use crate::error::RequestErrorKind;
use crate::event::{CloseReason, IceState};
use crate::id::TransportId;
use crate::model::{RouterOptions, WebRtcTransportOptions};

const REMOTE: &str = "192.0.2.7:5000";

/// What a drain brought, but for events and the deadline.
#[derive(Debug, Clone, PartialEq)]
enum Done {
    Listen(TransportId, String),
    Unlisten(String),
    Sent { from: String },
}

struct Scene {
    sfu: Sfu,
    now: Instant,
    router: RouterId,
    events: Vec<Event>,
}

impl Scene {
    /// A machine on the IP addresses `ips` with the ports 40000 to `max`.
    fn new(ips: &[&str], max: u16) -> Self {
        let listen = ips.iter().map(|ip| ListenAddress {
            local: SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0),
            announced: None,
        });
        let config = Config {
            listen: listen.collect(),
            transport_ports: PortRange::new(40_000, max),
            ..Config::default()
        };
        let now = Instant::now();
        let mut sfu = Sfu::new(config, [3; 32], now, SystemTime::UNIX_EPOCH).unwrap();
        let options =
            RouterOptions { media_codecs: crate::ortc::default_media_codecs(), ..Default::default() };
        let router = sfu.create_router(now, options).unwrap();
        Scene { sfu, now, router, events: Vec::new() }
    }

    fn create(&mut self) -> Result<TransportId, RequestError> {
        self.sfu.create_webrtc_transport(self.now, self.router, WebRtcTransportOptions::default())
    }

    fn candidates(&self, id: TransportId) -> Vec<String> {
        let candidates = self.sfu.webrtc_transport(id).unwrap().ice_candidates;
        candidates.iter().map(|candidate| format!("{}:{}", candidate.address, candidate.port)).collect()
    }

    fn drain(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        loop {
            match self.sfu.poll_output() {
                Output::Listen { transport_id, local } => {
                    done.push(Done::Listen(transport_id, local.to_string()))
                }
                Output::Unlisten { local } => done.push(Done::Unlisten(local.to_string())),
                Output::Transmit(transmit) => done.push(Done::Sent { from: transmit.local.to_string() }),
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => return done,
            }
        }
    }

    /// A valid request to a transport, arriving at `local`.
    fn check(&mut self, id: TransportId, local: &str) {
        let ice = self.sfu.webrtc_transport(id).unwrap().ice_parameters;
        let username = format!("{}:remote", ice.username_fragment);
        let message = StunMessage::binding_request(&username, TransId::new(), true, 7, 0x6E00_01FF, true);
        let mut payload = vec![0; 512];
        let length = message.to_bytes(Some(ice.password.as_bytes()), &mut payload, sha1_hmac).unwrap();
        let datagram = Datagram {
            local: local.parse().unwrap(),
            remote: REMOTE.parse().unwrap(),
            protocol: Protocol::Udp,
            payload: &mut payload[..length],
        };
        self.sfu.handle_input(self.now, Input::Datagram(datagram));
    }

    fn fail(&mut self, transport_id: TransportId, local: &str) {
        let local = local.parse().unwrap();
        self.sfu.handle_input(self.now, Input::ListenFailed { transport_id, local });
    }
}

fn sha1_hmac(key: &[u8], texts: &[&[u8]]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mut context = hmac::Context::with_key(&key);
    texts.iter().for_each(|text| context.update(text));
    context.sign().as_ref().try_into().unwrap()
}

fn listen(id: TransportId, local: &str) -> Done {
    Done::Listen(id, local.to_owned())
}

fn unlisten(local: &str) -> Done {
    Done::Unlisten(local.to_owned())
}

#[test]
fn each_transport_gets_a_port_at_every_address_until_none_is_left() {
    let mut scene = Scene::new(&["10.0.0.1", "::1"], 40_001);
    let (one, two) = (scene.create().unwrap(), scene.create().unwrap());
    assert_eq!(scene.candidates(one), ["10.0.0.1:40000", "::1:40000"]);
    assert_eq!(scene.candidates(two), ["10.0.0.1:40001", "::1:40001"]);
    let orders = [
        listen(one, "10.0.0.1:40000"),
        listen(one, "[::1]:40000"),
        listen(two, "10.0.0.1:40001"),
        listen(two, "[::1]:40001"),
    ];
    assert_eq!(scene.drain(), orders);

    let refused = scene.create().unwrap_err();
    assert_eq!(refused.kind, RequestErrorKind::LimitReached);
    assert_eq!(refused.message, "no port left for a transport: all of 40000 to 40001 are in use");
    let stats = scene.sfu.stats();
    assert_eq!((stats.transports, stats.transport_ports), (2, 2), "a refusal changes nothing");
    assert_eq!(scene.drain(), []);
}

#[test]
fn a_closed_transport_gives_its_port_back_and_the_one_that_rested_longest_is_next() {
    let mut scene = Scene::new(&["10.0.0.1"], 40_002);
    let all = [(); 3].map(|()| scene.create().unwrap());
    scene.drain();
    for id in [all[1], all[0]] {
        scene.sfu.close_transport(scene.now, id).unwrap();
    }
    assert_eq!(scene.drain(), [unlisten("10.0.0.1:40001"), unlisten("10.0.0.1:40000")]);
    let ports = [(); 2].map(|()| {
        let id = scene.create().unwrap();
        scene.candidates(id)[0].clone()
    });
    assert_eq!(ports, ["10.0.0.1:40001", "10.0.0.1:40000"]);
    scene.sfu.close_router(scene.now, scene.router).unwrap();
    scene.drain();
    assert!(scene.sfu.is_empty());
}

#[test]
fn a_port_that_changes_hands_within_a_drain_is_closed_before_it_is_opened() {
    let mut scene = Scene::new(&["10.0.0.1"], 40_000);
    let first = scene.create().unwrap();
    scene.drain();
    scene.sfu.close_transport(scene.now, first).unwrap();
    let second = scene.create().unwrap();
    assert_eq!(scene.drain(), [unlisten("10.0.0.1:40000"), listen(second, "10.0.0.1:40000")]);
}

#[test]
fn what_was_never_opened_is_not_closed_and_orders_stay_few() {
    let mut scene = Scene::new(&["10.0.0.1"], 40_000);
    for _ in 0..1_000 {
        let id = scene.create().unwrap();
        scene.sfu.close_transport(scene.now, id).unwrap();
    }
    let last = scene.create().unwrap();
    assert_eq!(scene.drain(), [listen(last, "10.0.0.1:40000")]);
}

#[test]
fn a_client_is_heard_at_its_own_port_only() {
    let mut scene = Scene::new(&["10.0.0.1"], 40_001);
    let (one, two) = (scene.create().unwrap(), scene.create().unwrap());
    scene.drain();
    scene.check(one, "10.0.0.1:40001");
    assert_eq!(scene.drain(), [], "not even answered");
    assert_eq!((scene.sfu.stats().dropped_stun, scene.sfu.stats().tuples), (1, 0));
    // The same client may use both transports from one port of its own: the ports here tell them apart.
    scene.check(one, "10.0.0.1:40000");
    scene.check(two, "10.0.0.1:40001");
    let from = |from: &str| Done::Sent { from: from.to_owned() };
    assert_eq!(scene.drain(), [from("10.0.0.1:40000"), from("10.0.0.1:40001")]);
    for (id, port) in [(one, 40_000), (two, 40_001)] {
        let data = scene.sfu.webrtc_transport(id).unwrap();
        assert_eq!(data.ice_state, IceState::Completed);
        assert_eq!(data.ice_selected_tuple.unwrap().local_port, port);
    }
    assert_eq!(scene.sfu.stats().tuples, 2);
}

#[test]
fn a_port_that_cannot_be_bound_closes_its_transport_and_is_tried_again_last() {
    let mut scene = Scene::new(&["10.0.0.1", "10.0.0.2"], 40_001);
    let id = scene.create().unwrap();
    scene.drain();
    scene.fail(id, "10.0.0.2:40000");
    assert_eq!(scene.drain(), [unlisten("10.0.0.1:40000"), unlisten("10.0.0.2:40000")]);
    let closed = Event::TransportClosed { transport_id: id, reason: CloseReason::ListenFailed };
    assert_eq!(scene.events.last(), Some(&closed));
    let stats = scene.sfu.stats();
    assert_eq!((stats.transports, stats.transport_ports, stats.listens_failed), (0, 0, 1));

    let next = scene.create().unwrap();
    assert_eq!(scene.candidates(next)[0], "10.0.0.1:40001");
    let again = scene.create().unwrap();
    assert_eq!(scene.candidates(again)[0], "10.0.0.1:40000");
    // Stale reports, and those about others' ports, change nothing.
    scene.fail(id, "10.0.0.2:40000");
    scene.fail(next, "10.0.0.1:40000");
    assert_eq!(scene.sfu.stats().transports, 2);
}

#[test]
fn a_failed_listen_means_nothing_where_transports_share_a_port() {
    let mut scene = Scene::new(&["10.0.0.1"], 0);
    assert!(scene.sfu.config().transport_ports.is_none());
    let id = scene.create().unwrap();
    scene.fail(id, "10.0.0.1:0");
    assert_eq!((scene.sfu.stats().transports, scene.drain()), (1, vec![]));
}

#[test]
fn a_range_has_at_least_one_port_and_ends_at_its_last() {
    assert_eq!((PortRange::new(0, 9), PortRange::new(9, 8)), (None, None));
    let highest = PortRange::new(65_534, 65_535).unwrap();
    assert_eq!(
        [0, 1, 2, usize::MAX].map(|index| highest.nth(index)),
        [Some(65_534), Some(65_535), None, None]
    );
}

#[test]
fn the_goodbye_of_a_transport_leaves_before_its_socket_closes() {
    let mut scene = Scene::new(&["10.0.0.1"], 40_000);
    let id = scene.create().unwrap();
    scene.drain();
    scene.check(id, "10.0.0.1:40000");
    // Our end begins a handshake, which it then breaks off.
    let fingerprints = scene.sfu.webrtc_transport(id).unwrap().dtls_parameters.fingerprints;
    let remote = crate::ortc::DtlsParameters { role: crate::ortc::DtlsRole::Server, fingerprints };
    scene.sfu.connect_webrtc_transport(scene.now, id, &remote).unwrap();
    assert_eq!(scene.sfu.webrtc_transport(id).unwrap().dtls_state, DtlsState::Connecting.into());
    scene.sfu.close_transport(scene.now, id).unwrap();
    let done = scene.drain();
    assert!(done.len() > 1, "{done:?}");
    assert_eq!(done.last(), Some(&unlisten("10.0.0.1:40000")));
}

/// Binds and closes what it is told, as a runtime does; every eighth address cannot be bound.
#[derive(Default)]
struct Runtime {
    bound: BTreeSet<SocketAddr>,
    refused: BTreeSet<SocketAddr>,
}

impl Runtime {
    /// Takes some outputs of the machine.
    fn drain(&mut self, scene: &mut Scene, rng: &mut Rng, outputs: u32) {
        for _ in 0..outputs {
            match scene.sfu.poll_output() {
                Output::Listen { transport_id, local } if rng.next_u32().is_multiple_of(8) => {
                    assert!(self.refused.insert(local), "{local} is somebody's already");
                    scene.sfu.handle_input(scene.now, Input::ListenFailed { transport_id, local });
                }
                Output::Listen { local, .. } => assert!(self.bound.insert(local), "{local} is open already"),
                Output::Unlisten { local } => {
                    assert!(self.bound.remove(&local) || self.refused.remove(&local), "{local} is not open");
                }
                Output::Timeout(_) => return,
                Output::Transmit(_) | Output::Event(_) => {}
            }
        }
    }
}

#[test]
fn however_a_machine_is_drained_each_address_opens_and_closes_in_turn() {
    let mut rng = Rng::from_seed([9; 32]);
    let mut scene = Scene::new(&["10.0.0.1", "10.0.0.2"], 40_004);
    let (mut runtime, mut made) = (Runtime::default(), Vec::new());
    for _ in 0..5_000 {
        let in_use = scene.sfu.stats().transport_ports;
        match rng.next_u32() % 4 {
            0 | 1 => match scene.create() {
                Ok(id) => made.push(id),
                Err(_) => assert_eq!(in_use, 5),
            },
            2 if !made.is_empty() => {
                let at = rng.next_u32() as usize % made.len();
                // Some have been closed by a failure.
                let _ = scene.sfu.close_transport(scene.now, made.swap_remove(at));
            }
            _ => {
                let outputs = rng.next_u32() % 5;
                runtime.drain(&mut scene, &mut rng, outputs);
            }
        }
        assert_eq!(scene.sfu.stats().transports, scene.sfu.stats().transport_ports);
    }
    assert!(scene.sfu.stats().listens_failed > 10);
    scene.sfu.close_router(scene.now, scene.router).unwrap();
    runtime.drain(&mut scene, &mut rng, u32::MAX);
    assert!(scene.sfu.is_empty() && runtime.bound.is_empty() && runtime.refused.is_empty());
}
