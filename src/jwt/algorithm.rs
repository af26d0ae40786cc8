//! The signature algorithms a resource may ask for (RFC 7518 §3.1, RFC 8037 §3.1).

use std::fmt;

/// Names are case-sensitive and spelled as in RFC 7518.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    EdDSA,
    ES256,
    ES384,
    /// The only symmetric one: its key is a secret from `KeySet::from_secret`, never a published key.
    HS256,
    PS256,
    PS384,
    PS512,
    #[default]
    RS256,
    RS384,
    RS512,
}

impl Algorithm {
    pub const ALL: [Self; 10] =
        [Self::EdDSA, Self::ES256, Self::ES384, Self::HS256, Self::PS256, Self::PS384, Self::PS512, Self::RS256, Self::RS384, Self::RS512];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::HS256 => "HS256",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
        }
    }

    /// Whether who can verify can also sign.
    pub fn is_symmetric(self) -> bool {
        self == Self::HS256
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
