//! The address translator before a host: the behaviours that RFC 4787 has names for.
//!
//! It decides which address the world sees a host by (section 4, mapping) and which datagrams from the world get to the host
//! (section 5, filtering). Hairpinning (section 6) is left out: clients of a server never talk to each other.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;

use super::chance::{below, draws, generator};

#[cfg(test)]
mod tests;

/// On what of the remote endpoint something depends (RFC 4787 sections 4.1 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// On nothing: one mapping for all remotes; everyone gets in.
    EndpointIndependent,
    /// On its address: a mapping for each remote address; whoever was sent to gets in, from any port.
    AddressDependent,
    /// On its address and port: a mapping for each remote endpoint; only endpoints that were sent to get in.
    AddressAndPortDependent,
}

/// Which port a new mapping gets. No two mappings have the same one at the same time (section 4.2.1, REQ-3: no port
/// overloading).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// That of the host if it is free, else the next free one in sequence.
    Preserving,
    /// One after the other, beginning somewhere.
    Sequential,
    /// Any.
    Random,
}

/// What stands before a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatConfig {
    /// Nothing: the world sees the host by its own address, and everything gets in.
    None,
    /// A translator.
    Translate(Translation),
}

/// How a translator behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// Which datagrams of one internal endpoint share an external port.
    pub mapping: Behavior,
    /// Who gets in by it.
    pub filtering: Behavior,
    /// Which port that is.
    pub port_choice: PortChoice,
    /// How long a mapping lives after the last datagram that went out by it, and a permission after the last one to whom it is
    /// for. Datagrams that come in keep neither alive (section 4.3, REQ-6).
    pub expiry: Duration,
    /// How many mappings there are at most, and how many permissions. The one not used for longest goes first.
    pub max_entries: usize,
}

impl Default for Translation {
    /// What most homes have: one mapping for all (REQ-1), a strict filter, ports preserved, two minutes (REQ-5).
    fn default() -> Self {
        Translation {
            mapping: Behavior::EndpointIndependent,
            filtering: Behavior::AddressAndPortDependent,
            port_choice: PortChoice::Preserving,
            expiry: Duration::from_secs(120),
            max_entries: 1_024,
        }
    }
}

impl NatConfig {
    /// The usual translator with this mapping and filter.
    pub fn translate(mapping: Behavior, filtering: Behavior) -> Self {
        NatConfig::Translate(Translation { mapping, filtering, ..Translation::default() })
    }
}

/// The ports that mappings get, other than by preservation.
const PORTS: RangeInclusive<u16> = 1_024..=65_535;

/// So many entries leave most ports free, so that a free one is found soon.
const MAX_ENTRIES: usize = 16_384;

/// What of a remote endpoint counts for a [`Behavior`].
type Peer = (Option<IpAddr>, Option<u16>);

/// An internal endpoint and what counts of the remote one.
type Pair = (SocketAddr, Peer);

/// An address translator.
#[derive(Debug)]
pub struct Nat {
    config: NatConfig,
    public: IpAddr,
    generator: ChaCha8Rng,
    mappings: BTreeMap<Pair, Mapping>,
    /// The same by external port.
    by_port: BTreeMap<u16, Pair>,
    /// When an internal endpoint has last sent to a remote one.
    permissions: BTreeMap<Pair, Instant>,
    /// The ports before the last rebinding, which are not given again.
    left: BTreeSet<u16>,
    next_port: u16,
}

#[derive(Debug)]
struct Mapping {
    port: u16,
    used: Instant,
}

impl Nat {
    /// A translator with the address `public`; `seed` decides its ports. With [`NatConfig::None`], `public` is the address of
    /// the host itself.
    ///
    /// # Panics
    /// If `max_entries` is 0 or beyond 16,384.
    pub fn new(config: NatConfig, public: IpAddr, seed: u64) -> Self {
        if let NatConfig::Translate(Translation { max_entries, .. }) = config {
            assert!((1..=MAX_ENTRIES).contains(&max_entries), "max_entries: {max_entries}");
        }
        let mut generator = generator(seed, 0);
        let next_port = any_port(&mut generator);
        Nat {
            config,
            public,
            generator,
            mappings: BTreeMap::new(),
            by_port: BTreeMap::new(),
            permissions: BTreeMap::new(),
            left: BTreeSet::new(),
            next_port,
        }
    }

    /// The address that the world sees.
    pub fn public(&self) -> IpAddr {
        self.public
    }

    /// A datagram goes out: gives the address by which `to` sees it.
    pub fn outbound(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let NatConfig::Translate(rules) = self.config else { return from };
        self.expire(now, rules.expiry);
        let permission = (from, rules.filtering.part_of(to));
        make_room(&mut self.permissions, &permission, rules.max_entries, |used| *used);
        self.permissions.insert(permission, now);
        let pair = (from, rules.mapping.part_of(to));
        let port = match self.mappings.get_mut(&pair) {
            Some(mapping) => {
                mapping.used = now;
                mapping.port
            }
            None => self.map(now, pair, rules),
        };
        SocketAddr::new(self.public, port)
    }

    /// A datagram of `from` comes in to `external`: gives the host's endpoint that it is for, or `None` if it is filtered.
    pub fn inbound(&mut self, now: Instant, external: SocketAddr, from: SocketAddr) -> Option<SocketAddr> {
        if external.ip() != self.public {
            return None;
        }
        let NatConfig::Translate(rules) = self.config else { return Some(external) };
        self.expire(now, rules.expiry);
        let (internal, _) = *self.by_port.get(&external.port())?;
        self.permissions.contains_key(&(internal, rules.filtering.part_of(from))).then_some(internal)
    }

    /// Forgets all mappings and permissions, as when it is switched off and on: the next datagrams go out by other ports than
    /// the last ones did. A host without a translator is not concerned.
    pub fn rebind(&mut self) {
        if !self.by_port.is_empty() {
            self.left = self.by_port.keys().copied().collect();
        }
        self.forget();
    }

    /// Two hosts change places: each goes on from the address of the other.
    ///
    /// Neither has a mapping where it comes to, and what is sent to its old one no longer reaches it: the mappings and
    /// permissions of both are gone. Ports are free to be given again, so that with preserved ports, and equal ones inside,
    /// each host is seen by the very endpoint that the other had: the hardest case for who tells hosts apart by endpoints. How
    /// each translates and numbers its ports stays with the host. A host without a translator has to send from its new
    /// [`Nat::public`] itself.
    pub fn swap_public(&mut self, other: &mut Nat) {
        std::mem::swap(&mut self.public, &mut other.public);
        for nat in [self, other] {
            nat.left.clear();
            nat.forget();
        }
    }

    /// A mapping for `pair`, which has none; gives its port.
    fn map(&mut self, now: Instant, pair: Pair, rules: Translation) -> u16 {
        if let Some(old) = make_room(&mut self.mappings, &pair, rules.max_entries, |mapping| mapping.used) {
            self.by_port.remove(&old.port);
        }
        let port = self.choose_port(pair.0.port(), rules.port_choice);
        self.mappings.insert(pair, Mapping { port, used: now });
        self.by_port.insert(port, pair);
        port
    }

    fn choose_port(&mut self, internal: u16, choice: PortChoice) -> u16 {
        if choice == PortChoice::Preserving && self.is_free(internal) {
            return internal;
        }
        let mut port =
            if choice == PortChoice::Random { any_port(&mut self.generator) } else { self.next_port };
        while !self.is_free(port) {
            port = after(port);
        }
        self.next_port = after(port);
        port
    }

    fn is_free(&self, port: u16) -> bool {
        !self.by_port.contains_key(&port) && !self.left.contains(&port)
    }

    fn expire(&mut self, now: Instant, expiry: Duration) {
        let lives = |used: Instant| now.saturating_duration_since(used) < expiry;
        self.mappings.retain(|_, mapping| lives(mapping.used));
        self.permissions.retain(|_, used| lives(*used));
        let mappings = &self.mappings;
        self.by_port.retain(|_, pair| mappings.contains_key(pair));
    }

    fn forget(&mut self) {
        self.mappings.clear();
        self.by_port.clear();
        self.permissions.clear();
    }
}

impl Behavior {
    fn part_of(self, remote: SocketAddr) -> Peer {
        match self {
            Behavior::EndpointIndependent => (None, None),
            Behavior::AddressDependent => (Some(remote.ip()), None),
            Behavior::AddressAndPortDependent => (Some(remote.ip()), Some(remote.port())),
        }
    }
}

/// Takes out the entry that was not used for longest if `pair` is to be added to a full table.
fn make_room<T>(
    table: &mut BTreeMap<Pair, T>,
    pair: &Pair,
    max_entries: usize,
    used: impl Fn(&T) -> Instant,
) -> Option<T> {
    if table.len() < max_entries || table.contains_key(pair) {
        return None;
    }
    let (oldest, _) = table.iter().min_by_key(|(_, entry)| used(entry))?;
    let oldest = *oldest;
    table.remove(&oldest)
}

fn any_port(generator: &mut ChaCha8Rng) -> u16 {
    let [draw] = draws(generator);
    PORTS.start() + below(PORTS.len(), draw) as u16
}

fn after(port: u16) -> u16 {
    if port < *PORTS.start() || port >= *PORTS.end() { *PORTS.start() } else { port + 1 }
}
