//! The choice of layers: what each consumer is to send of what its producer offers.
use std::time::Instant;

use super::{Context, Router};
use crate::arena::Id;
use crate::consumer::{ClimbHold, Consumer, Selected};
use crate::error::RequestError;
use crate::event::{ConsumerLayers, Event};
use crate::id::{ConsumerId, tag};
use crate::ortc::ConsumerType;
use crate::producer::Producer;
use crate::stream::frame::LayersSet;

impl Router {
    /// Other layers are wished for.
    pub fn set_preferred_layers(
        &mut self,
        id: ConsumerId,
        layers: ConsumerLayers,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        let consumer = self.consumer_mut(id)?;
        consumer.selection.prefer(layers);
        consumer.climb = ClimbHold::default();
        self.choose_layers(id.own, ctx);
        Ok(())
    }

    /// Another share when bandwidth is short.
    pub fn set_priority(
        &mut self,
        id: ConsumerId,
        priority: u8,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        let consumer = self.consumer_mut(id)?;
        if priority == 0 {
            return Err(RequestError::invalid("priority must be 1 to 255"));
        }
        consumer.priority = priority;
        self.choose_layers(id.own, ctx);
        Ok(())
    }

    /// Chooses anew for all who consume a producer: one of its encodings has come to life or fallen silent, or layers of it have.
    pub(super) fn choose_layers_of_producer(&mut self, own: Id<tag::Producer>, ctx: &mut Context<'_>) {
        let consumers =
            self.producers.get(own).map(|producer| producer.consumers.clone()).unwrap_or_default();
        for consumer in consumers {
            let layered = self.consumers.get(consumer).filter(|consumer| consumer.selection.has_layers());
            if let Some(transport) = layered.map(|consumer| consumer.transport) {
                self.share_bandwidth(transport, ctx);
            }
        }
    }

    /// Chooses anew for a consumer, and with it for all that share its path, and asks for the keyframe that this needs.
    pub(super) fn choose_layers(&mut self, own: Id<tag::Consumer>, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get(own) else { return };
        let transport = consumer.transport;
        self.share_bandwidth(transport, ctx);
        self.request_keyframe_if_needed(own, ctx);
    }
}

/// Tells the owner which layers are sent, if that has changed.
pub(super) fn report_layers(consumer: &mut Consumer, ctx: &mut Context<'_>) {
    let layers = consumer.selection.current_layers();
    if consumer.reported_layers != layers {
        consumer.reported_layers = layers;
        ctx.out.event(Event::ConsumerLayersChanged { consumer_id: consumer.id, layers });
    }
}

/// The steps that a consumer can be given, the least first, each with its rate in bits a second: everything within the preferred
/// layers that is sent at present, or of simulcast where nothing within them is there, the next higher encoding. With `limited`, steps of which the rate
/// is not known yet are left out, but for the first.
pub(super) fn ladder(
    consumer: &Consumer,
    producer: &Producer,
    limited: bool,
    now: Instant,
) -> Vec<(ConsumerLayers, u64)> {
    let selection = &consumer.selection;
    let preferred = selection.preferred();
    let mut spatial_layers: Vec<u8> = (0..=preferred.spatial_layer).collect();
    if consumer.r#type == ConsumerType::Svc {
        // What is above the nearest layer that is sent is as good as that.
        let active = producer.active_layers(0);
        let is_sent = |layer: u8| !active.intersection(LayersSet::row(layer)).is_empty();
        spatial_layers.retain(|layer| is_sent(*layer) || *layer == 0);
    }
    if selection.is_simulcast() {
        spatial_layers.retain(|encoding| producer.is_live(*encoding));
        let higher = preferred.spatial_layer + 1..=selection.top().0;
        let next = higher.into_iter().find(|encoding| producer.is_live(*encoding));
        match next {
            Some(next) if spatial_layers.is_empty() => spatial_layers.push(next),
            None if spatial_layers.is_empty() => spatial_layers.push(preferred.spatial_layer),
            _ => {}
        }
    }
    let mut steps = Vec::new();
    for spatial_layer in spatial_layers {
        for temporal_layer in 0..=preferred.temporal_layer.unwrap_or(0) {
            let layers = ConsumerLayers { spatial_layer, temporal_layer: Some(temporal_layer) };
            let Selected { encoding, layers: selected } = selection.selected(layers);
            let rates = producer.encodings.get(usize::from(encoding)).map(|encoding| &encoding.rates);
            let rate_bps = rates.map_or(0, |rates| rates.rate_bps(now, selected));
            if rate_bps > 0 || !limited || steps.is_empty() {
                steps.push((layers, rate_bps));
            }
        }
    }
    steps
}
