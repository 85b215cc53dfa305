//! The values of single attributes.
//!
//! Each function reads what stands behind the colon; `Err` says what is wrong with it.

use super::section::{Codec, Direction, Extension, Rid, Setup, SourceGroup};
use super::{MAX_RIDS, MAX_SOURCES};
use crate::ortc::{
    DtlsFingerprint, FingerprintAlgorithm, HeaderExtensionDirection, MAX_IDENTIFIER_BYTES, RtcpFeedback,
};

/// What is wrong with an attribute, a predicate: "has no clock rate".
pub(crate) type Wrong = &'static str;

/// Whether it is a `token` (RFC 8866 section 9).
pub(crate) fn is_token(text: &str) -> bool {
    let token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    !text.is_empty() && text.len() <= MAX_IDENTIFIER_BYTES && text.bytes().all(token_byte)
}

/// `ice-ufrag`: 4 to 256 characters (RFC 8839 section 5.4).
pub(crate) fn username_fragment(value: &str) -> Result<String, Wrong> {
    ice_string(value, 4).ok_or("is not 4 to 256 ICE characters")
}

/// `ice-pwd`: 22 to 256 characters (RFC 8839 section 5.4).
pub(crate) fn password(value: &str) -> Result<String, Wrong> {
    ice_string(value, 22).ok_or("is not 22 to 256 ICE characters")
}

/// `fingerprint`; `None` when the hash is one that nothing here can check (RFC 8122 section 5).
pub(super) fn fingerprint(value: &str) -> Result<Option<DtlsFingerprint>, Wrong> {
    let (name, hash) = value.split_once(' ').ok_or("is not a hash function and a fingerprint")?;
    let Some(algorithm) = FingerprintAlgorithm::parse(name) else { return Ok(None) };
    let fingerprint = DtlsFingerprint::parse(algorithm, hash.trim());
    fingerprint
        .map(Some)
        .ok_or("has a fingerprint of another length than its hash function's, or not hexadecimal")
}

/// `setup`.
pub(super) fn setup(value: &str) -> Result<Setup, Wrong> {
    match value {
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        "actpass" => Ok(Setup::ActPass),
        _ => Err("is not active, passive or actpass"),
    }
}

/// `sendrecv` and so on; `None` for other attributes.
pub(super) fn direction(name: &str) -> Option<Direction> {
    match name {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// `rtpmap`: payload type, name, clock rate, channels (RFC 8866 section 6.6).
pub(super) fn rtpmap(value: &str) -> Result<Codec, Wrong> {
    let (payload_type, rest) = with_payload_type(value)?;
    let mut parts = rest.trim().split('/');
    let name = parts.next().filter(|name| is_token(name)).ok_or("has no encoding name")?;
    let clock_rate = parts.next().and_then(|rate| rate.parse().ok()).filter(|&rate| rate > 0);
    let channels = match parts.next() {
        None => None,
        Some(text) => {
            Some(text.parse().ok().filter(|&channels| channels > 0).ok_or("has a wrong number of channels")?)
        }
    };
    Ok(Codec {
        payload_type,
        name: name.to_owned(),
        clock_rate: clock_rate.ok_or("has no clock rate")?,
        channels,
        fmtp: None,
        feedback: Vec::new(),
    })
}

/// `fmtp`: payload type and format parameters.
pub(super) fn fmtp(value: &str) -> Result<(u8, &str), Wrong> {
    with_payload_type(value)
}

/// `rtcp-fb`: payload type (`None`: all) and feedback (RFC 4585 section 4.2).
pub(super) fn rtcp_feedback(value: &str) -> Result<(Option<u8>, RtcpFeedback), Wrong> {
    let (payload_type, feedback) = match value.strip_prefix("* ") {
        Some(feedback) => (None, feedback),
        None => with_payload_type(value).map(|(payload_type, rest)| (Some(payload_type), rest))?,
    };
    let (feedback_type, parameter) = feedback.trim().split_once(' ').unwrap_or((feedback.trim(), ""));
    if !is_token(feedback_type) {
        return Err("has no feedback type");
    }
    Ok((payload_type, RtcpFeedback::new(feedback_type, parameter.trim())))
}

/// `extmap` (RFC 8285 section 5); `None` when the id is one that cannot stand in a packet.
pub(super) fn extmap(value: &str) -> Result<Option<Extension>, Wrong> {
    let mut parts = value.split_ascii_whitespace();
    let entry = parts.next().ok_or("has no id")?;
    let uri = parts.next().ok_or("has no URI")?;
    let (id, direction) = entry.split_once('/').unwrap_or((entry, "sendrecv"));
    let direction = match direction {
        "sendrecv" => HeaderExtensionDirection::SendRecv,
        "sendonly" => HeaderExtensionDirection::SendOnly,
        "recvonly" => HeaderExtensionDirection::RecvOnly,
        "inactive" => HeaderExtensionDirection::Inactive,
        _ => return Err("has a wrong direction"),
    };
    let id: u16 = id.parse().map_err(|_| "has a wrong id")?;
    // 4096 and above offer more extensions than there are ids (section 6); nothing here needs that many. 15 is reserved.
    match u8::try_from(id) {
        Ok(id) if id != 0 && id != 15 => Ok(Some(Extension { id, direction, uri: uri.to_owned() })),
        _ => Ok(None),
    }
}

/// `ssrc`: SSRC, and name and value of its attribute (RFC 5576 section 4.1).
pub(super) fn ssrc(value: &str) -> Result<(u32, &str, &str), Wrong> {
    let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
    let ssrc = ssrc.parse().map_err(|_| "has a wrong SSRC")?;
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    if name == "cname" && value.len() > MAX_IDENTIFIER_BYTES {
        return Err("has a CNAME that is too long");
    }
    Ok((ssrc, name, value))
}

/// `ssrc-group`.
pub(super) fn ssrc_group(value: &str) -> Result<SourceGroup, Wrong> {
    let mut parts = value.split_ascii_whitespace();
    let semantics = parts.next().filter(|semantics| is_token(semantics)).ok_or("has no semantics")?;
    let ssrcs: Option<Vec<u32>> = parts.by_ref().take(MAX_SOURCES).map(|ssrc| ssrc.parse().ok()).collect();
    let ssrcs = ssrcs.ok_or("has a wrong SSRC")?;
    if parts.next().is_some() {
        return Err("has too many SSRCs");
    }
    Ok(SourceGroup { semantics: semantics.to_owned(), ssrcs })
}

/// `rid`; `None` for one that the client receives (RFC 8851 section 4).
pub(super) fn rid(value: &str) -> Result<Option<Rid>, Wrong> {
    let mut parts = value.splitn(3, ' ');
    let id = parts.next().filter(|id| is_rid(id)).ok_or("has no RID of letters and digits")?;
    match parts.next() {
        Some("send") => {}
        Some("recv") => return Ok(None),
        _ => return Err("is neither send nor recv"),
    }
    let mut payload_types = Vec::new();
    let mut restrictions = Vec::new();
    for restriction in parts.next().unwrap_or("").split(';').map(str::trim).filter(|text| !text.is_empty()) {
        match restriction.strip_prefix("pt=") {
            Some(list) => {
                let list: Option<Vec<u8>> = list.split(',').take(128).map(payload_type).collect();
                payload_types = list.ok_or("has a wrong payload type")?;
            }
            None => restrictions.push(restriction),
        }
    }
    Ok(Some(Rid { id: id.to_owned(), payload_types, restrictions: restrictions.join(";") }))
}

/// The RIDs to send of `simulcast`, in its order; of alternatives the first (RFC 8853 section 5.1).
pub(super) fn simulcast(value: &str) -> Result<Vec<&str>, Wrong> {
    let mut parts = value.split_ascii_whitespace();
    while let (Some(direction), Some(streams)) = (parts.next(), parts.next()) {
        match direction {
            "send" => {
                let rids: Option<Vec<&str>> =
                    streams.split(';').take(MAX_RIDS + 1).map(first_alternative).collect();
                let rids = rids.ok_or("has a wrong RID")?;
                return if rids.len() > MAX_RIDS { Err("has too many streams") } else { Ok(rids) };
            }
            "recv" => {}
            _ => return Err("is neither send nor recv"),
        }
    }
    Ok(Vec::new())
}

/// A payload type: 0 to 127.
pub(super) fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|&payload_type| payload_type <= 127)
}

/// Whether it is a RID; `-` and `_` are of RFC 8851, and gone from RFC 8852.
pub(super) fn is_rid(text: &str) -> bool {
    let rid_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= MAX_IDENTIFIER_BYTES && text.bytes().all(rid_byte)
}

fn ice_string(value: &str, min: usize) -> Option<String> {
    // RFC 8839 has letters, digits, `+` and `/`; implementations have sent `-` and `=`, which do no harm.
    let ok = (min..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    ok.then(|| value.to_owned())
}

fn first_alternative(stream: &str) -> Option<&str> {
    let first = stream.split_once(',').map_or(stream, |(first, _)| first);
    // A tilde says that the stream starts paused.
    let rid = first.strip_prefix('~').unwrap_or(first);
    is_rid(rid).then_some(rid)
}

fn with_payload_type(value: &str) -> Result<(u8, &str), Wrong> {
    let (number, rest) = value.split_once(' ').unwrap_or((value, ""));
    Ok((payload_type(number).ok_or("has a wrong payload type")?, rest.trim()))
}
