//! Bandwidth of one path.
