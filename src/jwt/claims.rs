//! What a verified token says. Made only by `Checks::verify`.

use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// The claims of a token whose signature, issuer, audience and times were checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    pub(super) values: Map<String, Value>,
    pub(super) expires: Duration,
}

/// A claim by one literal top-level key (dots and URLs included), or by a path of keys. Nothing is ever split on dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimName {
    Key(Arc<str>),
    Path(Arc<[Arc<str>]>),
}

// === impl Claims ===

impl Claims {
    /// The value of a claim; `None` when it is absent or null.
    pub fn find(&self, name: &ClaimName) -> Option<&Value> {
        let found = match name {
            ClaimName::Key(key) => self.values.get(&**key),
            ClaimName::Path(path) => {
                let (first, rest) = path.split_first()?;
                rest.iter().try_fold(self.values.get(&**first)?, |value, key| value.as_object()?.get(&**key))
            }
        };
        found.filter(|value| !value.is_null())
    }

    /// The value of a top-level claim by its registered name; `None` when it is absent or null.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// `exp`, since the Unix epoch.
    pub fn expires(&self) -> Duration {
        self.expires
    }

    pub fn subject(&self) -> Option<&str> {
        self.member("sub")?.as_str()
    }

    /// Claims for tests of other modules; a gateway gets them from `Checks::verify` alone.
    #[cfg(test)]
    pub(crate) fn unverified(value: Value) -> Self {
        let Value::Object(values) = value else { panic!("claims are an object") };
        Self { values, expires: Duration::MAX }
    }
}
