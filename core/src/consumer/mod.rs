//! A consumer: what one client gets of one producer.
//!
//! It keeps no packets. It decides which of the producer's packets go out and under which numbers; the payloads stay in the
//! producer's storage.
mod chains;
mod climb;
mod layout;
mod pictures;
mod resend;
mod selection;

use std::time::{Duration, Instant};

use serde_json::Value;

pub use climb::ClimbHold;
pub use layout::HeaderLayout;
pub use selection::{Selected, Selection};

use self::pictures::{Decision, Pictures};
use self::resend::{ResendLog, SentHeader};
use crate::arena::Id;
use crate::event::{ConsumerLayers, ConsumerScore};
use crate::id::{ConsumerId, tag};
use crate::ortc::{ConsumerType, MediaKind, RtpParameters, ScalabilityMode};
use crate::outbox::{Content, QueuedPacket};
use crate::producer::{Producer, StoredPacketInfo};
use crate::rng::Rng;
use crate::stream::frame::{FrameInfo, Layers, LayersSet, NumberOffsets};
use crate::stream::send::{SendParams, SendStream};
use crate::stream::sequence_map::{DropOutcome, SequenceMap};
use crate::stream::timestamp_map::TimestampMap;
use crate::wire::codec::Codec;
use crate::wire::codec::dependency_descriptor::ActiveDecodeTargets;

/// How many of the packets sent last are looked at for one to be repeated as a probe.
const PROBE_CANDIDATES: u64 = 8;

/// Packets of an encoding that has gone on since its keyframe, at most, for a switch to it.
const MAX_CATCH_UP_PACKETS: u64 = 64;

/// And how far the keyframe may lie behind what was sent last, in capture time.
const MAX_CATCH_UP: Duration = Duration::from_millis(100);

/// A media sink of a router.
#[derive(Debug)]
pub struct Consumer {
    /// Its name.
    pub id: ConsumerId,
    /// What it consumes.
    pub producer: Id<tag::Producer>,
    /// The transport that it sends by.
    pub transport: Id<tag::Transport>,
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is encoded.
    pub r#type: ConsumerType,
    /// What the client gets.
    pub rtp_parameters: RtpParameters,
    /// Whether it is paused itself.
    pub paused: bool,
    /// Whether its producer is paused.
    pub producer_paused: bool,
    /// 1 to 255.
    pub priority: u8,
    /// Which layers it sends.
    pub selection: Selection,
    /// Whether it may climb to higher spatial layers.
    pub climb: ClimbHold,
    /// The application's.
    pub app_data: Value,
    /// The header extensions that its packets get.
    pub layout: HeaderLayout,
    /// The RTP stream that it sends.
    pub stream: SendStream,
    /// The score that was last reported.
    pub reported_score: Option<ConsumerScore>,
    /// The layers that were last reported.
    pub reported_layers: Option<ConsumerLayers>,
    codecs: Vec<ConsumerCodec>,
    sequence: SequenceMap<Source>,
    timestamps: TimestampMap,
    pictures: Pictures,
    /// Since the last template structure the client was told of fewer decode targets than that has.
    tells_targets: bool,
    /// The encoding that was sent last; `None` also when it has begun anew, so that its numbers do not compare with those before.
    last_encoding: Option<u8>,
    starts_with_keyframe: bool,
    resend_log: Option<ResendLog>,
}

/// The payload types of a codec that the consumer sends.
#[derive(Debug, Clone, Copy)]
struct ConsumerCodec {
    /// As stored: the router's.
    stored: u8,
    /// As sent.
    sent: u8,
    /// Of retransmissions.
    rtx: Option<u8>,
    /// Its decoders take a gap in the picture ids for a loss: what is left out is closed up (VP8).
    closes_picture_ids: bool,
}

/// Where sent packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source {
    encoding: u8,
    timestamp_offset: u32,
}

/// What a consumer is made of.
#[derive(Debug)]
pub struct ConsumerParams {
    /// Its name.
    pub id: ConsumerId,
    /// The transport that it sends by.
    pub transport: Id<tag::Transport>,
    /// How it is encoded.
    pub r#type: ConsumerType,
    /// What the client gets.
    pub rtp_parameters: RtpParameters,
    /// The router's payload type for each of the media codecs in `rtp_parameters`, in their order.
    pub stored_payload_types: Vec<u8>,
    /// Whether it starts paused.
    pub paused: bool,
    /// The layers asked for.
    pub preferred_layers: Option<ConsumerLayers>,
    /// The application's.
    pub app_data: Value,
}

impl Consumer {
    /// A consumer that has sent nothing yet.
    pub fn new(params: ConsumerParams, producer: &Producer, rng: &mut Rng) -> Self {
        let parameters = params.rtp_parameters;
        let encoding = parameters.encodings.first();
        let media = parameters.codecs.iter().filter(|codec| !codec.is_rtx());
        let clock_rate = media.clone().next().map_or(90_000, |codec| codec.clock_rate);
        let uses_nack = media.clone().any(|codec| codec.has_feedback("nack", ""));
        let rtx_ssrc = encoding.and_then(|encoding| encoding.rtx.as_ref()).map(|rtx| rtx.ssrc);
        let codecs = media
            .zip(&params.stored_payload_types)
            .map(|(codec, stored)| ConsumerCodec {
                stored: *stored,
                sent: codec.payload_type,
                rtx: parameters.rtx_for(codec.payload_type).map(|rtx| rtx.payload_type),
                closes_picture_ids: Codec::from_mime_subtype(codec.mime_type.subtype()) == Codec::Vp8,
            })
            .collect();
        let ssrc = encoding.and_then(|encoding| encoding.ssrc).unwrap_or(0);
        let cname = parameters.rtcp.cname.clone().unwrap_or_default();
        let stream = SendStream::new(SendParams { ssrc, rtx_ssrc, clock_rate, cname }, rng);
        Consumer {
            id: params.id,
            producer: producer.id.own,
            transport: params.transport,
            kind: producer.kind,
            r#type: params.r#type,
            paused: params.paused,
            producer_paused: producer.paused,
            priority: 1,
            selection: selection(params.r#type, &parameters, params.preferred_layers),
            climb: ClimbHold::default(),
            app_data: params.app_data,
            layout: HeaderLayout::new(&parameters),
            sequence: SequenceMap::new(stream.first_out()),
            timestamps: TimestampMap::new(clock_rate),
            stream,
            reported_score: None,
            reported_layers: None,
            codecs,
            pictures: Pictures::default(),
            tells_targets: false,
            last_encoding: None,
            starts_with_keyframe: producer.tells_keyframes(),
            resend_log: (uses_nack && rtx_ssrc.is_none()).then(ResendLog::default),
            rtp_parameters: parameters,
        }
    }

    /// Decides whether a stored packet of its producer goes out, and how. `O(1)`, allocates nothing.
    pub fn forward(
        &mut self,
        now: Instant,
        packet: &StoredPacketInfo,
        producer: &Producer,
        send_time: u32,
    ) -> Option<QueuedPacket> {
        if !self.is_active() {
            return None;
        }
        let meta = &packet.meta;
        let codec = *self.codecs.iter().find(|codec| codec.stored == meta.payload_type)?;
        if !self.is_sending(packet.encoding) && !self.begin(packet, producer) {
            return None;
        }
        let timestamp = meta.timestamp.wrapping_add(self.timestamps.offset());
        let is_late = self.sequence.is_late(meta.ext_seq);
        let decision = if is_late {
            self.pictures.decision(timestamp)?
        } else {
            self.decide(packet, timestamp, producer, codec.closes_picture_ids)?
        };
        let is_sent = packet.payload_len > 0 && meta.frame.members.contains(decision.layers);
        if is_late && packet.payload_len > 0 {
            self.selection.on_decided(&meta.frame, is_sent);
        }
        let (index, content) = if is_sent {
            let index = self.sequence.map(meta.ext_seq)?;
            self.pictures.on_sent(&meta.frame, decision.offsets);
            (index, Content::Payload)
        } else {
            match self.sequence.drop(meta.ext_seq) {
                DropOutcome::TooLate { reserved_out } => (reserved_out, Content::Empty),
                DropOutcome::Dropped => return None,
            }
        };
        let timestamp = self.timestamps.map(meta.timestamp, meta.received_at);
        self.stream.on_sent(now, index, timestamp, packet.payload_len);
        Some(QueuedPacket {
            consumer: self.id.own,
            producer: self.producer,
            encoding: packet.encoding,
            payload_type: codec.sent,
            marker: self.marker(meta.marker, &meta.frame, decision.layers),
            content,
            payload_len: packet.payload_len as u16,
            may_pad: content == Content::Payload && self.may_pad(),
            padding: 0,
            stored_seq: meta.ext_seq,
            index,
            timestamp,
            ssrc: self.stream.ssrc(),
            transport_sequence: 0,
            abs_send_time: send_time,
            offsets: decision.offsets,
            decode_targets: decision.decode_targets(packet.encoding, meta.ext_seq, producer),
            is_probe: false,
        })
    }

    /// Remembers under which numbers a packet left, so that it can be sent again byte for byte where there is no RTX.
    pub fn on_queued(&mut self, packet: &QueuedPacket) {
        if let Some(log) = &mut self.resend_log {
            log.insert(packet.index, SentHeader::of(packet));
        }
    }

    /// Decides how a packet that the client misses is sent again; `None` when it was sent again just now, was never sent, or has
    /// left the storage.
    pub fn retransmit(
        &mut self,
        now: Instant,
        rtt: Duration,
        sequence_number: u16,
        producer: &Producer,
        send_time: u32,
    ) -> Option<QueuedPacket> {
        let origin = self.sequence.inverse(sequence_number)?;
        let source = origin.source;
        let encoding = source.encoding;
        let stored = producer.encodings.get(usize::from(encoding))?.store.get(origin.in_seq)?;
        let timestamp = stored.meta.timestamp.wrapping_add(source.timestamp_offset);
        let decision = self.pictures.decision(timestamp)?;
        let is_empty = stored.payload.is_empty() || !stored.meta.frame.members.contains(decision.layers);
        let codec = *self.codecs.iter().find(|codec| codec.stored == stored.meta.payload_type)?;
        if !self.stream.on_nack_request(now, rtt, origin.out_seq) {
            return None;
        }
        let mut packet = QueuedPacket {
            consumer: self.id.own,
            producer: self.producer,
            encoding,
            payload_type: codec.sent,
            marker: self.marker(stored.meta.marker, &stored.meta.frame, decision.layers),
            content: if is_empty { Content::Empty } else { Content::Payload },
            payload_len: stored.payload.len() as u16,
            may_pad: !is_empty && self.may_pad(),
            padding: 0,
            stored_seq: origin.in_seq,
            index: origin.out_seq,
            timestamp,
            ssrc: self.stream.ssrc(),
            transport_sequence: 0,
            abs_send_time: send_time,
            offsets: decision.offsets,
            decode_targets: decision.decode_targets(encoding, origin.in_seq, producer),
            is_probe: false,
        };
        match (&self.resend_log, codec.rtx, self.stream.rtx_ssrc()) {
            (_, Some(payload_type), Some(ssrc)) => {
                packet.payload_type = payload_type;
                packet.ssrc = ssrc;
                packet.index = self.stream.next_rtx_ext();
                packet.content = match is_empty {
                    true => Content::EmptyRetransmission(sequence_number),
                    false => Content::Retransmission(sequence_number),
                };
                // RFC 4588 section 4: the original sequence number comes before the payload.
                packet.payload_len = packet.payload_len.saturating_add(2);
            }
            (Some(log), _, _) => log.get(origin.out_seq)?.restore(&mut packet),
            _ => return None,
        }
        self.stream.on_resent();
        Some(packet)
    }

    /// A packet of at most `bytes` on the wire that may be sent to probe for bandwidth: with `may_repeat` what was sent lately
    /// once more, by the retransmission stream, else padding in it. `None` where there is no such stream.
    pub fn probe(
        &mut self,
        bytes: usize,
        producer: &Producer,
        send_time: u32,
        may_repeat: bool,
    ) -> Option<QueuedPacket> {
        let ssrc = self.stream.rtx_ssrc()?;
        let (payload_type, stored) = self.codecs.iter().find_map(|codec| Some((codec.rtx?, codec.stored)))?;
        let room = bytes.saturating_sub(self.layout.overhead_bytes());
        let mut packet = QueuedPacket {
            consumer: self.id.own,
            producer: self.producer,
            encoding: 0,
            payload_type,
            marker: false,
            content: Content::Padding(room.clamp(1, usize::from(u8::MAX)) as u8),
            payload_len: 0,
            may_pad: false,
            padding: 0,
            stored_seq: 0,
            index: 0,
            timestamp: 0,
            ssrc,
            transport_sequence: 0,
            abs_send_time: send_time,
            offsets: NumberOffsets::default(),
            decode_targets: None,
            is_probe: true,
        };
        if may_repeat && self.selection.current().is_some() {
            self.repeat(&mut packet, stored, room, producer);
        }
        packet.index = self.stream.next_rtx_ext();
        Some(packet)
    }

    /// Stops or goes on by itself; true when it changed.
    pub fn set_paused(&mut self, paused: bool) -> bool {
        let changed = self.paused != paused;
        self.paused = paused;
        if changed {
            self.selection.stop();
        }
        changed
    }

    /// Stops or goes on with its producer; true when it changed.
    pub fn set_producer_paused(&mut self, paused: bool) -> bool {
        let changed = self.producer_paused != paused;
        self.producer_paused = paused;
        if changed {
            self.selection.stop();
        }
        changed
    }

    /// An encoding begins anew under other numbers: if it is the one that was sent, nothing flows until a packet that a decoder
    /// can start with.
    pub fn on_encoding_restarted(&mut self, encoding: u8) {
        self.timestamps.forget(encoding);
        if self.last_encoding == Some(encoding) {
            self.last_encoding = None;
            self.selection.stop();
        }
    }

    /// Packets of an encoding are given up, and these layers of it cannot be decoded any more.
    pub fn on_lost(&mut self, encoding: u8, layers: LayersSet) {
        if self.is_sending(encoding) {
            self.selection.lose(layers);
        }
    }

    /// Whether packets of this encoding flow.
    pub fn is_sending(&self, encoding: u8) -> bool {
        self.selection.current().is_some_and(|current| current.encoding == encoding)
    }

    /// Whether packets are to flow.
    pub fn is_active(&self) -> bool {
        !self.paused && !self.producer_paused
    }

    /// The encoding of which it needs a keyframe to become what it is to be.
    pub fn needs_keyframe_of(&self) -> Option<u8> {
        let needs = self.is_active() && self.starts_with_keyframe && self.selection.needs_keyframe();
        self.selection.target().filter(|_| needs).map(|target| target.encoding)
    }

    /// The encoding that is sent, or was, or is to be.
    pub fn encoding(&self) -> u8 {
        let current = self.selection.current().or(self.selection.target()).map(|selected| selected.encoding);
        current.or(self.last_encoding).unwrap_or(0)
    }

    /// Its quality, and its producer's.
    pub fn score(&self, producer: &Producer) -> ConsumerScore {
        let producer_scores: Vec<u8> = producer.encodings.iter().map(|encoding| encoding.score()).collect();
        let producer_score = producer_scores.get(usize::from(self.encoding())).copied().unwrap_or(0);
        ConsumerScore { score: self.stream.score(), producer_score, producer_scores }
    }

    /// Whether the target can be begun with this packet; if so the numbers are set to go on with it.
    fn begin(&mut self, packet: &StoredPacketInfo, producer: &Producer) -> bool {
        let (meta, encoding) = (&packet.meta, packet.encoding);
        let is_target = self.selection.target().is_some_and(|target| target.encoding == encoding);
        let is_start = packet.payload_len > 0 && (meta.frame.keyframe || !self.starts_with_keyframe);
        if !is_target || !is_start {
            return false;
        }
        let last = self.last_encoding;
        // What was overtaken before a pause by what has been sent must not follow it after the pause.
        let is_overtaken = last == Some(encoding) && self.sequence.is_late(meta.ext_seq);
        let aligned = last.and_then(|last| producer.aligned_timestamp(encoding, meta.timestamp, last));
        let flows = self.selection.current().is_some();
        if is_overtaken || flows && self.is_stale(packet, producer, aligned) {
            return false;
        }
        self.last_encoding = Some(encoding);
        match last.filter(|last| *last != encoding) {
            Some(last) => self.timestamps.switch(last, encoding, meta.timestamp, aligned, meta.received_at),
            None => self.timestamps.restart(meta.timestamp, meta.received_at, last.is_some()),
        };
        let closes_up = self.closes_picture_ids(meta.payload_type);
        self.pictures.begin(encoding, &meta.frame, closes_up);
        self.selection.begin(meta.timestamp);
        self.sequence.restart(meta.ext_seq, Source { encoding, timestamp_offset: self.timestamps.offset() });
        true
    }

    /// Puts a packet that was sent lately into a probe: the largest of the last few that fits.
    fn repeat(&self, probe: &mut QueuedPacket, stored_payload_type: u8, room: usize, producer: &Producer) {
        let highest = self.sequence.highest_out();
        let candidates = (highest.saturating_sub(PROBE_CANDIDATES)..=highest).rev().filter_map(|out_seq| {
            let origin = self.sequence.inverse(out_seq as u16)?;
            let encoding = producer.encodings.get(usize::from(origin.source.encoding))?;
            let stored = encoding.store.get(origin.in_seq)?;
            let timestamp = stored.meta.timestamp.wrapping_add(origin.source.timestamp_offset);
            let decision = self.pictures.decision(timestamp)?;
            let fits = stored.payload.len() + 2 <= room && stored.meta.payload_type == stored_payload_type;
            let is_sent = !stored.payload.is_empty() && stored.meta.frame.members.contains(decision.layers);
            (fits && is_sent).then_some((origin, stored, timestamp, decision))
        });
        let Some((origin, stored, timestamp, decision)) =
            candidates.max_by_key(|(_, stored, _, _)| stored.payload.len())
        else {
            return;
        };
        probe.encoding = origin.source.encoding;
        probe.stored_seq = origin.in_seq;
        probe.timestamp = timestamp;
        probe.marker = self.marker(stored.meta.marker, &stored.meta.frame, decision.layers);
        probe.offsets = decision.offsets;
        probe.decode_targets = decision.decode_targets(probe.encoding, origin.in_seq, producer);
        probe.content = Content::Retransmission(origin.out_seq as u16);
    }

    /// Whether a keyframe was got back so late that what flows is not to be left for it: it would have to catch up for long, or
    /// its capture time lies far behind.
    fn is_stale(&self, packet: &StoredPacketInfo, producer: &Producer, aligned: Option<u32>) -> bool {
        let newest =
            producer.encodings.get(usize::from(packet.encoding)).and_then(|stream| stream.store.highest());
        newest.unwrap_or(0).saturating_sub(packet.meta.ext_seq) > MAX_CATCH_UP_PACKETS
            || self.timestamps.lag(packet.encoding, packet.meta.timestamp, aligned, packet.meta.received_at)
                > MAX_CATCH_UP
    }

    /// Whether its packets may be padded. Not where packets are sent again under their own numbers: they have to be the same to the last
    /// byte, or one index would seal two plaintexts (RFC 3711 section 9.1). And sound comes one by one.
    fn may_pad(&self) -> bool {
        self.kind == MediaKind::Video && self.resend_log.is_none()
    }

    fn closes_picture_ids(&self, stored_payload_type: u8) -> bool {
        self.codecs.iter().any(|codec| codec.stored == stored_payload_type && codec.closes_picture_ids)
    }

    /// Decides about the next packet of the encoding that flows.
    fn decide(
        &mut self,
        packet: &StoredPacketInfo,
        timestamp: u32,
        producer: &Producer,
        closes_picture_ids: bool,
    ) -> Option<Decision> {
        let frame = &packet.meta.frame;
        if packet.payload_len > 0 {
            let is_sent = self.selection.on_packet(packet.meta.timestamp, frame);
            if !is_sent && closes_picture_ids {
                self.pictures.leave_out(timestamp);
            }
        }
        let layers = self.selection.current()?.layers;
        self.note_targets(packet, layers, producer);
        Some(self.pictures.decide(timestamp, layers, self.tells_targets))
    }

    /// A receiver takes all decode targets of a new structure for active. One that was told of fewer has to be told of more as well,
    /// and any packet may be lost: so all are told until there is a new structure (section A.4 of the AV1 payload format).
    fn note_targets(&mut self, packet: &StoredPacketInfo, layers: Layers, producer: &Producer) {
        if !self.layout.has_dependency_descriptor() {
            return;
        }
        let encoding = producer.encodings.get(usize::from(packet.encoding));
        let told = encoding.and_then(|encoding| encoding.decodable(packet.meta.ext_seq, layers));
        let is_less = told.is_some_and(|(_, is_all)| !is_all);
        self.tells_targets = is_less || self.tells_targets && !packet.meta.frame.keyframe;
    }

    /// The picture ends where its highest spatial layer that is sent does.
    fn marker(&self, marker: bool, frame: &FrameInfo, layers: Layers) -> bool {
        marker || self.r#type == ConsumerType::Svc && frame.end && frame.spatial_id == layers.spatial
    }
}

impl Decision {
    /// What a packet of the picture tells of the decode targets.
    fn decode_targets(&self, encoding: u8, ext_seq: u64, producer: &Producer) -> Option<ActiveDecodeTargets> {
        let encoding = producer.encodings.get(usize::from(encoding)).filter(|_| self.tells_targets)?;
        encoding.decodable(ext_seq, self.layers).map(|(told, _)| told).filter(|told| told.mask != 0)
    }
}

/// The layers that a consumer of these parameters can choose among.
fn selection(
    consumer_type: ConsumerType,
    parameters: &RtpParameters,
    preferred: Option<ConsumerLayers>,
) -> Selection {
    let mode = parameters.encodings.first().and_then(|encoding| encoding.scalability_mode.as_deref());
    // mediasoup writes the encodings of simulcast as spatial layers, too.
    let mode = ScalabilityMode::parse_or_default(mode);
    Selection::new(consumer_type, mode.spatial_layers, mode.temporal_layers, preferred)
}
