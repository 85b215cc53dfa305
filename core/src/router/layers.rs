//! The choice of layers: what each consumer is to send of what its producer offers.
use super::{Context, Router};
use crate::arena::Id;
use crate::consumer::Consumer;
use crate::error::RequestError;
use crate::event::{ConsumerLayers, Event};
use crate::id::{ConsumerId, tag};
use crate::producer::Producer;

impl Router {
    /// Other layers are wished for.
    pub fn set_preferred_layers(
        &mut self,
        id: ConsumerId,
        layers: ConsumerLayers,
        ctx: &mut Context<'_>,
    ) -> Result<(), RequestError> {
        self.consumer_mut(id)?.selection.prefer(layers);
        self.choose_layers(id.own, ctx);
        Ok(())
    }

    /// Chooses anew for all who consume a producer: one of its encodings has come to life or fallen silent.
    pub(super) fn choose_layers_of_producer(&mut self, own: Id<tag::Producer>, ctx: &mut Context<'_>) {
        let consumers =
            self.producers.get(own).map(|producer| producer.consumers.clone()).unwrap_or_default();
        for consumer in consumers {
            self.choose_layers(consumer, ctx);
        }
    }

    /// Chooses anew for one consumer, and asks for the keyframe that this needs.
    pub(super) fn choose_layers(&mut self, own: Id<tag::Consumer>, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(own).filter(|consumer| consumer.selection.has_layers())
        else {
            return;
        };
        let Some(producer) = self.producers.get(consumer.producer) else { return };
        let layers = available_layers(consumer, producer);
        consumer.selection.set_target(Some(layers));
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

/// The preferred layers, or of simulcast the best encoding that is there: the next lower one, else the next higher one.
fn available_layers(consumer: &Consumer, producer: &Producer) -> ConsumerLayers {
    let preferred = consumer.selection.preferred();
    if !consumer.selection.is_simulcast() {
        return preferred;
    }
    let (wanted, top) = (preferred.spatial_layer, consumer.selection.top().0);
    let nearest = (0..=wanted).rev().chain(wanted..=top).find(|encoding| producer.is_live(*encoding));
    ConsumerLayers { spatial_layer: nearest.unwrap_or(wanted), ..preferred }
}
