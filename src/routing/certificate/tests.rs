use super::*;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

/// Chain and key.
fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn what_cannot_be_served_says_what_would_be_right() {
    let ((chain, key), (other_chain, other_key)) = (pair(&PKCS_ECDSA_P256_SHA256), pair(&PKCS_ED25519));
    let (read, wrap) = (
        |chain: &str, key: &str| Certificate::from_pem("shop/a", chain.as_bytes(), key.as_bytes()),
        |label: &str, text: &str| format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"),
    );
    let whole = format!("{chain}{other_chain}");
    let rows = [
        ("one", chain.as_str(), key.as_str(), None),
        ("another kind", &other_chain, &other_key, None),
        ("with an issuer", &whole, &key, None),
        ("nothing", "", &key, Some(CertificateError::Chain)),
        ("no PEM", "certificate", &key, Some(CertificateError::Chain)),
        ("cut short", &chain[..chain.len() - 30], &key, Some(CertificateError::Chain)),
        ("the key in its place", &key, &key, Some(CertificateError::Chain)),
        ("no X.509", &wrap("CERTIFICATE", "AAAA"), &key, Some(CertificateError::Certificate)),
        ("no key", &chain, "", Some(CertificateError::Key)),
        ("a certificate for a key", &chain, &chain, Some(CertificateError::Key)),
        ("an encrypted key", &chain, &wrap("ENCRYPTED PRIVATE KEY", "AAAA"), Some(CertificateError::Key)),
        ("a key that is none", &chain, &wrap("PRIVATE KEY", "AAAA"), Some(CertificateError::KeyKind)),
        ("the key of another", &chain, &other_key, Some(CertificateError::Mismatch)),
        ("an issuer first", &format!("{other_chain}{chain}"), &key, Some(CertificateError::Mismatch)),
    ];
    for (name, chain, key, want) in rows {
        assert_eq!(read(chain, key).err(), want, "{name}");
    }
    assert!(CertificateError::Mismatch.is_about_key() && !CertificateError::Certificate.is_about_key());
}

#[test]
fn a_certificate_is_what_it_was_read_from_and_shows_nothing_of_its_key() {
    let (chain, key) = pair(&PKCS_ED25519);
    let read = |name| Certificate::from_pem(name, chain.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(read("shop/a"), read("shop/a"));
    assert_ne!(read("shop/a"), read("shop/b"));
    let (other_chain, other_key) = pair(&PKCS_ED25519);
    assert_ne!(read("shop/a"), Certificate::from_pem("shop/a", other_chain.as_bytes(), other_key.as_bytes()).unwrap());
    assert_eq!(format!("{:?}", read("shop/a")), r#"Certificate("shop/a")"#);
}
