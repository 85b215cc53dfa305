//! A caller's place in a room: its transports and what flows on them.
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use super::Complaint;
use crate::peer::consuming::Incoming;
use crate::peer::media::congestion::TransportNumbers;
use crate::peer::media::feedback::FeedbackGenerator;
use crate::peer::media::remb::RembGenerator;
use crate::peer::path::{Path, PathState, Received};
use crate::peer::publishing::{Outgoing, TrackKind};
use crate::sim::plan::Silence;
use crate::sim::world::Said;

/// Being in a room, or on the way into it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) room_id: String,
    pub(super) wanted: Vec<TrackKind>,
    pub(super) open: bool,
    pub(super) joined: bool,
    pub(super) requests: u64,
    pub(super) pending: BTreeMap<u64, Asked>,
    pub(super) sending: Option<Transport>,
    pub(super) receiving: Option<Transport>,
    pub(super) outgoing: Vec<Outgoing>,
    /// In version 2 those that are enabled.
    pub(super) incoming: BTreeMap<String, Incoming>,
    /// In version 2 what can be enabled.
    pub(super) offered: BTreeMap<String, Offered>,
}

/// A consumer of version 2, which is there as long as its producer.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) description: Value,
    /// Whether the client wants it paused.
    pub(super) paused: bool,
    /// Whether it is enabled, or has been asked for.
    pub(super) asked: bool,
}

/// The client's end of a transport.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) id: Value,
    pub(super) local: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) path: Path,
    /// Transport-wide sequence numbers, shared by all that it sends.
    pub(super) numbers: TransportNumbers,
    /// Tells the server when its packets came, once the first consumer has said how they are numbered.
    pub(super) feedback: Option<FeedbackGenerator>,
    /// Tells the server in version 2 how much gets through.
    pub(super) remb: Option<RembGenerator>,
    /// The end of its silence, while it is silent.
    pub(super) silent_until: Option<Instant>,
}

/// What an answer will be to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Capabilities,
    Transport { sending: bool },
    Join,
    Produce { track: u32 },
    RestartIce { sending: bool },
    Room,
    JoinRoom,
    CreateTransport { sending: bool, id: u32, port: u16 },
    CreateProducer { track: u32, id: u32 },
    EnableConsumer { id: String },
    Else,
}

impl Call {
    pub(super) fn new(room_id: String, wanted: Vec<TrackKind>) -> Self {
        Call {
            room_id,
            wanted,
            open: false,
            joined: false,
            requests: 0,
            pending: BTreeMap::new(),
            sending: None,
            receiving: None,
            outgoing: Vec::new(),
            incoming: BTreeMap::new(),
            offered: BTreeMap::new(),
        }
    }

    /// Whether everything of version 2 that can be received is enabled.
    pub(super) fn has_enabled_all(&self) -> bool {
        let mut wanted = self.offered.iter().filter(|(_, offered)| offered.can_be_received());
        self.receiving.is_none() || wanted.all(|(id, _)| self.incoming.contains_key(id))
    }

    /// Whether a path was given up: nobody has answered its checks for long.
    pub(super) fn has_failed(&self) -> bool {
        let both = [&self.sending, &self.receiving].into_iter().flatten();
        both.into_iter().any(|transport| transport.path.state() == PathState::Failed)
    }

    pub(super) fn transport(&self, sending: bool) -> Option<&Transport> {
        if sending { self.sending.as_ref() } else { self.receiving.as_ref() }
    }

    pub(super) fn transport_mut(&mut self, sending: bool) -> Option<&mut Transport> {
        if sending { self.sending.as_mut() } else { self.receiving.as_mut() }
    }

    pub(super) fn received(
        &mut self,
        now: Instant,
        sending: bool,
        received: &Received,
    ) -> Result<(), Complaint> {
        match (sending, received) {
            (true, Received::Rtcp(bytes)) => {
                for outgoing in &mut self.outgoing {
                    outgoing.sender.handle_rtcp(now, bytes);
                }
                Ok(())
            }
            (true, Received::Rtp(bytes)) => match self.incoming_of(bytes) {
                Some(_) => Err(Complaint::new("RTP on a transport that only sends".to_owned())),
                // Where all have agreed on the same keys, what was on its way to another client when both changed places.
                None => Ok(()),
            },
            (false, Received::Rtcp(bytes)) => {
                for incoming in self.incoming.values_mut() {
                    incoming.receiver.handle_rtcp(now, bytes);
                }
                Ok(())
            }
            (false, Received::Rtp(bytes)) => {
                if let Some(feedback) = self.receiving.as_mut().and_then(|own| own.feedback.as_mut()) {
                    feedback.on_rtp(now, bytes);
                }
                if let Some(remb) = self.receiving.as_mut().and_then(|own| own.remb.as_mut()) {
                    remb.on_rtp(now, bytes);
                }
                // What was sent before its consumer was closed may come after the news of that.
                self.incoming_of(bytes).map_or(Ok(()), |incoming| incoming.handle_rtp(now, bytes))
            }
        }
    }

    /// The consumer whose packet it is.
    fn incoming_of(&mut self, packet: &[u8]) -> Option<&mut Incoming> {
        let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
        self.incoming.values_mut().find(|incoming| incoming.has_ssrc(ssrc))
    }

    pub(super) fn poll(
        &mut self,
        now: Instant,
        said: &mut VecDeque<Said>,
        complaints: &mut Vec<Complaint>,
    ) -> Option<Instant> {
        let mut deadline: Option<Instant> = None;
        let mut wake = |at: Option<Instant>| deadline = [deadline, at].into_iter().flatten().min();
        let mut packets = Vec::new();
        if let Some(transport) = self.sending.as_mut() {
            transport.handle_timeout(now);
            let connected = transport.path.is_connected();
            for outgoing in self.outgoing.iter_mut().filter(|_| connected) {
                outgoing.sender.poll(now, &mut packets);
                wake(outgoing.sender.deadline());
            }
            transport.send(&mut packets);
            transport.flush(said);
            wake(transport.deadline());
        }
        if let Some(transport) = self.receiving.as_mut() {
            transport.handle_timeout(now);
            let connected = transport.path.is_connected();
            for incoming in self.incoming.values_mut().filter(|_| connected) {
                complaints.extend(incoming.poll(now, &mut packets).err());
                wake(Some(incoming.receiver.deadline()));
            }
            if let Some(feedback) = &mut transport.feedback {
                feedback.poll(now, &mut packets);
                wake(feedback.deadline());
            }
            if let Some(remb) = &mut transport.remb {
                remb.poll(now, &mut packets);
                wake(remb.deadline());
            }
            transport.send(&mut packets);
            transport.flush(said);
            wake(transport.deadline());
        }
        deadline
    }
}

impl Offered {
    /// Whether the client has a codec for it.
    pub(super) fn can_be_received(&self) -> bool {
        self.description["rtpParameters"]["encodings"].as_array().is_some_and(|all| !all.is_empty())
    }
}

impl Transport {
    /// Is silent from now on, until then.
    pub(super) fn fall_silent(&mut self, until: Instant, of: Silence) {
        match of {
            Silence::Checks => self.path.pause_consent(),
            Silence::Everything => self.path.set_silent(true),
        }
        self.silent_until = self.silent_until.max(Some(until));
    }

    /// Is silent no longer.
    pub(super) fn speak(&mut self, now: Instant) {
        self.silent_until = None;
        self.path.set_silent(false);
        self.path.resume_consent(now);
    }

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant) {
        if self.silent_until.is_some_and(|until| until <= now) {
            self.speak(now);
        }
        self.path.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.path.deadline(), self.silent_until].into_iter().flatten().min()
    }

    pub(super) fn send(&mut self, packets: &mut Vec<Vec<u8>>) {
        for packet in packets.drain(..) {
            // RFC 5761 section 4.
            if packet.get(1).is_some_and(|kind| (192..=223).contains(kind)) {
                self.path.send_rtcp(&packet);
            } else {
                self.path.send_rtp(&packet);
            }
        }
    }

    pub(super) fn flush(&mut self, said: &mut VecDeque<Said>) {
        while let Some(bytes) = self.path.poll_transmit() {
            said.push_back(Said::Datagram { local: self.local, to: self.server, bytes });
        }
    }
}
