//! How many bits a second each layer of a received stream takes.
use std::time::{Duration, Instant};

use super::frame::{FrameInfo, Layers};
use crate::rate::RateCounter;

/// A rate is told at the earliest after this much of a stream.
const SHORTEST: Duration = Duration::from_millis(200);

/// The rates of the layers of one stream, each counted by itself.
#[derive(Debug, Clone, Default)]
pub struct LayerRates {
    layers: Vec<LayerRate>,
    /// Since when packets come.
    since: Option<Instant>,
}

#[derive(Debug, Clone)]
struct LayerRate {
    spatial_id: u8,
    temporal_id: u8,
    own: RateCounter,
    /// Of those frames that higher spatial layers need.
    for_higher: RateCounter,
}

impl LayerRates {
    /// Counts a packet of `bytes`.
    pub fn add(&mut self, now: Instant, frame: &FrameInfo, bytes: usize) {
        self.since.get_or_insert(now);
        let is_of = |layer: &LayerRate| {
            (layer.spatial_id, layer.temporal_id) == (frame.spatial_id, frame.temporal_id)
        };
        let index = self.layers.iter().position(is_of).unwrap_or_else(|| {
            self.layers.push(LayerRate {
                spatial_id: frame.spatial_id,
                temporal_id: frame.temporal_id,
                own: RateCounter::default(),
                for_higher: RateCounter::default(),
            });
            self.layers.len() - 1
        });
        let Some(layer) = self.layers.get_mut(index) else { return };
        layer.own.add(now, bytes);
        if frame.is_for_higher_spatial_layers() {
            layer.for_higher.add(now, bytes);
        }
    }

    /// Bits a second of what a receiver of `layers` gets; 0 while that is not known.
    pub fn rate_bps(&self, now: Instant, layers: Layers) -> u64 {
        let Some(since) = self.since else { return 0 };
        let highest = self.layers.iter().map(|layer| layer.spatial_id).max().unwrap_or(0);
        let spatial = layers.spatial.min(highest);
        let within = self.layers.iter().filter(|layer| layer.temporal_id <= layers.temporal);
        let bps: u64 = within
            .map(|layer| match layer.spatial_id {
                own if own == spatial => layer.own.rate_bps(now),
                lower if lower < spatial => layer.for_higher.rate_bps(now),
                _ => 0,
            })
            .sum();
        // The counters' window is a second; a younger stream has filled a part of it.
        let age_ms = now.saturating_duration_since(since).as_millis().min(1_000) as u64;
        if u128::from(age_ms) < SHORTEST.as_millis() { 0 } else { bps * 1_000 / age_ms }
    }

    /// The same, and 0 where nothing of the highest of these layers itself comes.
    pub fn rate_of_bps(&self, now: Instant, layers: Layers) -> u64 {
        let is_its =
            |layer: &&LayerRate| (layer.spatial_id, layer.temporal_id) == (layers.spatial, layers.temporal);
        let comes = self.layers.iter().find(is_its).is_some_and(|layer| layer.own.rate_bps(now) > 0);
        if comes { self.rate_bps(now, layers) } else { 0 }
    }

    /// The stream has stopped: what comes later is counted from then on.
    pub fn clear(&mut self) {
        *self = LayerRates::default();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;
    use crate::stream::frame::FrameReader;
    use crate::wire::codec::Codec;

    const MS: Duration = Duration::from_millis(1);

    /// A VP9 layer frame; lower spatial layers are needed by higher ones where `for_higher`.
    fn frame(spatial: u8, temporal: u8, for_higher: bool) -> FrameInfo {
        let mut reader = FrameReader::new(Codec::Vp9);
        reader.read(1, true, &[0xAC, 1, 1 << 1, 0, 0], &[]);
        reader.read(2, true, &[0xEC | u8::from(!for_higher), 1, temporal << 5 | spatial << 1, 0, 0], &[])
    }

    #[test]
    fn a_receiver_of_layers_gets_what_they_need() {
        let start = Instant::now();
        let (mut full, mut key_only) = (LayerRates::default(), LayerRates::default());
        for n in 0..300u32 {
            let now = start + n * 10 * MS;
            for (rates, for_higher) in [(&mut full, true), (&mut key_only, false)] {
                rates.add(now, &frame(0, (n % 2) as u8, for_higher), 100);
                rates.add(now, &frame(1, (n % 2) as u8, false), 300);
            }
        }
        let now = start + 3_000 * MS;
        // 100 packets a second of each spatial layer, half of them in each temporal layer; the window is short of 50 ms at most.
        let expected = [(0, 0, 40, 40), (0, 7, 80, 80), (1, 0, 160, 120), (3, 7, 320, 240)];
        for (spatial, temporal, of_full, of_key_only) in expected {
            let layers = Layers { spatial, temporal };
            for (rates, kbps) in [(&full, of_full), (&key_only, of_key_only)] {
                let found = rates.rate_bps(now, layers) / 1_000;
                assert!((kbps * 9 / 10..=kbps).contains(&found), "{layers:?}: {found} of {kbps}");
                let itself = if spatial < 2 && temporal < 2 { found } else { 0 };
                assert_eq!(rates.rate_of_bps(now, layers) / 1_000, itself);
            }
        }
    }

    #[test]
    fn a_young_stream_is_told_by_its_age() {
        let start = Instant::now();
        let mut rates = LayerRates::default();
        rates.add(start, &frame(0, 0, false), 1_000);
        assert_eq!(rates.rate_bps(start + 100 * MS, Layers::HIGHEST), 0, "too early to tell");
        rates.add(start + 150 * MS, &frame(0, 0, false), 1_000);
        assert_eq!(rates.rate_bps(start + 250 * MS, Layers::HIGHEST), 64_000);
        rates.clear();
        assert_eq!(rates.rate_bps(start + 300 * MS, Layers::HIGHEST), 0);
    }
}
