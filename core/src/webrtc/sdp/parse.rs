//! From lines to an offer.

use std::collections::BTreeMap;

use super::attribute::{self, Wrong};
use super::section::{Codec, Extension, MediaSection, MediaType, Rid, Source, TransportAttributes};
use super::text::{Line, SdpError, lines};
use super::{MAX_EXTENSIONS, MAX_FEEDBACK, MAX_FINGERPRINTS, MAX_RIDS, MAX_SECTIONS, MAX_SOURCES, Offer};
use crate::ortc::{MAX_IDENTIFIER_BYTES, RtcpFeedback};

/// Most tags of `ice-options` that are kept.
const MAX_ICE_OPTIONS: usize = 8;

/// See [`Offer::parse`].
pub(super) fn offer(text: &str) -> Result<Offer, SdpError> {
    let mut parser = Parser::default();
    for line in lines(text)? {
        let line = line?;
        if !parser.version {
            // RFC 8866 section 5: it is what tells SDP from other texts.
            if line.letter != 'v' || line.value.trim() != "0" {
                return Err(line.error("is not v=0, with which SDP begins"));
            }
            parser.version = true;
        } else {
            parser.line(&line).map_err(|wrong| line.error(wrong))?;
        }
    }
    if !parser.version {
        return Err(SdpError::whole("is empty"));
    }
    parser.finish_section();
    Ok(parser.offer)
}

#[derive(Default)]
struct Parser {
    version: bool,
    offer: Offer,
    /// What the session says for sections that do not say it themselves.
    direction: super::Direction,
    extensions: Vec<Extension>,
    open: Option<OpenSection>,
}

/// A section whose lines are being read. They may come in any order, so codecs are put together at its end.
struct OpenSection {
    section: MediaSection,
    direction_said: bool,
    codecs: BTreeMap<u8, Codec>,
    fmtp: BTreeMap<u8, String>,
    feedback: BTreeMap<Option<u8>, Vec<RtcpFeedback>>,
    simulcast: Vec<String>,
}

impl Parser {
    fn line(&mut self, line: &Line<'_>) -> Result<(), Wrong> {
        match (line.letter, &mut self.open) {
            ('m', _) => {
                self.finish_section();
                if self.offer.sections.len() == MAX_SECTIONS {
                    return Err("is one m-line too many");
                }
                self.open = Some(OpenSection::new(line)?);
                Ok(())
            }
            ('a', Some(open)) => {
                let (name, value) = line.attribute();
                if name == "ice-options" {
                    return self.ice_options(value);
                }
                if name == "mid" && self.offer.section(value).is_some() {
                    return Err("has the MID of an earlier section");
                }
                open.attribute(name, value)
            }
            ('a', None) => self.session_attribute(line),
            _ => Ok(()),
        }
    }

    fn session_attribute(&mut self, line: &Line<'_>) -> Result<(), Wrong> {
        let (name, value) = line.attribute();
        match name {
            "group" => {
                let mut tags = value.split_ascii_whitespace();
                if tags.next() == Some("BUNDLE") && self.offer.bundle.is_empty() {
                    self.offer.bundle = tags.by_ref().take(MAX_SECTIONS).map(str::to_owned).collect();
                    if tags.next().is_some() {
                        return Err("names too many sections");
                    }
                }
            }
            "ice-lite" => self.offer.ice_lite = true,
            "ice-options" => self.ice_options(value)?,
            "extmap-allow-mixed" => self.offer.extmap_allow_mixed = true,
            "extmap" => add_extension(&mut self.extensions, value)?,
            _ => match attribute::direction(name) {
                Some(direction) => self.direction = direction,
                None => transport_attribute(&mut self.offer.transport, name, value)?,
            },
        }
        Ok(())
    }

    fn ice_options(&mut self, value: &str) -> Result<(), Wrong> {
        let options = &mut self.offer.ice_options;
        // RFC 8839 separates by spaces; libdatachannel by commas.
        for tag in value.split([' ', ',']).filter(|tag| attribute::is_token(tag)) {
            if options.len() < MAX_ICE_OPTIONS && !options.iter().any(|known| known == tag) {
                options.push(tag.to_owned());
            }
        }
        Ok(())
    }

    fn finish_section(&mut self) {
        if let Some(open) = self.open.take() {
            self.offer.sections.push(open.finish(self.direction, &self.extensions));
        }
    }
}

impl OpenSection {
    fn new(line: &Line<'_>) -> Result<Self, Wrong> {
        let mut parts = line.value.split_ascii_whitespace();
        let name = parts.next().filter(|name| attribute::is_token(name)).ok_or("has no media type")?;
        let port = parts.next().ok_or("has no port")?;
        let port =
            port.split_once('/').map_or(port, |(port, _)| port).parse().map_err(|_| "has a wrong port")?;
        let protocol = parts.next().ok_or("has no protocol")?;
        if protocol.len() > MAX_IDENTIFIER_BYTES {
            return Err("has a wrong protocol");
        }
        // More than there are payload types is refused before it is stored.
        let formats: Vec<String> = parts.by_ref().take(128).map(str::to_owned).collect();
        if formats.is_empty() || parts.next().is_some() {
            return Err("has no format, or more than 128");
        }
        let media = match name {
            "audio" => MediaType::Audio,
            "video" => MediaType::Video,
            "application" => MediaType::Application,
            _ => MediaType::Other,
        };
        Ok(OpenSection {
            section: MediaSection::new(line.number, media, name, port, protocol, formats),
            direction_said: false,
            codecs: BTreeMap::new(),
            fmtp: BTreeMap::new(),
            feedback: BTreeMap::new(),
            simulcast: Vec::new(),
        })
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let section = &mut self.section;
        match name {
            "mid" if attribute::is_token(value) => section.mid = Some(value.to_owned()),
            "mid" => return Err("has no MID that is a token"),
            "bundle-only" => section.bundle_only = true,
            "rtcp-mux" | "rtcp-mux-only" => section.rtcp_mux = true,
            "rtcp-rsize" => section.rtcp_rsize = true,
            "extmap-allow-mixed" => section.extmap_allow_mixed = true,
            "msid" if value.len() <= MAX_IDENTIFIER_BYTES => {
                section.msid.get_or_insert_with(|| value.to_owned());
            }
            // What follows is read only where it is used: other protocols have other formats.
            "rtpmap" | "fmtp" | "rtcp-fb" | "extmap" | "ssrc" | "ssrc-group" | "rid" | "simulcast" => {
                if section.kind().is_some() {
                    self.rtp_attribute(name, value)?;
                }
            }
            _ => match attribute::direction(name) {
                Some(direction) => {
                    section.direction = direction;
                    self.direction_said = true;
                }
                None => transport_attribute(&mut section.transport, name, value)?,
            },
        }
        Ok(())
    }

    fn rtp_attribute(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let section = &mut self.section;
        match name {
            "rtpmap" => {
                let codec = attribute::rtpmap(value)?;
                if self.codecs.insert(codec.payload_type, codec).is_some() {
                    return Err("has a payload type of an earlier rtpmap");
                }
            }
            "fmtp" => {
                let (payload_type, parameters) = attribute::fmtp(value)?;
                self.fmtp.entry(payload_type).or_insert_with(|| parameters.to_owned());
            }
            "rtcp-fb" => {
                let (payload_type, feedback) = attribute::rtcp_feedback(value)?;
                bounded_push(self.feedback.entry(payload_type).or_default(), feedback, MAX_FEEDBACK)?;
            }
            "extmap" => add_extension(&mut section.extensions, value)?,
            "ssrc" => add_source(&mut section.sources, value)?,
            "ssrc-group" => bounded_push(&mut section.groups, attribute::ssrc_group(value)?, MAX_SOURCES)?,
            "rid" => {
                if let Some(rid) = attribute::rid(value)? {
                    if section.rids.iter().any(|known| known.id == rid.id) {
                        return Err("has the RID of an earlier line");
                    }
                    bounded_push(&mut section.rids, rid, MAX_RIDS)?;
                }
            }
            _ => self.simulcast = attribute::simulcast(value)?.into_iter().map(str::to_owned).collect(),
        }
        Ok(())
    }

    fn finish(mut self, direction: super::Direction, extensions: &[Extension]) -> MediaSection {
        let mut section = self.section;
        if !self.direction_said {
            section.direction = direction;
        }
        for extension in extensions {
            if section.kind().is_some() && is_new(&section.extensions, extension) {
                section.extensions.push(extension.clone());
            }
        }
        let for_all = self.feedback.remove(&None).unwrap_or_default();
        for payload_type in section.formats.iter().filter_map(|format| attribute::payload_type(format)) {
            if section.codec(payload_type).is_some() {
                // A format that is named twice.
                continue;
            }
            let codec = self.codecs.remove(&payload_type).or_else(|| static_codec(&section, payload_type));
            let Some(mut codec) = codec else { continue };
            codec.fmtp = self.fmtp.remove(&payload_type);
            codec.feedback = self.feedback.remove(&Some(payload_type)).unwrap_or_default();
            codec.feedback.extend(for_all.iter().cloned());
            section.codecs.push(codec);
        }
        section.simulcast = !self.simulcast.is_empty();
        section.rids = in_simulcast_order(section.rids, &self.simulcast);
        section
    }
}

impl MediaSection {
    fn new(
        line: usize,
        media: MediaType,
        name: &str,
        port: u16,
        protocol: &str,
        formats: Vec<String>,
    ) -> Self {
        MediaSection {
            line,
            media,
            media_name: name.to_owned(),
            port,
            protocol: protocol.to_owned(),
            formats,
            mid: None,
            direction: super::Direction::default(),
            bundle_only: false,
            rtcp_mux: false,
            rtcp_rsize: false,
            extmap_allow_mixed: false,
            transport: TransportAttributes::default(),
            codecs: Vec::new(),
            extensions: Vec::new(),
            sources: Vec::new(),
            groups: Vec::new(),
            rids: Vec::new(),
            simulcast: false,
            msid: None,
        }
    }
}

fn transport_attribute(transport: &mut TransportAttributes, name: &str, value: &str) -> Result<(), Wrong> {
    match name {
        "ice-ufrag" => transport.username_fragment = Some(attribute::username_fragment(value)?),
        "ice-pwd" => transport.password = Some(attribute::password(value)?),
        "setup" => transport.setup = Some(attribute::setup(value)?),
        "fingerprint" => {
            if let Some(fingerprint) = attribute::fingerprint(value)? {
                bounded_push(&mut transport.fingerprints, fingerprint, MAX_FINGERPRINTS)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn add_extension(extensions: &mut Vec<Extension>, value: &str) -> Result<(), Wrong> {
    match attribute::extmap(value)? {
        Some(extension) if is_new(extensions, &extension) => {
            bounded_push(extensions, extension, MAX_EXTENSIONS)
        }
        _ => Ok(()),
    }
}

fn is_new(extensions: &[Extension], extension: &Extension) -> bool {
    !extensions.iter().any(|known| known.id == extension.id || known.uri == extension.uri)
}

fn add_source(sources: &mut Vec<Source>, value: &str) -> Result<(), Wrong> {
    let (ssrc, name, value) = attribute::ssrc(value)?;
    let index = match sources.iter().position(|source| source.ssrc == ssrc) {
        Some(index) => index,
        None => {
            bounded_push(sources, Source { ssrc, cname: None, msid: None }, MAX_SOURCES)?;
            sources.len() - 1
        }
    };
    if let Some(source) = sources.get_mut(index) {
        let field = match name {
            "cname" => &mut source.cname,
            "msid" => &mut source.msid,
            _ => return Ok(()),
        };
        field.get_or_insert_with(|| value.to_owned());
    }
    Ok(())
}

fn bounded_push<T>(list: &mut Vec<T>, item: T, limit: usize) -> Result<(), Wrong> {
    if list.len() >= limit {
        return Err("is one line too many of its kind");
    }
    list.push(item);
    Ok(())
}

/// The RIDs that `a=simulcast` names, in its order; all in the order of their lines where it names none.
fn in_simulcast_order(rids: Vec<Rid>, simulcast: &[String]) -> Vec<Rid> {
    if simulcast.is_empty() {
        return rids;
    }
    let mut ordered: Vec<Rid> = Vec::new();
    for rid in simulcast.iter().filter_map(|id| rids.iter().find(|rid| rid.id == *id)) {
        if !ordered.contains(rid) {
            ordered.push(rid.clone());
        }
    }
    ordered
}

/// The codecs of static payload types that routers can have (RFC 3551 section 6): they need no `rtpmap`.
fn static_codec(section: &MediaSection, payload_type: u8) -> Option<Codec> {
    let name = match (section.media, payload_type) {
        (MediaType::Audio, 0) => "PCMU",
        (MediaType::Audio, 8) => "PCMA",
        (MediaType::Audio, 9) => "G722",
        _ => return None,
    };
    Some(Codec {
        payload_type,
        name: name.to_owned(),
        clock_rate: 8_000,
        channels: None,
        fmtp: None,
        feedback: Vec::new(),
    })
}
