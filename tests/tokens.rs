//! The road of a token through the public interface: keys from a document, claims from a token, a permit from claims.

#[path = "support/tokens.rs"]
mod tokens;

use portcullis::{
    authz::{Line, Permit, Requirement},
    jwt::{Algorithm, AudienceMatch, Checks, KeySet, TokenError},
};
use serde_json::json;
use std::time::Duration;
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
