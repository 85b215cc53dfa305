//! A bench for the bandwidth estimation: the core's estimator and pacer in a closed loop with a virtual bottleneck, a receiver
//! that writes real feedback, and a sender that follows the estimate. Virtual time and seeded chance: a run repeats exactly.
//!
//! There is no retransmission here: "frozen" counts the time beyond a second in which no media packet arrived at all.
pub mod bottleneck;
pub mod measured;
pub mod receiver;
pub mod reno;
pub mod run;
pub mod scoreboard;
pub mod sender;
#[cfg(test)]
mod traps;
