//! Paths against a real `Sfu`, in memory.

mod connect;
mod misbehave;
mod scene;
