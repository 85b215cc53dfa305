//! What the fuzzers run: one plain function for each target of `fuzz/`, so that the same bodies run under libFuzzer and, over the
//! committed corpus, in the ordinary test `fuzz_corpus`.
//!
//! A body takes any bytes and asserts what must hold for all of them, which is more than that nothing panics: what was written
//! is read back the same, lengths lie within the input, two readers agree. Nothing in a body depends on anything but its input.
//!
//! A new target: a function here with its line in [`TARGETS`], three lines in `fuzz/fuzz_targets/`, a `[[bin]]` in
//! `fuzz/Cargo.toml`, and a corpus.
//!
//! To fuzz, once: `cargo install cargo-fuzz --locked`; needs a C++ compiler. Then, in the folder of the repository:
//!
//! ```sh
//! export RUSTC_BOOTSTRAP=1  # for the coverage options of stable rustc
//! cargo fuzz run --sanitizer none rtcp -- -max_total_time=120
//! cargo fuzz cmin --sanitizer none rtcp
//! ```
//!
//! There is no sanitizer because there is no `unsafe` in the core.

pub mod av1;
mod choices;
pub mod codecs;
pub mod demux;
pub mod dependency_descriptor;
pub mod ext;
pub mod framing;
pub mod h264;
pub mod nack;
pub mod ntp;
pub mod rtcp;
pub mod rtp;
pub mod stun;
pub mod transport_feedback;
pub mod vp8;
pub mod vp9;

pub use av1::av1;
pub use choices::Choices;
pub use codecs::codecs;
pub use demux::demux;
pub use dependency_descriptor::dependency_descriptor;
pub use ext::ext;
pub use framing::framing;
pub use h264::h264;
pub use nack::nack;
pub use ntp::ntp;
pub use rtcp::rtcp;
pub use rtp::{rtp, rtp_writer};
pub use stun::stun;
pub use transport_feedback::transport_feedback;
pub use vp8::vp8;
pub use vp9::vp9;

/// What a target runs on any bytes.
pub type Body = fn(&[u8]);

/// Every target: its name, which is that of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`, and its body.
pub const TARGETS: &[(&str, Body)] = &[
    ("av1", av1),
    ("codecs", codecs),
    ("demux", demux),
    ("dependency_descriptor", dependency_descriptor),
    ("ext", ext),
    ("framing", framing),
    ("h264", h264),
    ("nack", nack),
    ("ntp", ntp),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("rtp_writer", rtp_writer),
    ("stun", stun),
    ("transport_feedback", transport_feedback),
    ("vp8", vp8),
    ("vp9", vp9),
];
