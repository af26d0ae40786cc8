//! What a token must satisfy, and the one function that decides it.

use super::{Algorithm, Claims, KeySet, TokenError};
use std::time::Duration;

/// Everything one resource asks of a token, besides authorisation. Issuer and audience are always checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Exactly this one; the token's own `alg` never chooses (RFC 8725 §3.1).
    pub algorithm: Algorithm,
    /// Compared byte for byte.
    pub issuer: String,
    /// At least one.
    pub audience: Vec<String>,
    pub audience_match: AudienceMatch,
    /// Clock tolerance for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceMatch {
    All,
    Any,
}

impl Checks {
    /// Decides whether `token` passes at `now` (since the Unix epoch) with `keys`.
    ///
    /// # Errors
    /// The first check that failed, cheap checks first. `UnknownKey` only when everything that can be checked without a key
    /// passed: it is the one error that may be worth fetching keys for.
    pub fn verify(&self, token: &str, keys: &KeySet, now: Duration) -> Result<Claims, TokenError> {
        todo!()
    }
}
