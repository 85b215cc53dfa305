//! One direction of a path through the network.
//!
//! A datagram passes, in this order: the MTU, a blackout, the queue before the bottleneck, the way (delay and jitter), a
//! clog, loss, and then what makes one of them special (held back, corrupted, doubled).
//!
//! Invariant: each fault draws from a generator of its own, the same number of draws for every datagram, whether the fault
//! strikes or not and whatever else becomes of the datagram. So a fault that is switched off or made rarer changes nothing
//! about the others, and a failing run can be made smaller by taking faults away one at a time.
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;

use super::chance::{Probability, below, draws, generator, part_of};

#[cfg(test)]
mod tests;

/// What a link does to datagrams. `LinkConfig::default()` delivers each after 10 ms and does nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// How long each takes at least.
    pub delay: Duration,
    /// How much longer each may take, evenly distributed. Does not reorder by itself: a later one waits for an earlier one.
    pub jitter: Duration,
    /// Which are lost.
    pub loss: GilbertElliott,
    /// How often one arrives twice. The copy comes up to `delay` later.
    pub duplicate: Probability,
    /// How often one is held back, so that later ones overtake it.
    pub reorder: Probability,
    /// How long such a one is held back at most, evenly distributed.
    pub reorder_delay: Duration,
    /// The bottleneck: so many bits of UDP payload a second (0 counts as 1). `None` is as fast as one likes.
    pub rate_bps: Option<u64>,
    /// The queue before the bottleneck: what would have to wait in it for longer is dropped (tail drop).
    pub queue: Duration,
    /// The longest datagram, in bytes of UDP payload. Longer ones vanish without a word, as in a path MTU black hole.
    pub mtu: Option<usize>,
    /// How often one to three bytes of a datagram arrive changed.
    pub corrupt: Probability,
}

impl Default for LinkConfig {
    fn default() -> Self {
        LinkConfig {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: GilbertElliott::NONE,
            duplicate: Probability::NEVER,
            reorder: Probability::NEVER,
            reorder_delay: Duration::from_millis(30),
            rate_bps: None,
            queue: Duration::from_millis(200),
            mtu: None,
            corrupt: Probability::NEVER,
        }
    }
}

impl LinkConfig {
    /// As of a bad wireless network: 20 ms with up to 5 more, 5 % lost, 3 % overtaken by later ones, 1 % doubled.
    pub fn lossy() -> Self {
        LinkConfig {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            loss: GilbertElliott::random(Probability::percent(5)),
            reorder: Probability::percent(3),
            duplicate: Probability::percent(1),
            ..LinkConfig::default()
        }
    }

    /// Delivers nothing.
    pub fn dead() -> Self {
        LinkConfig { loss: GilbertElliott::random(Probability::ALWAYS), ..LinkConfig::default() }
    }

    /// The same without loss.
    #[must_use]
    pub fn without_loss(self) -> Self {
        LinkConfig { loss: GilbertElliott::NONE, ..self }
    }
}

/// Loss in bursts: a chain of two states, one step for each datagram, each state with its own loss (E. N. Gilbert 1960,
/// E. O. Elliott 1963).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GilbertElliott {
    /// How often the good state turns bad.
    pub to_bad: Probability,
    /// How often the bad state turns good.
    pub to_good: Probability,
    /// How often a datagram is lost in the good state.
    pub loss_good: Probability,
    /// How often a datagram is lost in the bad state.
    pub loss_bad: Probability,
}

impl GilbertElliott {
    /// No loss.
    pub const NONE: Self = GilbertElliott::random(Probability::NEVER);

    /// Each is lost with the same probability, whatever became of the one before.
    pub const fn random(loss: Probability) -> Self {
        GilbertElliott {
            to_bad: Probability::NEVER,
            to_good: Probability::ALWAYS,
            loss_good: loss,
            loss_bad: loss,
        }
    }

    /// `share` of all are lost in the long run, in bursts of `mean_length` on average; nothing is lost between the bursts. At
    /// most `mean_length` in `mean_length + 1` can be lost so: a burst ends with one that is not.
    pub const fn bursts(share: Probability, mean_length: u32) -> Self {
        let to_good = Probability::ratio(1, mean_length);
        // Where the chain is at rest, as often to the bad state as back: (1 - share) * to_bad = share * to_good.
        let to_bad = share.odds_times(to_good);
        GilbertElliott { to_bad, to_good, loss_good: Probability::NEVER, loss_bad: Probability::ALWAYS }
    }
}

/// What has become of the datagrams of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Sent: each is delivered, or lost, or dropped, or too long.
    pub sent: u64,
    /// Bytes in them.
    pub sent_bytes: u64,
    /// Delivered, copies not counted.
    pub delivered: u64,
    /// Bytes in them.
    pub delivered_bytes: u64,
    /// Lost, in blackouts too.
    pub lost: u64,
    /// Dropped because the queue before the bottleneck was too long.
    pub queue_dropped: u64,
    /// Longer than the MTU.
    pub too_long: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Held back.
    pub reordered: u64,
    /// Delivered with changed bytes.
    pub corrupted: u64,
    /// The longest wait before the bottleneck.
    pub largest_queueing_delay: Duration,
}

/// A datagram that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// What.
    pub bytes: Vec<u8>,
}

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    dice: Dice,
    stats: LinkStats,
    /// The state of the loss chain.
    is_bad: bool,
    /// When the bottleneck has sent all that was queued before it.
    busy_until: Option<Instant>,
    /// When the last of those that keep their order arrives.
    last_arrival: Option<Instant>,
    clogged_until: Option<Instant>,
    black_until: Option<Instant>,
}

impl Link {
    /// A link; `seed` decides everything that is left to chance.
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Link {
            config,
            dice: Dice::new(seed),
            stats: LinkStats::default(),
            is_bad: false,
            busy_until: None,
            last_arrival: None,
            clogged_until: None,
            black_until: None,
        }
    }

    /// Sends a datagram. Gives how it arrives: not at all, once or twice. `now` must not go back from call to call.
    pub fn send(&mut self, now: Instant, bytes: &[u8]) -> impl Iterator<Item = Delivery> + use<> {
        let throw = self.dice.throw();
        self.stats.sent += 1;
        self.stats.sent_bytes += bytes.len() as u64;
        let first = self.arrival(now, bytes.len(), &throw).map(|at| self.deliver(at, bytes, &throw));
        let copy = first.as_ref().filter(|_| self.config.duplicate.happens(throw.duplicate[0])).cloned();
        let copy = copy.map(|delivery| {
            self.stats.duplicated += 1;
            Delivery { at: delivery.at + part_of(self.config.delay, throw.duplicate[1]), ..delivery }
        });
        first.into_iter().chain(copy)
    }

    /// What the link does to datagrams.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Does something else from now on. What is on the way or queued already stays as it was, and is not overtaken.
    pub fn set_config(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// Everything that is sent before `at` is held until then, and comes then in order (but for copies). What is on the way
    /// already is not held.
    pub fn clog_until(&mut self, at: Instant) {
        self.clogged_until = Some(at);
    }

    /// Everything that is sent before `at` is lost.
    pub fn blackout_until(&mut self, at: Instant) {
        self.black_until = Some(at);
    }

    /// What has become of the datagrams.
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// When a datagram arrives, if it does.
    fn arrival(&mut self, now: Instant, length: usize, throw: &Throw) -> Option<Instant> {
        let is_lost = self.step_loss(throw.loss);
        if self.config.mtu.is_some_and(|mtu| length > mtu) {
            self.stats.too_long += 1;
            return None;
        }
        if self.black_until.is_some_and(|until| now < until) {
            self.stats.lost += 1;
            return None;
        }
        let left = self.pass_bottleneck(now, length)?;
        let clogged_until = self.clogged_until.filter(|until| now < *until);
        let unhindered = left + self.config.delay + part_of(self.config.jitter, throw.jitter[0]);
        // `None` is before every time.
        let in_order = self.last_arrival.max(clogged_until).max(Some(unhindered))?;
        // Also for one that is lost or held back: whether it is must not move the others.
        self.last_arrival = Some(in_order);
        if is_lost {
            self.stats.lost += 1;
            return None;
        }
        if clogged_until.is_none() && self.config.reorder.happens(throw.reorder[0]) {
            self.stats.reordered += 1;
            return Some(in_order + part_of(self.config.reorder_delay, throw.reorder[1]));
        }
        Some(in_order)
    }

    /// One step of the loss chain, and whether the datagram of this step is lost.
    fn step_loss(&mut self, [turn, loss]: [u32; 2]) -> bool {
        let GilbertElliott { to_bad, to_good, loss_good, loss_bad } = self.config.loss;
        let turns = if self.is_bad { to_good } else { to_bad };
        self.is_bad ^= turns.happens(turn);
        if self.is_bad { loss_bad.happens(loss) } else { loss_good.happens(loss) }
    }

    /// When the bottleneck has sent the last bit of the datagram; `None` if the queue before it is too long.
    fn pass_bottleneck(&mut self, now: Instant, length: usize) -> Option<Instant> {
        let Some(rate_bps) = self.config.rate_bps else { return Some(now) };
        let begins = self.busy_until.map_or(now, |busy_until| busy_until.max(now));
        let queueing_delay = begins - now;
        if queueing_delay > self.config.queue {
            self.stats.queue_dropped += 1;
            return None;
        }
        self.stats.largest_queueing_delay = self.stats.largest_queueing_delay.max(queueing_delay);
        let left = begins + Duration::from_nanos(length as u64 * 8 * 1_000_000_000 / rate_bps.max(1));
        self.busy_until = Some(left);
        Some(left)
    }

    fn deliver(&mut self, at: Instant, bytes: &[u8], throw: &Throw) -> Delivery {
        let mut bytes = bytes.to_vec();
        self.stats.delivered += 1;
        self.stats.delivered_bytes += bytes.len() as u64;
        let [corrupt, changes @ ..] = throw.corrupt;
        if self.config.corrupt.happens(corrupt) && !bytes.is_empty() {
            self.stats.corrupted += 1;
            change_bytes(&mut bytes, changes);
        }
        Delivery { at, bytes }
    }
}

/// Changes one to three bytes, each for certain and each another one (fewer if there are not as many).
fn change_bytes(bytes: &mut [u8], [count, changes @ ..]: [u32; 7]) {
    let count = (1 + below(3, count)).min(bytes.len());
    let mut changed = Vec::with_capacity(count);
    for draw in changes.chunks(2).take(count) {
        let mut position = below(bytes.len(), draw[0]);
        while changed.contains(&position) {
            position = (position + 1) % bytes.len();
        }
        changed.push(position);
        bytes[position] ^= 1 + below(255, draw[1]) as u8;
    }
}

/// A generator for each fault.
#[derive(Debug)]
struct Dice {
    loss: ChaCha8Rng,
    jitter: ChaCha8Rng,
    reorder: ChaCha8Rng,
    duplicate: ChaCha8Rng,
    corrupt: ChaCha8Rng,
}

/// What chance has to say about one datagram: all of it, needed or not.
struct Throw {
    /// Whether the chain turns, whether the datagram is lost.
    loss: [u32; 2],
    /// How much longer it takes.
    jitter: [u32; 1],
    /// Whether it is held back, for how long.
    reorder: [u32; 2],
    /// Whether it is doubled, how much later the copy comes.
    duplicate: [u32; 2],
    /// Whether it is corrupted, how many bytes, and where and how for each of three.
    corrupt: [u32; 8],
}

impl Dice {
    fn new(seed: u64) -> Self {
        // The numbers are part of what a seed means: a new fault takes the next one.
        Dice {
            loss: generator(seed, 0),
            jitter: generator(seed, 1),
            reorder: generator(seed, 2),
            duplicate: generator(seed, 3),
            corrupt: generator(seed, 4),
        }
    }

    fn throw(&mut self) -> Throw {
        Throw {
            loss: draws(&mut self.loss),
            jitter: draws(&mut self.jitter),
            reorder: draws(&mut self.reorder),
            duplicate: draws(&mut self.duplicate),
            corrupt: draws(&mut self.corrupt),
        }
    }
}
