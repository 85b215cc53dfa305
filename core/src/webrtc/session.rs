//! What is kept of an offer once it is answered.

use super::WebRtcError;
use super::sdp::{MediaSection, Offer, Setup};
use crate::id::TransportId;
use crate::ortc::{DtlsParameters, DtlsRole, IceParameters};

/// A WHIP or WHEP resource: what has to be remembered to understand the fragments that are sent to it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    transport: TransportId,
    remote: RemoteCredentials,
    section: TaggedSection,
    bundle: Vec<String>,
    etag: String,
}

impl Session {
    pub(super) fn new(
        transport: TransportId,
        remote: RemoteCredentials,
        section: TaggedSection,
        bundle: Vec<String>,
        local: &IceParameters,
    ) -> Self {
        Session { transport, remote, section, bundle, etag: etag(local) }
    }

    /// The client has restarted ICE with `remote`, and was given `local`.
    pub(super) fn restarted(&mut self, remote: RemoteCredentials, local: &IceParameters) {
        self.remote = remote;
        self.etag = etag(local);
    }

    /// The transport that it is about.
    pub fn transport(&self) -> TransportId {
        self.transport
    }

    /// The entity tag of the present ICE session (RFC 9725 section 4.3.1), strong, with its quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    pub(super) fn remote(&self) -> &RemoteCredentials {
        &self.remote
    }

    pub(super) fn section(&self) -> &TaggedSection {
        &self.section
    }

    pub(super) fn bundle(&self) -> &[String] {
        &self.bundle
    }
}

/// The client's ICE credentials. They are not used (an ICE-Lite server sends no checks) but to notice a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteCredentials {
    pub username_fragment: String,
    pub password: String,
}

/// The section whose transport is used: the first of the answer's BUNDLE group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TaggedSection {
    pub media_name: String,
    pub protocol: String,
    pub format: String,
    pub mid: Option<String>,
}

impl TaggedSection {
    pub fn new(section: &MediaSection) -> Self {
        TaggedSection {
            media_name: section.media_name.clone(),
            protocol: section.protocol.clone(),
            format: section.formats.first().cloned().unwrap_or_default(),
            mid: section.mid.clone(),
        }
    }
}

/// The client's end of the transport, as far as an offer says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteTransport {
    pub credentials: RemoteCredentials,
    pub dtls_parameters: DtlsParameters,
}

impl RemoteTransport {
    /// The transport for `sections`, those that are to be accepted.
    ///
    /// Errors: what WebRTC needs is missing (400), or is one of its forms that this server cannot do (422).
    pub fn of(offer: &Offer, sections: &[&MediaSection]) -> Result<Self, WebRtcError> {
        if offer.ice_lite {
            return Err(WebRtcError::unprocessable(
                "a=ice-lite: one side must be a full ICE agent, and the server is not",
            ));
        }
        let bundled = |section: &MediaSection| {
            section.mid.as_ref().is_some_and(|mid| offer.bundle.iter().any(|tag| tag == mid))
        };
        if let Some(section) = sections.iter().find(|section| !section.rtcp_mux) {
            return Err(WebRtcError::unprocessable(format!("{} has no a=rtcp-mux", describe(section))));
        }
        if let Some(section) = sections.iter().find(|section| sections.len() > 1 && !bundled(section)) {
            let section = describe(section);
            return Err(WebRtcError::unprocessable(format!(
                "{section} is not in the BUNDLE group, as all have to be"
            )));
        }
        let Some(tagged) = sections.first() else {
            return Err(WebRtcError::unprocessable("no section to be accepted"));
        };
        RemoteTransport::of_section(offer, tagged)
    }

    fn of_section(offer: &Offer, tagged: &MediaSection) -> Result<Self, WebRtcError> {
        let attributes = offer.transport_of(tagged);
        let missing = |name: &str| WebRtcError::malformed(format!("{} has no a={name}", describe(tagged)));
        let role = match attributes.setup.ok_or_else(|| missing("setup"))? {
            Setup::ActPass | Setup::Active => DtlsRole::Client,
            Setup::Passive => DtlsRole::Server,
        };
        if attributes.fingerprints.is_empty() {
            return Err(missing("fingerprint of a hash function that is known here"));
        }
        Ok(RemoteTransport {
            credentials: RemoteCredentials {
                username_fragment: attributes.username_fragment.ok_or_else(|| missing("ice-ufrag"))?,
                password: attributes.password.ok_or_else(|| missing("ice-pwd"))?,
            },
            dtls_parameters: DtlsParameters { role, fingerprints: attributes.fingerprints },
        })
    }
}

/// A section, for people.
pub(super) fn describe(section: &MediaSection) -> String {
    format!("SDP line {} \"m={}\"", section.line, section.media_name)
}

/// The local username fragment changes with every restart, and is known to nobody but this client.
fn etag(local: &IceParameters) -> String {
    format!("\"{}\"", local.username_fragment)
}
