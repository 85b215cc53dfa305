use super::*;
use crate::dtls::{DimplBackend, DimplBackendConfig};

fn certificate(seed: u8) -> Certificate {
    Certificate::generate(&mut Rng::from_seed([seed; 32])).unwrap()
}

/// Made with `openssl ecparam -name prime256v1 -genkey` and `openssl req -x509`.
const P256_CERTIFICATE: &str = include_str!("testdata/p256.crt");
const P256_SEC1: &str = include_str!("testdata/p256.sec1.key");
const P256_PKCS8: &str = include_str!("testdata/p256.pkcs8.key");
const P256_ENCRYPTED: &str = include_str!("testdata/p256.encrypted.key");
const P384_CERTIFICATE: &str = include_str!("testdata/p384.crt");
const P384_PKCS8: &str = include_str!("testdata/p384.pkcs8.key");
const RSA_CERTIFICATE: &str = include_str!("testdata/rsa.crt");
const RSA_PKCS8: &str = include_str!("testdata/rsa.pkcs8.key");
const ED25519_CERTIFICATE: &str = include_str!("testdata/ed25519.crt");
const ED25519_PKCS8: &str = include_str!("testdata/ed25519.pkcs8.key");

#[test]
fn the_seed_makes_the_certificate() {
    assert_eq!(certificate(1), certificate(1));
    assert_ne!(certificate(1).certificate_der(), certificate(2).certificate_der());
    let secret = format!("{:?}", certificate(1).private_key_der());
    assert!(!format!("{:?}", certificate(1)).contains(&secret));
}

#[test]
fn a_generated_certificate_reads_as_such() {
    let generated = certificate(1);
    let read = x509_cert::Certificate::from_der(generated.certificate_der()).unwrap();
    let body = read.tbs_certificate();
    assert_eq!(body.subject().to_string(), "CN=sansfu");
    assert_eq!(body.issuer(), body.subject());
    assert_eq!(body.version(), x509_cert::certificate::Version::V3);
    assert_eq!(body.serial_number().as_bytes().len(), 16);
    assert_eq!(body.validity().not_before.to_date_time().year(), 2000);
    assert_eq!(body.validity().not_after.to_date_time().year(), 2100);
    // The signature is checked as a peer would.
    DimplBackend::new(&generated, DimplBackendConfig::default()).unwrap();
}

#[test]
fn fingerprints_are_hashes_with_the_common_one_last() {
    let generated = certificate(1);
    let algorithms: Vec<_> = generated.fingerprints().iter().map(|one| one.algorithm.as_str()).collect();
    assert_eq!(algorithms, ["sha-512", "sha-384", "sha-256"]);
    let reference = fingerprint(FingerprintAlgorithm::Sha256, b"abc").unwrap();
    assert_eq!(
        reference.value_string(),
        "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
    );
    for one in generated.fingerprints() {
        assert_eq!(one.value.len(), one.algorithm.len_bytes());
    }
    assert_eq!(fingerprint(FingerprintAlgorithm::Sha1, b"abc"), None);
    assert_eq!(fingerprint(FingerprintAlgorithm::Sha224, b"abc"), None);
}

#[test]
fn pem_files_of_openssl_are_read() {
    for (certificate, key) in
        [(P256_CERTIFICATE, P256_SEC1), (P256_CERTIFICATE, P256_PKCS8), (P384_CERTIFICATE, P384_PKCS8)]
    {
        let read = Certificate::from_pem(certificate, key).unwrap();
        DimplBackend::new(&read, DimplBackendConfig::default()).unwrap();
    }
    // Of a chain the first one; with other text around.
    let chain = format!("subject=CN = x\n{P256_CERTIFICATE}\n{P384_CERTIFICATE}");
    let read = Certificate::from_pem(&chain, P256_PKCS8).unwrap();
    assert_eq!(read, Certificate::from_pem(P256_CERTIFICATE, P256_PKCS8).unwrap());
}

#[test]
fn wrong_pem_files_are_refused_with_the_reason() {
    use CertificateError::*;
    let cases = [
        (RSA_CERTIFICATE, RSA_PKCS8, Rsa("certificate")),
        (P256_CERTIFICATE, RSA_PKCS8, Rsa("private key")),
        (ED25519_CERTIFICATE, ED25519_PKCS8, UnsupportedKey("certificate")),
        (P256_CERTIFICATE, ED25519_PKCS8, UnsupportedKey("private key")),
        (P256_CERTIFICATE, P256_ENCRYPTED, Encrypted),
        (P256_PKCS8, P256_CERTIFICATE, NotPem("certificate")),
        (P256_CERTIFICATE, P256_CERTIFICATE, NotPem("private key")),
        ("", P256_PKCS8, NotPem("certificate")),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            P256_PKCS8,
            Malformed("certificate"),
        ),
        ("-----BEGIN CERTIFICATE-----\n", P256_PKCS8, Malformed("certificate")),
        (
            P256_CERTIFICATE,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            Malformed("private key"),
        ),
    ];
    for (certificate, key, error) in cases {
        assert_eq!(Certificate::from_pem(certificate, key), Err(error));
    }
    let text = Rsa("certificate").to_string();
    assert!(text.contains("RSA") && text.contains("P-256"), "{text}");
}

#[test]
fn a_foreign_private_key_is_refused() {
    let refused = |certificate, key| {
        let read = Certificate::from_pem(certificate, key).unwrap();
        DimplBackend::new(&read, DimplBackendConfig::default()).map(|_| ())
    };
    assert_eq!(refused(P256_CERTIFICATE, P384_PKCS8), Err(CertificateError::KeyMismatch));
    assert_eq!(refused(P384_CERTIFICATE, P256_SEC1), Err(CertificateError::KeyMismatch));
}

#[test]
fn damaged_pem_never_panics() {
    let mut rng = Rng::from_seed([6; 32]);
    for text in [P256_CERTIFICATE, P256_SEC1, P256_PKCS8] {
        for _ in 0..500 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len() as u32) as usize;
                bytes[at] = (rng.below(95) + 32) as u8;
            }
            let text = String::from_utf8(bytes).unwrap();
            let results =
                [Certificate::from_pem(&text, P256_PKCS8), Certificate::from_pem(P256_CERTIFICATE, &text)];
            for read in results.into_iter().flatten() {
                let _ = DimplBackend::new(&read, DimplBackendConfig::default());
            }
        }
    }
    assert_eq!(
        Certificate::from_pem(&"x".repeat(MAX_PEM_LEN + 1), P256_PKCS8),
        Err(CertificateError::Malformed("certificate"))
    );
}
