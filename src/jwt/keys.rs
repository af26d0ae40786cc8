//! Keys of an issuer, parsed and checked once when they are fetched.

use super::{Algorithm, TokenError};

/// The usable keys of one JWKS (RFC 7517 §5). An empty set refuses every token.
#[derive(Debug, Default)]
pub struct KeySet {}

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

impl KeySet {
    /// Parses a JWKS document and drops, one by one, the keys that must not verify tokens.
    ///
    /// # Errors
    /// When nothing usable is left; callers then keep the keys they had.
    pub fn from_jwks(document: &[u8]) -> Result<(Self, Vec<SkippedKey>), KeySetError> {
        todo!()
    }

    /// The key ids of usable keys, for the inspect view. Sorted.
    pub fn key_ids(&self) -> Vec<&str> {
        todo!()
    }

    pub(super) fn verify(&self, kid: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        todo!()
    }
}
