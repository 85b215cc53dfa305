//! What must hold after every step of every server, judged from outside: by the bytes and messages that go in and come out.
//!
//! [`wire`] has the rules of datagrams. [`rooms`] is the reference model: it says after each message who must be told what, who
//! must be offered which producer, and whose media may flow; [`version_2`] is the part of it that knows the mediasoup protocol,
//! [`operations`] that of what servers do by themselves.
mod model;
mod operations;
mod rooms;
mod version_2;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use sansfu::server::Server;

use super::world::{Done, Observer, Step, Told};
pub use model::{ConsumerModel, Expected, PeerModel, ProducerModel, RoomModel, RoomsModel, TransportModel};
pub use version_2::{MemberModel, SinkModel};
pub use wire::WireRules;

/// How many of the last steps a report shows.
const REMEMBERED_STEPS: usize = 40;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, in a few words without particulars: the same for every breach of it.
    pub rule: &'static str,
    /// The particulars.
    pub what: String,
}

impl Violation {
    /// A breach of `rule`.
    pub fn new(rule: &'static str, what: impl Into<String>) -> Self {
        Violation { rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// Judges one server.
#[derive(Debug, Default)]
pub struct Judge {
    /// Rooms, and who must receive what.
    pub model: RoomsModel,
    /// The rules of datagrams.
    pub wire: WireRules,
}

/// Judges all servers of a world.
#[derive(Debug)]
pub struct Checker {
    /// What is known of each server.
    pub nodes: BTreeMap<usize, Judge>,
    /// The first rule broken, with the time since the start.
    pub violation: Option<(Duration, Violation)>,
    /// Whether everything that is sent to a server arrives there, so that gaps in what it sends are its own making.
    pub expects_no_gaps: bool,
    /// Steps judged.
    pub steps: u64,
    /// The last steps in words, oldest first.
    pub log: VecDeque<String>,
    start: Instant,
}

impl Checker {
    /// Knows of nothing yet; time counts from `start`.
    pub fn new(start: Instant) -> Self {
        Checker {
            nodes: BTreeMap::new(),
            violation: None,
            expects_no_gaps: false,
            steps: 0,
            log: VecDeque::new(),
            start,
        }
    }

    /// Takes note of a rule that somebody else has seen broken.
    pub fn report(&mut self, now: Instant, violation: Violation) {
        self.violation.get_or_insert((now - self.start, violation));
    }

    /// Adds a line to what is remembered.
    pub fn note(&mut self, now: Instant, line: fmt::Arguments<'_>) {
        if self.log.len() == REMEMBERED_STEPS {
            self.log.pop_front();
        }
        self.log.push_back(format!("{:>11.6} {line}", (now - self.start).as_secs_f64()));
    }

    fn remember(&mut self, step: &Step<'_>) {
        let quiet = matches!(step.told, Told::Timeout | Told::Datagram { .. })
            && step.done.iter().all(|done| matches!(done, Done::Datagram { .. }));
        if quiet {
            return;
        }
        self.note(step.now, format_args!("server {} was told {}", step.node, Shown(step.told)));
        for done in step.done {
            match done {
                Done::Datagram { .. } => {}
                other => self.note(step.now, format_args!("    {}", clip(&format!("{other:?}")))),
            }
        }
    }
}

impl Observer for Checker {
    fn observe(&mut self, step: &Step<'_>, server: &Server) {
        self.steps += 1;
        if self.violation.is_some() {
            return;
        }
        self.remember(step);
        let Judge { model, wire } = self.nodes.entry(step.node).or_default();
        wire.expects_no_gaps = self.expects_no_gaps;
        model.meet_transports(step, server.sfu());
        let judged = model
            .observe(step)
            .and_then(|()| wire.observe(step, model))
            .and_then(|()| rooms::compare_counts(step, server, model));
        if let Err(violation) = judged {
            self.report(step.now, violation);
        }
    }
}

struct Shown<'a>(&'a Told<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Told::Timeout => f.write_str("the time"),
            Told::Datagram { remote, bytes } => {
                write!(f, "a datagram of {} bytes from {remote}", bytes.len())
            }
            told => f.write_str(&clip(&format!("{told:?}"))),
        }
    }
}

fn clip(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
