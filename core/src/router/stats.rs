//! mediasoup's statistics of a router's objects.
use std::collections::BTreeMap;
use std::time::Instant;

use super::Router;
use crate::clock::Clock;
use crate::consumer::Consumer;
use crate::error::RequestError;
use crate::event::IceState;
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::model::SelectedTuple;
use crate::ortc::ScalabilityMode;
use crate::producer::Producer;
use crate::stats::{RtpStreamStats, RtpStreamStatsType, WebRtcTransportStats};
use crate::stream::frame::Layers;
use crate::transport::WebRtcTransport;

/// No codec has more layers of a kind.
const MOST_LAYERS: u8 = 8;

impl Router {
    /// Statistics of a transport.
    pub fn transport_stats(
        &self,
        id: TransportId,
        tuple: Option<SelectedTuple>,
        now: Instant,
        clock: Clock,
    ) -> Result<WebRtcTransportStats, RequestError> {
        Ok(transport_stats(self.transport(id)?, tuple, now, clock))
    }

    /// Statistics of a producer: one entry for each stream that has begun.
    pub fn producer_stats(
        &self,
        id: ProducerId,
        now: Instant,
        clock: Clock,
    ) -> Result<Vec<RtpStreamStats>, RequestError> {
        let producer = self.producer(id)?;
        let rtt = self.transports.get(producer.transport).and_then(|transport| transport.measured_rtt());
        let streams =
            (0..producer.encodings.len()).filter_map(|index| inbound_stats(producer, index, now, clock));
        Ok(streams
            .map(|stats| RtpStreamStats { round_trip_time: rtt.map(|rtt| rtt.as_secs_f32() * 1e3), ..stats })
            .collect())
    }

    /// Statistics of a consumer: what it sends, and the producer's stream that it forwards.
    pub fn consumer_stats(
        &self,
        id: ConsumerId,
        now: Instant,
        clock: Clock,
    ) -> Result<Vec<RtpStreamStats>, RequestError> {
        let consumer = self.consumer(id)?;
        let producer = self.producer(ProducerId { router: self.id, own: consumer.producer })?;
        let inbound = inbound_stats(producer, usize::from(consumer.encoding()), now, clock);
        Ok([Some(outbound_stats(consumer, now, clock)), inbound].into_iter().flatten().collect())
    }
}

fn transport_stats(
    transport: &WebRtcTransport,
    tuple: Option<SelectedTuple>,
    now: Instant,
    clock: Clock,
) -> WebRtcTransportStats {
    let counters = &transport.counters;
    let (min_outgoing_bitrate, max_outgoing_bitrate) = transport.bandwidth.limits();
    WebRtcTransportStats {
        r#type: "webrtc-transport".to_owned(),
        transport_id: transport.id,
        timestamp: clock.unix_ms(now),
        ice_role: "controlled".to_owned(),
        ice_state: IceState::from(transport.ice.state()),
        dtls_state: transport.dtls_state(),
        ice_selected_tuple: tuple,
        bytes_received: counters.received.bytes,
        recv_bitrate: counters.received.rate_bps(now),
        bytes_sent: counters.bytes_sent(),
        send_bitrate: counters.sent_bps(now),
        rtp_bytes_received: counters.rtp_received.bytes,
        rtp_recv_bitrate: counters.rtp_received.rate_bps(now),
        rtp_bytes_sent: counters.rtp_sent.bytes,
        rtp_send_bitrate: counters.rtp_sent.rate_bps(now),
        rtx_bytes_received: counters.rtx_received.bytes,
        rtx_recv_bitrate: counters.rtx_received.rate_bps(now),
        rtx_bytes_sent: counters.rtx_sent.bytes,
        rtx_send_bitrate: counters.rtx_sent.rate_bps(now),
        probation_bytes_sent: counters.probation_sent.bytes,
        probation_send_bitrate: counters.probation_sent.rate_bps(now),
        available_outgoing_bitrate: transport.bandwidth.available_bps(),
        available_incoming_bitrate: transport.remb.as_ref().and_then(|remb| remb.estimate_bps()),
        max_incoming_bitrate: transport.incoming_limit.limit_bps(),
        max_outgoing_bitrate,
        min_outgoing_bitrate,
        rtp_packet_loss_received: counters.loss_received.share(),
        rtp_packet_loss_sent: counters.loss_sent.share(),
    }
}

fn inbound_stats(producer: &Producer, index: usize, now: Instant, clock: Clock) -> Option<RtpStreamStats> {
    let encoding = producer.encodings.get(index)?;
    let stream = encoding.stream.as_ref()?;
    let stats = stream.stats(now);
    Some(RtpStreamStats {
        r#type: RtpStreamStatsType::InboundRtp,
        timestamp: clock.unix_ms(now),
        ssrc: stream.ssrc(),
        rtx_ssrc: encoding.rtx_ssrc,
        rid: encoding.rid.clone(),
        kind: producer.kind,
        mime_type: producer
            .rtp_parameters
            .media_codec()
            .map(|codec| codec.mime_type.to_string())
            .unwrap_or_default(),
        packets_lost: u64::try_from(stats.packets_lost).unwrap_or(0),
        fraction_lost: stats.fraction_lost,
        jitter: stats.jitter,
        packets_discarded: stats.packets_discarded,
        packets_retransmitted: stats.packets_retransmitted,
        packets_repaired: stats.packets_repaired,
        nack_count: stats.nack_count,
        nack_packet_count: stats.nack_packet_count,
        pli_count: stats.pli_count,
        fir_count: stats.fir_count,
        score: stats.score,
        round_trip_time: None,
        rtx_packets_discarded: encoding.rtx_ssrc.map(|_| stats.rtx_packets_discarded),
        packet_count: stats.packet_count,
        byte_count: stats.byte_count,
        bitrate: stats.bitrate_bps,
        bitrate_by_layer: Some(bitrate_by_layer(producer, index, now)),
        packets_duplicated: Some(stats.duplicates),
        packets_late: Some(stats.late),
    })
}

/// What a receiver of each layer gets of a stream that has several.
fn bitrate_by_layer(producer: &Producer, index: usize, now: Instant) -> BTreeMap<String, u64> {
    let signalled = producer.rtp_parameters.encodings.get(index);
    let mode = signalled.and_then(|encoding| encoding.scalability_mode.as_deref());
    let ScalabilityMode { spatial_layers, temporal_layers, .. } = ScalabilityMode::parse_or_default(mode);
    let Some(received) = producer.encodings.get(index).filter(|_| spatial_layers > 1 || temporal_layers > 1)
    else {
        return BTreeMap::new();
    };
    let layers = (0..spatial_layers.min(MOST_LAYERS))
        .flat_map(|spatial| (0..temporal_layers.min(MOST_LAYERS)).map(move |temporal| (spatial, temporal)));
    layers
        .map(|(spatial, temporal)| {
            let rate_bps = received.rates.rate_of_bps(now, Layers { spatial, temporal });
            (format!("{spatial}.{temporal}"), rate_bps)
        })
        .collect()
}

fn outbound_stats(consumer: &Consumer, now: Instant, clock: Clock) -> RtpStreamStats {
    let stats = consumer.stream.stats(now);
    RtpStreamStats {
        r#type: RtpStreamStatsType::OutboundRtp,
        timestamp: clock.unix_ms(now),
        ssrc: consumer.stream.ssrc(),
        rtx_ssrc: consumer.stream.rtx_ssrc(),
        rid: None,
        kind: consumer.kind,
        mime_type: consumer
            .rtp_parameters
            .media_codec()
            .map(|codec| codec.mime_type.to_string())
            .unwrap_or_default(),
        packets_lost: u64::try_from(stats.packets_lost).unwrap_or(0),
        fraction_lost: stats.fraction_lost,
        jitter: stats.jitter,
        packets_discarded: stats.packets_discarded,
        packets_retransmitted: stats.packets_retransmitted,
        packets_repaired: stats.packets_repaired,
        nack_count: stats.nack_count,
        nack_packet_count: stats.nack_packet_count,
        pli_count: stats.pli_count,
        fir_count: stats.fir_count,
        score: stats.score,
        round_trip_time: stats.rtt.map(|rtt| rtt.as_secs_f32() * 1e3),
        rtx_packets_discarded: consumer.stream.rtx_ssrc().map(|_| 0),
        packet_count: stats.packet_count,
        byte_count: stats.byte_count,
        bitrate: stats.bitrate_bps,
        bitrate_by_layer: None,
        packets_duplicated: None,
        packets_late: None,
    }
}
