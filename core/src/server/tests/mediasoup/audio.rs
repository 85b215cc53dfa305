//! Who speaks in a room, and how loudly.
use super::*;
use crate::event::AudioLevel;
use crate::id::{ProducerId, TransportId};

/// An opus packet of the recorded producer with a level (RFC 6464) under the recorded id 1.
fn packet(ssrc: u32, sequence_number: u16, minus_dbov: u8) -> Vec<u8> {
    let mut bytes = vec![0x90, 111];
    bytes.extend(sequence_number.to_be_bytes());
    bytes.extend((u32::from(sequence_number) * 960).to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([0xBE, 0xDE, 0, 1, 0x10, minus_dbov, 0, 0, 1, 2, 3]);
    bytes
}

/// A member that produces audio under an SSRC of its own.
fn speaker(world: &mut World, name: &str, ssrc: u32) -> (TransportId, ProducerId) {
    let (session, _) = world.join_v2(name, false);
    world.create_transport(session, 10, "send");
    let mut message = producer_message(11, 10);
    message["rtpParameters"]["encodings"] = json!([{ "ssrc": ssrc }]);
    world.ask(session, &message).unwrap();
    let (watcher, joined) = world.watch("r", "watcher");
    let peers = joined["peers"].as_array().unwrap();
    let own = peers.iter().find(|peer| peer["id"] == name).unwrap();
    let producer = own["producers"][0]["id"].as_str().unwrap().parse().unwrap();
    world.close(watcher);
    (world.server.rooms.transports_of("r", name)[0], producer)
}

fn found(world: &mut World) -> Vec<Event> {
    let of_audio =
        |event: &Event| matches!(event, Event::AudioLevels { .. } | Event::ActiveSpeakerChanged { .. });
    std::mem::take(&mut world.events).into_iter().filter(of_audio).collect()
}

#[test]
fn levels_come_twice_a_second_and_the_speaker_changes() {
    let mut world = World::new();
    let missing = world.server.observe_audio(world.now, "r").unwrap_err();
    assert_eq!(missing.to_string(), "Error: Room not found");
    let ((path_a, a), (path_b, b)) = (speaker(&mut world, "a", 1_001), speaker(&mut world, "b", 1_002));
    world.server.observe_audio(world.now, "r").unwrap();
    world.drain();
    let router_id = world.server.rooms.router("r").unwrap();
    let mut speakers = Vec::new();
    for round in 0..10 {
        let louder_b = if round < 3 { 60 } else { 10 };
        let packets = [(path_a, packet(1_001, round, 30)), (path_b, packet(1_002, round, louder_b))];
        for (path, bytes) in packets {
            world.server.sfu.receive_rtp(world.now, path, &bytes);
        }
        world.pass(Duration::from_millis(500));
        let events = found(&mut world);
        let level = |producer_id, level_dbov| AudioLevel { producer_id, level_dbov };
        let mut levels = vec![level(a, -30), level(b, if round < 3 { -60 } else { -10 })];
        levels.sort_by_key(|level| std::cmp::Reverse(level.level_dbov));
        assert_eq!(events[0], Event::AudioLevels { router_id, levels }, "round {round}");
        speakers.extend(events[1..].iter().cloned().map(|event| (round, event)));
    }
    let changed = |producer_id| Event::ActiveSpeakerChanged { router_id, producer_id };
    assert_eq!(speakers, [(0, changed(Some(a))), (6, changed(Some(b)))]);

    // Nobody sends: no levels, and after four reports nobody speaks.
    world.pass(Duration::from_secs(2));
    assert_eq!(found(&mut world), [changed(None)]);
    for session in 0..=world.count {
        world.close(SessionId(session));
    }
    assert_eq!((world.counts(), world.deadline.at), ([0; 6], None), "the watch goes with the room");
}
