//! A producer: what one client sends, received once and kept once for all its consumers.
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::arena::Id;
use crate::config::Config;
use crate::event::ProducerScore;
use crate::id::{ProducerId, tag};
use crate::ortc::{
    HeaderExtensionUri, MediaKind, ParameterValue, ProducerMapping, ProducerType, RtpParameters,
};
use crate::outbox::QueuedPacket;
use crate::stream::frame::{FrameReader, Layers, LayersSet};
use crate::stream::keyframe::KeyframeRequests;
use crate::stream::layer_rates::LayerRates;
use crate::stream::receive::{ReceiveParams, ReceiveStream, Received};
use crate::stream::rtx;
use crate::stream::store::{AbsoluteCaptureTime, ExtensionValues, PacketMeta, PacketStore, StoredPacket};
use crate::wire::codec::Codec;
use crate::wire::codec::dependency_descriptor::ActiveDecodeTargets;
use crate::wire::rtp::RtpView;

/// Packets read anew when what they are read by has come late, at most: the rest of a keyframe. Without a bound each packet of
/// a hostile sender could cost as much as all that are stored.
const MAX_REREAD_PACKETS: u64 = 256;

/// The shortest time from one choice of layers, because others are sent now, to the next: each costs something for every consumer.
const LAYERS_CHANGE_INTERVAL: Duration = Duration::from_millis(100);

/// A media source of a router.
#[derive(Debug)]
pub struct Producer {
    /// Its name.
    pub id: ProducerId,
    /// The transport that it comes by.
    pub transport: Id<tag::Transport>,
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is encoded.
    pub r#type: ProducerType,
    /// What the client sends.
    pub rtp_parameters: RtpParameters,
    /// What consumers can get, before their capabilities.
    pub consumable: RtpParameters,
    /// Whether it is paused.
    pub paused: bool,
    /// The application's.
    pub app_data: Value,
    /// Its streams, one per encoding.
    pub encodings: Vec<ProducerEncoding>,
    /// Who consumes it, oldest first.
    pub consumers: Vec<Id<tag::Consumer>>,
    codecs: Vec<ProducerCodec>,
    extensions: CarriedExtensionIds,
}

/// One stream of a producer.
#[derive(Debug)]
pub struct ProducerEncoding {
    /// SSRC, once known.
    pub ssrc: Option<u32>,
    /// SSRC of the retransmissions, once known.
    pub rtx_ssrc: Option<u32>,
    /// RID.
    pub rid: Option<String>,
    /// What was received; `None` before the first packet.
    pub stream: Option<ReceiveStream>,
    /// What consumers send from.
    pub store: PacketStore,
    /// When a keyframe may be asked for.
    pub key_frames: KeyframeRequests,
    /// Packets have come lately.
    pub is_live: bool,
    /// What its layers take.
    pub rates: LayerRates,
    frames: FrameReader,
    /// The layers by which consumers last chose, and when.
    chosen_by: (LayersSet, Option<Instant>),
    /// The score that was last reported.
    pub reported_score: u8,
    fir_sequence: u8,
}

/// A codec that the client sends.
#[derive(Debug, Clone)]
struct ProducerCodec {
    payload_type: u8,
    mapped_payload_type: u8,
    clock_rate: u32,
    codec: Codec,
    use_nack: bool,
    /// The retransmission format of this codec, as the client sends it.
    rtx_payload_type: Option<u8>,
}

/// The client's ids of the header extensions that are carried to the consumers; 0: not used.
#[derive(Debug, Clone, Copy, Default)]
struct CarriedExtensionIds {
    audio_level: u8,
    video_orientation: u8,
    transmission_offset: u8,
    playout_delay: u8,
    absolute_capture_time: u8,
    dependency_descriptor: u8,
}

/// What a producer is made of.
#[derive(Debug)]
pub struct ProducerParams {
    /// Its name.
    pub id: ProducerId,
    /// The transport that it comes by.
    pub transport: Id<tag::Transport>,
    /// Audio or video.
    pub kind: MediaKind,
    /// How it is encoded.
    pub r#type: ProducerType,
    /// What the client sends, validated.
    pub rtp_parameters: RtpParameters,
    /// What consumers can get.
    pub consumable: RtpParameters,
    /// From the client's payload types to the router's.
    pub mapping: ProducerMapping,
    /// Whether it starts paused.
    pub paused: bool,
    /// The shortest time between two keyframe requests.
    pub key_frame_request_interval: Duration,
    /// The application's.
    pub app_data: Value,
}

/// A packet that has just been stored and is to be forwarded.
#[derive(Debug, Clone, Copy)]
pub struct StoredPacketInfo {
    /// The encoding that it belongs to.
    pub encoding: u8,
    /// The stream has begun anew: its numbers have nothing to do with those before.
    pub restarted: bool,
    /// Its header.
    pub meta: PacketMeta,
    /// Length of its payload; 0 for padding only.
    pub payload_len: usize,
}

/// What became of a received packet.
#[derive(Debug)]
pub enum Reception {
    /// It is stored and to be forwarded.
    Stored(StoredPacketInfo),
    /// Received before, too old, or of no use.
    Discarded,
    /// Its payload type is not the producer's.
    UnknownPayloadType,
}

impl Producer {
    /// A producer that has received nothing yet.
    pub fn new(params: ProducerParams, config: &Config) -> Self {
        let codecs = producer_codecs(&params);
        let encodings = params
            .rtp_parameters
            .encodings
            .iter()
            .map(|encoding| ProducerEncoding {
                ssrc: encoding.ssrc,
                rtx_ssrc: encoding.rtx.as_ref().map(|rtx| rtx.ssrc),
                rid: encoding.rid.clone(),
                stream: None,
                store: packet_store(params.kind, config),
                key_frames: KeyframeRequests::new(params.key_frame_request_interval),
                is_live: false,
                rates: LayerRates::default(),
                frames: FrameReader::new(codecs.first().map_or(Codec::Other, |codec| codec.codec)),
                chosen_by: (LayersSet::ALL, None),
                reported_score: 0,
                fir_sequence: 0,
            })
            .collect();
        Producer {
            extensions: CarriedExtensionIds::new(&params.rtp_parameters),
            id: params.id,
            transport: params.transport,
            kind: params.kind,
            r#type: params.r#type,
            rtp_parameters: params.rtp_parameters,
            consumable: params.consumable,
            paused: params.paused,
            app_data: params.app_data,
            encodings,
            consumers: Vec::new(),
            codecs,
        }
    }

    /// Takes a packet of the encoding `encoding`, as it came or (`is_rtx`) as a retransmission.
    pub fn receive(&mut self, now: Instant, encoding: u8, is_rtx: bool, packet: &RtpView<'_>) -> Reception {
        let Some(codec) = self.codec_of(packet.payload_type(), is_rtx).cloned() else {
            return Reception::UnknownPayloadType;
        };
        let Some(received) = self.encodings.get_mut(usize::from(encoding)) else {
            return Reception::Discarded;
        };
        let stream = received.stream.get_or_insert_with(|| {
            let params = ReceiveParams {
                ssrc: received.ssrc.unwrap_or(packet.ssrc()),
                rtx_ssrc: received.rtx_ssrc,
                clock_rate: codec.clock_rate,
                use_nack: codec.use_nack,
            };
            ReceiveStream::new(params)
        });
        let (payload, outcome) = if is_rtx {
            // A retransmission stream also carries padding for bandwidth probing: nothing behind the header.
            let Some((original, payload)) = rtx::unwrap(packet.payload()) else {
                stream.receive_rtx_padding(packet.sequence_number());
                return Reception::Discarded;
            };
            let size = packet.as_bytes().len();
            (payload, stream.receive_rtx(now, original, size, packet.sequence_number()))
        } else {
            (
                packet.payload(),
                stream.receive(now, packet.sequence_number(), packet.timestamp(), packet.as_bytes().len()),
            )
        };
        let (ext_seq, restarted) = match outcome {
            Received::New { ext_seq } | Received::Recovered { ext_seq } => (ext_seq, false),
            Received::Restarted { ext_seq } => (ext_seq, true),
            Received::Duplicate | Received::TooOld => return Reception::Discarded,
        };
        received.is_live = true;
        let (extensions, dependency_descriptor) = self.extensions.read(packet);
        received.frames.set_codec(codec.codec);
        let frame = received.frames.read(ext_seq, packet.marker(), payload, dependency_descriptor);
        if frame.keyframe {
            received.key_frames.on_keyframe();
            stream.on_keyframe(ext_seq);
        }
        let meta = PacketMeta {
            ext_seq,
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            payload_type: codec.mapped_payload_type,
            frame,
            received_at: now,
            extensions,
        };
        if !received.store.insert(&meta, dependency_descriptor, payload) {
            return Reception::Discarded;
        }
        received.reread_behind(&meta);
        received.rates.add(now, &meta.frame, packet.as_bytes().len());
        Reception::Stored(StoredPacketInfo { encoding, restarted, meta, payload_len: payload.len() })
    }

    /// The timestamp that encoding `other` has for the instant at which `encoding` has `timestamp`, by the sender's reports.
    pub fn aligned_timestamp(&self, encoding: u8, timestamp: u32, other: u8) -> Option<u32> {
        let anchor = |index: u8| {
            let stream = self.encodings.get(usize::from(index))?.stream.as_ref()?;
            stream.sender_report_anchor().map(|anchor| (anchor, stream.clock_rate()))
        };
        let ((ntp, rtp), clock_rate) = anchor(encoding)?;
        let ((other_ntp, other_rtp), _) = anchor(other)?;
        // Of one wall clock, so their difference is exact however wrong that clock is.
        let apart = (i128::from(ntp.0.wrapping_sub(other_ntp.0) as i64) * i128::from(clock_rate)) >> 32;
        Some(other_rtp.wrapping_add(timestamp.wrapping_sub(rtp)).wrapping_add(apart as u32))
    }

    /// Whether keyframes of this producer can be told, so that consumers may wait for one.
    pub fn tells_keyframes(&self) -> bool {
        self.kind == MediaKind::Video && self.codecs.iter().all(|codec| codec.codec.has_keyframes())
    }

    /// Whether consumers are to choose anew because other layers of an encoding are sent now: at most ten times a second.
    pub fn take_layers_change(&mut self, now: Instant, encoding: u8) -> bool {
        let Some(encoding) = self.encodings.get_mut(usize::from(encoding)) else { return false };
        let ((layers, at), active) = (encoding.chosen_by, encoding.frames.active());
        let may_choose = at.is_none_or(|at| now.saturating_duration_since(at) >= LAYERS_CHANGE_INTERVAL);
        if layers == active || !may_choose {
            return false;
        }
        encoding.chosen_by = (active, Some(now));
        true
    }

    /// The layers of an encoding that the sender sends at present.
    pub fn active_layers(&self, encoding: u8) -> LayersSet {
        self.encodings.get(usize::from(encoding)).map_or(LayersSet::ALL, ProducerEncoding::active_layers)
    }

    /// Whether packets of an encoding have come lately.
    pub fn is_live(&self, encoding: u8) -> bool {
        self.encodings.get(usize::from(encoding)).is_some_and(|encoding| encoding.is_live)
    }

    /// The length of the payload that a queued packet carries.
    pub fn stored_payload_len(&self, packet: &QueuedPacket) -> usize {
        let encoding = self.encodings.get(usize::from(packet.encoding));
        let stored = encoding.and_then(|encoding| encoding.store.get(packet.stored_seq));
        stored.map_or(0, |stored| stored.payload.len())
    }

    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        self.kind == MediaKind::Video
    }

    /// Whether PLI is understood; FIR is used otherwise.
    pub fn understands_pli(&self) -> bool {
        let has = |kind, parameter| {
            self.rtp_parameters.codecs.iter().any(|codec| codec.has_feedback(kind, parameter))
        };
        has("nack", "pli") || !has("ccm", "fir")
    }

    /// Whether its encoder can send redundancy in band, and does by the loss that it is told of (RFC 7587 section 6.1).
    pub fn uses_in_band_fec(&self) -> bool {
        let codecs = &self.rtp_parameters.codecs;
        codecs
            .iter()
            .any(|codec| codec.parameters.get("useinbandfec").and_then(ParameterValue::as_u64) == Some(1))
    }

    /// The quality of each stream.
    pub fn scores(&self) -> Vec<ProducerScore> {
        self.encodings
            .iter()
            .enumerate()
            .map(|(index, encoding)| ProducerScore {
                encoding_idx: index as u32,
                ssrc: encoding.ssrc.unwrap_or(0),
                rid: encoding.rid.clone(),
                score: encoding.score(),
            })
            .collect()
    }

    fn codec_of(&self, payload_type: u8, is_rtx: bool) -> Option<&ProducerCodec> {
        self.codecs.iter().find(|codec| {
            if is_rtx {
                codec.rtx_payload_type == Some(payload_type)
            } else {
                codec.payload_type == payload_type
            }
        })
    }
}

impl ProducerEncoding {
    /// Forgets what was received: the client has begun the stream anew under another SSRC.
    pub fn restart(&mut self) {
        self.stream = None;
        self.store.clear();
        self.key_frames.cancel();
        self.is_live = false;
        self.rates.clear();
        self.frames.forget();
    }

    /// Lets the score fall to 0 when nothing came for `silence`.
    pub fn note_silence(&mut self, now: Instant, silence: Duration) {
        if let Some(stream) = &mut self.stream
            && stream.last_packet_at().is_some_and(|at| now.saturating_duration_since(at) >= silence)
        {
            stream.on_inactive();
            self.is_live = false;
            self.rates.clear();
        }
    }

    /// A packet that came late may have brought what those behind it are read by.
    fn reread_behind(&mut self, meta: &PacketMeta) {
        let ProducerEncoding { store, frames, .. } = self;
        if store.highest() == Some(meta.ext_seq) || !frames.has_structure_since(meta.ext_seq) {
            return;
        }
        store.reread_behind(meta.ext_seq, MAX_REREAD_PACKETS, |stored| {
            let StoredPacket { meta, dependency_descriptor, payload } = *stored;
            frames.read(meta.ext_seq, meta.marker, payload, dependency_descriptor)
        });
    }

    /// The sequence number of the next FIR command (RFC 5104 section 4.3.1.1).
    pub fn next_fir_sequence(&mut self) -> u8 {
        self.fir_sequence = self.fir_sequence.wrapping_add(1);
        self.fir_sequence
    }

    /// What is stored of the stream behind a packet of it, in order.
    pub fn stored_after(&self, packet: &StoredPacketInfo) -> impl Iterator<Item = StoredPacketInfo> + '_ {
        let encoding = packet.encoding;
        let behind = packet.meta.ext_seq + 1..=self.store.highest().unwrap_or(0);
        behind.filter_map(move |ext_seq| {
            let stored = self.store.get(ext_seq)?;
            Some(StoredPacketInfo {
                encoding,
                restarted: false,
                meta: *stored.meta,
                payload_len: stored.payload.len(),
            })
        })
    }

    /// The layers that cannot be decoded any more since packets were given up; `None` where the stream does not tell that.
    pub fn lost_layers(&self) -> Option<LayersSet> {
        let given_up = self.stream.as_ref().map(|stream| stream.given_up()).unwrap_or_default();
        given_up.iter().try_fold(LayersSet::NONE, |lost, (first, last)| {
            let frame = |ext_seq: u64| self.store.get(ext_seq).map(|stored| &stored.meta.frame);
            Some(lost.union(self.frames.lost(*last, frame(first - 1), frame(last + 1))?))
        })
    }

    /// The layers that the sender sends at present.
    pub fn active_layers(&self) -> LayersSet {
        self.frames.active()
    }

    /// What a receiver of these layers of a packet's stream can decode, and whether that is all that is sent.
    pub fn decodable(&self, ext_seq: u64, layers: Layers) -> Option<(ActiveDecodeTargets, bool)> {
        self.frames.decodable(ext_seq, layers)
    }

    /// 0 to 10; 0 before anything was received.
    pub fn score(&self) -> u8 {
        self.stream.as_ref().map_or(0, ReceiveStream::score)
    }
}

impl CarriedExtensionIds {
    fn new(parameters: &RtpParameters) -> Self {
        let id = |uri| parameters.header_extension_id(uri).unwrap_or(0);
        CarriedExtensionIds {
            audio_level: id(HeaderExtensionUri::AudioLevel),
            video_orientation: id(HeaderExtensionUri::VideoOrientation),
            transmission_offset: id(HeaderExtensionUri::TransmissionOffset),
            playout_delay: id(HeaderExtensionUri::PlayoutDelay),
            absolute_capture_time: id(HeaderExtensionUri::AbsCaptureTime),
            dependency_descriptor: id(HeaderExtensionUri::DependencyDescriptor),
        }
    }

    fn read<'a>(&self, packet: &RtpView<'a>) -> (ExtensionValues, &'a [u8]) {
        let mut values = ExtensionValues::default();
        let mut dependency_descriptor: &[u8] = &[];
        for (id, value) in packet.extensions() {
            if id == 0 {
                continue;
            } else if id == self.audio_level {
                values.audio_level = value.first().copied();
            } else if id == self.video_orientation {
                values.video_orientation = value.first().copied();
            } else if id == self.transmission_offset {
                values.transmission_offset = value.try_into().ok();
            } else if id == self.playout_delay {
                values.playout_delay = value.try_into().ok();
            } else if id == self.absolute_capture_time {
                values.absolute_capture_time = AbsoluteCaptureTime::new(value);
            } else if id == self.dependency_descriptor {
                dependency_descriptor = value;
            }
        }
        (values, dependency_descriptor)
    }
}

fn producer_codecs(params: &ProducerParams) -> Vec<ProducerCodec> {
    let media = params.rtp_parameters.codecs.iter().filter(|codec| !codec.is_rtx());
    media
        .map(|codec| ProducerCodec {
            payload_type: codec.payload_type,
            mapped_payload_type: params
                .mapping
                .mapped_payload_type(codec.payload_type)
                .unwrap_or(codec.payload_type),
            clock_rate: codec.clock_rate,
            codec: Codec::from_mime_subtype(codec.mime_type.subtype()),
            use_nack: codec.has_feedback("nack", ""),
            rtx_payload_type: params.rtp_parameters.rtx_for(codec.payload_type).map(|rtx| rtx.payload_type),
        })
        .collect()
}

fn packet_store(kind: MediaKind, config: &Config) -> PacketStore {
    match kind {
        MediaKind::Audio => {
            PacketStore::new(config.retransmission_packets_audio, config.retransmission_bytes_audio)
        }
        MediaKind::Video => {
            PacketStore::new(config.retransmission_packets_video, config.retransmission_bytes_video)
        }
    }
}
