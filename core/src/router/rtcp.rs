//! RTCP from clients.
use std::time::Duration;

use super::{Context, Router};
use crate::arena::Id;
use crate::id::{TransportId, tag};
use crate::stats::SfuStats;
use crate::wire::ntp::{self, NtpTime};
use crate::wire::rtcp::{self, ReportBlock, RtcpView, SenderInfo, XrBlock};

/// Sequence numbers taken from one NACK: the smallest that covers a client's whole reordering buffer.
const MAX_NACKED: usize = 1_024;

/// A longer round trip is a lie or a clock that jumped.
const MAX_RTT: Duration = Duration::from_secs(10);

impl Router {
    /// Takes a decrypted RTCP datagram that came by a transport.
    pub fn handle_rtcp(&mut self, id: TransportId, bytes: &[u8], ctx: &mut Context<'_>) {
        let mut understood = false;
        for packet in rtcp::packets(bytes) {
            understood = true;
            count(&packet, &mut ctx.out.stats);
            self.handle_rtcp_packet(id, &packet, ctx);
        }
        if understood {
            ctx.out.stats.rtcp_datagrams_received += 1;
        } else {
            ctx.out.stats.dropped_rtcp_malformed += 1;
        }
    }

    fn handle_rtcp_packet(&mut self, id: TransportId, packet: &RtcpView<'_>, ctx: &mut Context<'_>) {
        match packet {
            RtcpView::SenderReport(report) => {
                self.on_sender_report(id, report.ssrc, &report.info, ctx);
                self.on_report_blocks(id, report.report_blocks(), ctx);
            }
            RtcpView::ReceiverReport(report) => self.on_report_blocks(id, report.report_blocks(), ctx),
            RtcpView::Nack(nack) => {
                let Some(own) = self.consumer_of(id, nack.media_ssrc) else { return };
                let mut numbers = std::mem::take(&mut self.scratch);
                numbers.clear();
                numbers.extend(nack.sequence_numbers().take(MAX_NACKED));
                self.retransmit(own, &numbers, ctx);
                self.scratch = numbers;
            }
            RtcpView::Pli(pli) => self.on_keyframe_request(id, pli.media_ssrc, false, ctx),
            RtcpView::Fir(fir) => {
                for entry in fir.entries() {
                    self.on_keyframe_request(id, entry.ssrc, true, ctx);
                }
            }
            RtcpView::Remb(remb) => {
                if let Some(transport) = self.transports.get_mut(id.own) {
                    transport.bandwidth.estimator.on_remb(ctx.now, remb.bitrate_bps);
                    self.on_bandwidth_feedback(id, ctx);
                }
            }
            RtcpView::TransportFeedback(feedback) => {
                if let Some(transport) = self.transports.get_mut(id.own) {
                    transport.bandwidth.estimator.on_feedback(ctx.now, feedback);
                    let lost = feedback.packets().filter(|(_, delta)| delta.is_none()).count();
                    let packets = usize::from(feedback.packet_status_count);
                    transport.counters.loss_sent.add(lost, packets);
                    self.on_bandwidth_feedback(id, ctx);
                }
            }
            RtcpView::ExtendedReport(report) => {
                for block in report.blocks() {
                    self.on_extended_report_block(id, &block, ctx);
                }
            }
            // What a source calls itself was signalled; that it leaves will be.
            _ => {}
        }
    }

    fn on_sender_report(&mut self, id: TransportId, ssrc: u32, info: &SenderInfo, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        let Some(stream) = transport.streams.get(ssrc).filter(|stream| !stream.is_rtx) else { return };
        let producer = self.producers.get_mut(stream.producer);
        let encoding = producer.and_then(|producer| producer.encodings.get_mut(usize::from(stream.encoding)));
        if let Some(received) = encoding.and_then(|encoding| encoding.stream.as_mut()) {
            received.on_sender_report(ctx.now, *info);
        }
    }

    fn on_report_blocks(
        &mut self,
        id: TransportId,
        blocks: impl Iterator<Item = ReportBlock>,
        ctx: &mut Context<'_>,
    ) {
        for block in blocks {
            let Some(own) = self.consumer_of(id, block.ssrc) else { continue };
            let Some(consumer) = self.consumers.get_mut(own) else { continue };
            let rtt = consumer.stream.on_receiver_report(ctx.now, &block);
            if let Some(transport) = self.transports.get_mut(id.own) {
                transport.bandwidth.estimator.on_loss_report(ctx.now, block.fraction_lost);
                if let Some(rtt) = rtt {
                    transport.on_rtt(ctx.now, rtt);
                }
            }
            self.report_consumer_score(own, ctx);
        }
    }

    fn on_keyframe_request(&mut self, id: TransportId, ssrc: u32, is_fir: bool, ctx: &mut Context<'_>) {
        let Some(own) = self.consumer_of(id, ssrc) else { return };
        let Some(consumer) = self.consumers.get_mut(own) else { return };
        if is_fir {
            consumer.stream.on_fir_received()
        } else {
            consumer.stream.on_pli_received()
        }
        if consumer.is_active() {
            let (producer, encoding) = (consumer.producer, consumer.encoding());
            self.request_keyframe(producer, encoding, ctx);
        }
    }

    fn on_extended_report_block(&mut self, id: TransportId, block: &XrBlock<'_>, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        match block {
            XrBlock::ReceiverReferenceTime(ntp) => {
                transport.receiver_reference = Some((ntp.middle_32(), ctx.now))
            }
            XrBlock::Dlrr(blocks) => {
                let now = NtpTime(ctx.out.clock.ntp(ctx.now)).middle_32();
                let own =
                    blocks.iter().find(|dlrr| dlrr.ssrc == transport.feedback_ssrc && dlrr.last_rr != 0);
                if let Some(dlrr) = own {
                    // RFC 3611 section 4.5, in units of 1/65536 s; a client that lies gives a time that is not believed.
                    let units = now.wrapping_sub(dlrr.last_rr).wrapping_sub(dlrr.delay_since_last_rr);
                    let rtt = ntp::from_short_format(units);
                    if rtt < MAX_RTT {
                        transport.on_rtt(ctx.now, rtt);
                    }
                }
            }
        }
    }

    fn consumer_of(&self, id: TransportId, ssrc: u32) -> Option<Id<tag::Consumer>> {
        self.transports.get(id.own)?.consumer_ssrcs.get(&ssrc).copied()
    }
}

fn count(packet: &RtcpView<'_>, stats: &mut SfuStats) {
    match packet {
        RtcpView::SenderReport(_) | RtcpView::ReceiverReport(_) => stats.rtcp_reports_received += 1,
        RtcpView::Nack(_) => stats.rtcp_nacks_received += 1,
        RtcpView::Pli(_) | RtcpView::Fir(_) => stats.rtcp_key_frame_requests_received += 1,
        RtcpView::Remb(_) | RtcpView::TransportFeedback(_) => stats.rtcp_bandwidth_messages_received += 1,
        _ => {}
    }
}
