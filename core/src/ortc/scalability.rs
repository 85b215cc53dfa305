//! `scalabilityMode` and the types of producers and consumers that follow from it.

use serde::{Deserialize, Serialize};

/// How many layers one RTP stream has: what a `scalabilityMode` such as `L3T3_KEY` says (W3C webrtc-svc).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalabilityMode {
    /// Spatial layers, 1 to 99.
    pub spatial_layers: u8,
    /// Temporal layers, 1 to 99.
    pub temporal_layers: u8,
    /// Whether spatial layers depend on each other in key frames only (`_KEY`).
    pub ksvc: bool,
}

impl ScalabilityMode {
    /// Reads `L` or `S`, 1 to 99, `T`, 1 to 99 and perhaps `_KEY`. What follows is ignored, as mediasoup does
    /// (`L3T3_KEY_SHIFT` is k-SVC, `L3T3h` is `L3T3`). `None` if it does not begin so.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(['L', 'S'])?;
        let (spatial_layers, rest) = leading_number(rest)?;
        let (temporal_layers, rest) = leading_number(rest.strip_prefix('T')?)?;
        Some(Self { spatial_layers, temporal_layers, ksvc: rest.starts_with("_KEY") })
    }

    /// As [`Self::parse`], with one layer of each kind when there is nothing or nonsense.
    pub fn parse_or_default(text: Option<&str>) -> Self {
        text.and_then(Self::parse).unwrap_or_default()
    }

    /// The nearest spatial and temporal layer (from 0) that exist, to those wished for; no wish for a temporal layer
    /// is one for the highest.
    pub fn clamp_layers(self, spatial_layer: u8, temporal_layer: Option<u8>) -> (u8, u8) {
        let highest = self.temporal_layers.saturating_sub(1);
        let spatial_layer = spatial_layer.min(self.spatial_layers.saturating_sub(1));
        (spatial_layer, temporal_layer.map_or(highest, |layer| layer.min(highest)))
    }
}

impl Default for ScalabilityMode {
    fn default() -> Self {
        Self { spatial_layers: 1, temporal_layers: 1, ksvc: false }
    }
}

/// How a producer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProducerType {
    /// One stream without layers.
    Simple,
    /// Several streams, each of another quality.
    Simulcast,
    /// One stream with spatial or temporal layers.
    Svc,
}

/// How a consumer is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsumerType {
    /// The producer's one stream.
    Simple,
    /// One of the producer's streams at a time.
    Simulcast,
    /// Some of the layers of the producer's one stream.
    Svc,
    /// All of the producer's streams.
    Pipe,
}

impl From<ProducerType> for ConsumerType {
    fn from(producer_type: ProducerType) -> Self {
        match producer_type {
            ProducerType::Simple => Self::Simple,
            ProducerType::Simulcast => Self::Simulcast,
            ProducerType::Svc => Self::Svc,
        }
    }
}

/// One or two digits, the first not 0, as a number; and what follows them.
fn leading_number(text: &str) -> Option<(u8, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    if number.starts_with('0') {
        return None;
    }
    Some((number.parse().ok()?, rest))
}
