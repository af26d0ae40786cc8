//! Keys and tokens in the shape Auth0 gives them, made at run time. Included by unit and integration tests alike.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "only tests include it")]

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair, RsaSignatureEncoding,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

/// A private key with the names it goes by. Clones share the key.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) algorithm: &'static str,
    pub(crate) kid: String,
    key: Arc<PrivateKey>,
}

#[derive(Debug)]
enum PrivateKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

// === impl Signer ===

impl Signer {
    /// A fresh key; RSA keys have 2048 bits.
    pub(crate) fn generate(algorithm: &'static str, kid: &str) -> Self {
        let key = match algorithm {
            "ES256" => PrivateKey::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => PrivateKey::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            "EdDSA" => PrivateKey::Ed25519(Ed25519KeyPair::generate().unwrap()),
            _ => PrivateKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        Self { algorithm, kid: kid.to_owned(), key: Arc::new(key) }
    }

    /// The same key under another name.
    pub(crate) fn named(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    /// The same key for another algorithm of its type.
    pub(crate) fn signing(&self, algorithm: &'static str) -> Self {
        Self { algorithm, ..self.clone() }
    }

    /// The header Auth0 writes.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.algorithm, "typ": "JWT", "kid": self.kid})
    }

    /// A compact JWS of these claims.
    pub(crate) fn mint(&self, claims: &Value) -> String {
        self.compact(self.header().to_string(), claims.to_string())
    }

    /// A compact JWS of these claims whose header has these members besides Auth0's, or in their place. A null removes one.
    pub(crate) fn mint_with(&self, members: &Value, claims: &Value) -> String {
        self.compact(merge(self.header(), members).to_string(), claims.to_string())
    }

    /// A compact JWS of any bytes, signed well.
    pub(crate) fn compact(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", base64(header), base64(payload));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", base64(signature))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &*self.key {
            PrivateKey::P256(key) | PrivateKey::P384(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            PrivateKey::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            PrivateKey::Rsa(_) => self.sign_rsa(rsa_encoding(self.algorithm), message),
        }
    }

    /// Signs with an RSA key in any manner, whatever the algorithm says.
    pub(crate) fn sign_rsa(&self, encoding: &'static RsaSignatureEncoding, message: &[u8]) -> Vec<u8> {
        let PrivateKey::Rsa(key) = &*self.key else { panic!("not an RSA key") };
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        match &*self.key {
            PrivateKey::Rsa(key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key).unwrap().as_ref().to_vec(),
            PrivateKey::P256(key) | PrivateKey::P384(key) => key.to_pkcs8v1().unwrap().as_ref().to_vec(),
            PrivateKey::Ed25519(key) => key.to_pkcs8v1().unwrap().as_ref().to_vec(),
        }
    }

    /// The DER `RSAPublicKey` (RFC 8017 §A.1.1).
    pub(crate) fn public_pkcs1(&self) -> Vec<u8> {
        let PrivateKey::Rsa(key) = &*self.key else { panic!("not an RSA key") };
        key.public_key().as_ref().to_vec()
    }

    /// The DER `SubjectPublicKeyInfo` of an RSA key (RFC 5280 §4.1).
    pub(crate) fn public_spki(&self) -> Vec<u8> {
        let PrivateKey::Rsa(key) = &*self.key else { panic!("not an RSA key") };
        AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap().as_ref().to_vec()
    }

    /// The public key, as the issuer lists it.
    pub(crate) fn jwk(&self) -> Value {
        let key = match &*self.key {
            PrivateKey::Rsa(key) => {
                let [n, e] = rsa_components(key.public_key().as_ref());
                json!({"kty": "RSA", "n": base64(n), "e": base64(e)})
            }
            PrivateKey::P256(key) => ec_jwk("P-256", key.public_key().as_ref()),
            PrivateKey::P384(key) => ec_jwk("P-384", key.public_key().as_ref()),
            PrivateKey::Ed25519(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key())}),
        };
        merge(key, &json!({"use": "sig", "alg": self.algorithm, "kid": self.kid}))
    }
}

/// The document at `/.well-known/jwks.json`.
pub(crate) fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    json!({"keys": signers.into_iter().map(Signer::jwk).collect::<Vec<_>>()}).to_string()
}

/// Claims of an Auth0 machine-to-machine token issued at `now` (seconds since the Unix epoch) for a day.
pub(crate) fn auth0_claims(issuer: &str, audience: &str, now: u64) -> Value {
    json!({
        "iss": issuer, "sub": "AbCdEf0123456789@clients", "aud": audience, "iat": now, "exp": now + 86_400,
        "gty": "client-credentials", "azp": "AbCdEf0123456789", "scope": "read:messages write:messages",
        "permissions": ["read:messages", "write:messages"],
    })
}

/// `object` with these members added or replaced; a null removes one.
pub(crate) fn merge(mut object: Value, members: &Value) -> Value {
    let target = object.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            target.remove(name)
        } else {
            target.insert(name.clone(), value.clone())
        };
    }
    object
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unbase64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn rsa_encoding(algorithm: &str) -> &'static RsaSignatureEncoding {
    match algorithm {
        "RS256" => &RSA_PKCS1_SHA256,
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        other => panic!("{other} is not an RSA algorithm"),
    }
}

/// From an uncompressed SEC 1 point.
fn ec_jwk(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017 §A.1.1).
fn rsa_components(der: &[u8]) -> [Vec<u8>; 2] {
    let (sequence, _) = der_value(der);
    let (modulus, rest) = der_value(sequence);
    let (exponent, _) = der_value(rest);
    [modulus, exponent].map(|number| number.iter().copied().skip_while(|byte| *byte == 0).collect())
}

/// The contents of the first DER value, and what follows it.
pub(crate) fn der_value(der: &[u8]) -> (&[u8], &[u8]) {
    let length_bytes = if der[1] < 0x80 { 0 } else { usize::from(der[1] - 0x80) };
    let start = 2 + length_bytes;
    let length = match length_bytes {
        0 => usize::from(der[1]),
        _ => der[2..start].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    der[start..].split_at(length)
}
