//! A consumer: what one client gets of one producer.
//!
//! It keeps no packets. It decides which of the producer's packets go out and under which numbers; the payloads stay in the
//! producer's storage.
mod layout;
mod resend;

use std::time::{Duration, Instant};

use serde_json::Value;

pub use layout::HeaderLayout;

use self::resend::{ResendLog, SentHeader};
use crate::arena::Id;
use crate::event::{ConsumerLayers, ConsumerScore};
use crate::id::{ConsumerId, tag};
use crate::ortc::{ConsumerType, MediaKind, RtpParameters};
use crate::outbox::{Content, QueuedPacket};
use crate::producer::{Producer, StoredPacketInfo};
use crate::rng::Rng;
use crate::stream::send::{SendParams, SendStream};
use crate::stream::sequence_map::{DropOutcome, SequenceMap};
use crate::stream::timestamp_map::TimestampMap;

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
    /// The layers asked for.
    pub preferred_layers: Option<ConsumerLayers>,
    /// The application's.
    pub app_data: Value,
    /// The header extensions that its packets get.
    pub layout: HeaderLayout,
    /// The RTP stream that it sends.
    pub stream: SendStream,
    /// The score that was last reported.
    pub reported_score: Option<ConsumerScore>,
    codecs: Vec<ConsumerCodec>,
    sequence: SequenceMap,
    timestamps: TimestampMap,
    /// The encoding that is forwarded.
    encoding: u8,
    /// Nothing flows until a packet that a decoder can start with.
    waits_for_start: bool,
    /// The source has begun anew: its numbers do not compare with those before.
    is_new_source: bool,
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
            preferred_layers: params.preferred_layers,
            app_data: params.app_data,
            layout: HeaderLayout::new(&parameters),
            sequence: SequenceMap::new(stream.first_out()),
            timestamps: TimestampMap::new(clock_rate),
            stream,
            reported_score: None,
            codecs,
            encoding: 0,
            waits_for_start: true,
            is_new_source: true,
            starts_with_keyframe: producer.tells_keyframes(),
            resend_log: (uses_nack && rtx_ssrc.is_none()).then(ResendLog::default),
            rtp_parameters: parameters,
        }
    }

    /// Decides whether a stored packet goes out, and how. `O(1)`, allocates nothing.
    pub fn forward(
        &mut self,
        now: Instant,
        packet: &StoredPacketInfo,
        send_time: u32,
    ) -> Option<QueuedPacket> {
        if self.paused || self.producer_paused || packet.encoding != self.encoding {
            return None;
        }
        let meta = &packet.meta;
        let codec = self.codecs.iter().find(|codec| codec.stored == meta.payload_type)?;
        let payload_type = codec.sent;
        if self.waits_for_start {
            // What was overtaken before a pause by what has been sent must not follow it after the pause.
            let is_late = !self.is_new_source && self.sequence.is_late(meta.ext_seq);
            if is_late || packet.payload_len == 0 || (self.starts_with_keyframe && !meta.keyframe) {
                return None;
            }
            (self.waits_for_start, self.is_new_source) = (false, false);
            let timestamp_offset = self.timestamps.restart(meta.timestamp, meta.received_at);
            self.sequence.restart(meta.ext_seq, u16::from(packet.encoding), timestamp_offset);
        }
        let (index, content) = if packet.payload_len == 0 {
            match self.sequence.drop(meta.ext_seq) {
                DropOutcome::TooLate { reserved_out } => (reserved_out, Content::Empty),
                DropOutcome::Dropped => return None,
            }
        } else {
            (self.sequence.map(meta.ext_seq)?, Content::Payload)
        };
        let timestamp = self.timestamps.map(meta.timestamp, meta.received_at);
        self.stream.on_sent(now, index, timestamp, packet.payload_len);
        Some(QueuedPacket {
            consumer: self.id.own,
            producer: self.producer,
            encoding: packet.encoding,
            payload_type,
            marker: meta.marker,
            content,
            stored_seq: meta.ext_seq,
            index,
            timestamp,
            ssrc: self.stream.ssrc(),
            transport_sequence: 0,
            abs_send_time: send_time,
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
        let encoding = origin.stream_tag as u8;
        let stored = producer.encodings.get(usize::from(encoding))?.store.get(origin.in_seq)?;
        let codec = *self.codecs.iter().find(|codec| codec.stored == stored.meta.payload_type)?;
        if !self.stream.on_nack_request(now, rtt, origin.out_seq) {
            return None;
        }
        let mut packet = QueuedPacket {
            consumer: self.id.own,
            producer: self.producer,
            encoding,
            payload_type: codec.sent,
            marker: stored.meta.marker,
            content: if origin.padding { Content::Empty } else { Content::Payload },
            stored_seq: origin.in_seq,
            index: origin.out_seq,
            timestamp: stored.meta.timestamp.wrapping_add(origin.timestamp_offset),
            ssrc: self.stream.ssrc(),
            transport_sequence: 0,
            abs_send_time: send_time,
        };
        match (&self.resend_log, codec.rtx, self.stream.rtx_ssrc()) {
            (_, Some(payload_type), Some(ssrc)) => {
                packet.payload_type = payload_type;
                packet.ssrc = ssrc;
                packet.index = self.stream.next_rtx_ext();
                packet.content = Content::Retransmission(sequence_number);
            }
            (Some(log), _, _) => log.get(origin.out_seq)?.restore(&mut packet),
            _ => return None,
        }
        self.stream.on_resent(now, stored.payload.len());
        Some(packet)
    }

    /// Stops or goes on by itself; true when it changed.
    pub fn set_paused(&mut self, paused: bool) -> bool {
        let changed = self.paused != paused;
        self.paused = paused;
        self.waits_for_start |= changed;
        changed
    }

    /// Stops or goes on with its producer; true when it changed.
    pub fn set_producer_paused(&mut self, paused: bool) -> bool {
        let changed = self.producer_paused != paused;
        self.producer_paused = paused;
        self.waits_for_start |= changed;
        changed
    }

    /// The source begins anew under other numbers: nothing flows until a packet that a decoder can start with.
    pub fn restart(&mut self) {
        (self.waits_for_start, self.is_new_source) = (true, true);
    }

    /// Whether nothing flows until a packet that a decoder can start with.
    pub fn waits_for_start(&self) -> bool {
        self.waits_for_start
    }

    /// Whether packets are to flow.
    pub fn is_active(&self) -> bool {
        !self.paused && !self.producer_paused
    }

    /// Whether it cannot go on without a keyframe.
    pub fn needs_keyframe(&self) -> bool {
        self.is_active() && self.waits_for_start && self.starts_with_keyframe
    }

    /// The encoding that is forwarded.
    pub fn encoding(&self) -> u8 {
        self.encoding
    }

    /// Its quality, and its producer's.
    pub fn score(&self, producer: &Producer) -> ConsumerScore {
        let producer_scores: Vec<u8> = producer.encodings.iter().map(|encoding| encoding.score()).collect();
        let producer_score = producer_scores.get(usize::from(self.encoding)).copied().unwrap_or(0);
        ConsumerScore { score: self.stream.score(), producer_score, producer_scores }
    }
}
