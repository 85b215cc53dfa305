//! Rendering: the datagrams of what is queued for one transport.
use std::collections::VecDeque;
use std::time::Instant;

use super::Router;
use crate::id::TransportId;
use crate::outbox::{Content, Outbox, Run};

/// The buffer into which one transport's packets are rendered, and the runs in it that have not been handed out.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The datagrams, back to back.
    pub bytes: Vec<u8>,
    /// Where they lie and where they go, in order.
    pub runs: VecDeque<Run>,
}

impl Router {
    /// Renders all that is queued for a transport into `rendered`, which must have been handed out before.
    pub fn render(&mut self, now: Instant, id: TransportId, rendered: &mut Rendered, out: &mut Outbox) {
        rendered.bytes.clear();
        rendered.runs.clear();
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        while let Some(packet) = transport.pop_queued() {
            let Some(path) = transport.ice.selected() else {
                // It has lost its path since the packet was queued.
                out.stats.dropped_without_path += 1;
                continue;
            };
            let Some(consumer) = self.consumers.get_mut(packet.consumer) else { continue };
            let start = rendered.bytes.len();
            let header_len = if let Content::Padding(length) = packet.content {
                consumer.layout.render_padding(&packet, length, &mut rendered.bytes)
            } else {
                let producer = self.producers.get(packet.producer);
                let store =
                    producer.and_then(|producer| producer.encodings.get(usize::from(packet.encoding)));
                let Some(stored) = store.and_then(|encoding| encoding.store.get(packet.stored_seq)) else {
                    out.stats.dropped_overwritten += 1;
                    continue;
                };
                consumer.layout.render(&packet, &stored, &mut rendered.bytes)
            };
            if !transport.protect_rtp(&packet, &mut rendered.bytes, start, header_len) {
                rendered.bytes.truncate(start);
                continue;
            }
            let range = start..rendered.bytes.len();
            transport.count_sent(now, &packet, range.len());
            if !packet.is_probe {
                consumer.stream.on_rendered(now, header_len, !packet.content.is_retransmission());
            }
            let last = rendered.runs.back_mut().filter(|run| run.path == path);
            if !last.is_some_and(|run| run.extend(range.clone())) {
                rendered.runs.push_back(Run::new(path, range));
            }
        }
    }
}
