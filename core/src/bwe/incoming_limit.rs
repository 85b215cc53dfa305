//! A limit on what a sender may send, told beside transport-wide feedback.
//!
//! A sender that gets transport-wide feedback estimates the bandwidth to us itself; a REMB message
//! (draft-alvestrand-rmcat-remb-03) is a ceiling for it. Whoever follows one follows it until the next one comes.
use std::time::{Duration, Instant};

/// Time between two messages, as REMB estimates have it.
const INTERVAL: Duration = Duration::from_secs(1);

/// What does not limit anybody: the most that 32 bits hold in REMB's 18 significant bits. 0 would be read as "no limit" by
/// libwebrtc, and as 0 by others.
const UNLIMITED_BPS: u64 = 0x3_ffff << 14;

/// A limit that was taken away is told so often: RTCP gets lost, and the old limit would hold for ever.
const RELEASES: u8 = 4;

/// Tells a sender of its limit: at once, and then once a second while it sends.
#[derive(Debug, Clone, Default)]
pub struct IncomingLimit {
    limit_bps: Option<u64>,
    releases_left: u8,
    told_at: Option<Instant>,
    due: Option<Instant>,
}

impl IncomingLimit {
    /// Sets the limit; `None` takes it away. Told when [`Self::tell`] is called next.
    pub fn set(&mut self, limit_bps: Option<u64>) {
        if self.limit_bps == limit_bps {
            return;
        }
        self.limit_bps = limit_bps;
        self.replace_estimate();
    }

    /// The sender follows what it was told before, by this or by an estimate: to be told anew, be it that there is no limit.
    pub fn replace_estimate(&mut self) {
        self.releases_left = if self.limit_bps.is_none() { RELEASES } else { 0 };
        self.told_at = None;
        self.due = None;
    }

    /// The sender listens: it has sent a packet. If there is something to tell, makes it due.
    #[inline]
    pub fn tell(&mut self, now: Instant) {
        if self.due.is_none() && (self.limit_bps.is_some() || self.releases_left > 0) {
            self.due = Some(self.told_at.map_or(now, |at| now.max(at + INTERVAL)));
        }
    }

    /// What to tell the sender now, in bits a second.
    pub fn poll(&mut self, now: Instant) -> Option<u64> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        self.told_at = Some(now);
        self.releases_left = self.releases_left.saturating_sub(1);
        Some(self.limit_bps.unwrap_or(UNLIMITED_BPS))
    }

    /// When to call [`Self::poll`].
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The limit.
    pub fn limit_bps(&self) -> Option<u64> {
        self.limit_bps
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests may start their virtual time anywhere
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A packet every 20 ms; when what is told.
    fn told(limit: &mut IncomingLimit, start: Instant, from_ms: u32, to_ms: u32) -> Vec<(u32, u64)> {
        let mut told = Vec::new();
        for ms in (from_ms..to_ms).step_by(20) {
            let now = start + ms * MS;
            limit.tell(now);
            told.extend(limit.poll(now).map(|bps| (ms, bps)));
        }
        told
    }

    #[test]
    fn a_limit_is_told_at_once_and_then_every_second() {
        let start = Instant::now();
        let mut limit = IncomingLimit::default();
        assert_eq!(told(&mut limit, start, 0, 3_000), [], "there is none");
        limit.set(Some(300_000));
        assert_eq!(limit.deadline(), None, "nobody listens yet");
        let every_second = [(3_000, 300_000), (4_000, 300_000), (5_000, 300_000)];
        assert_eq!(told(&mut limit, start, 3_000, 6_000), every_second);
        limit.set(Some(300_000));
        assert_eq!(told(&mut limit, start, 6_000, 6_020), [(6_000, 300_000)]);
        limit.set(Some(200_000));
        assert_eq!(told(&mut limit, start, 6_020, 6_100), [(6_020, 200_000)], "another one at once");
    }

    #[test]
    fn that_it_is_gone_is_told_four_times() {
        let start = Instant::now();
        let mut limit = IncomingLimit::default();
        limit.set(Some(300_000));
        told(&mut limit, start, 0, 100);
        limit.set(None);
        let released: Vec<_> = [100, 1_100, 2_100, 3_100].map(|ms| (ms, 4_294_950_912)).into();
        assert_eq!(told(&mut limit, start, 100, 10_000), released);
        assert!(u32::try_from(UNLIMITED_BPS).is_ok(), "for those who read 32 bits");
        limit.set(Some(1_000));
        assert_eq!(told(&mut limit, start, 10_000, 10_020), [(10_000, 1_000)]);
    }

    #[test]
    fn nothing_is_told_to_a_sender_that_is_silent() {
        let start = Instant::now();
        let mut limit = IncomingLimit::default();
        limit.set(Some(300_000));
        told(&mut limit, start, 0, 20);
        assert_eq!((limit.deadline(), limit.poll(start + 9_000 * MS)), (None, None));
        assert_eq!(told(&mut limit, start, 9_000, 9_020), [(9_000, 300_000)]);
    }
}
