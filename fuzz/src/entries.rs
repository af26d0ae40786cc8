//! What every fuzz target runs. tests/fuzz_seeds.rs runs the same over the seeds, and over the seeds with bytes changed.
//!
//! An entry panics when something is wrong: it accepts what it must not, or disagrees with a second opinion.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis::jwt::{Algorithm, Checks, KeySet, TokenCache};
use serde_json::{Value, json};
use std::{sync::OnceLock, time::Duration};

const ISSUER: &str = "https://tenant.eu.auth0.com/";
const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"known to everybody who reads this file";
const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 5;

/// Any text as a token, by way of the verifier and of a cache: nobody signed it, so it is refused.
pub fn token(data: &[u8]) {
    let Ok(token) = std::str::from_utf8(data) else { return };
    static CACHE: OnceLock<TokenCache> = OnceLock::new();
    let cache = CACHE.get_or_init(|| TokenCache::new(1 << 20));
    let now = Duration::from_secs(NOW);
    for algorithm in Algorithm::ALL {
        let checks = Checks { algorithm, ..checks() };
        assert!(checks.verify(token, keys(), now).is_err());
        assert!(cache.verify("fuzz", token, &checks, keys(), now).is_err());
    }
}

/// Any header, up to the first line end, and any payload, signed well: what passes says what it must, and jsonwebtoken accepts
/// the payload too.
pub fn signed(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (header, payload) = data.split_at(end);
    let token = sign(header, payload.get(1..).unwrap_or_default());
    if checks().verify(&token, keys(), Duration::from_secs(NOW)).is_err() {
        return;
    }
    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    assert_eq!(header["alg"], "HS256");
    for refused in ["crit", "b64", "zip", "cty", "enc"] {
        assert_eq!(header.get(refused), None);
    }
    // Under a plain header: jsonwebtoken reads `jwk` and its like, which nobody here looks at, and may find one badly made.
    let plain = sign(br#"{"alg":"HS256"}"#, payload.get(1..).unwrap_or_default());
    let claims = second_opinion(&plain).expect("jsonwebtoken accepts what we accept");
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims.get("cnf"), None);
    let audience = &claims["aud"];
    assert!(
        audience == AUDIENCE
            || audience.as_array().is_some_and(|many| many.contains(&json!(AUDIENCE)) && many.iter().all(Value::is_string))
    );
    assert!(claims["exp"].as_f64().expect("a number") > (NOW - LEEWAY) as f64);
    for start in ["nbf", "iat"] {
        assert!(claims.get(start).is_none_or(|start| start.as_f64().expect("a number") <= (NOW + LEEWAY) as f64));
    }
}

/// Any document as a key set: it is refused, or holds keys that verify nothing of ours, and no secret.
pub fn jwks(data: &[u8]) {
    let Ok((set, _skipped)) = KeySet::from_jwks(data) else { return };
    let document: Value = serde_json::from_slice(data).expect("an accepted document is JSON");
    let keys = document["keys"].as_array().expect("a list");
    let names: Vec<_> = keys.iter().filter_map(|key| key["kid"].as_str()).collect();
    assert!(keys.len() <= 64 && set.key_ids().iter().all(|id| names.contains(id)));
    let token = sign(br#"{"alg":"HS256"}"#, json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 60}).to_string().as_bytes());
    assert!(checks().verify(&token, &set, Duration::from_secs(NOW)).is_err());
}

fn checks() -> Checks {
    Checks {
        algorithm: Algorithm::HS256,
        issuer: ISSUER.to_owned(),
        audience: vec![AUDIENCE.to_owned()],
        leeway: Duration::from_secs(LEEWAY),
        ..Checks::default()
    }
}

fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| KeySet::from_secret(SECRET).expect("long enough"))
}

fn sign(header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// jsonwebtoken with all that it can check without reading the clock.
fn second_opinion(token: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_exp = false;
    jsonwebtoken::decode(token, &jsonwebtoken::DecodingKey::from_secret(SECRET), &validation).map(|decoded| decoded.claims)
}
