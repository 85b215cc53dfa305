//! One direction of a path through the network.
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What a link does to datagrams. `Link::default()` delivers each after 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// How long each takes at least.
    pub delay: Duration,
    /// How much longer each may take, evenly distributed. Does not reorder by itself: a later datagram waits for an earlier one.
    pub jitter: Duration,
    /// The share that is lost, 0 to 1.
    pub loss: f64,
    /// The share that is held back by `reorder_delay`, so that later ones overtake it, 0 to 1.
    pub reorder: f64,
    /// How long a datagram is held back at most.
    pub reorder_delay: Duration,
    /// The share that arrives twice, 0 to 1.
    pub duplicate: f64,
    /// When the datagram before arrives.
    last_arrival: Option<Instant>,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(30),
            duplicate: 0.0,
            last_arrival: None,
        }
    }
}

impl Link {
    /// A link as of a bad wireless network: 20 ms with up to 5 more, 5 % lost, 3 % overtaken by later ones, 1 % doubled.
    pub fn lossy() -> Self {
        Link {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            loss: 0.05,
            reorder: 0.03,
            duplicate: 0.01,
            ..Link::default()
        }
    }

    /// A link that delivers nothing.
    pub fn dead() -> Self {
        Link { loss: 1.0, ..Link::default() }
    }

    /// When a datagram sent at `now` arrives: never, once or twice.
    pub fn arrivals(&mut self, now: Instant, rng: &mut ChaCha8Rng) -> impl Iterator<Item = Instant> + use<> {
        // The same number of draws whatever happens, so that a changed rate does not change the rest of the run.
        let [loss, reorder, duplicate, jitter, held] = std::array::from_fn(|_| rng.random::<f64>());
        let in_order = (now + self.delay + self.jitter.mul_f64(jitter)).max(self.last_arrival.unwrap_or(now));
        let arrival = if reorder < self.reorder {
            in_order + self.reorder_delay.mul_f64(held)
        } else {
            self.last_arrival = Some(in_order);
            in_order
        };
        let first = (loss >= self.loss).then_some(arrival);
        let second = first.filter(|_| duplicate < self.duplicate).map(|at| at + self.delay / 2);
        first.into_iter().chain(second)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn arrivals(mut link: Link, count: u64) -> Vec<Vec<Duration>> {
        let base = Instant::now();
        let mut rng = ChaCha8Rng::from_seed([7; 32]);
        let sent = (0..count).map(|n| base + Duration::from_millis(n));
        sent.map(|at| link.arrivals(at, &mut rng).map(|arrival| arrival - base).collect()).collect()
    }

    #[test]
    fn a_clean_link_only_delays() {
        let expected: Vec<_> = (0..50).map(|n| vec![Duration::from_millis(10 + n)]).collect();
        assert_eq!(arrivals(Link::default(), 50), expected);
        assert!(arrivals(Link::dead(), 50).concat().is_empty());
    }

    #[test]
    fn a_bad_link_loses_doubles_and_reorders_about_as_much_as_it_says() {
        let seen = arrivals(Link::lossy(), 10_000);
        let lost = seen.iter().filter(|arrivals| arrivals.is_empty()).count();
        let doubled = seen.iter().filter(|arrivals| arrivals.len() == 2).count();
        let first: Vec<_> = seen.iter().filter_map(|arrivals| arrivals.first()).collect();
        let overtaken = first.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((400..600).contains(&lost), "{lost}");
        assert!((60..140).contains(&doubled), "{doubled}");
        assert!((150..350).contains(&overtaken), "{overtaken}");
    }
}
