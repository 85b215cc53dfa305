//! Loss behind the server is told to senders that can help against it, and late packets are told from lost ones.
use std::time::Duration;

use super::Party;
use crate::net::{GilbertElliott, LinkConfig, Probability};
use crate::peer::media::TrackSpec;

#[test]
fn the_worst_loss_of_a_receiver_is_told_to_an_encoder_with_in_band_redundancy() {
    let mut party = Party::new(1);
    let [sender, one, two] = [(); 3].map(|()| party.join(LinkConfig::default()));
    let (sound, picture) = (TrackSpec::opus(1), TrackSpec::vp8(2));
    let ssrcs = [&sound, &picture].map(|track| track.numbers(party.client(sender).seed).ssrcs[0].0);
    let producers = [sound, picture].map(|track| party.publish(sender, track));
    let mut consumers = Vec::new();
    for receiver in [one, two] {
        consumers.extend(producers.map(|producer| party.consume(receiver, producer)));
    }
    let told = |party: &mut Party, claimed: [Option<u8>; 2]| {
        party.host(one).client.claimed_loss = claimed[0];
        party.host(two).client.claimed_loss = claimed[1];
        party.pass(5);
        ssrcs.map(|ssrc| {
            let block = party.client(sender).reports(ssrc).next_back().unwrap();
            assert_eq!(block.cumulative_lost, 0, "nothing is lost on the way to us");
            block.fraction_lost
        })
    };
    assert_eq!(told(&mut party, [None, None]), [0, 0]);
    assert_eq!(told(&mut party, [Some(12), Some(40)]), [40, 0], "of sound alone");
    assert_eq!(told(&mut party, [Some(12), Some(255)]), [64, 0], "a quarter at most");
    party.world.sfu.pause_consumer(party.world.now, consumers[2]).unwrap();
    assert_eq!(told(&mut party, [Some(12), Some(255)]), [12, 0], "who gets nothing does not count");
    let stats = party.world.sfu.producer_stats(party.world.now, producers[0]).unwrap();
    assert_eq!((stats[0].fraction_lost, stats[0].score), (0, 10), "its own path is faultless");
}

#[test]
fn what_never_comes_is_given_up_and_one_keyframe_helps() {
    let mut party = Party::new(2);
    let [sender, receiver] = [(); 2].map(|()| party.join(LinkConfig::default()));
    let producer = party.publish(sender, TrackSpec::vp8(1));
    party.consume(receiver, producer);
    party.pass(5);
    let before = party.client(sender).senders[0].counters().keyframe_requests.len();
    // Longer than anything waits, the sender does not hear what is asked for.
    let lossy = |percent| LinkConfig {
        loss: GilbertElliott::random(Probability::percent(percent)),
        ..LinkConfig::default()
    };
    let at = party.world.now;
    for (up, down, seconds) in [(30, 100, 2), (0, 0, 3)] {
        party.host(sender).uplink.set_config(lossy(up));
        party.host(sender).downlink.set_config(lossy(down));
        party.pass(seconds);
    }
    let requests = &party.client(sender).senders[0].counters().keyframe_requests;
    let asked: Vec<_> = requests.iter().skip(before).map(|(when, _)| *when - at).collect();
    assert!((1..=2).contains(&asked.len()), "{asked:?}");
    let last = party.client(receiver).receivers[0].last_decoded_at().unwrap();
    assert!((party.world.now - last).as_millis() < 100, "it goes on");
}

#[test]
fn duplicates_and_reordered_packets_are_counted_apart() {
    let mut party = Party::new(3);
    let link = LinkConfig {
        duplicate: Probability::percent(4),
        reorder: Probability::percent(3),
        reorder_delay: Duration::from_millis(100),
        ..LinkConfig::default()
    };
    let sender = party.join(LinkConfig::default());
    party.host(sender).uplink.set_config(link);
    // Sound of which nothing is asked for again: what is late was not repaired.
    let producer = party.publish(sender, TrackSpec::opus(1));
    party.pass(30);
    let now = party.world.now;
    party.host(sender).client.senders[0].set_paused(now, true);
    party.pass(1);
    let stats = party.world.sfu.producer_stats(party.world.now, producer).unwrap().remove(0);
    let sent = party.client(sender).senders[0].counters().packets;
    let dropped = party.world.sfu.stats().dropped_srtp_replay;
    assert_eq!((stats.packet_count, stats.packets_lost), (sent, 0), "each once");
    let late = stats.packets_late.unwrap() + stats.packets_repaired;
    assert!((sent / 60..sent / 20).contains(&late), "{late} of {sent}");
    // Copies end at the replay window, before they are counted as packets of a stream.
    assert!((sent / 40..sent / 15).contains(&dropped), "{dropped} of {sent}");
    assert_eq!((stats.packets_duplicated, stats.packets_discarded), (Some(0), 0));
}
