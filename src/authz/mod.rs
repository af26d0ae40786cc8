//! DECISIONS. Pure: claims go in; a permit, or what was missing, comes out. A [`Permit`] cannot be made anywhere else, so
//! forwarding what was not authorised does not compile.

use crate::jwt::{ClaimName, Claims};

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

impl Public {
    /// Only for a rule that says `access: Public`.
    pub fn declared() -> Self {
        Self(())
    }

    pub fn permit(self) -> Permit {
        Permit(())
    }
}

impl Requirement {
    /// # Errors
    /// The first line that the claims do not hold.
    pub fn check(&self, claims: &Claims) -> Result<Permit, Denied> {
        todo!()
    }
}
