//! J12 and J15: RSA numbers made by hand.

use super::{
    support::{base64, der_value},
    *,
};
use aws_lc_rs::digest::{SHA256, digest};
use num_bigint::BigUint;

const LENGTH: usize = 256;
const SHA256_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// `message` to the power of the private exponent: a signature under any padding, or none.
fn sign_raw(message: &[u8]) -> Vec<u8> {
    let pkcs8 = issuer().rsa.pkcs8();
    let (info, _) = der_value(&pkcs8);
    let (_version, rest) = der_value(info);
    let (_algorithm, rest) = der_value(rest);
    let (key, _) = der_value(rest);
    let (mut rest, _) = der_value(key);
    let [_version, modulus, _exponent, private] = [(); 4].map(|()| {
        let (number, after) = der_value(rest);
        rest = after;
        BigUint::from_bytes_be(number)
    });
    let signature = BigUint::from_bytes_be(message).modpow(&private, &modulus).to_bytes_be();
    [vec![0; LENGTH - signature.len()], signature].concat()
}

/// The encoded message of RFC 8017 §9.2 with these first bytes, and 0xff up to this end.
fn padded(start: &[u8], end: &[u8]) -> Vec<u8> {
    [start, &vec![0xff; LENGTH - start.len() - end.len()], end].concat()
}

#[test]
fn j12_pkcs1_padding_has_one_form() {
    let message = format!("{}.{}", base64(issuer().rsa.header().to_string()), base64(claims().to_string()));
    let hash = digest(&SHA256, message.as_bytes());
    let hash = hash.as_ref();
    let info = |info: &[u8]| [b"\x00", info, hash].concat();
    let good = padded(b"\x00\x01", &info(SHA256_INFO));
    let garbage = |length: usize| [&b"\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff"[..], &info(SHA256_INFO), &vec![0x55; length]].concat();
    let changed = |place: usize, byte: u8| {
        let mut message = good.clone();
        message[place] = byte;
        message
    };
    let separator = LENGTH - hash.len() - SHA256_INFO.len() - 1;
    let bad = [
        ("no parameters", padded(b"\x00\x01", &info(b"\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20"))),
        (
            "long form of a length",
            padded(b"\x00\x01", &info(b"\x30\x81\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")),
        ),
        (
            "indefinite length",
            padded(
                b"\x00\x01",
                &[&info(b"\x30\x80\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")[..], b"\x00\x00"].concat(),
            ),
        ),
        (
            "parameters that are not null",
            padded(b"\x00\x01", &info(b"\x30\x32\x30\x0e\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x01\x00\x04\x20")),
        ),
        ("the OID of SHA-384", padded(b"\x00\x01", &info(b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x20"))),
        ("the hash alone", padded(b"\x00\x01", &info(b""))),
        ("the hash one byte short", padded(b"\x00\x01", &info(SHA256_INFO)[..51])),
        ("eight bytes of padding, then garbage at the end", garbage(LENGTH - 10 - 1 - SHA256_INFO.len() - hash.len())),
        ("a byte after the hash", padded(b"\x00\x01", &[&info(SHA256_INFO)[..], b"\x00"].concat())),
        ("block type 0", changed(1, 0)),
        ("block type 2", changed(1, 2)),
        ("a first byte", changed(0, 1)),
        ("a hole in the padding", changed(100, 0)),
        ("a bit in the padding", changed(100, 0xfe)),
        ("no separator", changed(separator, 0xff)),
        ("another separator", changed(separator, 1)),
        ("another hash", changed(LENGTH - 1, !good[LENGTH - 1])),
        ("zero", vec![0; LENGTH]),
        ("one", [vec![0; LENGTH - 1], vec![1]].concat()),
    ];
    let token = |padded: &[u8]| format!("{message}.{}", base64(sign_raw(padded)));
    let mut rows = vec![("as RFC 8017 has it", token(&good), Ok(()))];
    rows.extend(bad.iter().map(|(name, padded)| (*name, token(padded), Err(TokenError::Signature))));
    run(&checks(), rows);
}

#[test]
fn j15_moduli_of_the_broken_generator_are_left_out() {
    for factor in [1_u32, 65_537] {
        let modulus = BigUint::from(65_537_u32).pow(128) * factor;
        let jwk = json!({"kty": "RSA", "kid": "roca", "e": "AQAB", "n": base64(modulus.to_bytes_be())});
        let (_, skipped) = KeySet::from_jwks(json!({"keys": [jwk, issuer().rsa.jwk()]}).to_string().as_bytes()).unwrap();
        assert_eq!(skipped[0].reason, "made by a broken generator (CVE-2017-15361)");
        let near = modulus + 2_u32;
        let jwk = json!({"kty": "RSA", "kid": "sound", "e": "AQAB", "n": base64(near.to_bytes_be())});
        assert_eq!(set(&json!({"keys": [jwk]}).to_string()).key_ids(), ["sound"]);
    }
}
