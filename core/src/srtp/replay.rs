//! The replay window of one stream (RFC 3711 section 3.3.2).

/// How many indexes behind the highest one are still told apart. RFC 3711 asks for at least 64; video at a high bitrate that
/// is reordered or retransmitted on its own SSRC needs more.
pub(super) const WINDOW: u64 = 1024;

const WORD_BITS: u64 = 64;

/// One word more than the window needs, so that the words ahead can be cleared whole when the window moves.
const WORDS: u64 = WINDOW / WORD_BITS + 1;

/// Which of the last [`WINDOW`] indexes were received. It begins with the first accepted index: anything below is judged
/// like any other index, by its distance.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS as usize],
}

impl ReplayWindow {
    /// A window whose first accepted index is `first`.
    pub(super) fn new(first: u64) -> Self {
        let mut window = Self { highest: first, seen: [0; WORDS as usize] };
        window.mark(first);
        window
    }

    /// Records `index`, which was authenticated and which [`Self::is_fresh`] has let through.
    pub(super) fn accept(&mut self, index: u64) {
        if index > self.highest {
            let (from, to) = (self.highest / WORD_BITS, index / WORD_BITS);
            for word in (from + 1..=to).rev().take(WORDS as usize) {
                if let Some(bits) = self.seen.get_mut((word % WORDS) as usize) {
                    *bits = 0;
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    /// The highest index accepted so far.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `index` is neither a repetition nor too old to tell.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        if index > self.highest {
            return true;
        }
        if self.highest - index >= WINDOW {
            return false;
        }
        let bits = self.seen.get((index / WORD_BITS % WORDS) as usize).copied().unwrap_or(u64::MAX);
        bits & (1 << (index % WORD_BITS)) == 0
    }

    fn mark(&mut self, index: u64) {
        if let Some(bits) = self.seen.get_mut((index / WORD_BITS % WORDS) as usize) {
            *bits |= 1 << (index % WORD_BITS);
        }
    }
}
