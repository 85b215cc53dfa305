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

pub mod arena;
pub mod av1;
pub mod codecs;
pub mod demux;
pub mod dependency_descriptor;
pub mod ext;
pub mod feedback;
pub mod framing;
pub mod h264;
mod house;
pub mod jitter;
pub mod json;
pub mod keyframe;
pub mod loss;
pub mod mediasoup;
pub mod nack;
pub mod nack_generator;
pub mod negotiation;
pub mod ntp;
mod packets;
pub mod protoo;
pub mod receive_stream;
pub mod remb;
pub mod ring;
pub mod rtcp;
pub mod rtp;
mod scene;
pub mod sctp_streams;
pub mod sdp;
pub mod seq;
pub mod sequence_map;
pub mod server;
pub mod settings;
pub mod sfu;
pub mod srtp;
pub mod srtp_parameters;
pub mod store;
pub mod stun;
pub mod timer;
pub mod timestamp_map;
pub mod transport_feedback;
pub mod vp8;
pub mod vp9;
mod watch;
pub mod window;
mod world;

pub use arena::arena;
pub use av1::av1;
pub use codecs::codecs;
pub use demux::demux;
pub use dependency_descriptor::dependency_descriptor;
pub use ext::ext;
pub use feedback::feedback;
pub use framing::framing;
pub use h264::h264;
pub use jitter::jitter;
pub use json::json;
pub use keyframe::keyframe;
pub use loss::loss;
pub use mediasoup::mediasoup;
pub use nack::nack;
pub use nack_generator::nack_generator;
pub use negotiation::negotiation;
pub use ntp::ntp;
pub use protoo::protoo;
pub use receive_stream::receive_stream;
pub use remb::remb;
pub use ring::ring;
pub use rtcp::rtcp;
pub use rtp::{rtp, rtp_writer};
pub use sctp_streams::sctp_streams;
pub use sdp::sdp;
pub use seq::seq;
pub use sequence_map::sequence_map;
pub use server::server;
pub use settings::settings;
pub use sfu::sfu;
pub use srtp::srtp;
pub use srtp_parameters::srtp_parameters;
pub use store::store;
pub use stun::stun;
pub use timer::timer;
pub use timestamp_map::timestamp_map;
pub use transport_feedback::transport_feedback;
pub use vp8::vp8;
pub use vp9::vp9;
pub use window::window;
pub use world::world;

/// A target: it takes any bytes, and panics if something does not hold.
pub type Body = fn(&[u8]);

/// Every target: its name, which is that of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`, and its body.
pub const TARGETS: &[(&str, Body)] = &[
    ("arena", arena),
    ("av1", av1),
    ("codecs", codecs),
    ("demux", demux),
    ("dependency_descriptor", dependency_descriptor),
    ("ext", ext),
    ("feedback", feedback),
    ("framing", framing),
    ("h264", h264),
    ("jitter", jitter),
    ("json", json),
    ("keyframe", keyframe),
    ("loss", loss),
    ("mediasoup", mediasoup),
    ("nack", nack),
    ("nack_generator", nack_generator),
    ("negotiation", negotiation),
    ("ntp", ntp),
    ("protoo", protoo),
    ("receive_stream", receive_stream),
    ("remb", remb),
    ("ring", ring),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("rtp_writer", rtp_writer),
    ("sctp_streams", sctp_streams),
    ("sdp", sdp),
    ("seq", seq),
    ("sequence_map", sequence_map),
    ("server", server),
    ("settings", settings),
    ("sfu", sfu),
    ("srtp", srtp),
    ("srtp_parameters", srtp_parameters),
    ("store", store),
    ("stun", stun),
    ("timer", timer),
    ("timestamp_map", timestamp_map),
    ("transport_feedback", transport_feedback),
    ("vp8", vp8),
    ("vp9", vp9),
    ("window", window),
    ("world", world),
];
