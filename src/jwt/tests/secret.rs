//! HS256: J04, J05, J36, J39 and J53 for keys that are secrets.

use super::{
    support::{base64, unbase64},
    *,
};
use aws_lc_rs::hmac;

const SECRET: &[u8] = b"a secret of thirty-two bytes, so";

fn secret() -> KeySet {
    KeySet::from_secret(SECRET).unwrap()
}

/// An HS256 token under this header and secret.
fn mint(header: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64(tag))
}

fn verdict(algorithm: &str, token: &str, keys: &KeySet) -> Verdict {
    checks_for(algorithm).verify(token, keys, at(now())).map(drop)
}

#[test]
fn a_token_of_the_secret_passes_and_of_no_other() {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let good = mint(&header, SECRET);
    assert_eq!(verdict("HS256", &good, &secret()), Ok(()), "as Auth0 makes it");
    assert_eq!(verdict("HS256", &mint(&json!({"alg": "HS256", "kid": "any"}), SECRET), &secret()), Ok(()), "a kid that no key has");
    let (message, tag) = good.rsplit_once('.').unwrap();
    let bad = [
        ("another secret", mint(&header, b"another secret of thirty-two byt")),
        ("a prefix", mint(&header, &SECRET[..31])),
        ("empty", mint(&header, b"")),
        ("a longer one", mint(&header, &[SECRET, &[1]].concat())),
        ("tag cut", format!("{message}.{}", &tag[..40])),
        ("tag of one byte", format!("{message}.AA")),
        ("tag twice", format!("{message}.{}", base64([unbase64(tag), unbase64(tag)].concat()))),
    ];
    for (name, token) in bad {
        assert_eq!(verdict("HS256", &token, &secret()), Err(TokenError::Signature), "{name}");
    }
    assert_eq!(verdict("HS256", &mint(&json!({"alg": "HS384"}), SECRET), &secret()), Err(TokenError::Algorithm));
}

/// J04, J05: neither kind of key meets an algorithm of the other, whatever the resource says.
#[test]
fn j04_j05_a_secret_and_a_public_key_never_stand_for_each_other() {
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let name = algorithm.as_str();
        let token = mint(&json!({"alg": name}), SECRET);
        assert_eq!(verdict(name, &token, &secret()), Err(TokenError::UnknownKey), "{name}");
        assert_eq!(verdict("HS256", &token, &secret()), Err(TokenError::Algorithm), "{name}");
    }
    let all = set(&jwks(issuer().signers()));
    assert_eq!(verdict("HS256", &mint(&json!({"alg": "HS256"}), SECRET), &all), Err(TokenError::UnknownKey));
}

/// J39: what an issuer publishes never becomes a secret, not even alone and called by its name.
#[test]
fn j39_a_secret_never_comes_from_a_key_set() {
    let oct = json!({"keys": [{"kty": "oct", "alg": "HS256", "use": "sig", "k": base64(SECRET)}]}).to_string();
    assert!(KeySet::from_jwks(oct.as_bytes()).is_err());
}

#[test]
fn j05_a_secret_has_32_bytes_and_is_not_public() {
    let refused = |secret: &[u8]| KeySet::from_secret(secret).unwrap_err();
    assert_eq!([refused(b""), refused(&[7; 31])], [SecretError::Short; 2]);
    KeySet::from_secret(&[7; 32]).unwrap();
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n";
    for text in [pem.to_owned(), format!(" \n{pem}"), pem.trim_end().to_owned(), pem.replace("PUBLIC KEY", "CERTIFICATE")] {
        assert_eq!(refused(text.as_bytes()), SecretError::Pem, "{text}");
    }
}

#[test]
fn j53_a_secret_is_shown_nowhere() {
    let shown = format!("{:?} {:?}", secret(), secret().key_ids());
    let id = secret().id();
    assert_eq!(shown, "KeySet { keys: Secret(Key { algorithm: SHA256 }), id: KeySetId } []");
    assert_ne!(id, KeySet::from_secret(&[7; 32]).unwrap().id());
}
