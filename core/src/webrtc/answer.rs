//! Writing answers.

use std::fmt::Write;
use std::net::IpAddr;

use super::sdp::{Direction, MediaSection, Offer, Rid};
use crate::id::TransportId;
use crate::model::WebRtcTransportData;
use crate::ortc::{
    Codec, DtlsFingerprint, DtlsRole, FingerprintAlgorithm, HeaderExtensionDirection, IceCandidate,
    ParameterValue, RtpCodecParameters, RtpParameters, TransportProtocol,
};

/// What is answered to an m-line.
#[derive(Debug)]
pub(super) enum Answer {
    /// Port 0.
    Rejected,
    /// Accepted.
    Accepted {
        /// Which way media flows, seen from the server.
        direction: Direction,
        /// Codecs and header extensions in use; when the server sends also its stream.
        parameters: RtpParameters,
        /// Media stream and track id, when the server sends.
        msid: Option<String>,
    },
}

impl Answer {
    /// Whether it is not [`Answer::Rejected`].
    pub fn is_accepted(&self) -> bool {
        matches!(self, Answer::Accepted { .. })
    }
}

/// The answer to `offer`, `sections` in the order of the offer's; `remote_role` is what the client does in DTLS.
pub(super) fn write(
    offer: &Offer,
    sections: &[Answer],
    transport: &WebRtcTransportData,
    remote_role: DtlsRole,
) -> String {
    let mut writer = Writer { text: String::with_capacity(4_096) };
    writer.session(offer, sections, transport.id);
    let mut candidates = Some(transport.ice_candidates.as_slice());
    for (section, answer) in offer.sections.iter().zip(sections) {
        match answer {
            Answer::Rejected => writer.rejected(section),
            Answer::Accepted { direction, parameters, msid } => {
                writer.m_line(section, parameters, transport);
                writer.transport(transport, remote_role);
                if let Some(candidates) = candidates.take() {
                    // Once: the others are bundled with it (RFC 8843 section 7.1.3).
                    writer.candidates(candidates);
                }
                writer.identification(section, *direction, msid.as_deref());
                writer.extensions(section, parameters);
                for codec in &parameters.codecs {
                    writer.codec(section, codec, direction.receives());
                }
                if direction.receives() {
                    writer.rids(section, parameters);
                }
                if direction.sends() {
                    writer.sources(parameters);
                }
            }
        }
    }
    writer.text
}

/// The lines of candidates and their end (RFC 8839 section 5.1, RFC 8840 section 8.2).
pub(super) fn candidate_lines(candidates: &[IceCandidate]) -> String {
    let mut writer = Writer { text: String::new() };
    writer.candidates(candidates);
    writer.text
}

/// `a=ice-options` of an answer: what is offered and also done here (trickling, RFC 8838; RFC 8445).
pub(super) fn ice_options(offer: &Offer) -> Option<String> {
    let offered = |tag: &&str| offer.ice_options.iter().any(|offered| offered == tag);
    let options: Vec<_> = ["trickle", "ice2"].into_iter().filter(offered).collect();
    (!options.is_empty()).then(|| options.join(" "))
}

struct Writer {
    text: String,
}

impl Writer {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push_str("\r\n");
    }

    fn session(&mut self, offer: &Offer, sections: &[Answer], transport: TransportId) {
        // RFC 8829 section 5.2.1: 63 bits, to be safe in signed arithmetic.
        let session_id = transport.own.to_bits() & (u64::MAX >> 1);
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {session_id} 1 IN IP4 127.0.0.1"));
        self.line(format_args!("s=-"));
        self.line(format_args!("t=0 0"));
        self.line(format_args!("a=ice-lite"));
        if let Some(options) = ice_options(offer) {
            self.line(format_args!("a=ice-options:{options}"));
        }
        let bundle = bundled_mids(offer, sections).join(" ");
        if !bundle.is_empty() {
            self.line(format_args!("a=group:BUNDLE {bundle}"));
        }
        if offer.extmap_allow_mixed {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        self.line(format_args!("a=msid-semantic:WMS *"));
    }

    fn rejected(&mut self, section: &MediaSection) {
        // The formats mean nothing (RFC 3264 section 6), but there has to be one.
        let format = section.formats.first().map_or("0", String::as_str);
        self.line(format_args!("m={} 0 {} {format}", section.media_name, section.protocol));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=inactive"));
        if let Some(mid) = &section.mid {
            self.line(format_args!("a=mid:{mid}"));
        }
    }

    fn m_line(
        &mut self,
        section: &MediaSection,
        parameters: &RtpParameters,
        transport: &WebRtcTransportData,
    ) {
        let (port, address) = default_destination(&transport.ice_candidates);
        let formats: Vec<_> = parameters.codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        self.line(format_args!("m={} {port} {} {}", section.media_name, section.protocol, formats.join(" ")));
        self.line(format_args!("c=IN {address}"));
    }

    fn transport(&mut self, transport: &WebRtcTransportData, remote_role: DtlsRole) {
        let ice = &transport.ice_parameters;
        self.line(format_args!("a=ice-ufrag:{}", ice.username_fragment));
        self.line(format_args!("a=ice-pwd:{}", ice.password));
        if let Some(fingerprint) = preferred_fingerprint(&transport.dtls_parameters.fingerprints) {
            let algorithm = fingerprint.algorithm.as_str();
            self.line(format_args!("a=fingerprint:{algorithm} {}", fingerprint.value_string()));
        }
        // RFC 8842 section 5.3: an answer says who it is, never actpass.
        let setup = if remote_role == DtlsRole::Server { "active" } else { "passive" };
        self.line(format_args!("a=setup:{setup}"));
    }

    fn candidates(&mut self, candidates: &[IceCandidate]) {
        for candidate in candidates {
            let IceCandidate { foundation, priority, address, port, .. } = candidate;
            let (protocol, tcp_type) = match candidate.protocol {
                TransportProtocol::Udp => ("udp", ""),
                TransportProtocol::Tcp => ("tcp", " tcptype passive"),
            };
            self.line(format_args!(
                "a=candidate:{foundation} 1 {protocol} {priority} {address} {port} typ host{tcp_type}"
            ));
        }
        self.line(format_args!("a=end-of-candidates"));
    }

    fn identification(&mut self, section: &MediaSection, direction: Direction, msid: Option<&str>) {
        if let Some(mid) = &section.mid {
            self.line(format_args!("a=mid:{mid}"));
        }
        self.line(format_args!("a={}", direction.as_str()));
        if let Some(msid) = msid {
            self.line(format_args!("a=msid:{msid}"));
        }
        self.line(format_args!("a=rtcp-mux"));
        if section.rtcp_rsize {
            self.line(format_args!("a=rtcp-rsize"));
        }
    }

    fn extensions(&mut self, section: &MediaSection, parameters: &RtpParameters) {
        if section.extmap_allow_mixed {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        for extension in &parameters.header_extensions {
            let offered = section.extensions.iter().find(|offered| offered.id == extension.id);
            // RFC 8285 section 6: a direction is answered with its opposite; none was meant as both ways.
            let direction = match offered.map(|offered| offered.direction) {
                Some(HeaderExtensionDirection::SendOnly) => "/recvonly",
                Some(HeaderExtensionDirection::RecvOnly) => "/sendonly",
                _ => "",
            };
            self.line(format_args!("a=extmap:{}{direction} {}", extension.id, extension.uri));
        }
    }

    fn codec(&mut self, section: &MediaSection, codec: &RtpCodecParameters, receives: bool) {
        let payload_type = codec.payload_type;
        let offered = section.codec(payload_type);
        let name = offered.map_or(codec.mime_type.subtype(), |offered| offered.name.as_str());
        let channels = match offered.map_or(codec.channels, |offered| offered.channels) {
            Some(channels) => format!("/{channels}"),
            None => String::new(),
        };
        self.line(format_args!("a=rtpmap:{payload_type} {name}/{}{channels}", codec.clock_rate));
        for feedback in &codec.rtcp_feedback {
            // What consumers have is the client's list, and may name what is not known here.
            let text = format!("{} {}", feedback.r#type, feedback.parameter);
            if matches!(text.trim_end(), "nack" | "nack pli" | "ccm fir" | "transport-cc" | "goog-remb") {
                self.line(format_args!("a=rtcp-fb:{payload_type} {}", text.trim_end()));
            }
        }
        // Mirrored, as the client spells it: its own parameters are what it can do, and identify the codec.
        if let Some(fmtp) =
            offered.and_then(|offered| offered.fmtp.as_deref()).filter(|fmtp| !fmtp.is_empty())
        {
            let stereo = if receives && wants_stereo(codec) { ";stereo=1" } else { "" };
            self.line(format_args!("a=fmtp:{payload_type} {fmtp}{stereo}"));
        }
    }

    fn rids(&mut self, section: &MediaSection, parameters: &RtpParameters) {
        let rids: Vec<&Rid> = parameters
            .encodings
            .iter()
            .filter_map(|encoding| section.rids.iter().find(|rid| Some(&rid.id) == encoding.rid.as_ref()))
            .collect();
        for rid in &rids {
            let mut restrictions = Vec::new();
            if let (false, Some(codec)) = (rid.payload_types.is_empty(), parameters.media_codec()) {
                restrictions.push(format!("pt={}", codec.payload_type));
            }
            if !rid.restrictions.is_empty() {
                restrictions.push(rid.restrictions.clone());
            }
            let space = if restrictions.is_empty() { "" } else { " " };
            self.line(format_args!("a=rid:{} recv{space}{}", rid.id, restrictions.join(";")));
        }
        if section.simulcast && !rids.is_empty() {
            let ids: Vec<_> = rids.iter().map(|rid| rid.id.as_str()).collect();
            self.line(format_args!("a=simulcast:recv {}", ids.join(";")));
        }
    }

    fn sources(&mut self, parameters: &RtpParameters) {
        let Some((encoding, ssrc)) =
            parameters.encodings.iter().find_map(|encoding| Some((encoding, encoding.ssrc?)))
        else {
            return;
        };
        let cname = parameters.rtcp.cname.as_deref().unwrap_or("-");
        if let Some(rtx) = encoding.rtx {
            self.line(format_args!("a=ssrc-group:FID {ssrc} {}", rtx.ssrc));
            self.line(format_args!("a=ssrc:{ssrc} cname:{cname}"));
            self.line(format_args!("a=ssrc:{} cname:{cname}", rtx.ssrc));
        } else {
            self.line(format_args!("a=ssrc:{ssrc} cname:{cname}"));
        }
    }
}

/// The MIDs of the answer's BUNDLE group: of what is accepted, those that the offer's group has (RFC 8843 section 7.3).
pub(super) fn bundled_mids<'a>(offer: &'a Offer, sections: &[Answer]) -> Vec<&'a str> {
    let accepted = offer.sections.iter().zip(sections).filter(|(_, answer)| answer.is_accepted());
    let mids = accepted.filter_map(|(section, _)| section.mid.as_deref());
    mids.filter(|mid| offer.bundle.iter().any(|tag| tag == mid)).collect()
}

/// Port and address of the first candidate (RFC 8839 section 4.2.1.2), or those that say "see the candidates".
fn default_destination(candidates: &[IceCandidate]) -> (u16, String) {
    match candidates.first().map(|candidate| (candidate.port, candidate.address.parse())) {
        Some((port, Ok(IpAddr::V4(address)))) => (port, format!("IP4 {address}")),
        Some((port, Ok(IpAddr::V6(address)))) => (port, format!("IP6 {address}")),
        _ => (9, "IP4 0.0.0.0".to_owned()),
    }
}

/// SHA-256, which every WebRTC endpoint can check (RFC 8827 section 6.5), if it is there.
fn preferred_fingerprint(fingerprints: &[DtlsFingerprint]) -> Option<&DtlsFingerprint> {
    let sha256 =
        fingerprints.iter().find(|fingerprint| fingerprint.algorithm == FingerprintAlgorithm::Sha256);
    sha256.or_else(|| fingerprints.first())
}

/// Whether the client says that it would send Opus in stereo, and not that it would receive it: to be sent so it must be
/// asked for (RFC 7587 section 7.1).
fn wants_stereo(codec: &RtpCodecParameters) -> bool {
    let is_one = |name| codec.parameters.get(name).and_then(ParameterValue::as_u64) == Some(1);
    codec.mime_type.codec() == Codec::Opus
        && is_one("sprop-stereo")
        && codec.parameters.get("stereo").is_none()
}
