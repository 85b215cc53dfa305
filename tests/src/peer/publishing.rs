//! A track that a client publishes.
use std::time::Instant;

use serde_json::{Value, json};

use super::media::{Layers, RtpSender, TrackSpec};

/// What a client publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrackKind {
    /// Opus.
    Opus,
    /// VP8, one encoding.
    Vp8,
    /// VP8, three encodings.
    Vp8Simulcast,
    /// VP9 with three spatial and three temporal layers.
    Vp9Svc,
    /// H264, one encoding.
    H264,
    /// VP8 whose packets are sent again as they are, without RTX.
    Vp8WithoutRtx,
    /// VP8, three encodings told apart by SSRC, as version 2 of `mediasoup-client` sends them.
    Vp8SimulcastBySsrc,
    /// H264, two encodings.
    H264Simulcast,
    /// AV1, one encoding.
    Av1,
    /// AV1 with two spatial and three temporal layers.
    Av1Svc,
    /// VP9, one encoding.
    Vp9,
    /// VP8, three encodings told apart by SSRC, of which only the first is ever sent: what today's Chromium does with the
    /// simulcast of version 2 of `mediasoup-client`.
    Vp8SilentSimulcast,
}

/// The major version of `mediasoup-client` that a client has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Generation {
    /// The mediasoup protocol.
    Two,
    /// The demo's protocol.
    #[default]
    Three,
}

impl TrackKind {
    /// All of them.
    pub const ALL: [TrackKind; 12] = [
        TrackKind::Opus,
        TrackKind::Vp8,
        TrackKind::Vp8Simulcast,
        TrackKind::Vp9Svc,
        TrackKind::H264,
        TrackKind::Vp8WithoutRtx,
        TrackKind::Vp8SimulcastBySsrc,
        TrackKind::H264Simulcast,
        TrackKind::Av1,
        TrackKind::Av1Svc,
        TrackKind::Vp9,
        TrackKind::Vp8SilentSimulcast,
    ];

    /// The track of this kind with an id.
    pub fn spec(self, id: u32) -> TrackSpec {
        match self {
            TrackKind::Opus => TrackSpec::opus(id),
            TrackKind::Vp8 => TrackSpec::vp8(id),
            TrackKind::Vp8Simulcast => TrackSpec::vp8_simulcast(id, 3, Layers::of(1, 3, false)),
            TrackKind::Vp9Svc => TrackSpec::vp9_svc(id, Layers::of(3, 3, true)),
            TrackKind::H264 => TrackSpec::h264(id),
            TrackKind::Vp8WithoutRtx => TrackSpec::vp8(id).without_rtx(),
            TrackKind::Vp8SimulcastBySsrc | TrackKind::Vp8SilentSimulcast => {
                TrackSpec::vp8_simulcast(id, 3, Layers::of(1, 3, false)).by_ssrc()
            }
            TrackKind::H264Simulcast => TrackSpec::h264_simulcast(id, 2),
            TrackKind::Av1 => TrackSpec::av1(id),
            TrackKind::Av1Svc => TrackSpec::av1_svc(id, Layers::of(2, 3, true)),
            TrackKind::Vp9 => TrackSpec::vp9(id),
        }
    }

    /// What a client of version 2 publishes in its place: it has neither layers within an encoding nor AV1.
    fn in_version_2(self) -> Self {
        match self {
            TrackKind::Vp8Simulcast => TrackKind::Vp8SimulcastBySsrc,
            TrackKind::Vp8SimulcastBySsrc => TrackKind::Vp8SilentSimulcast,
            TrackKind::Vp9Svc | TrackKind::Av1Svc => TrackKind::Vp9,
            TrackKind::Av1 => TrackKind::Vp8,
            kind => kind,
        }
    }

    /// What a producer's `appData` says of a track: its kind and its id. `None` if somebody else has written it.
    pub fn from_app_data(app_data: &Value) -> Option<(Self, u32)> {
        let kind = TrackKind::ALL.get(usize::try_from(app_data["kind"].as_u64()?).ok()?)?;
        Some((*kind, u32::try_from(app_data["track"].as_u64()?).ok()?))
    }

    /// The other way.
    fn to_app_data(self, id: u32) -> Value {
        let kind = TrackKind::ALL.iter().position(|kind| *kind == self);
        json!({ "sound": true, "kind": kind, "track": id })
    }
}

/// A track on its way to the server.
#[derive(Debug)]
pub struct Outgoing {
    /// What was wanted.
    pub track: TrackKind,
    /// What it is.
    sent: TrackKind,
    /// What sends it.
    pub sender: RtpSender,
    /// Its producer, once the server has one.
    producer_id: Option<String>,
    paused: bool,
    paused_by_server: bool,
    muted: bool,
    parameters: Value,
}

impl Outgoing {
    /// A track of which nothing is sent before the server has a producer for it.
    pub fn new(now: Instant, track: TrackKind, id: u32, client_seed: u64, generation: Generation) -> Self {
        let sent = if generation == Generation::Two { track.in_version_2() } else { track };
        // One MID for each track of a transport.
        let mut spec = sent.spec(id).with_mid(&id.to_string());
        if generation == Generation::Two {
            spec = spec.for_version_2();
        }
        let mut sender = RtpSender::new(spec.clone(), client_seed, now);
        sender.set_paused(now, true);
        if sent == TrackKind::Vp8SilentSimulcast {
            (1..spec.encodings.len()).for_each(|encoding| sender.set_encoding_active(encoding, false));
        }
        let parameters = spec.rtp_parameters(client_seed);
        Outgoing {
            track,
            sent,
            sender,
            producer_id: None,
            paused: false,
            paused_by_server: false,
            muted: false,
            parameters,
        }
    }

    /// `audio` or `video`.
    pub fn kind(&self) -> &'static str {
        if self.sender.track().codec.is_video() { "video" } else { "audio" }
    }

    /// Tells it from all other tracks.
    pub fn id(&self) -> u32 {
        self.sender.track().id
    }

    /// What tells the receivers what it is.
    pub fn app_data(&self) -> Value {
        self.sent.to_app_data(self.id())
    }

    /// What is signalled.
    pub fn rtp_parameters(&self) -> &Value {
        &self.parameters
    }

    /// Its producer, once the server has one.
    pub fn producer_id(&self) -> Option<&str> {
        self.producer_id.as_deref()
    }

    /// The server has a producer for it.
    pub fn set_producer(&mut self, now: Instant, id: &str) {
        self.producer_id = Some(id.to_owned());
        self.follow(now);
    }

    /// Its producer is paused, or goes on.
    pub fn set_paused(&mut self, now: Instant, paused: bool) {
        self.paused = paused;
        self.follow(now);
    }

    /// The server pauses its producer, or lets it go on.
    pub fn set_paused_by_server(&mut self, now: Instant, paused: bool) {
        self.paused_by_server = paused;
        self.follow(now);
    }

    /// Sends nothing without telling anybody, or goes on.
    pub fn set_muted(&mut self, now: Instant, muted: bool) {
        self.muted = muted;
        self.follow(now);
    }

    /// Whether it sends.
    pub fn is_live(&self) -> bool {
        self.producer_id.is_some() && !self.paused && !self.paused_by_server && !self.muted
    }

    fn follow(&mut self, now: Instant) {
        self.sender.set_paused(now, !self.is_live());
    }
}
