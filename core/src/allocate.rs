//! How the bandwidth towards one client is shared among what it consumes.
//!
//! Every demand is a ladder of steps, each with the rate that it takes. The share-out goes in rounds, layer by layer: in each
//! round a demand may climb as many steps as its priority says, the highest priority first (mediasoup's rule), as long as they fit.
//! A step that is not sent yet has to fit with room to spare, one that is sent may stay until it clearly does not fit, so that an
//! estimate that moves about a boundary does not make the picture flap.

/// A step up has to fit with this much of its demand's rate to spare, in percent.
const ROOM_TO_CLIMB_PERCENT: u64 = 15;

/// What is sent may exceed what there is by this much, in percent.
const OVERDRAFT_PERCENT: u64 = 5;

/// What one consumer can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// 1 to 255.
    pub priority: u8,
    /// The rate of each step in bits a second, the least first. They need not rise.
    pub rates_bps: Vec<u64>,
    /// The step that it has; `None`: nothing.
    pub current: Option<usize>,
    /// How many of the steps, from the first, it may be given now.
    pub allowed: usize,
}

/// Shares `available_bps` among the demands, which are in the order of their age: the step for each, `None` where not even the
/// first one fits.
pub fn allocate(available_bps: u64, demands: &[Demand]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(demands.get(*index).map(|demand| demand.priority)));
    let mut shares = vec![None; demands.len()];
    let mut left_bps = available_bps as i64 + (available_bps * OVERDRAFT_PERCENT / 100) as i64;
    loop {
        let before = shares.clone();
        for index in &order {
            let (Some(demand), Some(share)) = (demands.get(*index), shares.get_mut(*index)) else { continue };
            for _ in 0..demand.priority.max(1) {
                let Some(step) = demand.climb(*share, left_bps, available_bps) else { break };
                left_bps -= demand.cost(*share, step);
                *share = Some(step);
            }
        }
        if shares == before {
            return shares;
        }
    }
}

impl Demand {
    /// The next step, if it fits.
    fn climb(&self, share: Option<usize>, left_bps: i64, available_bps: u64) -> Option<usize> {
        let next = share.map_or(0, |step| step + 1);
        if next >= self.allowed {
            return None;
        }
        let rate_bps = *self.rates_bps.get(next)?;
        let is_held = self.current.is_some_and(|current| next <= current);
        // The overdraft is for what is held.
        let overdraft = (available_bps * OVERDRAFT_PERCENT / 100) as i64;
        let room = if is_held { 0 } else { (rate_bps * ROOM_TO_CLIMB_PERCENT / 100) as i64 + overdraft };
        (self.cost(share, next) + room <= left_bps).then_some(next)
    }

    fn cost(&self, from: Option<usize>, to: usize) -> i64 {
        let rate = |step: usize| self.rates_bps.get(step).copied().unwrap_or(0) as i64;
        rate(to) - from.map_or(0, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(priority: u8, rates_kbps: &[u64], current: Option<usize>) -> Demand {
        let rates_bps = rates_kbps.iter().map(|rate| rate * 1_000).collect();
        Demand { priority, rates_bps, current, allowed: rates_kbps.len() }
    }

    #[test]
    fn equals_get_equal_shares_layer_by_layer() {
        let ladder = [100, 300, 900];
        let demands = vec![demand(1, &ladder, None); 3];
        assert_eq!(allocate(0, &demands), [None; 3]);
        assert_eq!(allocate(240_000, &demands), [Some(0), Some(0), None]);
        assert_eq!(allocate(1_000_000, &demands), [Some(1); 3]);
        assert_eq!(allocate(10_000_000, &demands), [Some(2); 3]);
    }

    #[test]
    fn priority_goes_first_and_climbs_more() {
        let demands = [demand(1, &[100, 300, 900], None), demand(3, &[100, 300, 900], None)];
        assert_eq!(allocate(150_000, &demands), [None, Some(0)]);
        assert_eq!(allocate(1_200_000, &demands), [Some(0), Some(2)]);
        let demands = [demand(1, &[100, 300, 900], None), demand(255, &[100, 300, 900], None)];
        assert_eq!(allocate(500_000, &demands), [Some(0), Some(1)]);
    }

    #[test]
    fn a_boundary_does_not_make_it_flap() {
        let on = |current| [demand(1, &[100, 300, 1_000], Some(current))];
        for available_bps in [960_000, 1_000_000, 1_100_000] {
            assert_eq!(allocate(available_bps, &on(2)), [Some(2)], "{available_bps} keeps");
            assert_eq!(allocate(available_bps, &on(1)), [Some(1)], "{available_bps} does not climb");
        }
        assert_eq!(allocate(940_000, &on(2)), [Some(1)]);
        assert_eq!(allocate(1_160_000, &on(1)), [Some(2)]);
    }

    #[test]
    fn what_is_not_allowed_is_not_given() {
        let held = Demand { allowed: 2, ..demand(1, &[100, 300, 900], Some(1)) };
        assert_eq!(allocate(10_000_000, &[held]), [Some(1)]);
    }

    #[test]
    fn what_is_free_is_taken() {
        assert_eq!(allocate(0, &[demand(1, &[0, 0], None)]), [Some(1)]);
        assert_eq!(allocate(0, &[demand(1, &[], None)]), [None]);
    }

    #[test]
    fn never_more_than_there_is_and_the_overdraft() {
        let mut rng = crate::rng::Rng::from_seed([7; 32]);
        for _ in 0..2_000 {
            let demands: Vec<Demand> = (0..rng.below(6))
                .map(|_| {
                    let rates: Vec<u64> = (0..rng.below(7)).map(|_| u64::from(rng.below(2_000))).collect();
                    let current = (rng.below(2) == 0 && !rates.is_empty()).then_some(0);
                    demand(1 + rng.below(9) as u8, &rates, current)
                })
                .collect();
            let available_bps = u64::from(rng.below(5_000_000));
            let shares = allocate(available_bps, &demands);
            let used: u64 = demands
                .iter()
                .zip(&shares)
                .filter_map(|(demand, share)| share.map(|step| demand.rates_bps[step]))
                .sum();
            assert!(used <= available_bps + available_bps / 20, "{demands:?} {shares:?}");
        }
    }
}
