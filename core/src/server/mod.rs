//! The whole server as one state machine: a media machine, its rooms, and its HTTP resources.
//!
//! A runtime asks [`edge::route`] what an HTTP request is about, passes WebSockets and what is left of the requests to
//! [`Server::handle_input`] together with the datagrams, and does what [`Server::poll_output`] says until that is
//! [`Output::Timeout`].
mod admin;
pub mod edge;
mod http;
mod io;
mod mediasoup;
mod secret;
pub mod settings;
mod stats;
mod whip;

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

pub use crate::room::Limits;
pub use crate::room::mediasoup::{Action, ErrorName, MediasoupError, Profile};
pub use http::{HttpRequest, HttpResponse};
pub use io::{Datagram, Deadline, ExchangeId, Input, Output, Protocol, SessionId, Transmit, TransmitClass};
pub use secret::Secret;
pub use stats::{HttpStats, ServerStats};

use crate::config::Config;
use crate::error::RequestError;
use crate::event::Event;
use crate::ortc::{
    RtpCapabilities, RtpCodecCapability, default_media_codecs, generate_router_rtp_capabilities,
};
use crate::rng::Rng;
use crate::room::{Post, Rooms};
use crate::sfu::{self, Sfu};
use edge::Target;
use whip::Resources;

/// Settings of a [`Server`].
#[derive(Debug, Clone, Default)]
pub struct ServerConfig {
    /// Of the media machine.
    pub sfu: Config,
    /// The codecs of every room, most preferred first; empty: the default ones.
    pub media_codecs: Vec<RtpCodecCapability>,
    /// Of rooms, sessions and resources.
    pub limits: Limits,
    /// Lets who has it throw peers out by `DELETE /rooms/{room}/peers/{peer}`. `None`: nobody can.
    pub admin_token: Option<Secret>,
}

/// An SFU with rooms, protoo sessions, WHIP and WHEP, as a state machine.
#[derive(Debug)]
pub struct Server {
    sfu: Sfu,
    rooms: Rooms,
    resources: Resources,
    limits: Limits,
    admin_token: Option<Secret>,
    /// What every room can do.
    rtp_capabilities: RtpCapabilities,
    responses: VecDeque<(ExchangeId, HttpResponse)>,
    events: VecDeque<Event>,
    dropped_events: u64,
    http: HttpStats,
}

impl Server {
    /// Makes one. `seed` decides everything random; `now` and `wall` are the same moment on both clocks.
    ///
    /// Errors: as [`Sfu::new`]; media codecs that cannot be used.
    pub fn new(
        config: ServerConfig,
        seed: [u8; 32],
        now: Instant,
        wall: SystemTime,
    ) -> Result<Self, RequestError> {
        let media_codecs =
            if config.media_codecs.is_empty() { default_media_codecs() } else { config.media_codecs };
        let rtp_capabilities = generate_router_rtp_capabilities(&media_codecs)
            .map_err(|error| RequestError::invalid(format!("media codecs: {error}")))?;
        // Neither the media machine nor the tokens can be told from what the other one shows to clients.
        let mut root = Rng::from_seed(seed);
        let mut sfu_seed = [0; 32];
        root.fill(&mut sfu_seed);
        Ok(Server {
            sfu: Sfu::new(config.sfu, sfu_seed, now, wall)?,
            resources: Resources::new(root.fork()),
            rooms: Rooms::new(media_codecs, config.limits.clone(), root.fork()),
            limits: config.limits,
            admin_token: config.admin_token,
            rtp_capabilities,
            responses: VecDeque::new(),
            events: VecDeque::new(),
            dropped_events: 0,
            http: HttpStats::default(),
        })
    }

    /// Takes an input and decides everything that follows from it.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.rooms.fire_due(&mut self.sfu, now);
        match input {
            Input::Datagram(datagram) => self.sfu.handle_input(now, sfu::Input::Datagram(datagram)),
            Input::ListenFailed { transport_id, local } => {
                self.sfu.handle_input(now, sfu::Input::ListenFailed { transport_id, local });
            }
            Input::Dropped { datagrams } => self.sfu.handle_input(now, sfu::Input::Dropped { datagrams }),
            Input::Timeout => self.sfu.handle_input(now, sfu::Input::Timeout),
            signaling => {
                // The timers of the media machine come first, whatever the input is.
                self.sfu.handle_input(now, sfu::Input::Timeout);
                self.settle(now);
                self.handle_signaling(now, signaling);
            }
        }
        self.settle(now);
    }

    fn handle_signaling(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(_) | Input::ListenFailed { .. } | Input::Dropped { .. } | Input::Timeout => {}
            Input::Opened { session, room_id, peer_id } => {
                self.rooms.opened(&mut self.sfu, now, session, room_id, peer_id);
            }
            Input::Message { session, text } => self.rooms.message(&mut self.sfu, now, session, text),
            Input::Closed { session } => self.rooms.closed(&mut self.sfu, now, session),
            Input::Http { exchange, request } => {
                self.http.http_requests += 1;
                let response = self.respond(now, &request);
                self.http.refused_http_requests += u64::from(response.status >= 400);
                self.responses.push_back((exchange, response));
            }
        }
    }

    /// Renders and removes the next output: messages and responses first, then datagrams.
    pub fn poll_output(&mut self) -> Output<'_> {
        match self.rooms.pop_post() {
            Some(Post::Message { session, text }) => return Output::Message { session, text },
            Some(Post::Close { session, code, reason }) => return Output::Close { session, code, reason },
            None => {}
        }
        if let Some((exchange, response)) = self.responses.pop_front() {
            return Output::Response { exchange, response };
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        match self.sfu.poll_output() {
            sfu::Output::Transmit(transmit) => Output::Transmit(transmit),
            sfu::Output::Listen { transport_id, local } => Output::Listen { transport_id, local },
            sfu::Output::Unlisten { local } => Output::Unlisten { local },
            sfu::Output::Event(event) => Output::Event(event),
            sfu::Output::Timeout(deadline) => Output::Timeout(earlier(deadline, self.rooms.next_deadline())),
        }
    }

    /// Counters.
    pub fn stats(&self) -> ServerStats {
        let mut sfu = self.sfu.stats();
        sfu.dropped_events += self.dropped_events;
        let (whip_resources, whep_resources) = self.resources.count();
        let http = HttpStats { whip_resources, whep_resources, ..self.http.clone() };
        ServerStats { sfu, rooms: self.rooms.stats(), http }
    }

    /// The media machine, to look at.
    pub fn sfu(&self) -> &Sfu {
        &self.sfu
    }

    /// Tells rooms and resources what the media machine reports, until nothing more follows from it.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.sfu.next_event() {
                self.rooms.handle_event(&mut self.sfu, now, &event);
                self.resources.handle_event(&mut self.sfu, now, &event);
                self.observe(event);
            }
            while let Some(event) = self.rooms.pop_audio_event() {
                self.observe(event);
            }
            if self.rooms.tidy(&mut self.sfu, now) {
                continue;
            }
            let Some(router) = self.rooms.pop_empty() else { return };
            self.resources.close_router(&mut self.sfu, now, router);
            // A fault may have closed it a moment ago.
            let _ = self.sfu.close_router(now, router);
        }
    }

    fn observe(&mut self, event: Event) {
        if self.events.len() < self.limits.max_queued_events {
            self.events.push_back(event);
        } else {
            self.dropped_events += 1;
        }
    }

    fn respond(&mut self, now: Instant, request: &HttpRequest<'_>) -> HttpResponse {
        if request.body.len() > self.limits.max_body_bytes {
            return HttpResponse::too_large(self.limits.max_body_bytes);
        }
        if request.method == "OPTIONS" {
            return whip::preflight();
        }
        let target = Target::parse(request.target);
        let segments = target.segments();
        match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["whip", path @ ..] => self.respond_whip(now, request, whip::Face::Whip, path),
            ["whep", path @ ..] => self.respond_whip(now, request, whip::Face::Whep, path),
            ["rooms", room_id] => self.respond_room(request, room_id),
            ["rooms", room_id, "peers", peer_id] => self.respond_peer(now, request, room_id, peer_id),
            ["stats"] if matches!(request.method, "GET" | "HEAD") => {
                HttpResponse::json(200, serde_json::to_string(&self.stats()).unwrap_or_default())
            }
            ["stats"] => HttpResponse::method_not_allowed("GET, HEAD, OPTIONS"),
            _ => HttpResponse::not_found("there is nothing at this path"),
        }
    }

    fn respond_whip(
        &mut self,
        now: Instant,
        request: &HttpRequest<'_>,
        face: whip::Face,
        path: &[&str],
    ) -> HttpResponse {
        let mut turn = whip::Turn { sfu: &mut self.sfu, rooms: &mut self.rooms, limits: &self.limits, now };
        self.resources.respond(&mut turn, request, face, path)
    }

    /// The capabilities of a room; those of a room that is not there are the same.
    fn respond_room(&self, request: &HttpRequest<'_>, room_id: &str) -> HttpResponse {
        if !matches!(request.method, "GET" | "HEAD") {
            return HttpResponse::method_not_allowed("GET, HEAD, OPTIONS");
        }
        let router = self.rooms.router(room_id);
        let capabilities = router.and_then(|router| self.sfu.router_rtp_capabilities(router).ok());
        let capabilities = capabilities.unwrap_or(&self.rtp_capabilities);
        HttpResponse::json(200, serde_json::to_string(capabilities).unwrap_or_default())
    }
}

fn earlier(mut deadline: Deadline, other: Option<Instant>) -> Deadline {
    if let Some(other) = other
        && deadline.at.is_none_or(|at| other < at)
    {
        deadline = Deadline { at: Some(other), reason: None };
    }
    deadline
}

#[cfg(test)]
mod tests;
