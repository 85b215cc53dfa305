//! Timer queue.
