//! What a token must satisfy, and the one function that decides it.

use super::{Algorithm, Check, Claims, KeySet, TokenError, token::Token};
use serde_json::Value;
use std::time::Duration;

/// No issuer means a token to live longer; one that says so was made by mistake or by a stranger. Three leap days included.
pub(super) const TEN_YEARS: Duration = Duration::from_secs(3_653 * 86_400);

/// Everything one resource asks of a token, besides authorisation. Issuer and audience are always checked.
///
/// The default has no audience, so it refuses every token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// `org_id` must be one of them; an empty list asks for none.
    pub organizations: Vec<String>,
    /// `typ` must say `at+jwt` (RFC 9068 §4).
    pub require_at_jwt: bool,
    /// How far `exp` may be from `iat`, which is then required.
    pub max_token_lifetime: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudienceMatch {
    All,
    #[default]
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
    /// passed: it is the one error that may be worth fetching keys for. `Signature` depends on nothing but the token, the keys
    /// and the algorithm.
    pub fn verify(&self, token: &str, keys: &KeySet, now: Duration) -> Result<Claims, TokenError> {
        self.verify_watched(token, keys, now, &mut |_| ())
    }

    /// [`Self::verify`] itself, before a watcher who is told which check comes next.
    pub(super) fn verify_watched(
        &self,
        token: &str,
        keys: &KeySet,
        now: Duration,
        begins: &mut impl FnMut(Check),
    ) -> Result<Claims, TokenError> {
        begins(Check::Shape);
        let token = Token::split(token)?;
        let header = token.header(self.algorithm, begins)?;
        begins(Check::Payload);
        let payload = token.payload()?;
        begins(Check::Claims);
        let claims = Claims::read(payload, self.algorithm, &header)?;
        self.check_watched(&claims, now, begins)?;
        begins(Check::Shape);
        let signature = token.signature()?;
        begins(Check::Key);
        let verified = keys.verify(header.kid.as_deref(), self.algorithm, token.message, &signature);
        if verified != Err(TokenError::UnknownKey) {
            begins(Check::Signature);
        }
        verified.map(|()| claims)
    }

    /// Everything that depends on the resource or on the time, and on no key. The one road for new tokens and remembered ones
    /// (J101, J102): what a cache holds is only that a signature was good.
    pub(super) fn check(&self, claims: &Claims, now: Duration) -> Result<(), TokenError> {
        self.check_watched(claims, now, &mut |_| ())
    }

    fn check_watched(&self, claims: &Claims, now: Duration, begins: &mut impl FnMut(Check)) -> Result<(), TokenError> {
        begins(Check::Algorithm);
        if claims.algorithm != self.algorithm {
            return Err(TokenError::Algorithm);
        }
        begins(Check::Type);
        if self.require_at_jwt && !claims.is_at_jwt {
            return Err(TokenError::Type);
        }
        begins(Check::Issuer);
        self.check_issuer(claims)?;
        begins(Check::Audience);
        self.check_audience(claims)?;
        begins(Check::Expiry);
        self.check_expiry(claims, now)?;
        begins(Check::Start);
        self.check_start(claims, now)?;
        begins(Check::Lifetime);
        self.check_lifetime(claims)?;
        begins(Check::Organization);
        self.check_organization(claims)
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenError> {
        match claims.member("iss") {
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(()),
            _ => Err(TokenError::Issuer),
        }
    }

    /// `aud` is a string or an array of nothing but strings (RFC 7519 §4.1.3).
    fn check_audience(&self, claims: &Claims) -> Result<(), TokenError> {
        let audience = match claims.member("aud") {
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

    /// A token is valid while now < exp + leeway (RFC 7519 §4.1.4).
    fn check_expiry(&self, claims: &Claims, now: Duration) -> Result<(), TokenError> {
        match now >= claims.expires.saturating_add(self.leeway) || claims.expires > now.saturating_add(TEN_YEARS) {
            true => Err(TokenError::Expired),
            false => Ok(()),
        }
    }

    /// And from now >= nbf - leeway on (RFC 7519 §4.1.5).
    fn check_start(&self, claims: &Claims, now: Duration) -> Result<(), TokenError> {
        let latest_start = now.saturating_add(self.leeway);
        if claims.not_before.max(claims.issued).is_some_and(|start| start > latest_start) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    fn check_lifetime(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(longest) = self.max_token_lifetime else { return Ok(()) };
        match claims.issued {
            Some(issued) if claims.expires.saturating_sub(issued) <= longest => Ok(()),
            _ => Err(TokenError::Lifetime),
        }
    }

    fn check_organization(&self, claims: &Claims) -> Result<(), TokenError> {
        let named = || claims.member("org_id").and_then(Value::as_str);
        match self.organizations.is_empty() || named().is_some_and(|id| self.organizations.iter().any(|known| known == id)) {
            true => Ok(()),
            false => Err(TokenError::Organization),
        }
    }
}
