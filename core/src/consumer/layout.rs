//! The header extensions of a consumer's packets, and their rendering.
use heapless::Vec as BoundedVec;

use crate::ortc::{HeaderExtensionUri, RtpParameters};
use crate::outbox::{Content, QueuedPacket};
use crate::stream::frame::NumberOffsets;
use crate::stream::store::StoredPacket;
use crate::wire::codec::dependency_descriptor::MAX_DESCRIPTOR_BYTES;
use crate::wire::rtp::{HeaderExtensionWriter, RtpHeader, append_padding};

/// A MID is at most 16 bytes long, so that it fits into a one-byte header extension.
const MAX_MID_BYTES: usize = 16;

/// The ids of the header extensions as the client negotiated them; 0: not negotiated.
#[derive(Debug, Clone, Default)]
pub struct HeaderLayout {
    mid: u8,
    mid_value: BoundedVec<u8, MAX_MID_BYTES>,
    abs_send_time: u8,
    transport_sequence: u8,
    audio_level: u8,
    video_orientation: u8,
    transmission_offset: u8,
    playout_delay: u8,
    absolute_capture_time: u8,
    dependency_descriptor: u8,
    /// Some id is above 14, so that only the two-byte form can carry it (RFC 8285 section 4.2).
    two_byte: bool,
    overhead_bytes: usize,
}

impl HeaderLayout {
    /// The layout that a consumer's parameters ask for.
    pub fn new(parameters: &RtpParameters) -> Self {
        let id = |uri| parameters.header_extension_id(uri).unwrap_or(0);
        let mid = parameters.mid.as_deref().unwrap_or_default();
        let mid_value = BoundedVec::from_slice(mid.as_bytes()).unwrap_or_default();
        let mut layout = HeaderLayout {
            mid: if mid_value.is_empty() { 0 } else { id(HeaderExtensionUri::Mid) },
            mid_value,
            abs_send_time: id(HeaderExtensionUri::AbsSendTime),
            transport_sequence: id(HeaderExtensionUri::TransportCc),
            audio_level: id(HeaderExtensionUri::AudioLevel),
            video_orientation: id(HeaderExtensionUri::VideoOrientation),
            transmission_offset: id(HeaderExtensionUri::TransmissionOffset),
            playout_delay: id(HeaderExtensionUri::PlayoutDelay),
            absolute_capture_time: id(HeaderExtensionUri::AbsCaptureTime),
            dependency_descriptor: id(HeaderExtensionUri::DependencyDescriptor),
            two_byte: parameters.header_extensions.iter().any(|extension| extension.id > 14),
            overhead_bytes: 0,
        };
        layout.overhead_bytes = layout.reckon_overhead();
        layout
    }

    /// Whether packets carry a transport-wide sequence number.
    pub fn has_transport_sequence(&self) -> bool {
        self.transport_sequence != 0
    }

    /// Whether packets carry dependency descriptors.
    pub fn has_dependency_descriptor(&self) -> bool {
        self.dependency_descriptor != 0
    }

    /// What a packet has around its payload, in bytes, about: the header with the extensions that every packet has, and the
    /// authentication tag.
    pub fn overhead_bytes(&self) -> usize {
        self.overhead_bytes
    }

    /// Appends a packet of nothing but padding in the clear; returns the length of the header.
    pub fn render_padding(&self, packet: &QueuedPacket, padding_len: u8, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        write_header(packet, out);
        let mut writer = HeaderExtensionWriter::begin(out, start, self.two_byte);
        self.push_own(packet, &mut |id, value| {
            writer.push(id, value);
        });
        writer.finish();
        let header_len = out.len() - start;
        append_padding(out, start, padding_len);
        header_len
    }

    /// Appends header and payload of a packet in the clear; returns the length of the header.
    pub fn render(&self, packet: &QueuedPacket, stored: &StoredPacket<'_>, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        write_header(packet, out);
        self.write_extensions(packet, stored, start, out);
        let header_len = out.len() - start;
        match packet.content {
            Content::Payload => write_payload(packet.offsets, stored, out),
            Content::Empty => {}
            Content::Retransmission(original) => {
                out.extend_from_slice(&original.to_be_bytes());
                write_payload(packet.offsets, stored, out);
            }
            Content::EmptyRetransmission(original) => out.extend_from_slice(&original.to_be_bytes()),
            Content::Padding(_) => {}
        }
        header_len
    }

    /// The header extensions that are ours, and not the source's.
    fn push_own(&self, packet: &QueuedPacket, push: &mut impl FnMut(u8, &[u8])) {
        let send_time = packet.abs_send_time.to_be_bytes();
        let number = packet.transport_sequence.to_be_bytes();
        let own = [
            (self.mid, &self.mid_value[..]),
            (self.abs_send_time, send_time.get(1..).unwrap_or_default()),
            (self.transport_sequence, &number[..]),
        ];
        own.into_iter().filter(|(id, _)| *id != 0).for_each(|(id, value)| push(id, value));
    }

    fn reckon_overhead(&self) -> usize {
        const HEADER_AND_TAG: usize = 12 + 4 + 16;
        let extension =
            |id: u8, bytes: usize| if id == 0 { 0 } else { 1 + usize::from(self.two_byte) + bytes };
        let extensions = extension(self.mid, self.mid_value.len())
            + extension(self.abs_send_time, 3)
            + extension(self.transport_sequence, 2);
        HEADER_AND_TAG + extensions.next_multiple_of(4)
    }

    fn write_extensions(
        &self,
        packet: &QueuedPacket,
        stored: &StoredPacket<'_>,
        packet_start: usize,
        out: &mut Vec<u8>,
    ) {
        let rewritten = rewritten_descriptor(packet, stored.dependency_descriptor);
        let descriptor = rewritten.as_deref().unwrap_or(stored.dependency_descriptor);
        let long_descriptor = self.dependency_descriptor != 0 && descriptor.len() > 16;
        let mut writer = HeaderExtensionWriter::begin(out, packet_start, self.two_byte || long_descriptor);
        let mut push = |id: u8, value: &[u8]| {
            if id != 0 {
                writer.push(id, value);
            }
        };
        self.push_own(packet, &mut push);
        let values = &stored.meta.extensions;
        if let Some(level) = values.audio_level {
            push(self.audio_level, &[level]);
        }
        if let Some(orientation) = values.video_orientation {
            push(self.video_orientation, &[orientation]);
        }
        if let Some(offset) = &values.transmission_offset {
            push(self.transmission_offset, offset);
        }
        if let Some(delay) = &values.playout_delay {
            push(self.playout_delay, delay);
        }
        if let Some(time) = &values.absolute_capture_time {
            push(self.absolute_capture_time, time.as_bytes());
        }
        if !descriptor.is_empty() {
            push(self.dependency_descriptor, descriptor);
        }
        writer.finish();
    }
}

fn write_header(packet: &QueuedPacket, out: &mut Vec<u8>) {
    RtpHeader {
        payload_type: packet.payload_type,
        marker: packet.marker,
        sequence_number: packet.index as u16,
        timestamp: packet.timestamp,
        ssrc: packet.ssrc,
    }
    .write(out);
}

/// The dependency descriptor with our numbers and decode targets; `None` where those that it has are right, or there is none.
fn rewritten_descriptor(
    packet: &QueuedPacket,
    descriptor: &[u8],
) -> Option<BoundedVec<u8, MAX_DESCRIPTOR_BYTES>> {
    let told = packet.decode_targets.and_then(|targets| targets.write_into(descriptor));
    if told.is_none() && packet.offsets.frame_number == 0 {
        return None;
    }
    let mut copy = told.or_else(|| BoundedVec::from_slice(descriptor).ok())?;
    packet.offsets.apply_to_dependency_descriptor(&mut copy);
    Some(copy)
}

fn write_payload(offsets: NumberOffsets, stored: &StoredPacket<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(stored.payload);
    if let Some(picture) = &stored.meta.frame.picture
        && offsets != NumberOffsets::default()
        && let Some(payload) = out.get_mut(start..)
    {
        offsets.apply_to_payload(picture, payload);
    }
}
