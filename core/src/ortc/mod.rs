//! The RTP dictionaries of ORTC as mediasoup clients exchange them, and mediasoup's negotiation, as pure functions.
//!
//! Every dictionary reads the JSON of strangers by its `from_json` (or by serde, which goes the same way): it is
//! checked and normalised, and an error names the field. What is written is what mediasoup 3 writes.

mod capabilities;
mod codec_parameters;
mod dtls_ice;
mod error;
mod h264;
mod header_extension;
mod json;
mod media_codecs;
mod mime;
mod negotiate;
mod parameters;
mod scalability;
mod sctp;
mod srtp;
#[cfg(test)]
mod tests;

pub use capabilities::{MAX_CODECS, RtpCapabilities, RtpCodecCapability};
pub use codec_parameters::{
    CodecParameters, MAX_FORMAT_PARAMETERS, MAX_RTCP_FEEDBACK, ParameterValue, RtcpFeedback,
};
pub use dtls_ice::{
    DtlsFingerprint, DtlsParameters, DtlsRole, FingerprintAlgorithm, IceCandidate, IceCandidateTcpType,
    IceCandidateType, IceParameters, MAX_FINGERPRINTS, TransportProtocol,
};
pub use error::{OrtcError, OrtcErrorKind};
pub use h264::{Level, Profile, ProfileLevelId};
pub use header_extension::{
    HeaderExtensionDirection, HeaderExtensionUri, RtpHeaderExtension, RtpHeaderExtensionParameters,
};
pub use media_codecs::{default_media_codecs, generate_router_rtp_capabilities, media_codecs_from_json};
pub use mime::{Codec, MediaKind, MimeType};
pub use negotiate::{
    CodecMapping, ConsumerMids, ConsumerOptions, EncodingMapping, NegotiatedProducer, ProducerMapping,
    TransportCname, can_consume, check_header_extension_uris, check_producer_parameters,
    check_unique_in_transport, consumable_rtp_parameters, consumer_rtp_parameters, negotiate_producer,
    pipe_consumer_rtp_parameters, producer_mapping,
};
pub use parameters::{
    MAX_ENCODINGS, MAX_IDENTIFIER_BYTES, MAX_OTHER_MEMBERS, RtcpParameters, RtpCodecParameters,
    RtpEncodingParameters, RtpParameters, RtpRtxParameters,
};
pub use scalability::{ConsumerType, ProducerType, ScalabilityMode};
pub use sctp::{
    DataConsumerReliability, MAX_STREAM_ID, SctpParameters, SctpStreamParameters, StreamIds,
    data_consumer_stream_parameters,
};
pub use srtp::{SrtpCryptoSuite, SrtpParameters};
