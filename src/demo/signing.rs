//! An RS256 signing key, its public face (RFC 7517) and the tokens it signs (RFC 7519).

use aws_lc_rs::{
    digest,
    error::Unspecified,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize, PublicKeyComponents},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};

/// RSA-2048 for RS256. Its id is the key's thumbprint (RFC 7638).
#[derive(Debug)]
pub struct SigningKey {
    pair: KeyPair,
    kid: String,
}

// === impl SigningKey ===

impl SigningKey {
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, Unspecified> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let (n, e) = public_parts(&pair);
        let kid = sha256(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes());
        Ok(Self { pair, kid })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as Auth0 lists it at `/.well-known/jwks.json`.
    pub fn jwk(&self) -> Value {
        let (n, e) = public_parts(&self.pair);
        json!({"kty": "RSA", "use": "sig", "n": n, "e": e, "kid": self.kid, "alg": "RS256"})
    }

    /// A token with exactly these claims, headed as Auth0 heads them.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&json!({"alg": "RS256", "typ": "JWT", "kid": self.kid}), claims)
    }

    /// A token with any header: the signature is RS256 whatever the header says.
    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", BASE64URL.encode(header.to_string()), BASE64URL.encode(claims.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("the buffer has the length of the modulus, and PKCS #1 v1.5 fails for no other reason");
        format!("{message}.{}", BASE64URL.encode(signature))
    }
}

fn public_parts(pair: &KeyPair) -> (String, String) {
    let PublicKeyComponents { n, e } = PublicKeyComponents::from(pair.public_key());
    (BASE64URL.encode(n), BASE64URL.encode(e))
}

fn sha256(bytes: &[u8]) -> String {
    BASE64URL.encode(digest::digest(&digest::SHA256, bytes))
}
