//! What claims lack, for the operator who asks why they do not suffice.

use super::{Line, Requirement};
use crate::jwt::{ClaimName, Claims};
use serde_json::Value;
use std::fmt::{self, Display};

/// The first line that claims do not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Lack {
    pub claim: ClaimName,
    pub expected: String,
    /// `None`: the token has no such claim.
    pub found: Option<Value>,
}

// === impl Requirement ===

impl Requirement {
    /// Of claims that [`Self::check`] refuses; `None` of others.
    pub fn lack(&self, claims: &Claims) -> Option<Lack> {
        self.first_lacking(claims).map(|line| {
            let claim = line.claim();
            Lack { found: claims.find(&claim).cloned(), expected: line.to_string(), claim }
        })
    }
}

// === impl Line ===

impl Line {
    fn claim(&self) -> ClaimName {
        match self {
            Self::AllScopes(_) | Self::AnyScope(_) => ClaimName::Key("scope".into()),
            Self::Permissions(_) => ClaimName::Key("permissions".into()),
            Self::Roles { claim, .. } | Self::Claim { claim, .. } => claim.clone(),
        }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllScopes(all) => write!(f, "the scopes {}", all.join(" ")),
            Self::AnyScope(any) => write!(f, "one of the scopes {}", any.join(" ")),
            Self::Permissions(all) => write!(f, "an array with the permissions {}", all.join(" ")),
            Self::Roles { any_of, .. } => write!(f, "one of the roles {}", any_of.join(", ")),
            Self::Claim { any_of, .. } => write!(f, "one of {}", any_of.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_line_that_is_lacking_is_told() {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let role = ClaimName::Path(["https://a/".into(), "roles".into()].into());
        let requirement = Requirement {
            lines: vec![
                Line::AllScopes(text(&["read", "write"])),
                Line::Permissions(text(&["a"])),
                Line::Roles { claim: role.clone(), any_of: text(&["admin", "owner"]) },
                Line::Claim { claim: ClaimName::Key("plan".into()), any_of: text(&["gold"]) },
            ],
        };
        let roles = json!({"roles": ["owner"]});
        let rows = [
            (json!({"scope": "read"}), Some(("scope", "the scopes read write", Some(json!("read"))))),
            (json!({"scope": "read write"}), Some(("permissions", "an array with the permissions a", None))),
            (json!({"scope": "read write", "permissions": ["a"]}), Some(("roles", "one of the roles admin, owner", None))),
            (json!({"scope": "read write", "permissions": ["a"], "https://a/": roles}), Some(("plan", "one of gold", None))),
            (json!({"scope": "read write", "permissions": ["a"], "https://a/": roles, "plan": "gold"}), None),
        ];
        for (claims, want) in rows {
            let claims = Claims::unverified(claims);
            let lack = requirement.lack(&claims);
            assert_eq!(requirement.check(&claims).is_ok(), lack.is_none(), "{want:?}");
            let lack =
                lack.map(|lack| (if lack.claim == role { "roles".to_owned() } else { lack.claim.to_string() }, lack.expected, lack.found));
            assert_eq!(lack, want.map(|(claim, expected, found)| (claim.to_owned(), expected.to_owned(), found)));
        }
    }
}
