//! Messages on their way to the sessions: one queue in order, bounded per session.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Limits, SessionId};

/// Something for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Post {
    /// A text frame.
    Message {
        /// For whom.
        session: SessionId,
        /// The frame.
        text: String,
    },
    /// The end of the session.
    Close {
        /// Which.
        session: SessionId,
        /// A code of [`close_code`](super::close_code).
        code: u16,
        /// For people.
        reason: String,
    },
}

/// The queue.
///
/// Invariant: of one session there are never more messages and bytes than its limits.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    queue: VecDeque<Post>,
    queued: BTreeMap<SessionId, Queued>,
    overflowed: BTreeSet<SessionId>,
    sent: u64,
}

#[derive(Debug, Default)]
struct Queued {
    messages: usize,
    bytes: usize,
}

impl Mailbox {
    /// Queues a frame. A session that has too much already gets nothing any more and is found by [`Self::pop_overflowed`].
    pub(super) fn send(&mut self, session: SessionId, text: String, limits: &Limits) {
        let (messages, bytes) =
            self.queued.get(&session).map_or((0, 0), |queued| (queued.messages, queued.bytes));
        let full = messages >= limits.max_queued_messages_per_session
            || bytes.saturating_add(text.len()) > limits.max_queued_bytes_per_session;
        if full || self.overflowed.contains(&session) {
            self.overflowed.insert(session);
            return;
        }
        let queued = self.queued.entry(session).or_default();
        queued.messages += 1;
        queued.bytes += text.len();
        self.sent += 1;
        self.queue.push_back(Post::Message { session, text });
    }

    /// Queues the end of a session, behind its frames.
    pub(super) fn close(&mut self, session: SessionId, code: u16, reason: &str) {
        self.overflowed.remove(&session);
        self.queue.push_back(Post::Close { session, code, reason: reason.to_owned() });
    }

    /// Forgets that a session had too much: it is gone.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.overflowed.remove(&session);
    }

    /// A session that has to be closed because too much is queued for it.
    pub(super) fn pop_overflowed(&mut self) -> Option<SessionId> {
        self.overflowed.pop_first()
    }

    /// Takes the next message out.
    pub(super) fn pop(&mut self) -> Option<Post> {
        let post = self.queue.pop_front()?;
        if let Post::Message { session, text } = &post
            && let Some(queued) = self.queued.get_mut(session)
        {
            queued.messages = queued.messages.saturating_sub(1);
            queued.bytes = queued.bytes.saturating_sub(text.len());
            if queued.messages == 0 {
                self.queued.remove(session);
            }
        }
        Some(post)
    }

    /// Frames queued since the beginning.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> Limits = || Limits {
        max_queued_messages_per_session: 3,
        max_queued_bytes_per_session: 10,
        ..Limits::default()
    };

    #[test]
    fn a_session_with_too_many_messages_is_found_and_others_are_not_touched() {
        let (a, b) = (SessionId(1), SessionId(2));
        let mut mailbox = Mailbox::default();
        for _ in 0..4 {
            mailbox.send(a, "x".into(), &LIMITS());
        }
        mailbox.send(b, "y".into(), &LIMITS());
        assert_eq!(mailbox.pop_overflowed(), Some(a));
        assert_eq!(mailbox.pop_overflowed(), None);
        mailbox.close(a, 4408, "too slow");
        let order: Vec<_> = std::iter::from_fn(|| mailbox.pop()).collect();
        assert_eq!(order.len(), 5, "{order:?}");
        assert_eq!(order[3], Post::Message { session: b, text: "y".into() });
        assert!(matches!(order[4], Post::Close { session, .. } if session == a));
    }

    #[test]
    fn bytes_count_and_what_was_polled_does_not() {
        let a = SessionId(1);
        let mut mailbox = Mailbox::default();
        mailbox.send(a, "0123456789".into(), &LIMITS());
        assert!(mailbox.pop().is_some());
        mailbox.send(a, "0123456789".into(), &LIMITS());
        assert_eq!(mailbox.pop_overflowed(), None);
        mailbox.send(a, "x".into(), &LIMITS());
        assert_eq!(mailbox.pop_overflowed(), Some(a));
        assert_eq!(mailbox.sent(), 2);
    }
}
