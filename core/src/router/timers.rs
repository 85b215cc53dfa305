//! What a transport does by the clock: requests for lost packets, feedback, reports, and the time-outs of its parts.
use std::time::{Duration, Instant};

use super::{Context, Router};
use crate::arena::{Arena, Id};
use crate::consumer::Consumer;
use crate::event::Event;
use crate::id::{TransportId, tag};
use crate::producer::Producer;
use crate::transport::{TransportChange, WebRtcTransport};
use crate::wire::ntp::{self, NtpTime};
use crate::wire::rtcp::{
    Dlrr, ReportBlock, write_cname, write_dlrr, write_nack, write_receiver_report, write_remb, write_rrtr,
    write_sender_report,
};

/// An RTCP datagram is ended when it has become this long, in bytes, so that it stays below every path's MTU.
const FULL_REPORT_BYTES: usize = 1_000;

/// Report blocks in one datagram: 31 of 24 bytes (RFC 3550 section 6.4.2).
const MAX_BLOCKS: usize = 31;

/// A stream that brought nothing for this long has ended or been stopped: mediasoup's inactivity checks.
const SILENT_VIDEO: Duration = Duration::from_millis(1_500);

/// Audio pauses longer, by discontinuous transmission.
const SILENT_AUDIO: Duration = Duration::from_secs(5);

/// A sender is not told of more loss behind us than a quarter, in units of 1/256: redundancy does not help against more, and a
/// receiver that lies does no more harm.
const MOST_LOSS_BEHIND_US: u8 = 64;

impl Router {
    /// Fires what is due of a transport and sets its timer anew.
    pub fn handle_transport_timeout(&mut self, id: TransportId, ctx: &mut Context<'_>) -> TransportChange {
        let Some(transport) = self.transports.get_mut(id.own) else { return TransportChange::None };
        // Whatever is found due below must not keep the timer where it was.
        transport.rearm(ctx.now, None, ctx.out);
        let change = transport.handle_timeout(ctx.now, ctx.out);
        if change != TransportChange::None {
            return change;
        }
        let producers = std::mem::take(&mut transport.producers);
        for own in &producers {
            self.request_lost_packets(id, *own, ctx);
            self.repeat_keyframe_requests(*own, ctx);
        }
        let Some(transport) = self.transports.get_mut(id.own) else { return TransportChange::None };
        transport.producers = producers;
        let owned = transport.producers.iter().filter_map(|own| self.producers.get(*own));
        let encodings = owned.flat_map(|producer| &producer.encodings);
        let ssrcs: Vec<u32> = encodings.filter_map(|encoding| encoding.ssrc).collect();
        send_bandwidth_feedback(transport, &ssrcs, ctx);
        if transport.report_at.is_some_and(|at| at <= ctx.now) {
            self.send_reports(id, ctx);
        }
        self.see_to_bandwidth(id, ctx);
        let deadline = self.media_deadline(id);
        if let Some(transport) = self.transports.get_mut(id.own) {
            transport.rearm(ctx.now, deadline, ctx.out);
        }
        TransportChange::None
    }

    fn request_lost_packets(&mut self, id: TransportId, own: Id<tag::Producer>, ctx: &mut Context<'_>) {
        let count = self.producers.get(own).map_or(0, |producer| producer.encodings.len());
        for index in 0..count {
            let (Some(transport), Some(producer)) =
                (self.transports.get_mut(id.own), self.producers.get_mut(own))
            else {
                return;
            };
            let Some(encoding) = producer.encodings.get_mut(index) else { continue };
            let (Some(stream), Some(media_ssrc)) = (&mut encoding.stream, encoding.ssrc) else { continue };
            if stream.nack_deadline().is_none_or(|at| at > ctx.now) {
                continue;
            }
            self.scratch.clear();
            let poll = stream.poll_nack(ctx.now, transport.rtt(), &mut self.scratch);
            let (numbers, sender_ssrc) = (&self.scratch, transport.feedback_ssrc);
            if !numbers.is_empty() {
                transport
                    .send_rtcp(ctx.now, ctx.out, |bytes| write_nack(bytes, sender_ssrc, media_ssrc, numbers));
            }
            if poll.keyframe_needed && producer.is_video() && !producer.paused {
                self.on_given_up(own, index as u8, ctx);
            }
        }
    }

    /// Packets will not come any more: asks for the keyframe that somebody needs now.
    fn on_given_up(&mut self, own: Id<tag::Producer>, index: u8, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(own).filter(|producer| !producer.consumers.is_empty()) else {
            return;
        };
        let encoding = producer.encodings.get(usize::from(index));
        let Some(layers) = encoding.and_then(|encoding| encoding.lost_layers()) else {
            return self.request_keyframe(own, index, ctx);
        };
        for consumer in &producer.consumers {
            if let Some(consumer) = self.consumers.get_mut(*consumer) {
                consumer.on_lost(index, layers);
            }
        }
        self.request_keyframe_for_waiting(own, ctx);
    }

    fn repeat_keyframe_requests(&mut self, own: Id<tag::Producer>, ctx: &mut Context<'_>) {
        let count = self.producers.get(own).map_or(0, |producer| producer.encodings.len());
        for index in 0..count {
            let encoding = self.producers.get_mut(own).and_then(|producer| producer.encodings.get_mut(index));
            if encoding.is_some_and(|encoding| encoding.key_frames.poll(ctx.now)) {
                self.send_keyframe_request(own, index as u8, ctx);
            }
        }
    }

    fn send_reports(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let jitter = self.rng.next_u32();
        self.send_receiver_reports(id, ctx);
        self.send_sender_reports(id, ctx);
        self.report_producer_scores(id, ctx);
        if let Some(transport) = self.transports.get_mut(id.own) {
            transport.schedule_report(ctx.now, jitter, ctx.out);
        }
    }

    fn send_receiver_reports(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        let mut blocks: Vec<ReportBlock> = Vec::new();
        for own in &transport.producers {
            let Some(producer) = self.producers.get_mut(*own) else { continue };
            let loss_behind_us = worst_loss(producer, &self.consumers);
            for encoding in &mut producer.encodings {
                let Some(stream) = &mut encoding.stream else { continue };
                let [mut media, rtx] = stream.report_blocks(ctx.now);
                if let (Some(remb), Some(block)) = (&mut transport.remb, &media) {
                    remb.on_loss(ctx.now, block.fraction_lost);
                }
                if let Some(block) = &mut media {
                    block.fraction_lost = block.fraction_lost.max(loss_behind_us);
                }
                blocks.extend([media, rtx].into_iter().flatten());
            }
        }
        if blocks.is_empty() {
            return;
        }
        let sender_ssrc = transport.feedback_ssrc;
        let ntp_now = NtpTime(ctx.out.clock.ntp(ctx.now));
        for chunk in blocks.chunks(MAX_BLOCKS) {
            transport.send_rtcp(ctx.now, ctx.out, |bytes| {
                write_receiver_report(bytes, sender_ssrc, chunk);
                write_rrtr(bytes, sender_ssrc, ntp_now);
            });
        }
    }

    fn send_sender_reports(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        let ntp_now = NtpTime(ctx.out.clock.ntp(ctx.now));
        let mut consumers = transport.consumers.clone().into_iter().peekable();
        let reference = transport.receiver_reference;
        // Nothing is taken from the iterator where nothing can be sent.
        while transport.is_connected() && consumers.peek().is_some() {
            let all = &mut self.consumers;
            transport.send_rtcp(ctx.now, ctx.out, |bytes| {
                let start = bytes.len();
                let mut reported = Vec::new();
                for own in consumers.by_ref() {
                    let Some(stream) = all.get_mut(own).map(|consumer| &mut consumer.stream) else {
                        continue;
                    };
                    let Some(info) = stream.sender_report(ctx.now, ntp_now) else { continue };
                    write_sender_report(bytes, stream.ssrc(), &info, &[]);
                    write_cname(bytes, stream.ssrc(), stream.cname().as_bytes());
                    reported.push(stream.ssrc());
                    if bytes.len() - start >= FULL_REPORT_BYTES {
                        break;
                    }
                }
                if let (Some((last_rr, came_at)), [first, ..]) = (reference, reported.as_slice()) {
                    let delay = ntp::to_short_format(ctx.now.saturating_duration_since(came_at));
                    write_dlrr(bytes, *first, &[Dlrr { ssrc: *first, last_rr, delay_since_last_rr: delay }]);
                }
            });
        }
    }

    fn report_producer_scores(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let producers =
            self.transports.get(id.own).map(|transport| transport.producers.clone()).unwrap_or_default();
        for own in producers {
            let Some(producer) = self.producers.get_mut(own) else { continue };
            let mut changed = false;
            let silence = if producer.is_video() { SILENT_VIDEO } else { SILENT_AUDIO };
            let mut fell_silent = false;
            for encoding in &mut producer.encodings {
                let was_live = encoding.is_live;
                encoding.note_silence(ctx.now, silence);
                fell_silent |= was_live && !encoding.is_live;
                let score = encoding.score();
                changed |= std::mem::replace(&mut encoding.reported_score, score) != score;
            }
            if changed {
                ctx.out.event(Event::ProducerScore { producer_id: producer.id, scores: producer.scores() });
                for consumer in producer.consumers.clone() {
                    self.report_consumer_score(consumer, ctx);
                }
            }
            if fell_silent {
                self.choose_layers_of_producer(own, ctx);
            }
        }
    }

    /// Reports a consumer's score if it has changed.
    pub(super) fn report_consumer_score(&mut self, own: Id<tag::Consumer>, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(own) else { return };
        let Some(producer) = self.producers.get(consumer.producer) else { return };
        let score = consumer.score(producer);
        if consumer.reported_score.as_ref() != Some(&score) {
            consumer.reported_score = Some(score.clone());
            ctx.out.event(Event::ConsumerScore { consumer_id: consumer.id, score });
        }
    }

    fn media_deadline(&self, id: TransportId) -> Option<Instant> {
        let transport = self.transports.get(id.own)?;
        let feedback = transport.feedback.as_ref().and_then(|feedback| feedback.deadline());
        let remb = transport.remb.as_ref().and_then(|remb| remb.deadline());
        let encodings =
            transport.producers.iter().filter_map(|own| self.producers.get(*own)).flat_map(|p| &p.encodings);
        let streams = encodings.flat_map(|encoding| {
            [
                encoding.key_frames.deadline(),
                encoding.stream.as_ref().and_then(|stream| stream.nack_deadline()),
            ]
        });
        let outgoing = transport.bandwidth.deadline();
        let limit = transport.incoming_limit.deadline();
        [feedback, remb, limit, transport.report_at, outgoing].into_iter().chain(streams).flatten().min()
    }
}

/// The share that the worst of a producer's receivers misses of what is sent to it, for producers whose encoders help against
/// that: they decide by the fraction lost. The sum of packets lost stays that of their own path, by which bandwidth is
/// estimated.
fn worst_loss(producer: &Producer, consumers: &Arena<Consumer, tag::Consumer>) -> u8 {
    if !producer.uses_in_band_fec() {
        return 0;
    }
    let all = producer.consumers.iter().filter_map(|own| consumers.get(*own));
    let active = all.filter(|consumer| consumer.is_active());
    active.map(|consumer| consumer.stream.fraction_lost()).max().unwrap_or(0).min(MOST_LOSS_BEHIND_US)
}

fn send_bandwidth_feedback(transport: &mut WebRtcTransport, ssrcs: &[u32], ctx: &mut Context<'_>) {
    let sender_ssrc = transport.feedback_ssrc;
    if let Some(mut feedback) = transport.feedback.take() {
        // Several messages when many packets came: each is bounded by the MTU.
        while feedback.is_due(ctx.now) {
            let mut written = false;
            transport
                .send_rtcp(ctx.now, ctx.out, |bytes| written = feedback.write(ctx.now, bytes, sender_ssrc));
            if !written {
                break;
            }
            let (lost, packets) = feedback.reported();
            transport.counters.loss_received.add(lost, packets);
        }
        transport.feedback = Some(feedback);
    }
    let limit = transport.incoming_limit.poll(ctx.now);
    let estimate = transport.remb.as_mut().and_then(|remb| remb.poll(ctx.now));
    if let Some(bitrate_bps) = estimate.or(limit) {
        transport.send_rtcp(ctx.now, ctx.out, |bytes| write_remb(bytes, sender_ssrc, bitrate_bps, ssrcs));
    }
}
