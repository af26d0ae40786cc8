//! DECISIONS. Pure: claims go in; a permit, or what was missing, comes out. A [`Permit`] cannot be made anywhere else, so
//! forwarding what was not authorised does not compile.

mod lack;

pub use self::lack::Lack;

use crate::jwt::{ClaimName, Claims};
use serde_json::Value;

/// Proof that a request may be forwarded. The only ways to one are [`Requirement::check`] and [`Public::permit`].
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// A rule that its owner declared open. `compile` alone makes one (tests/architecture.rs holds that).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public(());

/// What claims must hold: every line of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Each of these in `scope` (a string of words, or an array).
    AllScopes(Vec<String>),
    /// One of these in `scope`.
    AnyScope(Vec<String>),
    /// Each of these in the array `permissions` (Auth0 RBAC).
    Permissions(Vec<String>),
    /// One of these in the named claim: an array of strings, or a string of words.
    Roles { claim: ClaimName, any_of: Vec<String> },
    /// The claim equals one of these, or is an array that holds one.
    Claim { claim: ClaimName, any_of: Vec<String> },
}

/// What was missing: 403 `insufficient_scope` (RFC 6750 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// A bounded label: `scope`, `permission`, `role` or `claim`.
    pub reason: &'static str,
    /// For the `scope` parameter of the challenge; empty for roles and claims.
    pub scope: Vec<String>,
}

// === impl Public ===

impl Public {
    /// Only for a rule that says `access: Public`.
    pub fn declared() -> Self {
        Self(())
    }

    pub fn permit(self) -> Permit {
        Permit(())
    }
}

// === impl Requirement ===

impl Requirement {
    /// # Errors
    /// The first line that the claims do not hold.
    pub fn check(&self, claims: &Claims) -> Result<Permit, Denied> {
        match self.first_lacking(claims) {
            None => Ok(Permit(())),
            Some(line) => Err(line.denied()),
        }
    }

    fn first_lacking(&self, claims: &Claims) -> Option<&Line> {
        self.lines.iter().find(|line| !line.is_held_by(claims))
    }
}

// === impl Line ===

impl Line {
    fn is_held_by(&self, claims: &Claims) -> bool {
        match self {
            Self::AllScopes(scopes) => scopes.iter().all(|scope| holds_word(claims.member("scope"), scope)),
            Self::AnyScope(scopes) => scopes.iter().any(|scope| holds_word(claims.member("scope"), scope)),
            Self::Permissions(permissions) => permissions.iter().all(|permission| holds_string(claims.member("permissions"), permission)),
            Self::Roles { claim, any_of } => any_of.iter().any(|role| holds_word(claims.find(claim), role)),
            Self::Claim { claim, any_of } => any_of.iter().any(|value| equals(claims.find(claim), value)),
        }
    }

    fn denied(&self) -> Denied {
        match self {
            Self::AllScopes(scopes) | Self::AnyScope(scopes) => Denied { reason: "scope", scope: scopes.clone() },
            Self::Permissions(permissions) => Denied { reason: "permission", scope: permissions.clone() },
            Self::Roles { .. } => Denied { reason: "role", scope: Vec::new() },
            Self::Claim { .. } => Denied { reason: "claim", scope: Vec::new() },
        }
    }
}

/// A string of words separated by spaces (RFC 6749 §3.3), or an array of strings.
fn holds_word(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::String(words)) => words.split(' ').any(|word| !word.is_empty() && word == wanted),
        claim => holds_string(claim, wanted),
    }
}

/// An array of nothing but strings.
fn holds_string(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::Array(items)) => items.iter().all(Value::is_string) && items.iter().any(|item| item.as_str() == Some(wanted)),
        _ => false,
    }
}

/// A whole string, one of an array of strings, or the JSON text of a boolean or an integer.
fn equals(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(flag)) => wanted == if *flag { "true" } else { "false" },
        Some(Value::Number(number)) => !number.is_f64() && number.to_string() == wanted,
        claim => holds_string(claim, wanted),
    }
}

#[cfg(test)]
mod tests;
