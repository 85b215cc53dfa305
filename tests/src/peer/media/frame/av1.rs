//! AV1: the aggregation header and OBUs (RTP Payload Format For AV1, sections 4.4 and 4.5), and the dependency descriptor
//! (appendix A) of its packets.
use super::Marks;
use crate::peer::media::layers::Layers;

/// `OBU_SEQUENCE_HEADER` without size field, and a few bytes as its content.
const SEQUENCE_HEADER: [u8; 5] = [1 << 3, 0x00, 0x00, 0x00, 0x24];
const OBU_FRAME: u8 = 6;
/// obu_extension_flag.
const HAS_EXTENSION: u8 = 0x04;

/// A frame is one OBU in as many fragments as packets; a keyframe's first packet has the sequence header in front.
pub(super) fn write_header(layers: Layers, marks: &Marks, out: &mut Vec<u8>) {
    let begins_sequence = marks.starts_decoding() && marks.is_first();
    let continues = u8::from(!marks.is_first()) << 7;
    let continued = u8::from(!marks.is_last()) << 6;
    let elements: u8 = if begins_sequence { 2 } else { 1 };
    out.push(continues | continued | elements << 4 | u8::from(begins_sequence) << 3);
    if begins_sequence {
        // The last element has no length.
        out.push(SEQUENCE_HEADER.len() as u8);
        out.extend(SEQUENCE_HEADER);
    }
    if marks.is_first() {
        if layers == Layers::ONE {
            out.push(OBU_FRAME << 3);
        } else {
            out.extend([OBU_FRAME << 3 | HAS_EXTENSION, marks.temporal_id << 5 | marks.spatial_id << 3]);
        }
    }
}

/// Where the marks begin.
pub(super) fn find_marks(payload: &[u8]) -> Option<usize> {
    let aggregation = *payload.first()?;
    if aggregation & 0x80 != 0 {
        return Some(1);
    }
    let mut at = 1;
    for _ in 1..aggregation >> 4 & 3 {
        let len = *payload.get(at)?;
        if len & 0x80 != 0 {
            return None; // no element before the frame is that long
        }
        at += 1 + usize::from(len);
    }
    let header = *payload.get(at)?;
    Some(at + 1 + usize::from(header & HAS_EXTENSION != 0))
}

/// The value of the dependency descriptor extension of a packet; `active`: the decode targets that it tells of, if it does.
///
/// Frame numbers count the frames of all spatial layers, so they follow from the marks. Templates are ordered by spatial
/// layer; of each layer: the keyframe, then the positions of the period by temporal layer.
pub fn dependency_descriptor(layers: Layers, marks: &Marks, active: Option<u32>) -> Vec<u8> {
    let mut bits = before_active(layers, marks, active.is_some());
    if let Some(active) = active {
        bits.push(active, target_count(layers));
    }
    bits.bytes
}

/// The decode targets that the descriptor of a packet tells of, if it does.
pub fn active_decode_targets(layers: Layers, marks: &Marks, value: &[u8]) -> Option<u32> {
    if value.get(3).is_none_or(|flags| flags & 0x40 == 0) {
        return None;
    }
    let at = before_active(layers, marks, true).used;
    let bit = |at: usize| value.get(at / 8).map_or(0, |byte| u32::from(byte >> (7 - at % 8) & 1));
    let count = target_count(layers) as usize;
    Some((at..at + count).fold(0, |active, at| active << 1 | bit(at)))
}

/// Whether a frame is for one of these decode targets.
pub fn is_for_any(layers: Layers, marks: &Marks, active: u32) -> bool {
    let (_, kind) = template(layers, marks);
    let mut indexed = targets(layers).zip(0..);
    indexed.any(|(target, index)| {
        active >> index & 1 == 1 && kind.indication(layers, marks.spatial_id, target) != 0
    })
}

fn before_active(layers: Layers, marks: &Marks, has_active: bool) -> Bits {
    let (template, _) = template(layers, marks);
    let frame_number = marks.number.wrapping_mul(u32::from(layers.spatial)) + u32::from(marks.spatial_id);
    let mut bits = Bits::default();
    bits.push(u32::from(marks.is_first()), 1);
    bits.push(u32::from(marks.is_last()), 1);
    bits.push(template as u32, 6);
    bits.push(frame_number & 0xFFFF, 16);
    let has_structure = marks.starts_decoding() && marks.is_first();
    if has_structure || has_active {
        // Nothing differs from the template.
        bits.push(u32::from(has_structure) << 4 | u32::from(has_active) << 3, 5);
    }
    if has_structure {
        write_structure(layers, &kinds(layers), &mut bits);
    }
    bits
}

/// The template of a frame, and its kind.
fn template(layers: Layers, marks: &Marks) -> (usize, Kind) {
    let kinds = kinds(layers);
    let kind = kinds.iter().position(|kind| kind.is_of(layers, marks)).unwrap_or(0);
    (usize::from(marks.spatial_id) * kinds.len() + kind, kinds[kind])
}

/// The spatial and temporal layers of the decode targets.
fn targets(layers: Layers) -> impl Iterator<Item = (u8, u8)> {
    (0..layers.spatial)
        .flat_map(move |spatial_id| (0..layers.temporal).map(move |temporal_id| (spatial_id, temporal_id)))
}

fn target_count(layers: Layers) -> u32 {
    u32::from(layers.spatial * layers.temporal)
}

/// One kind of picture: the keyframe, or a position in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    keyframe: bool,
    /// In the period, 0 for the base temporal layer.
    within: u32,
}

impl Kind {
    /// A picture number that is of this kind, counted from a keyframe.
    fn position(self, layers: Layers) -> u32 {
        if self.keyframe { 0 } else { self.within + layers.period() }
    }

    fn is_of(self, layers: Layers, marks: &Marks) -> bool {
        let position = self.position(layers);
        self.keyframe == marks.keyframe
            && layers.temporal_id(position) == marks.temporal_id
            && layers.is_layer_sync(position) == marks.layer_sync
    }

    /// What a frame of that kind and spatial layer is to a decode target (table A.1).
    fn indication(self, layers: Layers, spatial_id: u8, target: (u8, u8)) -> u32 {
        let [not_present, discardable, switch, required] = [0, 1, 2, 3];
        let position = self.position(layers);
        let temporal_id = layers.temporal_id(position);
        let only_own = layers.key_only && !self.keyframe;
        if temporal_id > target.1 || spatial_id > target.0 || only_own && spatial_id != target.0 {
            return not_present;
        }
        match (self.keyframe, temporal_id == target.1) {
            (true, _) => switch,
            // No picture of the period that begins refers to one from before it.
            (false, _) if self.within == 0 => switch,
            (false, true) if !layers.is_reference(position) => discardable,
            (false, true) if layers.is_layer_sync(position) => switch,
            _ => required,
        }
    }

    /// How many frames back the frame before it in the chain of spatial layer `chain` is. A chain has the base temporal layer
    /// of that spatial layer, and of the lower ones that it depends on.
    fn chain_difference(self, layers: Layers, spatial_id: u8, chain: u8) -> u32 {
        let (spatial, own, chain) = (u32::from(layers.spatial), u32::from(spatial_id), u32::from(chain));
        let in_chain_from_below = self.within == 0 && (self.keyframe || !layers.key_only);
        match self.within {
            0 if own > chain => own - chain,
            0 if in_chain_from_below && own > 0 => 1,
            0 if self.keyframe => 0,
            0 => layers.period() * spatial + own - chain,
            within => within * spatial + own - chain,
        }
    }
}

fn kinds(layers: Layers) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = (0..layers.period()).map(|within| Kind { keyframe: false, within }).collect();
    kinds.sort_by_key(|kind| layers.temporal_id(kind.within));
    kinds.insert(0, Kind { keyframe: true, within: 0 });
    kinds
}

/// `template_dependency_structure` of section A.8.2.
fn write_structure(layers: Layers, kinds: &[Kind], bits: &mut Bits) {
    let templates: Vec<(u8, Kind)> = (0..layers.spatial)
        .flat_map(|spatial_id| kinds.iter().map(move |kind| (spatial_id, *kind)))
        .collect();
    let targets: Vec<(u8, u8)> = targets(layers).collect();
    bits.push(0, 6);
    bits.push(targets.len() as u32 - 1, 5);
    let layer = |(spatial_id, kind): (u8, Kind)| (spatial_id, layers.temporal_id(kind.within));
    for pair in templates.windows(2) {
        let (before, after) = (layer(pair[0]), layer(pair[1]));
        bits.push(if after.0 > before.0 { 2 } else { u32::from(after.1 > before.1) }, 2);
    }
    bits.push(3, 2);
    for (spatial_id, kind) in &templates {
        targets.iter().for_each(|target| bits.push(kind.indication(layers, *spatial_id, *target), 2));
    }
    for (spatial_id, kind) in &templates {
        let references = layers.references(kind.position(layers), *spatial_id);
        let own_layer = u32::from(references.pictures_back) * u32::from(layers.spatial);
        for difference in [u32::from(references.lower_layer), own_layer] {
            if difference > 0 {
                bits.push(0b1_0000 | (difference - 1), 5);
            }
        }
        bits.push(0, 1);
    }
    let chains = layers.spatial;
    bits.push_below(u32::from(chains), targets.len() as u32 + 1);
    targets.iter().for_each(|target| bits.push_below(u32::from(target.0), u32::from(chains)));
    for (spatial_id, kind) in &templates {
        (0..chains).for_each(|chain| bits.push(kind.chain_difference(layers, *spatial_id, chain), 4));
    }
    bits.push(1, 1);
    for spatial_id in 0..layers.spatial {
        let shift = layers.spatial - 1 - spatial_id;
        bits.push((1280 >> shift) - 1, 16);
        bits.push((720 >> shift) - 1, 16);
    }
}

/// Bits, highest first.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn push(&mut self, value: u32, width: u32) {
        for bit in (0..width).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if value >> bit & 1 == 1 {
                *self.bytes.last_mut().expect("pushed above") |= 0x80 >> (self.used % 8);
            }
            self.used += 1;
        }
    }

    /// `ns(n)` of the AV1 specification, section 4.10.7.
    fn push_below(&mut self, value: u32, count: u32) {
        let width = u32::BITS - count.leading_zeros();
        let short_values = (1 << width) - count;
        if value < short_values {
            self.push(value, width - 1);
        } else {
            self.push(value + short_values, width);
        }
    }
}
