//! What an operator is told of a token: the check that failed, what it expected, and no more of the token than that.

use super::*;
use crate::jwt::{Check, Mismatch};

fn strict() -> Checks {
    Checks { organizations: vec!["org_a".to_owned(), "org_b".to_owned()], max_token_lifetime: Some(at(100_000)), ..checks() }
}

fn examine(checks: &Checks, token: &str) -> (Vec<Check>, Option<Mismatch>) {
    let keys = set(&jwks([&issuer().rsa, &issuer().next]));
    let examination = checks.examine(token, &keys, at(1_000_000));
    (examination.passed, examination.failed)
}

/// Of the time that `examine` lives in.
fn with(members: &Value) -> String {
    let usual = merge(auth0_claims(ISSUER, AUDIENCE, 1_000_000), &json!({"org_id": "org_a"}));
    issuer().rsa.mint(&merge(usual, members))
}

#[test]
fn the_first_check_that_fails_says_what_it_expected_and_found() {
    let header = |members: Value| issuer().rsa.mint_with(&members, &auth0_claims(ISSUER, AUDIENCE, 1_000_000));
    let forged = issuer().next.named("rsa").mint(&merge(auth0_claims(ISSUER, AUDIENCE, 1_000_000), &json!({"org_id": "org_a"})));
    let strange = issuer().next.named("stranger").mint(&merge(auth0_claims(ISSUER, AUDIENCE, 1_000_000), &json!({"org_id": "org_a"})));
    let long = "a".repeat(300);
    #[rustfmt::skip]
    let rows: Vec<(&str, String, Check, Option<&str>, &str, Option<String>)> = vec![
        ("no token", "opaque".to_owned(), Check::Shape, None, "three parts", Some("1 parts, 6 bytes".to_owned())),
        ("too long", "a".repeat(17_000), Check::Shape, None, "at most 16384 bytes", Some("1 parts, 17000 bytes".to_owned())),
        ("crit", header(json!({"crit": ["b64"]})), Check::Header, Some("crit"), "without crit, b64", Some("[\"b64\"]".to_owned())),
        ("kid", header(json!({"kid": 7})), Check::Header, Some("kid"), "`kid` that is a string", Some("7".to_owned())),
        ("typ", header(json!({"typ": "dpop+jwt"})), Check::Type, Some("typ"), "JWT, at+jwt", Some("\"dpop+jwt\"".to_owned())),
        ("alg none", header(json!({"alg": "none"})), Check::Algorithm, Some("alg"), "RS256", Some("\"none\"".to_owned())),
        ("payload", issuer().rsa.compact(issuer().rsa.header().to_string(), "{\"a\":1,\"a\":2}"), Check::Payload, None, "doubled", None),
        ("no exp", with(&json!({"exp": null})), Check::Claims, Some("exp"), "`exp`", None),
        ("exp is text", with(&json!({"exp": "soon"})), Check::Claims, Some("exp"), "seconds since 1970", Some("\"soon\"".to_owned())),
        ("nbf is negative", with(&json!({"nbf": -1})), Check::Claims, Some("nbf"), "seconds since 1970", Some("-1".to_owned())),
        ("cnf", with(&json!({"cnf": {}})), Check::Claims, Some("cnf"), "no `cnf`", Some("{}".to_owned())),
        ("iss", with(&json!({"iss": "https://evil.example/"})), Check::Issuer, Some("iss"), ISSUER, Some("\"https://evil.example/\"".to_owned())),
        ("iss is long", with(&json!({"iss": long})), Check::Issuer, Some("iss"), ISSUER, Some(format!("\"{}…", &long[..199]))),
        ("no iss", with(&json!({"iss": null})), Check::Issuer, Some("iss"), ISSUER, None),
        ("aud", with(&json!({"aud": ["a", "b"]})), Check::Audience, Some("aud"), AUDIENCE, Some("[\"a\",\"b\"]".to_owned())),
        ("exp", with(&json!({"exp": 999_990})), Check::Expiry, Some("exp"), "after 999995 (1970-01-12T13:46:35Z)", Some("999990 (1970-01-12T13:46:30Z)".to_owned())),
        ("exp beyond all dates", with(&json!({"exp": u64::MAX})), Check::Expiry, Some("exp"), "ten years", Some(u64::MAX.to_string())),
        ("nbf", with(&json!({"nbf": 1_000_010})), Check::Start, Some("nbf"), "up to 1000005", Some("1000010 (1970-01-12T13:46:50Z)".to_owned())),
        ("iat", with(&json!({"iat": 1_000_010})), Check::Start, Some("iat"), "up to 1000005", Some("1000010 (1970-01-12T13:46:50Z)".to_owned())),
        ("lifetime", with(&json!({"exp": 1_200_000})), Check::Lifetime, Some("iat"), "at most 100000s", Some("iat 1000000, exp 1200000".to_owned())),
        ("organization", with(&json!({"org_id": "org_c"})), Check::Organization, Some("org_id"), "one of org_a, org_b", Some("\"org_c\"".to_owned())),
        ("key", strange, Check::Key, Some("kid"), "known: next, rsa", Some("\"stranger\"".to_owned())),
        ("signature", forged, Check::Signature, None, "by RS256", None),
    ];
    for (row, token, check, member, expected, found) in rows {
        let (passed, failed) = examine(&strict(), &token);
        let failed = failed.unwrap_or_else(|| panic!("{row}: good"));
        assert_eq!((failed.check, failed.member, failed.found), (check, member, found), "{row}");
        assert!(failed.expected.contains(expected), "{row}: {}", failed.expected);
        assert!(!passed.contains(&check), "{row}: {passed:?}");
    }
}

#[test]
fn checks_are_told_in_their_order_and_only_those_that_were_asked_for() {
    use Check::{Algorithm, Audience, Claims, Expiry, Header, Issuer, Key, Lifetime, Organization, Payload, Shape, Signature, Start, Type};
    let all = [Shape, Header, Type, Algorithm, Payload, Claims, Issuer, Audience, Expiry, Start, Lifetime, Organization, Key, Signature];
    assert_eq!(examine(&strict(), &with(&json!({}))), (all.to_vec(), None));
    let usual: Vec<_> = all.into_iter().filter(|check| !matches!(check, Lifetime | Organization)).collect();
    assert_eq!(examine(&checks(), &with(&json!({}))), (usual, None));
    let (passed, failed) = examine(&strict(), &with(&json!({"aud": "evil"})));
    assert_eq!((passed, failed.unwrap().error), (all[..7].to_vec(), TokenError::Audience));
    let (passed, failed) = examine(&Checks { require_at_jwt: true, ..checks() }, &with(&json!({})));
    assert_eq!((passed, failed.unwrap().expected.as_str()), (vec![Shape, Header, Algorithm, Payload, Claims], "at+jwt"));
}
