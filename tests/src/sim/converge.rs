//! What must come about when nothing hinders anything: everything flows, on the layers that are wanted.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::check::{ConsumerModel, Violation};
use super::run::{CallWorld, liars, pass};
use crate::peer::call::owner;
use crate::peer::consuming::Incoming;
use crate::peer::media::CurrentLayers;
use crate::peer::publishing::Outgoing;

/// By when everything must flow again after the faults have ended: a lost handshake is given up and begun anew within it.
const CONVERGE_WITHIN: Duration = Duration::from_secs(60);
/// Media that may flow has been decoded within this time once everything has settled.
const FRESH: Duration = Duration::from_millis(1_500);

/// Waits until everything has flowed for a while.
pub(super) fn converge(world: &mut CallWorld) -> Result<(), Violation> {
    let deadline = world.now + CONVERGE_WITHIN;
    let mut flowing_since = None;
    while world.now < deadline {
        pass(world, world.now + Duration::from_millis(500))?;
        // What was decoded shortly before a path broke looks fresh for a while.
        let since = *flowing_since.get_or_insert(world.now);
        if first_wrong(world).is_some() {
            flowing_since = None;
        } else if world.now >= since + 2 * FRESH {
            return Ok(());
        }
    }
    first_wrong(world).map_or(Ok(()), Err)
}

/// What is not as it must be when nothing hinders anything.
fn first_wrong(world: &CallWorld) -> Option<Violation> {
    let starved = first_starved(world);
    let starved = starved.map(|what| Violation::new("nothing flows though nothing hinders it", what));
    starved.or_else(|| {
        first_on_wrong_layers(world).map(|what| Violation::new("a consumer is on the wrong layers", what))
    })
}

/// A client that is not where it wants to be, or gets nothing of what it must get.
fn first_starved(world: &CallWorld) -> Option<String> {
    let living = || world.hosts.iter().filter(|host| !host.dead).map(|host| &host.client);
    let mut sending = BTreeMap::new();
    for client in living() {
        if !client.is_settled() {
            return Some(format!("{} has not arrived: {}", client.peer_id(), client.describe()));
        }
        sending.extend(client.outgoing().map(|outgoing| (outgoing.id(), outgoing.is_live())));
    }
    let liars = liars(world);
    for client in living() {
        for (id, incoming) in client.incoming() {
            let is_live = sending.get(&incoming.track_id()).copied().unwrap_or(false);
            let may_flow = flowing(world, id, incoming).is_some();
            if is_live
                && may_flow
                && !is_fresh(incoming, world.now)
                && !liars.contains(&owner(incoming.track_id()))
            {
                let (peer, state) = (client.peer_id(), client.describe());
                return Some(format!("{peer}, consumer {id}: {}; {state}", incoming.describe()));
            }
        }
    }
    None
}

/// What the model knows of a consumer whose media may flow. Servers give out the same ids: the SSRCs tell them apart.
fn flowing<'a>(world: &'a CallWorld, id: &str, incoming: &Incoming) -> Option<&'a ConsumerModel> {
    let is_it = |consumer: &&ConsumerModel| consumer.ssrcs.iter().any(|ssrc| incoming.has_ssrc(*ssrc));
    world.observer.nodes.values().find_map(|judge| {
        let consumer = judge.model.peers().find_map(|peer| peer.consumers.get(id).filter(is_it))?;
        judge.model.may_flow(consumer).then_some(consumer)
    })
}

/// A consumer that does not send what its client prefers of what there is.
fn first_on_wrong_layers(world: &CallWorld) -> Option<String> {
    let living = || world.hosts.iter().filter(|host| !host.dead).map(|host| &host.client);
    let outgoing: BTreeMap<u32, &Outgoing> =
        living().flat_map(|client| client.outgoing()).map(|outgoing| (outgoing.id(), outgoing)).collect();
    let liars = liars(world);
    for client in living() {
        for (id, incoming) in client.incoming() {
            let track = incoming.track_id();
            let (Some(model), Some(outgoing)) = (flowing(world, id, incoming), outgoing.get(&track)) else {
                continue;
            };
            if !outgoing.is_live()
                || liars.contains(&owner(track))
                || !incoming.receiver.track().codec.is_video()
            {
                continue;
            }
            let (expected, found) = (expected_layers(model, outgoing), incoming.receiver.current_layers());
            if expected.is_some() && found != expected {
                let peer = client.peer_id();
                let preferred = model.preferred;
                return Some(format!(
                    "{peer}, consumer {id} gets {found:?} instead of {expected:?}, preferred {preferred:?}: {}",
                    incoming.describe()
                ));
            }
        }
    }
    None
}

/// The best that is sent within what is preferred, or if there is nothing within it, the least above it.
fn expected_layers(consumer: &ConsumerModel, outgoing: &Outgoing) -> Option<CurrentLayers> {
    let track = outgoing.sender.track();
    let (spatial, temporal) =
        (consumer.preferred.0.unwrap_or(u8::MAX), consumer.preferred.1.unwrap_or(u8::MAX));
    let rates = outgoing.sender.encoding_rates_bps();
    let live: Vec<u8> =
        (0..).zip(rates).filter(|(_, rate_bps)| *rate_bps > 0).map(|(index, _)| index).collect();
    let within = live.iter().rev().find(|encoding| **encoding <= spatial);
    let encoding = *within.or(live.first())?;
    let layers = track.encodings[usize::from(encoding)].layers;
    let is_simulcast = track.encodings.len() > 1;
    let spatial = if is_simulcast { u8::MAX } else { spatial };
    // Version 2 does not say that there are any: all of them are sent.
    let temporal = if track.of_version_2 { u8::MAX } else { temporal };
    Some(CurrentLayers {
        encoding,
        spatial_id: spatial.min(layers.spatial - 1),
        temporal_id: temporal.min(layers.temporal - 1),
    })
}

pub(super) fn is_fresh(incoming: &Incoming, now: Instant) -> bool {
    incoming.receiver.last_decoded_at().is_some_and(|at| at + FRESH >= now)
}
