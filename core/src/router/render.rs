//! Rendering: the datagrams of what is queued for one transport.
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use super::Router;
use crate::arena::Arena;
use crate::consumer::Consumer;
use crate::ice::Tuple;
use crate::id::{TransportId, tag};
use crate::ortc::MediaKind;
use crate::outbox::{Content, Outbox, QueuedPacket, Run, TransmitClass};
use crate::producer::Producer;
use crate::wire::rtp::append_padding;

/// The buffer into which one transport's packets are rendered, and the runs in it that have not been handed out.
#[derive(Debug, Default)]
pub struct Rendered {
    /// Whose packets they are.
    pub transport: Option<TransportId>,
    /// The datagrams, back to back.
    pub bytes: Vec<u8>,
    /// Where they lie and where they go, in order.
    pub runs: VecDeque<Run>,
    /// The transport-wide number of each datagram, in order; `None`: it has none.
    pub numbers: Vec<Option<u16>>,
    /// How many datagrams have been handed out.
    pub handed_out: usize,
}

impl Rendered {
    /// Forgets what has been handed out.
    fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.numbers.clear();
        self.handed_out = 0;
    }

    /// Hands out the next run.
    pub fn pop(&mut self) -> Option<Run> {
        let run = self.runs.pop_front()?;
        self.handed_out += run.segments;
        Some(run)
    }

    /// The transport-wide numbers of the last so many datagrams that were handed out.
    pub fn last_numbers(&self, datagrams: usize) -> impl Iterator<Item = u16> {
        let first = self.handed_out.saturating_sub(datagrams);
        self.numbers.get(first..self.handed_out).unwrap_or_default().iter().flatten().copied()
    }

    /// Adds the datagram that lies behind all others.
    fn append(&mut self, path: Tuple, class: TransmitClass, number: Option<u16>, range: Range<usize>) {
        let last = self.runs.back_mut().filter(|run| run.path == path && run.class == class);
        if !last.is_some_and(|run| run.extend(range.clone())) {
            self.runs.push_back(Run::new(path, class, range));
        }
        self.numbers.push(number);
    }
}

impl Router {
    /// Renders all that is queued for a transport into `rendered`, which must have been handed out before.
    pub fn render(&mut self, now: Instant, id: TransportId, rendered: &mut Rendered, out: &mut Outbox) {
        rendered.clear();
        rendered.transport = Some(id);
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        let queue = transport.take_queue();
        let Some(path) = transport.ice.selected() else {
            // It has lost its path since the packets were queued.
            out.stats.dropped_without_path += queue.len() as u64;
            return transport.put_back_queue(queue);
        };
        for packet in &queue {
            let Some(consumer) = self.consumers.get_mut(packet.consumer) else { continue };
            let start = rendered.bytes.len();
            let Some(header_len) = write_plain(packet, consumer, &self.producers, &mut rendered.bytes) else {
                out.stats.dropped_overwritten += 1;
                continue;
            };
            append_padding(&mut rendered.bytes, start, packet.padding);
            let plain_len = rendered.bytes.len() - start;
            if !transport.protect_rtp(packet, &mut rendered.bytes, start, header_len) {
                rendered.bytes.truncate(start);
                continue;
            }
            let range = start..rendered.bytes.len();
            transport.count_sent(now, packet, range.len());
            if !packet.is_probe {
                let is_first = !packet.content.is_retransmission();
                consumer.stream.on_rendered(now, header_len, plain_len, is_first);
            }
            let class = match consumer.kind {
                MediaKind::Audio => TransmitClass::Audio,
                MediaKind::Video => TransmitClass::Video,
            };
            let number = consumer.layout.has_transport_sequence().then_some(packet.transport_sequence);
            rendered.append(path, class, number, range);
        }
        transport.put_back_queue(queue);
    }

    /// The last so many datagrams of what was handed out have not left after all: the estimate of their path learns of it.
    pub fn on_dropped(&mut self, now: Instant, rendered: &Rendered, datagrams: usize) {
        let Some(transport) = rendered.transport.and_then(|id| self.transports.get_mut(id.own)) else {
            return;
        };
        transport.bandwidth.on_dropped(now, rendered.last_numbers(datagrams));
    }
}

/// Appends a packet in the clear; gives the length of its header. `None`, and nothing is appended, when what it carries has been
/// overwritten.
#[inline]
fn write_plain(
    packet: &QueuedPacket,
    consumer: &Consumer,
    producers: &Arena<Producer, tag::Producer>,
    bytes: &mut Vec<u8>,
) -> Option<usize> {
    if let Content::Padding(length) = packet.content {
        return Some(consumer.layout.render_padding(packet, length, bytes));
    }
    let encoding = producers.get(packet.producer)?.encodings.get(usize::from(packet.encoding))?;
    let stored = encoding.store.get(packet.stored_seq)?;
    Some(consumer.layout.render(packet, &stored, bytes))
}
