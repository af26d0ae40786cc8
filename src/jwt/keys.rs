//! Keys of an issuer, parsed and checked once when they are fetched.

use super::{Algorithm, TokenError, json, jwk};
use aws_lc_rs::signature::ParsedPublicKey;
use serde_json::Value;
use std::collections::BTreeSet;

const MAX_KEYS: usize = 64;
const DEPTH: u8 = 32;

/// The usable keys of one JWKS (RFC 7517 §5). An empty set refuses every token.
#[derive(Debug, Default)]
pub struct KeySet {
    /// Sorted by algorithm and key id. A key that may serve several algorithms stands here once for each.
    keys: Vec<UsableKey>,
}

/// A key that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    pub kid: Option<String>,
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("not a JWKS document")]
    Malformed,
    #[error("more than 64 keys")]
    TooMany,
    #[error("no usable key")]
    Empty,
}

#[derive(Debug)]
struct UsableKey {
    algorithm: Algorithm,
    kid: Option<String>,
    key: ParsedPublicKey,
}

// === impl KeySet ===

impl KeySet {
    /// Parses a JWKS document and drops, one by one, the keys that must not verify tokens.
    ///
    /// A key that declares no `alg` may serve every algorithm of its type. Where two keys of one `kid` fit the same algorithm,
    /// neither serves it (RFC 7517 §4.5). Private members are neither kept nor shown.
    ///
    /// # Errors
    /// When nothing usable is left; callers then keep the keys they had.
    pub fn from_jwks(document: &[u8]) -> Result<(Self, Vec<SkippedKey>), KeySetError> {
        let mut document = json::object(document, DEPTH).map_err(|_| KeySetError::Malformed)?;
        let Some(Value::Array(jwks)) = document.remove("keys") else { return Err(KeySetError::Malformed) };
        if jwks.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for jwk in jwks {
            match parse(jwk) {
                Ok(parsed) => keys.extend(parsed),
                Err(left_out) => skipped.push(left_out),
            }
        }
        let keys = drop_ambiguous(keys, &mut skipped);
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok((Self { keys }, skipped)) }
    }

    /// The key ids of usable keys, for the inspect view. Sorted.
    pub fn key_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.keys.iter().filter_map(|key| key.kid.as_deref()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub(super) fn verify(&self, kid: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let key = self.select(kid, algorithm).ok_or(TokenError::UnknownKey)?;
        key.verify_sig(message, signature).map_err(|_| TokenError::Signature)
    }

    /// A token that names no key means the only one there is; with two, such as the current and the next, it could mean either.
    fn select(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let first = self.keys.partition_point(|key| key.algorithm < algorithm);
        let candidates = self.keys.get(first..)?.iter().take_while(|key| key.algorithm == algorithm);
        let mut fitting = candidates.filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(&only.key),
            _ => None,
        }
    }
}

fn parse(jwk: Value) -> Result<Vec<UsableKey>, SkippedKey> {
    let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
    match jwk::parse(jwk) {
        Ok(keys) => Ok(keys.into_iter().map(|(algorithm, key)| UsableKey { algorithm, kid: kid.clone(), key }).collect()),
        Err(reason) => Err(SkippedKey { kid, reason }),
    }
}

/// Leaves out the keys that share both their `kid` and an algorithm with another, and sorts the rest.
fn drop_ambiguous(keys: Vec<UsableKey>, skipped: &mut Vec<SkippedKey>) -> Vec<UsableKey> {
    let names: Vec<_> = keys.iter().map(|key| (key.algorithm, key.kid.clone())).collect();
    let is_unique = |key: &UsableKey| names.iter().filter(|(algorithm, kid)| (algorithm, kid) == (&key.algorithm, &key.kid)).count() == 1;
    let (mut unique, ambiguous): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_unique);
    unique.sort_by(|a, b| (a.algorithm, &a.kid).cmp(&(b.algorithm, &b.kid)));
    let kids: BTreeSet<_> = ambiguous.into_iter().map(|key| key.kid).collect();
    skipped.extend(kids.into_iter().map(|kid| SkippedKey { kid, reason: "shares its `kid` and an `alg` with another key" }));
    unique
}
