//! WHIP and WHEP with SDP of `str0m`: it accepts our answers, connects, and media goes through.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use sansfu::config::{Config, ListenAddress};
use sansfu::id::{ProducerId, RouterId};
use sansfu::model::RouterOptions;
use sansfu::ortc::{MediaKind as Kind, default_media_codecs};
use sansfu::sfu::{Datagram, Input, Output, Protocol, Sfu};
use sansfu::webrtc::{Patched, Published, patch, publish, watch};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::net::Receive;
use str0m::{Candidate, Event, Rtc, RtcConfig};

const SERVER: &str = "192.0.2.1:40000";

struct Client {
    rtc: Rtc,
    address: SocketAddr,
    connected: bool,
    /// Media that came, by section.
    received: Vec<(Mid, Vec<u8>)>,
    keyframe_requests: usize,
}

/// Datagrams on their way, delivered in order and at once.
struct World {
    sfu: Sfu,
    router: RouterId,
    now: Instant,
    clients: Vec<Client>,
    to_server: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let listen = vec![ListenAddress { local: SERVER.parse().unwrap(), announced: None }];
        let now = Instant::now();
        let mut sfu =
            Sfu::new(Config { listen, ..Config::default() }, [1; 32], now, SystemTime::now()).unwrap();
        let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
        let router = sfu.create_router(now, options).unwrap();
        World { sfu, router, now, clients: Vec::new(), to_server: VecDeque::new() }
    }

    /// A client with an offer of audio and video.
    fn offer(&mut self, direction: Direction) -> (String, SdpPendingOffer, [Mid; 2]) {
        let address = SocketAddr::from(([192, 0, 2, 10 + self.clients.len() as u8], 5_000));
        let mut rtc = RtcConfig::new().build(self.now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut change = rtc.sdp_api();
        let mids = [MediaKind::Audio, MediaKind::Video]
            .map(|kind| change.add_media(kind, direction, None, None, None));
        let (offer, pending) = change.apply().unwrap();
        self.clients.push(Client {
            rtc,
            address,
            connected: false,
            received: Vec::new(),
            keyframe_requests: 0,
        });
        (offer.to_sdp_string(), pending, mids)
    }

    fn accept(&mut self, index: usize, pending: SdpPendingOffer, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap_or_else(|error| panic!("{error}\n{answer}"));
        self.clients[index].rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    fn publish(&mut self) -> (Published, [Mid; 2]) {
        let index = self.clients.len();
        let (offer, pending, mids) = self.offer(Direction::SendOnly);
        let published = publish(&mut self.sfu, self.now, self.router, &offer).unwrap();
        self.accept(index, pending, &published.answer);
        (published, mids)
    }

    fn watch(&mut self, producers: &[ProducerId]) -> [Mid; 2] {
        let index = self.clients.len();
        let (offer, pending, mids) = self.offer(Direction::RecvOnly);
        let watched = watch(&mut self.sfu, self.now, self.router, &offer, producers).unwrap();
        assert_eq!(watched.consumers.len(), 2);
        self.accept(index, pending, &watched.answer);
        mids
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.now += Duration::from_millis(10);
            for client in &mut self.clients {
                client.rtc.handle_input(str0m::Input::Timeout(self.now)).unwrap();
            }
            self.sfu.handle_input(self.now, Input::Timeout);
            while self.exchange() {}
        }
    }

    /// Whether anything was sent.
    fn exchange(&mut self) -> bool {
        let mut busy = false;
        for client in &mut self.clients {
            busy |= client.drain(&mut self.to_server);
        }
        while let Some((remote, mut payload)) = self.to_server.pop_front() {
            let (local, protocol) = (SERVER.parse().unwrap(), Protocol::Udp);
            let datagram = Datagram { local, remote, protocol, payload: &mut payload };
            self.sfu.handle_input(self.now, Input::Datagram(datagram));
        }
        loop {
            match self.sfu.poll_output() {
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(_) => return busy,
                Output::Event(_) => {}
                Output::Transmit(transmit) => {
                    busy = true;
                    let client =
                        self.clients.iter_mut().find(|client| client.address == transmit.remote).unwrap();
                    for datagram in transmit.payload.chunks(transmit.segment_size.unwrap_or(usize::MAX)) {
                        let (protocol, source) = (str0m::net::Protocol::Udp, SERVER.parse().unwrap());
                        let receive = Receive::new(protocol, source, client.address, datagram).unwrap();
                        client.rtc.handle_input(str0m::Input::Receive(self.now, receive)).unwrap();
                    }
                }
            }
        }
    }

    fn write(&mut self, index: usize, mid: Mid, number: u64, payload: &[u8]) {
        let now = self.now;
        let rtc = &mut self.clients[index].rtc;
        let writer = rtc.writer(mid).unwrap();
        let parameters = *writer.payload_params().next().unwrap();
        let time = MediaTime::new(
            number * u64::from(parameters.spec().clock_rate.get()) / 50,
            parameters.spec().clock_rate,
        );
        writer.write(parameters.pt(), now, time, payload.to_vec()).unwrap();
    }
}

impl Client {
    fn drain(&mut self, to_server: &mut VecDeque<(SocketAddr, Vec<u8>)>) -> bool {
        let mut busy = false;
        loop {
            match self.rtc.poll_output().unwrap() {
                str0m::Output::Timeout(_) => return busy,
                str0m::Output::Transmit(transmit) => {
                    busy = true;
                    to_server.push_back((self.address, transmit.contents.to_vec()));
                }
                str0m::Output::Event(Event::Connected) => self.connected = true,
                str0m::Output::Event(Event::MediaData(media)) => {
                    self.received.push((media.mid, media.data.to_vec()))
                }
                str0m::Output::Event(Event::KeyframeRequest(_)) => self.keyframe_requests += 1,
                str0m::Output::Event(_) => {}
            }
        }
    }
}

/// A VP8 keyframe of 16 × 16 (RFC 6386 section 9.1), told apart by its last byte.
fn vp8_keyframe(number: u8) -> Vec<u8> {
    let mut frame = vec![0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 16, 0, 16, 0];
    frame.extend([0; 40]);
    frame.push(number);
    frame
}

#[test]
fn a_str0m_publisher_is_seen_by_str0m_viewers() {
    let mut world = World::new();
    let (mut published, sent) = world.publish();
    assert_eq!(
        published.producers.iter().map(|&(kind, _)| kind).collect::<Vec<_>>(),
        [Kind::Audio, Kind::Video]
    );
    world.run(100);
    let producers: Vec<_> = published.producers.iter().map(|&(_, id)| id).collect();
    let seen = [world.watch(&producers), world.watch(&producers)];
    world.run(100);
    assert!(world.clients.iter().all(|client| client.connected));

    for number in 0..50u8 {
        world.write(0, sent[0], number.into(), &[0xf8, number]);
        world.write(0, sent[1], number.into(), &vp8_keyframe(number));
        world.run(2);
    }
    world.run(50);
    for (client, mids) in world.clients[1..].iter().zip(seen) {
        for mid in mids {
            let last: Vec<_> = client
                .received
                .iter()
                .filter(|(of, _)| *of == mid)
                .filter_map(|(_, data)| data.last())
                .collect();
            assert!(last.len() >= 48, "{mid}: {last:?}");
            assert!(last.windows(2).all(|pair| pair[0] < pair[1]), "{mid}: {last:?}");
        }
    }
    assert!(world.clients[0].keyframe_requests > 0, "whoever begins to watch needs a keyframe");

    // A restart is answered while media flows; the end of the publisher is the end of its consumers.
    let fragment =
        "a=ice-ufrag:restarted\r\na=ice-pwd:restartedrestartedrestarted\r\na=end-of-candidates\r\n";
    let patched = patch(&mut world.sfu, world.now, &mut published.session, fragment).unwrap();
    assert!(matches!(patched, Patched::Restarted { .. }));
    world.sfu.close_transport(world.now, published.transport).unwrap();
    let stats = world.sfu.stats();
    assert_eq!((stats.transports, stats.producers, stats.consumers), (2, 0, 0));
}
