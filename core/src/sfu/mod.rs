//! The whole media machine: routers, the addresses of the clients, timers, outputs.
mod io;

use std::time::{Instant, SystemTime};

pub use io::{Datagram, Deadline, Input, Output, Protocol, Transmit};

use crate::config::Config;
use crate::error::RequestError;
use crate::event::{ConsumerLayers, Event};
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::model::{
    ConsumerData, ConsumerOptions, ProducerData, ProducerOptions, RouterData, RouterOptions,
    WebRtcTransportData, WebRtcTransportOptions,
};
use crate::ortc::{DtlsParameters, IceParameters, RtpCapabilities};
use crate::stats::{RtpStreamStats, SfuStats, WebRtcTransportStats};

/// An SFU as a state machine.
#[derive(Debug)]
pub struct Sfu {}

impl Sfu {
    /// Makes one. `seed` decides everything random; `now` and `wall` are the same moment on both clocks.
    ///
    /// Errors: a certificate that cannot be read, a configuration out of range.
    pub fn new(config: Config, seed: [u8; 32], now: Instant, wall: SystemTime) -> Result<Self, RequestError> {
        todo!()
    }

    /// Takes an input and decides everything that follows from it.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        todo!()
    }

    /// Renders and removes the next output.
    pub fn poll_output(&mut self) -> Output<'_> {
        todo!()
    }

    /// Takes the next event out of the queue of outputs, before what stands in front of it. For those who stand between the
    /// machine and its owner.
    pub fn next_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// Makes a router.
    pub fn create_router(&mut self, now: Instant, options: RouterOptions) -> Result<RouterId, RequestError> {
        todo!()
    }

    /// Closes a router and all in it. Nothing in it is reported by events (the caller asked for it).
    pub fn close_router(&mut self, now: Instant, id: RouterId) -> Result<(), RequestError> {
        todo!()
    }

    /// What can be read of a router.
    pub fn router(&self, id: RouterId) -> Result<RouterData, RequestError> {
        todo!()
    }

    /// What clients can send to a router and receive from it.
    pub fn router_rtp_capabilities(&self, id: RouterId) -> Result<&RtpCapabilities, RequestError> {
        todo!()
    }

    /// Makes a WebRTC transport.
    pub fn create_webrtc_transport(
        &mut self,
        now: Instant,
        router: RouterId,
        options: WebRtcTransportOptions,
    ) -> Result<TransportId, RequestError> {
        todo!()
    }

    /// What can be read of a WebRTC transport.
    pub fn webrtc_transport(&self, id: TransportId) -> Result<WebRtcTransportData, RequestError> {
        todo!()
    }

    /// Gives a transport the client's DTLS parameters. If the client's role is `server` we start the handshake, else we wait.
    ///
    /// Errors: it has them already; no fingerprint that we can check.
    pub fn connect_webrtc_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        dtls_parameters: &DtlsParameters,
    ) -> Result<(), RequestError> {
        todo!()
    }

    /// New ICE credentials; the old ones stay valid until the new ones are used.
    pub fn restart_ice(&mut self, now: Instant, id: TransportId) -> Result<IceParameters, RequestError> {
        todo!()
    }

    /// Limits what the client may send by a transport, in bits a second; `None`: no limit.
    pub fn set_max_incoming_bitrate(
        &mut self,
        now: Instant,
        id: TransportId,
        bitrate_bps: Option<u64>,
    ) -> Result<(), RequestError> {
        todo!()
    }

    /// Closes a transport with its producers and consumers. Consumers of its producers on other transports are closed with an event.
    pub fn close_transport(&mut self, now: Instant, id: TransportId) -> Result<(), RequestError> {
        todo!()
    }

    /// Makes a producer.
    pub fn produce(
        &mut self,
        now: Instant,
        transport: TransportId,
        options: ProducerOptions,
    ) -> Result<ProducerId, RequestError> {
        todo!()
    }

    /// What can be read of a producer.
    pub fn producer(&self, id: ProducerId) -> Result<ProducerData, RequestError> {
        todo!()
    }

    /// Stops forwarding a producer. No-op when it is paused.
    pub fn pause_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Goes on forwarding a producer. No-op when it is not paused.
    pub fn resume_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Closes a producer. Its consumers are closed with an event each.
    pub fn close_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Whether a client of these capabilities can consume a producer; false for what does not exist.
    pub fn can_consume(&self, producer: ProducerId, rtp_capabilities: &RtpCapabilities) -> bool {
        todo!()
    }

    /// Makes a consumer on `transport` (of the producer's router).
    pub fn consume(
        &mut self,
        now: Instant,
        transport: TransportId,
        options: ConsumerOptions,
    ) -> Result<ConsumerId, RequestError> {
        todo!()
    }

    /// What can be read of a consumer.
    pub fn consumer(&self, id: ConsumerId) -> Result<ConsumerData, RequestError> {
        todo!()
    }

    /// Stops sending. No-op when it is paused.
    pub fn pause_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Goes on sending, from the next keyframe, which is asked for. No-op when it is not paused.
    pub fn resume_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Closes a consumer.
    pub fn close_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Which layers are wanted, where there are several.
    pub fn set_consumer_preferred_layers(
        &mut self,
        now: Instant,
        id: ConsumerId,
        layers: ConsumerLayers,
    ) -> Result<(), RequestError> {
        todo!()
    }

    /// The share when bandwidth is short, 1 to 255.
    pub fn set_consumer_priority(
        &mut self,
        now: Instant,
        id: ConsumerId,
        priority: u8,
    ) -> Result<(), RequestError> {
        todo!()
    }

    /// Asks the producer's client for a keyframe, at most once per interval.
    pub fn request_consumer_key_frame(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        todo!()
    }

    /// Statistics of a transport (one entry).
    pub fn transport_stats(
        &self,
        now: Instant,
        id: TransportId,
    ) -> Result<Vec<WebRtcTransportStats>, RequestError> {
        todo!()
    }

    /// Statistics of a producer: one entry per stream.
    pub fn producer_stats(&self, now: Instant, id: ProducerId) -> Result<Vec<RtpStreamStats>, RequestError> {
        todo!()
    }

    /// Statistics of a consumer: its outbound stream, and the producer's stream that it forwards.
    pub fn consumer_stats(&self, now: Instant, id: ConsumerId) -> Result<Vec<RtpStreamStats>, RequestError> {
        todo!()
    }

    /// Counters.
    pub fn stats(&self) -> SfuStats {
        todo!()
    }
}
