//! Which other sites' scripts may ask, and what they may read (Fetch standard, "CORS protocol").

use http::HeaderValue;
use std::{collections::BTreeSet, sync::Arc};

/// What a browser is told. Nothing here lets a request in: the token does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    pub origins: Origins,
    /// The methods that a preflight is told; `None`: the one that it asks for.
    pub methods: Option<HeaderValue>,
    /// The headers that a preflight is told.
    pub headers: HeaderValue,
    /// The headers of an answer that a script may read, beside the few that it always may.
    pub exposed: Option<HeaderValue>,
    /// Cookies may come along.
    pub credentials: bool,
    /// Seconds for which a preflight's answer holds.
    pub max_age: Option<HeaderValue>,
}

/// Compared byte for byte: `scheme://host`, with a port that is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    Any,
    Named(BTreeSet<Arc<str>>),
}

// === impl Origins ===

impl Origins {
    /// Whether scripts of `origin` may read answers.
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        *self == Self::Any || self.name(origin)
    }

    /// Whether `origin` is named itself: `*` trusts nobody in particular.
    pub fn name(&self, origin: &HeaderValue) -> bool {
        match (self, std::str::from_utf8(origin.as_bytes())) {
            (Self::Named(names), Ok(origin)) => names.contains(origin),
            _ => false,
        }
    }
}
