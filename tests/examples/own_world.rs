//! A world of one's own: a client and a judge that are not those of the simulation, between them a network with faults.
//!
//! `cargo run -p sansfu-tests --example own_world`
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sansfu::server::{Server, ServerConfig};
use sansfu_tests::net::{LinkConfig, NatConfig, Translation};
use sansfu_tests::sim::world::{Client, Done, Heard, Observer, Said, Step, World};

/// Knocks at a room twice a second and goes away as soon as it is let in.
#[derive(Debug, Default)]
struct Visitor {
    next_at: Option<Instant>,
    visits: u32,
    answers: VecDeque<String>,
}

impl Client for Visitor {
    fn hear(&mut self, _now: Instant, heard: Heard<'_>) {
        match heard {
            Heard::Opened => self.visits += 1,
            Heard::Message(text) => self.answers.push_back(text.to_owned()),
            Heard::Datagram { .. } | Heard::Closed(_) | Heard::Response(..) => {}
        }
    }

    fn poll(&mut self, now: Instant, said: &mut Vec<Said>) -> Option<Instant> {
        if !self.answers.is_empty() {
            self.answers.clear();
            said.push(Said::Close);
        }
        if self.next_at.is_none_or(|at| at <= now) {
            self.next_at = Some(now + Duration::from_millis(500));
            said.push(Said::Open { room_id: "lobby".to_owned(), peer_id: "visitor".to_owned() });
        }
        self.next_at
    }
}

/// Sees that a room exists only while somebody is in it.
#[derive(Debug, Default)]
struct Judge {
    steps: u32,
    most_rooms: u64,
    violations: Vec<String>,
}

impl Observer for Judge {
    fn observe(&mut self, step: &Step<'_>, server: &Server) {
        self.steps += 1;
        let stats = server.stats().rooms;
        self.most_rooms = self.most_rooms.max(stats.rooms);
        if stats.rooms > stats.sessions {
            self.violations.push(format!("{:?}: a room that nobody is in", step.told));
        }
        if step.done.iter().any(|done| matches!(done, Done::Datagram { .. })) {
            self.violations.push("a datagram, though nobody has asked for one".to_owned());
        }
    }
}

/// Ten virtual seconds; gives the visits and the judge.
fn run(seed: u64) -> (u32, Judge, u64) {
    #[allow(clippy::disallowed_methods, reason = "virtual time may begin anywhere")]
    let start = Instant::now();
    let mut world = World::new(1, &ServerConfig::default(), seed, start, Judge::default());
    let nat = NatConfig::Translate(Translation::default());
    world.add(Visitor::default(), nat, LinkConfig::lossy(), seed);
    world.run_until(start + Duration::from_secs(10));
    let visits = world.hosts.iter().map(|host| host.client.visits).sum();
    (visits, world.observer, world.trace.value())
}

fn main() {
    let (visits, judge, trace) = run(7);
    println!(
        "{visits} visits in {} steps, trace {trace:016x}, violations: {:?}",
        judge.steps, judge.violations
    );
}

#[test]
fn visitors_leave_nothing_behind() {
    let (visits, judge, trace) = run(7);
    assert_eq!((visits, judge.most_rooms), (20, 1));
    assert_eq!(judge.violations, Vec::<String>::new());
    assert_eq!(trace, run(7).2, "a seed is a run");
}
