//! Version 2's shapes of the RTP dictionaries, to and from the one set of dictionaries that the rest works with.
//!
//! Version 2 has `muxId` for the MID, `encodingId` for the RID and a `profile` for each encoding; codecs carry their `name`;
//! feedback without a parameter has no member `parameter` (clients lose NACK and REMB over an empty one). Its rooms number the
//! header extensions in a way of their own, know no transport-wide feedback, and tell codecs apart by MIME type, clock rate,
//! channels and, for H264, packetization mode only.
use serde_json::{Map, Value, json};

use super::error::MediasoupError;
use super::profile::Profile;
use crate::ortc::{
    Codec, CodecParameters, HeaderExtensionDirection, HeaderExtensionUri, MediaKind, MimeType,
    ParameterValue, RtcpFeedback, RtpCapabilities, RtpCodecCapability, RtpHeaderExtension, RtpParameters,
};

/// The header extensions of every room: URI, kind, id. A consumer never gets the MID.
const HEADER_EXTENSIONS: [(HeaderExtensionUri, MediaKind, u8); 8] = [
    (HeaderExtensionUri::AudioLevel, MediaKind::Audio, 1),
    (HeaderExtensionUri::TransmissionOffset, MediaKind::Video, 2),
    (HeaderExtensionUri::AbsSendTime, MediaKind::Audio, 3),
    (HeaderExtensionUri::AbsSendTime, MediaKind::Video, 3),
    (HeaderExtensionUri::VideoOrientation, MediaKind::Video, 4),
    (HeaderExtensionUri::Mid, MediaKind::Audio, 5),
    (HeaderExtensionUri::Mid, MediaKind::Video, 5),
    (HeaderExtensionUri::Rid, MediaKind::Video, 6),
];

/// A format parameter of version 3 only.
const LEVEL_ASYMMETRY: &str = "level-asymmetry-allowed";
const PACKETIZATION_MODE: &str = "packetization-mode";

/// What a room can do, as `queryRoom` is answered.
pub fn room_capabilities(router: &RtpCapabilities) -> Value {
    let extension = |(uri, kind, id): &(HeaderExtensionUri, MediaKind, u8)| json!({ "kind": kind, "uri": uri.as_str(), "preferredId": id, "preferredEncrypt": false });
    json!({
        "codecs": router.codecs.iter().map(codec_capability).collect::<Vec<_>>(),
        "headerExtensions": HEADER_EXTENSIONS.iter().map(extension).collect::<Vec<_>>(),
        "fecMechanisms": [],
    })
}

/// What a client says that it can do, as the router's dictionaries have it: of each codec the room's parameters and the
/// client's feedback, and the header extensions under version 2's ids.
///
/// Errors: it is malformed; a codec or a header extension that the room does not have under that number.
pub fn client_capabilities(
    value: &Value,
    router: &RtpCapabilities,
) -> Result<RtpCapabilities, MediasoupError> {
    let given = RtpCapabilities::from_json(value)
        .map_err(|error| MediasoupError::wrong_type(format!("wrong RTP capabilities: {error}")))?;
    let codecs = given.codecs.iter().map(|codec| client_codec(codec, router)).collect::<Result<_, _>>()?;
    for extension in &given.header_extensions {
        let known = HEADER_EXTENSIONS.iter().any(|(uri, kind, id)| {
            uri.as_str() == extension.uri && *kind == extension.kind && *id == extension.preferred_id
        });
        if !known {
            let (kind, uri, id) = (extension.kind, &extension.uri, extension.preferred_id);
            let text = format!("unsupported header extension [kind:{kind}, uri:{uri}, preferredId:{id}]");
            return Err(MediasoupError::other(text));
        }
    }
    let received = |extension: &RtpHeaderExtension| extension.known() != Some(HeaderExtensionUri::Mid);
    let header_extensions = given
        .header_extensions
        .into_iter()
        .filter(received)
        .map(|extension| RtpHeaderExtension { direction: HeaderExtensionDirection::SendRecv, ..extension })
        .collect();
    Ok(RtpCapabilities { codecs, header_extensions })
}

/// What a client sends, as the router's dictionaries have it, with the profiles of its encodings, the lowest first.
///
/// Errors: it is malformed; two encodings have the same profile.
pub fn producer_parameters(
    value: &Value,
    router: &RtpCapabilities,
) -> Result<(RtpParameters, Vec<Profile>), MediasoupError> {
    let Value::Object(object) = value else {
        return Err(MediasoupError::wrong_type("rtpParameters must be an object"));
    };
    let mut object = object.clone();
    rename(&mut object, "muxId", "mid");
    object.remove("msid");
    let profiles = match object.get_mut("encodings") {
        Some(Value::Array(encodings)) => sort_encodings(encodings)?,
        _ => Vec::new(),
    };
    let mut parameters =
        RtpParameters::from_json(&Value::Object(object)).map_err(MediasoupError::wrong_rtp)?;
    parameters.header_extensions.retain(|extension| extension.known().is_some());
    for codec in &mut parameters.codecs {
        codec.rtcp_feedback.retain(is_of_version_2);
        if let Some(of_room) = router.codecs.iter().find(|candidate| {
            same(candidate, &codec.mime_type, codec.clock_rate, codec.channels, &codec.parameters)
        }) {
            // Clients name profiles of H264 and VP9 as they like: in version 2 they do not count.
            adopt_profile(&mut codec.parameters, &of_room.parameters);
        }
    }
    Ok((parameters, profiles))
}

/// What a client receives by a consumer. `capabilities` are its own, as [`client_capabilities`] gave them.
pub fn consumer_parameters(
    kind: MediaKind,
    parameters: &RtpParameters,
    capabilities: &RtpCapabilities,
) -> Value {
    let codecs = parameters.codecs.iter().map(|codec| {
        let mut object = codec_members(&codec.mime_type, codec.clock_rate, codec.channels, &codec.parameters);
        object.insert("payloadType".to_owned(), json!(codec.payload_type));
        if !codec.is_rtx() {
            object.insert("rtcpFeedback".to_owned(), feedback(&codec.rtcp_feedback));
        }
        Value::Object(object)
    });
    let mut extensions: Vec<(u8, &str)> =
        parameters.header_extensions.iter().map(|extension| (extension.id, extension.uri.as_str())).collect();
    // Listed although no packet carries it, as version 2 does: a consumer has one stream.
    let listed = |extension: &&RtpHeaderExtension| {
        extension.kind == kind && extension.known() == Some(HeaderExtensionUri::Rid)
    };
    extensions.extend(
        capabilities.header_extensions.iter().filter(listed).map(|one| (one.preferred_id, one.uri.as_str())),
    );
    extensions.sort_unstable();
    let encodings = parameters.encodings.iter().map(|encoding| match &encoding.rtx {
        Some(rtx) => json!({ "ssrc": encoding.ssrc, "rtx": { "ssrc": rtx.ssrc } }),
        None => json!({ "ssrc": encoding.ssrc }),
    });
    json!({
        "codecs": codecs.collect::<Vec<_>>(),
        "headerExtensions":
            extensions.iter().map(|(id, uri)| json!({ "uri": uri, "id": id })).collect::<Vec<_>>(),
        "encodings": encodings.collect::<Vec<_>>(),
        "rtcp": { "cname": parameters.rtcp.cname, "reducedSize": true, "mux": true },
    })
}

fn codec_capability(codec: &RtpCodecCapability) -> Value {
    let mut object = codec_members(&codec.mime_type, codec.clock_rate, codec.channels, &codec.parameters);
    object.insert("kind".to_owned(), json!(codec.kind));
    object.insert("preferredPayloadType".to_owned(), json!(codec.preferred_payload_type));
    if !codec.mime_type.is_rtx() {
        let entries = if codec.kind == MediaKind::Audio { &[][..] } else { &codec.rtcp_feedback };
        object.insert("rtcpFeedback".to_owned(), feedback(entries));
    }
    Value::Object(object)
}

fn codec_members(
    mime_type: &MimeType,
    clock_rate: u32,
    channels: Option<u8>,
    parameters: &CodecParameters,
) -> Map<String, Value> {
    let shown: Map<String, Value> = parameters
        .iter()
        .filter(|(name, _)| *name != LEVEL_ASYMMETRY)
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(mime_type.subtype()));
    object.insert("mimeType".to_owned(), json!(mime_type));
    object.insert("clockRate".to_owned(), json!(clock_rate));
    if let Some(channels) = channels {
        object.insert("channels".to_owned(), json!(channels));
    }
    object.insert("parameters".to_owned(), Value::Object(shown));
    object
}

fn feedback(entries: &[RtcpFeedback]) -> Value {
    let entry = |feedback: &RtcpFeedback| match feedback.parameter.as_str() {
        "" => json!({ "type": feedback.r#type }),
        parameter => json!({ "type": feedback.r#type, "parameter": parameter }),
    };
    entries.iter().filter(|entry| is_of_version_2(entry)).map(entry).collect()
}

fn is_of_version_2(feedback: &RtcpFeedback) -> bool {
    feedback.r#type != "transport-cc"
}

fn client_codec(
    codec: &RtpCodecCapability,
    router: &RtpCapabilities,
) -> Result<RtpCodecCapability, MediasoupError> {
    let numbered = codec.preferred_payload_type.and_then(|number| router.codec_with_payload_type(number));
    let of_room = numbered.filter(|candidate| {
        same(candidate, &codec.mime_type, codec.clock_rate, codec.channels, &codec.parameters)
    });
    let Some(of_room) = of_room else {
        let (name, number) = (codec.mime_type.subtype(), json!(codec.preferred_payload_type));
        let text = format!("unsupported codec [name:{name}, preferredPayloadType:{number}]");
        return Err(MediasoupError::other(text));
    };
    let mut rtcp_feedback = codec.rtcp_feedback.clone();
    rtcp_feedback.retain(is_of_version_2);
    Ok(RtpCodecCapability { rtcp_feedback, ..of_room.clone() })
}

/// Whether a codec of the room is that one, as version 2 compares.
fn same(
    of_room: &RtpCodecCapability,
    mime_type: &MimeType,
    clock_rate: u32,
    channels: Option<u8>,
    parameters: &CodecParameters,
) -> bool {
    let zero = ParameterValue::from(0);
    let mode = |parameters: &CodecParameters| parameters.get(PACKETIZATION_MODE).unwrap_or(&zero).clone();
    of_room.mime_type == *mime_type
        && of_room.clock_rate == clock_rate
        && of_room.channels == channels
        && (mime_type.codec() != Codec::H264 || mode(&of_room.parameters) == mode(parameters))
        && (!mime_type.is_rtx() || of_room.parameters.apt() == parameters.apt())
}

fn adopt_profile(parameters: &mut CodecParameters, of_room: &CodecParameters) {
    for name in ["profile-level-id", "profile-id", LEVEL_ASYMMETRY] {
        match of_room.get(name) {
            Some(value) => parameters.insert(name, value.clone()),
            None => drop(parameters.0.remove(name)),
        }
    }
}

/// Renames and takes out what version 2 has of its own in encodings, and puts the lowest profile first.
fn sort_encodings(encodings: &mut [Value]) -> Result<Vec<Profile>, MediasoupError> {
    let mut profiles = Vec::new();
    for encoding in encodings.iter_mut() {
        let Value::Object(encoding) = encoding else { continue };
        rename(encoding, "encodingId", "rid");
        let profile = match encoding.remove("profile") {
            None | Some(Value::Null) => Profile::Default,
            Some(value) => value.as_str().and_then(Profile::parse).ok_or_else(|| {
                MediasoupError::wrong_rtp("profile must be 'default', 'low', 'medium' or 'high'")
            })?,
        };
        if profile != Profile::Default && profiles.contains(&profile) {
            return Err(MediasoupError::wrong_rtp("two encodings have the same profile"));
        }
        profiles.push(profile);
    }
    if profiles.len() == encodings.len() {
        let mut order: Vec<usize> = (0..encodings.len()).collect();
        order.sort_by_key(|index| profiles[*index]);
        let sorted: Vec<Value> = order.iter().map(|index| encodings[*index].clone()).collect();
        encodings.clone_from_slice(&sorted);
        profiles.sort_unstable();
    }
    Ok(profiles)
}

fn rename(object: &mut Map<String, Value>, from: &str, to: &str) {
    object.remove(to);
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
