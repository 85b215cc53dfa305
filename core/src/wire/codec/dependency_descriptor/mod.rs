//! Dependency descriptor: which layers a frame belongs to and what it depends on, without looking into the payload
//! (RTP Payload Format For AV1, appendix A). Carried as a header extension, with AV1 and other codecs.

mod rewrite;
mod structure;

pub use rewrite::{ActiveDecodeTargets, MAX_DESCRIPTOR_BYTES};
pub use structure::{DecodeTarget, RenderResolution, Template, TemplateStructure};

use super::bits::{BitReader, BitWriter};

/// URI of the header extension.
pub const URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Most decode targets: their count minus one has five bits.
pub const MAX_DECODE_TARGETS: usize = 32;
/// Most templates: their ids have six bits.
pub const MAX_TEMPLATES: usize = 64;
/// Most spatial layers that are accepted.
pub const MAX_SPATIAL_LAYERS: usize = 4;
/// Most temporal layers that are accepted.
pub const MAX_TEMPORAL_LAYERS: usize = 8;
/// Most frames that one frame may refer to. (AV1 has seven references.)
pub const MAX_FRAME_DIFFERENCES: usize = 8;

/// The part that every packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MandatoryFields {
    /// The payload begins with the first byte of a frame.
    pub start_of_frame: bool,
    /// The payload ends with the last byte of a frame.
    pub end_of_frame: bool,
    /// The template that describes the frame, 0 to 63.
    pub template_id: u8,
    /// Number of the frame in decode order, wrapping.
    pub frame_number: u16,
}

/// What a frame is to a decode target (table A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeTargetIndication {
    /// Not part of it.
    NotPresent,
    /// Part of it, and no other frame of it depends on this one.
    Discardable,
    /// A receiver that has lower layers can switch to the target here.
    Switch,
    /// Needed by other frames of the target.
    Required,
}

/// The indications for all decode targets, two bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeTargetIndications {
    packed: u64,
    len: u8,
}

/// One packet's descriptor, resolved with its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// The part that every packet has.
    pub mandatory: MandatoryFields,
    /// Spatial layer of the frame, below [`MAX_SPATIAL_LAYERS`].
    pub spatial_id: u8,
    /// Temporal layer of the frame, below [`MAX_TEMPORAL_LAYERS`].
    pub temporal_id: u8,
    /// What the frame is to each decode target.
    pub decode_target_indications: DecodeTargetIndications,
    /// How many frames back those are that the frame refers to, 1 to 4096.
    pub frame_differences: heapless::Vec<u16, MAX_FRAME_DIFFERENCES>,
    /// For each chain, how many frames back its previous frame is; 0 if the chain begins here.
    pub chain_differences: heapless::Vec<u8, MAX_DECODE_TARGETS>,
    /// The decode targets that the sender still produces, bit 0 for target 0. `None`: as before.
    pub active_decode_targets: Option<u32>,
    /// Largest size of frames of this spatial layer, if the structure tells it.
    pub resolution: Option<RenderResolution>,
    /// A structure that is valid from this packet on and that the caller keeps for the following ones. On the heap, since it is
    /// large and only the first packet of a coded video sequence has it.
    pub structure: Option<Box<TemplateStructure>>,
}

impl MandatoryFields {
    /// Reads them from the front of a header extension's value. They need no structure.
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::read(&mut BitReader::new(value))
    }

    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self {
            start_of_frame: bits.flag()?,
            end_of_frame: bits.flag()?,
            template_id: bits.bits(6)? as u8,
            frame_number: bits.bits(16)? as u16,
        })
    }
}

impl DecodeTargetIndications {
    fn read(bits: &mut BitReader<'_>, decode_target_count: usize) -> Option<Self> {
        let mut packed = 0;
        for target in 0..decode_target_count {
            packed |= u64::from(bits.bits(2)?) << (target * 2);
        }
        Some(Self { packed, len: decode_target_count as u8 })
    }

    /// Number of decode targets, 1 to [`MAX_DECODE_TARGETS`].
    pub fn count(&self) -> usize {
        usize::from(self.len)
    }

    /// What the frame is to this decode target; not present if there is no such target.
    pub fn get(&self, decode_target: usize) -> DecodeTargetIndication {
        if decode_target >= self.count() {
            return DecodeTargetIndication::NotPresent;
        }
        match self.packed >> (decode_target * 2) & 3 {
            0 => DecodeTargetIndication::NotPresent,
            1 => DecodeTargetIndication::Discardable,
            2 => DecodeTargetIndication::Switch,
            _ => DecodeTargetIndication::Required,
        }
    }

    /// The decode targets with an indication that passes, bit 0 for target 0.
    pub fn targets(&self, passes: impl Fn(DecodeTargetIndication) -> bool) -> u32 {
        let chosen = self.iter().enumerate().filter(|(_, indication)| passes(*indication));
        chosen.fold(0, |targets, (target, _)| targets | 1 << target)
    }

    /// The indications in the order of the decode targets.
    pub fn iter(&self) -> impl Iterator<Item = DecodeTargetIndication> {
        let this = *self;
        (0..this.count()).map(move |target| this.get(target))
    }
}

impl DependencyDescriptor {
    /// Reads a header extension's value. `structure` is the one of the latest packet that had one; a packet that has its own
    /// uses that. `None` if the value is cut off, exceeds the limits of this module, or if there is no structure with the
    /// template that it names (the packet with the structure was lost, or has not come yet).
    pub fn parse(value: &[u8], structure: Option<&TemplateStructure>) -> Option<Self> {
        let mut bits = BitReader::new(value);
        let mandatory = MandatoryFields::read(&mut bits)?;
        let flags = if value.len() > 3 { ExtendedFlags::read(&mut bits)? } else { ExtendedFlags::default() };
        let own =
            if flags.structure_present { Some(Box::new(TemplateStructure::read(&mut bits)?)) } else { None };
        let structure = own.as_deref().or(structure)?;
        let active_decode_targets = if flags.active_decode_targets_present {
            Some(bits.bits(structure.decode_targets.len())?)
        } else {
            // A new structure makes all of its targets active.
            own.as_deref().map(TemplateStructure::all_decode_targets)
        };
        let template = structure.template(mandatory.template_id)?;
        let decode_target_indications = if flags.custom_indications {
            DecodeTargetIndications::read(&mut bits, structure.decode_targets.len())?
        } else {
            template.decode_target_indications
        };
        let frame_differences = if flags.custom_frame_differences {
            read_frame_differences(&mut bits)?
        } else {
            template.frame_differences.iter().map(|&difference| u16::from(difference)).collect()
        };
        let chain_differences = if flags.custom_chains {
            read_chain_differences(&mut bits, usize::from(structure.chain_count), 8)?
        } else {
            template.chain_differences.clone()
        };
        Some(Self {
            mandatory,
            spatial_id: template.spatial_id,
            temporal_id: template.temporal_id,
            decode_target_indications,
            frame_differences,
            chain_differences,
            active_decode_targets,
            resolution: structure.resolutions.get(usize::from(template.spatial_id)).copied(),
            structure: own,
        })
    }
}

/// The flags of the extended descriptor fields.
#[derive(Clone, Copy, Debug, Default)]
struct ExtendedFlags {
    structure_present: bool,
    active_decode_targets_present: bool,
    custom_indications: bool,
    custom_frame_differences: bool,
    custom_chains: bool,
}

impl ExtendedFlags {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self {
            structure_present: bits.flag()?,
            active_decode_targets_present: bits.flag()?,
            custom_indications: bits.flag()?,
            custom_frame_differences: bits.flag()?,
            custom_chains: bits.flag()?,
        })
    }

    fn write<const N: usize>(self, bits: &mut BitWriter<N>) -> Option<()> {
        let flags = [
            self.structure_present,
            self.active_decode_targets_present,
            self.custom_indications,
            self.custom_frame_differences,
            self.custom_chains,
        ];
        flags.into_iter().try_for_each(|flag| bits.bits(flag.into(), 1))
    }

    /// Whether something follows that the template does not say.
    fn is_custom(self) -> bool {
        self.custom_indications || self.custom_frame_differences || self.custom_chains
    }
}

fn read_frame_differences(bits: &mut BitReader<'_>) -> Option<heapless::Vec<u16, MAX_FRAME_DIFFERENCES>> {
    let mut differences = heapless::Vec::new();
    loop {
        let nibbles = bits.bits(2)? as usize;
        if nibbles == 0 {
            return Some(differences);
        }
        differences.push(bits.bits(4 * nibbles)? as u16 + 1).ok()?;
    }
}

fn read_chain_differences(
    bits: &mut BitReader<'_>,
    chain_count: usize,
    width: usize,
) -> Option<heapless::Vec<u8, MAX_DECODE_TARGETS>> {
    let mut differences = heapless::Vec::new();
    for _ in 0..chain_count {
        differences.push(bits.bits(width)? as u8).ok()?;
    }
    Some(differences)
}

#[cfg(test)]
mod tests;
