//! Probe clusters: a few packets sent at a higher rate for a moment, to see whether the path carries it.
use std::num::NonZeroU16;

use super::history::{ProbeId, SentPacket};

/// Length of a cluster.
const CLUSTER_US: i64 = 20_000;
/// Length of one that is to confirm what another has shown: longer than the time between the frames of others who share the
/// path, so that it does not pass between them.
const LONG_CLUSTER_US: i64 = 50_000;
/// Pieces that a cluster is made of at least, and their sizes in bytes.
const MIN_PIECES: u64 = 6;
const MIN_PIECE: u64 = 200;
const MAX_PIECE: u64 = 1_200;
/// A caller that does not send for so many lengths of the cluster will not.
const MAX_LENGTHS: i64 = 5;
/// Packets that have to arrive at least, and how many percent of the bytes.
const MIN_ARRIVED: u32 = 4;
const MIN_ARRIVED_PERCENT: u64 = 60;
/// Feedback on a cluster comes at the latest so long after a round trip.
const RESULT_WAIT_US: i64 = 400_000;
/// Less than this much of the rate sent arrives where the path is full.
const SATURATED_PERCENT: u64 = 90;
/// What is then used of it.
const USED_PERCENT: u64 = 93;

/// A request for padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The cluster that the packets belong to.
    pub id: ProbeId,
    /// Most to send now, in bytes.
    pub bytes: usize,
}

/// What a cluster has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeResult {
    /// What the path carries at least, in bits a second.
    pub rate_bps: u64,
    /// The rate at which it was sent.
    pub sent_bps: u64,
    /// Less arrived than was sent: the path carries no more.
    pub is_saturated: bool,
}

#[derive(Debug, Clone, Copy)]
struct Cluster {
    id: ProbeId,
    target_bps: u64,
    length_us: i64,
    began_us: i64,
    goal_bytes: u64,
    sent_bytes: u64,
    sent_packets: u32,
    is_complete: bool,
    completed_us: i64,
    asked_us: Option<i64>,
    seen: Seen,
}

/// The packets of a cluster that have arrived.
#[derive(Debug, Clone, Copy)]
struct Seen {
    packets: u32,
    bytes: u64,
    first_sent_us: i64,
    last_sent_us: i64,
    last_sent_bytes: u64,
    first_arrived_us: i64,
    first_arrived_bytes: u64,
    last_arrived_us: i64,
}

/// Runs one cluster at a time, from its first packet to its result.
#[derive(Debug, Clone)]
pub struct ProbeRunner {
    next_id: NonZeroU16,
    cluster: Option<Cluster>,
    /// Packets sent until then meet the queue that the last cluster has made.
    disturbed_until_us: i64,
    disturbed_from_us: i64,
}

impl Default for ProbeRunner {
    fn default() -> Self {
        let (disturbed_from_us, disturbed_until_us) = (i64::MIN, i64::MIN);
        ProbeRunner { next_id: NonZeroU16::MIN, cluster: None, disturbed_until_us, disturbed_from_us }
    }
}

impl ProbeRunner {
    /// Begins a cluster at `target_bps`, a long one or not, if none is on its way.
    pub fn start(&mut self, now_us: i64, target_bps: u64, is_long: bool) {
        if self.cluster.is_some() {
            return;
        }
        let id = ProbeId(self.next_id);
        self.next_id = self.next_id.checked_add(1).unwrap_or(NonZeroU16::MIN);
        let length_us = if is_long { LONG_CLUSTER_US } else { CLUSTER_US };
        let length_bytes = target_bps.saturating_mul(length_us as u64) / 8_000_000;
        self.cluster = Some(Cluster {
            id,
            target_bps,
            length_us,
            began_us: now_us,
            goal_bytes: length_bytes.max(MIN_PIECES * MIN_PIECE),
            sent_bytes: 0,
            sent_packets: 0,
            is_complete: false,
            completed_us: now_us,
            asked_us: None,
            seen: Seen::NONE,
        });
        self.disturbed_from_us = now_us;
        self.disturbed_until_us = i64::MAX;
    }

    /// A packet of a cluster leaves.
    pub fn on_sent(&mut self, now_us: i64, id: ProbeId, bytes: usize) {
        let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.id == id && !cluster.is_complete)
        else {
            return;
        };
        if cluster.sent_packets == 0 {
            cluster.began_us = now_us;
        }
        cluster.sent_bytes += bytes as u64;
        cluster.sent_packets += 1;
        if cluster.sent_bytes >= cluster.goal_bytes && u64::from(cluster.sent_packets) >= MIN_PIECES {
            self.complete(now_us);
        }
    }

    /// A packet of a cluster arrived.
    pub fn on_arrived(&mut self, packet: &SentPacket, arrived_us: i64) {
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| Some(cluster.id) == packet.probe) {
            cluster.seen.add(packet, arrived_us);
        }
    }

    /// Padding that is due now.
    pub fn poll(&mut self, now_us: i64) -> Option<Probe> {
        let cluster = self.cluster.as_mut().filter(|cluster| !cluster.is_complete)?;
        if cluster.due_us() > now_us {
            return None;
        }
        cluster.asked_us = Some(now_us);
        Some(Probe { id: cluster.id, bytes: cluster.piece() as usize })
    }

    /// Time has passed, or feedback was taken in: the result of the cluster, if it has come, or `Err` if it will not.
    pub fn result(&mut self, now_us: i64, rtt_us: i64) -> Option<Result<ProbeResult, ()>> {
        let cluster = self.cluster?;
        if !cluster.is_complete {
            if now_us - cluster.began_us < cluster.length_us * MAX_LENGTHS {
                return None;
            }
            // What was sent is what there is to see.
            self.complete(now_us);
        }
        let is_late = now_us - cluster.completed_us > rtt_us + RESULT_WAIT_US;
        let seen = cluster.seen;
        if (seen.packets < cluster.sent_packets || seen.packets < MIN_ARRIVED) && !is_late {
            return None;
        }
        self.cluster = None;
        let enough =
            seen.packets >= MIN_ARRIVED && seen.bytes * 100 >= cluster.goal_bytes * MIN_ARRIVED_PERCENT;
        Some(enough.then(|| seen.result(cluster.target_bps)).flatten().ok_or(()))
    }

    /// Ends what is running.
    pub fn abort(&mut self, now_us: i64) {
        if self.cluster.take().is_some() {
            self.disturbed_until_us = self.disturbed_until_us.min(now_us + CLUSTER_US * 3);
        }
    }

    /// The cluster that ordinary packets count into.
    pub fn current(&self) -> Option<ProbeId> {
        self.cluster.filter(|cluster| !cluster.is_complete).map(|cluster| cluster.id)
    }

    /// Whether a cluster runs or waits for its result.
    pub fn is_busy(&self) -> bool {
        self.cluster.is_some()
    }

    /// Whether what was sent then met a queue that a cluster has made: no sign of over-use.
    pub fn has_disturbed(&self, sent_us: i64) -> bool {
        (self.disturbed_from_us..self.disturbed_until_us).contains(&sent_us)
    }

    /// When [`poll`](Self::poll) or [`result`](Self::result) has something.
    pub fn deadline_us(&self, rtt_us: i64) -> Option<i64> {
        let cluster = self.cluster?;
        if cluster.is_complete {
            return Some(cluster.completed_us + rtt_us + RESULT_WAIT_US + 1);
        }
        // A caller that was asked and has not sent is asked again a little later.
        let due_us = cluster.asked_us.map_or(cluster.due_us(), |asked| cluster.due_us().max(asked + 1_000));
        Some(due_us.min(cluster.began_us + cluster.length_us * MAX_LENGTHS))
    }

    fn complete(&mut self, now_us: i64) {
        if let Some(cluster) = &mut self.cluster {
            cluster.is_complete = true;
            cluster.completed_us = now_us;
            // Sent at twice the path's rate, it takes about its own length to drain.
            self.disturbed_until_us = now_us + CLUSTER_US * 3;
        }
    }
}

impl Cluster {
    fn due_us(&self) -> i64 {
        self.began_us + (self.sent_bytes * 8_000_000 / self.target_bps.max(1)) as i64
    }

    fn piece(&self) -> u64 {
        (self.goal_bytes / MIN_PIECES).clamp(MIN_PIECE, MAX_PIECE)
    }
}

impl Seen {
    const NONE: Self = Seen {
        packets: 0,
        bytes: 0,
        first_sent_us: i64::MAX,
        last_sent_us: i64::MIN,
        last_sent_bytes: 0,
        first_arrived_us: i64::MAX,
        first_arrived_bytes: 0,
        last_arrived_us: i64::MIN,
    };

    fn add(&mut self, packet: &SentPacket, arrived_us: i64) {
        let bytes = u64::from(packet.bytes);
        self.packets += 1;
        self.bytes += bytes;
        self.first_sent_us = self.first_sent_us.min(packet.sent_us);
        if packet.sent_us >= self.last_sent_us {
            (self.last_sent_us, self.last_sent_bytes) = (packet.sent_us, bytes);
        }
        if arrived_us < self.first_arrived_us {
            (self.first_arrived_us, self.first_arrived_bytes) = (arrived_us, bytes);
        }
        self.last_arrived_us = self.last_arrived_us.max(arrived_us);
    }

    /// The lower one of the rates at which the packets left (not counting the last, which took no time yet) and arrived (not
    /// counting the first).
    fn result(&self, target_bps: u64) -> Option<ProbeResult> {
        let rate = |bytes: u64, span_us: i64| (span_us > 0).then(|| bytes * 8_000_000 / span_us as u64);
        let sent = rate(self.bytes - self.last_sent_bytes, self.last_sent_us - self.first_sent_us)?;
        let sent = sent.min(target_bps + target_bps / 4);
        let arrived_span_us = self.last_arrived_us.saturating_sub(self.first_arrived_us);
        let arrived = rate(self.bytes - self.first_arrived_bytes, arrived_span_us).unwrap_or(sent);
        let is_saturated = arrived * 100 < sent * SATURATED_PERCENT;
        let rate_bps = if is_saturated { arrived * USED_PERCENT / 100 } else { arrived.min(sent) };
        Some(ProbeResult { rate_bps, sent_bps: sent, is_saturated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a cluster over a path of `path_bps`, losing every `lose_every`th packet.
    fn run(target_bps: u64, path_bps: u64, lose_every: u32) -> Option<Result<ProbeResult, ()>> {
        let mut runner = ProbeRunner::default();
        runner.start(1_000, target_bps, false);
        let (mut now_us, mut free_us, mut sent) = (1_000, 0i64, Vec::new());
        while runner.current().is_some() {
            while let Some(probe) = runner.poll(now_us) {
                assert!(probe.bytes <= 1_200);
                runner.on_sent(now_us, probe.id, probe.bytes);
                free_us = free_us.max(now_us) + (probe.bytes as u64 * 8_000_000 / path_bps) as i64;
                let bytes = probe.bytes as u16;
                sent.push((
                    SentPacket { sent_us: now_us, bytes, probe: Some(probe.id), was_lost: false },
                    free_us,
                ));
            }
            if runner.current().is_some() {
                now_us = runner.deadline_us(0)?;
            }
            assert!(now_us < 100_000);
        }
        assert!(runner.is_busy() && runner.result(now_us, 0).is_none());
        for (n, (packet, arrived_us)) in (1u32..).zip(&sent) {
            if !n.is_multiple_of(lose_every) {
                runner.on_arrived(packet, *arrived_us);
            }
        }
        runner.result(now_us + 500_000, 0)
    }

    #[test]
    fn a_path_that_carries_it_shows_the_target_and_one_that_does_not_its_rate() {
        for target_bps in [300_000u64, 1_800_000, 6_000_000, 50_000_000] {
            let result = run(target_bps, target_bps * 10, 1_000).unwrap().unwrap();
            assert!(!result.is_saturated);
            assert!(result.rate_bps.abs_diff(target_bps) <= target_bps / 20, "{target_bps}: {result:?}");
            let result = run(target_bps, target_bps / 2, 1_000).unwrap().unwrap();
            assert!(result.is_saturated);
            assert!(
                result.rate_bps.abs_diff(target_bps * 93 / 200) <= target_bps / 20,
                "{target_bps}: {result:?}"
            );
        }
    }

    #[test]
    fn some_loss_lowers_the_result_and_much_loss_leaves_none() {
        let result = run(6_000_000, 60_000_000, 6).unwrap().unwrap();
        assert!(result.rate_bps > 4_500_000, "{result:?}");
        assert_eq!(run(6_000_000, 60_000_000, 2), Some(Err(())));
    }

    #[test]
    fn a_caller_that_sends_nothing_ends_the_cluster() {
        let mut runner = ProbeRunner::default();
        runner.start(0, 1_000_000, false);
        let mut now_us = 0;
        for _ in 0..200 {
            runner.poll(now_us);
            match runner.result(now_us, 0) {
                Some(result) => {
                    assert_eq!(result, Err(()));
                    assert!(!runner.is_busy());
                    return;
                }
                None => now_us = runner.deadline_us(0).unwrap().max(now_us + 1),
            }
        }
        panic!("it goes on for ever");
    }
}
