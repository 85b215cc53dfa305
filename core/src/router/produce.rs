//! Producers: making, pausing, closing.
use std::time::Duration;

use super::{Context, Router, layers, remove_from};
use crate::arena::Id;
use crate::bwe::feedback::TransportFeedbackRecorder;
use crate::bwe::remb::RembEstimator;
use crate::error::RequestError;
use crate::event::{CloseReason, Event};
use crate::id::{ConsumerId, ProducerId, TransportId, tag};
use crate::model::{ProducerData, ProducerOptions};
use crate::ortc::{self, HeaderExtensionUri, RtpParameters};
use crate::producer::{Producer, ProducerParams};
use crate::transport::WebRtcTransport;

impl Router {
    /// Makes a producer on a transport.
    pub fn produce(
        &mut self,
        id: TransportId,
        options: ProducerOptions,
        ctx: &mut Context<'_>,
    ) -> Result<ProducerId, RequestError> {
        let limit = ctx.config.max_producers_per_transport;
        if self.transport(id)?.producers.len() >= limit {
            return Err(RequestError::limit("producers per transport", limit));
        }
        let rng = &mut self.rng;
        let plan =
            ortc::negotiate_producer(options.kind, options.rtp_parameters, &self.rtp_capabilities, || {
                rng.next_u32()
            })?;
        let mut parameters = plan.rtp_parameters;
        let transport =
            self.transports.get_mut(id.own).ok_or_else(|| RequestError::not_found("transport"))?;
        let others = transport.producers.iter().filter_map(|own| self.producers.get(*own));
        ortc::check_unique_in_transport(&parameters, others.map(|producer| &producer.rtp_parameters))?;
        transport.cname.settle(&mut parameters, || self.rng.next_u32());
        let mut consumable = plan.consumable_rtp_parameters;
        consumable.rtcp.cname.clone_from(&parameters.rtcp.cname);
        prepare_feedback(transport, &parameters, ctx);
        let interval = options.key_frame_request_delay_ms.map(|ms| Duration::from_millis(u64::from(ms)));
        let own = self.producers.insert_with(|own| {
            transport.streams.add(own, &parameters);
            let params = ProducerParams {
                id: ProducerId { router: self.id, own },
                transport: id.own,
                kind: options.kind,
                r#type: plan.producer_type,
                rtp_parameters: parameters,
                consumable,
                mapping: plan.mapping,
                paused: options.paused,
                key_frame_request_interval: interval.unwrap_or(ctx.config.key_frame_request_interval),
                app_data: options.app_data,
            };
            Producer::new(params, ctx.config)
        });
        transport.producers.push(own);
        Ok(ProducerId { router: self.id, own })
    }

    /// Stops or goes on forwarding a producer.
    pub fn set_producer_paused(
        &mut self,
        id: ProducerId,
        paused: bool,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        let producer = self.producers.get_mut(id.own).ok_or_else(|| RequestError::not_found("producer"))?;
        if producer.paused == paused {
            return Ok(());
        }
        producer.paused = paused;
        for own in producer.consumers.clone() {
            let Some(consumer) = self.consumers.get_mut(own) else { continue };
            consumer.set_producer_paused(paused);
            layers::report_layers(consumer, ctx);
            let consumer_id = consumer.id;
            if paused {
                let transport = consumer.transport;
                if let Some(transport) = self.transports.get_mut(transport) {
                    transport.drop_queued(own);
                }
                ctx.out.event(Event::ConsumerProducerPaused { consumer_id });
            } else {
                ctx.out.event(Event::ConsumerProducerResumed { consumer_id });
            }
            // What it took is for the others now, or the other way round.
            self.choose_layers(own, ctx);
        }
        Ok(())
    }

    /// Closes a producer; its consumers close with an event each.
    pub fn close_producer(&mut self, id: ProducerId, ctx: &mut Context<'_>) -> Result<(), RequestError> {
        self.remove_producer(id, ctx).map(|_| ()).ok_or_else(|| RequestError::not_found("producer"))
    }

    /// What can be read of a producer.
    pub fn producer_data(&self, id: ProducerId) -> Result<ProducerData, RequestError> {
        let producer = self.producer(id)?;
        Ok(ProducerData {
            id,
            transport_id: TransportId { router: self.id, own: producer.transport },
            kind: producer.kind,
            r#type: producer.r#type,
            rtp_parameters: producer.rtp_parameters.clone(),
            consumable_rtp_parameters: producer.consumable.clone(),
            paused: producer.paused,
            score: producer.scores(),
            app_data: producer.app_data.clone(),
        })
    }

    pub(super) fn remove_producer(&mut self, id: ProducerId, ctx: &mut Context<'_>) -> Option<Producer> {
        let consumers = self.producers.get(id.own)?.consumers.clone();
        for own in consumers {
            let consumer_id = ConsumerId { router: self.id, own };
            if self.remove_consumer(consumer_id).is_some() {
                ctx.out.event(Event::ConsumerClosed { consumer_id, reason: CloseReason::ProducerClosed });
            }
        }
        let producer = self.producers.remove(id.own)?;
        if let Some(transport) = self.transports.get_mut(producer.transport) {
            forget_streams(transport, id.own, &producer);
        }
        Some(producer)
    }
}

fn forget_streams(transport: &mut WebRtcTransport, own: Id<tag::Producer>, producer: &Producer) {
    remove_from(&mut transport.producers, own);
    let ssrcs = producer.encodings.iter().flat_map(|encoding| [encoding.ssrc, encoding.rtx_ssrc]).flatten();
    transport.streams.remove(own, ssrcs);
}

/// Feedback about bandwidth: transport-wide if the client numbers its packets so, else REMB if it understands that.
fn prepare_feedback(transport: &mut WebRtcTransport, parameters: &RtpParameters, ctx: &Context<'_>) {
    let understands = |kind| parameters.codecs.iter().any(|codec| codec.has_feedback(kind, ""));
    let id = parameters.header_extension_id(HeaderExtensionUri::TransportCc);
    match id {
        Some(id) if understands("transport-cc") => {
            transport.transport_sequence_id = id;
            if transport.remb.take().is_some() {
                transport.incoming_limit.replace_estimate();
            }
            transport.feedback.get_or_insert_with(|| TransportFeedbackRecorder::new(ctx.now));
        }
        _ if understands("goog-remb") && transport.feedback.is_none() => {
            let limit = transport.incoming_limit.limit_bps();
            transport.remb.get_or_insert_with(|| RembEstimator::new(limit));
        }
        _ => {}
    }
}
