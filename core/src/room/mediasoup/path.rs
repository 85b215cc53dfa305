//! Version 2's shapes of ICE and DTLS: what `createTransport` asks for and is answered.
use std::net::IpAddr;

use serde_json::{Value, json};

use super::error::MediasoupError;
use crate::model::WebRtcTransportData;
use crate::ortc::{IceCandidate, IceParameters, TransportProtocol};
use crate::room::fields::Fields;

/// RFC 8445 section 5.1.2.1 with version 2's preferences: of the type, of every candidate, and what the preferred family and
/// the preferred protocol get in addition.
const TYPE_PREFERENCE: u32 = 64;
const LOCAL_PREFERENCE: u32 = 20_000;
const PREFERRED_FAMILY: u32 = 10_000;
const PREFERRED_PROTOCOL: u32 = 5_000;

/// What a client wants of a transport's candidates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PathOptions {
    prefer_ipv4: bool,
    prefer_ipv6: bool,
    prefer_udp: bool,
}

impl PathOptions {
    /// Reads `options`; absent ones are defaults.
    ///
    /// Errors: something that must be a boolean is none; UDP is not wanted.
    pub(super) fn parse(message: Fields<'_>) -> Result<Self, MediasoupError> {
        if message.get("options").is_none() {
            return Ok(PathOptions::default());
        }
        let options = message.object("options")?;
        for name in ["tcp", "preferTcp"] {
            options.flag(name)?;
        }
        if options.get("udp").is_some() && !options.flag("udp")? {
            return Err(MediasoupError::other("ICE over TCP is not supported"));
        }
        Ok(PathOptions {
            prefer_ipv4: options.flag("preferIPv4")?,
            prefer_ipv6: options.flag("preferIPv6")?,
            prefer_udp: options.flag("preferUdp")?,
        })
    }

    fn priority(self, is_v6: bool, protocol: TransportProtocol) -> u32 {
        let family = if is_v6 { self.prefer_ipv6 } else { self.prefer_ipv4 };
        let preferred_protocol = self.prefer_udp && protocol == TransportProtocol::Udp;
        let local = LOCAL_PREFERENCE
            + if family { PREFERRED_FAMILY } else { 0 }
            + if preferred_protocol { PREFERRED_PROTOCOL } else { 0 };
        (TYPE_PREFERENCE << 24) + (local << 8) + 255
    }

    fn candidate(self, candidate: &IceCandidate) -> Value {
        let is_v6 = candidate.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
        let mut object = json!({
            "family": if is_v6 { "ipv6" } else { "ipv4" },
            "foundation": candidate.foundation,
            "ip": candidate.address,
            "port": candidate.port,
            "priority": self.priority(is_v6, candidate.protocol),
            "protocol": candidate.protocol,
            "type": candidate.r#type,
        });
        if let Some(tcp_type) = candidate.tcp_type {
            object["tcpType"] = json!(tcp_type);
        }
        object
    }

    /// How a new transport is told to its client.
    pub(super) fn describe(self, transport: &WebRtcTransportData) -> Value {
        let candidates = transport.ice_candidates.iter().map(|candidate| self.candidate(candidate));
        json!({
            "iceParameters": ice_parameters(&transport.ice_parameters),
            "iceCandidates": candidates.collect::<Vec<_>>(),
            "dtlsParameters": transport.dtls_parameters,
        })
    }
}

/// Credentials.
pub(super) fn ice_parameters(parameters: &IceParameters) -> Value {
    json!({
        "usernameFragment": parameters.username_fragment,
        "password": parameters.password,
        "iceLite": true,
    })
}
