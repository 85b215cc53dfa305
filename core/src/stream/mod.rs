//! One RTP stream each: what is received of it, what is sent of it, and what is kept for retransmission.
//!
//! Nothing here knows producers, consumers or transports. Their objects own these parts and pass in the time, the numbers of
//! a packet and the content of reports; the parts answer with numbers and decisions.
//!
//! * [`receive`]: sequence, loss, jitter, reports and NACKs of a received stream, from [`nack`], [`window`] and [`loss`].
//! * [`store`]: the packets of a received stream, one copy for all who send it on.
//! * [`sequence_map`] and [`timestamp_map`]: a continuous outgoing stream out of one or several received ones.
//! * [`send`]: counters, reports and answers to NACKs of a sent stream.
//! * [`frame`] and [`layer_rates`]: what a packet is to the layers of its stream, and what each layer takes.
//! * [`keyframe`], [`score`], [`rtx`]: requests for keyframes, the quality score, retransmission payloads.
pub mod frame;
pub mod jitter;
pub mod keyframe;
pub mod layer_rates;
pub mod loss;
pub mod nack;
pub mod receive;
pub mod rtx;
pub mod score;
pub mod send;
pub mod sequence_map;
pub mod store;
pub mod timestamp_map;
pub mod window;
