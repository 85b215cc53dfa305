//! The server's own producer and consumer between sender and receiver, without its transports: what it forwards has to please
//! the receiver, whatever the two paths do.
mod chains;

use sansfu::arena::{Arena, Id};
use sansfu::config::Config;
use sansfu::consumer::{Consumer, ConsumerParams};
use sansfu::event::ConsumerLayers;
use sansfu::id::tag;
use sansfu::ortc::{
    ConsumerOptions, ConsumerType, consumer_rtp_parameters, default_media_codecs,
    generate_router_rtp_capabilities, negotiate_producer,
};
use sansfu::outbox::QueuedPacket;
use sansfu::producer::{Producer, ProducerParams, Reception};
use sansfu::rng::Rng;
use sansfu::wire::rtp::RtpView;

use super::*;
use crate::peer::rtcp::{self, Rtcp};

const RTT: Duration = Duration::from_millis(40);
/// So many steps before the end the paths become good, and nothing is paused any more.
const HEALED_STEPS: u32 = 3_000;

/// A producer with one consumer.
struct Server {
    producer: Producer,
    consumer: Consumer,
    asked_for_keyframe_at: Option<Instant>,
    /// The encoding that is asked.
    asked: u8,
}

impl Server {
    fn new(track: &TrackSpec, seed: u64) -> Self {
        let router = generate_router_rtp_capabilities(&default_media_codecs()).unwrap();
        let parameters = RtpParameters::from_json(&track.rtp_parameters(SEED)).unwrap();
        let kind = parameters.codecs[0].kind();
        let mut random = Random::new(seed);
        let mut random = || random.next_u64() as u32;
        let negotiated = negotiate_producer(kind, parameters, &router, &mut random).unwrap();
        let options = ConsumerOptions { mid: Some("7".into()), ..ConsumerOptions::for_kind(kind) };
        let consumable = negotiated.consumable_rtp_parameters;
        let rtp_parameters = consumer_rtp_parameters(&consumable, &router, &options, &mut random).unwrap();
        let media = consumable.codecs.iter().filter(|codec| !codec.is_rtx());
        let stored_payload_types = media.map(|codec| codec.payload_type).collect();
        let params = ProducerParams {
            id: "00".repeat(16).parse().unwrap(),
            transport: transport(),
            kind,
            r#type: negotiated.producer_type,
            rtp_parameters: negotiated.rtp_parameters,
            consumable,
            mapping: negotiated.mapping,
            paused: false,
            key_frame_request_interval: Duration::ZERO,
            app_data: json!({}),
        };
        let mut producer = Producer::new(params, &Config::default());
        for (encoding, (ssrc, rtx)) in producer.encodings.iter_mut().zip(track.numbers(SEED).ssrcs) {
            (encoding.ssrc, encoding.rtx_ssrc) = (Some(ssrc), rtx);
        }
        let params = ConsumerParams {
            id: "00".repeat(16).parse().unwrap(),
            transport: transport(),
            r#type: ConsumerType::from(negotiated.producer_type),
            rtp_parameters,
            stored_payload_types,
            paused: false,
            preferred_layers: None,
            app_data: json!({}),
        };
        let mut rng = Rng::from_seed([seed as u8; 32]);
        let consumer = Consumer::new(params, &producer, &mut rng);
        Server { producer, consumer, asked_for_keyframe_at: None, asked: 0 }
    }

    fn on_rtp(&mut self, now: Instant, bytes: &[u8]) -> Vec<Vec<u8>> {
        let view = RtpView::parse(bytes).unwrap();
        let of = |encoding: &sansfu::producer::ProducerEncoding| {
            encoding.ssrc == Some(view.ssrc()) || encoding.rtx_ssrc == Some(view.ssrc())
        };
        let encoding = self.producer.encodings.iter().position(of).unwrap();
        let is_rtx = self.producer.encodings[encoding].rtx_ssrc == Some(view.ssrc());
        let reception = self.producer.receive(now, encoding as u8, is_rtx, &view);
        let Reception::Stored(stored) = reception else { return Vec::new() };
        let was_sending = self.consumer.is_sending(encoding as u8);
        let (consumer, producer) = (&mut self.consumer, &self.producer);
        let mut queued: Vec<QueuedPacket> = consumer.forward(now, &stored, producer, 0).into_iter().collect();
        if !was_sending && !queued.is_empty() {
            let later = producer.encodings[encoding].stored_after(&stored);
            queued.extend(later.filter_map(|later| consumer.forward(now, &later, producer, 0)));
        }
        queued.iter().for_each(|packet| self.consumer.on_queued(packet));
        queued.iter().map(|packet| self.render(packet)).collect()
    }

    fn on_rtcp(&mut self, now: Instant, compound: &[u8], out: &mut Vec<Vec<u8>>) {
        for packet in rtcp::parse(compound).unwrap() {
            match packet {
                Rtcp::Nack { lost, .. } if self.consumer.is_active() => {
                    for sequence in lost {
                        let again = self.consumer.retransmit(now, RTT, sequence, &self.producer, 0);
                        out.extend(again.map(|packet| self.render(&packet)));
                    }
                }
                Rtcp::Pli { .. } => self.asked_for_keyframe_at = None,
                _ => {}
            }
        }
    }

    /// What the server asks the sender for.
    fn feedback(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let (sender_ssrc, mut keyframe) = (1, false);
        for (index, encoding) in (0..).zip(&mut self.producer.encodings) {
            let (Some(stream), Some(media_ssrc)) = (&mut encoding.stream, encoding.ssrc) else { continue };
            let mut lost = Vec::new();
            if stream.poll_nack(now, RTT, &mut lost).keyframe_needed {
                match encoding.lost_layers() {
                    Some(layers) => self.consumer.on_lost(index, layers),
                    None => keyframe = true,
                }
            }
            if !lost.is_empty() {
                packets.push(rtcp::write(&[Rtcp::Nack { sender_ssrc, media_ssrc, lost }]));
            }
        }
        let wanted = self.consumer.needs_keyframe_of();
        keyframe |= wanted.is_some();
        let asked = wanted.unwrap_or(self.consumer.encoding());
        if std::mem::replace(&mut self.asked, asked) != asked {
            self.asked_for_keyframe_at = None;
        }
        let due = self.asked_for_keyframe_at.is_none_or(|at| at + 500 * MS <= now);
        if due && (keyframe || self.asked_for_keyframe_at.is_none()) {
            self.asked_for_keyframe_at = Some(now);
            let media_ssrc = self.producer.encodings[usize::from(asked)].ssrc.unwrap();
            packets.push(rtcp::write(&[Rtcp::Pli { sender_ssrc, media_ssrc }]));
        }
        packets
    }

    fn render(&self, packet: &QueuedPacket) -> Vec<u8> {
        let store = &self.producer.encodings[usize::from(packet.encoding)].store;
        let mut bytes = Vec::new();
        let stored = store.get(packet.stored_seq).unwrap();
        self.consumer.layout.render(packet, &stored, &mut bytes);
        bytes
    }
}

fn transport() -> Id<tag::Transport> {
    Arena::<(), tag::Transport>::new().insert(())
}

/// Sender, server and receiver, in steps of a millisecond; a datagram takes 20 ms for each of the two paths.
fn run(track: &TrackSpec, seed: u64, paths: [Path; 2], steps: u32) -> (RtpReceiver, Instant, Vec<Violation>) {
    let start = start();
    let mut sender = RtpSender::new(track.clone(), SEED, start);
    let mut server = Server::new(track, seed);
    let mut receiver = RtpReceiver::new(&server.consumer.rtp_parameters, track.clone(), start);
    let mut random = Random::new(seed);
    let (mut now, mut violations) = (start, Vec::new());
    let mut queue: BTreeMap<(Instant, u64), (u8, Vec<u8>)> = BTreeMap::new();
    let (mut queued, mut sent) = (0, [0, 0]);
    let [mut up, mut down] = paths;
    for step in 0..steps {
        now = start + MS * step;
        let mut out: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut datagrams = Vec::new();
        sender.poll(now, &mut datagrams);
        out.extend(datagrams.drain(..).filter(|datagram| !is_rtcp(datagram)).map(|datagram| (0, datagram)));
        violations.extend(receiver.poll(now, &mut datagrams).err());
        out.extend(datagrams.drain(..).map(|datagram| (1, datagram)));
        out.extend(server.feedback(now).into_iter().map(|datagram| (2, datagram)));
        if step % 400 == 399 {
            // In the end it flows.
            let paused = step + HEALED_STEPS < steps && random.below(2) == 0;
            server.consumer.set_paused(paused);
            receiver.set_active(now, !paused);
        }
        if step % 230 == 229 && step + HEALED_STEPS < steps {
            let layers = ConsumerLayers {
                spatial_layer: random.below(3) as u8,
                temporal_layer: Some(random.below(3) as u8),
            };
            server.consumer.selection.prefer(layers);
            let layers = server.consumer.selection.preferred();
            server.consumer.selection.set_target(Some(layers));
        }
        while let Some(entry) = queue.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                (0, datagram) => out.extend(server.on_rtp(now, &datagram).into_iter().map(|d| (3, d))),
                (1, datagram) => {
                    server.on_rtcp(now, &datagram, &mut datagrams);
                    out.extend(datagrams.drain(..).map(|datagram| (3, datagram)));
                }
                (2, datagram) => sender.handle_rtcp(now, &datagram),
                (_, datagram) => violations.extend(receiver.handle_rtp(now, &datagram).err()),
            }
        }
        for (to, datagram) in out {
            let delays = match to {
                _ if step + HEALED_STEPS >= steps => vec![Duration::ZERO],
                0 => up(sent[0], &datagram),
                3 => down(sent[1], &datagram),
                _ => vec![Duration::ZERO],
            };
            sent[0] += u64::from(to == 0);
            sent[1] += u64::from(to == 3);
            for late in delays {
                queue.insert((now + DELAY + late, queued), (to, datagram.clone()));
                queued += 1;
            }
        }
    }
    (receiver, now, violations)
}

#[test]
fn over_good_paths() {
    for track in every_track() {
        let good = || -> Path { Box::new(|_, _| vec![Duration::ZERO]) };
        let (receiver, now, violations) = run(&track, 1, [good(), good()], 1_500);
        assert_eq!(violations, [], "{track:?}");
        assert!(receiver.counters().frames_decoded > 30, "{track:?} {:?}", receiver.counters());
        assert!(now - receiver.last_decoded_at().unwrap() < 50 * MS || !receiver.track().codec.is_video());
    }
}

#[test]
fn over_rough_paths_and_pauses() {
    for seed in 0..2 {
        for track in every_track() {
            let id = u64::from(track.id) + seed * 100;
            let paths = [rough_path(id, u64::MAX), rough_path(id + 50, u64::MAX)];
            let (receiver, now, violations) = run(&track, id, paths, 9_000);
            assert_eq!(violations, [], "{track:?} seed {seed}");
            let last = receiver.last_decoded_at().unwrap();
            assert!(
                now - last < 300 * MS,
                "{track:?} seed {seed} {:?} {:?}",
                now - last,
                receiver.counters()
            );
        }
    }
}
