//! J01-J08, J10, J11, J13, J16: the algorithm is the configured one and the signature is its own.

use super::{
    support::{Signer, base64, unbase64},
    *,
};
use ::base64::Engine;
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PSS_SHA256, RsaPssSaltLength, RsaSignatureEncoding},
};

const NAMES_OF_NONE: [&str; 7] = ["none", "None", "NONE", "nOnE", "none ", "\0none", ""];
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// L of RFC 8032 §5.1, little endian.
const ED25519_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A token with any header and signature.
fn with_signature(header: &Value, signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}.{}", base64(header.to_string()), base64(claims().to_string()), base64(signature))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = ::base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn signature_of(token: &str) -> &str {
    token.rsplit('.').next().unwrap()
}

fn decoded_header(token: &str) -> Value {
    serde_json::from_slice(&unbase64(token.split('.').next().unwrap())).unwrap()
}

#[test]
fn j01_j02_none_by_any_name_with_or_without_a_signature() {
    let rsa = &issuer().rsa;
    let mut rows = Vec::new();
    for name in NAMES_OF_NONE {
        let resigned = rsa.mint_with(&json!({"alg": name}), &claims());
        let unsigned = resigned.strip_suffix(signature_of(&resigned)).unwrap().to_owned();
        rows.push(("J01, empty signature", unsigned.clone(), Err(TokenError::Malformed)));
        rows.push(("J01, no last dot", unsigned.trim_end_matches('.').to_owned(), Err(TokenError::Malformed)));
        rows.push(("J01, one byte", unsigned.clone() + "AA", Err(TokenError::Algorithm)));
        rows.push(("J02, the old signature", unsigned + signature_of(&good()), Err(TokenError::Algorithm)));
        rows.push(("J02, a signature that fits", resigned, Err(TokenError::Algorithm)));
    }
    run(&checks(), rows);
}

#[test]
fn j03_alg_is_exactly_the_configured_name() {
    let rsa = &issuer().rsa;
    let mut rows = vec![("absent", rsa.mint_with(&json!({"alg": null}), &claims()), Err(TokenError::Algorithm))];
    for alg in ["null", "256", "[\"RS256\"]", "{}", "\"rs256\"", "\"RS256 \"", "\"RSA256\"", "\"RS384\""] {
        let header = format!(r#"{{"alg":{alg},"typ":"JWT","kid":"rsa"}}"#);
        rows.push((alg, rsa.compact(header, claims().to_string()), Err(TokenError::Algorithm)));
    }
    run(&checks(), rows);
}

/// Whatever spelling of the public key serves as the secret: where keys are public, no HMAC is ever tried.
#[test]
fn j04_j05_a_public_key_is_never_a_secret() {
    let rsa = &issuer().rsa;
    let (pkcs1, spki) = (rsa.public_pkcs1(), rsa.public_spki());
    let modulus = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let secrets = [
        ("PEM", pem("PUBLIC KEY", &spki).into_bytes()),
        ("PEM without its last newline", pem("PUBLIC KEY", &spki).trim_end().into()),
        ("PEM behind a space", format!(" {}", pem("PUBLIC KEY", &spki)).into()),
        ("PEM of PKCS #1", pem("RSA PUBLIC KEY", &pkcs1).into_bytes()),
        ("DER", spki),
        ("DER of PKCS #1", pkcs1),
        ("n", unbase64(&modulus)),
        ("n in base64url", modulus.into_bytes()),
        ("JWK", rsa.jwk().to_string().into_bytes()),
        ("empty", Vec::new()),
    ];
    let mut rows = Vec::new();
    for (name, secret) in secrets {
        for (alg, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
            for (claimed, verdict) in [(alg, TokenError::Algorithm), ("RS256", TokenError::Signature)] {
                let unsigned = with_signature(&json!({"alg": claimed, "typ": "JWT", "kid": "rsa"}), "");
                let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), unsigned.trim_end_matches('.').as_bytes());
                rows.push((name, unsigned + &base64(tag), Err(verdict)));
            }
        }
    }
    // Not even where the resource asks for HS256 and gets an issuer's public keys by mistake.
    let unknown = rows.iter().filter(|(_, token, _)| decoded_header(token)["alg"] == "HS256");
    let unknown = unknown.map(|(name, token, _)| (*name, token.clone(), Err(TokenError::UnknownKey))).collect();
    run(&checks_for("HS256"), unknown);
    run(&checks(), rows);
    for name in ["HS384", "HS512", "none"] {
        assert_eq!(Algorithm::from_name(name), None);
    }
}

#[test]
fn j06_a_good_signature_of_another_algorithm() {
    let issuer = issuer();
    let signers =
        [issuer.rsa.signing("RS384"), issuer.rsa.signing("RS512"), issuer.rsa.signing("PS256"), issuer.ec.clone(), issuer.ed.clone()];
    let open = |signer: &Signer| merge(signer.jwk(), &json!({"alg": null}));
    let document = json!({"keys": [open(&issuer.rsa), open(&issuer.ec), open(&issuer.ed)]}).to_string();
    let rows = signers.iter().map(|signer| (signer.algorithm, signer.mint(&claims()), Err(TokenError::Algorithm))).collect();
    run_with(&document, &checks(), rows);
    for signer in signers {
        run_with(&document, &checks_for(signer.algorithm), vec![(signer.algorithm, signer.mint(&claims()), Ok(()))]);
    }
}

#[test]
fn j07_j08_the_key_named_serves_another_algorithm() {
    let issuer = issuer();
    let bound = jwks([&issuer.rsa.signing("PS256").named("ps"), &issuer.next]);
    let unknown = Err(TokenError::UnknownKey);
    run_with(&bound, &checks(), vec![("J07, RS256 token, PS256 key", issuer.rsa.named("ps").mint(&claims()), unknown)]);
    let rows = vec![
        ("J08, RS256 token, EC key", issuer.rsa.named("ec").mint(&claims()), unknown),
        ("J08, RS256 token, Ed25519 key", issuer.rsa.named("ed").mint(&claims()), unknown),
    ];
    run(&checks(), rows);
    let rows = vec![
        ("J08, ES256 token, RSA key", issuer.ec.named("rsa").mint(&claims()), unknown),
        ("J08, ES256 token, P-384 key", issuer.ec.named("ec384").mint(&claims()), unknown),
    ];
    run(&checks_for("ES256"), rows);
}

#[test]
fn j10_ecdsa_signatures_out_of_range_or_of_another_length() {
    let header = issuer().ec.header();
    let (zero, order, one) = (vec![0; 32], unhex(P256_ORDER), [vec![0; 31], vec![1]].concat());
    let mut below = order.clone();
    *below.last_mut().unwrap() -= 1;
    let good = issuer().ec.mint(&claims());
    let signature = unbase64(signature_of(&good));
    let (r, s) = (signature[..32].to_vec(), signature[32..].to_vec());
    let numbers = [&zero, &one, &order, &below, &r, &s];
    let mut rows = vec![("as signed", good, Ok(()))];
    for first in numbers {
        for second in numbers {
            if (first, second) != (&r, &s) {
                rows.push((
                    "r or s replaced",
                    with_signature(&header, [first.clone(), second.clone()].concat()),
                    Err(TokenError::Signature),
                ));
            }
        }
    }
    let lengths: [(&str, Vec<u8>); 5] = [
        ("trailing zero", [&signature[..], &[0]].concat()),
        ("leading zero", [&[0], &signature[..]].concat()),
        ("zeros before r and s", [&[0], &r[..], &[0], &s[..]].concat()),
        ("short", signature[..63].to_vec()),
        ("r alone", r.clone()),
    ];
    rows.extend(lengths.map(|(name, bytes)| (name, with_signature(&header, bytes), Err(TokenError::Signature))));
    run(&checks_for("ES256"), rows);
}

#[test]
fn j11_an_ecdsa_signature_in_der() {
    let ec = &issuer().ec;
    let unsigned = with_signature(&ec.header(), "");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &ec.pkcs8()).unwrap();
    let der = key.sign(&SystemRandom::new(), unsigned.trim_end_matches('.').as_bytes()).unwrap();
    run(&checks_for("ES256"), vec![("DER", unsigned + &base64(der), Err(TokenError::Signature))]);
}

#[test]
fn j13_rsa_paddings_do_not_stand_for_each_other() {
    static SHORT_SALT: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(20));
    static NO_SALT: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(0));
    let rsa = &issuer().rsa;
    let refused = Err(TokenError::Signature);
    for (claimed, actual) in [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS384"), ("PS256", "PS384"), ("PS512", "PS256")] {
        let signer = rsa.signing(actual);
        let row = (actual, signer.mint_with(&json!({"alg": claimed}), &claims()), refused);
        run_with(&jwks([&rsa.signing(claimed)]), &checks_for(claimed), vec![row]);
    }
    let unsigned = with_signature(&rsa.signing("PS256").header(), "");
    let message = unsigned.trim_end_matches('.').as_bytes();
    let rows = [("short salt", &SHORT_SALT), ("no salt", &NO_SALT)];
    let rows = rows.map(|(name, encoding)| (name, unsigned.clone() + &base64(rsa.sign_rsa(encoding, message)), refused));
    run_with(&jwks([&rsa.signing("PS256")]), &checks_for("PS256"), rows.to_vec());
}

/// S + L verifies under a checker that does not insist on S < L (RFC 8032 §5.1.7).
#[test]
fn j16_an_ed25519_signature_has_one_spelling() {
    let good = issuer().ed.mint(&claims());
    let mut signature = unbase64(signature_of(&good));
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(unhex(ED25519_ORDER)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let raised = with_signature(&issuer().ed.header(), signature);
    run(&checks_for("EdDSA"), vec![("as signed", good, Ok(())), ("S + L", raised, Err(TokenError::Signature))]);
}
