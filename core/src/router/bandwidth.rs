//! The bandwidth towards the clients: feedback, sharing out, pacing, probes.
use std::time::Instant;

use super::layers::{ladder, report_layers};
use super::{Context, Router};
use crate::allocate::{Demand, allocate};
use crate::arena::Id;
use crate::error::RequestError;
use crate::event::{ConsumerLayers, Event};
use crate::id::{TransportId, tag};
use crate::outbox::Content;
use crate::transport::PacedPacket;

/// Where no limit is known: more than any sum of streams.
const PLENTY_BPS: u64 = 1_000_000_000_000;

/// A transport's consumers that can be given more or less.
struct Ladders {
    /// Who, and what each step of its demand is.
    consumers: Vec<(Id<tag::Consumer>, Vec<ConsumerLayers>)>,
    demands: Vec<Demand>,
    /// What the others take, in bits a second.
    fixed_bps: u64,
}

impl Router {
    /// Limits the estimate of the bandwidth towards a client.
    ///
    /// Errors: a lowest above the highest; no such transport.
    pub fn set_outgoing_bitrate_limits(
        &mut self,
        id: TransportId,
        min_bps: Option<u64>,
        max_bps: Option<u64>,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        let transport = self.transport_mut(id)?;
        if min_bps.zip(max_bps).is_some_and(|(min, max)| min > max) {
            return Err(RequestError::invalid("the lowest outgoing bitrate is above the highest"));
        }
        transport.bandwidth.set_limits(ctx.now, min_bps, max_bps);
        self.share_bandwidth(id.own, ctx);
        Ok(())
    }

    /// The client has told of its bandwidth.
    pub(super) fn on_bandwidth_feedback(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        transport.bandwidth.on_told();
        transport.bandwidth.note_change(ctx.now);
        self.see_to_bandwidth(id, ctx);
    }

    /// Does what is due: packets whose turn has come, padding, sharing out.
    pub(super) fn see_to_bandwidth(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        transport.bandwidth.estimator.handle_timeout(ctx.now);
        transport.bandwidth.note_change(ctx.now);
        if transport.bandwidth.is_allocation_due(ctx.now) {
            self.share_bandwidth(id.own, ctx);
        }
        self.release_paced(id, ctx);
        self.probe(id, ctx);
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        if let Some(report) = transport.bandwidth.report(ctx.now) {
            ctx.out.event(Event::Bandwidth {
                transport_id: id,
                desired_bitrate: report.desired_bps,
                effective_desired_bitrate: report.effective_desired_bps,
                available_bitrate: report.available_bps,
            });
        }
        transport.wake_for_bandwidth(ctx.now, ctx.out);
    }

    /// Shares the bandwidth towards a client out among what it consumes.
    pub(super) fn share_bandwidth(&mut self, own: Id<tag::Transport>, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get(own) else { return };
        let available_bps = transport.bandwidth.available_bps();
        let ladders = self.ladders(&transport.consumers, available_bps.is_some(), ctx.now);
        let taken_bps = ladders.fixed_bps + transport.bandwidth.resent_bps(ctx.now);
        let left_bps = available_bps.unwrap_or(PLENTY_BPS).saturating_sub(taken_bps);
        let mut shares = allocate(left_bps, &ladders.demands);
        // Something that the client tells of has to flow, or it will never be known that the path has become better.
        if shares.iter().all(Option::is_none)
            && let Some(index) = most_urgent(&ladders.demands)
            && let Some(share) = shares.get_mut(index)
        {
            *share = Some(0);
        }
        let top = |demand: &Demand| demand.rates_bps.iter().copied().max().unwrap_or(0);
        let wanted_bps = ladders.fixed_bps + ladders.demands.iter().map(top).sum::<u64>();
        if let Some(transport) = self.transports.get_mut(own) {
            transport.bandwidth.on_allocated(ctx.now, wanted_bps, !ladders.demands.is_empty());
            transport.wake_for_bandwidth(ctx.now, ctx.out);
        }
        for (((consumer, steps), demand), share) in
            ladders.consumers.into_iter().zip(ladders.demands).zip(shares)
        {
            let layers = |step: Option<usize>| step.and_then(|step| steps.get(step).copied());
            let spatial = |step| layers(step).map_or(0, |layers| layers.spatial_layer);
            if spatial(share) < spatial(demand.current)
                && let Some(consumer) = self.consumers.get_mut(consumer)
            {
                consumer.climb.on_pushed_down(ctx.now);
            }
            self.give(consumer, layers(share), ctx);
        }
    }

    fn give(&mut self, own: Id<tag::Consumer>, layers: Option<ConsumerLayers>, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(own) else { return };
        if consumer.selection.target_layers() != layers {
            consumer.selection.set_target(layers);
            report_layers(consumer, ctx);
        }
        // Also where nothing has changed: the keyframe that was asked for may have come in a way that it could not be used.
        self.request_keyframe_if_needed(own, ctx);
    }

    /// `limited`: what is not known to fit is not offered.
    fn ladders(&self, consumers: &[Id<tag::Consumer>], limited: bool, now: Instant) -> Ladders {
        let mut ladders = Ladders { consumers: Vec::new(), demands: Vec::new(), fixed_bps: 0 };
        for own in consumers {
            let Some(consumer) = self.consumers.get(*own).filter(|consumer| consumer.is_active()) else {
                continue;
            };
            let Some(producer) = self.producers.get(consumer.producer) else { continue };
            if !consumer.selection.has_layers() {
                ladders.fixed_bps += consumer.stream.bitrate_bps(now);
                continue;
            }
            let steps = ladder(consumer, producer, limited, now);
            let target = consumer.selection.target_layers();
            let current = steps.iter().position(|(layers, _)| Some(*layers) == target);
            let highest = current.or(Some(0)).and_then(|step| steps.get(step));
            let highest = highest.filter(|_| limited && consumer.climb.is_held(now));
            let may_have = |step: &&(ConsumerLayers, u64)| {
                highest.is_none_or(|(highest, _)| step.0.spatial_layer <= highest.spatial_layer)
            };
            let allowed = steps.iter().take_while(may_have).count();
            let (layers, rates_bps) = steps.into_iter().unzip();
            ladders.demands.push(Demand { priority: consumer.priority, rates_bps, current, allowed });
            ladders.consumers.push((*own, layers));
        }
        ladders
    }

    fn release_paced(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        let send_time = ctx.out.clock.abs_send_time(ctx.now);
        while let Some(mut paced) = transport.bandwidth.release(ctx.now) {
            let Some(consumer) = self.consumers.get_mut(paced.packet.consumer) else { continue };
            if paced.gets_time {
                paced.packet.abs_send_time = send_time;
            }
            if let Some(packet) = transport.enqueue(ctx.now, paced, ctx.out) {
                consumer.on_queued(&packet);
            }
        }
    }

    fn probe(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let send_time = ctx.out.clock.abs_send_time(ctx.now);
        let Some(transport) = self.transports.get_mut(id.own).filter(|transport| transport.is_connected())
        else {
            return;
        };
        while let Some(probe) = transport.bandwidth.poll_probe(ctx.now) {
            let consumers = &mut self.consumers;
            let can_probe = |own: &&Id<tag::Consumer>| {
                consumers.get(**own).is_some_and(|consumer| {
                    consumer.is_active()
                        && consumer.stream.rtx_ssrc().is_some()
                        && consumer.layout.has_transport_sequence()
                })
            };
            let flows = |own: &&Id<tag::Consumer>| {
                consumers.get(**own).is_some_and(|consumer| consumer.selection.current().is_some())
            };
            let all = || transport.consumers.iter().filter(can_probe);
            let Some(own) = all().find(flows).or_else(|| all().next()).copied() else { return };
            let Some(consumer) = consumers.get_mut(own) else { return };
            let Some(producer) = self.producers.get(consumer.producer) else { return };
            // What waits has numbers that have not been sent.
            let may_repeat = transport.bandwidth.waiting() == 0;
            let Some(packet) = consumer.probe(probe.bytes, producer, send_time, may_repeat) else { return };
            let payload = match packet.content {
                Content::Padding(length) => usize::from(length),
                _ => 2 + producer.stored_payload_len(&packet),
            };
            let bytes = payload + consumer.layout.overhead_bytes();
            let paced = PacedPacket { packet, gets_time: true, numbered: true, bytes };
            if transport.enqueue(ctx.now, paced, ctx.out).is_none() {
                return;
            }
        }
    }
}

/// The first of the highest priority that has anything to send.
fn most_urgent(demands: &[Demand]) -> Option<usize> {
    let sendable = demands.iter().enumerate().filter(|(_, demand)| !demand.rates_bps.is_empty());
    sendable.rev().max_by_key(|(_, demand)| demand.priority).map(|(index, _)| index)
}
