//! The typed requests as data, for those who carry them over a wire.
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Sfu;
use crate::error::RequestError;
use crate::event::ConsumerLayers;
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::model::{
    ConsumerData, ConsumerOptions, ProducerData, ProducerOptions, RouterData, RouterOptions,
    WebRtcTransportData, WebRtcTransportOptions,
};
use crate::ortc::{DtlsParameters, IceParameters, RtpCapabilities};
use crate::stats::{RtpStreamStats, SfuStats, WebRtcTransportStats};

/// A request; each stands for the method of [`Sfu`] of the same name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "method", content = "data", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the methods of `Sfu` say what the fields are")]
pub enum Request {
    CreateRouter(RouterOptions),
    CloseRouter { router_id: RouterId },
    GetRouter { router_id: RouterId },
    CreateWebRtcTransport { router_id: RouterId, options: WebRtcTransportOptions },
    GetWebRtcTransport { transport_id: TransportId },
    ConnectWebRtcTransport { transport_id: TransportId, dtls_parameters: DtlsParameters },
    RestartIce { transport_id: TransportId },
    SetMaxIncomingBitrate { transport_id: TransportId, bitrate: Option<u64> },
    SetMaxOutgoingBitrate { transport_id: TransportId, bitrate: Option<u64> },
    SetMinOutgoingBitrate { transport_id: TransportId, bitrate: Option<u64> },
    CloseTransport { transport_id: TransportId },
    Produce { transport_id: TransportId, options: ProducerOptions },
    GetProducer { producer_id: ProducerId },
    PauseProducer { producer_id: ProducerId },
    ResumeProducer { producer_id: ProducerId },
    CloseProducer { producer_id: ProducerId },
    CanConsume { producer_id: ProducerId, rtp_capabilities: RtpCapabilities },
    Consume { transport_id: TransportId, options: ConsumerOptions },
    GetConsumer { consumer_id: ConsumerId },
    PauseConsumer { consumer_id: ConsumerId },
    ResumeConsumer { consumer_id: ConsumerId },
    CloseConsumer { consumer_id: ConsumerId },
    SetConsumerPreferredLayers { consumer_id: ConsumerId, layers: ConsumerLayers },
    SetConsumerPriority { consumer_id: ConsumerId, priority: u8 },
    RequestConsumerKeyFrame { consumer_id: ConsumerId },
    GetTransportStats { transport_id: TransportId },
    GetProducerStats { producer_id: ProducerId },
    GetConsumerStats { consumer_id: ConsumerId },
    GetStats,
}

/// What a [`Request`] is answered with.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// Done; there is nothing to say.
    Done {},
    /// A yes or no.
    Bool(bool),
    /// A router.
    Router(RouterData),
    /// A transport.
    WebRtcTransport(Box<WebRtcTransportData>),
    /// ICE credentials.
    IceParameters(IceParameters),
    /// A producer.
    Producer(Box<ProducerData>),
    /// A consumer.
    Consumer(Box<ConsumerData>),
    /// Statistics of a transport.
    TransportStats(Vec<WebRtcTransportStats>),
    /// Statistics of RTP streams.
    RtpStreamStats(Vec<RtpStreamStats>),
    /// Counters.
    Stats(Box<SfuStats>),
}

impl Sfu {
    /// Carries out a request.
    ///
    /// Errors: those of the method that the request stands for; nothing is changed then.
    pub fn request(&mut self, now: Instant, request: Request) -> Result<Response, RequestError> {
        // Those that only read have no other way to come behind what is due.
        self.advance(now);
        let done = |()| Response::Done {};
        match request {
            Request::CreateRouter(options) => {
                let id = self.create_router(now, options)?;
                self.router(id).map(Response::Router)
            }
            Request::CloseRouter { router_id } => self.close_router(now, router_id).map(done),
            Request::GetRouter { router_id } => self.router(router_id).map(Response::Router),
            Request::CreateWebRtcTransport { router_id, options } => {
                let id = self.create_webrtc_transport(now, router_id, options)?;
                self.webrtc_transport(id).map(|data| Response::WebRtcTransport(Box::new(data)))
            }
            Request::GetWebRtcTransport { transport_id } => {
                self.webrtc_transport(transport_id).map(|data| Response::WebRtcTransport(Box::new(data)))
            }
            Request::ConnectWebRtcTransport { transport_id, dtls_parameters } => {
                self.connect_webrtc_transport(now, transport_id, &dtls_parameters).map(done)
            }
            Request::RestartIce { transport_id } => {
                self.restart_ice(now, transport_id).map(Response::IceParameters)
            }
            Request::SetMaxIncomingBitrate { transport_id, bitrate } => {
                self.set_max_incoming_bitrate(now, transport_id, bitrate).map(done)
            }
            Request::SetMaxOutgoingBitrate { transport_id, bitrate } => {
                self.set_max_outgoing_bitrate(now, transport_id, bitrate).map(done)
            }
            Request::SetMinOutgoingBitrate { transport_id, bitrate } => {
                self.set_min_outgoing_bitrate(now, transport_id, bitrate).map(done)
            }
            Request::CloseTransport { transport_id } => self.close_transport(now, transport_id).map(done),
            Request::Produce { transport_id, options } => {
                let id = self.produce(now, transport_id, options)?;
                self.producer(id).map(|data| Response::Producer(Box::new(data)))
            }
            Request::Consume { transport_id, options } => {
                let id = self.consume(now, transport_id, options)?;
                self.consumer(id).map(|data| Response::Consumer(Box::new(data)))
            }
            request => self.request_on_media(now, request),
        }
    }

    fn request_on_media(&mut self, now: Instant, request: Request) -> Result<Response, RequestError> {
        let done = |()| Response::Done {};
        match request {
            Request::GetProducer { producer_id } => {
                self.producer(producer_id).map(|data| Response::Producer(Box::new(data)))
            }
            Request::PauseProducer { producer_id } => self.pause_producer(now, producer_id).map(done),
            Request::ResumeProducer { producer_id } => self.resume_producer(now, producer_id).map(done),
            Request::CloseProducer { producer_id } => self.close_producer(now, producer_id).map(done),
            Request::CanConsume { producer_id, rtp_capabilities } => {
                Ok(Response::Bool(self.can_consume(producer_id, &rtp_capabilities)))
            }
            Request::GetConsumer { consumer_id } => {
                self.consumer(consumer_id).map(|data| Response::Consumer(Box::new(data)))
            }
            Request::PauseConsumer { consumer_id } => self.pause_consumer(now, consumer_id).map(done),
            Request::ResumeConsumer { consumer_id } => self.resume_consumer(now, consumer_id).map(done),
            Request::CloseConsumer { consumer_id } => self.close_consumer(now, consumer_id).map(done),
            Request::SetConsumerPreferredLayers { consumer_id, layers } => {
                self.set_consumer_preferred_layers(now, consumer_id, layers).map(done)
            }
            Request::SetConsumerPriority { consumer_id, priority } => {
                self.set_consumer_priority(now, consumer_id, priority).map(done)
            }
            Request::RequestConsumerKeyFrame { consumer_id } => {
                self.request_consumer_key_frame(now, consumer_id).map(done)
            }
            Request::GetTransportStats { transport_id } => {
                self.transport_stats(now, transport_id).map(Response::TransportStats)
            }
            Request::GetProducerStats { producer_id } => {
                self.producer_stats(now, producer_id).map(Response::RtpStreamStats)
            }
            Request::GetConsumerStats { consumer_id } => {
                self.consumer_stats(now, consumer_id).map(Response::RtpStreamStats)
            }
            Request::GetStats => Ok(Response::Stats(Box::new(self.stats()))),
            _ => Err(RequestError::unsupported("unknown request")),
        }
    }
}
