//! ICE and DTLS in signaling.

use std::fmt::Write;

use serde::{Deserialize, Serialize, Serializer};

use super::OrtcError;
use super::json::{MAX_STRING_BYTES, Node, json_dictionary};

/// Most fingerprints in one [`DtlsParameters`].
pub const MAX_FINGERPRINTS: usize = 16;

/// The server's ICE credentials (RFC 8445 section 5.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceParameters {
    /// `ice-ufrag`.
    pub username_fragment: String,
    /// `ice-pwd`.
    pub password: String,
    /// Whether it is an ICE-Lite agent; a server of ours always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ice_lite: Option<bool>,
}

/// The protocol below ICE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportProtocol {
    /// UDP.
    Udp,
    /// TCP (RFC 6544).
    Tcp,
}

/// What an ICE candidate is; an ICE-Lite server has host candidates only (RFC 8445 section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceCandidateType {
    /// An address of the host itself, or the announced one in its place.
    Host,
    /// Server reflexive.
    Srflx,
    /// Peer reflexive.
    Prflx,
    /// Relayed.
    Relay,
}

/// Which side opens the TCP connection (RFC 6544); a server never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceCandidateTcpType {
    /// The other side opens it.
    Passive,
}

/// An address of the server (RFC 8445 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceCandidate {
    /// Equal for candidates of one type, base and protocol.
    pub foundation: String,
    /// Higher is better.
    pub priority: u32,
    /// IP address or host name.
    pub address: String,
    /// The same as [`Self::address`], for clients of earlier versions.
    pub ip: String,
    /// UDP or TCP.
    pub protocol: TransportProtocol,
    /// Port.
    pub port: u16,
    /// What it is.
    pub r#type: IceCandidateType,
    /// With TCP only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_type: Option<IceCandidateTcpType>,
}

/// DTLS of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct DtlsParameters {
    /// Who sends the ClientHello.
    pub role: DtlsRole,
    /// Fingerprints of the certificate; never empty.
    pub fingerprints: Vec<DtlsFingerprint>,
}

json_dictionary!(DtlsParameters, "dtlsParameters");

impl DtlsParameters {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let fingerprints = node.member("fingerprints");
        let parameters = Self {
            role: DtlsRole::read(&node.member("role"))?,
            fingerprints: fingerprints.required_list(MAX_FINGERPRINTS, DtlsFingerprint::read)?,
        };
        if parameters.fingerprints.is_empty() {
            return Err(fingerprints.error("must not be empty"));
        }
        Ok(parameters)
    }
}

/// Who sends the ClientHello.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsRole {
    /// The other side decides.
    #[default]
    Auto,
    /// This side.
    Client,
    /// The other side.
    Server,
}

impl DtlsRole {
    fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        match node.optional_string(MAX_STRING_BYTES)?.as_deref() {
            None | Some("auto") => Ok(Self::Auto),
            Some("client") => Ok(Self::Client),
            Some("server") => Ok(Self::Server),
            Some(_) => Err(node.error("must be 'auto', 'client' or 'server'")),
        }
    }
}

/// The hash of a fingerprint (RFC 8122 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FingerprintAlgorithm {
    /// SHA-1, 20 bytes.
    #[serde(rename = "sha-1")]
    Sha1,
    /// SHA-224, 28 bytes.
    #[serde(rename = "sha-224")]
    Sha224,
    /// SHA-256, 32 bytes.
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-384, 48 bytes.
    #[serde(rename = "sha-384")]
    Sha384,
    /// SHA-512, 64 bytes.
    #[serde(rename = "sha-512")]
    Sha512,
}

impl FingerprintAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in SDP and JSON, such as `sha-256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The algorithm of that name, in any case (RFC 8122 section 5).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// The length of its hash in bytes.
    pub fn len_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a certificate (RFC 8122 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct DtlsFingerprint {
    /// The hash function.
    pub algorithm: FingerprintAlgorithm,
    /// The hash: as many bytes as the algorithm makes. In JSON: upper-case hexadecimal with colons.
    #[serde(serialize_with = "serialize_hexadecimal")]
    pub value: Vec<u8>,
}

json_dictionary!(DtlsFingerprint, "fingerprint");

impl DtlsFingerprint {
    /// Reads `AB:CD:…` (either case) as the hash of that algorithm; `None` if digits, colons or length are wrong.
    pub fn parse(algorithm: FingerprintAlgorithm, text: &str) -> Option<Self> {
        if text.len() != algorithm.len_bytes() * 3 - 1 {
            return None;
        }
        let byte = |pair: &str| match pair.as_bytes() {
            [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                u8::from_str_radix(pair, 16).ok()
            }
            _ => None,
        };
        let value = text.split(':').map(byte).collect::<Option<Vec<u8>>>()?;
        (value.len() == algorithm.len_bytes()).then_some(Self { algorithm, value })
    }

    /// The hash as upper-case hexadecimal with colons.
    pub fn value_string(&self) -> String {
        hexadecimal(&self.value)
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let algorithm = node.member("algorithm");
        let value = node.member("value");
        let known = FingerprintAlgorithm::parse(&algorithm.string(MAX_STRING_BYTES)?).ok_or_else(|| {
            algorithm.error("must be 'sha-1', 'sha-224', 'sha-256', 'sha-384' or 'sha-512'")
        })?;
        Self::parse(known, &value.string(MAX_STRING_BYTES)?).ok_or_else(|| {
            value.error(&format!("must be {} pairs of hexadecimal digits with colons", known.len_bytes()))
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (index, byte) in bytes.iter().enumerate() {
        let colon = if index == 0 { "" } else { ":" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

fn serialize_hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hexadecimal(bytes))
}
