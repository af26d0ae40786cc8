//! The table: host, then path, then method. Built whole, compared, published; never edited in service.

mod methods;

pub use self::methods::Lost;

use self::methods::PathTable;
use super::{CanonicalPath, Certificate, Encryption, Host, HostCertificate, HostPattern, PathKind, Route, Spot};
use http::{HeaderValue, Method};
use std::{collections::HashMap, sync::Arc};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The whole routing table: immutable, comparable, built by [`SnapshotBuilder`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    exact: Map<Arc<str>, HostTable>,
    /// Keyed by what follows `*.`.
    wildcard: Map<Arc<str>, HostTable>,
    any: Option<HostTable>,
    /// For hosts without a certificate of their own.
    default_certificate: HostCertificate,
}

/// Collects routes; the order of `add` decides between equal places: the first wins. The cost of one `add` does not grow with
/// what was added before.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    snapshot: Snapshot,
}

/// All paths of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostTable {
    exact: Map<Arc<str>, PathTable>,
    prefix: Map<Arc<str>, PathTable>,
    /// Elements of the deepest prefix: no request is probed deeper.
    deepest: usize,
    encryption: Option<Encryption>,
}

/// One line of the table, for people: `portcullis check`, the inspect view and golden files.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    pub host: HostPattern,
    pub kind: PathKind,
    pub path: &'a str,
    /// The methods this route serves here; empty: every method that no other line of this path names.
    pub methods: Vec<&'a Method>,
    pub route: &'a Arc<Route>,
}

/// Under which of the table's names a request falls, for people: the look-ups of [`Snapshot::find`], by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    pub host: HostPattern,
    /// `None`: no rule of the host has a path that fits.
    pub path: Option<(PathKind, &'a str)>,
}

/// What serves a request.
#[derive(Debug)]
pub enum Found<'a> {
    Route(&'a Arc<Route>),
    /// The path exists, the method does not; the value of `Allow`.
    MethodNotAllowed(&'a HeaderValue),
    NoRoute,
    /// Two readings of the request that different rules claim, and in what: 400. `;` makes two of a path (P31), lower case two of
    /// a method (P44).
    Ambiguous(&'static str),
}

// === impl SnapshotBuilder ===

impl SnapshotBuilder {
    /// Puts `route` at a spot of a host. `route.methods` that another route holds there already stay with that route; `None`
    /// when there are none.
    pub fn add(&mut self, host: &HostPattern, spot: &Spot, route: &Arc<Route>) -> Option<Lost> {
        self.host(host).spot(spot).add(route)
    }

    /// Makes `host` one that never falls to a wider one, even without a route: it then answers 404.
    pub fn reserve(&mut self, host: &HostPattern) {
        self.host(host);
    }

    /// Says what connections to `host` must be like. `false`: something else was said before, and holds.
    pub fn encrypt(&mut self, host: &HostPattern, encryption: &Encryption) -> bool {
        self.host(host).encryption.get_or_insert_with(|| encryption.clone()) == encryption
    }

    pub fn default_certificate(&mut self, certificate: HostCertificate) {
        self.snapshot.default_certificate = certificate;
    }

    pub fn build(mut self) -> Snapshot {
        let Snapshot { exact, wildcard, any, .. } = &mut self.snapshot;
        exact.values_mut().chain(wildcard.values_mut()).chain(any).for_each(HostTable::finish);
        self.snapshot
    }

    fn host(&mut self, host: &HostPattern) -> &mut HostTable {
        match host {
            HostPattern::Exact(name) => self.snapshot.exact.entry(Arc::clone(name)).or_default(),
            HostPattern::Wildcard(parent) => self.snapshot.wildcard.entry(Arc::clone(parent)).or_default(),
            HostPattern::Any => self.snapshot.any.get_or_insert_default(),
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Three final decisions: host, path, method. None is ever taken back.
    pub fn find(&self, host: &Host<'_>, path: &CanonicalPath<'_>, method: &Method) -> Found<'_> {
        let Some(table) = self.find_host(host.as_str()) else { return Found::NoRoute };
        let found = table.find(path.as_str(), method);
        match path.without_parameters() {
            Some(cut) if !found.is_same(&table.find(cut.as_str(), method)) => Found::Ambiguous("parameters"),
            _ => found,
        }
    }

    /// `None`: no host fits.
    pub fn standing(&self, host: &Host<'_>, path: &CanonicalPath<'_>) -> Option<Standing<'_>> {
        let table = self.find_host(host.as_str())?;
        let is_it = |of: &HostPattern| self.under(of).is_some_and(|found| std::ptr::eq(found, table));
        let parent = host.as_str().split_once('.').map_or("", |(_, parent)| parent);
        let exact = HostPattern::Exact(host.as_str().into());
        let patterns = [exact, HostPattern::Wildcard(parent.into()), HostPattern::Any];
        Some(Standing { host: patterns.into_iter().find(is_it)?, path: table.find_path(path.as_str()).map(|(kind, key, _)| (kind, key)) })
    }

    /// What every request finds that falls to this very pattern, whichever host it names.
    pub fn find_under(&self, host: &HostPattern, path: &CanonicalPath<'_>, method: &Method) -> Found<'_> {
        self.under(host).map_or(Found::NoRoute, |table| table.find(path.as_str(), method))
    }

    /// What connections to this host must be like, when anything is asked of them.
    pub fn encryption(&self, host: &Host<'_>) -> Option<&Encryption> {
        self.find_host(host.as_str())?.encryption.as_ref()
    }

    /// The certificate that a client which asks for this host is shown; `None`: there is none.
    pub fn certificate(&self, host: Option<&Host<'_>>) -> Option<&Certificate> {
        let own = host.and_then(|host| self.encryption(host)).and_then(|encryption| encryption.certificate.own());
        own.or_else(|| self.default_certificate.own())
    }

    /// Whether any client can be served over TLS.
    pub fn has_certificate(&self) -> bool {
        let own = |table: &HostTable| table.encryption.as_ref().is_some_and(|encryption| encryption.certificate.own().is_some());
        self.default_certificate.own().is_some() || self.hosts().any(own)
    }

    /// Serves on with what `old` served, where a certificate was replaced by one that cannot be.
    pub fn keep_certificates(&mut self, old: &Self) {
        let pairs = |mine: &mut Map<Arc<str>, HostTable>, theirs: &Map<Arc<str>, HostTable>| {
            mine.iter_mut().for_each(|(name, table)| table.keep_certificate(theirs.get(name)));
        };
        pairs(&mut self.exact, &old.exact);
        pairs(&mut self.wildcard, &old.wildcard);
        self.any.iter_mut().for_each(|table| table.keep_certificate(old.any.as_ref()));
        self.default_certificate.keep_from(Some(&old.default_certificate));
    }

    fn hosts(&self) -> impl Iterator<Item = &HostTable> {
        self.exact.values().chain(self.wildcard.values()).chain(&self.any)
    }

    /// Every line, by host, kind, path and rule.
    pub fn lines(&self) -> Vec<Line<'_>> {
        let exact = self.exact.iter().map(|(host, table)| (HostPattern::Exact(Arc::clone(host)), table));
        let wildcard = self.wildcard.iter().map(|(host, table)| (HostPattern::Wildcard(Arc::clone(host)), table));
        let any = self.any.iter().map(|table| (HostPattern::Any, table));
        let mut lines: Vec<_> = exact.chain(wildcard).chain(any).flat_map(|(host, table)| table.lines(&host)).collect();
        lines.sort_by(|a, b| {
            let names = |line: &Line<'_>| line.methods.iter().map(|method| method.as_str().to_owned()).collect::<Vec<_>>();
            (&a.host, a.kind, a.path, &a.route.id).cmp(&(&b.host, b.kind, b.path, &b.route.id)).then_with(|| names(a).cmp(&names(b)))
        });
        lines
    }

    fn under(&self, host: &HostPattern) -> Option<&HostTable> {
        match host {
            HostPattern::Exact(name) => self.exact.get(name),
            HostPattern::Wildcard(parent) => self.wildcard.get(parent),
            HostPattern::Any => self.any.as_ref(),
        }
    }

    /// A host with any rule never falls to a wider one.
    fn find_host(&self, host: &str) -> Option<&HostTable> {
        let parent = || host.split_once('.').map(|(_, parent)| parent);
        self.exact.get(host).or_else(|| self.wildcard.get(parent()?)).or(self.any.as_ref())
    }
}

// === impl HostTable ===

impl HostTable {
    fn spot(&mut self, spot: &Spot) -> &mut PathTable {
        let paths = match spot.kind() {
            PathKind::Exact => &mut self.exact,
            PathKind::Prefix => {
                self.deepest = self.deepest.max(spot.key().matches('/').count());
                &mut self.prefix
            }
        };
        paths.entry(Arc::clone(spot.key())).or_insert_with(PathTable::new)
    }

    fn keep_certificate(&mut self, old: Option<&Self>) {
        if let Some(encryption) = &mut self.encryption {
            encryption.certificate.keep_from(old.and_then(|old| old.encryption.as_ref()).map(|old| &old.certificate));
        }
    }

    fn finish(&mut self) {
        self.exact.values_mut().chain(self.prefix.values_mut()).for_each(PathTable::finish);
    }

    fn find(&self, path: &str, method: &Method) -> Found<'_> {
        self.find_path(path).map_or(Found::NoRoute, |(.., table)| table.find(method))
    }

    fn find_path(&self, path: &str) -> Option<(PathKind, &str, &PathTable)> {
        let exact = self.exact.get_key_value(path).map(|(path, table)| (PathKind::Exact, &**path, table));
        exact.or_else(|| self.longest_prefix(path).map(|(path, table)| (PathKind::Prefix, or_root(path), table)))
    }

    /// Probes the path's own prefixes, longest first, no deeper than any rule: the cost does not grow with the rules.
    fn longest_prefix(&self, path: &str) -> Option<(&str, &PathTable)> {
        let end = path.match_indices('/').nth(self.deepest).map_or(path.len(), |(end, _)| end);
        let mut prefix = path.get(..end)?;
        loop {
            match (self.prefix.get_key_value(prefix), prefix.rfind('/')) {
                (Some((key, found)), _) => return Some((key, found)),
                (None, slash) => prefix = prefix.get(..slash?)?,
            }
        }
    }

    fn lines(&self, host: &HostPattern) -> Vec<Line<'_>> {
        let exact = self.exact.iter().map(|(path, table)| (PathKind::Exact, &**path, table));
        let prefix = self.prefix.iter().map(|(path, table)| (PathKind::Prefix, or_root(path), table));
        let line = |(kind, path, table)| {
            PathTable::lines(table).map(move |(methods, route)| Line { host: host.clone(), kind, path, methods, route })
        };
        exact.chain(prefix).flat_map(line).collect()
    }
}

/// The key of the Prefix `/` is "".
fn or_root(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

// === impl Found ===

impl Found<'_> {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(a), Self::Route(b)) => Arc::ptr_eq(a, b),
            (Self::MethodNotAllowed(a), Self::MethodNotAllowed(b)) => std::ptr::eq(*a, *b),
            (Self::NoRoute, Self::NoRoute) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
