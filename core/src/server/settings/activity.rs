//! What is logged of the traffic: counts, so that it costs nothing for each packet.
use std::time::{Duration, Instant};

use super::log::LogTag;
use crate::stats::SfuStats;

/// The shortest time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells what a media machine has done since the last time: for messages of level `debug`, by tag.
#[derive(Debug, Clone)]
pub struct Activity {
    due: Instant,
    seen: SfuStats,
}

/// A counter by the name that the log has for it.
type Counter = (&'static str, fn(&SfuStats) -> u64);

const SRTP: &[Counter] = &[
    ("not authentic", |stats| stats.dropped_srtp_authentication),
    ("seen before", |stats| stats.dropped_srtp_replay),
    ("of too many SSRCs", |stats| stats.dropped_srtp_ssrc_limit),
    ("before keys", |stats| stats.dropped_before_keys),
];

const RTCP: &[Counter] = &[
    ("datagrams received", |stats| stats.rtcp_datagrams_received),
    ("datagrams sent", |stats| stats.rtcp_datagrams_sent),
    ("reports received", |stats| stats.rtcp_reports_received),
    ("NACKs received", |stats| stats.rtcp_nacks_received),
    ("keyframe requests received", |stats| stats.rtcp_key_frame_requests_received),
    ("malformed", |stats| stats.dropped_rtcp_malformed),
];

const RBE: &[Counter] = &[("feedback and REMB received", |stats| stats.rtcp_bandwidth_messages_received)];

const RTX: &[Counter] = &[
    ("packets sent again", |stats| stats.rtx_packets_sent),
    ("packets got back", |stats| stats.rtx_packets_received),
];

const COUNTERS: [(LogTag, &[Counter]); 4] =
    [(LogTag::Srtp, SRTP), (LogTag::Rtcp, RTCP), (LogTag::Rbe, RBE), (LogTag::Rtx, RTX)];

impl Activity {
    /// Counts from now on.
    pub fn new(now: Instant) -> Self {
        Activity { due: now + INTERVAL, seen: SfuStats::default() }
    }

    /// Whether [`Self::take`] has something to look at again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// What has been counted since the last time, in words; nothing where nothing has happened.
    pub fn take(&mut self, now: Instant, stats: &SfuStats) -> Vec<(LogTag, String)> {
        self.due = now + INTERVAL;
        let before = std::mem::replace(&mut self.seen, stats.clone());
        let changed = COUNTERS.iter().filter_map(|(tag, counters)| {
            let grown = counters.iter().filter_map(|(name, value)| {
                let count = value(stats).saturating_sub(value(&before));
                (count > 0).then(|| format!("{count} {name}"))
            });
            let words: Vec<String> = grown.collect();
            (!words.is_empty()).then(|| (*tag, words.join(", ")))
        });
        changed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_grown_is_told_once_and_no_more_than_once_a_second() {
        #[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
        let start = Instant::now();
        let mut activity = Activity::new(start);
        assert!(!activity.is_due(start + Duration::from_millis(999)));
        let now = start + INTERVAL;
        assert!(activity.is_due(now));
        let mut stats = SfuStats {
            dropped_srtp_replay: 3,
            rtcp_datagrams_received: 9,
            rtcp_nacks_received: 2,
            rtcp_bandwidth_messages_received: 4,
            rtx_packets_sent: 7,
            rtp_packets_received: 1_000,
            ..SfuStats::default()
        };
        let told = activity.take(now, &stats);
        let expected = [
            (LogTag::Srtp, "3 seen before"),
            (LogTag::Rtcp, "9 datagrams received, 2 NACKs received"),
            (LogTag::Rbe, "4 feedback and REMB received"),
            (LogTag::Rtx, "7 packets sent again"),
        ];
        assert_eq!(told, expected.map(|(tag, words)| (tag, words.to_owned())));
        assert!(!activity.is_due(now));
        stats.rtp_packets_received += 1_000;
        assert_eq!(activity.take(now + INTERVAL, &stats), []);
        stats.rtx_packets_received += 1;
        let told = activity.take(now + 2 * INTERVAL, &stats);
        assert_eq!(told, [(LogTag::Rtx, "1 packets got back".to_owned())]);
    }
}
