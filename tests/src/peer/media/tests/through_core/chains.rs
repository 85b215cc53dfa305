//! Chains of a stream with a dependency descriptor: of what is forwarded all can be decoded, but for what was lost on its way to
//! the server and may still come, and what is lost outside the chains.
use std::collections::BTreeSet;

use sansfu::ortc::HeaderExtensionUri;

use super::*;
use crate::peer::media::frame::{Marks, active_decode_targets, recognise};

/// One way from the sender to the server, or back.
const DELAY: Duration = Duration::from_millis(20);

/// Picture number and spatial layer.
type Frame = (u32, u8);

/// What becomes of a packet; the flag says that it is a retransmission.
type Loss = Box<dyn FnMut(&Marks, bool) -> bool>;

/// A frame that did not come whole.
#[derive(Debug, Clone, Copy)]
struct Lost {
    temporal_id: u8,
    given_up_at: Option<Instant>,
    /// It would have been forwarded, as far as its spatial layer goes.
    is_wanted: bool,
}

/// A frame of which something was forwarded.
#[derive(Debug, Clone)]
struct Forwarded {
    at: Instant,
    marks: Marks,
    packets: BTreeSet<u16>,
}

/// A sender and a server, and all that went through it.
struct Scene {
    start: Instant,
    now: Instant,
    track: TrackSpec,
    sender: RtpSender,
    server: Server,
    loss: Loss,
    queue: BTreeMap<(Instant, u64), (To, Vec<u8>)>,
    queued: u64,
    /// By the sequence number.
    lost_packets: BTreeMap<u16, Frame>,
    lost: BTreeMap<Frame, Lost>,
    forwarded: BTreeMap<Frame, Forwarded>,
    keyframes_asked: u32,
}

/// Whom a packet is for.
#[derive(Debug, Clone, Copy)]
enum To {
    Sender,
    Server,
    /// It is lost.
    Nobody,
}

impl Scene {
    fn new(mode: &str, seed: u64, loss: impl FnMut(&Marks, bool) -> bool + 'static) -> Self {
        let (track, start) = (TrackSpec::av1_svc(1, Layers::parse(mode).unwrap()), start());
        Scene {
            start,
            now: start,
            sender: RtpSender::new(track.clone(), SEED, start),
            server: Server::new(&track, seed),
            track,
            loss: Box::new(loss),
            queue: BTreeMap::new(),
            queued: 0,
            lost_packets: BTreeMap::new(),
            lost: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            keyframes_asked: 0,
        }
    }

    fn run_for(&mut self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.now += MS;
            self.step();
        }
    }

    fn choose(&mut self, spatial_layer: u8, temporal_layer: u8) {
        let layers = ConsumerLayers { spatial_layer, temporal_layer: Some(temporal_layer) };
        self.server.consumer.selection.prefer(layers);
        let layers = self.server.consumer.selection.preferred();
        self.server.consumer.selection.set_target(Some(layers));
    }

    /// The spatial layer that is sent.
    fn spatial_layer(&self) -> Option<u8> {
        self.server.consumer.selection.current_layers().map(|layers| layers.spatial_layer)
    }

    fn step(&mut self) {
        let mut out = Vec::new();
        self.sender.poll(self.now, &mut out);
        for datagram in out.drain(..).filter(|datagram| !is_rtcp(datagram)) {
            let is_again = self.original(&datagram).is_some();
            let marks = self.marks(&datagram);
            let is_lost = (self.loss)(&marks, is_again);
            self.enqueue(if is_lost { To::Nobody } else { To::Server }, datagram);
        }
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                (To::Sender, datagram) => self.sender.handle_rtcp(self.now, &datagram),
                (To::Server, datagram) => {
                    let sent = self.server.on_rtp(self.now, &datagram);
                    sent.iter().for_each(|datagram| self.on_forwarded(datagram));
                    // What comes late or is caught up with was decided about with other layers.
                    if let ([sent], None) = (&sent[..], self.original(&datagram)) {
                        self.check_targets(sent);
                    }
                }
                (To::Nobody, datagram) => self.on_lost(&datagram),
            }
        }
        let feedback = self.server.feedback(self.now);
        self.note_given_up();
        for datagram in feedback {
            let is_pli = |packet: &Rtcp| matches!(packet, Rtcp::Pli { .. });
            self.keyframes_asked += u32::from(rtcp::parse(&datagram).unwrap().iter().any(is_pli));
            self.enqueue(To::Sender, datagram);
        }
    }

    fn on_lost(&mut self, datagram: &[u8]) {
        let marks = self.marks(datagram);
        let frame = (marks.number, marks.spatial_id);
        let is_wanted = self.spatial_layer().is_some_and(|spatial| marks.spatial_id <= spatial);
        let again = self.original(datagram);
        let sequence = again.unwrap_or(RtpPacket::parse(datagram).unwrap().header.sequence_number);
        if again.is_none() {
            self.lost_packets.insert(sequence, frame);
            let lost = Lost { temporal_id: marks.temporal_id, given_up_at: None, is_wanted };
            self.lost.entry(frame).or_insert(lost);
        }
    }

    fn on_forwarded(&mut self, datagram: &[u8]) {
        let payload = RtpPacket::parse(datagram).unwrap().payload;
        if payload.is_empty() {
            return;
        }
        let marks = recognise(&self.track, payload).unwrap().marks;
        let new = Forwarded { at: self.now, marks, packets: BTreeSet::new() };
        let frame = self.forwarded.entry((marks.number, marks.spatial_id)).or_insert(new);
        frame.packets.insert(marks.index);
    }

    /// Fails for a packet that does not tell which decode targets are left where not all are.
    fn check_targets(&self, datagram: &[u8]) {
        let Server { consumer, .. } = &self.server;
        let packet = RtpPacket::parse(datagram).unwrap();
        // Without spatial layers the descriptor is not sent on.
        let id = consumer.rtp_parameters.header_extension_id(HeaderExtensionUri::DependencyDescriptor);
        let (Some(id), Some(sent)) = (id, consumer.selection.current_layers()) else { return };
        if packet.payload.is_empty() {
            return;
        }
        let (layers, marks) = (self.track.encodings[0].layers, self.marks(datagram));
        let told = active_decode_targets(layers, &marks, packet.extension(id).unwrap());
        let lowest = if layers.key_only { sent.spatial_layer } else { 0 };
        let row = (2u32 << sent.temporal_layer.unwrap()) - 1;
        let decodable =
            (lowest..=sent.spatial_layer).fold(0, |all, spatial| all | row << (spatial * layers.temporal));
        let is_all = decodable.count_ones() == u32::from(layers.spatial * layers.temporal);
        assert!(told == Some(decodable) || told.is_none() && is_all, "{marks:?} {sent:?}: {told:?}");
        assert!(!packet.header.marker || marks.spatial_id == sent.spatial_layer, "{marks:?} {sent:?}");
    }

    fn note_given_up(&mut self) {
        let stream = self.server.producer.encodings[0].stream.as_ref();
        let given_up = stream.map(|stream| stream.given_up()).unwrap_or_default();
        for sequence in given_up.iter().flat_map(|(first, last)| *first..=*last) {
            let lost = self.lost_packets.get(&(sequence as u16)).and_then(|frame| self.lost.get_mut(frame));
            if let Some(lost) = lost {
                lost.given_up_at.get_or_insert(self.now);
            }
        }
    }

    /// The sequence number that a retransmission repeats.
    fn original(&self, datagram: &[u8]) -> Option<u16> {
        let packet = RtpPacket::parse(datagram).unwrap();
        let is_again = Some(packet.header.ssrc) == self.server.producer.encodings[0].rtx_ssrc;
        is_again.then(|| u16::from_be_bytes([packet.payload[0], packet.payload[1]]))
    }

    fn marks(&self, datagram: &[u8]) -> Marks {
        let behind = if self.original(datagram).is_some() { 2 } else { 0 };
        recognise(&self.track, &RtpPacket::parse(datagram).unwrap().payload[behind..]).unwrap().marks
    }

    fn enqueue(&mut self, to: To, datagram: Vec<u8>) {
        self.queue.insert((self.now + DELAY, self.queued), (to, datagram));
        self.queued += 1;
    }

    /// Why a frame cannot be decoded: the frames that it needs, or itself, that were not forwarded whole.
    fn missing(&self, frame: Frame) -> BTreeSet<Frame> {
        let (mut missing, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![frame]);
        while let Some(frame) = open.pop() {
            if !seen.insert(frame) {
                continue;
            }
            let Some(forwarded) = self.forwarded.get(&frame) else {
                missing.insert(frame);
                continue;
            };
            let marks = &forwarded.marks;
            if forwarded.packets.len() < usize::from(marks.count) {
                missing.insert(frame);
            }
            let back = u32::from(marks.references.pictures_back);
            open.extend((back > 0).then(|| (frame.0 - back, frame.1)));
            open.extend(marks.references.lower_layer.then(|| (frame.0, frame.1 - 1)));
        }
        missing
    }

    /// Fails for a frame that was forwarded though it was known that it could not be decoded.
    fn check(&self) {
        // The last packets may be on their way.
        let end = self.now - 100 * MS;
        for (frame, forwarded) in self.forwarded.iter().filter(|(_, forwarded)| forwarded.at < end) {
            for missing in self.missing(*frame) {
                let lost = self.lost.get(&missing);
                let may_come = |lost: &Lost| {
                    let is_open = lost.given_up_at.is_none_or(|at| at >= forwarded.at);
                    // Chains have the base temporal layer.
                    lost.is_wanted && is_open || lost.temporal_id > 0
                };
                let at = forwarded.at - self.start;
                assert!(lost.is_some_and(may_come), "{frame:?} at {at:?} needs {missing:?}: {lost:?}");
            }
        }
    }
}

#[test]
fn nothing_is_forwarded_that_is_known_to_be_undecodable() {
    for mode in ["L3T3", "L3T3_KEY", "L2T2", "L2T3_KEY", "L1T3"] {
        let mut given_up = 0;
        for seed in 0..4 {
            let mut random = Random::new(seed + 1);
            let mut lost_for_good = BTreeSet::new();
            let mut scene = Scene::new(mode, seed, move |marks, is_again| {
                let packet = (marks.number, marks.spatial_id, marks.index);
                if !is_again && random.below(400) == 0 {
                    lost_for_good.insert(packet);
                }
                lost_for_good.contains(&packet) || !is_again && random.below(60) == 0
            });
            let mut choices = Random::new(seed + 100);
            for _ in 0..60 {
                scene.choose(choices.below(3) as u8, choices.below(3) as u8);
                scene.run_for(MS * (50 + choices.below(600)));
            }
            scene.check();
            given_up += scene.lost.values().filter(|lost| lost.given_up_at.is_some()).count();
            assert!(scene.forwarded.len() > 300, "{mode} {seed}");
        }
        assert!(given_up > 3, "{mode}: {given_up} given up");
    }
}

/// Loses one frame for good, the first behind the 40th picture that passes, and returns the scene when it is given up.
fn lose(mode: &str, passes: impl Fn(&Marks) -> bool + 'static) -> Scene {
    let mut chosen: Option<Frame> = None;
    let mut scene = Scene::new(mode, 1, move |marks, _| {
        let frame = (marks.number, marks.spatial_id);
        if chosen.is_none() && marks.number >= 40 && passes(marks) {
            chosen = Some(frame);
        }
        chosen == Some(frame)
    });
    for _ in 0..4_000 {
        scene.run_for(MS);
        if scene.lost.values().any(|lost| lost.given_up_at.is_some()) {
            return scene;
        }
    }
    panic!("nothing is given up");
}

#[test]
fn a_loss_in_the_spatial_base_breaks_the_chains_above() {
    let mut scene = lose("L3T3", |marks| marks.spatial_id == 0 && marks.temporal_id == 0);
    let (asked, forwarded) = (scene.keyframes_asked, scene.forwarded.len());
    // The keyframe that is asked for is two ways and a picture away.
    scene.run_for(38 * MS);
    assert_eq!(scene.spatial_layer(), None);
    assert!(scene.forwarded.len() <= forwarded + 3, "the picture that has begun ends");
    assert!(scene.keyframes_asked <= asked + 1);
    scene.run_for(100 * MS);
    assert_eq!(scene.spatial_layer(), Some(2));
    scene.run_for(1_000 * MS);
    scene.check();
}

#[test]
fn a_loss_above_leaves_what_is_below() {
    for (mode, below) in [("L3T3", Some(1)), ("L3T3_KEY", None)] {
        let mut scene = lose(mode, |marks| marks.spatial_id == 2 && marks.temporal_id == 0);
        scene.run_for(38 * MS);
        assert_eq!(scene.spatial_layer(), below, "{mode}");
        scene.run_for(100 * MS);
        assert_eq!(scene.spatial_layer(), Some(2), "{mode}");
        scene.run_for(1_000 * MS);
        scene.check();
    }
}

#[test]
fn a_loss_outside_the_chains_needs_no_keyframe() {
    for mode in ["L3T3", "L3T3_KEY", "L1T3"] {
        let mut scene = lose(mode, |marks| marks.temporal_id == 2 && marks.last_of_picture);
        let asked = scene.keyframes_asked;
        scene.run_for(2_000 * MS);
        assert_eq!(scene.keyframes_asked, asked, "{mode}");
        assert!(scene.spatial_layer().is_some());
        scene.check();
    }
}

#[test]
fn a_loss_above_what_is_sent_concerns_nobody() {
    let mut scene = Scene::new("L3T3_KEY", 1, |marks, _| marks.spatial_id == 2 && marks.number > 40);
    scene.choose(0, 2);
    scene.run_for(3_000 * MS);
    let asked = scene.keyframes_asked;
    assert!(scene.lost.values().any(|lost| lost.given_up_at.is_some()));
    scene.run_for(2_000 * MS);
    assert_eq!((scene.keyframes_asked, scene.spatial_layer()), (asked, Some(0)));
    scene.check();
}
