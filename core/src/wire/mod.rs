//! Bytes on the wire: zero-copy views and writers.
