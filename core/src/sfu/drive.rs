//! Inputs in, outputs out.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ports::SocketOrder;
use super::{Datagram, Deadline, Input, Output, Polled, Sfu, Transmit};
use crate::event::CloseReason;
use crate::ice::{Tuple, peek_username};
use crate::id::TransportId;
use crate::outbox::Run;
use crate::transport::{TransportChange, WebRtcTransport};
use crate::wire::demux::{Kind, classify};

/// A transport that has had no valid STUN request for this long may lose its selected tuple to another: clients ask every 5 s or
/// more often (RFC 7675 section 5.1).
const TUPLE_HOLD: Duration = Duration::from_secs(10);

impl Sfu {
    /// Takes an input and decides everything that follows from it. Never fails: what is hostile or broken is counted and
    /// dropped. First fires the timers that are due at `now`.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.advance(now);
        match input {
            Input::Datagram(datagram) => self.handle_datagram(datagram),
            Input::ListenFailed { transport_id, local } => self.handle_listen_failure(transport_id, local),
            Input::Dropped { datagrams } => self.handle_dropped(datagrams),
            Input::Timeout => {}
        }
        // What the input has made due at once (the request for a packet found missing) must not wait for another call.
        self.fire_timers();
    }

    /// Renders and removes the next output. [`Output::Timeout`] comes only when nothing else is left, and names a time that has
    /// not been reached by the last input or request.
    pub fn poll_output(&mut self) -> Output<'_> {
        if let Some(event) = self.out.events.pop() {
            return Output::Event(event);
        }
        if let Some(run) = self.out.control.pop_run() {
            self.polled = Polled { datagrams: run.segments, is_media: false };
            self.out.stats.count_sent(run.segments, run.range.len());
            return Output::Transmit(transmit(&run, self.out.control.bytes(run.range.clone())));
        }
        self.out.control.reset();
        // Behind the control datagrams: a transport's goodbye leaves by the socket that closes after it.
        match self.ports.pop_order() {
            Some(SocketOrder::Listen { transport_id, local }) => {
                return Output::Listen { transport_id, local };
            }
            Some(SocketOrder::Unlisten { local }) => return Output::Unlisten { local },
            None => {}
        }
        while self.rendered.runs.is_empty() {
            let Some(id) = self.out.dirty.pop_front() else {
                let next = self.out.deadline();
                return Output::Timeout(Deadline {
                    at: next.map(|(at, _)| at),
                    reason: next.map(|(_, id)| id),
                });
            };
            if let Some(router) = self.routers.get_mut(id.router.0) {
                router.render(self.now, id, &mut self.rendered, &mut self.out);
            }
        }
        let Some(run) = self.rendered.pop() else {
            return Output::Timeout(Deadline { at: None, reason: None });
        };
        self.out.stats.count_sent(run.segments, run.range.len());
        self.out.stats.rtp_packets_sent += run.segments as u64;
        self.polled = Polled { datagrams: run.segments, is_media: true };
        Output::Transmit(transmit(&run, self.rendered.bytes.get(run.range.clone()).unwrap_or_default()))
    }

    pub(super) fn fire_timers(&mut self) {
        while let Some(id) = self.out.timers.pop_due(self.now) {
            let Ok((router, mut ctx)) = self.split(id.router) else { continue };
            let change = router.handle_transport_timeout(id, &mut ctx);
            self.apply(id, change);
        }
    }

    /// Follows what happened to a transport.
    pub(super) fn apply(&mut self, id: TransportId, change: TransportChange) {
        let Ok((router, mut ctx)) = self.split(id.router) else { return };
        if let Some(closed) = router.apply(id, change, &mut ctx) {
            self.forget(&closed);
        }
    }

    /// Forgets the addresses of a transport that is gone, and takes its port back.
    pub(super) fn forget(&mut self, transport: &WebRtcTransport) {
        for tuple in transport.ice.tuples() {
            self.demux.remove_tuple(*tuple, transport.id);
        }
        for fragment in transport.ice.username_fragments() {
            self.demux.remove_username_fragment(fragment);
        }
        self.ports.close(transport.id, &self.config.listen);
        self.out.dirty.retain(|id| *id != transport.id);
    }

    fn handle_datagram(&mut self, datagram: Datagram<'_>) {
        self.out.stats.datagrams_received += 1;
        self.out.stats.bytes_received += datagram.payload.len() as u64;
        let tuple = Tuple { local: datagram.local, remote: datagram.remote, protocol: datagram.protocol };
        let kind = classify(datagram.payload);
        match kind {
            Kind::Stun => return self.handle_stun(tuple, datagram.payload),
            Kind::Unknown => {
                self.out.stats.dropped_unknown_protocol += 1;
                return;
            }
            Kind::Dtls | Kind::Rtp | Kind::Rtcp => {}
        }
        let Some(id) = self.demux.by_tuple(&tuple) else {
            self.out.stats.dropped_unknown_tuple += 1;
            return;
        };
        let change = self.handle_secured(id, kind, datagram.payload);
        self.apply(id, change);
    }

    fn handle_secured(&mut self, id: TransportId, kind: Kind, payload: &mut [u8]) -> TransportChange {
        let Ok((router, mut ctx)) = self.split(id.router) else { return TransportChange::None };
        let Ok(transport) = router.transport_mut(id) else { return TransportChange::None };
        match kind {
            Kind::Dtls => return transport.handle_dtls(ctx.now, payload, ctx.out),
            Kind::Rtp => {
                if let Some(range) = transport.unprotect_rtp(ctx.now, payload, ctx.out) {
                    router.handle_rtp(id, payload.get(range).unwrap_or_default(), &mut ctx);
                }
            }
            Kind::Rtcp => {
                if let Some(range) = transport.unprotect_rtcp(ctx.now, payload, ctx.out) {
                    router.handle_rtcp(id, payload.get(range).unwrap_or_default(), &mut ctx);
                }
            }
            Kind::Stun | Kind::Unknown => {}
        }
        TransportChange::None
    }

    /// The last datagrams handed out have not left after all.
    fn handle_dropped(&mut self, datagrams: usize) {
        let datagrams = datagrams.min(self.polled.datagrams);
        self.polled.datagrams -= datagrams;
        self.out.stats.dropped_socket_full += datagrams as u64;
        let id = self.rendered.transport.filter(|_| self.polled.is_media);
        if let Some(router) = id.and_then(|id| self.routers.get_mut(id.router.0)) {
            router.on_dropped(self.now, &self.rendered, datagrams);
        }
    }

    fn handle_listen_failure(&mut self, id: TransportId, local: SocketAddr) {
        if !self.ports.are_shared() && self.ports.admit(id, local.port()) {
            self.out.stats.listens_failed += 1;
            self.apply(id, TransportChange::Close(CloseReason::ListenFailed));
        }
    }

    fn handle_stun(&mut self, tuple: Tuple, payload: &[u8]) {
        let by_name = peek_username(payload).and_then(|fragment| self.demux.by_username_fragment(fragment));
        // Requests name their transport; keepalives (indications) do not, and are known by where they come from.
        let Some(id) = by_name.or_else(|| self.demux.by_tuple(&tuple)) else {
            self.out.stats.dropped_stun += 1;
            return;
        };
        if !self.ports.admit(id, tuple.local.port()) || self.is_held_by_another(&tuple, id) {
            self.out.stats.dropped_stun += 1;
            return;
        }
        let Ok((router, ctx)) = self.split(id.router) else { return };
        let Ok(transport) = router.transport_mut(id) else { return };
        let outcome = transport.handle_stun(ctx.now, tuple, payload, ctx.out);
        let change = if outcome.selected.is_some() {
            transport.on_tuple_selected(ctx.now, ctx.out)
        } else {
            TransportChange::None
        };
        if let Some(tuple) = outcome.removed_tuple {
            self.demux.remove_tuple(tuple, id);
        }
        if let Some(fragment) = outcome.retired_username_fragment {
            self.demux.remove_username_fragment(&fragment);
        }
        if let Some(tuple) = outcome.added_tuple
            && let Some(previous) = self.demux.add_tuple(tuple, id)
            && let Ok(router) = self.router_mut(previous.router)
            && let Ok(transport) = router.transport_mut(previous)
        {
            // Its client has moved, or is gone: it will select another tuple, or consent expires.
            transport.ice.lose_tuple(&tuple);
        }
        self.apply(id, change);
    }

    /// Whether a tuple is selected by another transport, and in use. Who knows the credentials of one transport must not be able
    /// to take another's path away by forging its address. When two clients have changed places, each asks from the tuple that
    /// is the other's: the first whose hold has ended takes it, and frees its own for the other.
    fn is_held_by_another(&self, tuple: &Tuple, id: TransportId) -> bool {
        let Some(holder) = self.demux.by_tuple(tuple).filter(|holder| *holder != id) else { return false };
        let router = self.routers.get(holder.router.0);
        let Some(ice) = router.and_then(|router| Some(&router.transport(holder).ok()?.ice)) else {
            return false;
        };
        let is_fresh = |at| self.now.saturating_duration_since(at) < TUPLE_HOLD;
        ice.selected() == Some(*tuple) && ice.last_consent().is_some_and(is_fresh)
    }
}

fn transmit<'a>(run: &Run, payload: &'a [u8]) -> Transmit<'a> {
    Transmit {
        local: run.path.local,
        remote: run.path.remote,
        protocol: run.path.protocol,
        class: run.class,
        payload,
        segment_size: (run.segments > 1).then_some(run.segment_size),
    }
}
