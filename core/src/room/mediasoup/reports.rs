//! When which session is told statistics.
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::message::Reported;
use crate::room::SessionId;

/// The reports that clients have asked for.
///
/// Invariant: both tables hold the same reports.
#[derive(Debug, Default)]
pub(in crate::room) struct Reports {
    due: BTreeSet<(Instant, SessionId, Reported)>,
    asked: BTreeMap<(SessionId, Reported), (Instant, Duration)>,
}

impl Reports {
    /// Reports every `interval`; the first one that is due here is the second one.
    pub(super) fn start(&mut self, now: Instant, session: SessionId, of: Reported, interval: Duration) {
        self.stop(session, of);
        let at = now + interval;
        self.asked.insert((session, of), (at, interval));
        self.due.insert((at, session, of));
    }

    /// No more of those.
    pub(in crate::room) fn stop(&mut self, session: SessionId, of: Reported) {
        if let Some((at, _)) = self.asked.remove(&(session, of)) {
            self.due.remove(&(at, session, of));
        }
    }

    /// No more for a session.
    pub(in crate::room) fn forget(&mut self, session: SessionId) {
        let own = (session, Reported::Transport(0))..=(session, Reported::Consumer(u32::MAX));
        let reports: Vec<Reported> = self.asked.range(own).map(|((_, of), _)| *of).collect();
        for of in reports {
            self.stop(session, of);
        }
    }

    /// A report that is due. The next one of the same follows after its interval, counted from now: what was missed is missed.
    pub(in crate::room) fn pop_due(&mut self, now: Instant) -> Option<(SessionId, Reported)> {
        let (at, session, of) = self.due.first().copied().filter(|(at, ..)| *at <= now)?;
        self.due.remove(&(at, session, of));
        if let Some((next, interval)) = self.asked.get_mut(&(session, of)) {
            *next = now + *interval;
            self.due.insert((*next, session, of));
        }
        Some((session, of))
    }

    /// When the next one is due.
    pub(in crate::room) fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }
}
