//! Probe clusters: a few packets sent at a higher rate for a moment, to see whether the path carries it.
use std::num::NonZeroU16;

use super::history::{ProbeId, SentPacket};

/// Length of a cluster.
const CLUSTER_US: i64 = 20_000;
/// Length of one that is to confirm what another has shown: longer than the time between the frames of others who share the
/// path, so that it does not pass between them.
const LONG_CLUSTER_US: i64 = 50_000;
/// A patient cluster ends when its packets wait this much longer than its first ones, and its last packets, so many, count.
const KNEE_US: i64 = 15_000;
const LAST_PACKETS: usize = 16;
/// Pieces that a cluster is made of at least, and their sizes in bytes.
const MIN_PIECES: u64 = 6;
const MIN_PIECE: u64 = 200;
const MAX_PIECE: u64 = 1_200;
/// A caller that has not sent a cluster after so many of its lengths, or so much more time, will not.
const MAX_LENGTHS: i64 = 5;
const MAX_PAUSE_US: i64 = 200_000;
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

/// How long a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The first of its kind.
    Short,
    /// To confirm what another has shown.
    Long,
    /// So long, in µs, that a shaper's bucket runs dry: its end is what counts.
    Patient(i64),
}

#[derive(Debug, Clone, Copy)]
struct Cluster {
    id: ProbeId,
    target_bps: u64,
    length_us: i64,
    is_patient: bool,
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
    /// The shortest way, and whether one was much longer.
    lowest_us: i64,
    has_knee: bool,
    /// The latest ones: when sent, when arrived, and how large.
    latest: [Option<(i64, i64, u64)>; LAST_PACKETS],
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
    /// Begins a cluster at `target_bps`, if none is on its way.
    pub fn start(&mut self, now_us: i64, target_bps: u64, length: Length) {
        if self.cluster.is_some() {
            return;
        }
        let id = ProbeId(self.next_id);
        self.next_id = self.next_id.checked_add(1).unwrap_or(NonZeroU16::MIN);
        let length_us = match length {
            Length::Short => CLUSTER_US,
            Length::Long => LONG_CLUSTER_US,
            Length::Patient(us) => us,
        };
        let length_bytes = target_bps.saturating_mul(length_us as u64) / 8_000_000;
        self.cluster = Some(Cluster {
            id,
            target_bps,
            length_us,
            is_patient: matches!(length, Length::Patient(_)),
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
            if now_us < cluster.ends_us() && !cluster.is_full() {
                return None;
            }
            // What was sent is what there is to see.
            self.complete(now_us);
        }
        let is_late = now_us - cluster.completed_us > rtt_us + RESULT_WAIT_US;
        let seen = cluster.seen;
        let is_missing = seen.packets < cluster.sent_packets || seen.packets < MIN_ARRIVED;
        if is_missing && !is_late && !cluster.is_full() {
            return None;
        }
        self.cluster = None;
        Some(cluster.result().ok_or(()))
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
        Some(due_us.min(cluster.ends_us()))
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
    /// When it ends if it was not sent until then.
    fn ends_us(&self) -> i64 {
        self.began_us + (self.length_us * MAX_LENGTHS).min(self.length_us + MAX_PAUSE_US)
    }

    /// Whether its packets have begun to wait, so that there is no more to see.
    fn is_full(&self) -> bool {
        self.is_patient && self.seen.has_knee && self.seen.packets >= MIN_ARRIVED
    }

    fn result(&self) -> Option<ProbeResult> {
        let seen = &self.seen;
        let has_enough = seen.bytes * 100 >= self.goal_bytes * MIN_ARRIVED_PERCENT || self.is_full();
        if seen.packets < MIN_ARRIVED || !has_enough {
            return None;
        }
        let all = seen.result(self.target_bps)?;
        if !self.is_patient {
            return Some(all);
        }
        let last_ones = seen.last_ones().result(self.target_bps)?;
        if last_ones.is_saturated {
            Some(last_ones)
        } else {
            Some(ProbeResult { is_saturated: self.is_full(), ..all })
        }
    }

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
        lowest_us: i64::MAX,
        has_knee: false,
        latest: [None; LAST_PACKETS],
    };

    fn add(&mut self, packet: &SentPacket, arrived_us: i64) {
        self.latest.rotate_left(1);
        self.latest[LAST_PACKETS - 1] = Some((packet.sent_us, arrived_us, u64::from(packet.bytes)));
        let way_us = arrived_us.saturating_sub(packet.sent_us);
        self.lowest_us = self.lowest_us.min(way_us);
        self.has_knee |= way_us - self.lowest_us > KNEE_US;
        self.count(packet.sent_us, arrived_us, u64::from(packet.bytes));
    }

    /// What the latest ones show alone.
    fn last_ones(&self) -> Self {
        let mut seen = Seen::NONE;
        self.latest
            .iter()
            .flatten()
            .for_each(|(sent_us, arrived_us, bytes)| seen.count(*sent_us, *arrived_us, *bytes));
        seen
    }

    fn count(&mut self, sent_us: i64, arrived_us: i64, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
        self.first_sent_us = self.first_sent_us.min(sent_us);
        if sent_us >= self.last_sent_us {
            (self.last_sent_us, self.last_sent_bytes) = (sent_us, bytes);
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

    /// Runs a patient cluster at `target_bps` over a bucket of `bucket_bytes` that fills at `path_bps`, with feedback 50 ms
    /// after each packet: the result, and how long it took.
    fn run_patient(target_bps: u64, path_bps: u64, bucket_bytes: u64, length_us: i64) -> (ProbeResult, i64) {
        let mut runner = ProbeRunner::default();
        runner.start(0, target_bps, Length::Patient(length_us));
        let saved_us = (bucket_bytes * 8_000_000 / path_bps) as i64;
        let (mut now_us, mut free_us, mut sent) = (0, -saved_us, std::collections::VecDeque::new());
        loop {
            while let Some(probe) = runner.poll(now_us) {
                runner.on_sent(now_us, probe.id, probe.bytes);
                free_us = free_us.max(now_us - saved_us) + (probe.bytes as u64 * 8_000_000 / path_bps) as i64;
                let bytes = probe.bytes as u16;
                let packet = SentPacket { sent_us: now_us, bytes, probe: Some(probe.id), was_lost: false };
                sent.push_back((packet, free_us.max(now_us + 100)));
            }
            while sent.front().is_some_and(|(_, arrived_us)| arrived_us + 50_000 <= now_us) {
                let (packet, arrived_us) = sent.pop_front().unwrap();
                runner.on_arrived(&packet, arrived_us);
            }
            if let Some(result) = runner.result(now_us, 0) {
                return (result.unwrap(), now_us);
            }
            now_us += 1_000;
            assert!(now_us < 10_000_000);
        }
    }

    #[test]
    fn a_patient_cluster_outlasts_a_bucket_and_ends_when_it_has_seen_enough() {
        let (result, took_us) = run_patient(1_250_000, 1_000_000, 16_000, 1_000_000);
        assert!(result.is_saturated && result.rate_bps < 1_050_000, "{result:?}");
        assert!((500_000..800_000).contains(&took_us), "{took_us}: 512 ms run the bucket dry");
        let (result, _) = run_patient(1_250_000, 1_000_000, 64_000, 1_000_000);
        assert!(!result.is_saturated, "a greater bucket needs a longer one");
        let (result, took_us) = run_patient(1_250_000, 600_000, 0, 1_000_000);
        assert!(result.is_saturated && took_us < 200_000, "{result:?} after {took_us}");
        let (result, _) = run_patient(1_250_000, 5_000_000, 0, 1_000_000);
        assert!(!result.is_saturated && result.rate_bps.abs_diff(1_250_000) < 30_000, "{result:?}");
    }

    /// Runs a cluster over a path of `path_bps`, losing every `lose_every`th packet.
    fn run(target_bps: u64, path_bps: u64, lose_every: u32) -> Option<Result<ProbeResult, ()>> {
        let mut runner = ProbeRunner::default();
        runner.start(1_000, target_bps, Length::Short);
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
        runner.start(0, 1_000_000, Length::Short);
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
