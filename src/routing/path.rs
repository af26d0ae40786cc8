//! One canonical form of a request path: routed on, and forwarded exactly (P27-P34).

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a>(Cow<'a, str>);

/// Why a path has no canonical form: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("must start with /")]
    NotAbsolute,
    #[error("a byte that a path cannot hold")]
    Byte,
    #[error("a bad or ambiguous percent-escape")]
    Escape,
    #[error("climbs above the root")]
    AboveRoot,
}
