//! What senders are told: a limit, and feedback at a lively pace.
use std::time::Duration;

use super::Party;
use crate::net::LinkConfig;
use crate::peer::media::{Layers, TrackSpec};
use crate::peer::rtcp::Rtcp;

fn simulcast(id: u32) -> TrackSpec {
    TrackSpec::vp8_simulcast(id, 3, Layers::ONE)
}

fn rates(party: &Party, index: usize) -> Vec<u64> {
    party.client(index).senders[0].encoding_rates_bps().collect()
}

#[test]
fn encodings_shrink_to_the_limit_and_grow_again() {
    let mut party = Party::new(1);
    let sender = party.join(LinkConfig::default());
    let producer = party.publish(sender, simulcast(1));
    party.pass(3);
    assert_eq!(rates(&party, sender), [150_000, 500_000, 1_500_000]);
    assert_eq!(party.client(sender).rembs().count(), 0, "it estimates the bandwidth itself");

    let (now, transport) = (party.world.now, party.client(sender).transport);
    party.world.sfu.set_max_incoming_bitrate(now, transport, Some(400_000)).unwrap();
    party.world.drain();
    party.pass(5);
    let told: Vec<_> = party.client(sender).rembs().collect();
    // 18 significant bits.
    assert!(told.iter().all(|(_, bps)| (399_990..=400_000).contains(bps)), "{told:?}");
    assert!(told[0].0 - now <= Duration::from_millis(15), "at once: {:?}", told[0].0 - now);
    assert!((5..=6).contains(&told.len()), "once a second: {}", told.len());
    let [lowest, middle, highest] = rates(&party, sender)[..] else { panic!() };
    assert_eq!((lowest, highest), (150_000, 0));
    assert!((240_000..=250_000).contains(&middle), "{middle}");
    let stats = party.world.sfu.producer_stats(party.world.now, producer).unwrap();
    let bitrate: u64 = stats.iter().map(|stream| stream.bitrate).sum();
    assert!((300_000..=440_000).contains(&bitrate), "with headers: {bitrate}");
    let stats = party.world.sfu.transport_stats(party.world.now, transport).unwrap();
    assert_eq!(stats[0].max_incoming_bitrate, Some(400_000));

    party.world.sfu.set_max_incoming_bitrate(party.world.now, transport, Some(0)).unwrap();
    party.world.drain();
    party.pass(1);
    assert_eq!(rates(&party, sender), [150_000, 500_000, 1_500_000]);
    party.pass(9);
    let told = party.client(sender).rembs().map(|(_, bps)| bps);
    let released: Vec<u64> = told.skip_while(|bps| *bps <= 400_000).collect();
    assert_eq!(released, [4_294_950_912; 4], "no limit, should some of it get lost");
}

#[test]
fn a_limit_that_was_set_before_anything_is_sent_is_told_with_the_first_packet() {
    let mut party = Party::new(2);
    let sender = party.join(LinkConfig::default());
    let transport = party.client(sender).transport;
    party.world.sfu.set_max_incoming_bitrate(party.world.now, transport, Some(100_000)).unwrap();
    party.publish(sender, simulcast(1));
    let start = party.world.now;
    party.pass(1);
    let first = party.client(sender).rembs().next().unwrap();
    assert!(first.0 - start < Duration::from_millis(60), "{:?}", first.0 - start);
    assert_eq!(rates(&party, sender), [first.1, 0, 0]);
}

/// The mean time between feedback messages in ms, over ten seconds.
fn pace(track: TrackSpec) -> u64 {
    let mut party = Party::new(3);
    let sender = party.join(LinkConfig::default());
    party.publish(sender, track);
    party.pass(3);
    let heard = party.client(sender).heard.len();
    party.pass(10);
    let later = party.client(sender).heard.iter().skip(heard);
    10_000 / later.filter(|(_, rtcp)| matches!(rtcp, Rtcp::TransportFeedback(_))).count() as u64
}

#[test]
fn feedback_comes_at_a_pace_that_follows_the_rate() {
    // The next message begins with the next packet: up to 20 ms of sound, 33 ms of pictures later.
    assert!((100..=120).contains(&pace(TrackSpec::opus(1))));
    assert!((50..=84).contains(&pace(TrackSpec::vp8(1))));
}
