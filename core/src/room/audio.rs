//! Rooms of which somebody wants to know who speaks.
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::Rooms;
use super::mediasoup::MediasoupError;
use crate::event::Event;
use crate::observer::active_speaker::ActiveSpeakerDetector;
use crate::sfu::Sfu;

/// Time between two reports, as version 2 has it.
const INTERVAL: Duration = Duration::from_millis(500);

/// What is observed, and what has been found.
#[derive(Debug, Default)]
pub(super) struct AudioWatch {
    rooms: BTreeMap<String, Watched>,
    found: VecDeque<Event>,
}

#[derive(Debug)]
struct Watched {
    at: Instant,
    detector: ActiveSpeakerDetector,
}

impl AudioWatch {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.rooms.values().map(|watched| watched.at).min()
    }
}

impl Rooms {
    /// Reports from now on how loud the producers of a room are ([`Event::AudioLevels`], every 500 ms in which somebody has sent a
    /// level) and who speaks ([`Event::ActiveSpeakerChanged`]), until the room goes.
    ///
    /// Errors: there is no such room.
    pub fn observe_audio(
        &mut self,
        sfu: &mut Sfu,
        now: Instant,
        room_id: &str,
    ) -> Result<(), MediasoupError> {
        let router = self.router(room_id).ok_or_else(|| MediasoupError::other("Room not found"))?;
        if !self.audio.rooms.contains_key(room_id) {
            sfu.observe_audio_levels(now, router, true)?;
            let watched = Watched { at: now + INTERVAL, detector: ActiveSpeakerDetector::default() };
            self.audio.rooms.insert(room_id.to_owned(), watched);
        }
        Ok(())
    }

    /// Takes out what has been found in observed rooms.
    pub fn pop_audio_event(&mut self) -> Option<Event> {
        self.audio.found.pop_front()
    }

    /// A room is gone.
    pub(super) fn forget_audio(&mut self, room_id: &str) {
        self.audio.rooms.remove(room_id);
    }

    /// Makes the reports that are due.
    pub(super) fn report_audio(&mut self, sfu: &mut Sfu, now: Instant) {
        for (room_id, watched) in self.audio.rooms.iter_mut().filter(|(_, watched)| watched.at <= now) {
            watched.at = now + INTERVAL;
            let Some(room) = self.rooms.get(room_id) else { continue };
            let Ok(levels) = sfu.take_audio_levels(now, room.router) else { continue };
            let router_id = room.router;
            let gone = watched.detector.current().filter(|speaker| !room.producers.contains_key(speaker));
            let changed = gone.and_then(|speaker| watched.detector.on_gone(speaker));
            let changed = watched.detector.on_report(&levels).or(changed);
            if !levels.is_empty() {
                self.audio.found.push_back(Event::AudioLevels { router_id, levels });
            }
            if let Some(producer_id) = changed {
                self.audio.found.push_back(Event::ActiveSpeakerChanged { router_id, producer_id });
            }
        }
    }
}
