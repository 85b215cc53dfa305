//! A consumer's parameters: what is consumable against what the remote can receive.

use super::matching::{Strictness, codecs_match};
use super::{nth_ssrc, ssrc_base};
use crate::ortc::{
    HeaderExtensionUri, MediaKind, OrtcError, RtcpFeedback, RtpCapabilities, RtpCodecCapability,
    RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpParameters, RtpRtxParameters,
    ScalabilityMode,
};

/// How a consumer is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Whether lost packets are repeated: RTX and plain NACK. By default for video, not for audio.
    pub enable_rtx: bool,
    /// Whether it gets all streams of the producer.
    pub pipe: bool,
    /// Whether payload types and header extension ids are the remote's, whatever they are, and not the router's. An SDP
    /// answer needs it: it has to use the offer's numbers.
    pub use_remote_ids: bool,
    /// Its MID; ignored with [`Self::pipe`].
    pub mid: Option<String>,
    /// Its SSRC, random if absent; ignored with [`Self::pipe`]. RTX gets the next number.
    pub ssrc: Option<u32>,
}

impl ConsumerOptions {
    /// The defaults for that kind of media.
    pub fn for_kind(kind: MediaKind) -> Self {
        Self { enable_rtx: kind == MediaKind::Video, ..Self::default() }
    }
}

/// Whether the remote can receive it, as mediasoup answers: by the first consumable codec that matches, which must not
/// be RTX. So it may say no although [`consumer_rtp_parameters`], which first drops an RTX without media, would succeed.
pub fn can_consume(consumable: &RtpParameters, remote: &RtpCapabilities) -> bool {
    let first = consumable.codecs.iter().find(|codec| matching(remote, codec).is_some());
    first.is_some_and(|codec| !codec.is_rtx())
}

/// The parameters of a consumer.
///
/// Codecs are the consumable ones that the remote has, with the remote's feedback; header extensions those that it has
/// under the same id (or under any, see [`ConsumerOptions::use_remote_ids`]). There is one encoding, or all with
/// [`ConsumerOptions::pipe`]. `random` gives any 32-bit numbers, for SSRCs.
///
/// Error: `Unsupported` if no media codec is left.
pub fn consumer_rtp_parameters(
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    options: &ConsumerOptions,
    mut random: impl FnMut() -> u32,
) -> Result<RtpParameters, OrtcError> {
    let mut codecs = if options.use_remote_ids {
        codecs_with_remote_ids(consumable, remote, options.enable_rtx)
    } else {
        codecs_with_router_ids(consumable, remote, options.enable_rtx)
    };
    if codecs.first().is_none_or(RtpCodecParameters::is_rtx) {
        return Err(OrtcError::unsupported("no compatible media codecs"));
    }
    let offered = consumable_header_extensions(consumable);
    let header_extensions = if options.use_remote_ids {
        header_extensions_with_remote_ids(consumable, &offered, remote)
    } else {
        header_extensions_with_router_ids(&offered, remote)
    };
    keep_one_bandwidth_feedback(&mut codecs, &header_extensions);
    let has_rtx = codecs.iter().any(RtpCodecParameters::is_rtx);
    let encodings = if options.pipe {
        all_encodings(consumable, has_rtx, &mut random)
    } else {
        let ssrc = options.ssrc.unwrap_or_else(|| ssrc_base(&mut random));
        vec![one_encoding(consumable, has_rtx, ssrc)]
    };
    Ok(RtpParameters {
        mid: options.mid.clone().filter(|_| !options.pipe),
        codecs,
        header_extensions,
        encodings,
        rtcp: consumable.rtcp.clone(),
        msid: consumable.msid.clone(),
    })
}

/// The parameters of a consumer between two routers: everything, with the router's numbers and little feedback. The
/// other router's capabilities play no part.
pub fn pipe_consumer_rtp_parameters(
    consumable: &RtpParameters,
    enable_rtx: bool,
    mut random: impl FnMut() -> u32,
) -> RtpParameters {
    let kept = |feedback: &RtcpFeedback| {
        feedback.is("nack", "pli") || feedback.is("ccm", "fir") || (enable_rtx && feedback.is("nack", ""))
    };
    let mut codecs: Vec<_> =
        consumable.codecs.iter().filter(|codec| enable_rtx || !codec.is_rtx()).cloned().collect();
    for codec in &mut codecs {
        codec.rtcp_feedback.retain(kept);
    }
    let hop_by_hop =
        [HeaderExtensionUri::Mid, HeaderExtensionUri::AbsSendTime, HeaderExtensionUri::TransportCc].map(Some);
    let mut header_extensions: Vec<_> = consumable
        .header_extensions
        .iter()
        .filter(|extension| {
            !hop_by_hop.contains(&extension.known())
                && extension.known() != Some(HeaderExtensionUri::DependencyDescriptor)
        })
        .cloned()
        .collect();
    // Never consumable, since it goes to no client; but the other router needs it to choose layers. Audio gets it too.
    let descriptor = HeaderExtensionUri::DependencyDescriptor;
    header_extensions.push(RtpHeaderExtensionParameters::new(descriptor, descriptor.router_id()));
    header_extensions.sort_by_key(|extension| extension.id);
    RtpParameters {
        mid: None,
        codecs,
        header_extensions,
        encodings: all_encodings(consumable, enable_rtx, &mut random),
        rtcp: consumable.rtcp.clone(),
        msid: consumable.msid.clone(),
    }
}

/// The remote's first codec that is the same.
fn matching<'a>(remote: &'a RtpCapabilities, codec: &RtpCodecParameters) -> Option<&'a RtpCodecCapability> {
    remote.codecs.iter().find(|candidate| codecs_match(*candidate, codec, Strictness::Strict))
}

/// The remote's feedback, without plain NACK when nothing is repeated.
fn feedback_of(codec: &RtpCodecCapability, enable_rtx: bool) -> Vec<RtcpFeedback> {
    codec.rtcp_feedback.iter().filter(|feedback| enable_rtx || !feedback.is("nack", "")).cloned().collect()
}

fn codecs_with_router_ids(
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    enable_rtx: bool,
) -> Vec<RtpCodecParameters> {
    let mut codecs = Vec::new();
    for codec in consumable.codecs.iter().filter(|codec| enable_rtx || !codec.is_rtx()) {
        if let Some(matched) = matching(remote, codec) {
            codecs.push(RtpCodecParameters {
                rtcp_feedback: feedback_of(matched, enable_rtx),
                ..codec.clone()
            });
        }
    }
    let media: Vec<u8> =
        codecs.iter().filter(|codec| !codec.is_rtx()).map(|codec| codec.payload_type).collect();
    codecs.retain(|codec| !codec.is_rtx() || codec.parameters.apt().is_some_and(|apt| media.contains(&apt)));
    codecs
}

/// Each media codec under the remote's payload type, followed by the RTX that the remote has for just that payload type.
fn codecs_with_remote_ids(
    consumable: &RtpParameters,
    remote: &RtpCapabilities,
    enable_rtx: bool,
) -> Vec<RtpCodecParameters> {
    let mut codecs: Vec<RtpCodecParameters> = Vec::new();
    for codec in consumable.codecs.iter().filter(|codec| !codec.is_rtx()) {
        let numbered = remote.codecs.iter().find_map(|candidate| {
            let payload_type = candidate.preferred_payload_type?;
            let is_free = codecs.iter().all(|used| used.payload_type != payload_type);
            let matches = is_free && codecs_match(candidate, codec, Strictness::Strict);
            matches.then_some((candidate, payload_type))
        });
        let Some((matched, payload_type)) = numbered else { continue };
        let rtcp_feedback = feedback_of(matched, enable_rtx);
        codecs.push(RtpCodecParameters { payload_type, rtcp_feedback, ..codec.clone() });
        if enable_rtx && consumable.rtx_for(codec.payload_type).is_some() {
            let rtx = remote_rtx(remote, matched, payload_type);
            codecs.extend(rtx.filter(|rtx| codecs.iter().all(|used| used.payload_type != rtx.payload_type)));
        }
    }
    codecs
}

fn remote_rtx(remote: &RtpCapabilities, media: &RtpCodecCapability, apt: u8) -> Option<RtpCodecParameters> {
    let rtx =
        remote.rtx_for(apt).filter(|rtx| rtx.clock_rate == media.clock_rate && rtx.kind == media.kind)?;
    Some(RtpCodecParameters {
        mime_type: rtx.mime_type.clone(),
        payload_type: rtx.preferred_payload_type?,
        clock_rate: rtx.clock_rate,
        channels: rtx.channels,
        parameters: rtx.parameters.clone(),
        rtcp_feedback: rtx.rtcp_feedback.clone(),
    })
}

/// What can be sent in packet headers: what is consumable, and with spatial layers of AV1 the dependency descriptor, without
/// which browsers cannot put the layers of a picture together: Chromium 156 then decodes the lowest one at most, also where no
/// server is between two of them.
fn consumable_header_extensions(consumable: &RtpParameters) -> Vec<RtpHeaderExtensionParameters> {
    let mut extensions = consumable.header_extensions.clone();
    if needs_dependency_descriptor(consumable) {
        let descriptor = HeaderExtensionUri::DependencyDescriptor;
        extensions.push(RtpHeaderExtensionParameters::new(descriptor, descriptor.router_id()));
        extensions.sort_by_key(|extension| extension.id);
    }
    extensions
}

fn needs_dependency_descriptor(consumable: &RtpParameters) -> bool {
    let subtype = consumable.media_codec().map(|codec| codec.mime_type.subtype());
    let [encoding] = consumable.encodings.as_slice() else { return false };
    let mode = ScalabilityMode::parse_or_default(encoding.scalability_mode.as_deref());
    subtype.is_some_and(|subtype| subtype.eq_ignore_ascii_case("AV1")) && mode.spatial_layers > 1
}

/// Those that the remote has under the same URI and the same id; kind and direction are not looked at, since some
/// clients list only one kind of those that are for both.
///
/// The dependency descriptor goes to all but those that mean something else by its id: mediasoup clients do not list it, because
/// the router's capabilities, as mediasoup's, do not say that it is sent. Who does not know it ignores it (RFC 3550 section
/// 5.3.1).
fn header_extensions_with_router_ids(
    offered: &[RtpHeaderExtensionParameters],
    remote: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    let has = |extension: &&RtpHeaderExtensionParameters| {
        let mut same_id = remote.header_extensions.iter().filter(|known| known.preferred_id == extension.id);
        match extension.known() {
            Some(HeaderExtensionUri::DependencyDescriptor) => same_id.all(|known| known.uri == extension.uri),
            _ => same_id.any(|known| known.uri == extension.uri),
        }
    };
    offered.iter().filter(has).cloned().collect()
}

/// Those that the remote has under the same URI, with its id; its entry for the same kind of media comes first.
fn header_extensions_with_remote_ids(
    consumable: &RtpParameters,
    offered: &[RtpHeaderExtensionParameters],
    remote: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    let kind = consumable.media_codec().map(RtpCodecParameters::kind);
    let mut extensions: Vec<RtpHeaderExtensionParameters> = Vec::new();
    for extension in offered {
        let same_uri =
            || remote.header_extensions.iter().filter(|capability| capability.uri == extension.uri);
        let capability =
            same_uri().find(|capability| Some(capability.kind) == kind).or_else(|| same_uri().next());
        let id = capability.map(|capability| capability.preferred_id);
        // An id for two URIs would make packets ambiguous: the first one has it.
        if let Some(id) = id.filter(|id| extensions.iter().all(|used| used.id != *id)) {
            extensions.push(RtpHeaderExtensionParameters { id, ..extension.clone() });
        }
    }
    extensions
}

/// Leaves only the feedback that fits the header extension by which bandwidth can be estimated, if any.
fn keep_one_bandwidth_feedback(
    codecs: &mut [RtpCodecParameters],
    header_extensions: &[RtpHeaderExtensionParameters],
) {
    let has =
        |uri: HeaderExtensionUri| header_extensions.iter().any(|extension| extension.known() == Some(uri));
    let dropped: &[&str] = if has(HeaderExtensionUri::TransportCc) {
        &["goog-remb"]
    } else if has(HeaderExtensionUri::AbsSendTime) {
        &["transport-cc"]
    } else {
        &["goog-remb", "transport-cc"]
    };
    for codec in codecs {
        codec.rtcp_feedback.retain(|feedback| !dropped.contains(&feedback.r#type.as_str()));
    }
}

/// The one stream of a consumer, which stands for all of the producer's.
fn one_encoding(consumable: &RtpParameters, has_rtx: bool, ssrc: u32) -> RtpEncodingParameters {
    let encodings = &consumable.encodings;
    let given = encodings
        .iter()
        .find_map(|encoding| encoding.scalability_mode.clone().filter(|mode| !mode.is_empty()));
    let scalability_mode = if encodings.len() > 1 {
        let temporal_layers = ScalabilityMode::parse_or_default(given.as_deref()).temporal_layers;
        Some(format!("L{}T{temporal_layers}", encodings.len()))
    } else {
        given
    };
    RtpEncodingParameters {
        ssrc: Some(ssrc),
        rtx: has_rtx.then(|| RtpRtxParameters { ssrc: nth_ssrc(ssrc, 1) }),
        scalability_mode,
        max_bitrate: encodings.iter().filter_map(|encoding| encoding.max_bitrate).max(),
        ..RtpEncodingParameters::default()
    }
}

/// All streams of the producer under SSRCs of the consumer's own.
fn all_encodings(
    consumable: &RtpParameters,
    has_rtx: bool,
    random: &mut impl FnMut() -> u32,
) -> Vec<RtpEncodingParameters> {
    let base = ssrc_base(random);
    let rtx_base = ssrc_base(random);
    let own = |(index, encoding): (usize, &RtpEncodingParameters)| RtpEncodingParameters {
        ssrc: Some(nth_ssrc(base, index)),
        rtx: has_rtx.then(|| RtpRtxParameters { ssrc: nth_ssrc(rtx_base, index) }),
        ..encoding.clone()
    };
    consumable.encodings.iter().enumerate().map(own).collect()
}
