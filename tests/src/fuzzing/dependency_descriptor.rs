//! Dependency descriptors of a sequence of packets (RTP Payload Format For AV1, appendix A).

use sansfu::wire::codec::dependency_descriptor::{
    ActiveDecodeTargets, DecodeTargetIndication, DependencyDescriptor, MAX_DESCRIPTOR_BYTES,
    MAX_SPATIAL_LAYERS, MAX_TEMPORAL_LAYERS, MandatoryFields, TemplateStructure,
};

use crate::choices::Choices;

/// The input is the descriptors of packets that come one after the other, a structure being kept until the next one comes. What
/// was read fits the structure, and written out in full reads the same; with other active decode targets, the same but for these.
pub fn dependency_descriptor(data: &[u8]) {
    let mut choices = Choices::from_bytes(data);
    let mut kept: Option<Box<TemplateStructure>> = None;
    while !choices.is_exhausted() {
        let value = choices.piece();
        let Some(descriptor) = DependencyDescriptor::parse(value, kept.as_deref()) else { continue };
        assert_eq!(MandatoryFields::parse(value), Some(descriptor.mandatory));
        let own = descriptor.structure.as_deref();
        if own.is_some() {
            assert_eq!(
                DependencyDescriptor::parse(value, None).as_ref(),
                Some(&descriptor),
                "its own is used"
            );
        }
        let structure = own.or(kept.as_deref()).expect("nothing is read without a structure");
        check_structure(structure);
        check_frame(&descriptor, structure);
        let written = write(&descriptor, structure);
        assert_eq!(DependencyDescriptor::parse(&written, kept.as_deref()).as_ref(), Some(&descriptor));
        for value in [value, &written] {
            check_active_targets(value, &descriptor, structure, kept.as_deref());
        }
        kept = descriptor.structure.or(kept);
    }
}

fn check_structure(structure: &TemplateStructure) {
    let targets = structure.decode_targets.len();
    assert!(!structure.templates.is_empty() && targets > 0);
    assert_eq!(structure.all_decode_targets().count_ones() as usize, targets);
    assert_eq!(structure.all_decode_targets().trailing_ones() as usize, targets);
    assert!(usize::from(structure.chain_count) <= targets);
    for target in &structure.decode_targets {
        assert_eq!(target.protected_by.is_some(), structure.chain_count > 0);
        assert!(target.protected_by.is_none_or(|chain| chain < structure.chain_count));
    }
    for template in &structure.templates {
        assert!(usize::from(template.spatial_id) < MAX_SPATIAL_LAYERS);
        assert!(usize::from(template.temporal_id) < MAX_TEMPORAL_LAYERS);
        assert_eq!(template.decode_target_indications.count(), targets);
        assert_eq!(template.decode_target_indications.get(targets), DecodeTargetIndication::NotPresent);
        assert!(template.frame_differences.iter().all(|difference| (1..=16).contains(difference)));
        assert_eq!(template.chain_differences.len(), usize::from(structure.chain_count));
    }
    let layers = structure.templates.last().map(|template| usize::from(template.spatial_id) + 1);
    assert!(structure.resolutions.is_empty() || Some(structure.resolutions.len()) == layers);
    for id in 0..64u8 {
        let index = usize::from((id + 64 - structure.template_id_offset) % 64);
        assert_eq!(structure.template(id), structure.templates.get(index));
    }
}

fn check_frame(descriptor: &DependencyDescriptor, structure: &TemplateStructure) {
    let template = structure.template(descriptor.mandatory.template_id).expect("it was found");
    assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (template.spatial_id, template.temporal_id));
    assert_eq!(descriptor.decode_target_indications.count(), structure.decode_targets.len());
    assert_eq!(descriptor.chain_differences.len(), usize::from(structure.chain_count));
    assert!(descriptor.frame_differences.iter().all(|difference| (1..=4096).contains(difference)));
    let active = descriptor.active_decode_targets;
    assert!(active.is_none_or(|active| active & !structure.all_decode_targets() == 0));
    assert!(active.is_some() || descriptor.structure.is_none());
    let resolution = structure.resolutions.get(usize::from(descriptor.spatial_id));
    assert_eq!(descriptor.resolution.as_ref(), resolution);
}

/// Any decode targets can be made the active ones, and nothing else changes.
fn check_active_targets(
    value: &[u8],
    descriptor: &DependencyDescriptor,
    structure: &TemplateStructure,
    kept: Option<&TemplateStructure>,
) {
    let count = structure.decode_targets.len() as u8;
    let mask = u32::from(descriptor.mandatory.frame_number).wrapping_mul(0x9E37_79B1)
        & structure.all_decode_targets();
    let Some(told) = (ActiveDecodeTargets { count, mask }).write_into(value) else {
        assert!(value.len() + 5 > MAX_DESCRIPTOR_BYTES, "only what is too long is refused");
        return;
    };
    let expected = DependencyDescriptor { active_decode_targets: Some(mask), ..descriptor.clone() };
    assert_eq!(DependencyDescriptor::parse(&told, kept), Some(expected));
    assert!(told.len() <= value.len() + 5);
    let again = ActiveDecodeTargets { count, mask }.write_into(&told);
    assert!(again.is_none_or(
        |again| DependencyDescriptor::parse(&again, kept) == DependencyDescriptor::parse(&told, kept)
    ));
    if descriptor.structure.is_some() {
        let other = ActiveDecodeTargets { count: count ^ 1, mask: 0 };
        assert_eq!(other.write_into(value), None, "of another structure");
    }
}

/// Writes everything out, whether the template says it or not.
fn write(descriptor: &DependencyDescriptor, structure: &TemplateStructure) -> Vec<u8> {
    let mut bits = BitWriter::default();
    let mandatory = descriptor.mandatory;
    bits.put(mandatory.start_of_frame.into(), 1);
    bits.put(mandatory.end_of_frame.into(), 1);
    bits.put(mandatory.template_id.into(), 6);
    bits.put(mandatory.frame_number.into(), 16);
    bits.put(descriptor.structure.is_some().into(), 1);
    bits.put(descriptor.active_decode_targets.is_some().into(), 1);
    bits.put(0b111, 3);
    if let Some(own) = &descriptor.structure {
        write_structure(own, &mut bits);
    }
    if let Some(active) = descriptor.active_decode_targets {
        bits.put(active, structure.decode_targets.len());
    }
    for indication in descriptor.decode_target_indications.iter() {
        bits.put(indication as u32, 2);
    }
    for difference in &descriptor.frame_differences {
        let nibbles = if *difference <= 16 {
            1
        } else if *difference <= 256 {
            2
        } else {
            3
        };
        bits.put(nibbles, 2);
        bits.put(u32::from(*difference) - 1, 4 * nibbles as usize);
    }
    bits.put(0, 2);
    for difference in &descriptor.chain_differences {
        bits.put((*difference).into(), 8);
    }
    bits.to_bytes()
}

fn write_structure(structure: &TemplateStructure, bits: &mut BitWriter) {
    bits.put(structure.template_id_offset.into(), 6);
    bits.put(structure.decode_targets.len() as u32 - 1, 5);
    for pair in structure.templates.windows(2) {
        let [from, to] = pair else { unreachable!("windows of two") };
        bits.put(
            if to.spatial_id > from.spatial_id { 2 } else { u32::from(to.temporal_id > from.temporal_id) },
            2,
        );
    }
    bits.put(3, 2);
    for template in &structure.templates {
        template.decode_target_indications.iter().for_each(|indication| bits.put(indication as u32, 2));
    }
    for template in &structure.templates {
        for difference in &template.frame_differences {
            bits.put(1, 1);
            bits.put(u32::from(*difference) - 1, 4);
        }
        bits.put(0, 1);
    }
    let chains = u32::from(structure.chain_count);
    bits.put_below(chains, structure.decode_targets.len() as u32 + 1);
    for target in &structure.decode_targets {
        target.protected_by.iter().for_each(|chain| bits.put_below((*chain).into(), chains));
    }
    for template in &structure.templates {
        template.chain_differences.iter().for_each(|difference| bits.put((*difference).into(), 4));
    }
    bits.put((!structure.resolutions.is_empty()).into(), 1);
    for resolution in &structure.resolutions {
        bits.put(resolution.width - 1, 16);
        bits.put(resolution.height - 1, 16);
    }
}

/// Bits, the highest of each number first.
#[derive(Default)]
pub(crate) struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    pub(crate) fn put(&mut self, value: u32, width: usize) {
        self.bits.extend((0..width).rev().map(|at| value >> at & 1 == 1));
    }

    /// `ns(n)` of the AV1 specification (section 4.10.7).
    pub(crate) fn put_below(&mut self, value: u32, count: u32) {
        let width = (u32::BITS - count.leading_zeros()) as usize;
        let short_values = (1 << width) - count;
        if value < short_values {
            self.put(value, width - 1);
        } else {
            self.put(value + short_values, width);
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
        };
        self.bits.chunks(8).map(byte).collect()
    }
}
