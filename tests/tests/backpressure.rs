//! What the core makes of sockets that have no room.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::collections::BTreeMap;
use std::time::Duration;

use sansfu::sfu::{Input, Output, TransmitClass};
use sansfu_tests::load::memory::Load;

/// Polls everything; `drops` says of how many datagrams of a transmit there was no room. Gives the datagrams by class.
fn drain(load: &mut Load, drops: impl Fn(TransmitClass) -> usize) -> BTreeMap<TransmitClass, usize> {
    let mut polled = BTreeMap::new();
    loop {
        let (class, datagrams) = match load.sfu.poll_output() {
            Output::Transmit(transmit) => {
                let size = transmit.segment_size.unwrap_or(transmit.payload.len());
                (transmit.class, transmit.payload.len().div_ceil(size))
            }
            Output::Timeout(_) => return polled,
            _ => continue,
        };
        *polled.entry(class).or_default() += datagrams;
        let datagrams = drops(class).min(datagrams);
        if datagrams > 0 {
            load.sfu.handle_input(load.now, Input::Dropped { datagrams });
        }
    }
}

fn feed(load: &mut Load, frames: usize, keyframe: bool) {
    for _ in 0..frames {
        load.pass(Duration::from_millis(1));
        for (remote, mut packet) in load.next_packets(keyframe) {
            load.feed(remote, &mut packet);
        }
    }
}

#[test]
fn pictures_and_control_can_be_told_apart() {
    let mut load = Load::new(3, 1);
    feed(&mut load, 1, true);
    assert_eq!(drain(&mut load, |_| 0), BTreeMap::from([(TransmitClass::Video, 3)]));
    load.pass(Duration::from_secs(3));
    load.timeout();
    let polled = drain(&mut load, |_| 0);
    assert!(polled[&TransmitClass::Control] > 0 && polled.len() == 1, "reports: {polled:?}");
}

#[test]
fn what_was_dropped_is_counted_and_everything_else_flows_on() {
    let mut load = Load::new(3, 1);
    feed(&mut load, 1, true);
    drain(&mut load, |_| 0);
    feed(&mut load, 8, false);
    let polled = drain(&mut load, |_| 2);
    assert_eq!(polled, BTreeMap::from([(TransmitClass::Video, 24)]), "a run of 8 for each of 3");
    assert_eq!(load.sfu.stats().dropped_socket_full, 6);
    feed(&mut load, 1, false);
    assert_eq!(drain(&mut load, |_| 0), BTreeMap::from([(TransmitClass::Video, 3)]));
    assert_eq!(load.sfu.stats().dropped_socket_full, 6);
}

/// A runtime may say it at any time: of control, of nothing, of more than there was, of a transport that is gone.
#[test]
fn what_is_said_out_of_place_does_no_harm() {
    let mut load = Load::new(1, 1);
    load.sfu.handle_input(load.now, Input::Dropped { datagrams: 5 });
    feed(&mut load, 1, true);
    drain(&mut load, |_| usize::MAX);
    load.sfu.handle_input(load.now, Input::Dropped { datagrams: usize::MAX });
    load.pass(Duration::from_secs(3));
    load.timeout();
    drain(&mut load, |_| usize::MAX);
    feed(&mut load, 1, false);
    load.sfu.close_router(load.now, load.router()).unwrap();
    load.sfu.handle_input(load.now, Input::Dropped { datagrams: 1 });
    drain(&mut load, |_| usize::MAX);
    assert!(load.sfu.is_empty());
}
