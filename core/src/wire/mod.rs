//! Bytes on the wire: zero-copy views and writers.
//!
//! Everything that reads takes bytes from strangers. A view is made by a `parse` that checks every length once; what it
//! cannot make sense of is `None`, never a panic, and no view allocates. Writers append to a buffer of the caller.

mod reader;

pub mod codec;
pub mod demux;
pub mod ext;
pub mod framing;
pub mod ntp;
pub mod rtcp;
pub mod rtp;

#[cfg(test)]
mod hostile;
