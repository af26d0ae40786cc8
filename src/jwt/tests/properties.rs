//! What holds for any input.

use super::{
    support::{base64, unbase64},
    *,
};
use proptest::prelude::*;

fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| set(&jwks(issuer().signers())))
}

fn verdict(token: &str) -> Verdict {
    checks().verify(token, keys(), at(now())).map(drop)
}

fn good_token() -> &'static str {
    static GOOD: OnceLock<String> = OnceLock::new();
    GOOD.get_or_init(good)
}

/// One of the good values most of the time, else something else.
fn mostly(good: Value, others: Value) -> impl Strategy<Value = Value> {
    let Value::Array(others) = others else { panic!("a list") };
    prop_oneof![4 => Just(good), 1 => prop::sample::select(others)]
}

fn any_claims() -> impl Strategy<Value = Value> {
    let now = now();
    let times = move |offset: i64| json!(now.saturating_add_signed(offset));
    let dates =
        json!([null, 0, -1, 1e30, "0", [0], times(-61), times(-5), times(0), times(5), times(66), u64::MAX, now as f64 + 0.5, i64::MIN]);
    (
        mostly(json!(ISSUER), json!([null, 1, [ISSUER], "https://tenant.eu.auth0.com", "", {}])),
        mostly(json!(AUDIENCE), json!([null, 1, [AUDIENCE], [1, AUDIENCE], [AUDIENCE, "x"], [], "x", {}, [null]])),
        mostly(times(300), dates.clone()),
        mostly(json!(null), dates.clone()),
        mostly(times(-60), dates),
        mostly(json!(null), json!([{}, {"jkt": "x"}])),
    )
        .prop_map(|(iss, aud, exp, nbf, iat, cnf)| {
            claims_with(&json!({"iss": iss, "aud": aud, "exp": exp, "nbf": nbf, "iat": iat, "cnf": cnf}))
        })
}

fn any_header() -> impl Strategy<Value = Value> {
    (
        mostly(json!("EdDSA"), json!([null, "RS256", "none", "eddsa", 1])),
        mostly(json!("JWT"), json!([null, "at+jwt", "logout+jwt", 1])),
        mostly(json!("ed"), json!([null, "rsa", "ED", 1, "x"])),
        mostly(json!(null), json!([[], ["x"], "x"])),
    )
        .prop_map(|(alg, typ, kid, crit)| json!({"alg": alg, "typ": typ, "kid": kid, "crit": crit}))
}

/// JSON that looks like a JWK, more or less.
fn any_jwk() -> impl Strategy<Value = Value> {
    let member = |values: Value| {
        let Value::Array(values) = values else { panic!("a list") };
        prop::sample::select(values)
    };
    let number = prop_oneof![
        Just(json!(null)),
        prop::collection::vec(any::<u8>(), 0..70).prop_map(|bytes| json!(base64(bytes))),
        prop::collection::vec(any::<u8>(), 250..260).prop_map(|bytes| json!(base64(bytes))),
        prop::collection::vec(any::<u8>(), 32).prop_map(|bytes| json!(base64(bytes))),
        ".{0,8}".prop_map(Value::from),
    ];
    (
        member(json!(["RSA", "EC", "OKP", "oct", "x", 1, null])),
        member(json!(["P-256", "P-384", "P-521", "Ed25519", "X25519", "", 1, null])),
        member(json!(["RS256", "ES256", "ES384", "EdDSA", "HS256", "none", 1, null, null, null])),
        member(json!(["a", "b", "", 1, null])),
        [number.clone(), number.clone(), number.clone(), number],
    )
        .prop_map(
            |(kty, crv, alg, kid, [n, e, x, y])| json!({"kty": kty, "crv": crv, "alg": alg, "kid": kid, "n": n, "e": e, "x": x, "y": y}),
        )
        .prop_map(|jwk| merge(json!({}), &jwk))
}

#[test]
fn every_byte_of_a_good_token_counts() {
    let token = good_token();
    assert_eq!(verdict(token), Ok(()));
    for place in 0..token.len() {
        for replacement in ["A", "B", "-", ".", "=", "\0"] {
            let mut changed = token.to_owned();
            changed.replace_range(place..=place, replacement);
            assert!(changed == token || verdict(&changed).is_err(), "{replacement:?} at {place}");
        }
        assert!(verdict(&token[..place]).is_err(), "cut at {place}");
        let mut shorter = token.to_owned();
        shorter.remove(place);
        assert!(verdict(&shorter).is_err(), "without {place}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused(token in prop_oneof![".*", r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}"]) {
        prop_assert!(verdict(&token).is_err());
    }

    #[test]
    fn any_three_parts_are_refused(parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..80))) {
        prop_assert!(verdict(&parts.map(base64).join(".")).is_err());
    }

    #[test]
    fn any_payload_under_a_good_header_is_refused(payload in prop::collection::vec(any::<u8>(), 0..80), signature in prop::collection::vec(any::<u8>(), 256)) {
        prop_assert!(verdict(&[base64(issuer().rsa.header().to_string()), base64(payload), base64(signature)].join(".")).is_err());
    }

    #[test]
    fn a_changed_character_is_refused(place in any::<prop::sample::Index>(), replacement in any::<char>(), insert in any::<bool>()) {
        let token = good_token();
        let place = place.index(token.len());
        let mut changed = token.to_owned();
        changed.replace_range(place..place + usize::from(!insert), replacement.encode_utf8(&mut [0; 4]));
        prop_assert!(changed == token || verdict(&changed).is_err());
    }

    #[test]
    fn changed_bytes_behind_the_base64_are_refused(part in 0_usize..3, place in any::<prop::sample::Index>(), mask in 1_u8..) {
        let mut parts: Vec<Vec<u8>> = good_token().split('.').map(unbase64).collect();
        let place = place.index(parts[part].len());
        parts[part][place] ^= mask;
        let changed = parts.into_iter().map(base64).collect::<Vec<_>>().join(".");
        prop_assert!(verdict(&changed).is_err());
    }

    /// Ours is the stricter: what it accepts, jsonwebtoken accepts too.
    #[test]
    fn nothing_passes_that_jsonwebtoken_refuses(header in any_header(), claims in any_claims()) {
        let ed = &issuer().ed;
        let token = ed.compact(merge(json!({}), &header).to_string(), claims.to_string());
        let document = jwks([ed]);
        let checks = checks_for("EdDSA");
        if checks.verify(&token, &set(&document), at(now())).is_ok() {
            prop_assert_eq!(oracle(&document, &checks, &token), Ok(claims));
        }
    }

    /// The same for claims that were cut and pasted at random and then signed well.
    #[test]
    fn nothing_passes_that_jsonwebtoken_refuses_whatever_was_signed(
        algorithm in prop::sample::select(vec!["EdDSA", "ES256"]),
        claims in any_claims(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3, r#"[\[\]{}:,"\\ 0-9a-e.-]{0,3}"#), 0..3),
    ) {
        let mut payload = claims.to_string();
        for (place, length, text) in edits {
            let place = place.index(payload.len());
            payload.replace_range(place..(place + length).min(payload.len()), &text);
        }
        let signer = if algorithm == "EdDSA" { &issuer().ed } else { &issuer().ec };
        let token = signer.compact(signer.header().to_string(), &payload);
        let (document, checks) = (jwks([signer]), checks_for(algorithm));
        if let Ok(claims) = checks.verify(&token, &set(&document), at(now())) {
            let theirs = oracle(&document, &checks, &token);
            prop_assert!(theirs.is_ok(), "{theirs:?}: {payload}");
            prop_assert_eq!(claims.values().iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<Value>(), theirs.unwrap());
        }
    }

    /// A key set serves what it says of itself, under any mixture of good keys.
    #[test]
    fn a_key_set_serves_exactly_the_keys_it_names(present in prop::collection::vec(any::<bool>(), 5), order in any::<prop::sample::Index>()) {
        let mut signers: Vec<_> = issuer().signers().into_iter().zip(&present).filter(|(_, present)| **present).map(|(signer, _)| signer).collect();
        prop_assume!(!signers.is_empty());
        let first = order.index(signers.len());
        signers.rotate_left(first);
        let keys = set(&jwks(signers.iter().copied()));
        for (signer, present) in issuer().signers().into_iter().zip(present) {
            let verdict = checks_for(signer.algorithm).verify(&signer.mint(&claims()), &keys, at(now())).map(drop);
            prop_assert_eq!(verdict, if present { Ok(()) } else { Err(TokenError::UnknownKey) });
        }
    }

    /// The rules again, one by one, written without the verifier.
    #[test]
    fn accepts_exactly_what_the_rules_say(claims in any_claims()) {
        let date = |name: &str| claims.get(name).map(|date| date.as_f64().filter(|date| (0.0..1e19).contains(date)));
        let present = now() as f64;
        let started = |name: &str| date(name).is_none_or(|date| date.is_some_and(|date| date <= present + LEEWAY as f64));
        let unexpired = date("exp").flatten().is_some_and(|exp| present < exp + LEEWAY as f64 && exp < present + 3.2e8);
        let audience = match &claims["aud"] {
            Value::Array(many) => many.iter().all(Value::is_string) && many.contains(&json!(AUDIENCE)),
            one => *one == json!(AUDIENCE),
        };
        let expected = claims["iss"] == json!(ISSUER) && audience && unexpired && started("nbf") && started("iat") && claims.get("cnf").is_none();
        let token = issuer().ed.mint(&claims);
        prop_assert_eq!(checks_for("EdDSA").verify(&token, keys(), at(now())).is_ok(), expected, "{}", claims);
    }

    #[test]
    fn no_document_is_too_odd_for_the_key_loader(document in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64).boxed(),
        ".*".prop_map(String::into_bytes).boxed(),
        prop::collection::vec(any_jwk(), 0..6).prop_map(|keys| json!({"keys": keys}).to_string().into_bytes()).boxed(),
    ]) {
        if let Ok((keys, _)) = KeySet::from_jwks(&document) {
            prop_assert!(checks().verify(good_token(), &keys, at(now())).is_err());
        }
    }
}
