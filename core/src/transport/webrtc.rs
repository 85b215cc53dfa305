//! A WebRTC transport: ICE-Lite, DTLS, SRTP, and the queue of what is to be sent.
use std::collections::HashMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bandwidth::{OutgoingBandwidth, PacedPacket};
use super::counters::TransportCounters;
use super::equalise::Equaliser;
use super::streams::StreamTable;
use crate::arena::Id;
use crate::bwe::feedback::TransportFeedbackRecorder;
use crate::bwe::incoming_limit::IncomingLimit;
use crate::bwe::remb::RembEstimator;
use crate::dtls::{self, DtlsKeys, DtlsOutput, DtlsRole, DtlsTransport, FingerprintError};
use crate::event::{CloseReason, DtlsState, Event, IceState};
use crate::ice::{BindingOutcome, DropReason, IceServer, Tuple, Verdict};
use crate::id::{TransportId, tag};
use crate::ortc::{self, ConsumerMids, DtlsParameters, IceCandidate, TransportCname};
use crate::outbox::{Outbox, QueuedPacket};
use crate::srtp::cipher::CryptoProvider;
use crate::srtp::{SrtpContexts, SrtpError, SrtpProfile};
use crate::timer::TimerId;
use crate::wire::rtp;

/// The time between two RTCP reports: mediasoup's for video. Varied by a quarter so that transports do not beat in step.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A timer is not set for a time that has come.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// What the round trip is taken to be before it is measured.
const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// One client connection.
#[derive(Debug)]
pub struct WebRtcTransport {
    /// Its name.
    pub id: TransportId,
    /// Its timer in the outbox.
    pub timer: TimerId<TransportId>,
    /// The application's.
    pub app_data: Value,
    /// Its ICE server.
    pub ice: IceServer,
    /// Its candidates.
    pub candidates: Vec<IceCandidate>,
    /// Its DTLS endpoint.
    pub dtls: DtlsTransport,
    /// Which of its received SSRCs belong to which producer.
    pub streams: StreamTable,
    /// Its producers, oldest first.
    pub producers: Vec<Id<tag::Producer>>,
    /// Its consumers, oldest first.
    pub consumers: Vec<Id<tag::Consumer>>,
    /// Its consumers by the SSRCs that they send.
    pub consumer_ssrcs: HashMap<u32, Id<tag::Consumer>>,
    /// The CNAME of all its producers.
    pub cname: TransportCname,
    /// The MIDs of its consumers.
    pub mids: ConsumerMids,
    /// The SSRC of its RTCP feedback.
    pub feedback_ssrc: u32,
    /// Feedback to a client that numbers its packets transport-wide.
    pub feedback: Option<TransportFeedbackRecorder>,
    /// The client's id of the transport-wide sequence number; 0: none.
    pub transport_sequence_id: u8,
    /// The estimate for a client that does not.
    pub remb: Option<RembEstimator>,
    /// Limit of what the client may send.
    pub incoming_limit: IncomingLimit,
    /// The bandwidth towards the client.
    pub bandwidth: OutgoingBandwidth,
    /// What it has carried.
    pub counters: TransportCounters,
    /// When the next reports are due.
    pub report_at: Option<Instant>,
    /// The client's last receiver reference time report: middle 32 bits of its NTP time, and when it came.
    pub receiver_reference: Option<(u32, Instant)>,
    connect_by: Option<Instant>,
    rtt: Option<Duration>,
    dtls_role: Option<DtlsRole>,
    reported_dtls_state: DtlsState,
    srtp_crypto: Arc<dyn CryptoProvider>,
    max_ssrcs: usize,
    srtp: Option<SrtpContexts>,
    queue: Vec<QueuedPacket>,
    equaliser: Equaliser,
    max_queued_packets: usize,
    next_transport_sequence: u16,
    wake_at: Option<Instant>,
}

/// What a WebRTC transport is made of.
#[derive(Debug)]
pub struct WebRtcTransportParams {
    /// Its ICE server.
    pub ice: IceServer,
    /// Its candidates.
    pub candidates: Vec<IceCandidate>,
    /// Its DTLS endpoint.
    pub dtls: DtlsTransport,
    /// The SSRC of its RTCP feedback.
    pub feedback_ssrc: u32,
    /// What the bandwidth towards the client is taken to be.
    pub available_outgoing_bitrate_bps: u64,
    /// When it is closed if the client has not connected; `None`: never.
    pub connect_by: Option<Instant>,
    /// Packets queued at most.
    pub max_queued_packets: usize,
    /// The ciphers of SRTP.
    pub srtp_crypto: Arc<dyn CryptoProvider>,
    /// SSRCs received at most.
    pub max_ssrcs: usize,
    /// The application's.
    pub app_data: Value,
}

/// What an input did to a transport as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportChange {
    /// Nothing of note.
    None,
    /// Media can flow from now on.
    Connected,
    /// It cannot go on and must be closed.
    Close(CloseReason),
}

/// A decrypted packet: its place in the datagram.
pub type Unprotected = Range<usize>;

impl WebRtcTransport {
    /// A transport that waits for its client.
    pub fn new(id: TransportId, params: WebRtcTransportParams, out: &mut Outbox) -> Self {
        let mut transport = WebRtcTransport {
            id,
            timer: out.timers.add(id),
            app_data: params.app_data,
            ice: params.ice,
            candidates: params.candidates,
            dtls: params.dtls,
            streams: StreamTable::default(),
            producers: Vec::new(),
            consumers: Vec::new(),
            consumer_ssrcs: HashMap::new(),
            cname: TransportCname::default(),
            mids: ConsumerMids::default(),
            feedback_ssrc: params.feedback_ssrc,
            feedback: None,
            transport_sequence_id: 0,
            remb: None,
            incoming_limit: IncomingLimit::default(),
            bandwidth: OutgoingBandwidth::new(params.available_outgoing_bitrate_bps),
            counters: TransportCounters::default(),
            report_at: None,
            receiver_reference: None,
            connect_by: params.connect_by,
            rtt: None,
            dtls_role: None,
            reported_dtls_state: DtlsState::New,
            srtp_crypto: params.srtp_crypto,
            max_ssrcs: params.max_ssrcs,
            srtp: None,
            queue: Vec::new(),
            equaliser: Equaliser::default(),
            max_queued_packets: params.max_queued_packets,
            next_transport_sequence: 1,
            wake_at: None,
        };
        transport.wake_by(transport.connect_by, out);
        transport
    }

    /// Takes a STUN message for this transport, and queues the answer.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        tuple: Tuple,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> BindingOutcome {
        self.counters.received.add(now, bytes.len());
        let mut outcome = None;
        let ice = &mut self.ice;
        let sent = &mut self.counters.control_sent;
        out.control.push_with(tuple, |buffer, start| {
            outcome = Some(ice.handle_binding(now, tuple, bytes, buffer));
            sent.add(now, buffer.len() - start);
            true
        });
        let Some(outcome) = outcome else {
            return BindingOutcome::without_change(Verdict::Dropped(DropReason::Malformed));
        };
        match outcome.verdict {
            Verdict::Refused(_) => out.stats.stun_errors_sent += 1,
            Verdict::Dropped(_) => out.stats.dropped_stun += 1,
            Verdict::Indication => out.stats.stun_indications_received += 1,
            Verdict::Accepted => {}
        }
        if let Some(state) = outcome.state {
            out.event(Event::IceStateChanged { transport_id: self.id, state: state.into() });
        }
        if outcome.selected.is_some() {
            out.event(Event::IceSelectedTupleChanged { transport_id: self.id });
        }
        self.wake_by(self.ice.deadline(), out);
        outcome
    }

    /// Takes the client's DTLS parameters.
    pub fn connect(
        &mut self,
        now: Instant,
        remote: &DtlsParameters,
        out: &mut Outbox,
    ) -> Result<TransportChange, FingerprintError> {
        self.dtls.set_remote_fingerprints(&remote.fingerprints)?;
        self.dtls_role = Some(DtlsRole::opposite_of(remote.role));
        Ok(self.on_tuple_selected(now, out))
    }

    /// Goes on when both a path and the client's parameters are there: if the handshake is ours to begin, it begins now.
    pub fn on_tuple_selected(&mut self, now: Instant, out: &mut Outbox) -> TransportChange {
        if self.dtls_role == Some(DtlsRole::Client) && self.ice.selected().is_some() {
            self.dtls.start(now, DtlsRole::Client);
        }
        self.drain_dtls(now, out)
    }

    /// Takes a DTLS datagram of this transport.
    pub fn handle_dtls(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) -> TransportChange {
        self.counters.received.add(now, bytes.len());
        if self.dtls.state() == dtls::DtlsState::New && self.dtls_role != Some(DtlsRole::Client) {
            // Whoever has not said that it wants to be the server begins.
            self.dtls.start(now, DtlsRole::Server);
        }
        if !self.dtls.handle_datagram(now, bytes) {
            out.stats.dropped_dtls += 1;
        }
        self.report_dtls_state(out);
        self.drain_dtls(now, out)
    }

    /// Decrypts an RTP packet in place.
    pub fn unprotect_rtp(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        out: &mut Outbox,
    ) -> Option<Unprotected> {
        self.counters.received.add(now, packet.len());
        let Some(srtp) = &mut self.srtp else {
            out.stats.dropped_before_keys += 1;
            return None;
        };
        // Only the header is in the clear; what is behind it, padding too, is looked at when it has been proved.
        let header = rtp::header_len(packet).zip(rtp::stream_position(packet));
        let Some((header_len, (ssrc, sequence_number))) = header else {
            out.stats.dropped_rtp_malformed += 1;
            return None;
        };
        match srtp.receiver.unprotect_rtp(packet, header_len, ssrc, sequence_number) {
            Ok((length, _)) => Some(0..length),
            Err(error) => {
                count_srtp_error(error, out);
                None
            }
        }
    }

    /// Decrypts an RTCP packet in place.
    pub fn unprotect_rtcp(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        out: &mut Outbox,
    ) -> Option<Unprotected> {
        self.counters.received.add(now, packet.len());
        let Some(srtp) = &mut self.srtp else {
            out.stats.dropped_before_keys += 1;
            return None;
        };
        match srtp.receiver.unprotect_rtcp(packet) {
            Ok(length) => Some(0..length),
            Err(error) => {
                count_srtp_error(error, out);
                None
            }
        }
    }

    /// Queues the RTCP packet that `write` makes; nothing when media cannot flow.
    pub fn send_rtcp(&mut self, now: Instant, out: &mut Outbox, write: impl FnOnce(&mut Vec<u8>)) {
        let (Some(path), Some(srtp)) = (self.ice.selected(), &mut self.srtp) else { return };
        let sent = &mut self.counters.control_sent;
        out.control.push_with(path, |buffer, start| {
            write(buffer);
            let wanted = buffer.len() > start && srtp.sender.protect_rtcp(buffer, start).is_ok();
            if wanted {
                sent.add(now, buffer.len() - start);
                out.stats.rtcp_datagrams_sent += 1;
            }
            wanted
        });
    }

    /// Sends a media packet when its turn comes. `Some`: it is queued already, with its transport-wide number if it is to have
    /// one.
    pub fn send_paced(&mut self, now: Instant, paced: PacedPacket, out: &mut Outbox) -> Option<QueuedPacket> {
        if self.bandwidth.may_send(now, paced.bytes) {
            return self.enqueue(now, paced, out);
        }
        if self.queue.len() + self.bandwidth.waiting() >= self.max_queued_packets {
            out.stats.dropped_queue_full += 1;
            return None;
        }
        self.bandwidth.wait(paced);
        self.wake_for_bandwidth(now, out);
        None
    }

    /// Queues a media packet, giving it its transport-wide number if it is to have one; `None` when there is no room.
    pub fn enqueue(&mut self, now: Instant, paced: PacedPacket, out: &mut Outbox) -> Option<QueuedPacket> {
        if self.queue.len() >= self.max_queued_packets {
            out.stats.dropped_queue_full += 1;
            return None;
        }
        let PacedPacket { mut packet, numbered, bytes, .. } = paced;
        if numbered {
            packet.transport_sequence = self.next_transport_sequence;
            self.next_transport_sequence = self.next_transport_sequence.wrapping_add(1);
        }
        let number = numbered.then_some(packet.transport_sequence);
        self.bandwidth.on_sent(now, number, bytes, packet.is_probe);
        if self.queue.is_empty() {
            out.dirty.push_back(self.id);
        }
        self.queue.push(packet);
        self.equaliser.on_queued(&mut self.queue);
        Some(packet)
    }

    /// Takes all queued packets, oldest first. The memory is to be given back by [`Self::put_back_queue`].
    pub fn take_queue(&mut self) -> Vec<QueuedPacket> {
        self.equaliser.reset();
        mem::take(&mut self.queue)
    }

    /// Gives back the memory of a queue that has been sent.
    pub fn put_back_queue(&mut self, mut queue: Vec<QueuedPacket>) {
        queue.clear();
        self.queue = queue;
    }

    /// Drops what is queued for a consumer.
    pub fn drop_queued(&mut self, consumer: Id<tag::Consumer>) {
        self.queue.retain(|packet| packet.consumer != consumer);
        self.equaliser.reset();
        self.bandwidth.drop_waiting(Some(consumer));
    }

    /// Seals a rendered packet in place; false when it could not be.
    pub fn protect_rtp(
        &mut self,
        packet: &QueuedPacket,
        bytes: &mut Vec<u8>,
        start: usize,
        header_len: usize,
    ) -> bool {
        let Some(srtp) = &self.srtp else { return false };
        srtp.sender.protect_rtp(bytes, start, header_len, packet.index).is_ok()
    }

    /// Counts a media packet that was queued.
    pub fn count_sent(&mut self, now: Instant, packet: &QueuedPacket, bytes: usize) {
        let counters = &mut self.counters;
        let traffic = match packet {
            _ if packet.is_probe => &mut counters.probation_sent,
            _ if packet.content.is_retransmission() => &mut counters.rtx_sent,
            _ => &mut counters.rtp_sent,
        };
        traffic.add(now, bytes);
    }

    /// Fires the timers of ICE and DTLS that are due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> TransportChange {
        if self.connect_by.is_some_and(|at| at <= now) && self.srtp.is_none() {
            return TransportChange::Close(CloseReason::ConsentExpired);
        }
        // The tuples stay with the transport until it is forgotten, tuples and all.
        if self.ice.deadline().is_some_and(|at| at <= now) {
            out.event(Event::IceStateChanged { transport_id: self.id, state: IceState::Disconnected });
            return TransportChange::Close(CloseReason::ConsentExpired);
        }
        if self.dtls.deadline().is_some_and(|at| at <= now) {
            self.dtls.handle_timeout(now);
            return self.drain_dtls(now, out);
        }
        TransportChange::None
    }

    /// Says goodbye to the client, if there is a connection.
    pub fn close(&mut self, now: Instant, out: &mut Outbox) {
        self.dtls.close();
        self.drain_dtls(now, out);
        self.queue.clear();
        self.equaliser.reset();
        self.bandwidth.drop_waiting(None);
        out.timers.remove(self.timer);
    }

    /// Makes sure that the timer fires at `at` or before.
    pub fn wake_by(&mut self, at: Option<Instant>, out: &mut Outbox) {
        let Some(at) = at else { return };
        if self.wake_at.is_none_or(|wake_at| at < wake_at) {
            self.wake_at = Some(at);
            out.timers.set(self.timer, self.wake_at);
        }
    }

    /// Makes sure that the timer fires when the bandwidth is to be seen to next.
    pub fn wake_for_bandwidth(&mut self, now: Instant, out: &mut Outbox) {
        let deadline = self.bandwidth.deadline();
        self.wake_by(deadline.map(|at| if at > now { at } else { now + SHORTEST_SLEEP }), out);
    }

    /// Sets the timer anew after it has fired; never for a time that has come already.
    pub fn rearm(&mut self, now: Instant, media_deadline: Option<Instant>, out: &mut Outbox) {
        let own = [self.ice.deadline(), self.dtls.deadline(), self.connect_by, media_deadline];
        self.wake_at = own.into_iter().flatten().min().map(|at| at.max(now + SHORTEST_SLEEP));
        out.timers.set(self.timer, self.wake_at);
    }

    /// Sets the most that the client may send, in bits a second; `None`: no limit.
    pub fn set_max_incoming_bitrate(&mut self, now: Instant, limit_bps: Option<u64>, out: &mut Outbox) {
        self.incoming_limit.set(limit_bps);
        if let Some(remb) = &mut self.remb {
            remb.set_max_bitrate(limit_bps);
        } else if self.feedback.is_some() && self.is_connected() {
            self.incoming_limit.tell(now);
            self.wake_by(self.incoming_limit.deadline(), out);
        }
    }

    /// Starts the periodic reports, or goes on with them.
    pub fn schedule_report(&mut self, now: Instant, jitter: u32, out: &mut Outbox) {
        // 0.75 to 1.25 of the interval.
        let interval = REPORT_INTERVAL.mul_f64(0.75 + f64::from(jitter % 1_000) / 2_000.0);
        self.report_at = Some(now + interval);
        self.wake_by(self.report_at, out);
    }

    /// Takes a measured round trip.
    pub fn on_rtt(&mut self, now: Instant, rtt: Duration) {
        self.bandwidth.estimator.on_rtt(now, rtt);
        // RFC 6298's smoothing.
        self.rtt = Some(self.rtt.map_or(rtt, |smoothed| (smoothed * 7 + rtt) / 8));
    }

    /// The round trip, measured or assumed.
    pub fn rtt(&self) -> Duration {
        self.rtt.unwrap_or(DEFAULT_RTT)
    }

    /// The round trip as media meets it now: reports are few and small, and tell late of a queue that has filled.
    pub fn rtt_with_queue(&self) -> Duration {
        self.rtt().max(self.bandwidth.estimator.feedback_rtt().unwrap_or_default())
    }

    /// The round trip, once measured.
    pub fn measured_rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether media can flow: there are keys, and a path.
    pub fn is_connected(&self) -> bool {
        self.srtp.is_some() && self.ice.selected().is_some()
    }

    /// Whether packets wait to be rendered.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Our role as it is signalled: what the client has left to us, until it says more.
    pub fn local_dtls_role(&self) -> ortc::DtlsRole {
        match self.dtls.role().or(self.dtls_role) {
            Some(DtlsRole::Client) => ortc::DtlsRole::Client,
            Some(DtlsRole::Server) => ortc::DtlsRole::Server,
            None => ortc::DtlsRole::Auto,
        }
    }

    /// State of DTLS.
    pub fn dtls_state(&self) -> DtlsState {
        self.dtls.state().into()
    }

    /// Sends what DTLS wants sent, and makes SRTP keys of what it has agreed on.
    fn drain_dtls(&mut self, now: Instant, out: &mut Outbox) -> TransportChange {
        let mut change = TransportChange::None;
        while let Some(output) = self.dtls.poll_output() {
            match output {
                DtlsOutput::Packet(packet) => self.send_dtls(now, &packet, out),
                DtlsOutput::Connected(keys) => change = self.set_keys(&keys),
                DtlsOutput::Failed(_) => change = TransportChange::Close(CloseReason::DtlsFailed),
                DtlsOutput::Closed => change = TransportChange::Close(CloseReason::DtlsClosed),
                // SCTP is not built yet.
                DtlsOutput::ApplicationData(_) => {}
            }
        }
        self.report_dtls_state(out);
        self.wake_by(self.dtls.deadline(), out);
        change
    }

    fn send_dtls(&mut self, now: Instant, packet: &[u8], out: &mut Outbox) {
        let Some(path) = self.ice.selected() else { return };
        self.counters.control_sent.add(now, packet.len());
        out.control.push_with(path, |buffer, _| {
            buffer.extend_from_slice(packet);
            true
        });
    }

    fn set_keys(&mut self, keys: &DtlsKeys) -> TransportChange {
        let profile = SrtpProfile::from_protection_profile(keys.protection_profile);
        let is_client = keys.role == DtlsRole::Client;
        let contexts = profile.and_then(|profile| {
            SrtpContexts::from_keying_material(
                &*self.srtp_crypto,
                profile,
                &keys.keying_material,
                is_client,
                self.max_ssrcs,
            )
        });
        match contexts {
            Some(contexts) => {
                self.srtp = Some(contexts);
                self.connect_by = None;
                TransportChange::Connected
            }
            None => TransportChange::Close(CloseReason::DtlsFailed),
        }
    }

    fn report_dtls_state(&mut self, out: &mut Outbox) {
        let state = self.dtls_state();
        if state != self.reported_dtls_state {
            self.reported_dtls_state = state;
            out.event(Event::DtlsStateChanged { transport_id: self.id, state });
        }
    }
}

fn count_srtp_error(error: SrtpError, out: &mut Outbox) {
    match error {
        SrtpError::Replayed => out.stats.dropped_srtp_replay += 1,
        SrtpError::TableFull => out.stats.dropped_srtp_ssrc_limit += 1,
        _ => out.stats.dropped_srtp_authentication += 1,
    }
}
