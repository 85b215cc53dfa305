//! Version 2's names for simulcast layers.
use serde::{Deserialize, Serialize};

use crate::event::ConsumerLayers;
use crate::ortc::ProducerType;

/// The quality of a stream among those of a producer; each is better than the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Nothing flows. Never asked for.
    None,
    /// The only stream of a producer; as a wish: the best that there is.
    #[default]
    Default,
    /// The lowest layer.
    Low,
    /// The layer between.
    Medium,
    /// The highest layer.
    High,
}

impl Profile {
    /// Reads what a client may ask for, or give to a stream: anything but `none`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "default" => Some(Profile::Default),
            "low" => Some(Profile::Low),
            "medium" => Some(Profile::Medium),
            "high" => Some(Profile::High),
            _ => None,
        }
    }
}

/// The profiles of a producer's layers, the lowest first.
///
/// Those of a version-2 producer are its own; of any other the lowest three layers are called `low`, `medium` and `high`, and
/// all above `high` too. A producer with one layer has one stream, `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::room) struct Ladder(Vec<Profile>);

impl Ladder {
    /// Of streams that the client has named.
    pub(super) fn named(profiles: Vec<Profile>) -> Self {
        if profiles.len() > 1 { Ladder(profiles) } else { Ladder(vec![Profile::Default]) }
    }

    /// Of a producer of that kind with so many layers.
    pub(super) fn of_layers(layers: usize, producer_type: ProducerType) -> Self {
        if layers <= 1 || producer_type == ProducerType::Simple {
            return Ladder(vec![Profile::Default]);
        }
        let names = [Profile::Low, Profile::Medium, Profile::High];
        Ladder((0..layers).map(|layer| names[layer.min(2)]).collect())
    }

    /// Whether there is nothing to choose.
    pub(super) fn is_single(&self) -> bool {
        self.0.len() <= 1
    }

    /// The layers that a wish means: the best one not above it, or the lowest one if all are above. `default` means the best
    /// one, but none above the source's own wish.
    pub(super) fn layers_for(&self, wish: Profile, of_source: Profile) -> ConsumerLayers {
        let wish = if wish == Profile::Default { of_source } else { wish };
        let last = self.0.len().saturating_sub(1);
        let index = match wish {
            Profile::None | Profile::Default => last,
            wish => self.0.iter().rposition(|profile| *profile <= wish).unwrap_or(0),
        };
        ConsumerLayers { spatial_layer: u8::try_from(index).unwrap_or(u8::MAX), temporal_layer: None }
    }

    /// What flows, by the layers that are sent.
    pub(super) fn effective(&self, layers: Option<&ConsumerLayers>) -> Profile {
        let profile = layers.and_then(|layers| self.0.get(usize::from(layers.spatial_layer)));
        profile.copied().unwrap_or(Profile::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spatial(ladder: &Ladder, wish: Profile, of_source: Profile) -> u8 {
        ladder.layers_for(wish, of_source).spatial_layer
    }

    #[test]
    fn a_wish_means_the_best_layer_not_above_it() {
        let three = Ladder::of_layers(3, ProducerType::Simulcast);
        for (wish, index) in
            [(Profile::Default, 2), (Profile::Low, 0), (Profile::Medium, 1), (Profile::High, 2)]
        {
            assert_eq!(spatial(&three, wish, Profile::Default), index);
        }
        let gap = Ladder::named(vec![Profile::Low, Profile::High]);
        assert_eq!(spatial(&gap, Profile::Medium, Profile::Default), 0);
        let above = Ladder::named(vec![Profile::Medium, Profile::High]);
        assert_eq!(spatial(&above, Profile::Low, Profile::Default), 0);
    }

    #[test]
    fn the_source_caps_only_those_who_have_no_wish() {
        let three = Ladder::of_layers(3, ProducerType::Simulcast);
        assert_eq!(spatial(&three, Profile::Default, Profile::Medium), 1);
        assert_eq!(spatial(&three, Profile::High, Profile::Low), 2);
    }

    #[test]
    fn what_flows_has_a_name() {
        let layers = |spatial_layer| ConsumerLayers { spatial_layer, temporal_layer: Some(0) };
        let three = Ladder::of_layers(3, ProducerType::Simulcast);
        assert_eq!(three.effective(Some(&layers(1))), Profile::Medium);
        assert_eq!(three.effective(None), Profile::None);
        assert_eq!(three.effective(Some(&layers(9))), Profile::None);
        let one = Ladder::of_layers(1, ProducerType::Svc);
        assert_eq!((one.is_single(), one.effective(Some(&layers(0)))), (true, Profile::Default));
    }
}
