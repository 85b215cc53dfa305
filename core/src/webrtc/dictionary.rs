//! From a section of an offer to the dictionaries of ORTC.

use super::sdp::{Codec, MediaSection, Source};
use crate::ortc::{
    self, CodecParameters, HeaderExtensionDirection, HeaderExtensionUri, MAX_IDENTIFIER_BYTES, MediaKind,
    MimeType, ParameterValue, RtcpParameters, RtpCapabilities, RtpCodecCapability, RtpCodecParameters,
    RtpEncodingParameters, RtpHeaderExtension, RtpHeaderExtensionParameters, RtpParameters, RtpRtxParameters,
};

/// What the client can receive in a section: its codecs, payload types and header extensions.
pub(super) fn capabilities(section: &MediaSection, kind: MediaKind) -> RtpCapabilities {
    let header_extensions = section.extensions.iter().filter(|extension| receives(extension.direction));
    let header_extensions = header_extensions.map(|extension| RtpHeaderExtension {
        kind,
        uri: extension.uri.clone(),
        preferred_id: extension.id,
        preferred_encrypt: false,
        direction: extension.direction,
    });
    RtpCapabilities {
        codecs: section.codecs.iter().filter_map(|codec| capability(kind, codec)).collect(),
        header_extensions: header_extensions.collect(),
    }
}

/// What both sides have in common: the client's preferred codec of those that the router has, its RTX, and the header
/// extensions, all with the client's numbers. No encodings. `None`: no codec in common.
pub(super) fn common_parameters(
    section: &MediaSection,
    kind: MediaKind,
    router: &RtpCapabilities,
) -> Option<RtpParameters> {
    let (codec, router_codec) = section.codecs.iter().find_map(|codec| {
        let codec = parameters(capability(kind, codec)?)?;
        let router_codec = matching(router, &codec)?;
        Some((codec, router_codec))
    })?;
    let header_extensions = common_extensions(section, kind, router);
    let payload_type = codec.payload_type;
    let mut codecs = vec![with_common_feedback(codec, router_codec, &header_extensions)];
    if router_codec.preferred_payload_type.is_some_and(|payload_type| router.rtx_for(payload_type).is_some())
    {
        let rtx = section.codecs.iter().filter_map(|codec| capability(kind, codec));
        let rtx =
            rtx.filter(|codec| codec.mime_type.is_rtx() && codec.parameters.apt() == Some(payload_type));
        codecs.extend(rtx.filter_map(parameters).next());
    }
    Some(RtpParameters { mid: section.mid.clone(), codecs, header_extensions, ..RtpParameters::default() })
}

/// What the client sends in a section, as mediasoup's client would say it. `None`: no codec in common.
pub(super) fn sending_parameters(
    section: &MediaSection,
    kind: MediaKind,
    router: &RtpCapabilities,
) -> Option<RtpParameters> {
    let common = common_parameters(section, kind, router)?;
    let codec = common.media_codec()?;
    let has_rtx = common.codecs.iter().any(RtpCodecParameters::is_rtx);
    let mut encodings = encodings(section, codec.payload_type, has_rtx);
    if codec.parameters.get("usedtx").and_then(ParameterValue::as_u64) == Some(1) {
        encodings.iter_mut().for_each(|encoding| encoding.dtx = Some(true));
    }
    let cname = section.sources.iter().find_map(|source| source.cname.clone());
    let msid = section.msid.clone().or_else(|| section.sources.iter().find_map(|source| source.msid.clone()));
    Some(RtpParameters {
        encodings,
        rtcp: RtcpParameters { cname, ..RtcpParameters::default() },
        msid: msid.filter(|msid| msid.len() <= MAX_IDENTIFIER_BYTES),
        ..common
    })
}

/// `a=fmtp` as a dictionary. What is not `name=value` is left out: the codecs that have such are not routed.
pub(super) fn format_parameters(fmtp: &str) -> CodecParameters {
    let mut parameters = CodecParameters::default();
    for (name, value) in
        fmtp.split(';').take(ortc::MAX_FORMAT_PARAMETERS).filter_map(|text| text.split_once('='))
    {
        let (name, value) = (name.trim(), value.trim());
        // A profile and level that happens to have decimal digits only is still a hexadecimal string.
        match canonical_number(value) {
            Some(number) if !name.eq_ignore_ascii_case("profile-level-id") => parameters.insert(name, number),
            _ => parameters.insert(name, value),
        }
    }
    parameters
}

fn receives(direction: HeaderExtensionDirection) -> bool {
    matches!(direction, HeaderExtensionDirection::SendRecv | HeaderExtensionDirection::RecvOnly)
}

fn capability(kind: MediaKind, codec: &Codec) -> Option<RtpCodecCapability> {
    let mime_type = MimeType::new(&format!("{kind}/{}", codec.name)).ok()?;
    let mut capability = RtpCodecCapability::new(mime_type, codec.clock_rate, codec.channels);
    capability.preferred_payload_type = Some(codec.payload_type);
    capability.parameters = codec.fmtp.as_deref().map(format_parameters).unwrap_or_default();
    capability.rtcp_feedback.clone_from(&codec.feedback);
    Some(capability)
}

fn parameters(codec: RtpCodecCapability) -> Option<RtpCodecParameters> {
    Some(RtpCodecParameters {
        payload_type: codec.preferred_payload_type?,
        mime_type: codec.mime_type,
        clock_rate: codec.clock_rate,
        channels: codec.channels,
        parameters: codec.parameters,
        rtcp_feedback: codec.rtcp_feedback,
    })
}

/// The router's codec that is the same, by the rules of negotiation for producers.
fn matching<'a>(router: &'a RtpCapabilities, codec: &RtpCodecParameters) -> Option<&'a RtpCodecCapability> {
    if codec.is_rtx() {
        return None;
    }
    let mut alone = RtpParameters { codecs: vec![codec.clone()], ..RtpParameters::default() };
    let mapping = ortc::producer_mapping(&mut alone, router, || 0).ok()?;
    router.codec_with_payload_type(mapping.mapped_payload_type(codec.payload_type)?)
}

/// The header extensions that the client may send and the router may receive.
fn common_extensions(
    section: &MediaSection,
    kind: MediaKind,
    router: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    let known = |uri: &str| {
        let mut all = router.header_extensions.iter();
        all.any(|extension| extension.kind == kind && extension.uri == uri && receives(extension.direction))
    };
    let common =
        section.extensions.iter().filter(|extension| extension.direction.sends() && known(&extension.uri));
    common
        .map(|extension| RtpHeaderExtensionParameters {
            uri: extension.uri.clone(),
            id: extension.id,
            encrypt: false,
            parameters: CodecParameters::default(),
        })
        .collect()
}

/// The codec with the feedback that both have; of bandwidth feedback one kind: transport-wide where its header extension is
/// in use, else REMB.
fn with_common_feedback(
    mut codec: RtpCodecParameters,
    router_codec: &RtpCodecCapability,
    extensions: &[RtpHeaderExtensionParameters],
) -> RtpCodecParameters {
    let in_use = |uri| extensions.iter().any(|extension| extension.known() == Some(uri));
    codec.rtcp_feedback.retain(|feedback| router_codec.rtcp_feedback.contains(feedback));
    let transport_cc = in_use(HeaderExtensionUri::TransportCc) && codec.has_feedback("transport-cc", "");
    let remb = in_use(HeaderExtensionUri::AbsSendTime) && !transport_cc;
    codec.rtcp_feedback.retain(|feedback| match feedback.r#type.as_str() {
        "transport-cc" => transport_cc,
        "goog-remb" => remb,
        _ => true,
    });
    codec
}

/// The streams of a section: by RID, else by `SIM` group, else its first SSRC, else one that only its MID will tell.
fn encodings(section: &MediaSection, payload_type: u8, has_rtx: bool) -> Vec<RtpEncodingParameters> {
    let usable = section
        .rids
        .iter()
        .filter(|rid| rid.payload_types.is_empty() || rid.payload_types.contains(&payload_type));
    let by_rid: Vec<_> = usable
        .map(|rid| RtpEncodingParameters { rid: Some(rid.id.clone()), ..RtpEncodingParameters::default() })
        .collect();
    if !by_rid.is_empty() {
        return by_rid;
    }
    let by_ssrc = |ssrc: u32| {
        let rtx = if has_rtx { repair_ssrc(section, ssrc) } else { None };
        RtpEncodingParameters { ssrc: Some(ssrc), rtx, ..RtpEncodingParameters::default() }
    };
    if let Some(group) =
        section.groups.iter().find(|group| group.semantics == "SIM" && !group.ssrcs.is_empty())
    {
        return group.ssrcs.iter().copied().take(ortc::MAX_ENCODINGS).map(by_ssrc).collect();
    }
    match section.sources.iter().find(|source| !is_repair(section, source)) {
        Some(source) => vec![by_ssrc(source.ssrc)],
        None => vec![RtpEncodingParameters::default()],
    }
}

fn repair_ssrc(section: &MediaSection, ssrc: u32) -> Option<RtpRtxParameters> {
    section.groups.iter().find_map(|group| match (group.semantics.as_str(), group.ssrcs.as_slice()) {
        ("FID", &[media, repair, ..]) if media == ssrc => Some(RtpRtxParameters { ssrc: repair }),
        _ => None,
    })
}

/// Whether a source only repairs another one: the second of `FID` (RFC 4588) or of `FEC-FR` (RFC 5956).
fn is_repair(section: &MediaSection, source: &Source) -> bool {
    let mut groups =
        section.groups.iter().filter(|group| matches!(group.semantics.as_str(), "FID" | "FEC-FR"));
    groups.any(|group| group.ssrcs.get(1) == Some(&source.ssrc))
}

/// A number if it is spelt as JavaScript would write it, as mediasoup's client reads `a=fmtp`.
fn canonical_number(text: &str) -> Option<u64> {
    let canonical = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && (text == "0" || !text.starts_with('0')) { text.parse().ok() } else { None }
}
