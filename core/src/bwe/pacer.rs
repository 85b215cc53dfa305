//! Smooths bursts that exceed the estimate, such as keyframes, and stays out of the way otherwise.
use std::time::{Duration, Instant};

/// Bursts leave at this many times the estimate, in percent.
const FACTOR_PERCENT: u64 = 250;
/// What may leave at once: so much time at that rate, and a few packets at least.
const BURST: Duration = Duration::from_millis(10);
const MIN_BURST_BYTES: u64 = 3_600;
/// No packet waits longer than this.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// The rate rises so that a queue is empty after this.
const AIM: Duration = Duration::from_millis(94);
/// But not beyond what empties the queue in this time.
const MIN_TIME_LEFT: Duration = Duration::from_millis(2);

/// A bucket that fills with what is sent and leaks at 2.5 times the estimate.
///
/// Its user keeps a first-in first-out queue and one timer: for the packet at the front it asks [`Pacer::release`], sends it
/// when it may, and otherwise asks again at the time that it is told. A packet that comes when the queue is empty asks at once;
/// in ordinary flow it may leave.
#[derive(Debug, Clone)]
pub struct Pacer {
    estimate_bps: u64,
    /// Bytes in the bucket, times 8 and 10⁹: bits times ns in a second.
    level: u128,
    leak_bps: u64,
    leaked_at: Option<Instant>,
    /// Since when there has been a queue.
    queued_since: Option<Instant>,
}

const BYTE: u128 = 8_000_000_000;

impl Default for Pacer {
    fn default() -> Self {
        Pacer::new()
    }
}

impl Pacer {
    /// Lets everything pass until a rate is set.
    pub const fn new() -> Self {
        Pacer { estimate_bps: 0, level: 0, leak_bps: 0, leaked_at: None, queued_since: None }
    }

    /// Sets what the path is taken to carry.
    pub fn set_rate(&mut self, estimate_bps: u64) {
        self.estimate_bps = estimate_bps;
    }

    /// Asks for the packet of `bytes` at the front of a queue of `queued_bytes`, this packet included. `Ok`: it leaves now, and
    /// is counted. `Err`: when to ask again, later than `now`.
    pub fn release(&mut self, now: Instant, bytes: usize, queued_bytes: usize) -> Result<(), Instant> {
        self.leak(now);
        let (bytes, queued_bytes) = (bytes as u64, queued_bytes.max(bytes) as u64);
        let burst = self.burst_bytes();
        let after = self.level + u128::from(bytes) * BYTE;
        if self.estimate_bps == 0 || self.level == 0 || after <= u128::from(burst) * BYTE {
            self.level = after;
            if queued_bytes == bytes {
                self.queued_since = None;
            }
            return Ok(());
        }
        let since = *self.queued_since.get_or_insert(now);
        let left = AIM.saturating_sub(now.saturating_duration_since(since)).max(MIN_TIME_LEFT);
        let needed_bps = u128::from(queued_bytes) * BYTE / left.as_nanos().max(1);
        self.leak_bps = self.paced_bps().max(u64::try_from(needed_bps).unwrap_or(u64::MAX));
        let excess = after.saturating_sub(u128::from(burst) * BYTE).min(self.level);
        let wait_ns = excess.div_ceil(u128::from(self.leak_bps)).max(1);
        Err(now + Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(u64::MAX)).min(MAX_WAIT))
    }

    /// Counts a packet that leaves without having asked, such as padding of a probe.
    pub fn on_sent_unpaced(&mut self, now: Instant, bytes: usize) {
        self.leak(now);
        self.level += bytes as u128 * BYTE;
    }

    fn leak(&mut self, now: Instant) {
        let leaked_at = self.leaked_at.replace(now).unwrap_or(now);
        // While nothing waits the bucket leaks at the ordinary rate.
        let leak_bps = if self.queued_since.is_some() { self.leak_bps } else { self.paced_bps() };
        let passed_ns = now.saturating_duration_since(leaked_at).as_nanos();
        self.level = self.level.saturating_sub(passed_ns * u128::from(leak_bps));
        self.leaked_at = Some(now.max(leaked_at));
    }

    fn paced_bps(&self) -> u64 {
        self.estimate_bps.saturating_mul(FACTOR_PERCENT) / 100
    }

    fn burst_bytes(&self) -> u64 {
        let at_once = u128::from(self.paced_bps()) * BURST.as_nanos() / BYTE;
        (at_once as u64).max(MIN_BURST_BYTES)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    /// Sends `packets` of 1200 bytes that come at once: how long the last one waits, and how many leave at once.
    fn burst(pacer: &mut Pacer, start: Instant, packets: usize) -> (Duration, usize) {
        let (mut now, mut at_once) = (start, 0);
        for n in 0..packets {
            while let Err(at) = pacer.release(now, 1_200, (packets - n) * 1_200) {
                assert!(at > now);
                now = at;
            }
            at_once += usize::from(now == start);
        }
        (now - start, at_once)
    }

    #[test]
    fn ordinary_frames_do_not_wait() {
        let (start, mut pacer) = (Instant::now(), Pacer::new());
        pacer.set_rate(1_000_000);
        for frame in 0..300u32 {
            let now = start + frame * Duration::from_micros(33_333);
            assert_eq!(burst(&mut pacer, now, 3).0, Duration::ZERO, "1200 * 3 bytes of the 4166 allowed");
        }
    }

    #[test]
    fn a_keyframe_leaves_at_two_and_a_half_times_the_estimate() {
        let (start, mut pacer) = (Instant::now(), Pacer::new());
        pacer.set_rate(1_000_000);
        let (wait, at_once) = burst(&mut pacer, start, 20);
        assert_eq!(at_once, 3);
        // 17 packets of 9.6 kbit at 2.5 Mbit/s.
        assert!((64..=66).contains(&wait.as_millis()), "{wait:?}");
    }

    #[test]
    fn nothing_waits_longer_than_a_tenth_of_a_second() {
        let (start, mut pacer) = (Instant::now(), Pacer::new());
        pacer.set_rate(100_000);
        let (wait, _) = burst(&mut pacer, start, 200);
        assert!(wait <= MAX_WAIT, "{wait:?}");
        pacer.set_rate(0);
        assert_eq!(burst(&mut pacer, start + MAX_WAIT, 200).0, Duration::ZERO);
    }

    #[test]
    fn a_clock_that_is_set_back_or_far_ahead_does_no_harm() {
        let (start, mut pacer) = (Instant::now() + Duration::from_secs(10), Pacer::new());
        pacer.set_rate(1_000_000);
        burst(&mut pacer, start, 5);
        assert!(pacer.release(start - Duration::from_secs(5), 1_200, 1_200).is_err());
        assert_eq!(pacer.release(start + Duration::from_secs(1 << 30), 1_200, 1_200), Ok(()));
    }
}
