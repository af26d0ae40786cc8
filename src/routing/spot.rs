//! Where a rule stands under each of its hosts.

use super::{CanonicalPath, PathKind};
use std::sync::Arc;

/// A path and how it is compared: made once, and shared by every host it stands under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    kind: PathKind,
    /// What a table is keyed by: of a Prefix without trailing slash, so `/` is "".
    key: Arc<str>,
}

// === impl Spot ===

impl Spot {
    /// A trailing slash on a Prefix means nothing.
    pub fn new(kind: PathKind, path: &CanonicalPath<'_>) -> Self {
        let key = match kind {
            PathKind::Exact => path.as_str(),
            PathKind::Prefix => path.as_str().trim_end_matches('/'),
        };
        Self { kind, key: key.into() }
    }

    pub fn kind(&self) -> PathKind {
        self.kind
    }

    /// For people: `/` is `/`.
    pub fn path(&self) -> &str {
        if self.key.is_empty() { "/" } else { &self.key }
    }

    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// The keys of every Prefix that reaches all requests of this spot, the longest first; a Prefix reaches its own.
    pub fn around(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.key), |key| key.get(..key.rfind('/')?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(kind: PathKind, path: &str) -> Spot {
        Spot::new(kind, &CanonicalPath::parse(path).unwrap())
    }

    #[test]
    fn a_trailing_slash_on_a_prefix_means_nothing() {
        use PathKind::{Exact, Prefix};
        assert_eq!(spot(Prefix, "/a/"), spot(Prefix, "/a"));
        assert_ne!(spot(Exact, "/a/"), spot(Exact, "/a"));
        assert_ne!(spot(Exact, "/a"), spot(Prefix, "/a"));
        assert_eq!((spot(Prefix, "/").path(), spot(Exact, "/").path(), spot(Prefix, "/a/").path()), ("/", "/", "/a"));
    }

    #[test]
    fn prefixes_around_a_spot_are_found_by_elements() {
        use PathKind::{Exact, Prefix};
        let cases: [(PathKind, &str, &[&str]); 5] = [
            (Prefix, "/", &[""]),
            (Prefix, "/a/b/", &["/a/b", "/a", ""]),
            (Exact, "/", &["/", ""]),
            (Exact, "/a/", &["/a/", "/a", ""]),
            (Exact, "/a", &["/a", ""]),
        ];
        for (kind, path, want) in cases {
            assert_eq!(spot(kind, path).around().collect::<Vec<_>>(), want, "{kind:?} {path}");
        }
    }
}
