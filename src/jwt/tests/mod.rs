//! The corpus: what must be refused, and what must not. Names such as J21 are the project's requirement numbers.

mod algorithm;
mod cache;
mod claims;
mod examine;
mod header;
mod json;
mod keys;
mod padding;
mod properties;
mod secret;
mod structure;
#[path = "../../../tests/support/tokens.rs"]
mod support;
mod wycheproof;

use super::{Algorithm, AudienceMatch, Checks, KeySet, SecretError, TokenError};
use serde_json::{Value, json};
use std::{sync::OnceLock, time::Duration};
use support::{Signer, auth0_claims, jwks, merge};

const ISSUER: &str = "https://tenant.eu.auth0.com/";
const AUDIENCE: &str = "https://api.example.com";
const LEEWAY: u64 = 5;

type Verdict = Result<(), TokenError>;
/// A name, a token, and what it gets.
type Row = (&'static str, String, Verdict);

/// One key of each type, under the `kid`s `rsa`, `next`, `ec`, `ec384` and `ed`.
struct Issuer {
    rsa: Signer,
    next: Signer,
    ec: Signer,
    ec384: Signer,
    ed: Signer,
}

// === impl Issuer ===

impl Issuer {
    fn signers(&self) -> [&Signer; 5] {
        [&self.rsa, &self.next, &self.ec, &self.ec384, &self.ed]
    }
}

fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(|| Issuer {
        rsa: Signer::generate("RS256", "rsa"),
        next: Signer::generate("RS256", "next"),
        ec: Signer::generate("ES256", "ec"),
        ec384: Signer::generate("ES384", "ec384"),
        ed: Signer::generate("EdDSA", "ed"),
    })
}

/// The oracle reads the clock, so the corpus lives in the present.
fn now() -> u64 {
    static NOW: OnceLock<u64> = OnceLock::new();
    *NOW.get_or_init(jsonwebtoken::get_current_timestamp)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn checks() -> Checks {
    checks_for("RS256")
}

fn checks_for(algorithm: &str) -> Checks {
    Checks {
        algorithm: Algorithm::from_name(algorithm).unwrap(),
        issuer: ISSUER.to_owned(),
        audience: vec![AUDIENCE.to_owned()],
        audience_match: AudienceMatch::Any,
        leeway: Duration::from_secs(LEEWAY),
        ..Checks::default()
    }
}

fn claims() -> Value {
    auth0_claims(ISSUER, AUDIENCE, now())
}

/// The usual claims with these added or replaced; a null removes one.
fn claims_with(members: &Value) -> Value {
    merge(claims(), members)
}

/// The usual claims with the JSON text of one of them written out, however odd.
fn claims_text(name: &str, text: &str) -> String {
    let rest = claims_with(&json!({ name: null })).to_string();
    format!("{{\"{name}\":{text},{}", &rest[1..])
}

fn good() -> String {
    issuer().rsa.mint(&claims())
}

fn set(document: &str) -> KeySet {
    KeySet::from_jwks(document.as_bytes()).expect("usable keys").0
}

/// Every row gets its verdict from the issuer's keys; what passes also passes jsonwebtoken in its strictest setup.
fn run(checks: &Checks, rows: Vec<Row>) {
    run_with(&jwks(issuer().signers()), checks, rows);
}

fn run_with(document: &str, checks: &Checks, rows: Vec<Row>) {
    let keys = set(document);
    let mut wrong = Vec::new();
    for (name, token, expected) in rows {
        let verdict = checks.verify(&token, &keys, at(now())).map(drop);
        if verdict != expected {
            wrong.push(format!("{name}: expected {expected:?}, got {verdict:?}"));
        }
        if checks.examine(&token, &keys, at(now())).failed.map(|failed| failed.error) != verdict.err() {
            wrong.push(format!("{name}: an operator is told something else"));
        }
        if verdict.is_ok() {
            wrong.extend(oracle(document, checks, &token).err().map(|error| format!("{name}: jsonwebtoken refuses it: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What jsonwebtoken says of a token, with everything it can check turned on.
fn oracle(document: &str, checks: &Checks, token: &str) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(document).unwrap();
    let jwk = match &header.kid {
        Some(kid) => set.find(kid).ok_or("no such kid")?,
        None => set.keys.first().unwrap(),
    };
    let mut validation = jsonwebtoken::Validation::new(checks.algorithm.as_str().parse().unwrap());
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[&checks.issuer]);
    validation.set_audience(&checks.audience);
    validation.validate_nbf = true;
    validation.leeway = checks.leeway.as_secs() + 60;
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    jsonwebtoken::decode(token, &key, &validation).map(|decoded| decoded.claims).map_err(|error| error.to_string())
}

#[test]
fn a_good_token_of_every_algorithm_passes() {
    let issuer = issuer();
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let name = algorithm.as_str();
        let signer = match name {
            "ES256" => issuer.ec.clone(),
            "ES384" => issuer.ec384.clone(),
            "EdDSA" => issuer.ed.clone(),
            _ => issuer.rsa.signing(name),
        };
        run_with(&jwks([&signer]), &checks_for(name), vec![(name, signer.mint(&claims()), Ok(()))]);
    }
}

#[test]
fn a_verified_token_gives_its_claims() {
    let claims = checks().verify(&good(), &set(&jwks([&issuer().rsa])), at(now())).unwrap();
    assert_eq!(claims.subject(), Some("AbCdEf0123456789@clients"));
    assert_eq!(claims.expires(), at(now() + 86_400));
    for (name, value) in self::claims().as_object().unwrap() {
        assert_eq!(claims.member(name), Some(value));
    }
    assert_eq!(claims.member("nbf"), None);
}
