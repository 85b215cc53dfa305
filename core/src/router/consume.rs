//! Consumers: making, pausing, closing, asking for keyframes.
use super::{Context, Router, layers, remove_from};
use crate::arena::Id;
use crate::consumer::{Consumer, ConsumerParams};
use crate::error::RequestError;
use crate::id::{ConsumerId, ProducerId, TransportId, tag};
use crate::model::{ConsumerData, ConsumerOptions};
use crate::ortc::{self, ConsumerType, HeaderExtensionUri, RtpCapabilities, RtpParameters};
use crate::transport::BandwidthFeedback;
use crate::wire::rtcp::{FirEntry, Pli, write_fir, write_pli};

impl Router {
    /// Makes a consumer on a transport.
    pub fn consume(
        &mut self,
        id: TransportId,
        options: ConsumerOptions,
        ctx: &mut Context<'_>,
    ) -> Result<ConsumerId, RequestError> {
        let limit = ctx.config.max_consumers_per_transport;
        let transport = self.transport(id)?;
        if transport.consumers.len() >= limit {
            return Err(RequestError::limit("consumers per transport", limit));
        }
        let producer =
            self.producers.get(options.producer_id.own).ok_or_else(|| RequestError::not_found("producer"))?;
        let negotiation = ortc::ConsumerOptions {
            enable_rtx: options.enable_rtx.unwrap_or(producer.is_video()),
            use_remote_ids: options.use_remote_ids,
            ssrc: options.ssrc,
            ..ortc::ConsumerOptions::default()
        };
        let (consumable, remote) = (&producer.consumable, &options.rtp_capabilities);
        let stored_payload_types = stored_payload_types(consumable, remote, &negotiation)?;
        let consumer_type = ConsumerType::from(producer.r#type);
        let rng = &mut self.rng;
        let mut parameters =
            ortc::consumer_rtp_parameters(consumable, remote, &negotiation, || rng.next_u32())?;
        let (transports, consumers, producers) =
            (&mut self.transports, &mut self.consumers, &mut self.producers);
        let transport = transports.get_mut(id.own).ok_or_else(|| RequestError::not_found("transport"))?;
        parameters.mid = Some(transport.mids.allocate(options.mid.as_deref())?);
        let Some(producer) = producers.get_mut(options.producer_id.own) else {
            return Err(RequestError::not_found("producer"));
        };
        let own = consumers.insert_with(|own| {
            let params = ConsumerParams {
                id: ConsumerId { router: self.id, own },
                transport: id.own,
                r#type: consumer_type,
                rtp_parameters: parameters,
                stored_payload_types,
                paused: options.paused,
                preferred_layers: options.preferred_layers,
                app_data: options.app_data,
            };
            Consumer::new(params, producer, &mut self.rng)
        });
        producer.consumers.push(own);
        transport.consumers.push(own);
        if let Some(consumer) = consumers.get(own) {
            if let Some(feedback) = bandwidth_feedback(&consumer.rtp_parameters) {
                transport.bandwidth.enable(feedback);
            }
            for ssrc in [Some(consumer.stream.ssrc()), consumer.stream.rtx_ssrc()].into_iter().flatten() {
                transport.consumer_ssrcs.insert(ssrc, own);
            }
        }
        self.choose_layers(own, ctx);
        Ok(ConsumerId { router: self.id, own })
    }

    /// Whether a client of these capabilities can consume a producer.
    pub fn can_consume(&self, id: ProducerId, remote: &RtpCapabilities) -> bool {
        self.producer(id).is_ok_and(|producer| ortc::can_consume(&producer.consumable, remote))
    }

    /// Stops or goes on sending.
    pub fn set_consumer_paused(
        &mut self,
        id: ConsumerId,
        paused: bool,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        let consumer = self.consumer_mut(id)?;
        if !consumer.set_paused(paused) {
            return Ok(());
        }
        layers::report_layers(consumer, ctx);
        let transport = consumer.transport;
        if let Some(transport) = self.transports.get_mut(transport).filter(|_| paused) {
            transport.drop_queued(id.own);
        }
        // What it took is for the others now, or the other way round.
        self.choose_layers(id.own, ctx);
        Ok(())
    }

    /// Closes a consumer.
    pub fn close_consumer(&mut self, id: ConsumerId) -> Result<(), RequestError> {
        self.remove_consumer(id).map(|_| ()).ok_or_else(|| RequestError::not_found("consumer"))
    }

    /// Asks for a keyframe of what a consumer forwards.
    pub fn request_consumer_key_frame(
        &mut self,
        id: ConsumerId,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        let consumer = self.consumer(id)?;
        if consumer.is_active() {
            let (producer, encoding) = (consumer.producer, consumer.encoding());
            self.request_keyframe(producer, encoding, ctx);
        }
        Ok(())
    }

    /// What can be read of a consumer.
    pub fn consumer_data(&self, id: ConsumerId) -> Result<ConsumerData, RequestError> {
        let consumer = self.consumer(id)?;
        let producer_id = ProducerId { router: self.id, own: consumer.producer };
        let producer = self.producer(producer_id)?;
        Ok(ConsumerData {
            id,
            producer_id,
            transport_id: TransportId { router: self.id, own: consumer.transport },
            kind: consumer.kind,
            r#type: consumer.r#type,
            rtp_parameters: consumer.rtp_parameters.clone(),
            paused: consumer.paused,
            producer_paused: consumer.producer_paused,
            priority: consumer.priority,
            score: consumer.score(producer),
            preferred_layers: consumer.selection.has_layers().then(|| consumer.selection.preferred()),
            current_layers: consumer.selection.current_layers(),
            app_data: consumer.app_data.clone(),
        })
    }

    pub(super) fn remove_consumer(&mut self, id: ConsumerId) -> Option<Consumer> {
        let consumer = self.consumers.remove(id.own)?;
        if let Some(producer) = self.producers.get_mut(consumer.producer) {
            remove_from(&mut producer.consumers, id.own);
        }
        if let Some(transport) = self.transports.get_mut(consumer.transport) {
            remove_from(&mut transport.consumers, id.own);
            transport.drop_queued(id.own);
            for ssrc in [Some(consumer.stream.ssrc()), consumer.stream.rtx_ssrc()].into_iter().flatten() {
                transport.consumer_ssrcs.remove(&ssrc);
            }
        }
        Some(consumer)
    }

    pub(super) fn request_keyframe_if_needed(&mut self, own: Id<tag::Consumer>, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get(own) else { return };
        let Some(encoding) = consumer.needs_keyframe_of() else { return };
        let transport = self.transports.get(consumer.transport);
        if transport.is_some_and(|transport| transport.is_connected()) {
            self.request_keyframe(consumer.producer, encoding, ctx);
        }
    }

    /// Asks for keyframes of those encodings of a producer that consumers wait for.
    pub(super) fn request_keyframe_for_waiting(&mut self, own: Id<tag::Producer>, ctx: &mut Context<'_>) {
        let consumers =
            self.producers.get(own).map(|producer| producer.consumers.clone()).unwrap_or_default();
        for consumer in consumers {
            self.request_keyframe_if_needed(consumer, ctx);
        }
    }

    /// Asks the client for a keyframe, unless it was asked for just now: then it is asked for again when the time has passed, if
    /// none has come.
    pub(super) fn request_keyframe(&mut self, own: Id<tag::Producer>, encoding: u8, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(own) else { return };
        let Some(transport) = self.transports.get_mut(producer.transport) else { return };
        let Some(stream) = producer.encodings.get_mut(usize::from(encoding)) else { return };
        // Nobody to ask yet: asked for when the transport connects or the stream appears.
        if !transport.is_connected() || stream.ssrc.is_none() {
            return;
        }
        let send = stream.key_frames.request(ctx.now);
        transport.wake_by(stream.key_frames.deadline(), ctx.out);
        if send {
            self.send_keyframe_request(own, encoding, ctx);
        }
    }

    pub(super) fn send_keyframe_request(
        &mut self,
        own: Id<tag::Producer>,
        encoding: u8,
        ctx: &mut Context<'_>,
    ) {
        let Some(producer) = self.producers.get_mut(own) else { return };
        let understands_pli = producer.understands_pli();
        let Some(transport) = self.transports.get_mut(producer.transport) else { return };
        let Some(stream) = producer.encodings.get_mut(usize::from(encoding)) else { return };
        let Some(media_ssrc) = stream.ssrc else { return };
        let sender_ssrc = transport.feedback_ssrc;
        if understands_pli {
            transport.send_rtcp(ctx.now, ctx.out, |bytes| write_pli(bytes, Pli { sender_ssrc, media_ssrc }));
        } else {
            let entry = FirEntry { ssrc: media_ssrc, sequence_number: stream.next_fir_sequence() };
            transport.send_rtcp(ctx.now, ctx.out, |bytes| write_fir(bytes, sender_ssrc, &[entry]));
        }
        if let Some(received) = &mut stream.stream {
            if understands_pli { received.on_pli_sent() } else { received.on_fir_sent() }
        }
    }
}

/// How a client that receives by these parameters tells of its bandwidth.
fn bandwidth_feedback(parameters: &RtpParameters) -> Option<BandwidthFeedback> {
    let understands = |kind| parameters.codecs.iter().any(|codec| codec.has_feedback(kind, ""));
    let has = |uri| parameters.header_extension_id(uri).is_some();
    if understands("transport-cc") && has(HeaderExtensionUri::TransportCc) {
        return Some(BandwidthFeedback::TransportWide);
    }
    let estimates = understands("goog-remb") && has(HeaderExtensionUri::AbsSendTime);
    estimates.then_some(BandwidthFeedback::Estimate)
}

/// The router's payload types of the media codecs that a consumer gets, in their order: by them its packets are stored.
fn stored_payload_types(
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    options: &ortc::ConsumerOptions,
) -> Result<Vec<u8>, RequestError> {
    let by_router = ortc::ConsumerOptions { use_remote_ids: false, ..options.clone() };
    // Only the payload types are looked at, so the SSRCs may be any.
    let parameters = ortc::consumer_rtp_parameters(consumable, remote, &by_router, || 0)?;
    Ok(parameters.codecs.iter().filter(|codec| !codec.is_rtx()).map(|codec| codec.payload_type).collect())
}
