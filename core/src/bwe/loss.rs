//! The loss-based part, which tells the loss that a path has anyhow from the loss that sending too much makes.
//!
//! Loss on a path whose queue is short may be either: of a radio link, or of a policer or a very short queue. The difference is
//! whether it falls with the rate. So when loss rises without a queue, the rate is reduced for a moment by as much as was lost:
//! if loss goes away, it was congestion and the reduced rate is where growth goes on from; if it stays, it is the path's own and
//! from then on only what exceeds it counts.

/// An observation has at least so many packets and takes so long, or longer with few packets.
const MIN_PACKETS: u32 = 20;
const MIN_OBSERVATION_US: i64 = 300_000;
/// A trial has at least so many packets, or as many as make so many lost ones, or takes so long with some packets.
const MIN_TRIAL_PACKETS: u32 = 40;
const EXPECTED_LOST: f64 = 6.0;
const MAX_TRIAL_US: i64 = 2_500_000;
const MIN_LATE_TRIAL_PACKETS: u32 = 12;
/// Loss beyond what the path has anyhow that says nothing, and beyond that in standard deviations.
const MARGIN: f64 = 0.02;
const DEVIATIONS: f64 = 2.0;
/// How quickly the path's own loss is followed.
const FOLLOW: f64 = 0.15;
const MAX_INHERENT: f64 = 0.25;
/// Own loss beyond this is tried anew after this time: what was taken for it while the path was full would stay for ever.
const DOUBTFUL_INHERENT: f64 = 0.17;
const DOUBT_AFTER_US: i64 = 8_000_000;
/// A trial reduces the rate to at least this share.
const MIN_TRIAL_SHARE: f64 = 0.5;
/// A little less than what got through, to see the difference.
const TRIAL_MARGIN: f64 = 0.95;
/// Loss that goes away in a trial, if it was more than this, shows that far more was sent than the path carries.
const MUCH_CONGESTION: f64 = 0.2;
/// Growth of the limit after each observation without more loss than usual.
const GROWTH: f64 = 1.03;
/// A queue longer than this shows that loss may come from its end.
const QUEUE_US: i64 = 30_000;

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    lost: u32,
    all: u32,
}

impl Count {
    fn ratio(self) -> f64 {
        f64::from(self.lost) / f64::from(self.all.max(1))
    }
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    began_us: i64,
    /// Loss before it, and how much of that is not in question.
    ratio: f64,
    base: f64,
    count: Count,
}

/// Follows loss and limits the rate by it.
#[derive(Debug, Clone, Default)]
pub struct LossControl {
    count: Count,
    observed_since_us: Option<i64>,
    saw_queue: bool,
    recent: f64,
    inherent: f64,
    trial: Option<Trial>,
    limit_bps: Option<f64>,
    tried_us: i64,
}

impl LossControl {
    /// A packet was reported.
    pub fn on_packet(&mut self, sent_us: i64, is_lost: bool) {
        let counts_for = |count: &mut Count| {
            count.all += 1;
            count.lost += u32::from(is_lost);
        };
        match &mut self.trial {
            Some(trial) if sent_us > trial.began_us => counts_for(&mut trial.count),
            Some(_) => {}
            None => counts_for(&mut self.count),
        }
    }

    /// A packet that was reported as lost arrived.
    pub fn on_recovered(&mut self) {
        self.count.lost = self.count.lost.saturating_sub(1);
    }

    /// What was counted is no observation of the path: nothing at all came through.
    pub fn discard(&mut self) {
        self.count = Count::default();
        self.observed_since_us = None;
        if let Some(trial) = &mut self.trial {
            trial.count = Count::default();
        }
    }

    /// All packets of a feedback message are counted. `rate_bps` is the rate that the delay allows. Whether a trial has just
    /// shown that the loss was congestion, and much.
    pub fn update(&mut self, now_us: i64, queue_us: i64, rate_bps: u64) -> bool {
        self.saw_queue |= queue_us > QUEUE_US;
        if let Some(trial) = self.trial {
            if self.saw_queue {
                self.end_trial(now_us);
                return false;
            }
            return self.judge(now_us, trial);
        }
        let since = *self.observed_since_us.get_or_insert(now_us);
        if now_us - since < MIN_OBSERVATION_US || self.count.all < MIN_PACKETS {
            return false;
        }
        let count = std::mem::take(&mut self.count);
        let saw_queue = std::mem::take(&mut self.saw_queue);
        self.observed_since_us = Some(now_us);
        self.observe(now_us, count, saw_queue, rate_bps as f64);
        false
    }

    /// A probe has shown that the path carries so much.
    pub fn on_probe(&mut self, rate_bps: u64) {
        self.limit_bps = self.limit_bps.filter(|limit| *limit > rate_bps as f64);
    }

    /// Most that loss allows, in bits a second; `None` while it limits nothing.
    pub fn limit_bps(&self) -> Option<u64> {
        self.limit_bps.map(|bps| bps as u64)
    }

    /// Share of packets that the path loses whatever the rate, 0 to 0.5.
    pub fn inherent(&self) -> f64 {
        self.inherent
    }

    /// Share of packets lost lately, 0 to 1.
    pub fn recent(&self) -> f64 {
        self.recent
    }

    /// Whether the rate is reduced to see what becomes of the loss: not a time to probe.
    pub fn is_on_trial(&self) -> bool {
        self.trial.is_some()
    }

    fn observe(&mut self, now_us: i64, count: Count, saw_queue: bool, rate_bps: f64) {
        let ratio = count.ratio();
        self.recent = ratio;
        let excess = ratio - self.inherent;
        let variance = self.inherent.max(0.01) * (1.0 - self.inherent) / f64::from(count.all);
        if self.inherent > DOUBTFUL_INHERENT && now_us - self.tried_us > DOUBT_AFTER_US {
            self.try_less(now_us, ratio, 0.0, rate_bps);
        } else if excess <= MARGIN + DEVIATIONS * variance.sqrt() {
            if !saw_queue || excess < 0.0 {
                self.inherent = (self.inherent + FOLLOW * excess).clamp(0.0, MAX_INHERENT);
            }
            self.limit_bps = self.limit_bps.map(|limit| limit * GROWTH).filter(|limit| *limit < rate_bps);
        } else if !saw_queue {
            self.try_less(now_us, ratio, self.inherent, rate_bps);
        }
        // Where a queue stands, the delay has already shown that the path is full.
    }

    fn try_less(&mut self, now_us: i64, ratio: f64, base: f64, rate_bps: f64) {
        let share = ((1.0 - (ratio - base)) * TRIAL_MARGIN).max(MIN_TRIAL_SHARE);
        self.limit_bps = Some(self.limit_bps.unwrap_or(rate_bps).min(rate_bps) * share);
        self.trial = Some(Trial { began_us: now_us, ratio, base, count: Count::default() });
    }

    /// Ends the trial if enough was seen; whether the loss was congestion, and much.
    fn judge(&mut self, now_us: i64, trial: Trial) -> bool {
        let excess = trial.ratio - trial.base;
        let wanted = ((EXPECTED_LOST / excess.max(0.01)) as u32).clamp(MIN_TRIAL_PACKETS, 200);
        let is_late = now_us - trial.began_us > MAX_TRIAL_US;
        if trial.count.all < wanted && !(is_late && trial.count.all >= MIN_LATE_TRIAL_PACKETS) {
            return false;
        }
        let ratio = trial.count.ratio();
        self.recent = ratio;
        let is_inherent = ratio > trial.base + excess / 2.0;
        if is_inherent {
            self.inherent = ((ratio + trial.ratio) / 2.0).min(MAX_INHERENT);
            self.limit_bps = None;
        } else {
            // A few packets more or less may have decided, so what was known counts as well.
            self.inherent = self.inherent.min(ratio.max((trial.base + ratio) / 2.0));
        }
        self.end_trial(now_us);
        !is_inherent && excess > MUCH_CONGESTION
    }

    fn end_trial(&mut self, now_us: i64) {
        self.tried_us = now_us;
        self.trial = None;
        self.observed_since_us = Some(now_us);
        self.count = Count::default();
        self.saw_queue = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends 100 packets a second for `seconds` over a path that loses by `loss`, a share of the rate that is sent.
    fn run(control: &mut LossControl, from_ms: i64, seconds: i64, loss: impl Fn(u64) -> f64) -> Vec<u64> {
        let rate_bps = 1_000_000;
        let (mut owed, mut rates) = (0.0, Vec::new());
        for step in 0..seconds * 20 {
            let now_us = (from_ms + step * 50) * 1_000;
            let sending = control.limit_bps().unwrap_or(rate_bps).min(rate_bps);
            for n in 0..5 {
                owed += loss(sending);
                let is_lost = owed >= 1.0;
                owed -= f64::from(u8::from(is_lost));
                control.on_packet(now_us - 40_000 + n, is_lost);
            }
            control.update(now_us, 0, rate_bps);
            rates.push(sending);
        }
        rates
    }

    #[test]
    fn loss_that_does_not_fall_with_the_rate_is_the_paths_own() {
        let mut control = LossControl::default();
        let rates = run(&mut control, 0, 10, |_| 0.1);
        assert!(rates.iter().any(|bps| *bps < 900_000), "a trial");
        assert!(rates[60..].iter().all(|bps| *bps == 1_000_000), "and no further one");
        assert!((0.08..0.12).contains(&control.inherent()), "{}", control.inherent());
        run(&mut control, 10_000, 10, |_| 0.0);
        assert!(control.inherent() < 0.02, "it is forgotten when it is over");
    }

    #[test]
    fn loss_that_falls_with_the_rate_is_congestion() {
        let mut control = LossControl::default();
        let policer = |bps: u64| (bps.saturating_sub(700_000)) as f64 / bps as f64;
        let rates = run(&mut control, 0, 20, policer);
        let late = &rates[100..];
        let mean = late.iter().sum::<u64>() / late.len() as u64;
        assert!((600_000..760_000).contains(&mean), "{mean}");
        assert!(control.inherent() < 0.1);
    }

    #[test]
    fn a_queue_that_shows_during_a_trial_leaves_its_loss_to_the_delay() {
        let mut control = LossControl::default();
        let mut step = |from: i64, steps: i64, queue_us: i64| {
            for step in from..from + steps {
                (0..5).for_each(|n| control.on_packet(step * 50_000, n == 0));
                control.update(step * 50_000, queue_us, 1_000_000);
            }
            (control.is_on_trial(), control.inherent())
        };
        assert_eq!(step(0, 8, 0), (true, 0.0));
        assert_eq!(step(8, 60, 80_000), (false, 0.0));
    }

    #[test]
    fn loss_behind_a_queue_is_left_to_the_delay() {
        let mut control = LossControl::default();
        for step in 0..100i64 {
            for n in 0..5 {
                control.on_packet(step * 50_000, n == 0);
            }
            control.update(step * 50_000, 80_000, 1_000_000);
        }
        assert_eq!((control.limit_bps(), control.inherent()), (None, 0.0));
    }
}
