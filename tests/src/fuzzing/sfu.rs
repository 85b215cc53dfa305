//! An `Sfu` under datagrams, requests and time as the fuzzer likes them, behind DTLS and SRTP.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::error::RequestErrorKind;
use sansfu::event::{ConsumerLayers, Event};
use sansfu::id::{ConsumerId, ProducerId, RouterId, TransportId};
use sansfu::model::{ConsumerOptions, RouterOptions, WebRtcTransportOptions};
use sansfu::ortc::{IceParameters, RtpCapabilities, default_media_codecs};
use sansfu::sfu::{Deadline, Input, Output, Request, Response, Sfu};

use super::packets::{self, Stream};
use super::scene;
use super::watch::Watch;
use crate::choices::Choices;
use crate::fixed_dtls::FixedDtls;
use crate::world::{epoch, wall};

const MAX_STEPS: usize = 400;
/// More ids than that are not remembered.
const MAX_IDS: usize = 64;

struct Machine {
    sfu: Sfu,
    backend: Arc<FixedDtls>,
    now: Instant,
    deadline: Option<Instant>,
    capabilities: RtpCapabilities,
    watch: Watch,
    /// Inputs since the last drain.
    undrained: usize,
    streams: [Stream; 7],
    next_rtcp: u32,
    next_transport_number: u16,
    routers: Vec<RouterId>,
    transports: Vec<TransportId>,
    ice: Vec<IceParameters>,
    producers: Vec<ProducerId>,
    consumers: Vec<ConsumerId>,
    sinks: BTreeMap<ConsumerId, Sink>,
    paused_producers: BTreeSet<ProducerId>,
}

/// What is known of a consumer.
struct Sink {
    producer: ProducerId,
    ssrcs: Vec<u32>,
    /// Paused or closed.
    silent: bool,
}

/// A call, and then whatever the bytes say.
pub fn sfu(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut machine = Machine::new();
    machine.set_up();
    for _ in 0..MAX_STEPS {
        if input.is_exhausted() {
            break;
        }
        let action = input.u8();
        machine.pass(&mut input, action >> 6);
        match action & 63 {
            packet @ 0..=15 => machine.send_good_rtp(packet & 3, packet & 4 != 0),
            row @ 16..=23 => (0..row - 14).for_each(|_| machine.send_good_rtp(1, false)),
            24..=31 => machine.send_rtp(&mut input),
            32..=43 => machine.send_rtcp(&mut input),
            44..=47 => machine.send_stun(&mut input),
            48..=50 => machine.send_raw(&mut input),
            51 => machine.handle(Input::Timeout),
            _ => {
                let request = machine.choose_request(&mut input);
                machine.request(request);
            }
        }
        // Inputs may be batched.
        if !input.percent(20) {
            machine.drain();
        }
    }
    machine.close();
}

impl Machine {
    fn new() -> Self {
        let backend = scene::backend();
        let now = epoch();
        let mut sfu = Sfu::new(scene::config(&backend), [5; 32], now, wall()).unwrap();
        let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
        let router = sfu.create_router(now, options).unwrap();
        sfu.observe_audio_levels(now, router, true).unwrap();
        Machine {
            capabilities: sfu.router_rtp_capabilities(router).unwrap().clone(),
            sfu,
            backend,
            now,
            deadline: None,
            watch: Watch::default(),
            undrained: 0,
            streams: scene::streams(),
            next_rtcp: 0,
            next_transport_number: 0,
            routers: vec![router],
            transports: Vec::new(),
            ice: Vec::new(),
            producers: Vec::new(),
            consumers: Vec::new(),
            sinks: BTreeMap::new(),
            paused_producers: BTreeSet::new(),
        }
    }

    /// Two connected transports; one produces sound and picture, the other consumes them.
    fn set_up(&mut self) {
        let router_id = self.routers[0];
        for index in 0..2 {
            let options = WebRtcTransportOptions::default();
            self.request(Request::CreateWebRtcTransport { router_id, options });
            let (transport_id, dtls_parameters) =
                (self.transports[index], scene::dtls_parameters(&self.backend));
            self.request(Request::ConnectWebRtcTransport { transport_id, dtls_parameters });
            let request = packets::binding_request(&mut Choices::from_bytes(&[]), &self.ice[index]);
            self.send(remote(index as u8), request);
            self.send(remote(index as u8), packets::hello(&self.backend, self.now));
            self.drain();
        }
        let (from, to) = (self.transports[0], self.transports[1]);
        for index in 0..2 {
            let options = scene::productions()[index].clone();
            self.request(Request::Produce { transport_id: from, options });
            let options = ConsumerOptions::new(self.producers[index], self.capabilities.clone());
            self.request(Request::Consume { transport_id: to, options });
        }
        self.drain();
        assert_eq!((self.producers.len(), self.consumers.len()), (2, 2));
    }

    fn pass(&mut self, input: &mut Choices<'_>, how: u8) {
        self.now += match how {
            0 => Duration::ZERO,
            1 => Duration::from_millis(u64::from(input.u8() & 31)),
            2 => Duration::from_micros(u64::from(input.u8())),
            _ => match input.u8() {
                // To the deadline, or far beyond it.
                time @ 0..=127 => match self.deadline {
                    Some(at) if time < 100 => at.saturating_duration_since(self.now),
                    _ => Duration::ZERO,
                },
                time @ 128..=247 => Duration::from_millis(u64::from(time - 127) * 10),
                time => Duration::from_secs(u64::from(time - 247) * 5),
            },
        };
    }

    fn send_good_rtp(&mut self, stream: u8, keyframe: bool) {
        self.next_transport_number = self.next_transport_number.wrapping_add(1);
        let stream = &mut self.streams[usize::from(stream)];
        let packet = packets::good_rtp(stream, keyframe, self.next_transport_number);
        self.send(remote(0), packets::seal_rtp(packet));
    }

    fn send_rtp(&mut self, input: &mut Choices<'_>) {
        let packet = packets::any_rtp(input, &mut self.streams);
        self.send(remote(0), packets::seal_rtp(packet));
    }

    fn send_rtcp(&mut self, input: &mut Choices<'_>) {
        let ssrcs = self.sinks.values().flat_map(|sink| &sink.ssrcs);
        let theirs: Vec<_> = ssrcs.map(|&ssrc| (ssrc, self.watch.last_number(ssrc))).collect();
        let packet = packets::rtcp(input, &self.streams, &theirs);
        let from = remote(u8::from(input.u8() & 7 != 0));
        self.next_rtcp += 1;
        self.send(from, packets::seal_rtcp(packet, self.next_rtcp));
    }

    fn send_stun(&mut self, input: &mut Choices<'_>) {
        let from = remote(input.u8());
        let bytes = match input.u8() {
            0..=63 => packets::hello(&self.backend, self.now),
            _ => {
                let ice = input.pick(&self.ice);
                packets::binding_request(input, &ice)
            }
        };
        self.send(from, bytes);
    }

    fn send_raw(&mut self, input: &mut Choices<'_>) {
        let from = remote(input.u8());
        let length = usize::from(input.u8());
        self.send(from, input.bytes(length).to_vec());
    }

    fn send(&mut self, remote: SocketAddr, mut payload: Vec<u8>) {
        self.watch.on_datagram(remote);
        self.handle(Input::Datagram(scene::datagram(remote, &mut payload)));
    }

    fn handle(&mut self, input: Input<'_>) {
        self.undrained += 1;
        self.sfu.handle_input(self.now, input);
    }

    fn drain(&mut self) {
        let deadline = loop {
            match self.sfu.poll_output() {
                Output::Transmit(transmit) => self.watch.on_transmit(&transmit),
                Output::Event(event) => {
                    self.watch.on_output();
                    if let Event::ConsumerClosed { consumer_id, .. } = event {
                        self.sinks.get_mut(&consumer_id).into_iter().for_each(|sink| sink.silent = true);
                    }
                }
                Output::Listen { .. } | Output::Unlisten { .. } => {
                    unreachable!("all transports share a port")
                }
                Output::Timeout(deadline) => break deadline,
            }
        };
        self.watch.on_timeout(deadline, self.now);
        let Deadline { at, reason } = deadline;
        assert!(at.is_none() || reason.is_some(), "somebody's timer it is");
        self.deadline = at;
        let ssrcs = std::mem::take(&mut self.watch.ssrcs);
        // What was queued before a pause may leave after it.
        if self.undrained <= 1 {
            for sink in self.sinks.values() {
                let silent = sink.silent || self.paused_producers.contains(&sink.producer);
                assert!(
                    !silent || sink.ssrcs.iter().all(|ssrc| !ssrcs.contains(ssrc)),
                    "it is paused or closed"
                );
            }
        }
        self.undrained = 0;
    }

    /// Closes all, and nothing is left.
    fn close(&mut self) {
        for router_id in self.routers.clone() {
            self.request(Request::CloseRouter { router_id });
        }
        self.drain();
        assert_eq!(self.deadline, None);
        assert!(self.sfu.is_empty(), "something is left: {:?}", self.sfu);
        for &consumer_id in &self.consumers {
            assert!(self.sfu.consumer(consumer_id).is_err());
        }
    }
}

/// The requests.
impl Machine {
    fn request(&mut self, request: Request) {
        self.undrained += 1;
        match self.sfu.request(self.now, request.clone()) {
            Ok(response) => {
                assert!(serde_json::to_string(&response).is_ok());
                self.learn(response);
                self.follow(&request);
            }
            Err(error) => {
                assert!(!error.message.is_empty());
                // What was due has happened before it was refused, so that now there is nothing else that could change anything.
                let before = self.sfu.stats();
                assert!(self.sfu.request(self.now, request.clone()).is_err());
                assert_eq!(self.sfu.stats(), before, "a refused request changes nothing: {request:?}");
            }
        }
    }

    fn learn(&mut self, response: Response) {
        match response {
            Response::Router(data) => remember(&mut self.routers, data.id),
            Response::WebRtcTransport(data) => {
                remember(&mut self.transports, data.id);
                remember(&mut self.ice, data.ice_parameters);
            }
            Response::IceParameters(ice) => remember(&mut self.ice, ice),
            Response::Producer(data) => remember(&mut self.producers, data.id),
            Response::Consumer(data) => {
                let encodings = &data.rtp_parameters.encodings;
                let ssrcs = encodings.iter().flat_map(|encoding| {
                    [encoding.ssrc, encoding.rtx.as_ref().map(|rtx| rtx.ssrc)].into_iter().flatten()
                });
                let sink = Sink { producer: data.producer_id, ssrcs: ssrcs.collect(), silent: data.paused };
                self.sinks.insert(data.id, sink);
                remember(&mut self.consumers, data.id);
            }
            _ => {}
        }
    }

    /// What must hold after a request that was carried out.
    fn follow(&mut self, request: &Request) {
        let gone = |kind: Option<RequestErrorKind>| assert_eq!(kind, Some(RequestErrorKind::NotFound));
        match *request {
            Request::CloseRouter { router_id } => {
                gone(self.sfu.router(router_id).err().map(|error| error.kind))
            }
            Request::CloseTransport { transport_id } => {
                gone(self.sfu.webrtc_transport(transport_id).err().map(|error| error.kind));
            }
            Request::CloseProducer { producer_id } => {
                gone(self.sfu.producer(producer_id).err().map(|error| error.kind));
            }
            Request::CloseConsumer { consumer_id } => {
                gone(self.sfu.consumer(consumer_id).err().map(|error| error.kind));
                self.set_silent(consumer_id, true);
            }
            Request::PauseConsumer { consumer_id } => self.set_silent(consumer_id, true),
            Request::ResumeConsumer { consumer_id } => self.set_silent(consumer_id, false),
            Request::PauseProducer { producer_id } => drop(self.paused_producers.insert(producer_id)),
            Request::ResumeProducer { producer_id } => drop(self.paused_producers.remove(&producer_id)),
            _ => {}
        }
    }

    fn set_silent(&mut self, consumer: ConsumerId, silent: bool) {
        if let Some(sink) = self.sinks.get_mut(&consumer) {
            sink.silent = silent;
        }
    }

    fn choose_request(&self, input: &mut Choices<'_>) -> Request {
        let router_id = input.pick(&self.routers);
        let transport_id = input.pick(&self.transports);
        match input.range(0, 24) {
            0 => Request::CreateRouter(RouterOptions {
                media_codecs: default_media_codecs(),
                ..RouterOptions::default()
            }),
            1 if input.percent(20) => Request::CloseRouter { router_id },
            1 | 2 => Request::GetRouter { router_id },
            3 => {
                let seconds = Some(u32::from(input.u8())).filter(|seconds| *seconds < 60);
                let options = WebRtcTransportOptions {
                    ice_consent_timeout: seconds,
                    connect_timeout: seconds.filter(|seconds| seconds % 2 == 0),
                    ..WebRtcTransportOptions::default()
                };
                Request::CreateWebRtcTransport { router_id, options }
            }
            4 => Request::GetWebRtcTransport { transport_id },
            5 => {
                let dtls_parameters = scene::dtls_parameters(&self.backend);
                Request::ConnectWebRtcTransport { transport_id, dtls_parameters }
            }
            6 => Request::RestartIce { transport_id },
            7 => {
                let bitrate = Some(u64::from(input.u32())).filter(|bitrate| bitrate % 4 != 0);
                Request::SetMaxIncomingBitrate { transport_id, bitrate }
            }
            8 => Request::CloseTransport { transport_id },
            9 | 10 => {
                let mut options = input.pick(scene::productions());
                options.paused = input.u8() & 7 == 0;
                Request::Produce { transport_id, options }
            }
            11 => Request::GetTransportStats { transport_id },
            12 => Request::GetStats,
            _ => self.choose_media_request(input, transport_id),
        }
    }

    fn choose_media_request(&self, input: &mut Choices<'_>, transport_id: TransportId) -> Request {
        let producer_id = input.pick(&self.producers);
        let consumer_id = input.pick(&self.consumers);
        match input.range(0, 18) {
            0 => Request::GetProducer { producer_id },
            1 => Request::PauseProducer { producer_id },
            2 => Request::ResumeProducer { producer_id },
            3 => Request::CloseProducer { producer_id },
            4 => Request::CanConsume {
                producer_id,
                rtp_capabilities: scene::capabilities(&self.capabilities, input.u8()),
            },
            5..=7 => {
                let capabilities = scene::capabilities(&self.capabilities, input.u8());
                let how = input.u8();
                let options = ConsumerOptions {
                    paused: how & 3 == 0,
                    enable_rtx: Some(how & 4 == 0).filter(|_| how & 8 == 0),
                    use_remote_ids: how & 16 != 0,
                    mid: Some("mid".to_owned()).filter(|_| how & 32 != 0),
                    ..ConsumerOptions::new(producer_id, capabilities)
                };
                Request::Consume { transport_id, options }
            }
            8 => Request::GetConsumer { consumer_id },
            9 => Request::PauseConsumer { consumer_id },
            10 => Request::ResumeConsumer { consumer_id },
            11 => Request::CloseConsumer { consumer_id },
            12 => {
                let layers = ConsumerLayers { spatial_layer: input.u8(), temporal_layer: Some(input.u8()) };
                Request::SetConsumerPreferredLayers { consumer_id, layers }
            }
            13 => Request::SetConsumerPriority { consumer_id, priority: input.u8() },
            14 => Request::RequestConsumerKeyFrame { consumer_id },
            15 => Request::GetProducerStats { producer_id },
            _ => Request::GetConsumerStats { consumer_id },
        }
    }
}

fn remember<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MAX_IDS && !list.contains(&item) {
        list.push(item);
    }
}

/// One of a few addresses; the first two are those of the connected clients.
fn remote(which: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, which % 5], 5_000))
}
