//! A competing flow that fills the queue until packets are lost, as TCP with additive increase and multiplicative decrease does
//! (RFC 5681): slow start, congestion avoidance, fast recovery, and a timeout.
use std::collections::BTreeSet;

/// Packets that may be acknowledged out of order before a hole counts as lost.
const REORDERING: u64 = 3;
const TIMEOUT_US: i64 = 1_000_000;
const FIRST_WINDOW: f64 = 10.0;
const MIN_WINDOW: f64 = 2.0;

/// A sender with always more to send.
#[derive(Debug)]
pub struct Reno {
    /// In packets.
    window: f64,
    threshold: f64,
    next: u64,
    in_flight: BTreeSet<u64>,
    /// What was sent before this was sent before the last reduction.
    recover: u64,
    heard_us: i64,
}

impl Reno {
    /// Starts at `now_us`.
    pub fn new(now_us: i64) -> Self {
        Reno {
            window: FIRST_WINDOW,
            threshold: f64::INFINITY,
            next: 0,
            in_flight: BTreeSet::new(),
            recover: 0,
            heard_us: now_us,
        }
    }

    /// The number of a packet to send now, if the window allows one.
    pub fn send(&mut self) -> Option<u64> {
        if self.in_flight.len() as f64 >= self.window {
            return None;
        }
        self.in_flight.insert(self.next);
        self.next += 1;
        Some(self.next - 1)
    }

    /// A packet is acknowledged.
    pub fn on_acknowledged(&mut self, now_us: i64, number: u64) {
        self.heard_us = now_us;
        if self.in_flight.remove(&number) {
            self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        }
        let waiting = self.in_flight.split_off(&number.saturating_sub(REORDERING));
        let lost = std::mem::replace(&mut self.in_flight, waiting);
        if lost.last().is_some_and(|number| *number >= self.recover) {
            self.window = (self.window / 2.0).max(MIN_WINDOW);
            self.threshold = self.window;
            self.recover = self.next;
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now_us: i64) {
        if now_us - self.heard_us > TIMEOUT_US {
            self.threshold = (self.window / 2.0).max(MIN_WINDOW);
            self.window = MIN_WINDOW;
            self.in_flight.clear();
            self.recover = self.next;
            self.heard_us = now_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(reno: &mut Reno) -> Vec<u64> {
        std::iter::from_fn(|| reno.send()).collect()
    }

    #[test]
    fn it_doubles_each_round_trip_and_halves_once_for_a_loss() {
        let mut reno = Reno::new(0);
        let first = burst(&mut reno);
        assert_eq!(first.len(), 10);
        first.iter().for_each(|number| reno.on_acknowledged(1, *number));
        let second = burst(&mut reno);
        assert_eq!(second.len(), 20);
        second[2..].iter().for_each(|number| reno.on_acknowledged(2, *number));
        assert!((10.0..20.0).contains(&reno.window), "{}", reno.window);
        assert!(burst(&mut reno).len() <= 20);
    }

    #[test]
    fn silence_starts_it_anew() {
        let mut reno = Reno::new(0);
        burst(&mut reno);
        reno.on_time(TIMEOUT_US);
        assert_eq!(reno.send(), None);
        reno.on_time(TIMEOUT_US + 1);
        assert_eq!(burst(&mut reno).len(), 2);
    }
}
