//! Shared parts of the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
pub mod bandwidth;
pub mod budgets;
pub mod choices;
pub mod counting_allocator;
pub mod fixed_dtls;
pub mod fuzzing;
pub mod load;
pub mod net;
pub mod null_crypto;
pub mod party;
pub mod peer;
pub mod seeded_crypto;
pub mod sim;
pub mod stun;
pub mod world;
