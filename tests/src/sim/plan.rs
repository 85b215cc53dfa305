//! What happens in a run: drawn whole before it begins, so that a plan can be shown, cut down and repeated.
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::choices::Choices;
use crate::net::{Behavior, GilbertElliott, LinkConfig, NatConfig, PortChoice, Probability, Translation};
use crate::peer::publishing::{Generation, TrackKind};

/// The longest safety phase.
const MAX_SECONDS: u32 = 40;
/// The longest safety phase of a run that a fuzzer describes.
const MAX_FUZZED: Duration = Duration::from_secs(8);
/// Actions of one run.
const MAX_ACTIONS: u32 = 60;
/// Silences of one run.
const MAX_SILENCES: u32 = 4;
/// What is done by the server in one run.
const MAX_OPERATIONS: u32 = 12;

/// A run before it happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Decides everything that the plan itself does not say: keys, what the networks do to which datagram.
    pub seed: u64,
    /// Workers that share the rooms.
    pub workers: usize,
    /// How datagrams are protected.
    pub security: SecurityKind,
    /// The clients.
    pub hosts: Vec<HostPlan>,
    /// How many rooms the clients are spread over.
    pub rooms: u32,
    /// How long the safety phase is.
    pub duration: Duration,
    /// What is done in it, in order of time.
    pub actions: Vec<Timed>,
}

/// How the datagrams of a run are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityKind {
    /// Real handshakes of DTLS 1.2.
    Dtls12,
    /// Real handshakes of DTLS 1.3.
    Dtls13,
    /// Keys agreed beforehand and real SRTP: ten times as fast.
    Agreed,
    /// Nothing is protected: for fuzzers.
    None,
}

/// A client and its networks.
#[derive(Debug, Clone, PartialEq)]
pub struct HostPlan {
    /// What stands between it and the world.
    pub nat: NatConfig,
    /// Both directions of its link.
    pub link: LinkConfig,
    /// What it cannot receive, in lower case.
    pub lacks: Vec<&'static str>,
    /// What it speaks.
    pub generation: Generation,
    /// Of version 2: whether it sees everybody and is seen by nobody.
    pub spy: bool,
}

/// An action and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// Since the start.
    pub at: Duration,
    /// The client that acts; taken modulo the number of clients.
    pub host: u32,
    /// What it does.
    pub action: Action,
}

/// What a client does, or what happens to it. `sending` names its transport for sending, or else that for receiving. Tracks and consumers are counted modulo those that are there, so that an action
/// stays sensible whatever was cut out before it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what their fields are")]
pub enum Action {
    /// Goes into a room and publishes.
    Join { room: u32, tracks: Vec<TrackKind> },
    /// Leaves in good order.
    Leave,
    /// Its WebSocket breaks, and it comes back.
    Reconnect,
    /// Comes a second time, as the same peer, without having left.
    Duplicate,
    /// Its machine is switched off for good.
    Die { hang_up: bool },
    /// Publishes another track.
    Publish(TrackKind),
    /// Closes a track's producer.
    Unpublish(u32),
    /// Pauses a producer, or lets it go on.
    PauseProducer(u32, bool),
    /// Stops sending a track without telling anybody, or goes on.
    Mute(u32, bool),
    /// Pauses a consumer, or lets it go on.
    PauseConsumer(u32, bool),
    /// Prefers layers.
    PreferLayers(u32, u8, u8),
    /// Sets the priority of a consumer.
    Priority(u32, u8),
    /// Asks for a keyframe of a consumer.
    KeyFrame(u32),
    /// Gets new ICE credentials for its sending (or receiving) transport.
    RestartIce { sending: bool },
    /// Closes a transport by DTLS.
    CloseTransport { sending: bool },
    /// Its NAT gives it other ports.
    Rebind,
    /// It changes places with another client.
    Swap(u32),
    /// Datagrams of one direction are held back for a while.
    Clog { up: bool, hold: Duration },
    /// Datagrams of both directions are lost for a while.
    Blackout { hold: Duration },
    /// Sends no checks, or nothing at all, by one of its transports for a while, and does not know it.
    Silence { sending: bool, of: Silence, hold: Duration },
    /// Asks for statistics of everything that it has.
    Stats,
    /// Changes its name.
    Rename,
    /// Sends hostile datagrams by one of its transports.
    Misbehave { sending: bool, kind: u32 },
    /// Sends nonsense by its WebSocket.
    Nonsense(u32),
    /// A stranger sends datagrams to its server.
    Stranger(u32),
    /// The operator, or the application of its server, does something to it.
    Operate(Operation),
}

/// What a server does to a peer by itself. All but the first two are for peers of version 2 only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say what their fields are")]
pub enum Operation {
    /// Throws the peer out, by the operator's HTTP request.
    Kick,
    /// Closes the peer, whose WebSocket stays.
    ClosePeer,
    /// Closes a transport.
    CloseTransport { sending: bool },
    /// Closes a producer.
    CloseProducer(u32),
    /// Pauses a producer, or lets it go on.
    PauseProducer(u32, bool),
    /// Pauses a consumer, or lets it go on.
    PauseConsumer(u32, bool),
}

/// What of a path is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Its checks: consent goes, media comes.
    Checks,
    /// All of it.
    Everything,
}

/// A sort of trouble that can be left out of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Losses.
    Loss,
    /// Delays that vary.
    Jitter,
    /// Datagrams that come twice.
    Duplication,
    /// Datagrams that are overtaken.
    Reordering,
    /// Narrow links with queues, and short datagrams.
    Rate,
    /// Flipped bits.
    Corruption,
    /// NATs, and what they do in mid-call.
    Nat,
    /// Links that hold datagrams back or lose all of them for a while, and clients that send none.
    Outage,
    /// Machines that are switched off, and WebSockets that break.
    Death,
    /// Hostile datagrams and messages.
    Hostility,
    /// Clients of version 2: no trouble in itself, but a run without them may show where one comes from.
    VersionTwo,
    /// Spies among them.
    Spies,
    /// What servers do to peers by themselves.
    Operations,
}

impl Fault {
    /// Every fault with its name on the command line.
    pub const ALL: [(Fault, &'static str); 13] = [
        (Fault::Loss, "loss"),
        (Fault::Jitter, "jitter"),
        (Fault::Duplication, "duplication"),
        (Fault::Reordering, "reordering"),
        (Fault::Rate, "rate"),
        (Fault::Corruption, "corruption"),
        (Fault::Nat, "nat"),
        (Fault::Outage, "outage"),
        (Fault::Death, "death"),
        (Fault::Hostility, "hostility"),
        (Fault::VersionTwo, "version-2"),
        (Fault::Spies, "spies"),
        (Fault::Operations, "operations"),
    ];

    /// Those that are drawn after everything else.
    const LATE: [Fault; 3] = [Fault::VersionTwo, Fault::Spies, Fault::Operations];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Fault::ALL.iter().find(|(fault, _)| fault == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Fault::ALL.iter().find(|(_, name)| *name == text);
        known.map(|(fault, _)| *fault).ok_or_else(|| format!("unknown fault '{text}'"))
    }
}

/// What is left out of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Sorts of trouble that do not happen.
    pub off: BTreeSet<Fault>,
    /// The actions that are kept, counted from 0 in the whole plan; `None`: all.
    pub kept: Option<BTreeSet<usize>>,
}

impl fmt::Display for Cut {
    /// As arguments of the command line, each with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.off.is_empty() {
            write!(f, " --off {}", join(&self.off))?;
        }
        match &self.kept {
            Some(kept) => write!(f, " --only {}", join(kept)),
            None => Ok(()),
        }
    }
}

fn join<T: ToString>(items: &BTreeSet<T>) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Plan {
    /// The plan of a seed.
    pub fn of_seed(seed: u64) -> Self {
        Plan::draw(seed, &mut Choices::from_seed(seed))
    }

    /// The plan that a fuzzer's bytes describe: short, and with nothing protected.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let plan = Plan::draw(0, &mut Choices::from_bytes(bytes));
        let duration = plan.duration.min(MAX_FUZZED);
        let mut actions = plan.actions;
        // Where nothing is protected, what was changed on the way or made up cannot be told from what was sent.
        actions.retain(|timed| !matches!(timed.action, Action::Misbehave { .. }));
        for timed in &mut actions {
            timed.at = Duration::from_millis((timed.at.as_millis() % duration.as_millis()) as u64);
        }
        actions.sort_by_key(|timed| timed.at);
        Plan { security: SecurityKind::None, duration, actions, ..plan }.without(Fault::Corruption)
    }

    /// Draws a plan. First the swarm: which actions and faults there are at all, and how often; then the actions.
    pub fn draw(seed: u64, choices: &mut Choices<'_>) -> Self {
        use SecurityKind::{Agreed, Dtls12, Dtls13};
        let workers = if choices.chance(250) { 2 } else { 1 };
        let security = choices.pick(&[Agreed, Agreed, Agreed, Agreed, Agreed, Agreed, Dtls12, Dtls13]);
        let early = Fault::ALL.iter().filter(|(fault, _)| !Fault::LATE.contains(fault));
        let faults: Vec<(Fault, bool)> = early.map(|(fault, _)| (*fault, choices.chance(400))).collect();
        let has = |fault| faults.contains(&(fault, true));
        let host_count = choices.range(2, 6);
        let rooms = if choices.chance(300) { 2 } else { 1 };
        let mut hosts: Vec<HostPlan> = (0..host_count).map(|_| HostPlan::draw(choices, &has)).collect();
        let duration = Duration::from_secs(u64::from(choices.range(5, MAX_SECONDS + 1)));
        let weights = draw_weights(choices, &has);
        let mut actions: Vec<Timed> = (0..host_count)
            .map(|host| Timed {
                at: Duration::from_millis(u64::from(choices.below(3_000))),
                host,
                action: Action::Join { room: choices.below(rooms), tracks: draw_tracks(choices) },
            })
            .collect();
        for _ in 0..choices.below(MAX_ACTIONS) {
            if choices.is_exhausted() {
                break;
            }
            let at = Duration::from_millis(u64::from(choices.below(duration.as_millis() as u32)));
            let host = choices.below(host_count);
            actions.push(Timed { at, host, action: draw_action(choices, &weights, rooms) });
        }
        // Drawn last, so that they shift nothing: the seeds that found something stay what they were.
        if has(Fault::Rate) {
            hosts.iter_mut().for_each(|host| host.link.mtu = choices.pick(&[None, Some(1_280), Some(1_400)]));
        }
        if choices.chance(400) {
            actions.iter_mut().for_each(|timed| vary_tracks(choices, &mut timed.action));
        }
        if has(Fault::Outage) && choices.chance(500) {
            for _ in 0..choices.range(1, MAX_SILENCES + 1) {
                let at = Duration::from_millis(u64::from(choices.below(duration.as_millis() as u32)));
                let host = choices.below(host_count);
                actions.push(Timed { at, host, action: draw_silence(choices) });
            }
        }
        draw_generations(choices, &mut hosts);
        if choices.chance(400) {
            for _ in 0..choices.range(1, MAX_OPERATIONS + 1) {
                let at = Duration::from_millis(u64::from(choices.below(duration.as_millis() as u32)));
                let host = choices.below(host_count);
                actions.push(Timed { at, host, action: draw_operation(choices) });
            }
        }
        actions.sort_by_key(|timed| timed.at);
        Plan { seed, workers, security, hosts, rooms, duration, actions }
    }

    /// What is left of it by a cut.
    pub fn cut(&self, cut: &Cut) -> Self {
        let mut plan = self.clone();
        if let Some(kept) = &cut.kept {
            let mut index = 0..;
            plan.actions.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
        }
        cut.off.iter().fold(plan, |plan, fault| plan.without(*fault))
    }

    /// Whether everything that is sent to a server arrives there, in order, once and soon enough.
    pub fn has_faultless_uplinks(&self) -> bool {
        let plain = LinkConfig::default();
        let links = self.hosts.iter().all(|HostPlan { link, .. }| {
            link.loss == plain.loss
                && link.reorder == plain.reorder
                && link.duplicate == plain.duplicate
                && link.corrupt == plain.corrupt
                && link.rate_bps.is_none()
        });
        let troubles = [Fault::Nat, Fault::Outage, Fault::Hostility].map(Some);
        links && self.actions.iter().all(|timed| !troubles.contains(&timed.action.fault()))
    }

    /// The same without a sort of trouble.
    pub fn without(&self, fault: Fault) -> Self {
        let mut plan = self.clone();
        for host in &mut plan.hosts {
            host.remove(fault);
        }
        plan.actions.retain(|timed| timed.action.fault() != Some(fault));
        plan
    }
}

impl HostPlan {
    fn draw(choices: &mut Choices<'_>, has: &dyn Fn(Fault) -> bool) -> Self {
        let mut link = LinkConfig {
            delay: Duration::from_millis(choices.pick(&[1, 5, 20, 50, 150])),
            ..LinkConfig::default()
        };
        if has(Fault::Loss) {
            link.loss = draw_loss(choices);
        }
        if has(Fault::Jitter) {
            link.jitter = Duration::from_millis(choices.pick(&[1, 5, 20, 80]));
        }
        if has(Fault::Duplication) {
            link.duplicate = Probability::per_mille(choices.pick(&[1, 10, 100]));
        }
        if has(Fault::Reordering) {
            link.reorder = Probability::per_mille(choices.pick(&[5, 30, 100]));
            link.reorder_delay = Duration::from_millis(choices.pick(&[5, 30, 200]));
        }
        if has(Fault::Rate) {
            link.rate_bps = Some(choices.pick(&[300_000, 1_000_000, 3_000_000, 10_000_000]));
            link.queue = Duration::from_millis(choices.pick(&[100, 300, 500]));
        }
        if has(Fault::Corruption) {
            link.corrupt = Probability::per_mille(choices.pick(&[1, 10]));
        }
        let nat = if has(Fault::Nat) { draw_nat(choices) } else { open_nat() };
        let lacks =
            choices.pick(&[vec![], vec![], vec![], vec!["video/vp9"], vec!["video/h264", "audio/opus"]]);
        HostPlan { nat, link, lacks, generation: Generation::Three, spy: false }
    }

    fn remove(&mut self, fault: Fault) {
        let plain = LinkConfig::default();
        match fault {
            Fault::Loss => self.link.loss = plain.loss,
            Fault::Jitter => self.link.jitter = plain.jitter,
            Fault::Duplication => self.link.duplicate = plain.duplicate,
            Fault::Reordering => self.link.reorder = plain.reorder,
            Fault::Rate => (self.link.rate_bps, self.link.mtu) = (plain.rate_bps, plain.mtu),
            Fault::Corruption => self.link.corrupt = plain.corrupt,
            Fault::Nat => self.nat = open_nat(),
            Fault::VersionTwo => (self.generation, self.spy) = (Generation::Three, false),
            Fault::Spies => self.spy = false,
            Fault::Outage | Fault::Death | Fault::Hostility | Fault::Operations => {}
        }
    }
}

impl Action {
    /// The sort of trouble that it is.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Action::Rebind | Action::Swap(_) => Some(Fault::Nat),
            Action::Clog { .. } | Action::Blackout { .. } | Action::Silence { .. } => Some(Fault::Outage),
            Action::Die { .. } | Action::Reconnect | Action::Duplicate | Action::CloseTransport { .. } => {
                Some(Fault::Death)
            }
            Action::Misbehave { .. } | Action::Nonsense(_) | Action::Stranger(_) => Some(Fault::Hostility),
            Action::Operate(_) => Some(Fault::Operations),
            _ => None,
        }
    }
}

fn draw_loss(choices: &mut Choices<'_>) -> GilbertElliott {
    let share = Probability::per_mille(choices.pick(&[5, 20, 50, 150]));
    if choices.chance(500) {
        return GilbertElliott::random(share);
    }
    GilbertElliott::bursts(share, choices.pick(&[2, 5, 20]))
}

/// A translator that is in nobody's way: one to one, for good.
fn open_nat() -> NatConfig {
    let open = Behavior::EndpointIndependent;
    let expiry = Duration::from_secs(86_400);
    NatConfig::Translate(Translation { mapping: open, filtering: open, expiry, ..Translation::default() })
}

fn draw_nat(choices: &mut Choices<'_>) -> NatConfig {
    use Behavior::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let behaviors = [EndpointIndependent, AddressDependent, AddressAndPortDependent];
    NatConfig::Translate(Translation {
        mapping: choices.pick(&behaviors),
        filtering: choices.pick(&behaviors),
        port_choice: choices.pick(&[PortChoice::Preserving, PortChoice::Sequential, PortChoice::Random]),
        expiry: Duration::from_secs(choices.pick(&[15, 30, 120])),
        ..Translation::default()
    })
}

fn draw_tracks(choices: &mut Choices<'_>) -> Vec<TrackKind> {
    let mut tracks = Vec::new();
    if choices.chance(700) {
        tracks.push(TrackKind::Opus);
    }
    if choices.chance(800) {
        tracks.push(draw_video(choices));
    }
    tracks
}

fn draw_video(choices: &mut Choices<'_>) -> TrackKind {
    use TrackKind::{H264, Vp8, Vp8Simulcast, Vp9Svc};
    choices.pick(&[Vp8, Vp8, Vp8Simulcast, Vp9Svc, H264])
}

/// Rarer kinds in place of the usual ones.
fn vary_tracks(choices: &mut Choices<'_>, action: &mut Action) {
    use TrackKind::{
        Av1, Av1Svc, H264, H264Simulcast, Vp8, Vp8Simulcast, Vp8SimulcastBySsrc, Vp8WithoutRtx, Vp9Svc,
    };
    let tracks = match action {
        Action::Join { tracks, .. } => tracks.as_mut_slice(),
        Action::Publish(track) => std::slice::from_mut(track),
        _ => return,
    };
    for track in tracks {
        let rarer: &[TrackKind] = match track {
            Vp8 => &[Vp8WithoutRtx, Av1],
            Vp8Simulcast => &[Vp8SimulcastBySsrc, H264Simulcast],
            Vp9Svc => &[Av1Svc],
            H264 => &[H264Simulcast],
            _ => continue,
        };
        if choices.chance(500) {
            *track = choices.pick(rarer);
        }
    }
}

/// How often each kind of action is drawn: a swarm has only some of them (Groce et al., "Swarm testing", 2012).
fn draw_weights(choices: &mut Choices<'_>, has: &dyn Fn(Fault) -> bool) -> Vec<(u32, u32)> {
    let mut sum = 0;
    let mut weights = Vec::new();
    for kind in 0..KINDS {
        let possible = action_of_kind(kind, &mut Choices::from_bytes(&[]), 1).fault().is_none_or(has);
        let weight = if possible && choices.chance(600) { choices.pick(&[1, 1, 3, 10]) } else { 0 };
        sum += weight;
        weights.push((kind, sum));
    }
    weights
}

fn draw_action(choices: &mut Choices<'_>, weights: &[(u32, u32)], rooms: u32) -> Action {
    let sum = weights.last().map_or(0, |(_, sum)| *sum);
    let drawn = choices.below(sum);
    let kind = weights.iter().find(|(_, below)| drawn < *below).map_or(0, |(kind, _)| *kind);
    action_of_kind(kind, choices, rooms)
}

const KINDS: u32 = 24;

fn action_of_kind(kind: u32, choices: &mut Choices<'_>, rooms: u32) -> Action {
    let video = draw_video;
    match kind {
        0 => Action::Join { room: choices.below(rooms), tracks: draw_tracks(choices) },
        1 => Action::Leave,
        2 => Action::Reconnect,
        3 => Action::Duplicate,
        4 => Action::Die { hang_up: choices.chance(500) },
        5 => Action::Publish(if choices.chance(300) { TrackKind::Opus } else { video(choices) }),
        6 => Action::Unpublish(choices.below(8)),
        7 => Action::PauseProducer(choices.below(8), !choices.chance(600)),
        8 => Action::Mute(choices.below(8), !choices.chance(600)),
        9 => Action::PauseConsumer(choices.below(8), !choices.chance(600)),
        10 => Action::PreferLayers(choices.below(8), choices.below(4) as u8, choices.below(4) as u8),
        11 => Action::Priority(choices.below(8), choices.range(1, 256) as u8),
        12 => Action::KeyFrame(choices.below(8)),
        13 => Action::RestartIce { sending: choices.chance(500) },
        14 => Action::CloseTransport { sending: choices.chance(500) },
        15 => Action::Rebind,
        16 => Action::Swap(choices.below(8)),
        17 => {
            let hold = Duration::from_millis(choices.pick(&[100, 500, 2_000, 8_000]));
            Action::Clog { up: choices.chance(500), hold }
        }
        18 => {
            let hold = Duration::from_millis(choices.pick(&[200, 3_000, 12_000, 35_000]));
            Action::Blackout { hold }
        }
        19 => Action::Stats,
        20 => Action::Rename,
        21 => Action::Misbehave { sending: choices.chance(500), kind: choices.below(16) },
        22 => Action::Nonsense(choices.below(16)),
        _ => Action::Stranger(choices.below(8)),
    }
}

/// Who is of version 2, and who of those is a spy.
fn draw_generations(choices: &mut Choices<'_>, hosts: &mut [HostPlan]) {
    if choices.chance(500) {
        let share = choices.pick(&[200, 500, 1_000]);
        let mut draw = || if choices.chance(share) { Generation::Two } else { Generation::Three };
        hosts.iter_mut().for_each(|host| host.generation = draw());
    }
    if choices.chance(400) {
        let members = hosts.iter_mut().filter(|host| host.generation == Generation::Two);
        members.for_each(|host| host.spy = choices.chance(300));
    }
}

fn draw_operation(choices: &mut Choices<'_>) -> Action {
    Action::Operate(match choices.below(8) {
        0 => Operation::Kick,
        1 => Operation::ClosePeer,
        2 => Operation::CloseTransport { sending: choices.chance(500) },
        3 => Operation::CloseProducer(choices.below(8)),
        4 | 5 => Operation::PauseProducer(choices.below(8), !choices.chance(500)),
        _ => Operation::PauseConsumer(choices.below(8), !choices.chance(500)),
    })
}

/// From a moment to longer than consent lasts.
fn draw_silence(choices: &mut Choices<'_>) -> Action {
    Action::Silence {
        sending: choices.chance(500),
        of: choices.pick(&[Silence::Checks, Silence::Everything]),
        hold: Duration::from_millis(choices.pick(&[200, 3_000, 12_000, 29_000, 35_000])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_every_kind_of_action_occurs() {
        let show = |seed| format!("{:?}", Plan::of_seed(seed));
        assert_eq!(show(7), show(7));
        assert_ne!(show(7), show(8));
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let plan = Plan::of_seed(seed);
            assert!(plan.actions.is_sorted_by_key(|timed| timed.at));
            let name = |timed: &Timed| format!("{:?}", std::mem::discriminant(&timed.action));
            kinds.extend(plan.actions.iter().map(name));
        }
        assert_eq!(kinds.len(), KINDS as usize + 2, "neither silences nor operations are among the kinds");
    }

    #[test]
    fn faults_can_be_taken_out_one_by_one() {
        for seed in 0..50 {
            let mut plan = Plan::of_seed(seed);
            for (fault, name) in Fault::ALL {
                assert_eq!(name.parse(), Ok(fault));
                plan = plan.without(fault);
                assert!(plan.actions.iter().all(|timed| timed.action.fault() != Some(fault)));
            }
            let delay = |host: &HostPlan| LinkConfig { delay: host.link.delay, ..LinkConfig::default() };
            let queue = |host: &HostPlan| host.link.queue;
            for host in &plan.hosts {
                let expected = LinkConfig { queue: queue(host), ..delay(host) };
                let link = LinkConfig { reorder_delay: expected.reorder_delay, ..host.link };
                assert_eq!(link, expected);
            }
        }
    }

    #[test]
    fn there_are_spies_and_operations_of_every_kind() {
        let (mut spies, mut operations) = (0, BTreeSet::new());
        for seed in 0..300 {
            let plan = Plan::of_seed(seed);
            spies += plan.hosts.iter().filter(|host| host.spy).count();
            operations.extend(plan.actions.iter().filter_map(|timed| match &timed.action {
                Action::Operate(operation) => Some(format!("{:?}", std::mem::discriminant(operation))),
                _ => None,
            }));
        }
        assert!(spies > 20 && operations.len() == 6, "{spies} spies, operations {operations:?}");
    }

    #[test]
    fn no_bytes_give_a_small_plan() {
        let plan = Plan::of_bytes(&[]);
        assert!(plan.hosts.len() == 2 && plan.actions.len() == 2, "two clients come, and nothing else");
        assert_eq!(plan.security, SecurityKind::None);
    }
}
