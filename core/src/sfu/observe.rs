//! Requests about the loudness of a router's producers.
use std::time::Instant;

use super::Sfu;
use crate::error::RequestError;
use crate::event::AudioLevel;
use crate::id::RouterId;

impl Sfu {
    /// Begins or ceases to collect the levels that clients write into their audio packets (RFC 6464).
    pub fn observe_audio_levels(
        &mut self,
        now: Instant,
        id: RouterId,
        wanted: bool,
    ) -> Result<(), RequestError> {
        self.advance(now);
        self.router_mut(id)?.observe_audio_levels(wanted);
        Ok(())
    }

    /// The levels since the last time, the loudest first; of producers that have sent something.
    pub fn take_audio_levels(&mut self, now: Instant, id: RouterId) -> Result<Vec<AudioLevel>, RequestError> {
        self.advance(now);
        Ok(self.router_mut(id)?.take_audio_levels())
    }
}
