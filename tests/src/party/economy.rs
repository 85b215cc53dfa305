//! Keyframes are dear: a source is asked for one as seldom as can be, and everybody gets a picture.
use std::time::{Duration, Instant};

use sansfu::event::ConsumerLayers;

use super::Party;
use crate::net::LinkConfig;
use crate::peer::media::{Layers, TrackSpec};

/// VP8 of few packets, so that a crowd is cheap.
fn small(id: u32) -> TrackSpec {
    let mut track = TrackSpec::vp8(id);
    track.encodings[0].max_bitrate_bps = 120_000;
    track
}

/// When keyframes of an encoding were asked for.
fn requests(party: &Party, index: usize, encoding: u8) -> Vec<Instant> {
    let requests = &party.client(index).senders[0].counters().keyframe_requests;
    requests.iter().filter(|(_, of)| *of == encoding).map(|(at, _)| *at).collect()
}

fn shortest_apart(requests: &[Instant]) -> Duration {
    requests.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
}

#[test]
fn five_hundred_viewers_cost_a_keyframe_a_second() {
    const VIEWERS: usize = 500;
    let mut party = Party::new(1);
    let source = party.join(LinkConfig::default());
    let producer = party.publish(source, small(1));
    party.pass(3);
    let before = requests(&party, source, 0).len();
    let start = party.world.now;
    for n in 0..VIEWERS {
        let viewer = party.invite(LinkConfig::default());
        party.consume(viewer, producer);
        let at = start + Duration::from_micros(2_000 * (n as u64 + 1));
        party.world.run_for(at - party.world.now);
    }
    party.pass(2);
    let asked = requests(&party, source, 0).split_off(before);
    assert!((1..=4).contains(&asked.len()), "{} in three seconds", asked.len());
    // Both have a link of the same delay: they come as they were sent.
    assert!(shortest_apart(&asked) >= Duration::from_secs(1), "{:?}", shortest_apart(&asked));
    for viewer in 1..=VIEWERS {
        let client = party.client(viewer);
        let first = client.receivers[0].decoded().next().map(|(at, _)| *at - start);
        assert!(first.is_some_and(|first| first < Duration::from_millis(2_300)), "{viewer}: {first:?}");
        let newest = client.receivers[0].last_decoded_at().unwrap();
        assert!(party.world.now - newest < Duration::from_millis(100), "{viewer} has a picture still");
        assert_eq!(client.violations, []);
    }
    party.world.assert_sound();
}

#[test]
fn a_producer_can_be_spared_longer() {
    let mut party = Party::new(2);
    let source = party.join(LinkConfig::default());
    let producer = party.publish_with(source, small(1), Some(3_000));
    for _ in 0..12 {
        let viewer = party.join(LinkConfig::default());
        party.consume(viewer, producer);
        party.pass(1);
    }
    let asked = requests(&party, source, 0);
    assert!((4..=5).contains(&asked.len()), "{}", asked.len());
    assert!(shortest_apart(&asked) >= Duration::from_millis(2_999), "{:?}", shortest_apart(&asked));
}

#[test]
fn of_simulcast_only_the_encoding_that_is_needed_is_asked_for() {
    let mut party = Party::new(3);
    let source = party.join(LinkConfig::default());
    let producer = party.publish(source, TrackSpec::vp8_simulcast(1, 3, Layers::ONE));
    let viewer = party.join(LinkConfig::default());
    let consumer = party.consume(viewer, producer);
    party.pass(15);
    let counts = |party: &Party| [0, 1, 2].map(|encoding| requests(party, source, encoding).len());
    let before = counts(&party);
    let prefer = |party: &mut Party, spatial_layer| {
        let layers = ConsumerLayers { spatial_layer, temporal_layer: None };
        party.world.sfu.set_consumer_preferred_layers(party.world.now, consumer, layers).unwrap();
        party.world.drain();
        party.pass(3);
    };
    prefer(&mut party, 0);
    let lowest = counts(&party);
    assert_eq!(lowest, [before[0] + 1, before[1], before[2]], "the higher ones are left alone");
    prefer(&mut party, 1);
    let middle = counts(&party);
    assert_eq!(middle, [lowest[0], lowest[1] + 1, lowest[2]]);
    // What it has already needs no keyframe.
    prefer(&mut party, 1);
    assert_eq!(counts(&party), middle);
    assert_eq!(party.client(viewer).violations, []);
}
