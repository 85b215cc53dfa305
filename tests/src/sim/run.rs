//! Carries out a plan: a safety phase under faults, a healing phase in which everything must converge, and an end after which
//! nothing may be left.
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::config::Config;
use sansfu::dtls::{Certificate, DimplBackend, DimplBackendConfig, DtlsVersions};
use sansfu::ortc::DtlsRole;
use sansfu::rng::Rng;
use sansfu::server::{Secret, ServerConfig};
use sansfu::srtp::SrtpProfile;

use super::act::{act, heal};
use super::check::{Checker, Violation};
use super::converge::{converge, is_fresh};
use super::plan::{Plan, SecurityKind};
use super::world::World;
use crate::fixed_dtls::FixedDtls;
use crate::null_crypto::NullCrypto;
use crate::peer::call::{Caller, CallerConfig, owner};
use crate::peer::path::Security;
use crate::seeded_crypto;

/// A world of callers with its judge.
pub type CallWorld = World<Caller, Checker>;

/// How often what clients complain of is looked at.
const SLICE: Duration = Duration::from_millis(100);
/// What the operator has.
pub(super) const ADMIN_TOKEN: &str = "swordfish-swordfish-swordfish";
/// After the last client has gone, by when nothing may be left.
const EMPTY_WITHIN: Duration = Duration::from_secs(120);

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// A number that stands for everything that happened.
    pub trace: u64,
    /// Steps of the servers.
    pub steps: u64,
    /// Virtual time.
    pub simulated: Duration,
    /// Datagrams that the servers sent.
    pub datagrams: u64,
    /// The broken rule, with the time of the breach.
    pub failure: Option<(Duration, Violation)>,
    /// The last things that happened before it.
    pub log: Vec<String>,
    /// Transports that ended because their clients were silent.
    pub expired: u64,
    /// What the clients had received of each track when everything flowed again: whether anything, by room, receiver and track.
    pub outcome: BTreeMap<(String, String, u32), bool>,
}

impl Report {
    /// The rule that was broken.
    pub fn broken_rule(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|(_, violation)| violation.rule)
    }

    /// The one line that every run ends with.
    pub fn line(&self) -> String {
        let result = self.broken_rule().map_or_else(|| "ok".to_owned(), |rule| format!("failed: {rule}"));
        format!("{} result={result}", self.trace_line())
    }

    /// What was done, without what was thought of it.
    pub fn trace_line(&self) -> String {
        format!("seed={} trace={:016x} steps={}", self.seed, self.trace, self.steps)
    }
}

/// Carries out a plan. A panic counts as a broken rule.
pub fn run(plan: &Plan) -> Report {
    let mut world = build(plan);
    let mut outcome = BTreeMap::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        carry_out(&mut world, plan, &mut outcome).map_err(|violation| {
            let now = world.now;
            world.observer.report(now, violation);
        })
    }));
    if let Err(panic) = result {
        let now = world.now;
        world.observer.report(now, Violation::new("panic", panic_text(panic.as_ref())));
    }
    Report {
        seed: plan.seed,
        trace: world.trace.value(),
        steps: world.observer.steps,
        simulated: world.now - world.start,
        datagrams: world.datagrams_sent,
        expired: world.observer.nodes.values().map(|judge| judge.wire.expired).sum(),
        failure: world.observer.violation.take(),
        log: world.observer.log.drain(..).collect(),
        outcome,
    }
}

fn carry_out(
    world: &mut CallWorld,
    plan: &Plan,
    outcome: &mut BTreeMap<(String, String, u32), bool>,
) -> Result<(), Violation> {
    for timed in &plan.actions {
        pass(world, world.start + timed.at)?;
        let line = format!("client {}: {:?}", timed.host, timed.action);
        world.observer.note(world.now, format_args!("{line}"));
        act(world, plan, timed);
    }
    pass(world, world.start + plan.duration)?;
    world.observer.note(world.now, format_args!("the faults end"));
    heal(world);
    converge(world)?;
    for host in &world.hosts {
        let room = host.client.room_id().unwrap_or_default();
        for (_, incoming) in host.client.incoming() {
            let key = (room.to_owned(), host.client.peer_id().to_owned(), incoming.track_id());
            outcome.insert(key, is_fresh(incoming, world.now));
        }
    }
    end(world)
}

/// Lets time pass; stops at the first broken rule.
pub(super) fn pass(world: &mut CallWorld, until: Instant) -> Result<(), Violation> {
    while world.now < until {
        let slice_end = until.min(world.now + SLICE);
        while world.advance(slice_end) {
            if let Some((_, violation)) = &world.observer.violation {
                return Err(violation.clone());
            }
        }
        let liars = liars(world);
        for host in &mut world.hosts {
            for complaint in host.client.take_complaints() {
                // Who lies is believed: what others get of it is what it sent.
                if complaint.track.is_none_or(|track| !liars.contains(&owner(track))) {
                    let what = format!("{}: {}", host.client.peer_id(), complaint.what);
                    return Err(Violation::new("a client complains", what));
                }
            }
        }
    }
    Ok(())
}

/// The clients that have sent untrue RTP under the right keys.
pub(super) fn liars(world: &CallWorld) -> BTreeSet<u32> {
    (0..).zip(&world.hosts).filter(|(_, host)| host.client.has_lied()).map(|(index, _)| index).collect()
}

/// Everybody goes; then nothing may be left.
fn end(world: &mut CallWorld) -> Result<(), Violation> {
    world.observer.note(world.now, format_args!("everybody goes"));
    for index in 0..world.hosts.len() {
        if index % 2 == 0 {
            world.hosts[index].client.leave(world.now);
            world.wake(index);
        } else {
            world.hosts[index].dead = true;
        }
    }
    pass(world, world.now + Duration::from_secs(5))?;
    for index in 0..world.hosts.len() {
        world.hang_up(index);
    }
    pass(world, world.now + EMPTY_WITHIN)?;
    for server in world.servers() {
        let stats = server.stats();
        if !server.sfu().is_empty() || stats.rooms.rooms != 0 || stats.rooms.sessions != 0 {
            return Err(Violation::new("something is left when everybody has gone", format!("{stats:?}")));
        }
    }
    if !world.servers_sleep() {
        return Err(Violation::new("a server waits for something when everybody has gone", String::new()));
    }
    Ok(())
}

fn build(plan: &Plan) -> CallWorld {
    let start = seeded_crypto::simulation_epoch();
    let (config, security) = security(plan);
    let admin_token = Some(Secret::new(ADMIN_TOKEN));
    let server = ServerConfig { sfu: config, admin_token, ..ServerConfig::default() };
    let mut judge = Checker::new(start);
    judge.expects_no_gaps = plan.has_faultless_uplinks();
    let mut world = World::new(plan.workers, &server, plan.seed, start, judge);
    for (index, host) in plan.hosts.iter().enumerate() {
        let seed = mix(plan.seed, index as u64 + 1);
        let client = Caller::new(CallerConfig {
            peer_id: format!("peer-{index}"),
            index: index as u32,
            security,
            seed,
            lacks: host.lacks.clone(),
            generation: host.generation,
            spy: host.spy,
        });
        world.add(client, host.nat, host.link, mix(seed, 1));
    }
    world
}

fn security(plan: &Plan) -> (Config, Security) {
    let seeded = |versions: DtlsVersions| {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&plan.seed.to_be_bytes());
        let certificate = Certificate::generate(&mut Rng::from_seed(seed));
        let config = DimplBackendConfig {
            crypto: Some(seeded_crypto::provider(seed)),
            rng_seed: Some(plan.seed),
            versions,
            ..DimplBackendConfig::default()
        };
        let backend = certificate.and_then(|certificate| DimplBackend::new(&certificate, config));
        Arc::new(backend.unwrap_or_else(|error| panic!("{error}")))
    };
    let profile = SrtpProfile::AeadAes256Gcm;
    let agreed = || Config { dtls_backend: Some(Arc::new(FixedDtls::new(profile))), ..Config::default() };
    match plan.security {
        SecurityKind::Dtls12 => (
            Config { dtls_backend: Some(seeded(DtlsVersions::Only12)), ..Config::default() },
            Security::Dtls { role: DtlsRole::Client, versions: DtlsVersions::Only12 },
        ),
        SecurityKind::Dtls13 => (
            Config { dtls_backend: Some(seeded(DtlsVersions::Only13)), ..Config::default() },
            Security::Dtls { role: DtlsRole::Client, versions: DtlsVersions::Only13 },
        ),
        SecurityKind::Agreed => (agreed(), Security::Agreed { role: DtlsRole::Client, profile }),
        SecurityKind::None => (
            Config { srtp_crypto: Arc::new(NullCrypto), ..agreed() },
            Security::None { role: DtlsRole::Client },
        ),
    }
}

/// A seed for each use of a seed (the finalizer of SplitMix64).
pub fn mix(seed: u64, use_: u64) -> u64 {
    let mut mixed = seed.wrapping_add(use_.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of an unknown kind").to_owned()
}
