//! What a transport has carried.
use std::time::Instant;

use heapless::HistoryBuf;

use crate::rate::RateCounter;

/// How many feedback messages loss is averaged over.
const LOSS_MESSAGES: usize = 24;

/// Bytes and rate of one kind of traffic.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Bytes so far.
    pub bytes: u64,
    rate: RateCounter,
}

/// The traffic of a transport by kind.
#[derive(Debug, Clone, Default)]
pub struct TransportCounters {
    /// All datagrams received.
    pub received: Traffic,
    /// RTP received, retransmissions apart.
    pub rtp_received: Traffic,
    /// Datagrams sent that are not RTP: STUN, DTLS, RTCP.
    pub control_sent: Traffic,
    /// RTP sent, retransmissions apart.
    pub rtp_sent: Traffic,
    /// Retransmissions received.
    pub rtx_received: Traffic,
    /// Retransmissions sent.
    pub rtx_sent: Traffic,
    /// Padding sent to probe for bandwidth.
    pub probation_sent: Traffic,
    /// Loss of what comes, by our transport-wide feedback.
    pub loss_received: LossAverage,
    /// Loss of what is sent, by the client's.
    pub loss_sent: LossAverage,
}

/// The share of packets lost over the last feedback messages, of which the newest weighs most.
#[derive(Debug, Clone, Default)]
pub struct LossAverage {
    /// Of each message, oldest first.
    shares: HistoryBuf<f64, LOSS_MESSAGES>,
}

impl TransportCounters {
    /// Bytes of all datagrams sent.
    pub fn bytes_sent(&self) -> u64 {
        self.all_sent().map(|traffic| traffic.bytes).sum()
    }

    /// Bits a second of all datagrams sent, over the last second.
    pub fn sent_bps(&self, now: Instant) -> u64 {
        self.all_sent().map(|traffic| traffic.rate_bps(now)).sum()
    }

    fn all_sent(&self) -> impl Iterator<Item = &Traffic> {
        [&self.control_sent, &self.rtp_sent, &self.rtx_sent, &self.probation_sent].into_iter()
    }
}

impl LossAverage {
    /// Takes in a message that tells of `packets` packets, of which `lost` did not arrive.
    pub fn add(&mut self, lost: usize, packets: usize) {
        if packets > 0 {
            self.shares.write(lost as f64 / packets as f64);
        }
    }

    /// 0 to 1; `None` before the first message.
    pub fn share(&self) -> Option<f64> {
        let weighted = self.shares.oldest_ordered().zip(1u32..);
        let (sum, weights) = weighted.fold((0.0, 0.0), |(sum, weights), (share, weight)| {
            (sum + share * f64::from(weight), weights + f64::from(weight))
        });
        (weights > 0.0).then(|| sum / weights)
    }
}

impl Traffic {
    /// Counts a datagram.
    #[inline]
    pub fn add(&mut self, now: Instant, bytes: usize) {
        self.bytes += bytes as u64;
        self.rate.add(now, bytes);
    }

    /// Bits a second over the last second.
    pub fn rate_bps(&self, now: Instant) -> u64 {
        self.rate.rate_bps(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_messages_weigh_most() {
        let mut loss = LossAverage::default();
        loss.add(0, 0);
        assert_eq!(loss.share(), None);
        loss.add(1, 2);
        assert_eq!(loss.share(), Some(0.5));
        loss.add(0, 9);
        assert_eq!(loss.share(), Some(0.5 / 3.0));
        (0..24).for_each(|_| loss.add(1, 4));
        assert_eq!(loss.share(), Some(0.25));
    }
}
