//! An issuer, what a resource asks for, and tokens as Auth0 makes them: about 880 bytes with RS256.

#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up should say where")]

use crate::tokens::{Signer, auth0_claims, jwks, merge};
use portcullis::jwt::{Algorithm, Checks, Claims, KeySet, TokenCache, TokenError};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const OWNER: &str = "shop";
const ISSUER: &str = "https://tenant.eu.auth0.com/";
const AUDIENCE: &str = "https://api.example.com";
const NOW: u64 = 1_800_000_000;
const RS256_TOKEN: usize = 883;

pub(crate) struct Scene {
    signer: Signer,
    pub(crate) checks: Checks,
    pub(crate) keys: KeySet,
    pub(crate) now: Duration,
}

impl Scene {
    pub(crate) fn new(algorithm: &'static str) -> Self {
        let signer = Signer::generate(algorithm, "Qk2tM0t4N0E5RjFDNkM3RTgzQTc0");
        let next = Signer::generate(algorithm, "RjM4QzY1OEYyRTBBNzE0NkI5NTQx");
        let keys = KeySet::from_jwks(jwks([&signer, &next]).as_bytes()).unwrap().0;
        let checks = Checks {
            algorithm: Algorithm::from_name(algorithm).unwrap(),
            issuer: ISSUER.to_owned(),
            audience: vec![AUDIENCE.to_owned()],
            leeway: Duration::from_secs(5),
            ..Checks::default()
        };
        Self { signer, checks, keys, now: Duration::from_secs(NOW) }
    }

    pub(crate) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.checks.verify(token, &self.keys, self.now)
    }

    pub(crate) fn good(&self) -> String {
        self.mint(&json!({}))
    }

    /// Refused before a signature is looked at, the last after all that comes before it.
    pub(crate) fn bad(&self) -> [(&'static str, String); 5] {
        let rest = self.signer.header();
        [
            ("alg none", self.signer.compact(merge(rest, &json!({"alg": "none"})).to_string(), self.claims(&json!({})).to_string())),
            ("expired", self.mint(&json!({"exp": NOW - 60}))),
            ("another issuer", self.mint(&json!({"iss": "https://other.eu.auth0.com/"}))),
            ("another audience", self.mint(&json!({"aud": "https://other.example.com"}))),
            ("an unknown key", self.signer.named("unknown").mint(&self.claims(&json!({})))),
        ]
    }

    pub(crate) fn forged(&self) -> String {
        Signer::generate(self.signer.algorithm, &self.signer.kid).mint(&self.claims(&json!({})))
    }

    /// A cache that holds so many tokens of the length of an RS256 token, and the tokens.
    pub(crate) fn cache_of(&self, live: usize) -> (TokenCache, Vec<String>) {
        let cache = TokenCache::new(1 << 30);
        let room = RS256_TOKEN.saturating_sub(self.mint(&json!({"sub": "user|00000000", "pad": ""})).len()) * 3 / 4;
        let token = |n: usize| self.mint(&json!({"sub": format!("user|{n:08}"), "pad": "p".repeat(room)}));
        let tokens: Vec<_> = (0..live).map(token).collect();
        for token in &tokens {
            cache.verify(OWNER, token, &self.checks, &self.keys, self.now).unwrap();
        }
        (cache, tokens)
    }

    fn mint(&self, members: &Value) -> String {
        self.signer.mint(&self.claims(members))
    }

    fn claims(&self, members: &Value) -> Value {
        let usual = auth0_claims(ISSUER, AUDIENCE, NOW);
        merge(merge(usual, &json!({"https://my.app/email": "somebody@example.com"})), members)
    }
}
