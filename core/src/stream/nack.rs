//! Which packets to ask for again, and when (RFC 4585 section 6.2.1).
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most packets that are waited for; more missing than this are not worth asking for.
const MAX_MISSING: usize = 1_000;

/// How often a packet is asked for.
const MAX_REQUESTS: u8 = 10;

/// For how many round trips a packet is asked for, within these bounds: a picture that waits for longer is shown sooner by way
/// of a keyframe, which takes one round trip and the encoder's time.
const MAX_ROUND_TRIPS: u32 = 4;
const SHORTEST_PATIENCE: Duration = Duration::from_millis(500);
const LONGEST_PATIENCE: Duration = Duration::from_secs(2);

/// Shortest time between two requests for a packet, however short the round trip.
const MIN_SPACING: Duration = Duration::from_millis(20);

/// Most packets asked for at once: at worst a NACK message of 1 KiB.
const MAX_PER_POLL: usize = 256;

/// Most runs of given-up packets told of at once; what is more is told of as one with the last.
const MAX_GIVEN_UP_RUNS: usize = 8;

/// When the packets follow that one poll had no room for.
const POLL_AGAIN: Duration = Duration::from_millis(5);

/// The missing packets of one stream.
///
/// A packet is asked for as soon as a later one shows the gap (or a little later, where reordering is usual), and again each
/// round trip until it comes. It is given up after ten requests or four round trips (half a second at least, two at most); then,
/// and when far too many are missing, a keyframe has to help, unless one has come since.
#[derive(Debug, Clone, Default)]
pub struct NackGenerator {
    reorder_tolerance: Duration,
    /// In the order of their numbers.
    missing: VecDeque<Missing>,
    /// No packet is due before this.
    next_due: Option<Instant>,
    newest_keyframe: u64,
    keyframe_needed: bool,
    /// First and last numbers, in order.
    given_up: heapless::Vec<(u64, u64), MAX_GIVEN_UP_RUNS>,
}

#[derive(Debug, Clone)]
struct Missing {
    ext_seq: u64,
    since: Instant,
    due: Instant,
    requests: u8,
}

/// What [`NackGenerator::poll`] found due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NackPoll {
    /// How many packets are asked for.
    pub requested: usize,
    /// Whether packets were given up without which the stream cannot be decoded: ask for a keyframe.
    pub keyframe_needed: bool,
}

impl NackGenerator {
    /// Asks for a packet `reorder_tolerance` after the gap shows, so that packets that are merely reordered are not asked for.
    pub const fn new(reorder_tolerance: Duration) -> Self {
        NackGenerator {
            reorder_tolerance,
            missing: VecDeque::new(),
            next_due: None,
            newest_keyframe: 0,
            keyframe_needed: false,
            given_up: heapless::Vec::new(),
        }
    }

    /// The numbers from `first` to before `end`, higher than all before, have been skipped.
    pub fn on_gap(&mut self, now: Instant, first: u64, end: u64) {
        let count = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX);
        if count == 0 {
            return;
        }
        if count.saturating_add(self.missing.len()) > MAX_MISSING {
            // What came before a keyframe is the least loss.
            let newest_keyframe = self.newest_keyframe;
            self.missing.retain(|missing| missing.ext_seq > newest_keyframe);
        }
        if count.saturating_add(self.missing.len()) > MAX_MISSING {
            if !self.keyframe_needed {
                self.given_up.clear();
            }
            let oldest = self.missing.front().map_or(first, |missing| missing.ext_seq);
            note_given_up(&mut self.given_up, oldest, end.saturating_sub(1));
            self.missing.clear();
            self.keyframe_needed = true;
            self.next_due = Some(now);
            return;
        }
        let due = now + self.reorder_tolerance;
        self.missing.extend((first..end).map(|ext_seq| Missing { ext_seq, since: now, due, requests: 0 }));
        self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
    }

    /// A packet has come. How often it had been asked for; `None` if it was not missing.
    pub fn on_received(&mut self, ext_seq: u64) -> Option<u8> {
        let index = self.missing.binary_search_by_key(&ext_seq, |missing| missing.ext_seq).ok()?;
        let missing = self.missing.remove(index)?;
        if self.missing.is_empty() && !self.keyframe_needed {
            self.next_due = None;
        }
        Some(missing.requests)
    }

    /// A keyframe begins at `ext_seq`: what is missing before it can be done without.
    pub fn on_keyframe(&mut self, ext_seq: u64) {
        self.newest_keyframe = self.newest_keyframe.max(ext_seq);
    }

    /// The stream started anew: nothing of it is missing.
    pub fn clear(&mut self) {
        *self = NackGenerator::new(self.reorder_tolerance);
    }

    /// Appends to `out`, in order, the numbers to ask for now: at most 256, the others 5 ms later.
    pub fn poll(&mut self, now: Instant, rtt: Duration, out: &mut Vec<u16>) -> NackPoll {
        if self.next_due.is_none_or(|due| due > now) {
            return NackPoll::default();
        }
        let mut poll = NackPoll { requested: 0, keyframe_needed: std::mem::take(&mut self.keyframe_needed) };
        let (newest_keyframe, given_up) = (self.newest_keyframe, &mut self.given_up);
        if !poll.keyframe_needed {
            given_up.clear();
        }
        let spacing = rtt.max(MIN_SPACING);
        let patience = (rtt * MAX_ROUND_TRIPS).clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE);
        let mut next_due: Option<Instant> = None;
        self.missing.retain_mut(|missing| {
            if missing.due <= now && missing.is_hopeless(now, patience) {
                if missing.ext_seq > newest_keyframe {
                    poll.keyframe_needed = true;
                    note_given_up(given_up, missing.ext_seq, missing.ext_seq);
                }
                return false;
            }
            if missing.due <= now && poll.requested < MAX_PER_POLL {
                out.push(missing.ext_seq as u16);
                poll.requested += 1;
                missing.requests += 1;
                missing.due = now + spacing;
            }
            let due = if missing.due <= now { now + POLL_AGAIN } else { missing.due };
            next_due = Some(next_due.map_or(due, |next| next.min(due)));
            true
        });
        self.next_due = next_due;
        poll
    }

    /// What made [`Self::poll`] say that a keyframe is needed: the first and last numbers of runs of packets, in order.
    pub fn given_up(&self) -> &[(u64, u64)] {
        &self.given_up
    }

    /// When to call [`Self::poll`].
    pub fn deadline(&self) -> Option<Instant> {
        self.next_due
    }

    /// How many packets are waited for.
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// Whether no packet is waited for.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Missing {
    fn is_hopeless(&self, now: Instant, patience: Duration) -> bool {
        self.requests >= MAX_REQUESTS || now.saturating_duration_since(self.since) >= patience
    }
}

fn note_given_up(runs: &mut heapless::Vec<(u64, u64), MAX_GIVEN_UP_RUNS>, first: u64, last: u64) {
    let is_full = runs.is_full();
    match runs.last_mut() {
        Some((_, end)) if is_full || *end + 1 == first => *end = last,
        _ => {
            // Cannot fail: there is room.
            let _ = runs.push((first, last));
        }
    }
}

#[cfg(test)]
mod tests;
