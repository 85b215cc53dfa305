//! Clients for the simulation: everything that stands at the other end of a link, written apart from the core, so that a
//! mistake has to be made twice before it goes unnoticed.
pub mod call;
pub mod consuming;
pub mod media;
pub mod path;
pub mod publishing;
pub mod rtcp;
pub mod rtp;
