//! The typed requests of the ORTC face.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Sfu;
use super::ports::addresses;
use crate::config::ListenAddress;
use crate::dtls::{DtlsTransport, FingerprintError};
use crate::error::RequestError;
use crate::event::{ConsumerLayers, IceState};
use crate::ice::{CandidatePreferences, CandidateSource, IceServer, IceServerConfig, Protocol, candidates};
use crate::id::{ConsumerId, ProducerId, RouterId, TransportId};
use crate::model::{
    ConsumerData, ConsumerOptions, ProducerData, ProducerOptions, RouterData, RouterOptions, SelectedTuple,
    WebRtcTransportData, WebRtcTransportOptions,
};
use crate::ortc::{self, DtlsParameters, IceParameters, RtpCapabilities};
use crate::router::{Context, Router};
use crate::stats::{RtpStreamStats, WebRtcTransportStats};
use crate::transport::{WebRtcTransport, WebRtcTransportParams};

/// mediasoup's `initialAvailableOutgoingBitrate`.
const INITIAL_OUTGOING_BITRATE_BPS: u32 = 600_000;

/// A limit of the outgoing bitrate cannot be lower than this, in bits a second: mediasoup's.
const LOWEST_OUTGOING_BITRATE_BPS: u64 = 30_000;

impl Sfu {
    /// Makes a router.
    ///
    /// Errors: a codec that is not supported, the limit of routers.
    pub fn create_router(&mut self, now: Instant, options: RouterOptions) -> Result<RouterId, RequestError> {
        self.at(now, |sfu| {
            if sfu.routers.len() >= sfu.config.max_routers {
                return Err(RequestError::limit("routers", sfu.config.max_routers));
            }
            let capabilities = ortc::generate_router_rtp_capabilities(&options.media_codecs)?;
            let rng = sfu.rng.fork();
            let new = |id| Router::new(RouterId(id), capabilities, options.app_data, rng);
            Ok(RouterId(sfu.routers.insert_with(new)))
        })
    }

    /// Closes a router and all in it. Nothing in it is reported by events: the caller asked for it.
    pub fn close_router(&mut self, now: Instant, id: RouterId) -> Result<(), RequestError> {
        self.at(now, |sfu| {
            for transport in sfu.router_ref(id)?.transport_ids() {
                sfu.remove_transport(transport)?;
            }
            sfu.routers.remove(id.0);
            Ok(())
        })
    }

    /// What can be read of a router.
    pub fn router(&self, id: RouterId) -> Result<RouterData, RequestError> {
        let router = self.router_ref(id)?;
        let (rtp_capabilities, app_data) = (router.rtp_capabilities.clone(), router.app_data.clone());
        Ok(RouterData { id, rtp_capabilities, app_data })
    }

    /// What clients can send to a router and receive from it.
    pub fn router_rtp_capabilities(&self, id: RouterId) -> Result<&RtpCapabilities, RequestError> {
        Ok(&self.router_ref(id)?.rtp_capabilities)
    }

    /// Makes a WebRTC transport, with a candidate for each listen address: with their ports, or with one of its own
    /// ([`Config::transport_ports`](crate::config::Config::transport_ports)).
    ///
    /// Errors: the limit of transports; all ports are in use.
    pub fn create_webrtc_transport(
        &mut self,
        now: Instant,
        router: RouterId,
        options: WebRtcTransportOptions,
    ) -> Result<TransportId, RequestError> {
        self.at(now, |sfu| sfu.add_webrtc_transport(router, options))
    }

    fn add_webrtc_transport(
        &mut self,
        router: RouterId,
        options: WebRtcTransportOptions,
    ) -> Result<TransportId, RequestError> {
        let (transports, _, _) = self.router_ref(router)?.counts();
        let limit = self.config.max_transports_per_router;
        if transports >= limit {
            return Err(RequestError::limit("transports per router", limit));
        }
        let port = self.ports.next()?;
        let consent = options.ice_consent_timeout.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let ice_config = IceServerConfig {
            consent_timeout: consent.unwrap_or(self.config.ice_consent_timeout),
            max_tuples: self.config.max_tuples_per_transport,
        };
        let ice = IceServer::new(&mut self.rng, ice_config);
        let fragment = ice.credentials().username_fragment.clone();
        let params = WebRtcTransportParams {
            ice,
            candidates: candidates(&self.candidate_sources(port), CandidatePreferences::default()),
            dtls: DtlsTransport::new(self.dtls.clone()),
            feedback_ssrc: self.rng.ssrc(),
            available_outgoing_bitrate_bps: u64::from(
                options.initial_available_outgoing_bitrate.unwrap_or(INITIAL_OUTGOING_BITRATE_BPS),
            ),
            connect_by: options
                .connect_timeout
                .map(|seconds| self.now + Duration::from_secs(u64::from(seconds))),
            max_queued_packets: self.config.max_queued_packets_per_transport,
            srtp_crypto: self.config.srtp_crypto.clone(),
            max_ssrcs: self.config.max_ssrcs_per_transport,
            app_data: options.app_data,
        };
        let (router, ctx) = self.split(router)?;
        let id = router.add_transport(|id| WebRtcTransport::new(id, params, ctx.out));
        self.demux.add_username_fragment(&fragment, id);
        self.ports.open(id, &self.config.listen);
        Ok(id)
    }

    /// What can be read of a WebRTC transport.
    pub fn webrtc_transport(&self, id: TransportId) -> Result<WebRtcTransportData, RequestError> {
        let transport = self.router_ref(id.router)?.transport(id)?;
        Ok(WebRtcTransportData {
            id,
            ice_role: "controlled".to_owned(),
            ice_parameters: ice_parameters(transport),
            ice_candidates: transport.candidates.clone(),
            ice_state: IceState::from(transport.ice.state()),
            ice_selected_tuple: self.selected_tuple(transport),
            dtls_parameters: DtlsParameters {
                role: transport.local_dtls_role(),
                fingerprints: self.dtls.fingerprints().to_vec(),
            },
            dtls_state: transport.dtls_state(),
            app_data: transport.app_data.clone(),
        })
    }

    /// Gives a transport the client's DTLS parameters. If the client's role is `server` we begin the handshake, once ICE has
    /// found a path; else we wait for the client to begin.
    ///
    /// Errors: it has them already; none of the fingerprints is of SHA-256, SHA-384 or SHA-512.
    pub fn connect_webrtc_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        dtls_parameters: &DtlsParameters,
    ) -> Result<(), RequestError> {
        self.at(now, |sfu| {
            let (router, ctx) = sfu.split(id.router)?;
            let transport = router.transport_mut(id)?;
            let change =
                transport.connect(ctx.now, dtls_parameters, ctx.out).map_err(|error| match error {
                    FingerprintError::AlreadySet => RequestError::state("connect() already called"),
                    FingerprintError::NoStrongFingerprint => RequestError::invalid(
                        "dtlsParameters.fingerprints must have one of sha-256, sha-384 or sha-512",
                    ),
                })?;
            sfu.apply(id, change);
            Ok(())
        })
    }

    /// New ICE credentials; the old ones stay valid until the new ones are used.
    pub fn restart_ice(&mut self, now: Instant, id: TransportId) -> Result<IceParameters, RequestError> {
        self.at(now, |sfu| {
            sfu.router_ref(id.router)?.transport(id)?;
            let mut rng = sfu.rng.fork();
            let transport = sfu.router_mut(id.router)?.transport_mut(id)?;
            let retired = transport.ice.restart(&mut rng);
            let parameters = ice_parameters(transport);
            if let Some(fragment) = retired {
                sfu.demux.remove_username_fragment(&fragment);
            }
            sfu.demux.add_username_fragment(&parameters.username_fragment, id);
            Ok(parameters)
        })
    }

    /// Limits the estimate of the bandwidth towards a client, in bits a second; `None`: no limit.
    ///
    /// Errors: a lowest above the highest; no such transport.
    pub fn set_outgoing_bitrate_limits(
        &mut self,
        now: Instant,
        id: TransportId,
        min_bps: Option<u64>,
        max_bps: Option<u64>,
    ) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| {
            router.set_outgoing_bitrate_limits(id, min_bps, max_bps, ctx)
        })
    }

    /// Sets the most that the bandwidth towards a client is taken to be, in bits a second; `None` or 0: no limit. The lowest
    /// stays as it is.
    ///
    /// Errors: less than 30 kbit/s, or than the lowest that is set; no such transport.
    pub fn set_max_outgoing_bitrate(
        &mut self,
        now: Instant,
        id: TransportId,
        bitrate_bps: Option<u64>,
    ) -> Result<(), RequestError> {
        let max_bps = outgoing_bitrate(bitrate_bps)?;
        let (min_bps, _) = self.router_ref(id.router)?.transport(id)?.bandwidth.limits();
        self.set_outgoing_bitrate_limits(now, id, min_bps, max_bps)
    }

    /// Sets the least that the bandwidth towards a client is taken to be, in bits a second; `None` or 0: no limit. The highest
    /// stays as it is.
    ///
    /// Errors: less than 30 kbit/s, or more than the highest that is set; no such transport.
    pub fn set_min_outgoing_bitrate(
        &mut self,
        now: Instant,
        id: TransportId,
        bitrate_bps: Option<u64>,
    ) -> Result<(), RequestError> {
        let min_bps = outgoing_bitrate(bitrate_bps)?;
        let (_, max_bps) = self.router_ref(id.router)?.transport(id)?.bandwidth.limits();
        self.set_outgoing_bitrate_limits(now, id, min_bps, max_bps)
    }

    /// Limits what the client may send by a transport, in bits a second; `None` or 0: no limit. A connected client is told at
    /// once.
    pub fn set_max_incoming_bitrate(
        &mut self,
        now: Instant,
        id: TransportId,
        bitrate_bps: Option<u64>,
    ) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| {
            let limit_bps = bitrate_bps.filter(|bps| *bps != 0);
            router.transport_mut(id)?.set_max_incoming_bitrate(ctx.now, limit_bps, ctx.out);
            Ok(())
        })
    }

    /// Closes a transport with its producers and consumers. Consumers of its producers on other transports are closed with an
    /// event.
    pub fn close_transport(&mut self, now: Instant, id: TransportId) -> Result<(), RequestError> {
        self.at(now, |sfu| sfu.remove_transport(id))
    }

    fn remove_transport(&mut self, id: TransportId) -> Result<(), RequestError> {
        let (router, mut ctx) = self.split(id.router)?;
        let closed =
            router.close_transport(id, None, &mut ctx).ok_or_else(|| RequestError::not_found("transport"))?;
        self.forget(&closed);
        Ok(())
    }

    /// Makes a producer.
    ///
    /// Errors: parameters that are malformed or do not fit the router's capabilities, SSRCs or MIDs in use, limits.
    pub fn produce(
        &mut self,
        now: Instant,
        transport: TransportId,
        options: ProducerOptions,
    ) -> Result<ProducerId, RequestError> {
        self.on_router(now, transport.router, |router, ctx| router.produce(transport, options, ctx))
    }

    /// What can be read of a producer.
    pub fn producer(&self, id: ProducerId) -> Result<ProducerData, RequestError> {
        self.router_ref(id.router)?.producer_data(id)
    }

    /// Stops forwarding a producer. No-op when it is paused.
    pub fn pause_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.set_producer_paused(id, true, ctx))
    }

    /// Goes on forwarding a producer. No-op when it is not paused.
    pub fn resume_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.set_producer_paused(id, false, ctx))
    }

    /// Closes a producer. Its consumers are closed with an event each.
    pub fn close_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.close_producer(id, ctx))
    }

    /// Whether a client of these capabilities can consume a producer; false for what does not exist.
    pub fn can_consume(&self, producer: ProducerId, rtp_capabilities: &RtpCapabilities) -> bool {
        self.router_ref(producer.router).is_ok_and(|router| router.can_consume(producer, rtp_capabilities))
    }

    /// Makes a consumer on a transport of the producer's router.
    pub fn consume(
        &mut self,
        now: Instant,
        transport: TransportId,
        options: ConsumerOptions,
    ) -> Result<ConsumerId, RequestError> {
        self.on_router(now, transport.router, |router, ctx| {
            if options.producer_id.router != transport.router {
                return Err(RequestError::not_found("producer"));
            }
            router.consume(transport, options, ctx)
        })
    }

    /// What can be read of a consumer.
    pub fn consumer(&self, id: ConsumerId) -> Result<ConsumerData, RequestError> {
        self.router_ref(id.router)?.consumer_data(id)
    }

    /// Stops sending. No-op when it is paused.
    pub fn pause_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.set_consumer_paused(id, true, ctx))
    }

    /// Goes on sending, from the next keyframe, which is asked for. No-op when it is not paused.
    pub fn resume_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.set_consumer_paused(id, false, ctx))
    }

    /// Closes a consumer.
    pub fn close_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, _| router.close_consumer(id))
    }

    /// Which layers are wanted at most, where there are several; cut to those that exist. Where there are none, nothing happens.
    pub fn set_consumer_preferred_layers(
        &mut self,
        now: Instant,
        id: ConsumerId,
        layers: ConsumerLayers,
    ) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.set_preferred_layers(id, layers, ctx))
    }

    /// The share when bandwidth is short, 1 to 255.
    pub fn set_consumer_priority(
        &mut self,
        now: Instant,
        id: ConsumerId,
        priority: u8,
    ) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.set_priority(id, priority, ctx))
    }

    /// Asks the producer's client for a keyframe, at most once per interval.
    pub fn request_consumer_key_frame(&mut self, now: Instant, id: ConsumerId) -> Result<(), RequestError> {
        self.on_router(now, id.router, |router, ctx| router.request_consumer_key_frame(id, ctx))
    }

    /// Statistics of a transport (one entry).
    pub fn transport_stats(
        &self,
        now: Instant,
        id: TransportId,
    ) -> Result<Vec<WebRtcTransportStats>, RequestError> {
        let router = self.router_ref(id.router)?;
        let tuple = self.selected_tuple(router.transport(id)?);
        Ok(vec![router.transport_stats(id, tuple, now, self.out.clock)?])
    }

    /// Statistics of a producer: one entry for each stream that has begun.
    pub fn producer_stats(&self, now: Instant, id: ProducerId) -> Result<Vec<RtpStreamStats>, RequestError> {
        self.router_ref(id.router)?.producer_stats(id, now, self.out.clock)
    }

    /// Statistics of a consumer: its outbound stream, and the producer's stream that it forwards.
    pub fn consumer_stats(&self, now: Instant, id: ConsumerId) -> Result<Vec<RtpStreamStats>, RequestError> {
        self.router_ref(id.router)?.consumer_stats(id, now, self.out.clock)
    }

    /// Carries out a request as an input is taken: behind the timers that are due at `now`, and with what it makes due itself.
    fn at<T>(&mut self, now: Instant, request: impl FnOnce(&mut Self) -> T) -> T {
        self.advance(now);
        let answer = request(self);
        self.fire_timers();
        answer
    }

    /// The same for a request that is about one router.
    fn on_router<T>(
        &mut self,
        now: Instant,
        id: RouterId,
        request: impl FnOnce(&mut Router, &mut Context<'_>) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        self.at(now, |sfu| {
            let (router, mut ctx) = sfu.split(id)?;
            request(router, &mut ctx)
        })
    }

    /// One for each address that clients can tell apart: several local ones may be announced as the same.
    fn candidate_sources(&self, port: Option<u16>) -> Vec<CandidateSource> {
        let reached = |listen: &ListenAddress| {
            SocketAddr::new(listen.announced.unwrap_or(listen.local.ip()), listen.local.port())
        };
        let mut seen = Vec::new();
        let mut sources = Vec::new();
        for listen in addresses(&self.config.listen, port) {
            if seen.contains(&reached(&listen)) {
                continue;
            }
            seen.push(reached(&listen));
            sources.push(CandidateSource {
                local: listen.local,
                announced: listen.announced.map(|ip| ip.to_string()),
                protocol: Protocol::Udp,
            });
        }
        sources
    }

    fn selected_tuple(&self, transport: &WebRtcTransport) -> Option<SelectedTuple> {
        let tuple = transport.ice.selected()?;
        let is_its = |listen: &&ListenAddress| match self.ports.are_shared() {
            true => listen.local == tuple.local,
            false => listen.local.ip() == tuple.local.ip(),
        };
        let listen = self.config.listen.iter().find(is_its);
        let announced = listen.and_then(|listen| listen.announced).unwrap_or(tuple.local.ip());
        Some(SelectedTuple::udp(SocketAddr::new(announced, tuple.local.port()), tuple.remote))
    }
}

/// A limit as it was asked for: 0 takes it away.
fn outgoing_bitrate(bitrate_bps: Option<u64>) -> Result<Option<u64>, RequestError> {
    let limit_bps = bitrate_bps.filter(|bps| *bps != 0);
    if limit_bps.is_some_and(|bps| bps < LOWEST_OUTGOING_BITRATE_BPS) {
        let message = format!("bitrate must be >= {LOWEST_OUTGOING_BITRATE_BPS} or 0 (unlimited)");
        return Err(RequestError::invalid(message));
    }
    Ok(limit_bps)
}

fn ice_parameters(transport: &WebRtcTransport) -> IceParameters {
    let credentials = transport.ice.credentials();
    IceParameters {
        username_fragment: credentials.username_fragment.clone(),
        password: credentials.password.clone(),
        ice_lite: Some(true),
    }
}
