//! Rate counter.
