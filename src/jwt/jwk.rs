//! One JWK (RFC 7517 §4), and which algorithms it may verify, if any.

use super::Algorithm;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk, KeyOperations, OctetKeyPairParameters,
    PublicKeyUse, RSAKeyParameters,
};
use serde_json::Value;
use std::{iter, ops::RangeInclusive};

/// Why a key is left out, for the operator.
type Reason = &'static str;
type Keys = Vec<(Algorithm, ParsedPublicKey)>;

/// The members that are read. The rest, private numbers above all, is dropped first: nothing in it can leak or spoil a good key.
const MEMBERS: [&str; 11] = ["kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e", "k"];
const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::RS384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::RS512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::PS384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::PS512, &RSA_PSS_2048_8192_SHA512),
];
/// RFC 7518 §3.3 sets the lower bound; above the upper one a verification costs too much.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;
const SMALL_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137,
    139, 149, 151, 157, 163, 167,
];
const SEC1_UNCOMPRESSED: u8 = 4;

/// Parses the key once for every algorithm it may serve: those of its type and curve, or of these the one that its `alg` names.
pub(super) fn parse(mut jwk: Value) -> Result<Keys, Reason> {
    if let Value::Object(members) = &mut jwk {
        members.retain(|name, _| MEMBERS.contains(&name.as_str()));
    }
    let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| "not a JWK, or a member has the wrong type")?;
    check_purpose(&jwk.common)?;
    let mut keys = match &jwk.algorithm {
        AlgorithmParameters::RSA(parameters) => rsa(parameters),
        AlgorithmParameters::EllipticCurve(parameters) => elliptic_curve(parameters),
        AlgorithmParameters::OctetKeyPair(parameters) => octet_key_pair(parameters),
        AlgorithmParameters::OctetKey(_) => Err("a secret has no place in a public key set"),
        _ => Err("`kty` and `crv` are not supported, or a member is missing"),
    }?;
    if let Some(declared) = jwk.common.key_algorithm {
        keys.retain(|(algorithm, _)| algorithm.as_str() == declared.to_string());
    }
    if keys.is_empty() { Err("`alg` is not a signature algorithm of this key type") } else { Ok(keys) }
}

/// RFC 7517 §4.2, §4.3.
fn check_purpose(jwk: &CommonParameters) -> Result<(), Reason> {
    if jwk.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return Err("`use` is not `sig`");
    }
    if jwk.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Err("`key_ops` does not hold `verify`");
    }
    Ok(())
}

fn rsa(jwk: &RSAKeyParameters) -> Result<Keys, Reason> {
    let (modulus, exponent) = (unsigned(&jwk.n)?, unsigned(&jwk.e)?);
    check_modulus(&modulus)?;
    check_exponent(&exponent)?;
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    let parse = |(algorithm, parameters)| components.to_parsed_public_key(parameters).map(|key| (algorithm, key));
    RSA.into_iter().map(parse).collect::<Result<_, _>>().map_err(|_| "not an RSA key")
}

fn check_modulus(modulus: &[u8]) -> Result<(), Reason> {
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !RSA_BITS.contains(&(modulus.len() * 8 - leading_zeros)) {
        return Err("an RSA key must have 2048 to 8192 bits");
    }
    if is_even(modulus) {
        return Err("an RSA modulus is odd");
    }
    if is_roca(modulus) { Err("made by a broken generator (CVE-2017-15361)") } else { Ok(()) }
}

/// Modulo every small prime, the moduli of that generator are powers of 65537. Of sound ones, one in some 2^27 is.
fn is_roca(modulus: &[u8]) -> bool {
    SMALL_PRIMES.iter().all(|prime| {
        let residue = modulus.iter().fold(0, |residue, byte| (residue << 8 | u32::from(*byte)) % prime);
        let powers = iter::successors(Some(1), |power| Some(power * 65_537 % prime));
        powers.take(*prime as usize).any(|power| power == residue)
    })
}

/// An even exponent has no inverse, and 1 makes every message its own signature. No issuer needs a long one, which costs time at each
/// verification.
fn check_exponent(exponent: &[u8]) -> Result<(), Reason> {
    if is_even(exponent) || exponent == [1] || exponent.len() > 4 {
        return Err("an RSA exponent is odd, at least 3 and below 2^32");
    }
    Ok(())
}

fn elliptic_curve(jwk: &EllipticCurveKeyParameters) -> Result<Keys, Reason> {
    let (algorithm, verification, length): (_, &'static dyn VerificationAlgorithm, _) = match jwk.curve {
        EllipticCurve::P256 => (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED, 32),
        EllipticCurve::P384 => (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err("`crv` is not supported"),
    };
    let (x, y) = (decode(&jwk.x)?, decode(&jwk.y)?);
    if x.len() != length || y.len() != length {
        return Err("a coordinate does not have the length that `crv` asks for");
    }
    let point = [&[SEC1_UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
    let key = ParsedPublicKey::new(verification, point).map_err(|_| "not a point of the curve")?;
    Ok(vec![(algorithm, key)])
}

fn octet_key_pair(jwk: &OctetKeyPairParameters) -> Result<Keys, Reason> {
    if jwk.curve != EllipticCurve::Ed25519 {
        return Err("`crv` is not supported");
    }
    let point = <[u8; 32]>::try_from(decode(&jwk.x)?).map_err(|_| "an Ed25519 key has 32 bytes")?;
    if is_weak(point) {
        return Err("a point of small order, or not in canonical form");
    }
    let key = ParsedPublicKey::new(&ED25519, point).map_err(|_| "not a point of the curve")?;
    Ok(vec![(Algorithm::EdDSA, key)])
}

/// The `y` of the eight points whose order divides 8, little endian, without the sign bit: under such a key one signature fits
/// many messages. Computed from the curve equation of RFC 8032 §5.1.
pub(super) const SMALL_ORDER: [[u8; 32]; 5] = [
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

fn is_weak(mut point: [u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = &mut point;
    *highest &= 0x7f;
    let is_at_least_p = *lowest >= 0xed && *highest == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    is_at_least_p || SMALL_ORDER.contains(&point)
}

/// A big-endian integer without the leading zeros that some issuers send (RFC 7518 §6.3.1.1).
fn unsigned(text: &str) -> Result<Vec<u8>, Reason> {
    Ok(decode(text)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn is_even(number: &[u8]) -> bool {
    number.last().is_none_or(|byte| byte % 2 == 0)
}

fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a member is not base64url")
}
