//! J07, J09, J14, J36-J41, J53: which keys of a JWKS may verify, and for what.

use super::{
    support::{Signer, base64, unbase64},
    *,
};
use crate::jwt::{KeySetError, SkippedKey};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

/// A document of one good key, `next`, and another.
fn beside_a_good_key(jwk: &Value) -> String {
    json!({"keys": [issuer().next.jwk(), jwk]}).to_string()
}

fn skipped(document: &str) -> Vec<SkippedKey> {
    KeySet::from_jwks(document.as_bytes()).expect("usable keys").1
}

fn changed(signer: &Signer, members: &Value) -> Value {
    merge(signer.jwk(), members)
}

fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "kid": "odd", "use": "sig", "alg": "RS256", "n": base64(modulus), "e": base64(exponent)})
}

/// An odd number of so many bits. Nobody can sign with it, but a loader cannot tell.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bytes.len() * 8 - bits;
    bytes
}

/// The right point, cut in the wrong place.
fn shifted(signer: &Signer) -> Value {
    let jwk = signer.jwk();
    let point = ["x", "y"].map(|name| unbase64(jwk[name].as_str().unwrap())).concat();
    let (x, y) = point.split_at(point.len() / 2 - 1);
    merge(jwk, &json!({"x": base64(x), "y": base64(y)}))
}

/// J07, J09, J14, J37, J38, J39: each key is left out with the reason the operator reads, and its good neighbour stays.
#[test]
fn keys_that_must_not_verify_are_left_out_one_by_one() {
    let (rsa, ec, ec384, ed) = (&issuer().rsa, &issuer().ec, &issuer().ec384, &issuer().ed);
    let purpose = "`use` is not `sig`";
    let operations = "`key_ops` does not hold `verify`";
    let unsupported = "`kty` and `crv` are not supported, or a member is missing";
    let algorithm = "`alg` is not a signature algorithm of this key type";
    let coordinate = "a coordinate does not have the length that `crv` asks for";
    let size = "an RSA key must have 2048 to 8192 bits";
    let exponent = "an RSA exponent is odd, at least 3 and below 2^32";
    let weak = "a point of small order, or not in canonical form";
    let not_a_jwk = "not a JWK, or a member has the wrong type";
    let p384 = ec384.jwk();
    let rows = [
        ("J37 use enc", changed(rsa, &json!({"use": "enc"})), purpose),
        ("J37 use in capitals", changed(rsa, &json!({"use": "SIG"})), purpose),
        ("J37 use empty", changed(rsa, &json!({"use": ""})), purpose),
        ("J37 use of another type", changed(rsa, &json!({"use": ["sig"]})), not_a_jwk),
        ("J38 key_ops encrypt", changed(rsa, &json!({"key_ops": ["encrypt"]})), operations),
        ("J38 key_ops sign", changed(rsa, &json!({"key_ops": ["sign"]})), operations),
        ("J38 key_ops empty", changed(rsa, &json!({"key_ops": []})), operations),
        ("J38 key_ops of another type", changed(rsa, &json!({"key_ops": "verify"})), not_a_jwk),
        (
            "J39 oct",
            json!({"kty": "oct", "kid": "odd", "use": "sig", "alg": "HS256", "k": base64([7; 32])}),
            "a secret has no place in a public key set",
        ),
        ("J07 HMAC with an RSA key", changed(rsa, &json!({"alg": "HS256"})), algorithm),
        ("J07 ES256 with an RSA key", changed(rsa, &json!({"alg": "ES256"})), algorithm),
        ("J07 RSA-OAEP", changed(rsa, &json!({"alg": "RSA-OAEP"})), algorithm),
        ("J07 an unknown alg", changed(rsa, &json!({"alg": "XS256"})), algorithm),
        ("J07 rs256", changed(rsa, &json!({"alg": "rs256"})), algorithm),
        ("J07 alg of another type", changed(rsa, &json!({"alg": 256})), not_a_jwk),
        ("J07 ES384 with a P-256 key", changed(ec, &json!({"alg": "ES384"})), algorithm),
        ("J07 ES256 with an Ed25519 key", changed(ed, &json!({"alg": "ES256"})), algorithm),
        ("J09 P-256 coordinates called P-384", changed(ec, &json!({"crv": "P-384", "alg": "ES384"})), coordinate),
        ("J09 P-256 coordinates called P-384, no alg", changed(ec, &json!({"crv": "P-384", "alg": null})), coordinate),
        ("J09 P-384 coordinates called P-256", changed(ec384, &json!({"crv": "P-256", "alg": "ES256"})), coordinate),
        ("J09 x short", changed(ec, &json!({"x": base64([1; 31])})), coordinate),
        ("J09 y with a leading zero", changed(ec, &json!({"y": base64([0; 33])})), coordinate),
        ("J09 a byte of x moved to y", shifted(ec), coordinate),
        ("J09 coordinates empty", changed(ec, &json!({"x": "", "y": ""})), coordinate),
        ("not on the curve", changed(ec, &json!({"x": base64([1; 32]), "y": base64([1; 32])})), "not a point of the curve"),
        ("the origin", changed(ec, &json!({"x": base64([0; 32]), "y": base64([0; 32])})), "not a point of the curve"),
        ("x above the field", changed(ec, &json!({"x": base64([0xff; 32])})), "not a point of the curve"),
        ("x and y of different keys", changed(ec384, &json!({"y": p384["x"]})), "not a point of the curve"),
        ("P-521", json!({"kty": "EC", "kid": "odd", "crv": "P-521", "x": base64([1; 66]), "y": base64([1; 66])}), "`crv` is not supported"),
        ("EC on Ed25519", changed(ec, &json!({"crv": "Ed25519"})), "`crv` is not supported"),
        ("secp256k1", changed(ec, &json!({"crv": "secp256k1"})), unsupported),
        ("EC without y", changed(ec, &json!({"y": null})), unsupported),
        ("OKP on P-256", changed(ed, &json!({"crv": "P-256"})), "`crv` is not supported"),
        ("OKP on Ed448", changed(ed, &json!({"crv": "Ed448"})), unsupported),
        ("OKP on X25519", changed(ed, &json!({"crv": "X25519"})), unsupported),
        ("J16 one byte", changed(ed, &json!({"x": base64([1])})), "an Ed25519 key has 32 bytes"),
        ("J16 33 bytes", changed(ed, &json!({"x": base64([1; 33])})), "an Ed25519 key has 32 bytes"),
        ("J16 zero", changed(ed, &json!({"x": base64([0; 32])})), weak),
        ("J16 all ones", changed(ed, &json!({"x": base64([0xff; 32])})), weak),
        ("J14 1024 bits", rsa_jwk(&modulus(1024), &[1, 0, 1]), size),
        ("J14 2047 bits", rsa_jwk(&modulus(2047), &[1, 0, 1]), size),
        ("J14 2047 bits behind zeros", rsa_jwk(&[vec![0; 256], modulus(2047)].concat(), &[1, 0, 1]), size),
        ("J14 8193 bits", rsa_jwk(&modulus(8193), &[1, 0, 1]), size),
        ("J14 no bits", rsa_jwk(&[], &[1, 0, 1]), size),
        ("J14 even modulus", rsa_jwk(&[modulus(2040), vec![0xfe]].concat(), &[1, 0, 1]), "an RSA modulus is odd"),
        ("J14 e = 0", rsa_jwk(&modulus(2048), &[0]), exponent),
        ("J14 e empty", rsa_jwk(&modulus(2048), &[]), exponent),
        ("J14 e = 1", rsa_jwk(&modulus(2048), &[1]), exponent),
        ("J14 e = 1 behind zeros", rsa_jwk(&modulus(2048), &[0, 0, 1]), exponent),
        ("J14 e = 2", rsa_jwk(&modulus(2048), &[2]), exponent),
        ("J14 e = 65536", rsa_jwk(&modulus(2048), &[1, 0, 0]), exponent),
        ("J14 e = 2^32 + 1", rsa_jwk(&modulus(2048), &[1, 0, 0, 0, 1]), exponent),
        ("n padded", changed(rsa, &json!({"n": rsa.jwk()["n"].as_str().unwrap().to_owned() + "="})), "a member is not base64url"),
        ("n in the other alphabet", changed(rsa, &json!({"n": "+/+/"})), "a member is not base64url"),
        ("RSA without n", changed(rsa, &json!({"n": null})), unsupported),
        ("an unknown type", changed(rsa, &json!({"kty": "XYZ"})), unsupported),
        ("no type", changed(rsa, &json!({"kty": null})), unsupported),
        ("a number for a kid", changed(rsa, &json!({"kid": 1})), not_a_jwk),
        ("not an object", json!("rsa"), not_a_jwk),
        ("null", json!(null), not_a_jwk),
    ];
    for (name, jwk, reason) in rows {
        let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
        let (keys, skipped) = KeySet::from_jwks(beside_a_good_key(&jwk).as_bytes()).expect(name);
        assert_eq!(skipped, [SkippedKey { kid, reason }], "{name}");
        assert_eq!(keys.key_ids(), ["next"], "{name}");
        let refused = KeySet::from_jwks(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap_err();
        assert!(matches!(refused, KeySetError::Empty(skipped) if skipped.len() == 1), "J40 {name}");
    }
}

/// J07, J37, J38, J53: what is said of a key beyond its purpose does not matter.
#[test]
fn keys_that_may_verify_do() {
    let rsa = &issuer().rsa;
    let n = unbase64(rsa.jwk()["n"].as_str().unwrap());
    let rows = [
        ("as Auth0 lists it", changed(rsa, &json!({"x5c": ["MIIC"], "x5t": "1q2w", "unknown": {"a": [1]}}))),
        ("no use", changed(rsa, &json!({"use": null}))),
        ("no alg", changed(rsa, &json!({"alg": null}))),
        ("key_ops verify", changed(rsa, &json!({"key_ops": ["verify"]}))),
        ("key_ops verify and more", changed(rsa, &json!({"key_ops": ["encrypt", "verify"]}))),
        ("J53 private members", changed(rsa, &json!({"d": "c2VjcmV0", "p": "c2VjcmV0", "q": "c2VjcmV0"}))),
    ];
    for (name, jwk) in rows {
        run_with(&json!({"keys": [jwk]}).to_string(), &checks(), vec![(name, good(), Ok(()))]);
    }
    // jsonwebtoken cannot read these: zeros that RFC 7518 §6.3.1.1 forbids and Java issuers send, odd types of what nobody reads.
    let ours_alone = [
        ("n with a leading zero", json!({"n": base64([vec![0], n].concat())})),
        ("e with a leading zero", json!({"e": base64([0, 1, 0, 1])})),
        ("x5c of another type", json!({"x5c": "MIIC", "x5t": 1, "x5u": {}})),
    ];
    for (name, members) in ours_alone {
        let document = json!({"keys": [changed(rsa, &members)]}).to_string();
        assert_eq!(checks().verify(&good(), &set(&document), at(now())).map(drop), Ok(()), "{name}");
    }
    for bits in [2048, 2049, 3072, 4096, 8192] {
        assert_eq!(skipped(&beside_a_good_key(&rsa_jwk(&modulus(bits), &[1, 0, 1]))), [], "{bits} bits");
    }
    for exponent in [&[3][..], &[17], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(skipped(&beside_a_good_key(&rsa_jwk(&modulus(2048), exponent))), [], "e = {exponent:?}");
    }
}

#[test]
fn j53_private_members_are_nowhere_in_what_is_kept_or_said() {
    let secret = "c2VjcmV0LXByaW1lLW51bWJlcg";
    let private = json!({"d": secret, "p": secret, "q": secret, "dp": secret, "dq": secret, "qi": secret, "k": secret});
    let kept = changed(&issuer().rsa, &private);
    let oct = json!({"kty": "oct", "kid": "odd", "k": secret});
    let shown = format!(
        "{:?}",
        KeySet::from_jwks(json!({"keys": [kept, oct, changed(&issuer().ec, &json!({"d": secret, "y": 1}))]}).to_string().as_bytes())
    );
    assert!(shown.contains("rsa") && !shown.contains(secret), "{shown}");
    let hex: String = unbase64(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&hex), "{shown}");
}

#[test]
fn j07_a_key_without_alg_serves_every_algorithm_of_its_type_and_one_with_it_only_that() {
    let rsa = &issuer().rsa;
    let open = json!({"keys": [changed(rsa, &json!({"alg": null}))]}).to_string();
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = rsa.signing(algorithm).mint(&claims());
        run_with(&open, &checks_for(algorithm), vec![(algorithm, token.clone(), Ok(()))]);
        let verdict = if algorithm == "RS256" { Ok(()) } else { Err(TokenError::UnknownKey) };
        run_with(&jwks([rsa]), &checks_for(algorithm), vec![(algorithm, token, verdict)]);
    }
}

#[test]
fn j36_keys_that_share_a_kid_are_told_apart_by_type_or_not_at_all() {
    let (rsa, next, ec) = (issuer().rsa.named("one"), issuer().next.named("one"), issuer().ec.named("one"));
    let reason = "shares its `kid` and an `alg` with another key";
    let both = jwks([&rsa, &ec]);
    assert_eq!(skipped(&both), []);
    assert_eq!(checks().verify(&rsa.mint(&claims()), &set(&both), at(now())).map(drop), Ok(()), "RSA beside EC");
    assert_eq!(checks_for("ES256").verify(&ec.mint(&claims()), &set(&both), at(now())).map(drop), Ok(()), "EC beside RSA");

    let same_type = jwks([&rsa, &next, &ec]);
    assert_eq!(skipped(&same_type), [SkippedKey { kid: Some("one".to_owned()), reason }]);
    for signer in [&rsa, &next] {
        assert_eq!(checks().verify(&signer.mint(&claims()), &set(&same_type), at(now())), Err(TokenError::UnknownKey));
    }
    assert!(
        matches!(KeySet::from_jwks(jwks([&rsa, &next]).as_bytes()), Err(KeySetError::Empty(skipped)) if skipped[0].is_ambiguous()),
        "nothing but a clash"
    );
    assert!(
        matches!(KeySet::from_jwks(jwks([&rsa, &rsa]).as_bytes()), Err(KeySetError::Empty(skipped)) if skipped[0].is_ambiguous()),
        "the same key twice"
    );

    let apart = jwks([&rsa, &next.signing("PS256")]);
    assert_eq!(skipped(&apart), [], "bound to different algorithms");
    let overlapping = json!({"keys": [rsa.jwk(), changed(&next, &json!({"alg": null}))]}).to_string();
    assert_eq!(skipped(&overlapping), [SkippedKey { kid: Some("one".to_owned()), reason }]);
    assert_eq!(checks().verify(&rsa.mint(&claims()), &set(&overlapping), at(now())), Err(TokenError::UnknownKey), "the clash");
    let rest = next.signing("PS384");
    assert_eq!(checks_for("PS384").verify(&rest.mint(&claims()), &set(&overlapping), at(now())).map(drop), Ok(()), "no clash");
}

/// J16: under these keys anybody signs: R the neutral element, S zero. aws-lc alone accepts that; the loader does not let them in.
#[test]
fn j16_points_of_small_order_are_left_out_under_either_sign() {
    let forged = [&[1][..], &[0; 63]].concat();
    let mut accepted_by_the_library = 0;
    for point in crate::jwt::jwk::SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut point = point;
            point[31] |= sign;
            let jwk = changed(&issuer().ed, &json!({"x": base64(point)}));
            assert_eq!(skipped(&beside_a_good_key(&jwk)).len(), 1, "{point:02x?}");
            let messages = (0..64_u8).map(|message| UnparsedPublicKey::new(&ED25519, point).verify(&[message], &forged));
            accepted_by_the_library += usize::from(messages.into_iter().any(|verdict| verdict.is_ok()));
        }
    }
    assert!(accepted_by_the_library > 0, "the table is of no use");
    for lowest in 0xed..=0xff {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (lowest, 0x7f);
        let jwk = changed(&issuer().ed, &json!({"x": base64(point)}));
        assert_eq!(skipped(&beside_a_good_key(&jwk)).len(), 1, "p and above: {lowest:x}");
    }
}

#[test]
fn j40_j41_documents_that_are_no_key_sets() {
    let rows = [
        ("empty list", r#"{"keys":[]}"#.to_owned(), KeySetError::Empty(vec![])),
        ("nothing", String::new(), KeySetError::Malformed),
        ("HTML", "<!doctype html><p>Service unavailable".to_owned(), KeySetError::Malformed),
        ("cut short", jwks([&issuer().rsa])[..100].to_owned(), KeySetError::Malformed),
        ("no keys", "{}".to_owned(), KeySetError::Malformed),
        ("keys null", r#"{"keys":null}"#.to_owned(), KeySetError::Malformed),
        ("keys an object", r#"{"keys":{"rsa":{}}}"#.to_owned(), KeySetError::Malformed),
        ("a bare list", format!("[{}]", issuer().rsa.jwk()), KeySetError::Malformed),
        ("a bare key", issuer().rsa.jwk().to_string(), KeySetError::Malformed),
        ("keys twice", format!(r#"{{"keys":[],"keys":[{}]}}"#, issuer().rsa.jwk()), KeySetError::Malformed),
        ("kid twice", format!(r#"{{"keys":[{{"kid":"x",{}]}}"#, &issuer().rsa.jwk().to_string()[1..]), KeySetError::Malformed),
        ("very deep", format!(r#"{{"keys":[{}"#, "[".repeat(100_000)), KeySetError::Malformed),
        ("65 keys", format!(r#"{{"keys":[{}{}]}}"#, issuer().rsa.jwk(), ",{}".repeat(64)), KeySetError::TooMany),
    ];
    for (name, document, error) in rows {
        assert_eq!(KeySet::from_jwks(document.as_bytes()).unwrap_err(), error, "{name}");
    }
    let full = format!(r#"{{"keys":[{}{}]}}"#, issuer().rsa.jwk(), ",{}".repeat(63));
    assert_eq!(skipped(&full).len(), 63, "64 keys");
}

#[test]
fn key_ids_are_sorted_and_listed_once() {
    let open = |kid: &str| changed(&issuer().rsa, &json!({"kid": kid, "alg": null}));
    let document = json!({"keys": [open("b"), issuer().ec.named("b").jwk(), open("a"), merge(issuer().ed.jwk(), &json!({"kid": null}))]});
    assert_eq!(set(&document.to_string()).key_ids(), ["a", "b"]);
    assert!(KeySet::default().key_ids().is_empty());
}

#[test]
fn a_full_set_finds_each_of_its_keys() {
    let signers: Vec<_> = (0..64).map(|n| Signer::generate("ES256", &format!("key-{n}"))).collect();
    let document = jwks(&signers);
    let rows = signers.iter().map(|signer| ("one of 64", signer.mint(&claims()), Ok(()))).collect();
    run_with(&document, &checks_for("ES256"), rows);
}
