//! What the layers of one encoding look like: W3C webrtc-svc's modes `L1T1` to `L3T3_KEY`.
use std::fmt;

/// The layers of an encoding, and what depends on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// Spatial layers, 1 to 3.
    pub spatial: u8,
    /// Temporal layers, 1 to 3.
    pub temporal: u8,
    /// Spatial layers depend on each other in key pictures only (`_KEY`).
    pub key_only: bool,
}

/// What a layer frame depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct References {
    /// How many pictures back the frame of the same spatial layer is that it refers to; 0: it refers to none.
    pub pictures_back: u8,
    /// Whether it refers to the next lower spatial layer of its own picture.
    pub lower_layer: bool,
}

impl Layers {
    /// One layer of each kind.
    pub const ONE: Layers = Layers::of(1, 1, false);

    /// So many layers.
    pub const fn of(spatial: u8, temporal: u8, key_only: bool) -> Self {
        Layers { spatial, temporal, key_only }
    }

    /// Reads `L`, 1 to 3, `T`, 1 to 3, perhaps `_KEY`.
    pub fn parse(mode: &str) -> Option<Self> {
        let (mode, key_only) = match mode.strip_suffix("_KEY") {
            Some(mode) => (mode, true),
            None => (mode, false),
        };
        let &[b'L', spatial @ b'1'..=b'3', b'T', temporal @ b'1'..=b'3'] = mode.as_bytes() else {
            return None;
        };
        Some(Layers::of(spatial - b'0', temporal - b'0', key_only))
    }

    /// Pictures from one of the base temporal layer to the next.
    pub fn period(self) -> u32 {
        1 << (self.temporal - 1)
    }

    /// The temporal layer of the picture that comes `position` pictures after the last key picture.
    pub fn temporal_id(self, position: u32) -> u8 {
        match (self.temporal, position % self.period()) {
            (_, 0) => 0,
            (3, 2) => 1,
            (temporal, _) => temporal - 1,
        }
    }

    /// What the layer frame depends on: of the picture `position` pictures after the last key picture.
    pub fn references(self, position: u32, spatial_id: u8) -> References {
        let keyframe = position == 0;
        let pictures_back = match (keyframe, position % self.period()) {
            (true, _) => 0,
            (false, 0) => self.period() as u8,
            (false, 3) => 1, // the upper layer's second picture refers to the middle layer
            (false, within) => within as u8,
        };
        References { pictures_back, lower_layer: spatial_id > 0 && (keyframe || !self.key_only) }
    }

    /// Whether the picture refers to the base temporal layer only, so that a receiver of lower layers can go up here.
    pub fn is_layer_sync(self, position: u32) -> bool {
        self.temporal_id(position) > 0 && position % self.period() != 3
    }

    /// Whether any later frame of the same spatial layer refers to the picture.
    pub fn is_reference(self, position: u32) -> bool {
        self.temporal == 1 || self.temporal_id(position) < self.temporal - 1
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}T{}{}", self.spatial, self.temporal, if self.key_only { "_KEY" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_written() {
        for mode in ["L1T1", "L1T3", "L2T2", "L3T3", "L3T3_KEY"] {
            assert_eq!(Layers::parse(mode).map(|layers| layers.to_string()), Some(mode.to_owned()));
        }
        assert_eq!(Layers::parse("L4T1"), None);
        assert_eq!(Layers::parse("S2T1"), None);
    }

    #[test]
    fn frames_refer_to_their_own_or_lower_temporal_layers() {
        for temporal in 1..=3 {
            let layers = Layers::of(1, temporal, false);
            for position in 1..50 {
                let back = u32::from(layers.references(position, 0).pictures_back);
                let referred = position - back;
                assert!(layers.temporal_id(referred) <= layers.temporal_id(position));
                assert!(layers.is_reference(referred));
                assert_eq!(
                    layers.is_layer_sync(position),
                    layers.temporal_id(position) > 0 && layers.temporal_id(referred) == 0
                );
            }
        }
        let pattern: Vec<u8> = (0..8).map(|position| Layers::of(1, 3, false).temporal_id(position)).collect();
        assert_eq!(pattern, [0, 2, 1, 2, 0, 2, 1, 2]);
    }

    #[test]
    fn spatial_layers_depend_on_each_other_in_key_pictures_or_always() {
        let key_only = Layers::parse("L3T3_KEY").unwrap();
        let always = Layers::parse("L3T3").unwrap();
        assert!(key_only.references(0, 1).lower_layer && !key_only.references(1, 1).lower_layer);
        assert!(always.references(0, 1).lower_layer && always.references(1, 1).lower_layer);
        assert!(!always.references(1, 0).lower_layer);
    }
}
