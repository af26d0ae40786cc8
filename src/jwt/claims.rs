//! What a token says, read once. Others get it from `Checks::verify` alone, which means that it was verified.

use super::{Algorithm, TokenError, json::Members, token::Header};
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};

/// The claims of a token whose signature, issuer, audience and times were checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    values: Members,
    /// Of the header: which algorithm signed it, and whether `typ` says `at+jwt`.
    pub(super) algorithm: Algorithm,
    pub(super) is_at_jwt: bool,
    pub(super) expires: Duration,
    pub(super) not_before: Option<Duration>,
    pub(super) issued: Option<Duration>,
}

/// A claim by one literal top-level key (dots and URLs included), or by a path of keys. Nothing is ever split on dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimName {
    Key(Arc<str>),
    Path(Arc<[Arc<str>]>),
}

// === impl Claims ===

impl Claims {
    /// Reads what every token must say in the same way, whatever a resource asks of it.
    ///
    /// # Errors
    /// `Expired` without `exp`, `Payload` when a time is no time, `Confirmation` with `cnf`: a token bound to a key is worth
    /// nothing without that key (RFC 7800), and to take it for a bearer token would widen it.
    pub(super) fn read(values: Members, algorithm: Algorithm, header: &Header) -> Result<Self, TokenError> {
        let expires = numeric_date(&values, "exp")?.ok_or(TokenError::Expired)?;
        let (not_before, issued) = (numeric_date(&values, "nbf")?, numeric_date(&values, "iat")?);
        if find(&values, "cnf").is_some() {
            return Err(TokenError::Confirmation);
        }
        Ok(Self { values, algorithm, is_at_jwt: header.is_at_jwt, expires, not_before, issued })
    }

    /// The value of a claim; `None` when it is absent or null.
    pub fn find(&self, name: &ClaimName) -> Option<&Value> {
        let found = match name {
            ClaimName::Key(key) => find(&self.values, key),
            ClaimName::Path(path) => {
                let (first, rest) = path.split_first()?;
                rest.iter().try_fold(find(&self.values, first)?, |value, key| value.as_object()?.get(&**key))
            }
        };
        found.filter(|value| !value.is_null())
    }

    /// The value of a top-level claim by its registered name; `None` when it is absent or null.
    pub fn member(&self, name: &str) -> Option<&Value> {
        find(&self.values, name).filter(|value| !value.is_null())
    }

    /// `exp`, since the Unix epoch.
    pub fn expires(&self) -> Duration {
        self.expires
    }

    pub fn subject(&self) -> Option<&str> {
        self.member("sub")?.as_str()
    }

    pub(super) fn values(&self) -> &Members {
        &self.values
    }

    /// Claims for tests of other modules; a gateway gets them from `Checks::verify` alone.
    #[cfg(test)]
    pub(crate) fn unverified(value: Value) -> Self {
        let Value::Object(values) = value else { panic!("claims are an object") };
        let values = values.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let (algorithm, is_at_jwt, expires) = (Algorithm::RS256, false, Duration::MAX);
        Self { values, algorithm, is_at_jwt, expires, not_before: None, issued: None }
    }
}

// === impl ClaimName ===

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Path(path) => write!(f, "[{}]", path.join(", ")),
        }
    }
}

fn find<'a>(values: &'a Members, name: &str) -> Option<&'a Value> {
    let place = values.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
    values.get(place).map(|(_, value)| value)
}

/// Seconds since the Unix epoch, with or without a fraction (RFC 7519 §2). `None` only when the claim is absent.
fn numeric_date(values: &Members, claim: &str) -> Result<Option<Duration>, TokenError> {
    let Some(value) = find(values, claim) else { return Ok(None) };
    let date = match value.as_u64() {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    date.map(Some).ok_or(TokenError::Payload)
}
