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

mod choices;
pub mod demux;

pub use choices::Choices;
pub use demux::demux;

/// Every target: its name, which is that of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`, and its body.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[("demux", demux)];
