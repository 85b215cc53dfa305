//! The way of a media packet: from the transport that it came by to the queues of those that it goes out by.
//!
//! Invariant: the packet is parsed once, kept once, and copied once for each consumer, when that consumer's datagram is
//! rendered. What happens here for each consumer is a decision and a descriptor.
use super::layers::report_layers;
use super::{Context, Router};
use crate::arena::Id;
use crate::consumer::Consumer;
use crate::id::{TransportId, tag};
use crate::ortc::MediaKind;
use crate::producer::{Producer, Reception, StoredPacketInfo};
use crate::transport::{Found, PacedPacket, StreamRef, WebRtcTransport};
use crate::wire::rtp::RtpView;

impl Router {
    /// Takes a decrypted RTP packet that came by a transport.
    pub fn handle_rtp(&mut self, id: TransportId, bytes: &[u8], ctx: &mut Context<'_>) {
        let Some(packet) = RtpView::parse(bytes) else {
            ctx.out.stats.dropped_rtp_malformed += 1;
            return;
        };
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        if let (Some(feedback), id @ 1..) = (&mut transport.feedback, transport.transport_sequence_id)
            && let Some(&[high, low]) = packet.extension(id)
        {
            feedback.on_packet(ctx.now, u16::from_be_bytes([high, low]), packet.ssrc(), bytes.len());
            transport.incoming_limit.tell(ctx.now);
            let deadlines = [feedback.deadline(), transport.incoming_limit.deadline()];
            transport.wake_by(deadlines.into_iter().flatten().min(), ctx.out);
        } else if let Some(remb) = &mut transport.remb {
            remb.on_packet(ctx.now, bytes.len());
            transport.wake_by(transport.remb.as_ref().and_then(|remb| remb.deadline()), ctx.out);
        }
        let stream = match transport.streams.find(&packet) {
            Some(Found::Known(stream)) => stream,
            Some(Found::Discovered(stream)) => {
                self.on_stream_discovered(stream, packet.ssrc(), ctx);
                stream
            }
            None => {
                ctx.out.stats.dropped_rtp_unknown_stream += 1;
                return;
            }
        };
        self.receive(id, stream, &packet, ctx);
    }

    fn receive(&mut self, id: TransportId, stream: StreamRef, packet: &RtpView<'_>, ctx: &mut Context<'_>) {
        self.observe_audio(stream, packet);
        let Some(producer) = self.producers.get_mut(stream.producer) else { return };
        let was_live = producer.is_live(stream.encoding);
        let reception = producer.receive(ctx.now, stream.encoding, stream.is_rtx, packet);
        let came_to_life = !was_live && producer.is_live(stream.encoding);
        let layers_changed = came_to_life || producer.take_layers_change(ctx.now, stream.encoding);
        ctx.out.stats.rtp_packets_received += 1;
        ctx.out.stats.rtx_packets_received += u64::from(stream.is_rtx);
        if let Some(transport) = self.transports.get_mut(id.own) {
            let counters = &mut transport.counters;
            let traffic = if stream.is_rtx { &mut counters.rtx_received } else { &mut counters.rtp_received };
            traffic.add(ctx.now, packet.as_bytes().len());
            let nack = producer
                .encodings
                .get(usize::from(stream.encoding))
                .and_then(|encoding| encoding.stream.as_ref());
            transport.wake_by(nack.and_then(|stream| stream.nack_deadline()), ctx.out);
        }
        let paused = producer.paused;
        if layers_changed {
            self.choose_layers_of_producer(stream.producer, ctx);
        }
        match reception {
            Reception::Stored(stored) if !paused => {
                self.fan_out(stream.producer, &stored, ctx);
                if stored.restarted {
                    self.request_keyframe_for_waiting(stream.producer, ctx);
                }
            }
            Reception::Stored(_) | Reception::Discarded => {}
            Reception::UnknownPayloadType => ctx.out.stats.dropped_rtp_unknown_stream += 1,
        }
    }

    fn fan_out(&mut self, own: Id<tag::Producer>, stored: &StoredPacketInfo, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(own) else { return };
        let send_time = ctx.out.clock.abs_send_time(ctx.now);
        for consumer_id in &producer.consumers {
            let Some(consumer) = self.consumers.get_mut(*consumer_id) else { continue };
            let Some(transport) = self.transports.get_mut(consumer.transport) else { continue };
            // Also where nothing can be sent now: what is sent later must not follow what was before.
            if stored.restarted {
                consumer.on_encoding_restarted(stored.encoding);
            }
            if !transport.is_connected() {
                continue;
            }
            let was_sending = consumer.is_sending(stored.encoding);
            if forward(consumer, transport, stored, producer, send_time, ctx) && !was_sending {
                // A keyframe that was got back late: what came behind it, while there was nothing to begin with, follows at once.
                let encoding = producer.encodings.get(usize::from(stored.encoding));
                for later in encoding.into_iter().flat_map(|encoding| encoding.stored_after(stored)) {
                    forward(consumer, transport, &later, producer, send_time, ctx);
                }
            }
            report_layers(consumer, ctx);
        }
    }

    /// Queues packets that a client misses.
    pub(super) fn retransmit(
        &mut self,
        own: Id<tag::Consumer>,
        sequence_numbers: &[u16],
        ctx: &mut Context<'_>,
    ) {
        let Some(consumer) = self.consumers.get_mut(own) else { return };
        consumer.stream.on_nack_received(sequence_numbers.len());
        if !consumer.is_active() {
            return;
        }
        let Some(producer) = self.producers.get(consumer.producer) else { return };
        let Some(transport) = self.transports.get_mut(consumer.transport) else { return };
        let send_time = ctx.out.clock.abs_send_time(ctx.now);
        let rtt = transport.rtt_with_queue();
        for sequence_number in sequence_numbers {
            if !transport.bandwidth.may_resend(ctx.now) {
                break;
            }
            let resent = consumer.retransmit(ctx.now, rtt, *sequence_number, producer, send_time);
            let Some(packet) = resent else { continue };
            // A packet sent again under its own SSRC is the same to the last byte: it keeps its transport-wide number.
            let is_new = packet.content.is_retransmission();
            let numbered = is_new && consumer.layout.has_transport_sequence();
            let bytes = producer.stored_payload_len(&packet) + consumer.layout.overhead_bytes();
            transport.bandwidth.on_resent(ctx.now, bytes);
            ctx.out.stats.rtx_packets_sent += 1;
            let paced = PacedPacket { packet, gets_time: is_new, numbered, bytes };
            match consumer.kind {
                MediaKind::Audio => transport.enqueue(ctx.now, paced, ctx.out),
                MediaKind::Video => transport.send_paced(ctx.now, paced, ctx.out),
            };
        }
    }

    fn on_stream_discovered(&mut self, stream: StreamRef, ssrc: u32, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(stream.producer) else { return };
        let transport = producer.transport;
        let Some(encoding) = producer.encodings.get_mut(usize::from(stream.encoding)) else { return };
        let replaced =
            if stream.is_rtx { encoding.rtx_ssrc.replace(ssrc) } else { encoding.ssrc.replace(ssrc) };
        let restarted = !stream.is_rtx && replaced.is_some();
        if restarted {
            // The client has begun the stream anew under another SSRC: its numbers have nothing to do with the old ones.
            encoding.restart();
        }
        if let (Some(replaced), Some(transport)) = (replaced, self.transports.get_mut(transport)) {
            transport.streams.forget(replaced);
        }
        let consumers = self
            .producers
            .get(stream.producer)
            .map(|producer| producer.consumers.clone())
            .unwrap_or_default();
        for own in consumers {
            if let Some(consumer) = self.consumers.get_mut(own).filter(|_| restarted) {
                consumer.on_encoding_restarted(stream.encoding);
                report_layers(consumer, ctx);
            }
            self.request_keyframe_if_needed(own, ctx);
        }
    }
}

/// Lets a consumer decide about a packet and queues what it decides; whether the packet goes out.
fn forward(
    consumer: &mut Consumer,
    transport: &mut WebRtcTransport,
    stored: &StoredPacketInfo,
    producer: &Producer,
    send_time: u32,
    ctx: &mut Context<'_>,
) -> bool {
    let Some(packet) = consumer.forward(ctx.now, stored, producer, send_time) else { return false };
    let bytes = stored.payload_len + consumer.layout.overhead_bytes();
    let numbered = consumer.layout.has_transport_sequence();
    let paced = PacedPacket { packet, gets_time: true, numbered, bytes };
    // Sound does not wait behind pictures.
    let queued = match consumer.kind {
        MediaKind::Audio => transport.enqueue(ctx.now, paced, ctx.out),
        MediaKind::Video => transport.send_paced(ctx.now, paced, ctx.out),
    };
    if let Some(packet) = &queued {
        consumer.on_queued(packet);
    }
    true
}
