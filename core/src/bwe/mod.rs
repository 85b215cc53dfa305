//! Bandwidth of one path.
//!
//! * [`feedback`]: tells a sender when its packets arrived, so that it can estimate the bandwidth to us itself.
//! * [`remb`]: estimates it for senders that do not number their packets transport-wide.
pub mod feedback;
pub mod remb;
