//! The packet store against a map of everything that was ever put in.
use std::collections::BTreeMap;
use std::time::Duration;

use sansfu::stream::frame::FrameInfo;
use sansfu::stream::store::{ExtensionValues, PacketMeta, PacketStore};

use crate::choices::Choices;
use crate::world::epoch;

struct Packet {
    meta: PacketMeta,
    descriptor: Vec<u8>,
    payload: Vec<u8>,
    /// Bytes put in before it, since the beginning.
    before: usize,
}

struct Model {
    slots: u64,
    max_bytes: usize,
    bytes: usize,
    packets: BTreeMap<u64, Packet>,
}

impl Model {
    fn insert(&mut self, packet: Packet) {
        // Whoever had the place is gone.
        let ext_seq = packet.meta.ext_seq;
        let slots = self.slots;
        self.packets.retain(|other, _| other % slots != ext_seq % slots);
        self.bytes += packet.descriptor.len() + packet.payload.len();
        self.packets.insert(ext_seq, packet);
    }

    fn takes(&self, highest: Option<u64>, packet: &Packet) -> bool {
        let length = packet.descriptor.len() + packet.payload.len();
        let recent = highest.is_none_or(|highest| packet.meta.ext_seq + self.slots > highest);
        recent && length <= self.max_bytes / 4 && packet.descriptor.len() <= 255
    }

    /// What is found must be what was put in; what is recent must be found.
    fn check(&self, store: &PacketStore, ext_seq: u64) {
        let expected = self.packets.get(&ext_seq);
        let Some(found) = store.get(ext_seq) else {
            // A wrap of the ring of bytes wastes at most a quarter.
            let kept = expected.is_some_and(|packet| self.bytes - packet.before <= self.max_bytes / 4 * 3);
            assert!(!kept, "{ext_seq} is lost");
            return;
        };
        let expected = expected.unwrap_or_else(|| panic!("{ext_seq} was not put in or was written over"));
        assert_eq!(*found.meta, expected.meta);
        assert_eq!(found.dependency_descriptor, expected.descriptor);
        assert_eq!(found.payload, expected.payload);
    }
}

/// Packets in any order and of any length, and look-ups.
pub fn store(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let max_packets = input.range(0, 40) as usize;
    let max_bytes = input.pick(&[4_096, 400, 64, 1_000, 3, 0]);
    let mut store = PacketStore::new(max_packets, max_bytes);
    let slots = max_packets.max(1).next_power_of_two() as u64;
    let mut model = Model { slots, max_bytes, bytes: 0, packets: BTreeMap::new() };
    let mut highest: Option<u64> = None;
    let mut memory_bytes = 0;
    while !input.is_exhausted() {
        let last = highest.unwrap_or(0x1_0000);
        let ext_seq = match input.range(0, 8) {
            0..=3 => last + 1,
            4 => last + u64::from(input.u8()),
            _ => last - u64::from(input.range(0, 64)),
        };
        if input.percent(2) {
            store.clear();
            model.packets.clear();
            highest = None;
        } else if input.percent(60) {
            let packet = packet(&mut input, ext_seq, model.bytes);
            let takes = model.takes(highest, &packet);
            assert_eq!(store.insert(&packet.meta, &packet.descriptor, &packet.payload), takes);
            if takes {
                highest = highest.max(Some(ext_seq));
                model.insert(packet);
                let now = store.memory_bytes();
                assert!(memory_bytes == 0 || memory_bytes == now, "memory is taken once");
                memory_bytes = now;
            }
        }
        model.check(&store, ext_seq);
        assert_eq!(store.highest(), highest);
    }
    (0..200).for_each(|behind| model.check(&store, highest.unwrap_or(0x1_0000) + 10 - behind));
}

fn packet(input: &mut Choices<'_>, ext_seq: u64, before: usize) -> Packet {
    let seed = input.u8();
    let descriptor_length = if seed & 1 == 0 { 0 } else { usize::from(input.u8()) * 5 / 4 };
    let payload_length = usize::from(input.u8()) * (1 + usize::from(seed >> 6));
    let fill = |length: usize| (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect();
    let extensions = ExtensionValues { audio_level: Some(seed), ..ExtensionValues::default() };
    let meta = PacketMeta {
        ext_seq,
        timestamp: u32::from(seed) << 8,
        marker: seed & 2 != 0,
        payload_type: seed & 127,
        frame: FrameInfo::without_layers(seed & 4 != 0, seed & 8 != 0),
        received_at: epoch() + Duration::from_millis(u64::from(seed)),
        extensions,
    };
    Packet { meta, descriptor: fill(descriptor_length), payload: fill(payload_length), before }
}
