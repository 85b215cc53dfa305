//! The certificate that a server shows to its peers, and fingerprints.

use std::fmt;
use std::str::FromStr;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePrivateKey, ObjectIdentifier, PrivateKeyInfoRef};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::TbsCertificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::der::asn1::GeneralizedTime;
use x509_cert::der::{DateTime, Decode, Document, Encode};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{EncodePublicKey, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use crate::ortc::{DtlsFingerprint, FingerprintAlgorithm};
use crate::rng::Rng;

/// Subject and issuer of generated certificates.
const COMMON_NAME: &str = "CN=sansfu";

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Longest PEM text that is read, bytes.
const MAX_PEM_LEN: usize = 64 << 10;

/// A certificate with its private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    certificate_der: Vec<u8>,
    private_key_der: Vec<u8>,
    fingerprints: Vec<DtlsFingerprint>,
}

impl Certificate {
    /// A self-signed certificate with a key of curve P-256. The same state of `rng` makes the same certificate: the
    /// signature is deterministic (RFC 6979), and its validity, which WebRTC does not look at, wide and fixed.
    ///
    /// # Errors
    /// [`CertificateError::NotGenerated`], which no seed should lead to.
    pub fn generate(rng: &mut Rng) -> Result<Self, CertificateError> {
        let key = generate_key(rng);
        let failed = |_| CertificateError::NotGenerated;
        let certificate_der = self_signed(&key, rng).map_err(failed)?;
        let private_key_der = key.to_pkcs8_der().map_err(|_| CertificateError::NotGenerated)?;
        Ok(Self::new(certificate_der, private_key_der.as_bytes().to_vec()))
    }

    /// A certificate, the first of a chain, and its private key (PKCS #8 or SEC 1) from PEM texts. Both must be of curve
    /// P-256 or P-384. That they belong together is checked by the backend, which can sign.
    ///
    /// # Errors
    /// What is wrong with which of the two.
    pub fn from_pem(certificate_pem: &str, private_key_pem: &str) -> Result<Self, CertificateError> {
        let blocks = pem_blocks(certificate_pem, "certificate")?;
        let block = blocks.iter().find(|block| block.label == "CERTIFICATE");
        let certificate_der = block.ok_or(CertificateError::NotPem("certificate"))?.decode("certificate")?;
        let certificate = x509_cert::Certificate::from_der(&certificate_der)
            .map_err(|_| CertificateError::Malformed("certificate"))?;
        let algorithm = &certificate.tbs_certificate().subject_public_key_info().algorithm;
        let curve = algorithm.parameters.as_ref().and_then(|curve| curve.decode_as().ok());
        require_curve("certificate", algorithm.oid, curve)?;
        Ok(Self::new(certificate_der, private_key_from_pem(private_key_pem)?))
    }

    /// The certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The private key, PKCS #8 or SEC 1, DER.
    pub fn private_key_der(&self) -> &[u8] {
        &self.private_key_der
    }

    /// The hashes of the certificate with SHA-512, SHA-384 and SHA-256, in this order: the one that everybody knows is the
    /// last one, which mediasoup's clients take.
    pub fn fingerprints(&self) -> &[DtlsFingerprint] {
        &self.fingerprints
    }

    fn new(certificate_der: Vec<u8>, private_key_der: Vec<u8>) -> Self {
        let algorithms =
            [FingerprintAlgorithm::Sha512, FingerprintAlgorithm::Sha384, FingerprintAlgorithm::Sha256];
        let fingerprints =
            algorithms.into_iter().filter_map(|algorithm| fingerprint(algorithm, &certificate_der)).collect();
        Self { certificate_der, private_key_der, fingerprints }
    }
}

/// The private key stays out of logs.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("fingerprints", &self.fingerprints).finish_non_exhaustive()
    }
}

/// The hash of a certificate (RFC 8122 section 5); `None` for SHA-1 and SHA-224, which prove too little.
pub fn fingerprint(algorithm: FingerprintAlgorithm, certificate_der: &[u8]) -> Option<DtlsFingerprint> {
    let value = match algorithm {
        FingerprintAlgorithm::Sha1 | FingerprintAlgorithm::Sha224 => return None,
        FingerprintAlgorithm::Sha256 => Sha256::digest(certificate_der).to_vec(),
        FingerprintAlgorithm::Sha384 => Sha384::digest(certificate_der).to_vec(),
        FingerprintAlgorithm::Sha512 => Sha512::digest(certificate_der).to_vec(),
    };
    Some(DtlsFingerprint { algorithm, value })
}

/// Why there is no certificate. The text names which of certificate and private key is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// There is no PEM block of the kind that is looked for.
    NotPem(&'static str),
    /// The PEM block holds something else.
    Malformed(&'static str),
    /// The key is encrypted; there is no way to ask for the password.
    Encrypted,
    /// RSA, which the DTLS library does not know.
    Rsa(&'static str),
    /// Another algorithm, or a curve other than P-256 and P-384.
    UnsupportedKey(&'static str),
    /// The private key is not that of the certificate.
    KeyMismatch,
    /// The DTLS library refused its settings.
    Refused(String),
    /// No certificate could be generated.
    NotGenerated,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPem(what) => write!(f, "no PEM block with a {what} found"),
            Self::Malformed(what) => write!(f, "the {what} cannot be read"),
            Self::Encrypted => f.write_str("the private key is encrypted; give it in plain PKCS #8 or SEC 1"),
            Self::Rsa(what) => write!(f, "the {what} is RSA; use ECDSA with curve P-256 or P-384"),
            Self::UnsupportedKey(what) => {
                write!(f, "the {what} is of an unsupported kind; use ECDSA with curve P-256 or P-384")
            }
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Refused(why) => write!(f, "the DTLS library refused its settings: {why}"),
            Self::NotGenerated => f.write_str("no certificate could be generated"),
        }
    }
}

impl std::error::Error for CertificateError {}

fn generate_key(rng: &mut Rng) -> SigningKey {
    loop {
        let mut scalar = [0; 32];
        rng.fill(&mut scalar);
        // Zero and what is not below the order of the group, one in 2^32, are no keys.
        if let Ok(key) = SigningKey::from_slice(&scalar) {
            return key;
        }
    }
}

fn self_signed(key: &SigningKey, rng: &mut Rng) -> x509_cert::builder::Result<Vec<u8>> {
    let mut serial = [0; 16];
    rng.fill(&mut serial);
    // Positive, and of the same length for every seed (RFC 5280 section 4.1.2.2).
    serial[0] = serial[0] & 0x7F | 0x40;
    let year = |year| -> Result<Time, x509_cert::der::Error> {
        Ok(Time::GeneralTime(GeneralizedTime::from_date_time(DateTime::new(year, 1, 1, 0, 0, 0)?)))
    };
    let public_key = key.verifying_key().to_public_key_der()?;
    let builder = CertificateBuilder::new(
        SelfSigned(Name::from_str(COMMON_NAME)?),
        SerialNumber::new(&serial)?,
        Validity::new(year(2000)?, year(2100)?),
        SubjectPublicKeyInfo::from_der(public_key.as_bytes())?,
    )?;
    Ok(builder.build::<_, DerSignature>(key)?.to_der()?)
}

/// Subject and issuer are the same, and it signs nothing but itself.
struct SelfSigned(Name);

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        // With an extension the certificate is of version 3, which all peers know.
        let constraints = BasicConstraints { ca: false, path_len_constraint: None };
        Ok(vec![constraints.to_extension(tbs.subject(), &[])?])
    }
}

fn private_key_from_pem(pem: &str) -> Result<Vec<u8>, CertificateError> {
    // `openssl ecparam -genkey` puts a block with the curve before the key.
    let blocks = pem_blocks(pem, "private key")?;
    let block = blocks
        .iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or(CertificateError::NotPem("private key"))?;
    match block.label {
        "PRIVATE KEY" => {
            let der = block.decode("private key")?;
            let info = PrivateKeyInfoRef::try_from(der.as_slice())
                .map_err(|_| CertificateError::Malformed("private key"))?;
            let curve = info.algorithm.parameters_oid().ok();
            require_curve("private key", info.algorithm.oid, curve)?;
            Ok(der)
        }
        // The curve is in there too, or follows from the certificate: the backend reads it.
        "EC PRIVATE KEY" => block.decode("private key"),
        "ENCRYPTED PRIVATE KEY" => Err(CertificateError::Encrypted),
        "RSA PRIVATE KEY" => Err(CertificateError::Rsa("private key")),
        _ => Err(CertificateError::UnsupportedKey("private key")),
    }
}

fn require_curve(
    what: &'static str,
    algorithm: ObjectIdentifier,
    curve: Option<ObjectIdentifier>,
) -> Result<(), CertificateError> {
    match (algorithm, curve) {
        (EC_PUBLIC_KEY, Some(P256 | P384)) => Ok(()),
        (RSA_ENCRYPTION, _) => Err(CertificateError::Rsa(what)),
        _ => Err(CertificateError::UnsupportedKey(what)),
    }
}

/// A block of a PEM text.
struct PemBlock<'a> {
    label: &'a str,
    /// From its first line to its last.
    text: &'a str,
}

impl PemBlock<'_> {
    fn decode(&self, what: &'static str) -> Result<Vec<u8>, CertificateError> {
        // Old encrypted keys have headers, which PEM proper does not know (RFC 7468 section 2).
        if self.text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(CertificateError::Encrypted);
        }
        let (_, document) = Document::from_pem(self.text).map_err(|_| CertificateError::Malformed(what))?;
        Ok(document.as_bytes().to_vec())
    }
}

fn pem_blocks<'a>(text: &'a str, what: &'static str) -> Result<Vec<PemBlock<'a>>, CertificateError> {
    const BEGIN: &str = "-----BEGIN ";
    if text.len() > MAX_PEM_LEN {
        return Err(CertificateError::Malformed(what));
    }
    let read_block = |(start, _)| {
        let block: &str = text.get(start..)?;
        let label = block.get(BEGIN.len()..)?.split("-----").next()?;
        let end_line = format!("-----END {label}-----");
        let end = block.find(&end_line)? + end_line.len();
        Some(PemBlock { label, text: block.get(..end)? })
    };
    let blocks: Option<Vec<_>> = text.match_indices(BEGIN).map(read_block).collect();
    blocks.ok_or(CertificateError::Malformed(what))
}

#[cfg(test)]
mod tests;
