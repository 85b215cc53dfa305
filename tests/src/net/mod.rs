//! The simulated network: what happens to datagrams between two programs.
//!
//! A [`Link`] is one direction of a path: it delays, loses, doubles, reorders, corrupts, queues and drops. A [`Nat`] stands
//! before a host and decides by which address the world sees it and who gets in. Both are pure: no socket, no clock, no
//! randomness but that of the seed they are made with. They hold no datagrams either: a link says at once when and how each
//! one arrives, and whoever runs the simulation keeps it until then.
//!
//! Nothing here computes with floating point, so that a seed means the same on every machine and in every build.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use sansfu_tests::net::{Link, LinkConfig, Probability};
//!
//! let config = LinkConfig { duplicate: Probability::ALWAYS, ..LinkConfig::default() };
//! let mut link = Link::new(config, 7);
//! let now = sansfu_tests::world::epoch();
//! let arrivals: Vec<Instant> = link.send(now, b"hello").map(|delivery| delivery.at).collect();
//! assert_eq!(arrivals.len(), 2);
//! assert_eq!(arrivals[0], now + Duration::from_millis(10));
//! ```
mod chance;
mod link;
mod nat;

pub use chance::Probability;
pub use link::{Delivery, GilbertElliott, Link, LinkConfig, LinkStats};
pub use nat::{Behavior, Nat, NatConfig, PortChoice, Translation};
