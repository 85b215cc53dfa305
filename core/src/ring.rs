//! Bounded ring.
