//! The one seeded source of randomness.
