//! One received RTP stream, known by its headers alone: what came, what is missing, what there is to report.
use crate::peer::rtcp::ReportBlock;
use crate::peer::rtp::extend;

/// How far behind the highest number a packet is told from its double.
const WINDOW: u64 = 64;

/// What a packet was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// New, and the numbers from the highest so far up to its own are now expected: so many; 0 if it came late.
    New {
        /// How many.
        expected: u64,
    },
    /// It had come before, or is too old to know.
    Double,
}

/// The stream of one SSRC.
#[derive(Debug, Clone, Default)]
pub struct ReceivedStream {
    /// Extended sequence numbers, the first one above 2¹⁶; 0 before that.
    highest: u64,
    expected: u64,
    received: u64,
    /// Bit n: `highest - n` has come.
    window: u64,
    reported_expected: u64,
    reported_received: u64,
}

impl ReceivedStream {
    /// A packet with this sequence number.
    pub fn on_packet(&mut self, sequence_number: u16) -> Arrived {
        if self.highest == 0 {
            self.highest = 1 << 16 | u64::from(sequence_number);
            // What came before the first one was never expected.
            (self.expected, self.received, self.window) = (1, 1, u64::MAX);
            return Arrived::New { expected: 1 };
        }
        let number = extend(sequence_number, self.highest);
        if let Some(behind) = self.highest.checked_sub(number) {
            if behind >= WINDOW || self.window & 1 << behind != 0 {
                return Arrived::Double;
            }
            self.window |= 1 << behind;
            self.received += 1;
            return Arrived::New { expected: 0 };
        }
        let ahead = number - self.highest;
        self.window = if ahead < WINDOW { self.window << ahead | 1 } else { 1 };
        self.highest = number;
        self.expected += ahead;
        self.received += 1;
        Arrived::New { expected: ahead }
    }

    /// Whether anything has come.
    pub fn has_begun(&self) -> bool {
        self.expected > 0
    }

    /// How many are expected, and how many of those came.
    pub fn counts(&self) -> (u64, u64) {
        (self.expected, self.received)
    }

    /// What a receiver report says (RFC 3550 section 6.4.1 and appendix A.3), without what is of sender reports. Jitter is not
    /// measured.
    pub fn report(&mut self, ssrc: u32) -> ReportBlock {
        let expected = self.expected - self.reported_expected;
        let received = self.received - self.reported_received;
        (self.reported_expected, self.reported_received) = (self.expected, self.received);
        let lost = expected.saturating_sub(received);
        ReportBlock {
            ssrc,
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            cumulative_lost: (self.expected - self.received).min(0x7f_ffff) as i32,
            // Cycles count from the first number on.
            highest_sequence: (self.highest as u32).wrapping_sub(1 << 16),
            ..ReportBlock::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[u16]) -> ReceivedStream {
        let mut stream = ReceivedStream::default();
        numbers.iter().for_each(|number| {
            stream.on_packet(*number);
        });
        stream
    }

    #[test]
    fn gaps_are_lost_over_the_wrap() {
        let stream = after(&[65_533, 65_534, 1, 2, 5]);
        assert_eq!(stream.counts(), (9, 5));
    }

    #[test]
    fn what_comes_late_is_not_lost_and_what_comes_twice_counts_once() {
        let mut stream = after(&[65_534, 0, 1]);
        assert_eq!(stream.counts(), (4, 3));
        assert_eq!(stream.on_packet(65_535), Arrived::New { expected: 0 });
        assert_eq!(stream.on_packet(65_535), Arrived::Double);
        assert_eq!(stream.on_packet(1), Arrived::Double);
        assert_eq!(stream.counts(), (4, 4));
        // From before the first one.
        assert_eq!(stream.on_packet(65_533), Arrived::Double);
        assert_eq!(stream.on_packet(3), Arrived::New { expected: 2 });
        assert_eq!(stream.counts(), (6, 5));
    }

    #[test]
    fn a_gap_longer_than_the_window_is_all_lost() {
        let mut stream = after(&[10]);
        assert_eq!(stream.on_packet(10 + 200), Arrived::New { expected: 200 });
        assert_eq!(stream.on_packet(10 + 100), Arrived::Double);
        assert_eq!(stream.on_packet(10 + 150), Arrived::New { expected: 0 });
        assert_eq!(stream.counts(), (201, 3));
    }

    #[test]
    fn many_rounds_are_counted_without_a_loss() {
        let mut stream = ReceivedStream::default();
        for number in 0..200_000_u32 {
            assert_eq!(stream.on_packet(number as u16), Arrived::New { expected: 1 });
        }
        assert_eq!(stream.counts(), (200_000, 200_000));
        assert_eq!(stream.report(7).highest_sequence, 199_999);
    }

    #[test]
    fn reports_tell_of_what_came_since_the_last() {
        let mut stream = after(&[0, 1, 3]);
        let block = stream.report(9);
        assert_eq!((block.ssrc, block.fraction_lost, block.cumulative_lost), (9, 64, 1));
        assert_eq!(block.highest_sequence, 3);
        stream.on_packet(4);
        assert_eq!((stream.report(9).fraction_lost, stream.report(9).cumulative_lost), (0, 1));
    }
}
