//! What a media socket does when the kernel takes no more: run by `tests/full_socket.sh` where the loopback device is slow.
//!
//! Pictures fill the socket; then sound and control come, and more pictures. Of these none may be taken, all the others have to
//! arrive, in order, once there is room.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sansfu::server::{Protocol, Transmit, TransmitClass};
use sansfu_runtime::{Counters, MediaSockets};

const SEGMENT_BYTES: usize = 1_200;
/// Far more than a socket's buffer holds.
const MAX_RUNS: usize = 10_000;
const KEPT: u8 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let remote = client.local_addr().unwrap();
    let (mut sockets, counters) = (MediaSockets::new().unwrap(), Counters::default());
    let local = sockets.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let send = |sockets: &mut MediaSockets, class, payload: &[u8]| {
        let segment_size = (payload.len() > SEGMENT_BYTES).then_some(SEGMENT_BYTES);
        let transmit = Transmit { local, remote, protocol: Protocol::Udp, class, payload, segment_size };
        sockets.send(&transmit, &counters)
    };
    let run = [0xff; 10 * SEGMENT_BYTES];
    let mut pictures = 0;
    let full = (0..MAX_RUNS).any(|_| {
        let dropped = send(&mut sockets, TransmitClass::Video, &run);
        pictures += 10 - dropped;
        dropped > 0
    });
    assert!(full, "the socket never filled: is the device slow?");
    for number in 0..KEPT {
        let class = if number % 2 == 0 { TransmitClass::Control } else { TransmitClass::Audio };
        assert_eq!(send(&mut sockets, class, &[number; 100]), 0, "held");
    }
    assert_eq!(send(&mut sockets, TransmitClass::Video, &run), 10, "pictures do not overtake");
    let (mut kept, mut got_pictures) = (Vec::new(), 0);
    let (mut bytes, started) = ([0; 2_000], Instant::now());
    while (kept.len() < usize::from(KEPT) || got_pictures < pictures) && started.elapsed() < PATIENCE {
        sockets.wait(Some(Duration::ZERO)).unwrap();
        sockets.flush(&counters);
        match client.recv(&mut bytes) {
            Ok(100) => kept.push(bytes[0]),
            Ok(_) => got_pictures += 1,
            Err(_) => {}
        }
    }
    assert_eq!(kept, (0..KEPT).collect::<Vec<_>>(), "all, and in order");
    assert_eq!(got_pictures, pictures, "what was not counted as dropped has arrived");
    assert_eq!(counters.sends_held.load(Ordering::Relaxed), u64::from(KEPT));
    assert!(counters.sends_dropped.load(Ordering::Relaxed) > 10);
    assert_eq!(send(&mut sockets, TransmitClass::Video, &run[..SEGMENT_BYTES]), 0, "there is room again");
    println!("{pictures} pictures taken, {KEPT} others held and sent");
}
