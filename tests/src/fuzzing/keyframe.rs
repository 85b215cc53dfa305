//! Keyframe requests against a diary of what was wished for and sent.
use std::time::{Duration, Instant};

use sansfu::stream::keyframe::KeyframeRequests;

use crate::choices::Choices;
use crate::world::epoch;

/// A wish, and how many requests may still be sent for it by the clock.
#[derive(Default)]
struct Diary {
    sent: Vec<Instant>,
    wished: bool,
    left: u32,
}

impl Diary {
    fn may_send(&self, now: Instant, interval: Duration) -> bool {
        self.sent.last().is_none_or(|last| now >= *last + interval)
    }
}

/// Wishes, keyframes, cancellations and polls at any time.
pub fn keyframe(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let interval = Duration::from_millis(u64::from(input.pick(&[1_000_u16, 500, 10, 0])));
    let mut requests = KeyframeRequests::new(interval);
    let mut diary = Diary::default();
    let mut now = epoch();
    while !input.is_exhausted() {
        let sends = match input.range(0, 6) {
            0 => {
                diary.wished = true;
                diary.left = 5;
                let expected = diary.may_send(now, interval);
                assert_eq!(requests.request(now), expected);
                expected
            }
            1 => {
                requests.on_keyframe();
                diary.wished = false;
                false
            }
            2 => {
                requests.cancel();
                diary.wished = false;
                false
            }
            3 => {
                let expected = diary.wished && diary.left > 0 && diary.may_send(now, interval);
                assert_eq!(requests.poll(now), expected);
                diary.left -= u32::from(expected);
                expected
            }
            4 => {
                now = requests.deadline().map_or(now, |at| now.max(at));
                false
            }
            _ => {
                now += Duration::from_millis(u64::from(input.range(0, 1_200)));
                false
            }
        };
        if sends {
            diary.sent.push(now);
        }
        let due = diary.sent.last().filter(|_| diary.wished && diary.left > 0).map(|last| *last + interval);
        assert_eq!(requests.deadline(), due);
    }
    assert!(diary.sent.windows(2).all(|pair| pair[1] >= pair[0] + interval));
}
