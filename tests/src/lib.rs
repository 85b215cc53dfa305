//! Shared parts of the tests.
pub mod seeded_crypto;
