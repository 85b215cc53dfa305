//! Shared parts of the tests.
pub mod counting_allocator;
pub mod fixed_dtls;
pub mod load;
pub mod world;
