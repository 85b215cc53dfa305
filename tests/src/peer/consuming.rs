//! A track that a client receives.
use std::time::Instant;

use sansfu::ortc::RtpParameters;
use serde_json::Value;

use super::call::Complaint;
use super::media::RtpReceiver;
use super::publishing::TrackKind;

/// A consumer at the client.
#[derive(Debug)]
pub struct Incoming {
    /// What receives it.
    pub receiver: RtpReceiver,
    paused: bool,
    producer_paused: bool,
}

impl Incoming {
    /// What an offer (`newConsumer`) describes; the track's nature is told by the `appData` of [`Outgoing`]'s producer.
    ///
    /// [`Outgoing`]: super::publishing::Outgoing
    pub fn new(
        now: Instant,
        app_data: &Value,
        parameters: &RtpParameters,
        producer_paused: bool,
    ) -> Option<Self> {
        let (kind, id) = TrackKind::from_app_data(app_data)?;
        let mut receiver = RtpReceiver::new(parameters, kind.spec(id), now);
        receiver.set_active(now, !producer_paused);
        Some(Incoming { receiver, paused: false, producer_paused })
    }

    /// The id of its track.
    pub fn track_id(&self) -> u32 {
        self.receiver.track().id
    }

    /// Whether a packet is of its stream, or of its retransmissions.
    pub fn has_ssrc(&self, ssrc: u32) -> bool {
        self.receiver.ssrc() == ssrc || self.receiver.rtx_ssrc() == Some(ssrc)
    }

    /// Its consumer is paused, or goes on.
    pub fn set_paused(&mut self, now: Instant, paused: bool) {
        self.paused = paused;
        self.receiver.set_active(now, !self.paused && !self.producer_paused);
    }

    /// Its producer is paused, or goes on.
    pub fn set_producer_paused(&mut self, now: Instant, paused: bool) {
        self.producer_paused = paused;
        self.receiver.set_active(now, !self.paused && !self.producer_paused);
    }

    /// Takes an RTP packet.
    ///
    /// # Errors
    /// What of it must not be.
    pub fn handle_rtp(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Complaint> {
        let outcome = self.receiver.handle_rtp(now, bytes);
        outcome.map_err(|violation| self.complain(&violation))
    }

    /// Appends what is due: NACKs, keyframe requests, reports.
    ///
    /// # Errors
    /// What must not be of packets behind a gap that was given up.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) -> Result<(), Complaint> {
        let outcome = self.receiver.poll(now, out);
        outcome.map_err(|violation| self.complain(&violation))
    }

    /// How it stands, in words.
    pub fn describe(&self) -> String {
        format!(
            "track {} ({:?}), paused {}, producer paused {}: {:?}",
            self.track_id(),
            self.receiver.track().codec,
            self.paused,
            self.producer_paused,
            self.receiver.counters(),
        )
    }

    fn complain(&self, violation: &super::media::Violation) -> Complaint {
        Complaint { track: Some(self.track_id()), what: format!("{violation:?} of {}", self.describe()) }
    }
}
