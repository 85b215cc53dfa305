//! A call of two over real sockets, for scripts: both publish sound and picture, and must receive each other's.
//!
//! `call ADDRESS:PORT` joins a room of the server there. When everything flows it prints the addresses that media went to, one a
//! line, and ends well; after half a minute without, it ends with status 1.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
#![allow(clippy::disallowed_methods, reason = "sockets need the time of the real world")]
#[path = "../tests/over_sockets/mod.rs"]
mod over_sockets;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use over_sockets::{Host, caller, flowing, run_until};
use sansfu_tests::peer::call::Order;
use sansfu_tests::peer::publishing::TrackKind;

fn main() -> ExitCode {
    let Some(server) = std::env::args().nth(1).and_then(|text| text.parse::<SocketAddr>().ok()) else {
        eprintln!("usage: call ADDRESS:PORT");
        return ExitCode::from(2);
    };
    let mut hosts: Vec<Host> = (0..2).map(|index| Host::new(caller(index), server)).collect();
    for host in &mut hosts {
        let tracks = vec![TrackKind::Opus, TrackKind::Vp8];
        host.caller.order(Instant::now(), Order::Join { room_id: "call".to_owned(), tracks });
    }
    // Two tracks for each of two.
    let all_flows =
        |hosts: &[Host]| flowing(hosts.iter().map(|host| &host.caller), Instant::now()).len() == 4;
    run_until(&mut hosts, all_flows);
    let remotes: BTreeSet<SocketAddr> = hosts.iter().flat_map(|host| host.remotes.clone()).collect();
    remotes.iter().for_each(|remote| println!("{remote}"));
    if all_flows(&hosts) {
        return ExitCode::SUCCESS;
    }
    eprintln!("no call came about");
    ExitCode::FAILURE
}
