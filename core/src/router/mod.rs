//! A router: transports that share producers, and the fan-out from each producer to its consumers.
//!
//! Invariant: nothing in a router reaches into another; a router is the isolation boundary.
mod audio;
mod bandwidth;
mod consume;
mod layers;
mod media;
mod produce;
mod render;
mod rtcp;
mod stats;
mod timers;

use std::time::Instant;

pub use render::Rendered;

use serde_json::Value;

use crate::arena::{Arena, Id};
use crate::config::Config;
use crate::consumer::Consumer;
use crate::error::RequestError;
use crate::event::{CloseReason, Event};
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId, tag};
use crate::observer::audio_level::AudioLevelMeter;
use crate::ortc::RtpCapabilities;
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::rng::Rng;
use crate::transport::{TransportChange, WebRtcTransport};

/// A set of transports whose producers and consumers can be joined.
#[derive(Debug)]
pub struct Router {
    /// Its name.
    pub id: RouterId,
    /// What clients can send and receive.
    pub rtp_capabilities: RtpCapabilities,
    /// The application's.
    pub app_data: Value,
    transports: Arena<WebRtcTransport, tag::Transport>,
    producers: Arena<Producer, tag::Producer>,
    consumers: Arena<Consumer, tag::Consumer>,
    rng: Rng,
    /// How loud its producers are, if somebody wants to know.
    audio_levels: Option<AudioLevelMeter>,
    /// Sequence numbers asked for or missing, while one RTCP packet is handled.
    scratch: Vec<u16>,
}

/// What the requests of a router work with besides the router itself.
#[derive(Debug)]
pub struct Context<'a> {
    /// The time of the request.
    pub now: Instant,
    /// The settings.
    pub config: &'a Config,
    /// Where outputs go.
    pub out: &'a mut Outbox,
}

impl Router {
    /// A router without transports.
    pub fn new(id: RouterId, rtp_capabilities: RtpCapabilities, app_data: Value, rng: Rng) -> Self {
        Router {
            id,
            rtp_capabilities,
            app_data,
            transports: Arena::new(),
            producers: Arena::new(),
            consumers: Arena::new(),
            rng,
            audio_levels: None,
            scratch: Vec::new(),
        }
    }

    /// Adds the transport that `make` makes for its id.
    pub fn add_transport(&mut self, make: impl FnOnce(TransportId) -> WebRtcTransport) -> TransportId {
        let router = self.id;
        let own = self.transports.insert_with(|own| make(TransportId { router, own }));
        TransportId { router, own }
    }

    /// Closes a transport with its producers and consumers, and gives it back so that its addresses can be forgotten.
    ///
    /// With a `reason` the transport closes by itself, and everything that goes is reported; without one only what goes on
    /// other transports is.
    pub fn close_transport(
        &mut self,
        id: TransportId,
        reason: Option<CloseReason>,
        ctx: &mut Context<'_>,
    ) -> Option<WebRtcTransport> {
        let transport = self.transports.get(id.own)?;
        let (producers, consumers) = (transport.producers.clone(), transport.consumers.clone());
        for own in producers {
            let producer_id = ProducerId { router: self.id, own };
            if self.remove_producer(producer_id, ctx).is_some() && reason.is_some() {
                ctx.out.event(Event::ProducerClosed { producer_id, reason: CloseReason::TransportClosed });
            }
        }
        for own in consumers {
            let consumer_id = ConsumerId { router: self.id, own };
            if self.remove_consumer(consumer_id).is_some() && reason.is_some() {
                ctx.out.event(Event::ConsumerClosed { consumer_id, reason: CloseReason::TransportClosed });
            }
        }
        let mut transport = self.transports.remove(id.own)?;
        transport.close(ctx.now, ctx.out);
        if let Some(reason) = reason {
            ctx.out.event(Event::TransportClosed { transport_id: id, reason });
        }
        Some(transport)
    }

    /// Follows what an input did to a transport; gives the transport back if it had to be closed.
    pub fn apply(
        &mut self,
        id: TransportId,
        change: TransportChange,
        ctx: &mut Context<'_>,
    ) -> Option<WebRtcTransport> {
        match change {
            TransportChange::None => None,
            TransportChange::Connected => {
                self.on_transport_connected(id, ctx);
                None
            }
            TransportChange::Close(reason) => self.close_transport(id, Some(reason), ctx),
        }
    }

    /// A transport.
    pub fn transport_mut(&mut self, id: TransportId) -> Result<&mut WebRtcTransport, RequestError> {
        self.transports.get_mut(id.own).ok_or_else(|| RequestError::not_found("transport"))
    }

    /// A transport.
    pub fn transport(&self, id: TransportId) -> Result<&WebRtcTransport, RequestError> {
        self.transports.get(id.own).ok_or_else(|| RequestError::not_found("transport"))
    }

    /// A producer.
    pub fn producer(&self, id: ProducerId) -> Result<&Producer, RequestError> {
        self.producers.get(id.own).ok_or_else(|| RequestError::not_found("producer"))
    }

    /// A consumer.
    pub fn consumer(&self, id: ConsumerId) -> Result<&Consumer, RequestError> {
        self.consumers.get(id.own).ok_or_else(|| RequestError::not_found("consumer"))
    }

    /// A consumer.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> Result<&mut Consumer, RequestError> {
        self.consumers.get_mut(id.own).ok_or_else(|| RequestError::not_found("consumer"))
    }

    /// The names of all transports.
    pub fn transport_ids(&self) -> Vec<TransportId> {
        self.transports.ids().map(|own| TransportId { router: self.id, own }).collect()
    }

    /// How many transports, producers and consumers there are.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.transports.len(), self.producers.len(), self.consumers.len())
    }

    fn on_transport_connected(&mut self, id: TransportId, ctx: &mut Context<'_>) {
        let jitter = self.rng.next_u32();
        let Some(transport) = self.transports.get_mut(id.own) else { return };
        transport.schedule_report(ctx.now, jitter, ctx.out);
        for own in transport.consumers.clone() {
            self.request_keyframe_if_needed(own, ctx);
        }
        let producers =
            self.transports.get(id.own).map(|transport| transport.producers.clone()).unwrap_or_default();
        for producer in producers {
            self.request_keyframe_for_waiting(producer, ctx);
        }
    }
}

/// Removes `item` from a list that keeps its order.
fn remove_from<K>(list: &mut Vec<Id<K>>, item: Id<K>) {
    list.retain(|other| *other != item);
}
