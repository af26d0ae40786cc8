//! The table: host, then path, then method.

use super::{HostPattern, PathKind, Route};
use http::{HeaderValue, Method};
use std::{collections::HashMap, sync::Arc};

/// The whole routing table: immutable, comparable, built by [`SnapshotBuilder`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    hosts: HashMap<HostPattern, HostTable>,
}

/// Collects routes; the order of `add` decides between equal rules: the first wins.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostTable {}

/// What serves a request.
#[derive(Debug)]
pub enum Found<'a> {
    Route(&'a Arc<Route>),
    /// The path exists, the method does not; the value of `Allow`.
    MethodNotAllowed(&'a HeaderValue),
    NoRoute,
    /// `;` makes two readings of the path that different rules claim (P31): 400.
    Ambiguous,
}

impl SnapshotBuilder {
    /// Puts `route` under a host and path. `path` is canonical; a trailing slash on a Prefix means nothing.
    /// Returns the route that already holds this place for at least one of its methods, if any: `route` then serves only the
    /// methods that are left.
    pub fn add(&mut self, host: HostPattern, kind: PathKind, path: &str, route: Arc<Route>) -> Option<Arc<Route>> {
        todo!()
    }

    pub fn build(self) -> Snapshot {
        todo!()
    }
}

impl Snapshot {
    pub fn find(&self, host: &super::Host, path: &super::CanonicalPath<'_>, method: &Method) -> Found<'_> {
        todo!()
    }
}
