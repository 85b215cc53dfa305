//! Telling a receiver which decode targets it gets, when that is less than the sender produces (section A.4).
//!
//! A descriptor can leave the bitmask out, and mostly does. Where we forward less than we get it is put in, behind the structure
//! if there is one, and all behind it moves: nothing in a descriptor is aligned.

use super::structure::TemplateStructure;
use super::{ExtendedFlags, MandatoryFields};
use crate::wire::codec::bits::{BitReader, BitWriter};

/// The longest value of a header extension (RFC 8285 section 4.3).
pub const MAX_DESCRIPTOR_BYTES: usize = 255;

/// Which decode targets can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveDecodeTargets {
    /// How many the structure has, 1 to [`MAX_DECODE_TARGETS`](super::MAX_DECODE_TARGETS).
    pub count: u8,
    /// Those that can be decoded, bit 0 for target 0.
    pub mask: u32,
}

impl ActiveDecodeTargets {
    /// The descriptor with these for its active decode targets, up to five bytes longer than it was. `None` where it is cut off,
    /// has a structure with another number of decode targets, or becomes too long.
    pub fn write_into(&self, value: &[u8]) -> Option<heapless::Vec<u8, MAX_DESCRIPTOR_BYTES>> {
        let (mut source, mut out) = (BitReader::new(value), BitWriter::default());
        let mut ahead = source.clone();
        MandatoryFields::read(&mut ahead)?;
        copy_until(&ahead, &mut source, &mut out)?;
        let flags = if value.len() > 3 { ExtendedFlags::read(&mut ahead)? } else { ExtendedFlags::default() };
        ExtendedFlags { active_decode_targets_present: true, ..flags }.write(&mut out)?;
        source = ahead.clone();
        let count = usize::from(self.count);
        if flags.structure_present {
            let structure = TemplateStructure::read(&mut ahead)?;
            if structure.decode_targets.len() != count {
                return None;
            }
            copy_until(&ahead, &mut source, &mut out)?;
        }
        if flags.active_decode_targets_present {
            source.bits(count)?;
        }
        out.bits(self.mask, count)?;
        if flags.is_custom() {
            let rest = source.left();
            out.copy(&mut source, rest)?;
        }
        Some(out.finish())
    }
}

/// Copies what lies between two places of one value.
fn copy_until<const N: usize>(
    ahead: &BitReader<'_>,
    source: &mut BitReader<'_>,
    out: &mut BitWriter<N>,
) -> Option<()> {
    let count = ahead.position() - source.position();
    out.copy(source, count)
}
