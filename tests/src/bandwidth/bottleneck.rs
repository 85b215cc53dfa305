//! The narrow place of a path: a rate, with or without a bucket of tokens, a queue whose tail is dropped, and behind it delay,
//! jitter and loss.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the path does.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Bits of datagram payload a second.
    pub rate_bps: u64,
    /// One way, in µs; the way back takes as long.
    pub delay_us: i64,
    /// At most so much more, evenly distributed; order is kept.
    pub jitter_us: i64,
    /// Lost whatever the rate, in thousandths.
    pub loss_per_mille: u32,
    /// What would wait longer is dropped.
    pub queue_us: i64,
    /// What a silence saves up passes at once, as with most shapers; `None`: nothing does.
    pub bucket: Option<Bucket>,
}

/// A bucket of tokens (`tc tbf`): it fills at the path's rate, and what it holds passes at the line's.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// What it holds at most, in bytes.
    pub burst_bytes: u64,
    /// The rate at which it lets pass, in bits a second.
    pub line_bps: u64,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// The queue was full.
    Dropped,
    /// It passed the bottleneck, having waited so long, and got lost behind it.
    Lost {
        /// In µs.
        waited_us: i64,
    },
    /// It arrives.
    Arrives {
        /// In µs.
        waited_us: i64,
        /// When, in µs.
        at_us: i64,
    },
}

/// The bottleneck with what is queued before it.
#[derive(Debug)]
pub struct Bottleneck {
    path: Path,
    is_down: bool,
    /// When all that was sent will have passed at the path's rate, and when the line is free.
    free_ns: i64,
    line_free_ns: i64,
    last_arrival_us: i64,
    loss: ChaCha8Rng,
    jitter: ChaCha8Rng,
}

impl Bottleneck {
    /// An empty queue; `seed` decides on loss and jitter.
    pub fn new(path: Path, seed: u64) -> Self {
        let dice = |stream| {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            dice.set_stream(stream);
            dice
        };
        Bottleneck {
            path,
            is_down: false,
            free_ns: 0,
            line_free_ns: 0,
            last_arrival_us: 0,
            loss: dice(0),
            jitter: dice(1),
        }
    }

    /// Sends a packet; `now_us` does not go back.
    pub fn send(&mut self, now_us: i64, bytes: usize) -> Passage {
        let (loss, jitter) = (self.loss.next_u32(), self.jitter.next_u32());
        let waited_us = self.wait_us(now_us);
        if self.is_down || waited_us > self.path.queue_us {
            return Passage::Dropped;
        }
        let passed_ns = self.pass(now_us * 1_000, bytes);
        if (u64::from(loss) * 1_000) >> 32 < u64::from(self.path.loss_per_mille) {
            return Passage::Lost { waited_us };
        }
        let jitter_us = (i64::from(jitter) * self.path.jitter_us) >> 32;
        let at_us = passed_ns / 1_000 + self.path.delay_us + jitter_us;
        self.last_arrival_us = self.last_arrival_us.max(at_us);
        Passage::Arrives { waited_us, at_us: self.last_arrival_us }
    }

    /// How long a packet sent now would wait, in µs.
    pub fn wait_us(&self, now_us: i64) -> i64 {
        ((self.free_ns - self.saved_ns()) / 1_000 - now_us).max(0)
    }

    /// What the path does.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Carries this much from now on; what is queued has its time already.
    pub fn set_rate(&mut self, rate_bps: u64) {
        self.path.rate_bps = rate_bps;
    }

    /// Whether nothing comes through.
    pub fn set_down(&mut self, is_down: bool) {
        self.is_down = is_down;
    }

    /// When a packet has passed.
    fn pass(&mut self, now_ns: i64, bytes: usize) -> i64 {
        let takes_ns = |rate_bps: u64| (bytes as u64 * 8_000_000_000 / rate_bps) as i64;
        self.free_ns = self.free_ns.max(now_ns) + takes_ns(self.path.rate_bps);
        let Some(bucket) = self.path.bucket else { return self.free_ns };
        let has_tokens_ns = (self.free_ns - self.saved_ns()).max(now_ns);
        self.line_free_ns = self.line_free_ns.max(has_tokens_ns) + takes_ns(bucket.line_bps);
        self.line_free_ns
    }

    /// How long the bucket takes to fill.
    fn saved_ns(&self) -> i64 {
        self.path.bucket.map_or(0, |bucket| (bucket.burst_bytes * 8_000_000_000 / self.path.rate_bps) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Path = Path {
        rate_bps: 1_000_000,
        delay_us: 10_000,
        jitter_us: 0,
        loss_per_mille: 0,
        queue_us: 20_000,
        bucket: None,
    };

    #[test]
    fn packets_queue_and_the_tail_is_dropped() {
        let mut bottleneck = Bottleneck::new(PATH, 1);
        let passages: Vec<_> = (0..5).map(|_| bottleneck.send(0, 1_250)).collect();
        let arrives = |waited_us| Passage::Arrives { waited_us, at_us: waited_us + 20_000 };
        assert_eq!(
            passages,
            [arrives(0), arrives(10_000), arrives(20_000), Passage::Dropped, Passage::Dropped]
        );
        assert_eq!(bottleneck.send(30_000, 1_250), Passage::Arrives { waited_us: 0, at_us: 50_000 });
        bottleneck.set_down(true);
        assert_eq!(bottleneck.send(90_000, 1), Passage::Dropped);
    }

    #[test]
    fn a_bucket_lets_a_burst_pass_at_line_rate_and_then_the_rate_counts() {
        let bucket = Some(Bucket { burst_bytes: 3_750, line_bps: 10_000_000 });
        let mut bottleneck = Bottleneck::new(Path { bucket, ..PATH }, 1);
        let mut send = |at_us| match bottleneck.send(at_us, 1_250) {
            Passage::Arrives { waited_us, at_us } => Some((waited_us, at_us)),
            _ => None,
        };
        let passages: Vec<_> = (0..7).map(|_| send(0)).collect();
        let arrived =
            [(0, 11_000), (0, 12_000), (0, 13_000), (0, 21_000), (10_000, 31_000), (20_000, 41_000)];
        assert_eq!(passages[..6], arrived.map(Some));
        assert_eq!(passages[6], None);
        // Two packets' worth of tokens have come.
        assert_eq!([send(50_000), send(50_000)], [Some((0, 61_000)), Some((0, 62_000))]);
        assert_eq!(send(50_000), Some((0, 71_000)));
    }

    #[test]
    fn loss_is_as_often_as_said() {
        let mut bottleneck = Bottleneck::new(Path { loss_per_mille: 100, ..PATH }, 1);
        let lost = (0..10_000).filter(|n| matches!(bottleneck.send(n * 10_000, 100), Passage::Lost { .. }));
        assert!((900..1_100).contains(&lost.count()));
    }
}
