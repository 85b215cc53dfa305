//! A simulated world to test servers in, and what they must never do in it.
//!
//! - [`world`]: servers, clients and networks in virtual time.
//! - [`check`]: the rules, and the reference model of rooms.
//! - [`plan`], [`run`], [`shrink`]: a seed decides a run, a run is judged, a failing run is cut down.
//! - [`golden`]: runs that are written down.
//!
//! `cargo run -p sansfu-tests --bin sim` runs seeds. Whoever embeds the core can put clients of their own into a
//! [`world::World`] and judge it by an [`world::Observer`] of their own: see `tests/examples/own_world.rs`.
mod act;
pub mod check;
mod converge;
pub mod golden;
pub mod plan;
pub mod run;
pub mod shrink;
pub mod trace;
pub mod world;
