//! The estimate of incoming bandwidth: what must hold of it whatever comes in.
use std::time::{Duration, Instant};

use sansfu::bwe::remb::RembEstimator;

use crate::choices::Choices;
use crate::world::epoch;

/// Packets, loss, limits and polls at any time.
pub fn remb(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let mut max_bps = None;
    let mut estimator = RembEstimator::new(max_bps);
    let mut now = epoch();
    let mut sending = false;
    let mut told: Option<(u64, Instant)> = None;
    let mut bytes = 0;
    while !input.is_exhausted() {
        match input.range(0, 8) {
            0..=2 => {
                let size = usize::from(input.u16());
                estimator.on_packet(now, size);
                bytes += size as u64;
                sending = true;
                assert!(estimator.deadline().is_some(), "while a sender sends, it is told");
            }
            3 => {
                let before = estimator.deadline();
                estimator.on_loss(now, input.u8());
                // The other times are those of packets.
                assert!(estimator.deadline() == before || estimator.deadline() == Some(now));
            }
            4 => {
                max_bps = Some(u64::from(input.u32() >> 4)).filter(|max| *max != 0);
                estimator.set_max_bitrate(max_bps);
            }
            5 => now = estimator.deadline().map_or(now, |at| now.max(at)),
            _ => now += Duration::from_millis(u64::from(input.u8()) * 8),
        }
        let due = estimator.deadline().is_some_and(|at| at <= now);
        let found = estimator.poll(now);
        assert_eq!(found.is_some(), due);
        if let Some(bps) = found {
            assert!(sending && max_bps.is_none_or(|max| bps <= max));
            assert!(bps >= max_bps.unwrap_or(u64::MAX).min(50_000));
            // All that ever came, as if within one second, half as much again, and the headroom; or the start.
            assert!(bps <= (bytes * 8 * 3 / 2 + 200_000).max(500_000));
            told = Some((bps, now));
            assert_eq!(estimator.deadline(), None);
        }
        assert_eq!(estimator.estimate_bps(), told.map(|(bps, _)| bps));
    }
}
