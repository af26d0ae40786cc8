//! The road of a token through the public interface: keys from a document, claims from a token, a permit from claims.

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/tokens.rs"]
mod tokens;

use corpus::{Case, Corpus, Endpoint, LEEWAY, LIFETIME, ORGANIZATION, Results, SECRET};
use portcullis::{
    authz::{Line, Permit, Requirement},
    jwt::{Algorithm, AudienceMatch, Checks, Claims, KeySet, TokenCache, TokenError},
};
use serde_json::json;
use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokens::{Signer, auth0_claims, jwks, merge};

const ISSUER: &str = "https://tenant.eu.auth0.com/";
const AUDIENCE: &str = "https://api.example.com";
const NOW: u64 = 1_800_000_000;

fn checks() -> Checks {
    Checks {
        algorithm: Algorithm::RS256,
        issuer: ISSUER.to_owned(),
        audience: vec![AUDIENCE.to_owned()],
        audience_match: AudienceMatch::Any,
        leeway: Duration::from_secs(5),
        ..Checks::default()
    }
}

#[test]
fn a_token_becomes_claims_and_claims_become_a_permit() {
    let signer = Signer::generate("RS256", "current");
    let (keys, skipped) = KeySet::from_jwks(jwks([&signer]).as_bytes()).unwrap();
    assert!(skipped.is_empty());
    let token = signer.mint(&auth0_claims(ISSUER, AUDIENCE, NOW));
    let claims = checks().verify(&token, &keys, Duration::from_secs(NOW)).unwrap();

    let reads = Requirement { lines: vec![Line::AllScopes(vec!["read:messages".to_owned()])] };
    let _: Permit = reads.check(&claims).unwrap();
    let deletes = Requirement { lines: vec![Line::Permissions(vec!["delete:messages".to_owned()])] };
    let denied = deletes.check(&claims).unwrap_err();
    assert_eq!((denied.reason, denied.scope), ("permission", vec!["delete:messages".to_owned()]));
}

#[test]
fn no_keys_and_no_time_let_nothing_through() {
    let signer = Signer::generate("RS256", "current");
    let (keys, _) = KeySet::from_jwks(jwks([&signer]).as_bytes()).unwrap();
    let claims = merge(auth0_claims(ISSUER, AUDIENCE, NOW), &json!({"sub": null}));
    let token = signer.mint(&claims);
    assert_eq!(checks().verify(&token, &KeySet::default(), Duration::from_secs(NOW)), Err(TokenError::UnknownKey));
    assert_eq!(checks().verify(&token, &keys, Duration::ZERO), Err(TokenError::Expired), "1970: `exp` is too far away");
    assert_eq!(checks().verify(&token, &keys, Duration::from_secs(NOW - 60)), Err(TokenError::NotYetValid));
    assert_eq!(checks().verify(&token, &keys, Duration::MAX), Err(TokenError::Expired));
}

/// Every row by three roads: the verifier alone, the cache that has not seen the token, and the cache that has.
#[test]
fn the_corpus_gets_its_verdicts() {
    let corpus = Corpus::new(ISSUER, AUDIENCE, NOW);
    let public = KeySet::from_jwks(corpus.jwks().as_bytes()).unwrap().0;
    let secret = KeySet::from_secret(SECRET).unwrap();
    let cache = TokenCache::new(1 << 24);
    let mut results = Results::default();
    for case in &corpus.cases {
        let keys = if case.endpoint == Endpoint::Secret { &secret } else { &public };
        let (checks, now) = (checks_of(case.endpoint), Duration::from_secs(NOW));
        let roads: [(&str, &dyn Fn() -> Result<(), TokenError>); 3] = [
            ("alone", &|| checks.verify(&case.token, keys, now).map(|_: Claims| ())),
            ("new to the cache", &|| cache.verify("shop", &case.token, &checks, keys, now).map(drop)),
            ("known to the cache", &|| cache.verify("shop", &case.token, &checks, keys, now).map(drop)),
        ];
        for (road, verify) in roads {
            let verdict = catch_unwind(AssertUnwindSafe(verify)).ok();
            results.count(case, road, verdict.map(|verdict| verdict.map_err(TokenError::as_str)));
        }
    }
    // Not `println!`, which shows nothing of a test that passes.
    writeln!(io::stdout(), "corpus: {} tokens, each by three roads\n{results}", corpus.cases.len()).unwrap();
    writeln!(io::stdout(), "{}", results.row("corpus, verifier alone and with its memory", "-")).unwrap();
    assert!(results.wrong.is_empty(), "{}", results.wrong.join("\n"));
    assert!(corpus.cases.len() >= 300);
    assert!(names_are_unique(&corpus.cases));
}

fn checks_of(endpoint: Endpoint) -> Checks {
    let usual = Checks {
        algorithm: Algorithm::from_name(endpoint.algorithm()).expect("the corpus knows our algorithms"),
        leeway: Duration::from_secs(LEEWAY),
        ..checks()
    };
    match endpoint {
        Endpoint::Algorithm(_) | Endpoint::Secret => usual,
        Endpoint::AtJwt => Checks { require_at_jwt: true, ..usual },
        Endpoint::Lifetime => Checks { max_token_lifetime: Some(Duration::from_secs(LIFETIME)), ..usual },
        Endpoint::Organization => Checks { organizations: vec![ORGANIZATION.to_owned()], ..usual },
    }
}

fn names_are_unique(cases: &[Case]) -> bool {
    let mut names: Vec<_> = cases.iter().map(|case| (case.category, &case.name, case.endpoint)).collect();
    names.sort_unstable();
    names.dedup();
    names.len() == cases.len()
}
