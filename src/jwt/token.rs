//! The three parts of a compact JWS (RFC 7515 §7.1), and the header rules that need no key.

use super::{
    Algorithm, Check, TokenError,
    json::{self, Members},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Auth0 tokens with many permissions come near it.
pub(super) const MAX_TOKEN: usize = 16 * 1024;
const MAX_HEADER: usize = 4 * 1024;
const MAX_KID: usize = 256;
const HEADER_DEPTH: u8 = 8;
const PAYLOAD_DEPTH: u8 = 32;
/// Those that Auth0 writes, the most usual first.
const KNOWN_CLAIMS: [&str; 14] =
    ["iss", "sub", "aud", "iat", "exp", "scope", "azp", "gty", "permissions", "org_id", "jti", "client_id", "nbf", "org_name"];

/// Parameters that change what the signature or the payload means. This verifier understands none of them, so even an empty
/// `crit` is refused (RFC 7515 §4.1.11, RFC 7797, RFC 7519 §5.2).
pub(super) const REFUSED_PARAMETERS: [&str; 5] = ["crit", "b64", "zip", "cty", "enc"];
/// Tokens made for other purposes, such as logout or DPoP proofs, name another type (RFC 8725 §3.11, RFC 9068 §4).
const ACCEPTED_TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];
/// Those of them that name an access token of RFC 9068 §2.1.
const ACCESS_TOKEN_TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];

/// The parts as sent, still encoded. `Token::split` has bounded their length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What was signed: header, dot, payload.
    pub(super) message: &'a [u8],
}

/// What a header is allowed to say about itself once its `alg` is known to be the configured one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kid: Option<String>,
    /// `typ` says that it is an access token as RFC 9068 has them.
    pub(super) is_at_jwt: bool,
}

// === impl Token ===

impl<'a> Token<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.splitn(4, '.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Malformed);
        };
        if [header, payload, signature].contains(&"") {
            return Err(TokenError::Malformed);
        }
        let message = token.as_bytes().get(..=header.len() + payload.len()).ok_or(TokenError::Malformed)?;
        Ok(Self { header, payload, signature, message })
    }

    /// Checks the header against the configured algorithm and returns what selects the key.
    pub(super) fn header(&self, algorithm: Algorithm, begins: &mut impl FnMut(Check)) -> Result<Header, TokenError> {
        begins(Check::Header);
        Header::check(self.header_members()?, algorithm, begins)
    }

    /// What the header says, before any of it was checked.
    pub(super) fn header_members(&self) -> Result<Map<String, Value>, TokenError> {
        let decoded = decode(self.header)?;
        if decoded.len() > MAX_HEADER {
            return Err(TokenError::Header);
        }
        json::object(&decoded, HEADER_DEPTH).map_err(|_| TokenError::Header)
    }

    pub(super) fn payload(&self) -> Result<Members, TokenError> {
        json::members(&decode(self.payload)?, PAYLOAD_DEPTH, &KNOWN_CLAIMS).map_err(|_| TokenError::Payload)
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.signature)
    }
}

// === impl Header ===

impl Header {
    fn check(mut members: Map<String, Value>, algorithm: Algorithm, begins: &mut impl FnMut(Check)) -> Result<Self, TokenError> {
        if REFUSED_PARAMETERS.iter().any(|name| members.contains_key(*name)) {
            return Err(TokenError::Header);
        }
        begins(Check::Type);
        if !members.get("typ").is_none_or(|typ| is_one_of(&ACCEPTED_TYPES, typ)) {
            return Err(TokenError::Type);
        }
        let is_at_jwt = members.get("typ").is_some_and(|typ| is_one_of(&ACCESS_TOKEN_TYPES, typ));
        begins(Check::Algorithm);
        if members.get("alg").and_then(Value::as_str) != Some(algorithm.as_str()) {
            return Err(TokenError::Algorithm);
        }
        begins(Check::Header);
        match members.remove("kid") {
            None => Ok(Self { kid: None, is_at_jwt }),
            Some(Value::String(kid)) if kid.len() <= MAX_KID => Ok(Self { kid: Some(kid), is_at_jwt }),
            Some(_) => Err(TokenError::Header),
        }
    }
}

/// Media types have no case (RFC 7515 §4.1.9).
fn is_one_of(types: &[&str], typ: &Value) -> bool {
    typ.as_str().is_some_and(|typ| types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)))
}

/// Base64url without padding, in its one canonical spelling (RFC 7515 §2, RFC 4648 §3.5): a token has no second form.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}
