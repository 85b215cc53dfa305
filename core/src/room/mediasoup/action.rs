//! What a server application of version 2 does to the objects of a peer.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::MediasoupError;
use super::notices::Originator;
use super::profile::Profile;
use crate::room::desk::Turn;
use crate::room::members::Room;

/// The least that a client may be limited to, in bits a second.
const MIN_MAX_BITRATE_BPS: u64 = 10_000;

/// Something done to a peer or one of its objects by the server. `id` is the one of the protocol; the client is told, with
/// `app_data` (`null`: none).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the members are those of the notifications that clients get")]
pub enum Action {
    /// `peer.close()`: the client is told `closed`, the others `peerClosed`. Its session stays open.
    ClosePeer { app_data: Value },
    /// `transport.close()`. The client can make it anew under the same id.
    CloseTransport { id: u32, app_data: Value },
    /// `transport.setMaxBitrate()`: what a client may send by a transport of direction `send`; at least 10,000.
    SetMaxBitrate { id: u32, bitrate_bps: u64 },
    /// `producer.close()`.
    CloseProducer { id: u32, app_data: Value },
    /// `producer.pause()`.
    PauseProducer { id: u32, app_data: Value },
    /// `producer.resume()`.
    ResumeProducer { id: u32, app_data: Value },
    /// `producer.setPreferredProfile()`: for the consumers that have no wish of their own. Nobody is told.
    SetProducerPreferredProfile { id: u32, profile: Profile },
    /// `consumer.pause()`.
    PauseConsumer { id: u32, app_data: Value },
    /// `consumer.resume()`.
    ResumeConsumer { id: u32, app_data: Value },
    /// `consumer.setPreferredProfile()`.
    SetConsumerPreferredProfile { id: u32, profile: Profile },
    /// `consumer.requestKeyFrame()`. Nobody is told.
    RequestKeyFrame { id: u32 },
}

impl Room {
    pub(super) fn act(
        &mut self,
        turn: &mut Turn<'_>,
        peer: &str,
        action: Action,
    ) -> Result<(), MediasoupError> {
        if self.peers.get(peer).is_none_or(|peer| peer.member.is_none()) {
            return Err(MediasoupError::not_found("Peer"));
        }
        let by_server = |app_data| Originator::Server { app_data };
        match action {
            Action::ClosePeer { app_data } => {
                self.kick(turn, peer, &app_data);
                Ok(())
            }
            Action::CloseTransport { id, app_data } => {
                self.close_member_transport(turn, peer, id, by_server(app_data))
            }
            Action::SetMaxBitrate { id, bitrate_bps } => self.set_max_bitrate(turn, peer, id, bitrate_bps),
            Action::CloseProducer { id, app_data } => self.close_source(turn, peer, id, by_server(app_data)),
            Action::PauseProducer { id, app_data } => {
                self.set_source_paused(turn, peer, id, true, by_server(app_data))
            }
            Action::ResumeProducer { id, app_data } => {
                self.set_source_paused(turn, peer, id, false, by_server(app_data))
            }
            Action::SetProducerPreferredProfile { id, profile } => self.cap_source(turn, peer, id, profile),
            Action::PauseConsumer { id, app_data } => {
                self.set_sink_paused(turn, peer, id, true, by_server(app_data))
            }
            Action::ResumeConsumer { id, app_data } => {
                self.set_sink_paused(turn, peer, id, false, by_server(app_data))
            }
            Action::SetConsumerPreferredProfile { id, profile } => self.prefer(turn, peer, id, profile),
            Action::RequestKeyFrame { id } => {
                let sink = self.member_mut(peer)?.sinks.get(&id);
                let enabled = sink.ok_or_else(|| MediasoupError::not_found("Consumer"))?.enabled;
                let enabled = enabled.ok_or_else(|| MediasoupError::state("Consumer not enabled"))?;
                Ok(turn.sfu.request_consumer_key_frame(turn.now, enabled)?)
            }
        }
    }

    fn set_max_bitrate(
        &mut self,
        turn: &mut Turn<'_>,
        peer: &str,
        id: u32,
        bitrate_bps: u64,
    ) -> Result<(), MediasoupError> {
        let transport = self.member_transport(peer, id, "Transport")?;
        let direction = self.peers.get(peer).and_then(|peer| peer.transports.get(&transport));
        if !direction.is_some_and(|direction| direction.producing) {
            return Err(MediasoupError::state("the Transport is not for sending"));
        }
        let limit = bitrate_bps.max(MIN_MAX_BITRATE_BPS);
        Ok(turn.sfu.set_max_incoming_bitrate(turn.now, transport, Some(limit))?)
    }

    fn cap_source(
        &mut self,
        turn: &mut Turn<'_>,
        peer: &str,
        id: u32,
        profile: Profile,
    ) -> Result<(), MediasoupError> {
        let source = self.member_mut(peer)?.sources.get_mut(&id);
        let source = source.ok_or_else(|| MediasoupError::not_found("Producer"))?;
        source.preferred_profile = a_wish(profile)?;
        let producer = source.id;
        let consuming = self.peers.iter().filter_map(|(name, peer)| {
            let (sink, _) = peer.member.as_deref()?.sink_of(producer)?;
            Some((name.clone(), sink))
        });
        for (name, sink) in consuming.collect::<Vec<_>>() {
            self.apply_profile(turn, &name, sink);
        }
        Ok(())
    }

    fn prefer(
        &mut self,
        turn: &mut Turn<'_>,
        peer: &str,
        id: u32,
        profile: Profile,
    ) -> Result<(), MediasoupError> {
        let sink = self.member_mut(peer)?.sinks.get_mut(&id);
        let sink = sink.ok_or_else(|| MediasoupError::not_found("Consumer"))?;
        sink.preferred_profile = a_wish(profile)?;
        let data = json!({ "id": id, "peerName": sink.peer_name, "profile": profile });
        if let Some(session) = self.session(peer) {
            turn.desk.notify_member(session, "consumerPreferredProfileSet", data);
        }
        self.apply_profile(turn, peer, id);
        Ok(())
    }
}

fn a_wish(profile: Profile) -> Result<Profile, MediasoupError> {
    match profile {
        Profile::None => Err(MediasoupError::wrong_type("profile must not be 'none'")),
        profile => Ok(profile),
    }
}
