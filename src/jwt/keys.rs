//! Keys of an issuer, parsed and checked once when they are fetched.

use super::{Algorithm, TokenError, json, jwk};
use aws_lc_rs::{digest, hmac, signature::ParsedPublicKey};
use serde_json::Value;
use std::{collections::BTreeSet, fmt};

const MAX_KEYS: usize = 64;
const DEPTH: u8 = 32;
/// As long as the hash (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;
/// How a public key looks that was taken for a secret.
const PEM: &[u8] = b"-----BEGIN ";

const AMBIGUOUS: &str = "shares its `kid` and an `alg` with another key";
/// Characters of the id of a key that is left out.
const MAX_SHOWN_KID: usize = 64;

/// What may verify the tokens of one issuer: the usable keys of a JWKS (RFC 7517 §5), or one secret, never both. An empty set
/// refuses every token.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Keys,
    id: KeySetId,
}

/// Equal only for sets that verify the same tokens.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KeySetId([u8; digest::SHA256_OUTPUT_LEN]);

/// A public key has no way into `Secret` and a secret none into `Public`: neither ever meets an algorithm of the other
/// (RFC 8725 §2.1).
#[derive(Debug)]
enum Keys {
    /// Sorted by algorithm and key id. A key that may serve several algorithms stands here once for each.
    Public(Vec<UsableKey>),
    Secret(Box<hmac::Key>),
}

/// A key that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Cut to 64 characters.
    pub kid: Option<String>,
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("not a JWKS document")]
    Malformed,
    #[error("more than 64 keys")]
    TooMany,
    /// Holds why each of them is not.
    #[error("no usable key")]
    Empty(Vec<SkippedKey>),
}

/// Why a secret is no key. It never shows the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("must be a secret, and holds a PEM document: public keys belong to the issuer's key set")]
    Pem,
    #[error("must have at least 32 bytes")]
    Short,
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
        if keys.is_empty() { Err(KeySetError::Empty(skipped)) } else { Ok((Self::public(keys), skipped)) }
    }

    /// The key of HS256, which signs as well as it verifies: it comes from the owner of the resource and from no document of an
    /// issuer. It has no name, so it serves tokens of any `kid`.
    ///
    /// # Errors
    /// When it is too short to be a secret, or plainly is none.
    pub fn from_secret(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.windows(PEM.len()).any(|text| text == PEM) {
            return Err(SecretError::Pem);
        }
        if secret.len() < MIN_SECRET {
            return Err(SecretError::Short);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let id = KeySetId::of(hmac::sign(&key, b"id").as_ref());
        Ok(Self { keys: Keys::Secret(Box::new(key)), id })
    }

    fn public(keys: Vec<UsableKey>) -> Self {
        let mut content = Vec::new();
        keys.iter().for_each(|key| key.describe(&mut content));
        Self { id: KeySetId::of(&content), keys: Keys::Public(keys) }
    }

    /// Whether the other set verifies the same tokens, under the same names.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }

    pub(super) fn id(&self) -> KeySetId {
        self.id
    }

    /// The key ids of usable keys, for the inspect view. Sorted.
    pub fn key_ids(&self) -> Vec<&str> {
        let Keys::Public(keys) = &self.keys else { return Vec::new() };
        let mut ids: Vec<&str> = keys.iter().filter_map(|key| key.kid.as_deref()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub(super) fn verify(&self, kid: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let verified = match &self.keys {
            Keys::Public(keys) => select(keys, kid, algorithm)?.verify_sig(message, signature),
            Keys::Secret(key) if algorithm.is_symmetric() => hmac::verify(key, message, signature),
            Keys::Secret(_) => return Err(TokenError::UnknownKey),
        };
        verified.map_err(|_| TokenError::Signature)
    }
}

// === impl SkippedKey ===

impl SkippedKey {
    fn new(kid: Option<String>, reason: &'static str) -> Self {
        Self { kid: kid.map(|kid| kid.chars().take(MAX_SHOWN_KID).collect()), reason }
    }

    /// Whether tokens that name it are refused because it cannot be told from another key.
    pub fn is_ambiguous(&self) -> bool {
        self.reason == AMBIGUOUS
    }
}

/// The issuer's word is escaped.
impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "kid {kid:?}: {}", self.reason),
            None => write!(f, "a key without kid: {}", self.reason),
        }
    }
}

/// Equal sets verify the same tokens.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

// === impl Keys ===

impl Default for Keys {
    fn default() -> Self {
        Self::Public(Vec::new())
    }
}

// === impl KeySetId ===

impl KeySetId {
    fn of(content: &[u8]) -> Self {
        let mut id = Self::default();
        id.0.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
        id
    }
}

/// That of a secret would let a guess be checked.
impl fmt::Debug for KeySetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySetId")
    }
}

// === impl UsableKey ===

impl UsableKey {
    /// Writes what tells it from any other key, with lengths, so that no two lists of keys read as one.
    fn describe(&self, content: &mut Vec<u8>) {
        let kid = self.kid.as_ref().map_or(&b""[..], |kid| kid.as_bytes());
        for part in [self.algorithm.as_str().as_bytes(), &[u8::from(self.kid.is_some())], kid, self.key.as_ref()] {
            content.extend((part.len() as u64).to_le_bytes());
            content.extend(part);
        }
    }
}

/// A token that names no key means the only one there is; with two, such as the current and the next, it could mean either.
fn select<'a>(keys: &'a [UsableKey], kid: Option<&str>, algorithm: Algorithm) -> Result<&'a ParsedPublicKey, TokenError> {
    let first = keys.partition_point(|key| key.algorithm < algorithm);
    let candidates = keys.iter().skip(first).take_while(|key| key.algorithm == algorithm);
    let mut fitting = candidates.filter(|key| kid.is_none() || key.kid.as_deref() == kid);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(&only.key),
        _ => Err(TokenError::UnknownKey),
    }
}

fn parse(jwk: Value) -> Result<Vec<UsableKey>, SkippedKey> {
    let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
    match jwk::parse(jwk) {
        Ok(keys) => Ok(keys.into_iter().map(|(algorithm, key)| UsableKey { algorithm, kid: kid.clone(), key }).collect()),
        Err(reason) => Err(SkippedKey::new(kid, reason)),
    }
}

/// Leaves out the keys that share both their `kid` and an algorithm with another, and sorts the rest.
fn drop_ambiguous(keys: Vec<UsableKey>, skipped: &mut Vec<SkippedKey>) -> Vec<UsableKey> {
    let names: Vec<_> = keys.iter().map(|key| (key.algorithm, key.kid.clone())).collect();
    let is_unique = |key: &UsableKey| names.iter().filter(|(algorithm, kid)| (algorithm, kid) == (&key.algorithm, &key.kid)).count() == 1;
    let (mut unique, ambiguous): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_unique);
    unique.sort_by(|a, b| (a.algorithm, &a.kid).cmp(&(b.algorithm, &b.kid)));
    let kids: BTreeSet<_> = ambiguous.into_iter().map(|key| key.kid).collect();
    skipped.extend(kids.into_iter().map(|kid| SkippedKey::new(kid, AMBIGUOUS)));
    unique
}
