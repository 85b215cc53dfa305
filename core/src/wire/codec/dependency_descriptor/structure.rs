//! The template dependency structure: what the frames of a coded video sequence look like (section A.8.2).

use super::{
    DecodeTargetIndication, DecodeTargetIndications, MAX_DECODE_TARGETS, MAX_FRAME_DIFFERENCES,
    MAX_SPATIAL_LAYERS, MAX_TEMPLATES, MAX_TEMPORAL_LAYERS, read_chain_differences,
};
use crate::wire::codec::bits::BitReader;

/// Everything that later packets refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateStructure {
    /// Id of the first template, 0 to 63. The following ones count up from it, modulo 64.
    pub template_id_offset: u8,
    /// The templates, at least one.
    pub templates: heapless::Vec<Template, MAX_TEMPLATES>,
    /// The decode targets, at least one.
    pub decode_targets: heapless::Vec<DecodeTarget, MAX_DECODE_TARGETS>,
    /// Number of chains, 0 if the structure does not use them.
    pub chain_count: u8,
    /// Largest sizes of the spatial layers from the base up, if given; then one for each.
    pub resolutions: heapless::Vec<RenderResolution, MAX_SPATIAL_LAYERS>,
}

/// What one kind of frame looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Spatial layer, below [`MAX_SPATIAL_LAYERS`].
    pub spatial_id: u8,
    /// Temporal layer, below [`MAX_TEMPORAL_LAYERS`].
    pub temporal_id: u8,
    /// What such a frame is to each decode target.
    pub decode_target_indications: DecodeTargetIndications,
    /// How many frames back those are that it refers to, 1 to 16.
    pub frame_differences: heapless::Vec<u8, MAX_FRAME_DIFFERENCES>,
    /// For each chain, how many frames back its previous frame is, 0 to 15.
    pub chain_differences: heapless::Vec<u8, MAX_DECODE_TARGETS>,
}

/// A set of frames that a receiver can choose to decode: those up to a spatial and a temporal layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeTarget {
    /// Highest spatial layer of its frames.
    pub spatial_id: u8,
    /// Highest temporal layer of its frames.
    pub temporal_id: u8,
    /// The chain that tells whether a frame that it needs was lost.
    pub protected_by: Option<u8>,
}

/// Size of a spatial layer in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderResolution {
    /// Width, 1 to 65536.
    pub width: u32,
    /// Height, 1 to 65536.
    pub height: u32,
}

impl TemplateStructure {
    pub(super) fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let template_id_offset = bits.bits(6)? as u8;
        let decode_target_count = bits.bits(5)? as usize + 1;
        let mut templates = read_layers(bits)?;
        for template in &mut templates {
            template.decode_target_indications = DecodeTargetIndications::read(bits, decode_target_count)?;
        }
        for template in &mut templates {
            while bits.flag()? {
                template.frame_differences.push(bits.bits(4)? as u8 + 1).ok()?;
            }
        }
        let chain_count = bits.below(decode_target_count as u32 + 1)?;
        let decode_targets = read_decode_targets(bits, decode_target_count, chain_count, &templates)?;
        for template in &mut templates {
            template.chain_differences = read_chain_differences(bits, chain_count as usize, 4)?;
        }
        let resolutions =
            if bits.flag()? { read_resolutions(bits, &templates)? } else { heapless::Vec::new() };
        Some(Self {
            template_id_offset,
            templates,
            decode_targets,
            chain_count: chain_count as u8,
            resolutions,
        })
    }

    /// The template with this id.
    pub fn template(&self, template_id: u8) -> Option<&Template> {
        let index = template_id.wrapping_sub(self.template_id_offset) % MAX_TEMPLATES as u8;
        self.templates.get(usize::from(index))
    }

    /// A bit for every decode target, bit 0 for target 0.
    pub fn all_decode_targets(&self) -> u32 {
        u32::MAX >> (MAX_DECODE_TARGETS - self.decode_targets.len().clamp(1, MAX_DECODE_TARGETS))
    }
}

/// The templates with their layers; everything else in them still to be read.
fn read_layers(bits: &mut BitReader<'_>) -> Option<heapless::Vec<Template, MAX_TEMPLATES>> {
    let mut templates = heapless::Vec::new();
    let (mut spatial_id, mut temporal_id) = (0, 0);
    loop {
        let template = Template {
            spatial_id,
            temporal_id,
            decode_target_indications: DecodeTargetIndications { packed: 0, len: 0 },
            frame_differences: heapless::Vec::new(),
            chain_differences: heapless::Vec::new(),
        };
        templates.push(template).ok()?;
        match bits.bits(2)? {
            0 => {}
            1 => temporal_id += 1,
            2 => {
                temporal_id = 0;
                spatial_id += 1;
            }
            _ => return Some(templates),
        }
        if usize::from(spatial_id) >= MAX_SPATIAL_LAYERS || usize::from(temporal_id) >= MAX_TEMPORAL_LAYERS {
            return None;
        }
    }
}

fn read_decode_targets(
    bits: &mut BitReader<'_>,
    count: usize,
    chain_count: u32,
    templates: &[Template],
) -> Option<heapless::Vec<DecodeTarget, MAX_DECODE_TARGETS>> {
    let mut decode_targets = heapless::Vec::new();
    for target in 0..count {
        let protected_by = if chain_count == 0 { None } else { Some(bits.below(chain_count)? as u8) };
        let of_target = || {
            let is_present = |template: &&Template| {
                template.decode_target_indications.get(target) != DecodeTargetIndication::NotPresent
            };
            templates.iter().filter(is_present)
        };
        let spatial_id = of_target().map(|template| template.spatial_id).max().unwrap_or(0);
        let temporal_id = of_target().map(|template| template.temporal_id).max().unwrap_or(0);
        decode_targets.push(DecodeTarget { spatial_id, temporal_id, protected_by }).ok()?;
    }
    Some(decode_targets)
}

fn read_resolutions(
    bits: &mut BitReader<'_>,
    templates: &[Template],
) -> Option<heapless::Vec<RenderResolution, MAX_SPATIAL_LAYERS>> {
    let highest = templates.last().map_or(0, |template| template.spatial_id);
    let mut resolutions = heapless::Vec::new();
    for _ in 0..=highest {
        let resolution = RenderResolution { width: bits.bits(16)? + 1, height: bits.bits(16)? + 1 };
        resolutions.push(resolution).ok()?;
    }
    Some(resolutions)
}
