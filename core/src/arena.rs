//! Generational arena.
