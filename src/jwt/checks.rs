//! What a token must satisfy, and the one function that decides it.

use super::{Algorithm, Claims, KeySet, TokenError, token::Token};
use serde_json::{Map, Value};
use std::time::Duration;

/// No issuer means a token to live longer; one that says so was made by mistake or by a stranger. Three leap days included.
const TEN_YEARS: Duration = Duration::from_secs(3_653 * 86_400);

/// Everything one resource asks of a token, besides authorisation. Issuer and audience are always checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Exactly this one; the token's own `alg` never chooses (RFC 8725 §3.1).
    pub algorithm: Algorithm,
    /// Compared byte for byte.
    pub issuer: String,
    /// At least one; an empty list refuses every token.
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

// === impl Checks ===

impl Checks {
    /// Decides whether `token` passes at `now` (since the Unix epoch) with `keys`.
    ///
    /// The signature is checked last, so that a flood of bad tokens cannot buy verifications; nothing of a token is returned
    /// before it.
    ///
    /// # Errors
    /// The first check that failed, cheap checks first. `UnknownKey` only when everything that can be checked without a key
    /// passed: it is the one error that may be worth fetching keys for.
    pub fn verify(&self, token: &str, keys: &KeySet, now: Duration) -> Result<Claims, TokenError> {
        let token = Token::split(token)?;
        let header = token.header(self.algorithm)?;
        let values = token.payload()?;
        self.check_issuer(&values)?;
        self.check_audience(&values)?;
        let expires = self.check_times(&values, now)?;
        check_confirmation(&values)?;
        let signature = token.signature()?;
        keys.verify(header.kid.as_deref(), self.algorithm, token.message, &signature)?;
        Ok(Claims { values, expires })
    }

    fn check_issuer(&self, values: &Map<String, Value>) -> Result<(), TokenError> {
        match values.get("iss") {
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(()),
            _ => Err(TokenError::Issuer),
        }
    }

    /// `aud` is a string or an array of nothing but strings (RFC 7519 §4.1.3).
    fn check_audience(&self, values: &Map<String, Value>) -> Result<(), TokenError> {
        let audience = match values.get("aud") {
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            Some(Value::Array(many)) if many.iter().all(Value::is_string) => many,
            _ => return Err(TokenError::Audience),
        };
        let mut held = self.audience.iter().map(|expected| audience.iter().any(|named| named.as_str() == Some(expected)));
        let passes = match self.audience_match {
            AudienceMatch::All => !self.audience.is_empty() && held.all(|held| held),
            AudienceMatch::Any => held.any(|held| held),
        };
        if passes { Ok(()) } else { Err(TokenError::Audience) }
    }

    /// Returns `exp`. A token is valid while now < exp + leeway, from now >= nbf - leeway on (RFC 7519 §4.1.4, §4.1.5).
    fn check_times(&self, values: &Map<String, Value>, now: Duration) -> Result<Duration, TokenError> {
        let expires = numeric_date(values, "exp")?.ok_or(TokenError::Expired)?;
        if now >= expires.saturating_add(self.leeway) || expires > now.saturating_add(TEN_YEARS) {
            return Err(TokenError::Expired);
        }
        let latest_start = now.saturating_add(self.leeway);
        for claim in ["nbf", "iat"] {
            if numeric_date(values, claim)?.is_some_and(|start| start > latest_start) {
                return Err(TokenError::NotYetValid);
            }
        }
        Ok(expires)
    }
}

/// A token bound to a key is worth nothing without that key (RFC 7800); to take it for a bearer token would widen it.
fn check_confirmation(values: &Map<String, Value>) -> Result<(), TokenError> {
    if values.contains_key("cnf") { Err(TokenError::Confirmation) } else { Ok(()) }
}

/// Seconds since the Unix epoch, with or without a fraction (RFC 7519 §2). `None` only when the claim is absent.
fn numeric_date(values: &Map<String, Value>, claim: &str) -> Result<Option<Duration>, TokenError> {
    let Some(value) = values.get(claim) else { return Ok(None) };
    let date = match value.as_u64() {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    date.map(Some).ok_or(TokenError::Payload)
}
