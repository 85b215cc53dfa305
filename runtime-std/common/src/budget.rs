//! How much may wait for one session.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what waits between a worker and a session's thread or task: messages and their bytes. Clones are the same.
#[derive(Debug, Clone)]
pub struct Budget {
    used: Arc<Used>,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Used {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    /// A budget of so many messages with so many bytes in all.
    pub fn new(max_messages: usize, max_bytes: usize) -> Budget {
        Budget { used: Arc::default(), max_messages, max_bytes }
    }

    /// Counts a message that is put into the queue. `false`: there is no room for it, and nothing was counted.
    pub fn take(&self, bytes: usize) -> bool {
        let messages = self.used.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.used.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let fits = messages <= self.max_messages && total <= self.max_bytes;
        if !fits {
            self.give(bytes);
        }
        fits
    }

    /// Counts a message that was taken out of the queue.
    pub fn give(&self, bytes: usize) {
        self.used.messages.fetch_sub(1, Ordering::Relaxed);
        self.used.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_messages_nor_bytes_go_over_the_limit() {
        let budget = Budget::new(3, 100);
        assert!(budget.take(60));
        assert!(!budget.take(41));
        assert!(budget.take(40));
        assert!(budget.take(0));
        assert!(!budget.take(0));
        budget.give(60);
        assert!(budget.take(60));
        assert!(!budget.take(1));
    }
}
