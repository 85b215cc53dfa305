//! A template structure in force, and what frames are to the layers by it (RTP Payload Format For AV1, appendix A).
use super::{ChainInfo, Layers, LayersSet};
use crate::wire::codec::dependency_descriptor::{
    ActiveDecodeTargets, DecodeTarget, DecodeTargetIndication, DecodeTargetIndications, DependencyDescriptor,
    MAX_DECODE_TARGETS, MAX_SPATIAL_LAYERS, MAX_TEMPORAL_LAYERS, TemplateStructure,
};

/// A template structure, with what follows from it for every frame.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) templates: TemplateStructure,
    /// Extended sequence number of the packet that brought it.
    pub(super) since: u64,
    active_decode_targets: u32,
    /// Extended sequence number of the packet that told of the active ones.
    active_since: u64,
    /// For each layers the decode target that comes nearest from below.
    targets: [[u8; MAX_TEMPORAL_LAYERS]; MAX_SPATIAL_LAYERS],
    /// The layers that active decode targets are for.
    active: LayersSet,
    /// For each decode target those of which it has all frames.
    contained: [u32; MAX_DECODE_TARGETS],
    /// See [`ChainInfo::is_nested`].
    is_nested: bool,
}

/// What a frame is to the layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameSets {
    pub(super) members: LayersSet,
    pub(super) switches: LayersSet,
    pub(super) active: LayersSet,
    pub(super) chains: Option<ChainInfo>,
}

impl Structure {
    pub(super) fn new(templates: TemplateStructure, since: u64) -> Self {
        let active_decode_targets = templates.all_decode_targets();
        let contained = contained(&templates);
        let mut structure = Structure {
            is_nested: is_nested(&templates.decode_targets, &contained),
            templates,
            since,
            active_decode_targets,
            active_since: since,
            targets: [[0; MAX_TEMPORAL_LAYERS]; MAX_SPATIAL_LAYERS],
            active: LayersSet::NONE,
            contained,
        };
        structure.choose_targets();
        structure
    }

    /// A packet tells which decode targets are active: valid until a later packet tells of others.
    pub(super) fn set_active(&mut self, ext_seq: u64, active_decode_targets: u32) {
        if ext_seq < self.active_since {
            return;
        }
        self.active_since = ext_seq;
        if self.active_decode_targets != active_decode_targets {
            self.active_decode_targets = active_decode_targets;
            self.choose_targets();
        }
    }

    pub(super) fn active(&self) -> LayersSet {
        self.active
    }

    pub(super) fn has_chains(&self) -> bool {
        self.templates.chain_count > 0
    }

    /// What a receiver of these layers can decode, and whether that is all that is active.
    pub(super) fn decodable(&self, layers: Layers) -> (ActiveDecodeTargets, bool) {
        let row = self.targets.get(usize::from(layers.spatial.min(Layers::HIGHEST.spatial)));
        let target = row.and_then(|row| row.get(usize::from(layers.temporal.min(Layers::HIGHEST.temporal))));
        let contained = target.and_then(|target| self.contained.get(usize::from(*target)));
        let mask = contained.copied().unwrap_or(0) & self.active_decode_targets;
        let count = self.templates.decode_targets.len() as u8;
        (ActiveDecodeTargets { count, mask }, mask == self.active_decode_targets)
    }

    pub(super) fn sets(&self, descriptor: &DependencyDescriptor) -> FrameSets {
        let (mut members, mut switches) = (LayersSet::NONE, LayersSet::NONE);
        for (spatial, row) in self.targets.iter().enumerate() {
            for (temporal, target) in row.iter().enumerate() {
                let layers = Layers { spatial: spatial as u8, temporal: temporal as u8 };
                let indication = descriptor.decode_target_indications.get(usize::from(*target));
                if indication != DecodeTargetIndication::NotPresent {
                    members.insert(layers);
                }
                // That a frame's own temporal layer goes on from here says nothing about what the frame itself refers to.
                let own = descriptor.temporal_id > 0 && layers.temporal <= descriptor.temporal_id;
                if indication == DecodeTargetIndication::Switch && !own {
                    switches.insert(layers);
                }
            }
        }
        FrameSets { members, switches, active: self.active, chains: self.chains(descriptor) }
    }

    fn chains(&self, descriptor: &DependencyDescriptor) -> Option<ChainInfo> {
        if self.templates.chain_count == 0 {
            return None;
        }
        let in_chains = chains_of(&self.templates, &descriptor.decode_target_indications);
        let mut info = ChainInfo {
            essential: LayersSet::NONE,
            restarts: LayersSet::NONE,
            previous: [0; MAX_SPATIAL_LAYERS],
            references: references(&descriptor.frame_differences),
            is_nested: self.is_nested,
        };
        for target in &self.templates.decode_targets {
            let layers = layers_of(target);
            let chain = usize::from(target.protected_by.unwrap_or(0));
            let difference = descriptor.chain_differences.get(chain).copied().unwrap_or(0);
            if in_chains >> chain & 1 == 1 {
                info.essential.insert(layers);
            }
            if difference == 0 {
                info.restarts.insert(layers);
            } else if let Some(nearest) = info.previous.get_mut(usize::from(target.spatial_id)) {
                *nearest = if *nearest == 0 { difference } else { difference.min(*nearest) };
            }
        }
        Some(info)
    }

    /// For each layers: the highest active decode target within them, else the lowest active one.
    fn choose_targets(&mut self) {
        let all = self.templates.decode_targets.iter().zip(0u8..);
        let active = all.filter(|(_, index)| self.active_decode_targets >> index & 1 == 1);
        let active: heapless::Vec<(Layers, u8), MAX_DECODE_TARGETS> =
            active.map(|(target, index)| (layers_of(target), index)).collect();
        self.active =
            active.iter().fold(LayersSet::NONE, |set, (layers, _)| set.union(LayersSet::of(*layers)));
        for (spatial, row) in (0..).zip(&mut self.targets) {
            for (temporal, chosen) in (0..).zip(row) {
                let nearest = self.active.nearest(Layers { spatial, temporal });
                let found = active.iter().rev().find(|(layers, _)| *layers == nearest);
                *chosen = found.map_or(0, |(_, index)| *index);
            }
        }
    }
}

fn layers_of(target: &DecodeTarget) -> Layers {
    Layers { spatial: target.spatial_id, temporal: target.temporal_id }
}

/// For each decode target those of which it has all frames, as far as the templates tell.
fn contained(structure: &TemplateStructure) -> [u32; MAX_DECODE_TARGETS] {
    // For each decode target those that have all of its frames.
    let mut containing = [structure.all_decode_targets(); MAX_DECODE_TARGETS];
    for template in &structure.templates {
        let present =
            template.decode_target_indications.targets(|is| is != DecodeTargetIndication::NotPresent);
        for target in bits(present) {
            containing[target] &= present;
        }
    }
    let mut contained = [0; MAX_DECODE_TARGETS];
    for (inner, containing) in containing.iter().enumerate().take(structure.decode_targets.len()) {
        bits(*containing).for_each(|outer| contained[outer] |= 1 << inner);
    }
    contained
}

/// Whether every decode target has all frames of those for no higher layers, in space or in time.
fn is_nested(decode_targets: &[DecodeTarget], contained: &[u32; MAX_DECODE_TARGETS]) -> bool {
    decode_targets.iter().zip(contained).all(|(outer, contained)| {
        let is_within = |inner: &DecodeTarget| {
            inner.spatial_id <= outer.spatial_id && inner.temporal_id <= outer.temporal_id
        };
        decode_targets
            .iter()
            .zip(0u8..)
            .all(|(inner, index)| !is_within(inner) || contained >> index & 1 == 1)
    })
}

/// The chains that a frame is part of, bit 0 for chain 0: those of which no decode target can do without it (section A.6).
fn chains_of(structure: &TemplateStructure, indications: &DecodeTargetIndications) -> u32 {
    use DecodeTargetIndication::{Required, Switch};
    let needing = indications.targets(|indication| matches!(indication, Switch | Required));
    let (mut protecting, mut broken) = (0, 0);
    for (target, index) in structure.decode_targets.iter().zip(0u8..) {
        let Some(chain) = target.protected_by else { continue };
        protecting |= 1 << chain;
        broken |= u32::from(needing >> index & 1 == 0) << chain;
    }
    protecting & !broken
}

/// The frames referred to, bit 0 for the one before. All bits where one is too far back for that.
fn references(differences: &[u16]) -> u32 {
    differences.iter().fold(0, |all, back| match back {
        1..=32 => all | 1 << (back - 1),
        _ => u32::MAX,
    })
}

fn bits(mask: u32) -> impl Iterator<Item = usize> {
    (0..MAX_DECODE_TARGETS).filter(move |bit| mask >> bit & 1 == 1)
}
