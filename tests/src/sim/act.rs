//! Carries out the actions of a plan.
use std::net::SocketAddr;

use sansfu::server::{self, Secret};
use serde_json::{Value, json};

use super::plan::{Action, Operation, Plan, Timed};
use super::run::{ADMIN_TOKEN, CallWorld, mix};
use crate::choices::Choices;
use crate::net::LinkConfig;
use crate::peer::call::Order;
use crate::peer::path::Misbehaviour;
use crate::peer::publishing::Generation;
use crate::world::stun::BindingRequest;

/// Frames that no client should send.
const NONSENSE: [&str; 16] = [
    "",
    "{",
    "null",
    "[]",
    "\"request\"",
    r#"{"request":true}"#,
    r#"{"request":true,"id":"x","method":"join"}"#,
    r#"{"request":true,"id":900001,"method":"fly","data":{}}"#,
    r#"{"request":true,"id":900002,"method":"join","data":[]}"#,
    r#"{"request":true,"id":900003,"method":"produce","data":{"transportId":"no","kind":"audio"}}"#,
    r#"{"request":true,"id":900004,"method":"closeProducer","data":{"producerId":"0"}}"#,
    r#"{"request":true,"id":900005,"method":"pauseConsumer","data":{"consumerId":null}}"#,
    r#"{"response":true,"id":1,"ok":true,"data":{}}"#,
    r#"{"response":true,"id":900006,"ok":false,"errorCode":1,"errorReason":"no"}"#,
    r#"{"notification":true,"method":"newPeer","data":{}}"#,
    r#"{"request":true,"response":true,"id":900007,"method":"getRouterRtpCapabilities"}"#,
];

/// The same of clients of version 2.
const NONSENSE_OF_VERSION_2: [&str; 16] = [
    "{}",
    r#"{"notification":true,"method":"mediasoup-notification"}"#,
    r#"{"notification":true,"method":"mediasoup-notification","data":[]}"#,
    r#"{"notification":true,"method":"mediasoup-notification","data":{"method":"fly","target":"peer","notification":true}}"#,
    r#"{"notification":true,"method":"mediasoup-notification","data":{"method":"pauseProducer","target":"peer","notification":true,"id":1}}"#,
    r#"{"notification":true,"method":"mediasoup-notification","data":{"method":"closeTransport","target":"peer","notification":true,"id":"x"}}"#,
    r#"{"notification":true,"method":"mediasoup-notification","data":{"method":"leave","target":"room","notification":true}}"#,
    r#"{"notification":true,"method":"mediasoup-notification","data":{"method":"resumeConsumer","target":"peer","id":1}}"#,
    r#"{"request":true,"id":900011,"method":"mediasoup-request"}"#,
    r#"{"request":true,"id":900012,"method":"mediasoup-request","data":{"method":"queryRoom","target":"peer"}}"#,
    r#"{"request":true,"id":900013,"method":"mediasoup-request","data":{"method":"join","target":"room","peerName":""}}"#,
    r#"{"request":true,"id":900014,"method":"mediasoup-request","data":{"method":"createTransport","target":"peer","id":7,"direction":"both"}}"#,
    r#"{"request":true,"id":900015,"method":"mediasoup-request","data":{"method":"createProducer","target":"peer","id":7,"kind":"audio","transportId":1}}"#,
    r#"{"request":true,"id":900016,"method":"mediasoup-request","data":{"method":"enableConsumer","target":"peer","id":1,"transportId":1}}"#,
    r#"{"request":true,"id":900017,"method":"mediasoup-request","data":{"method":"restartTransport","target":"peer","id":-1}}"#,
    r#"{"request":true,"id":900018,"method":"getRouterRtpCapabilities"}"#,
];

/// Does what an action says; what is not possible now is not done.
pub(super) fn act(world: &mut CallWorld, plan: &Plan, timed: &Timed) {
    let host = timed.host as usize % world.hosts.len();
    if let Action::Operate(operation) = &timed.action {
        return operate(world, host, *operation);
    }
    if world.hosts[host].dead {
        return;
    }
    match &timed.action {
        Action::Duplicate => {
            world.lose_session(host);
            give(world, host, Order::Reconnect);
        }
        Action::Die { hang_up } => {
            world.hosts[host].dead = true;
            if *hang_up {
                world.hang_up(host);
            }
        }
        Action::Rebind => world.hosts[host].nat.rebind(),
        Action::Swap(other) => {
            let other = *other as usize % world.hosts.len();
            world.swap_addresses(host, other);
        }
        Action::Clog { up, hold } => {
            let until = world.now + *hold;
            let host = &mut world.hosts[host];
            let link = if *up { &mut host.uplink } else { &mut host.downlink };
            link.clog_until(until);
        }
        Action::Blackout { hold } => {
            let until = world.now + *hold;
            world.hosts[host].uplink.blackout_until(until);
            world.hosts[host].downlink.blackout_until(until);
        }
        Action::Stranger(kind) => be_strange(world, plan, timed, *kind),
        Action::Nonsense(kind) => {
            let frames = match plan.hosts[host].generation {
                Generation::Two => &NONSENSE_OF_VERSION_2,
                Generation::Three => &NONSENSE,
            };
            give(world, host, Order::Say(frames[*kind as usize % frames.len()].to_owned()));
        }
        action => {
            if let Some(order) = order_of(plan, timed, action) {
                give(world, host, order);
            }
        }
    }
}

/// All faults end; what is dead stays dead.
pub(super) fn heal(world: &mut CallWorld) {
    let now = world.now;
    for index in 0..world.hosts.len() {
        let host = &mut world.hosts[index];
        for link in [&mut host.uplink, &mut host.downlink] {
            let delay = link.config().delay;
            link.set_config(LinkConfig { delay, ..LinkConfig::default() });
            link.clog_until(now);
            link.blackout_until(now);
        }
        let muted = host.client.outgoing().count() as u32;
        for nth in 0..muted {
            give(world, index, Order::Mute(nth, false));
        }
        give(world, index, Order::Speak);
    }
}

/// A server does something to a client that is in a room, dead or alive.
fn operate(world: &mut CallWorld, host: usize, operation: Operation) {
    let client = &world.hosts[host].client;
    let Some(room_id) = client.room_id().map(str::to_owned) else { return };
    let peer_id = client.peer_id().to_owned();
    let app_data = Value::Null;
    let action = match operation {
        Operation::Kick => {
            let authorization = Secret::new(format!("Bearer {ADMIN_TOKEN}"));
            return world.kick(&room_id, &peer_id, &authorization);
        }
        Operation::ClosePeer => Some(server::Action::ClosePeer { app_data }),
        Operation::CloseTransport { sending } => {
            client.transport_id(sending).map(|id| server::Action::CloseTransport { id, app_data })
        }
        Operation::CloseProducer(nth) => {
            client.producer_id(nth).map(|id| server::Action::CloseProducer { id, app_data })
        }
        Operation::PauseProducer(nth, paused) => client.producer_id(nth).map(|id| match paused {
            true => server::Action::PauseProducer { id, app_data },
            false => server::Action::ResumeProducer { id, app_data },
        }),
        Operation::PauseConsumer(nth, paused) => client.consumer_id(nth).map(|id| match paused {
            true => server::Action::PauseConsumer { id, app_data },
            false => server::Action::ResumeConsumer { id, app_data },
        }),
    };
    if let Some(action) = action {
        world.operate(&room_id, &peer_id, &action);
    }
}

fn give(world: &mut CallWorld, host: usize, order: Order) {
    let now = world.now;
    world.hosts[host].client.order(now, order);
    world.wake(host);
}

fn order_of(plan: &Plan, timed: &Timed, action: &Action) -> Option<Order> {
    Some(match action {
        Action::Join { room, tracks } => {
            let room_id = format!("room-{}", room % plan.rooms.max(1));
            Order::Join { room_id, tracks: tracks.clone() }
        }
        Action::Leave => Order::Leave,
        Action::Reconnect => Order::Reconnect,
        Action::Publish(kind) => Order::Publish(*kind),
        Action::Unpublish(nth) => Order::Unpublish(*nth),
        Action::PauseProducer(nth, paused) => Order::PauseProducer(*nth, *paused),
        Action::Mute(nth, muted) => Order::Mute(*nth, *muted),
        Action::PauseConsumer(nth, paused) => Order::PauseConsumer(*nth, *paused),
        Action::PreferLayers(nth, spatial, temporal) => {
            let layers = json!({ "spatialLayer": spatial, "temporalLayer": temporal });
            Order::AskConsumer(*nth, "setConsumerPreferredLayers", layers)
        }
        Action::Priority(nth, priority) => {
            Order::AskConsumer(*nth, "setConsumerPriority", json!({ "priority": priority }))
        }
        Action::KeyFrame(nth) => Order::AskConsumer(*nth, "requestConsumerKeyFrame", json!({})),
        Action::RestartIce { sending } => Order::RestartIce { sending: *sending },
        Action::CloseTransport { sending } => Order::CloseTransport { sending: *sending },
        Action::Silence { sending, of, hold } => Order::BeSilent { sending: *sending, of: *of, hold: *hold },
        Action::Stats => Order::Stats,
        Action::Rename => Order::Rename(format!("called at {:?}", timed.at)),
        Action::Misbehave { sending, kind } => {
            let misbehaviour = Misbehaviour::ALL[*kind as usize % Misbehaviour::ALL.len()];
            Order::Misbehave { sending: *sending, misbehaviour }
        }
        _ => return None,
    })
}

/// Datagrams from where nobody is.
fn be_strange(world: &mut CallWorld, plan: &Plan, timed: &Timed, kind: u32) {
    let mut choices = Choices::from_seed(mix(plan.seed, timed.at.as_nanos() as u64));
    let node = choices.below(plan.workers as u32) as usize;
    let remote =
        SocketAddr::from(([192, 0, 2, 1 + choices.below(200) as u8], 1_024 + choices.below(60_000) as u16));
    let mut noise = |length: u32, first: u8| -> Vec<u8> {
        std::iter::once(first).chain((0..length).map(|_| choices.below(256) as u8)).collect()
    };
    let bytes = match kind % 8 {
        0 => noise(200, 0),
        1 => noise(60, 22),
        2 => noise(100, 0x80),
        3 => noise(3, 0x80),
        4 => Vec::new(),
        5 => noise(1_400, 0xff),
        kind => BindingRequest {
            username: if kind == 6 { "nobody:stranger".to_owned() } else { "x".repeat(600) },
            password: Some("guessed".to_owned()),
            transaction: [9; 12],
            use_candidate: true,
        }
        .to_bytes(),
    };
    for _ in 0..5 {
        world.inject(node, remote, bytes.clone());
    }
}
