//! The Wycheproof vectors: JSON Web Signature and Key as they are, and the raw signatures under keys that take the road of a JWKS.
//! J04, J07, J09, J10, J12-J16, J36-J39, J54-J59.

use super::{
    support::{base64, unbase64},
    *,
};
use crate::jwt::token::Token;
use ::base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ::wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};
use std::io::{self, Write};
use wycheproof_ng_kdf_jose::json_web;

/// Vectors whose verdict is not ours, one by one, and why. Refused although valid:
const STRICTER: &[(&str, &[u32], &str)] = &[
    ("json_web_signature", &[259, 264, 268, 272, 320, 325], "an empty payload holds no claims"),
    ("json_web_signature", &[346, 350], "the key says `alg` PS256 and the token PS384"),
    ("json_web_signature", &[347, 351], "ES512 is not offered"),
    ("json_web_signature", &[372, 373], "`?` is not base64url, wherever it stands"),
    ("json_web_key", &[2], "HS256 by a published key set: a secret never comes from one"),
    ("json_web_key", &[14, 15], "HS384 and HS512 are not offered"),
];
/// Accepted although invalid:
const MILDER: &[(&str, &[u32], &str)] = &[
    ("json_web_signature", &[367, 370], "byte for byte the valid vector 357"),
    ("rsa pss, salts of other lengths", &[69], "its salt was changed to the length that PS256 asks for"),
];

struct Tally {
    name: &'static str,
    right: usize,
    excused: Vec<u32>,
    wrong: Vec<String>,
}

// === impl Tally ===

impl Tally {
    fn new(name: &'static str) -> Self {
        Self { name, right: 0, excused: Vec::new(), wrong: Vec::new() }
    }

    /// `None`: the vector leaves it open.
    fn count(&mut self, id: u32, comment: &str, expected: Option<bool>, accepted: bool) {
        let list = if accepted { MILDER } else { STRICTER };
        let is_listed = list.iter().any(|(set, ids, _)| *set == self.name && ids.contains(&id));
        match expected.is_none_or(|expected| expected == accepted) {
            true => self.right += 1,
            false if is_listed => self.excused.push(id),
            false => self.wrong.push(format!("{} {id} ({comment}): accepted is {accepted}", self.name)),
        }
    }

    /// Every exception must still be one.
    fn finish(self) {
        let Self { name, right, excused, wrong } = &self;
        // Not `println!`, which shows nothing of a test that passes.
        // A row of tests/verdicts.sh: as listed, exceptions, wrong, panics, bytes forwarded.
        writeln!(io::stdout(), "\nverdicts|wycheproof, {name}|{right}|{}|{}|0|-", excused.len(), wrong.len()).unwrap();
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        let listed = STRICTER.iter().chain(MILDER).filter(|(set, ..)| *set == self.name).flat_map(|(_, ids, _)| *ids);
        let stale: Vec<_> = listed.filter(|id| !self.excused.contains(id)).collect();
        assert!(stale.is_empty(), "{}: no exceptions any more: {stale:?}", self.name);
    }
}

/// The resource asks for the algorithm that the vector's key names, else for that of the token; the key is loaded as its kind is.
fn accepts(jwks: &Value, token: &str) -> bool {
    let named = |header: Value| header["alg"].as_str().map(str::to_owned);
    let keys = jwks["keys"].as_array().unwrap();
    let of_token = || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?).ok().and_then(named);
    let algorithm = match &keys[..] {
        [only] => named(only.clone()).or_else(of_token),
        _ => of_token(),
    };
    let Some(algorithm) = algorithm.as_deref().and_then(Algorithm::from_name) else { return false };
    let set = match &keys[..] {
        [only] if only["kty"] == "oct" => KeySet::from_secret(&unbase64(only["k"].as_str().unwrap())).ok(),
        _ => KeySet::from_jwks(jwks.to_string().as_bytes()).ok().map(|(set, _)| set),
    };
    set.is_some_and(|set| is_signed(token, algorithm, &set))
}

/// Everything but the claims, which these vectors do not have.
fn is_signed(token: &str, algorithm: Algorithm, keys: &KeySet) -> bool {
    let Ok(token) = Token::split(token) else { return false };
    let (Ok(header), Ok(signature)) = (token.header(algorithm, &mut |_| ()), token.signature()) else { return false };
    token.payload() != Err(TokenError::Malformed) && keys.verify(header.kid.as_deref(), algorithm, token.message, &signature).is_ok()
}

fn run_json_web(name: json_web::TestName, tally: &mut Tally) {
    let set = json_web::TestSet::load(name).unwrap();
    for group in set.test_groups {
        let key = group.public_key.or(group.private_key).unwrap();
        let jwks = if key.get("keys").is_some() { key } else { json!({ "keys": [key] }) };
        for test in group.tests {
            let text = match test.jws.unwrap() {
                Value::String(token) => token,
                other => other.to_string(),
            };
            let expected = !test.result.must_fail();
            tally.count(u32::try_from(test.tc_id).unwrap(), &test.comment, Some(expected), accepts(&jwks, &text));
        }
    }
}

#[test]
fn json_web_signature() {
    let mut tally = Tally::new("json_web_signature");
    run_json_web(json_web::TestName::JsonWebSignature, &mut tally);
    tally.finish();
}

#[test]
fn json_web_key() {
    let mut tally = Tally::new("json_web_key");
    run_json_web(json_web::TestName::JsonWebKey, &mut tally);
    tally.finish();
}

/// What one raw vector says: number, comment, expected, message, signature.
type Raw<'a> = (usize, &'a str, TestResult, &'a [u8], &'a [u8]);

fn run_raw<'a>(tally: &mut Tally, algorithm: &str, jwk: &Value, tests: impl IntoIterator<Item = Raw<'a>>) {
    let keys = KeySet::from_jwks(json!({ "keys": [jwk] }).to_string().as_bytes()).map(|(keys, _)| keys).unwrap_or_default();
    let algorithm = Algorithm::from_name(algorithm).unwrap();
    for (id, comment, result, message, signature) in tests {
        let expected = match result {
            TestResult::Valid => Some(true),
            TestResult::Invalid => Some(false),
            TestResult::Acceptable => None,
        };
        let accepted = keys.verify(None, algorithm, message, signature).is_ok();
        tally.count(u32::try_from(id).unwrap(), comment, expected, accepted);
    }
}

macro_rules! raw {
    ($group:expr) => {
        $group.tests.iter().map(|test| (test.tc_id, test.comment.as_str(), test.result, test.msg.as_ref(), test.sig.as_ref()))
    };
}

fn rsa_jwk(key: (&[u8], &[u8])) -> Value {
    json!({"kty": "RSA", "n": base64(key.0), "e": base64(key.1)})
}

#[test]
fn raw_rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        ("RS256", Rsa2048Sha256),
        ("RS384", Rsa2048Sha384),
        ("RS512", Rsa2048Sha512),
        ("RS256", Rsa3072Sha256),
        ("RS384", Rsa3072Sha384),
        ("RS512", Rsa3072Sha512),
        ("RS256", Rsa4096Sha256),
        ("RS384", Rsa4096Sha384),
        ("RS512", Rsa4096Sha512),
        ("RS256", Rsa8192Sha256),
        ("RS384", Rsa8192Sha384),
        ("RS512", Rsa8192Sha512),
    ];
    let mut tally = Tally::new("rsa pkcs1, raw");
    for (algorithm, name) in sets {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            run_raw(&mut tally, algorithm, &rsa_jwk((group.key.n.as_ref(), group.key.e.as_ref())), raw!(group));
        }
    }
    tally.finish();
}

#[test]
fn raw_rsa_pss() {
    use rsa_pss_verify::TestName::*;
    let sets = [
        ("PS256", RsaPss2048Sha256Mgf1SaltLen32),
        ("PS256", RsaPss3072Sha256Mgf1SaltLen32),
        ("PS256", RsaPss4096Sha256Mgf1SaltLen32),
        ("PS384", RsaPss2048Sha384Mgf1SaltLen48),
        ("PS384", RsaPss4096Sha384Mgf1SaltLen48),
        ("PS512", RsaPss4096Sha512Mgf1SaltLen64),
    ];
    let mut tally = Tally::new("rsa pss, raw");
    for (algorithm, name) in sets {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            run_raw(&mut tally, algorithm, &rsa_jwk((group.key.n.as_ref(), group.key.e.as_ref())), raw!(group));
        }
    }
    tally.finish();
}

/// Salts that RFC 7518 §3.5 does not allow: no signature passes, whatever these vectors say of theirs.
#[test]
fn raw_rsa_pss_with_another_salt() {
    use rsa_pss_verify::TestName::*;
    let mut tally = Tally::new("rsa pss, salts of other lengths");
    for (algorithm, name) in
        [("PS256", RsaPss2048Sha256Mgf1SaltLen0), ("PS256", RsaPss2048Sha256Mgf1Sha1_20), ("PS512", RsaPss4096Sha512Mgf1SaltLen32)]
    {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let refused = raw!(group).map(|(id, comment, _, message, signature)| (id, comment, TestResult::Invalid, message, signature));
            run_raw(&mut tally, algorithm, &rsa_jwk((group.key.n.as_ref(), group.key.e.as_ref())), refused);
        }
    }
    tally.finish();
}

#[test]
fn raw_ecdsa() {
    use ecdsa::TestName::*;
    let mut tally = Tally::new("ecdsa, raw");
    for (algorithm, curve, name) in [("ES256", "P-256", EcdsaSecp256r1Sha256P1363), ("ES384", "P-384", EcdsaSecp384r1Sha384P1363)] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at(group.key.key.len() / 2);
            run_raw(&mut tally, algorithm, &json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)}), raw!(group));
        }
    }
    tally.finish();
}

#[test]
fn raw_ed25519() {
    let mut tally = Tally::new("ed25519, raw");
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        run_raw(&mut tally, "EdDSA", &json!({"kty": "OKP", "crv": "Ed25519", "x": base64(&group.key.pk)}), raw!(group));
    }
    tally.finish();
}
