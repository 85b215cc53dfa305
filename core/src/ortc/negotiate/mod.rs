//! mediasoup's negotiation: producer against router, consumer against producer and remote.

mod checks;
mod consumer;
pub(super) mod matching;
mod producer;
mod transport;

pub use checks::{check_header_extension_uris, check_producer_parameters, check_unique_in_transport};
pub use consumer::{ConsumerOptions, can_consume, consumer_rtp_parameters, pipe_consumer_rtp_parameters};
pub use producer::{
    CodecMapping, EncodingMapping, NegotiatedProducer, ProducerMapping, consumable_rtp_parameters,
    negotiate_producer, producer_mapping,
};
pub use transport::{ConsumerMids, TransportCname};

/// The first of some consecutive SSRCs, from 100,000,000 to 999,999,999 as mediasoup's are: so that hundreds of
/// millions can follow, and 0 and the probator's 1234 are never among them.
fn ssrc_base(random: &mut impl FnMut() -> u32) -> u32 {
    100_000_000 + random() % 900_000_000
}

/// The `index`th SSRC from a base on.
fn nth_ssrc(base: u32, index: usize) -> u32 {
    base.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX))
}
