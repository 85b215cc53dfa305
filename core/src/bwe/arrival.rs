//! Inter-arrival filtering: how much more time lay between the arrivals of two bursts than between their departures
//! (draft-ietf-rmcat-gcc-02 sections 5.1 and 5.2).

/// Packets that leave within this are one group: what a pacer lets go at once says nothing of the path.
const GROUP_US: i64 = 5_000;
/// Packets that were held up and come at once belong to the group before, up to this long.
const MAX_BURST_US: i64 = 100_000;
/// Groups in a row that arrive before the one before them show that the receiver's clock was set back.
const RESET_AFTER: u8 = 3;
/// A gap between arrivals that differs this much from that between departures is a clock that was set, not a queue.
const MAX_VARIATION_US: i64 = 3_000_000;

/// Delay that was added between two groups of packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DelayVariation {
    /// Time between the departures, in µs.
    pub departure_us: i64,
    /// Time between the arrivals, in µs.
    pub arrival_us: i64,
    /// When the later group had arrived, in µs of the receiver's clock.
    pub arrived_us: i64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent_us: i64,
    last_sent_us: i64,
    first_arrived_us: i64,
    last_arrived_us: i64,
}

/// Makes groups of packets.
#[derive(Debug, Clone, Default)]
pub struct ArrivalFilter {
    current: Option<Group>,
    previous: Option<Group>,
    backwards: u8,
}

impl ArrivalFilter {
    /// A packet arrived. The first of a new group completes the one before: how that compares with the one before it.
    pub fn on_packet(&mut self, sent_us: i64, arrived_us: i64) -> Option<DelayVariation> {
        let Some(mut current) = self.current else {
            self.current = Some(Group::of(sent_us, arrived_us));
            return None;
        };
        if sent_us < current.first_sent_us {
            return None; // overtaken: its group is closed
        }
        if current.holds(sent_us, arrived_us) {
            current.last_sent_us = current.last_sent_us.max(sent_us);
            current.last_arrived_us = current.last_arrived_us.max(arrived_us);
            self.current = Some(current);
            return None;
        }
        let variation = self.previous.and_then(|previous| self.compare(previous, current));
        self.previous = self.current;
        self.current = Some(Group::of(sent_us, arrived_us));
        variation
    }

    /// Forgets all groups: what comes next is not compared with what was.
    pub fn reset(&mut self) {
        *self = ArrivalFilter::default();
    }

    fn compare(&mut self, previous: Group, current: Group) -> Option<DelayVariation> {
        let departure_us = current.last_sent_us - previous.last_sent_us;
        let arrival_us = current.last_arrived_us - previous.last_arrived_us;
        if (arrival_us - departure_us).abs() > MAX_VARIATION_US {
            self.reset();
            return None;
        }
        if arrival_us < 0 {
            self.backwards += 1;
            if self.backwards >= RESET_AFTER {
                self.reset();
            }
            return None;
        }
        self.backwards = 0;
        Some(DelayVariation { departure_us, arrival_us, arrived_us: current.last_arrived_us })
    }
}

impl Group {
    const fn of(sent_us: i64, arrived_us: i64) -> Self {
        Group {
            first_sent_us: sent_us,
            last_sent_us: sent_us,
            first_arrived_us: arrived_us,
            last_arrived_us: arrived_us,
        }
    }

    fn holds(&self, sent_us: i64, arrived_us: i64) -> bool {
        if sent_us - self.first_sent_us <= GROUP_US {
            return true;
        }
        let arrival_us = arrived_us - self.last_arrived_us;
        let came_at_once = arrival_us <= GROUP_US && arrival_us < sent_us - self.last_sent_us;
        came_at_once && arrived_us - self.first_arrived_us < MAX_BURST_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_compare_by_their_last_packets() {
        let mut filter = ArrivalFilter::default();
        assert_eq!(filter.on_packet(0, 50_000), None);
        assert_eq!(filter.on_packet(4_000, 54_000), None);
        assert_eq!(filter.on_packet(33_000, 85_000), None);
        assert_eq!(filter.on_packet(35_000, 90_000), None);
        let variation = filter.on_packet(66_000, 120_000).unwrap();
        assert_eq!((variation.departure_us, variation.arrival_us), (31_000, 36_000));
        assert_eq!(variation.arrived_us, 90_000);
    }

    #[test]
    fn what_was_held_up_and_comes_at_once_is_one_group() {
        let mut filter = ArrivalFilter::default();
        let arrivals = [(0, 100_000), (10_000, 101_000), (20_000, 102_000), (30_000, 103_000)];
        assert!(arrivals.iter().all(|&(sent, arrived)| filter.on_packet(sent, arrived).is_none()));
        assert_eq!(filter.on_packet(60_000, 130_000), None);
        let variation = filter.on_packet(100_000, 170_000).unwrap();
        assert_eq!((variation.departure_us, variation.arrival_us), (30_000, 27_000));
    }

    #[test]
    fn a_clock_that_is_set_makes_no_variation() {
        let mut filter = ArrivalFilter::default();
        for n in 0..10 {
            filter.on_packet(n * 20_000, n * 20_000);
        }
        for n in 10..20 {
            let variation = filter.on_packet(n * 20_000, n * 20_000 - 3_600_000_000);
            assert!(variation.is_none_or(|v| (v.arrival_us - v.departure_us).abs() < 1_000));
        }
        for n in 20..30 {
            let variation = filter.on_packet(n * 20_000, i64::from(i32::MAX) * 1_000 * (n & 1));
            assert!(variation.is_none_or(|v| v.arrival_us.abs() < MAX_VARIATION_US * 2));
        }
    }
}
