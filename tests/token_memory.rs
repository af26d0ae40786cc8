//! What the cache itself costs in memory beside the claims it keeps: at most 400 bytes a token. Alone in its process, on Linux.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[path = "support/tokens.rs"]
mod tokens;

use portcullis::jwt::{Algorithm, Checks, KeySet, TokenCache};
use serde_json::json;
use std::{fs, sync::Arc, time::Duration};
use tokens::{Signer, auth0_claims, jwks, merge};

const TOKENS: usize = 20_000;
const NOW: u64 = 1_800_000_000;

/// Resident bytes of this process.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_cached_token_costs_400_bytes_beside_its_claims() {
    let signer = Signer::generate("EdDSA", "ed");
    let keys = KeySet::from_jwks(jwks([&signer]).as_bytes()).unwrap().0;
    let (issuer, audience) = ("https://tenant.eu.auth0.com/", "https://api.example.com");
    let checks =
        Checks { algorithm: Algorithm::EdDSA, issuer: issuer.to_owned(), audience: vec![audience.to_owned()], ..Checks::default() };
    let claims = auth0_claims(issuer, audience, NOW);
    let tokens: Vec<_> = (0..TOKENS).map(|n| signer.mint(&merge(claims.clone(), &json!({"sub": format!("user|{n:08}")})))).collect();
    let now = Duration::from_secs(NOW);

    let start = resident();
    let alone: Vec<_> = tokens.iter().map(|token| Arc::new(checks.verify(token, &keys, now).unwrap())).collect();
    let claims_alone = resident() - start;
    let cache = TokenCache::new(1 << 30);
    let start = resident();
    tokens.iter().for_each(|token| drop(cache.verify("shop", token, &checks, &keys, now).unwrap()));
    let cached = resident() - start;

    let (beside, estimate) = (cached.saturating_sub(claims_alone) / TOKENS, usize::try_from(cache.stats().bytes).unwrap() / TOKENS);
    let (claims, cached) = (claims_alone / TOKENS, cached / TOKENS);
    println!("claims {claims} bytes, cached {cached}, so {beside} beside them; charged {estimate}");
    assert_eq!((cache.stats().tokens, alone.len()), (TOKENS, TOKENS));
    assert!(beside <= 400, "{beside} bytes beside the claims");
    assert!(cached <= estimate * 5 / 4 && estimate <= cached * 3 / 2, "charged {estimate}, holds {cached}");
}
