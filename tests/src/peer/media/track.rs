//! What a client sends as one track, and the `rtpParameters` that its mediasoup-client would give to `produce`.
use std::collections::BTreeMap;

use sansfu::ortc::HeaderExtensionUri;
use serde_json::{Value, json};

use super::layers::Layers;
use super::random::{Random, mix};
use super::version_2;

/// A codec that tracks are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// One packet every 20 ms.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184, packetization mode 1.
    H264,
    /// RTP Payload Format For AV1.
    Av1,
}

/// How the encodings of a track are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamNames {
    /// SSRCs in the parameters: what mediasoup-client sends with one encoding, and of old with simulcast.
    Ssrc,
    /// RIDs in the parameters and in the packets, SSRCs nowhere.
    Rid,
}

/// One encoding of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodingSpec {
    /// Its layers.
    pub layers: Layers,
    /// Its highest bitrate.
    pub max_bitrate_bps: u64,
}

/// A track, from the capture to the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackSpec {
    /// Goes into every payload: two tracks of one world must differ in it.
    pub id: u32,
    /// The codec.
    pub codec: Codec,
    /// One, or with simulcast several, the lowest first.
    pub encodings: Vec<EncodingSpec>,
    /// How they are told apart.
    pub names: StreamNames,
    /// Whether packets are repaired by an RTX stream of their own; else they are sent again as they are.
    pub rtx: bool,
    /// VP9: each packet names the pictures that it refers to (RFC 9628 section 4.2, F).
    pub flexible_mode: bool,
    /// The MID.
    pub mid: String,
    /// What version 2 of mediasoup-client makes of it: no transport-wide numbers, no dependency descriptor.
    pub of_version_2: bool,
}

/// The numbers of a track on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackNumbers {
    /// Of the codec.
    pub payload_type: u8,
    /// Of its RTX.
    pub rtx_payload_type: Option<u8>,
    /// SSRC and RTX SSRC of each encoding.
    pub ssrcs: Vec<(u32, Option<u32>)>,
    /// Ids of the header extensions.
    pub extensions: BTreeMap<HeaderExtensionUri, u8>,
    /// The canonical name.
    pub cname: String,
}

/// The header extensions a client offers, in the order of its ids.
const EXTENSIONS: [HeaderExtensionUri; 7] = [
    HeaderExtensionUri::AudioLevel,
    HeaderExtensionUri::AbsSendTime,
    HeaderExtensionUri::TransportCc,
    HeaderExtensionUri::Mid,
    HeaderExtensionUri::Rid,
    HeaderExtensionUri::RepairedRid,
    HeaderExtensionUri::DependencyDescriptor,
];

impl Codec {
    /// The MIME type.
    pub fn mime_type(self) -> &'static str {
        match self {
            Codec::Opus => "audio/opus",
            Codec::Vp8 => "video/VP8",
            Codec::Vp9 => "video/VP9",
            Codec::H264 => "video/H264",
            Codec::Av1 => "video/AV1",
        }
    }

    /// Whether it is video.
    pub fn is_video(self) -> bool {
        self != Codec::Opus
    }

    /// RTP clock.
    pub fn clock_rate(self) -> u32 {
        if self.is_video() { 90_000 } else { 48_000 }
    }

    /// RTP clock units from one frame to the next: 20 ms of audio, 30 frames of video a second.
    pub fn frame_units(self) -> u32 {
        if self.is_video() { 3_000 } else { 960 }
    }
}

impl TrackSpec {
    /// An Opus track.
    pub fn opus(id: u32) -> Self {
        TrackSpec { rtx: false, ..Self::single(id, Codec::Opus, Layers::ONE, 32_000) }
    }

    /// VP8 in one encoding.
    pub fn vp8(id: u32) -> Self {
        Self::single(id, Codec::Vp8, Layers::ONE, 900_000)
    }

    /// VP8 in `count` encodings named by RIDs.
    pub fn vp8_simulcast(id: u32, count: usize, layers: Layers) -> Self {
        Self::simulcast(id, Codec::Vp8, count, layers)
    }

    /// VP9 in one encoding without layers.
    pub fn vp9(id: u32) -> Self {
        Self::single(id, Codec::Vp9, Layers::ONE, 900_000)
    }

    /// VP9 in one encoding with layers, as Chromium sends them: in flexible mode.
    pub fn vp9_svc(id: u32, layers: Layers) -> Self {
        TrackSpec { flexible_mode: true, ..Self::single(id, Codec::Vp9, layers, 1_500_000) }
    }

    /// VP9 in `count` encodings named by RIDs.
    pub fn vp9_simulcast(id: u32, count: usize, layers: Layers) -> Self {
        Self::simulcast(id, Codec::Vp9, count, layers)
    }

    /// H.264 in one encoding.
    pub fn h264(id: u32) -> Self {
        Self::single(id, Codec::H264, Layers::ONE, 900_000)
    }

    /// H.264 in `count` encodings named by RIDs.
    pub fn h264_simulcast(id: u32, count: usize) -> Self {
        Self::simulcast(id, Codec::H264, count, Layers::ONE)
    }

    /// AV1 in one encoding without layers.
    pub fn av1(id: u32) -> Self {
        Self::single(id, Codec::Av1, Layers::ONE, 900_000)
    }

    /// AV1 in one encoding with layers.
    pub fn av1_svc(id: u32, layers: Layers) -> Self {
        Self::single(id, Codec::Av1, layers, 1_500_000)
    }

    /// AV1 in `count` encodings named by RIDs.
    pub fn av1_simulcast(id: u32, count: usize, layers: Layers) -> Self {
        Self::simulcast(id, Codec::Av1, count, layers)
    }

    /// The same with these layers in every encoding.
    pub fn with_layers(mut self, layers: Layers) -> Self {
        self.encodings.iter_mut().for_each(|encoding| encoding.layers = layers);
        self
    }

    /// The same, its encodings named by SSRCs.
    pub fn by_ssrc(self) -> Self {
        TrackSpec { names: StreamNames::Ssrc, ..self }
    }

    /// The same without an RTX stream.
    pub fn without_rtx(self) -> Self {
        TrackSpec { rtx: false, ..self }
    }

    /// The same with VP9's non-flexible mode.
    pub fn non_flexible(self) -> Self {
        TrackSpec { flexible_mode: false, ..self }
    }

    /// The same with that MID.
    pub fn with_mid(self, mid: &str) -> Self {
        TrackSpec { mid: mid.to_owned(), ..self }
    }

    /// The same as version 2 of mediasoup-client sends it; encodings with RIDs are Firefox's, which has no RTX for them.
    pub fn for_version_2(self) -> Self {
        let rtx = self.rtx && self.names == StreamNames::Ssrc;
        TrackSpec { rtx, of_version_2: true, ..self }
    }

    /// The numbers that the client of that seed gives the track. Payload types and extension ids depend on the client alone, so
    /// that the tracks of one transport agree; SSRCs on client and track.
    pub fn numbers(&self, client_seed: u64) -> TrackNumbers {
        let mut client = Random::new(client_seed);
        // Two payload types for each of five codecs within 96 to 127, and seven ids within 1 to 14.
        let first_payload_type = 96 + client.below(32 - 9) as u8;
        let first_extension = client.below(14) as u8;
        let payload_type = first_payload_type + 2 * self.codec as u8;
        let mut track = Random::new(mix(client_seed) ^ u64::from(self.id));
        let mut ssrc = || track.next_u64() as u32 | 1;
        TrackNumbers {
            payload_type,
            rtx_payload_type: self.rtx.then_some(payload_type + 1),
            ssrcs: self.encodings.iter().map(|_| (ssrc(), self.rtx.then(&mut ssrc))).collect(),
            extensions: self
                .extensions()
                .map(|(position, uri)| (uri, 1 + (first_extension + position) % 14))
                .collect(),
            cname: format!("{:016x}", mix(client_seed)),
        }
    }

    /// What mediasoup-client would give to `produce`, or to `createProducer`, as `rtpParameters`.
    pub fn rtp_parameters(&self, client_seed: u64) -> Value {
        let numbers = self.numbers(client_seed);
        if self.of_version_2 {
            return version_2::rtp_parameters(self, &numbers);
        }
        let extensions: Vec<Value> = numbers
            .extensions
            .iter()
            .map(|(uri, id)| json!({"uri": uri.as_str(), "id": id, "encrypt": false, "parameters": {}}))
            .collect();
        let by_rid = self.names == StreamNames::Rid;
        json!({
            "mid": self.mid,
            "codecs": self.codecs(&numbers),
            "headerExtensions": extensions,
            "encodings": self.encodings_json(&numbers),
            // Without SSRCs in the SDP there is no CNAME to be read from it.
            "rtcp": {"cname": if by_rid { "" } else { &numbers.cname }, "reducedSize": true},
            "msid": format!("{:08x} {:08x}", mix(client_seed) as u32, self.id),
        })
    }

    /// The name of an encoding, when they have names.
    pub fn rid(&self, encoding: usize) -> Option<String> {
        (self.names == StreamNames::Rid).then(|| format!("r{encoding}"))
    }

    fn single(id: u32, codec: Codec, layers: Layers, max_bitrate_bps: u64) -> Self {
        TrackSpec {
            id,
            codec,
            encodings: vec![EncodingSpec { layers, max_bitrate_bps }],
            names: StreamNames::Ssrc,
            rtx: true,
            flexible_mode: false,
            mid: id.to_string(),
            of_version_2: false,
        }
    }

    fn simulcast(id: u32, codec: Codec, count: usize, layers: Layers) -> Self {
        const MAX_BITRATES_BPS: [u64; 3] = [150_000, 500_000, 1_500_000];
        let encodings = MAX_BITRATES_BPS[..count]
            .iter()
            .map(|&max_bitrate_bps| EncodingSpec { layers, max_bitrate_bps })
            .collect();
        TrackSpec { encodings, names: StreamNames::Rid, ..Self::single(id, codec, layers, 0) }
    }

    fn extensions(&self) -> impl Iterator<Item = (u8, HeaderExtensionUri)> {
        use HeaderExtensionUri::{AudioLevel, DependencyDescriptor, RepairedRid, Rid, TransportCc};
        let video = self.codec.is_video();
        (0..).zip(EXTENSIONS).filter(move |(_, uri)| match uri {
            TransportCc | RepairedRid | DependencyDescriptor if self.of_version_2 => false,
            AudioLevel => !video,
            Rid | RepairedRid => video,
            // Chromium offers it when a scalability mode is asked for.
            DependencyDescriptor => {
                self.codec == Codec::Av1
                    && self.encodings.iter().any(|encoding| encoding.layers != Layers::ONE)
            }
            _ => true,
        })
    }

    fn codecs(&self, numbers: &TrackNumbers) -> Vec<Value> {
        let mut codec = json!({
            "mimeType": self.codec.mime_type(),
            "payloadType": numbers.payload_type,
            "clockRate": self.codec.clock_rate(),
            "parameters": self.format_parameters(),
            "rtcpFeedback": feedback(self.codec),
        });
        if !self.codec.is_video() {
            codec["channels"] = json!(2);
        }
        let mut codecs = vec![codec];
        if let Some(payload_type) = numbers.rtx_payload_type {
            codecs.push(json!({
                "mimeType": "video/rtx",
                "payloadType": payload_type,
                "clockRate": self.codec.clock_rate(),
                "parameters": {"apt": numbers.payload_type},
                "rtcpFeedback": [],
            }));
        }
        codecs
    }

    pub(super) fn format_parameters(&self) -> Value {
        match self.codec {
            Codec::Opus => json!({"minptime": 10, "useinbandfec": 1}),
            Codec::Vp8 => json!({}),
            Codec::Vp9 => json!({"profile-id": 0}),
            Codec::H264 => {
                json!({"level-asymmetry-allowed": 1, "packetization-mode": 1, "profile-level-id": "42e01f"})
            }
            Codec::Av1 => json!({"level-idx": 5, "profile": 0, "tier": 0}),
        }
    }

    fn encodings_json(&self, numbers: &TrackNumbers) -> Vec<Value> {
        let encoding = |(index, spec): (usize, &EncodingSpec)| {
            let mut encoding = json!({"dtx": false});
            match self.rid(index) {
                Some(rid) => {
                    encoding["rid"] = json!(rid);
                    encoding["scaleResolutionDownBy"] = json!(1 << (self.encodings.len() - 1 - index));
                }
                None => {
                    let (ssrc, rtx) = numbers.ssrcs[index];
                    encoding["ssrc"] = json!(ssrc);
                    if let Some(ssrc) = rtx {
                        encoding["rtx"] = json!({"ssrc": ssrc});
                    }
                }
            }
            if self.codec.is_video() {
                encoding["active"] = json!(true);
                encoding["maxBitrate"] = json!(spec.max_bitrate_bps);
            }
            if spec.layers != Layers::ONE {
                encoding["scalabilityMode"] = json!(spec.layers.to_string());
            }
            encoding
        };
        self.encodings.iter().enumerate().map(encoding).collect()
    }
}

/// The feedback that Chromium offers.
fn feedback(codec: Codec) -> Value {
    let all: &[(&str, &str)] = if codec.is_video() {
        &[("goog-remb", ""), ("transport-cc", ""), ("ccm", "fir"), ("nack", ""), ("nack", "pli")]
    } else {
        &[("transport-cc", ""), ("nack", "")]
    };
    all.iter().map(|(kind, parameter)| json!({"type": kind, "parameter": parameter})).collect()
}

#[cfg(test)]
pub(super) mod tests;
