//! RTP streams.
