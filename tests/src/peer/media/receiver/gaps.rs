//! The sequence numbers that are missing: when to ask for them, and when to give up.
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A packet may come this much later than the next one before it is asked for.
const REORDERING: Duration = Duration::from_millis(10);
/// The time between two requests for one packet.
const REPEAT: Duration = Duration::from_millis(100);
/// Most requests for one packet.
const MAX_REQUESTS: u8 = 10;
/// After this time a gap is left behind: with requests, and where nobody can be asked.
const PATIENCE: Duration = Duration::from_millis(1_100);
const PATIENCE_WITHOUT_NACK: Duration = Duration::from_millis(120);
/// Most packets in one request.
const MAX_IN_REQUEST: usize = 200;

/// What is missing.
#[derive(Debug)]
pub(super) struct Gaps {
    nack: bool,
    missing: BTreeMap<u64, Missing>,
    /// Not later than the earliest request that is due: so that the many packets of an outage are not looked through for every
    /// packet that comes.
    ask_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Missing {
    since: Instant,
    ask_at: Instant,
    requests: u8,
}

impl Gaps {
    pub(super) fn new(nack: bool) -> Self {
        Gaps { nack, missing: BTreeMap::new(), ask_at: None }
    }

    /// These numbers were skipped.
    pub(super) fn on_gap(&mut self, now: Instant, skipped: Range<u64>) {
        let missing = Missing { since: now, ask_at: now + REORDERING, requests: 0 };
        if self.nack && !skipped.is_empty() {
            self.ask_at = Some(self.ask_at.map_or(missing.ask_at, |at| at.min(missing.ask_at)));
        }
        self.missing.extend(skipped.map(|sequence| (sequence, missing)));
    }

    /// Whether that packet was missing.
    pub(super) fn on_arrived(&mut self, sequence: u64) -> bool {
        self.missing.remove(&sequence).is_some()
    }

    /// Whether the packet that is next is given up.
    pub(super) fn is_hopeless(&self, next: u64, now: Instant) -> bool {
        self.missing.get(&next).is_some_and(|missing| missing.since + self.patience() <= now)
    }

    /// What to ask for now, in ascending order.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u16> {
        if self.ask_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (sequence, missing) in self.missing.iter_mut().filter(|(_, missing)| missing.ask_at <= now) {
            if missing.requests < MAX_REQUESTS && due.len() < MAX_IN_REQUEST {
                missing.requests += 1;
                missing.ask_at = now + REPEAT;
                due.push(*sequence as u16);
            }
        }
        let open = self.missing.values().filter(|missing| missing.requests < MAX_REQUESTS);
        self.ask_at = open.map(|missing| missing.ask_at.max(now + REORDERING)).min();
        due
    }

    /// When something is to be asked for (if `asks`) or given up.
    pub(super) fn deadline(&self, next: u64, asks: bool) -> Option<Instant> {
        let give_up_at = self.missing.get(&next).map(|missing| missing.since + self.patience());
        give_up_at.into_iter().chain(self.ask_at.filter(|_| asks)).min()
    }

    /// Gives up what is before `sequence`; how many those are.
    pub(super) fn forget_before(&mut self, sequence: u64) -> u64 {
        let kept = self.missing.split_off(&sequence);
        std::mem::replace(&mut self.missing, kept).len() as u64
    }

    fn patience(&self) -> Duration {
        if self.nack { PATIENCE } else { PATIENCE_WITHOUT_NACK }
    }
}
