//! Who is the one that speaks.
use crate::event::AudioLevel;
use crate::id::ProducerId;

/// Whoever is not as loud as that does not speak.
const MIN_LEVEL_DBOV: i8 = -80;

/// For how many reports in a row somebody must be the loudest to take the word from somebody else. Who finds nobody speaking has it
/// at once.
const REPORTS_TO_TAKE_OVER: u32 = 4;

/// Finds the active speaker from reports of levels, with version 2's rule.
#[derive(Debug, Clone, Default)]
pub struct ActiveSpeakerDetector {
    current: Option<ProducerId>,
    challenger: Option<ProducerId>,
    reports_in_a_row: u32,
}

impl ActiveSpeakerDetector {
    /// Takes a report, the loudest first. Says who speaks from now on if that has changed; `Some(None)` is nobody.
    pub fn on_report(&mut self, levels: &[AudioLevel]) -> Option<Option<ProducerId>> {
        let loudest =
            levels.first().filter(|level| level.level_dbov >= MIN_LEVEL_DBOV).map(|level| level.producer_id);
        if loudest == self.current {
            self.reports_in_a_row = 0;
            return None;
        }
        if loudest != self.challenger || self.reports_in_a_row == 0 {
            self.challenger = loudest;
            self.reports_in_a_row = 0;
        }
        self.reports_in_a_row += 1;
        if self.current.is_some() && self.reports_in_a_row < REPORTS_TO_TAKE_OVER {
            return None;
        }
        self.set(loudest)
    }

    /// A producer is gone; if it was the speaker, nobody is. Says who speaks from now on if that has changed.
    pub fn on_gone(&mut self, producer: ProducerId) -> Option<Option<ProducerId>> {
        if self.current == Some(producer) { self.set(None) } else { None }
    }

    /// The speaker.
    pub fn current(&self) -> Option<ProducerId> {
        self.current
    }

    fn set(&mut self, speaker: Option<ProducerId>) -> Option<Option<ProducerId>> {
        self.reports_in_a_row = 0;
        self.current = speaker;
        Some(speaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer(index: u32) -> ProducerId {
        format!("{:016x}{index:08x}{:08x}", 0, 1).parse().unwrap()
    }

    fn levels(levels: &[(u32, i8)]) -> Vec<AudioLevel> {
        let level = |(index, level_dbov): &(u32, i8)| AudioLevel {
            producer_id: producer(*index),
            level_dbov: *level_dbov,
        };
        levels.iter().map(level).collect()
    }

    #[test]
    fn the_first_one_speaks_at_once_and_the_next_one_after_four_reports() {
        let mut detector = ActiveSpeakerDetector::default();
        assert_eq!(detector.on_report(&levels(&[(1, -81)])), None, "too quiet");
        assert_eq!(detector.on_report(&levels(&[(1, -80), (2, -90)])), Some(Some(producer(1))));
        for _ in 0..3 {
            assert_eq!(detector.on_report(&levels(&[(2, -20), (1, -30)])), None);
        }
        assert_eq!(detector.on_report(&levels(&[(2, -20), (1, -30)])), Some(Some(producer(2))));
        assert_eq!(detector.current(), Some(producer(2)));
    }

    #[test]
    fn a_row_that_is_broken_begins_anew() {
        let mut detector = ActiveSpeakerDetector::default();
        detector.on_report(&levels(&[(1, -10)]));
        for breaker in [1, 3] {
            for _ in 0..3 {
                assert_eq!(detector.on_report(&levels(&[(2, -5)])), None);
            }
            assert_eq!(detector.on_report(&levels(&[(breaker, -5)])), None);
        }
    }

    #[test]
    fn nobody_speaks_after_silence_or_when_the_speaker_goes() {
        let mut detector = ActiveSpeakerDetector::default();
        detector.on_report(&levels(&[(1, -10)]));
        for _ in 0..3 {
            assert_eq!(detector.on_report(&[]), None);
        }
        assert_eq!(detector.on_report(&[]), Some(None));
        detector.on_report(&levels(&[(2, -10)]));
        assert_eq!(detector.on_gone(producer(1)), None);
        assert_eq!(detector.on_gone(producer(2)), Some(None));
    }
}
