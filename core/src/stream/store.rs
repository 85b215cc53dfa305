//! The last packets of a received stream, kept once for all who send it on.
//!
//! Two rings of fixed size: slots, addressed by the low bits of the extended sequence number, and bytes, written one packet
//! after the other. A packet is found by its exact number, and only as long as neither its slot nor its bytes have been
//! written over. So a reference to a packet is nothing but its number, and a stale one finds nothing instead of something
//! else.
use std::time::Instant;

use super::frame::FrameInfo;

/// The packets of one stream (SSRC), for forwarding and for retransmission.
///
/// Memory is taken with the first packet and stays the same from then on: [`PacketStore::memory_bytes`].
#[derive(Debug)]
pub struct PacketStore {
    /// A power of two in length once there is a packet.
    slots: Vec<Slot>,
    slot_count: usize,
    bytes: Vec<u8>,
    max_bytes: usize,
    /// How many bytes were ever written, those skipped at the end of the ring included.
    written: u64,
    highest: Option<u64>,
}

#[derive(Debug, Clone)]
struct Slot {
    /// `None` while the slot was never used.
    meta: Option<PacketMeta>,
    /// The value of `written` where the packet's bytes begin.
    position: u64,
    payload_len: u16,
    descriptor_len: u8,
}

/// What a packet says beside its payload. The fields are plain numbers here: what a payload type or a value means is known
/// to those who store and read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketMeta {
    /// The extended sequence number at the receiver ([`super::receive::ReceiveStream`]).
    pub ext_seq: u64,
    /// RTP timestamp as it was received.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Payload type, or any other small number that names the codec.
    pub payload_type: u8,
    /// What it is to the layers of the stream.
    pub frame: FrameInfo,
    /// When it arrived.
    pub received_at: Instant,
    /// Header extensions that are carried through.
    pub extensions: ExtensionValues,
}

/// The raw values of the header extensions that an SFU carries through unchanged; all else is rewritten or dropped.
///
/// The dependency descriptor, which may be long, is handed over and stored beside the payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionValues {
    /// Client-to-mixer audio level with its voice bit (RFC 6464).
    pub audio_level: Option<u8>,
    /// Coordination of video orientation (3GPP TS 26.114 section 7.4.5).
    pub video_orientation: Option<u8>,
    /// Transmission time offset (RFC 5450).
    pub transmission_offset: Option<[u8; 3]>,
    /// Limits of the playout delay.
    pub playout_delay: Option<[u8; 3]>,
    /// Absolute capture time.
    pub absolute_capture_time: Option<AbsoluteCaptureTime>,
}

/// The value of the absolute capture time extension: 8 bytes, or 16 with the estimated clock offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsoluteCaptureTime {
    bytes: [u8; 16],
    has_clock_offset: bool,
}

/// A packet in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPacket<'a> {
    /// All but the bytes.
    pub meta: &'a PacketMeta,
    /// The raw dependency descriptor extension; empty when there was none.
    pub dependency_descriptor: &'a [u8],
    /// The payload, without header and padding.
    pub payload: &'a [u8],
}

impl AbsoluteCaptureTime {
    /// From the bytes of the extension; `None` when they are neither 8 nor 16.
    pub fn new(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        let has_clock_offset = match value.len() {
            8 => false,
            16 => true,
            _ => return None,
        };
        bytes.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        Some(AbsoluteCaptureTime { bytes, has_clock_offset })
    }

    /// The bytes of the extension.
    pub fn as_bytes(&self) -> &[u8] {
        if self.has_clock_offset { &self.bytes } else { &self.bytes[..8] }
    }
}

impl PacketStore {
    /// A store of at most `max_packets` packets (rounded up to a power of two, at least 1) and `max_bytes` bytes of payload.
    pub const fn new(max_packets: usize, max_bytes: usize) -> Self {
        let max_packets = if max_packets == 0 { 1 } else { max_packets };
        PacketStore {
            slots: Vec::new(),
            slot_count: max_packets.next_power_of_two(),
            bytes: Vec::new(),
            max_bytes,
            written: 0,
            highest: None,
        }
    }

    /// Copies a packet in; older ones make room for it. `dependency_descriptor` is empty when the packet has none.
    ///
    /// False, and nothing is stored, when the packet is `max_packets` or more behind the newest one, or when its bytes are
    /// more than a quarter of `max_bytes` or 65535.
    pub fn insert(&mut self, meta: &PacketMeta, dependency_descriptor: &[u8], payload: &[u8]) -> bool {
        let length = dependency_descriptor.len() + payload.len();
        let too_old = self.highest.is_some_and(|highest| meta.ext_seq + self.slot_count as u64 <= highest);
        let Ok(payload_len) = u16::try_from(payload.len()) else { return false };
        if too_old || length > self.max_bytes / 4 || dependency_descriptor.len() > usize::from(u8::MAX) {
            return false;
        }
        self.allocate();
        let position = self.write(dependency_descriptor, payload);
        let index = self.index(meta.ext_seq);
        let Some(slot) = self.slots.get_mut(index) else { return false };
        *slot = Slot {
            meta: Some(*meta),
            position,
            payload_len,
            descriptor_len: dependency_descriptor.len() as u8,
        };
        self.highest = self.highest.max(Some(meta.ext_seq));
        true
    }

    /// Forgets every packet; the memory is kept.
    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.meta = None);
        self.highest = None;
    }

    /// The packet with exactly this number; `None` when it never came or was written over.
    pub fn get(&self, ext_seq: u64) -> Option<StoredPacket<'_>> {
        let slot = self.slots.get(self.index(ext_seq))?;
        let meta = slot.meta.as_ref().filter(|meta| meta.ext_seq == ext_seq)?;
        if self.written - slot.position > self.max_bytes as u64 {
            return None;
        }
        let begin = (slot.position % self.max_bytes.max(1) as u64) as usize;
        let middle = begin + usize::from(slot.descriptor_len);
        Some(StoredPacket {
            meta,
            dependency_descriptor: self.bytes.get(begin..middle)?,
            payload: self.bytes.get(middle..middle + usize::from(slot.payload_len))?,
        })
    }

    /// Reads anew what the packets behind this one, `max_packets` at most, are to the layers of the stream.
    pub fn reread_behind(
        &mut self,
        ext_seq: u64,
        max_packets: u64,
        mut read: impl FnMut(&StoredPacket<'_>) -> FrameInfo,
    ) {
        for behind in ext_seq + 1..=self.highest.unwrap_or(0).min(ext_seq + max_packets) {
            let Some(frame) = self.get(behind).map(|stored| read(&stored)) else { continue };
            let index = self.index(behind);
            if let Some(meta) = self.slots.get_mut(index).and_then(|slot| slot.meta.as_mut()) {
                meta.frame = frame;
            }
        }
    }

    /// The highest number stored so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The memory that the store holds, in bytes: 0 before the first packet.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    fn allocate(&mut self) {
        if self.slots.is_empty() {
            let unused = Slot { meta: None, position: 0, payload_len: 0, descriptor_len: 0 };
            self.slots = vec![unused; self.slot_count];
            self.bytes = vec![0; self.max_bytes];
        }
    }

    /// Appends to the ring of bytes, in one piece, and returns where that begins.
    fn write(&mut self, dependency_descriptor: &[u8], payload: &[u8]) -> u64 {
        let length = dependency_descriptor.len() + payload.len();
        let capacity = self.max_bytes.max(1) as u64;
        let mut begin = (self.written % capacity) as usize;
        if begin + length > self.max_bytes {
            self.written += capacity - begin as u64;
            begin = 0;
        }
        let position = self.written;
        let middle = begin + dependency_descriptor.len();
        if let Some(target) = self.bytes.get_mut(begin..middle) {
            target.copy_from_slice(dependency_descriptor);
        }
        if let Some(target) = self.bytes.get_mut(middle..begin + length) {
            target.copy_from_slice(payload);
        }
        self.written += length as u64;
        position
    }

    fn index(&self, ext_seq: u64) -> usize {
        ext_seq as usize & (self.slot_count - 1)
    }
}

#[cfg(test)]
mod tests;
