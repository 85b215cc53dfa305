//! What one client does or suffers is nobody else's business.
use std::time::Duration;

use sansfu::id::{ConsumerId, ProducerId};

use super::Party;
use crate::net::{GilbertElliott, LinkConfig, Probability};
use crate::peer::media::feedback::remb;
use crate::peer::media::{Layers, TrackSpec};
use crate::peer::rtcp::{self, Arrival, Rtcp, TransportFeedback};

const HIGHEST: u8 = 2;

/// A source of three encodings, an honest viewer, and one who is up to something, all of them on good paths.
struct Trio {
    party: Party,
    source: usize,
    honest: usize,
    other: usize,
    producer: ProducerId,
    consumers: [ConsumerId; 2],
}

impl Trio {
    fn new(seed: u64) -> Self {
        let mut party = Party::new(seed);
        let [source, honest, other] = [(); 3].map(|()| party.join(LinkConfig::default()));
        let producer = party.publish(source, TrackSpec::vp8_simulcast(1, 3, Layers::ONE));
        let consumers = [honest, other].map(|viewer| party.consume(viewer, producer));
        party.pass(15);
        let trio = Trio { party, source, honest, other, producer, consumers };
        assert_eq!([trio.encoding(0), trio.encoding(1)], [Some(HIGHEST); 2], "both begin well");
        trio
    }

    fn encoding(&self, viewer: usize) -> Option<u8> {
        let consumer = self.party.world.sfu.consumer(self.consumers[viewer]).unwrap();
        consumer.current_layers.map(|layers| layers.spatial_layer)
    }

    /// Goes on for as long, a tenth of a second at a time, and sees to it that source and honest viewer notice nothing.
    fn go_on(&mut self, seconds: u64, mut act: impl FnMut(&mut Party, usize)) {
        for _ in 0..seconds * 10 {
            act(&mut self.party, self.other);
            self.party.world.wake(self.other);
            self.party.world.run_for(Duration::from_millis(100));
            let client = self.party.client(self.honest);
            let newest = client.receivers[0].last_decoded_at().unwrap();
            assert!(self.party.world.now - newest < Duration::from_millis(150), "a freeze");
        }
        let sfu = &self.party.world.sfu;
        assert_eq!(self.encoding(0), Some(HIGHEST));
        assert_eq!(sfu.consumer(self.consumers[0]).unwrap().score.score, 10);
        let scores: Vec<u8> = sfu.producer(self.producer).unwrap().score.iter().map(|of| of.score).collect();
        assert_eq!(scores, [10; 3]);
        let target_bps = self.party.client(self.source).senders[0].target_bps();
        assert_eq!(target_bps, 2_150_000, "the source sends all it has");
        assert_eq!(self.party.client(self.honest).violations, []);
        self.party.world.assert_sound();
    }
}

/// Feedback about packets that were never sent, all of them there or all of them lost.
fn invented(base: u16, arrival: Arrival) -> Vec<u8> {
    let feedback = TransportFeedback {
        sender_ssrc: 1,
        media_ssrc: 2,
        feedback_count: 0,
        base,
        arrivals: vec![arrival; 500],
    };
    rtcp::write(&[Rtcp::TransportFeedback(feedback)])
}

#[test]
fn a_receiver_that_claims_to_lose_everything_harms_nobody_else() {
    let mut trio = Trio::new(1);
    trio.party.host(trio.other).client.claimed_loss = Some(255);
    trio.go_on(15, |_, _| ());
}

#[test]
fn a_receiver_with_untrue_estimates_harms_nobody_else() {
    for bitrate_bps in [0, 1, u64::MAX >> 20] {
        let mut trio = Trio::new(2);
        let message = remb(1, bitrate_bps, &[]);
        trio.go_on(8, |party, other| party.host(other).client.say(&message));
        assert_eq!(trio.party.client(trio.other).violations, []);
    }
}

#[test]
fn feedback_about_what_was_never_sent_harms_nobody_else() {
    for arrival in [Arrival::Lost, Arrival::AtTick(4_000)] {
        let mut trio = Trio::new(3);
        let mut base = 0_u16;
        trio.go_on(8, |party, other| {
            base = base.wrapping_add(7_919);
            party.host(other).client.say(&invented(base, arrival));
        });
        // And when it speaks the truth again, all is well again.
        trio.go_on(20, |_, _| ());
        assert_eq!(trio.encoding(1), Some(HIGHEST), "{arrival:?}");
    }
}

#[test]
fn feedback_that_stops_and_comes_back_costs_nobody_else_anything() {
    let mut trio = Trio::new(4);
    trio.party.host(trio.other).client.is_mute = true;
    trio.go_on(6, |_, _| ());
    trio.party.host(trio.other).client.is_mute = false;
    trio.go_on(15, |_, _| ());
    assert_eq!(trio.encoding(1), Some(HIGHEST), "it recovers");
}

#[test]
fn one_lossy_uplink_does_not_drag_the_others_down() {
    let mut party = Party::new(5);
    let [good, bad, viewer] = [(); 3].map(|()| party.join(LinkConfig::default()));
    let of = |party: &mut Party, index, id| {
        let producer = party.publish(index, TrackSpec::vp8(id));
        (producer, party.consume(viewer, producer))
    };
    let (good_producer, good_consumer) = of(&mut party, good, 1);
    let (bad_producer, bad_consumer) = of(&mut party, bad, 2);
    party.pass(10);
    let loss = GilbertElliott::random(Probability::percent(25));
    party.host(bad).uplink.set_config(LinkConfig { loss, ..LinkConfig::default() });
    for _ in 0..200 {
        party.world.run_for(Duration::from_millis(100));
        let newest = party.client(viewer).receivers[0].last_decoded_at().unwrap();
        assert!(party.world.now - newest < Duration::from_millis(150), "the good one freezes");
    }
    let sfu = &party.world.sfu;
    let producer_score = |id| sfu.producer(id).unwrap().score[0].score;
    assert_eq!(producer_score(good_producer), 10);
    assert!(producer_score(bad_producer) < 8, "{}", producer_score(bad_producer));
    assert_eq!(sfu.consumer(good_consumer).unwrap().score.score, 10);
    let score = sfu.consumer(bad_consumer).unwrap().score;
    assert!(score.producer_score < 8 && score.score == 10, "the viewer's own path is good: {score:?}");
    assert_eq!(party.client(good).senders[0].target_bps(), 900_000);
    party.world.assert_sound();
}
