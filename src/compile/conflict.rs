//! Puts compiled rules under their hosts: older objects first, so that of equal places the older one keeps its own, and tells
//! the losers.

use super::{
    headers,
    host::{Loss, Owners},
    inputs::EndpointObject,
    report::Problem,
    resource::Resource,
    route::Rule,
    salvage::COMMON_METHODS,
    verdict::Reason,
};
use crate::routing::{
    Access, BackendId, CanonicalPath, Found, HostPattern, ManagedHeaders, PathKind, Plan, Route, Snapshot, SnapshotBuilder,
};
use http::{HeaderName, Method};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// One object on its way into the table.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) object: &'a EndpointObject,
    pub(super) resource: Resource,
    /// The hosts its rules are served under, in the object's order.
    pub(super) hosts: Vec<HostPattern>,
}

/// The table in the making.
#[derive(Debug, Default)]
pub(super) struct Table<'a> {
    builder: SnapshotBuilder,
    served: BTreeMap<HostPattern, &'a str>,
    backends: BTreeSet<BackendId>,
    managed: HashMap<&'a str, Arc<ManagedHeaders>>,
    protected: Vec<Protected>,
}

/// A Token rule at an Exact path: what stands around it is worth a look.
#[derive(Debug)]
struct Protected {
    entry: usize,
    host: HostPattern,
    path: CanonicalPath<'static>,
    route: Arc<Route>,
}

/// Another rule that keeps a place, or some methods of it.
#[derive(Debug)]
struct Overlap {
    /// Nothing of the place is left.
    whole: bool,
    /// The other rule is of the same object.
    own: bool,
    message: String,
}

// === impl Entry ===

impl<'a> Entry<'a> {
    pub(super) fn new(object: &'a EndpointObject, resource: Resource) -> Self {
        Self { object, resource, hosts: vec![] }
    }

    /// Keeps the hosts that the object's namespace owns; without any left the object is not accepted.
    pub(super) fn take_hosts(&mut self, owners: &Owners<'_>) {
        let mut losses = Vec::new();
        for wish in &self.resource.wishes {
            match owners.check(&self.object.namespace, &wish.pattern) {
                Ok(()) => self.hosts.push(wish.pattern.clone()),
                Err(loss) => losses.push(loss),
            }
        }
        let report = &mut self.resource.report;
        for Loss { reason, message } in losses {
            match self.hosts.is_empty() {
                true => report.invalid(Problem { reason, message }),
                false => report.note(message),
            }
        }
    }

    /// What a sound object gets, in a sentence.
    pub(super) fn serves(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        let rules = self.resource.rules.len();
        format!("{rules} {} on {}", if rules == 1 { "rule" } else { "rules" }, hosts.join(", "))
    }

    /// The hosts it holds: a guess is no claim, and stands alone.
    pub(super) fn held(&self) -> &[HostPattern] {
        match self.resource.wishes.iter().any(|wish| wish.guessed) {
            true => &[],
            false => &self.hosts,
        }
    }
}

// === impl Table ===

impl<'a> Table<'a> {
    /// All `entries`, oldest first; their hosts are known. `everything` is every object of whatever class.
    pub(super) fn new(entries: &mut [Entry<'a>], everything: &'a [EndpointObject]) -> Self {
        let mut table = Self { managed: managed(everything), ..Self::default() };
        for (index, entry) in entries.iter_mut().enumerate() {
            table.add(index, entry);
        }
        table
    }

    /// Closes the table: bound hosts that nobody serves, and warnings about what it holds.
    pub(super) fn build(mut self, owners: &Owners<'_>, entries: &mut [Entry<'a>]) -> (Snapshot, Vec<BackendId>) {
        owners.reserved(&self.served).for_each(|host| self.builder.reserve(host));
        let snapshot = self.builder.build();
        for protected in &self.protected {
            if let (Some(warning), Some(entry)) = (protected.warning(&snapshot), entries.get_mut(protected.entry)) {
                entry.resource.report.note(warning);
            }
        }
        (snapshot, self.backends.into_iter().collect())
    }

    fn add(&mut self, index: usize, entry: &mut Entry<'a>) {
        let namespace = entry.object.namespace.as_str();
        self.served.extend(entry.hosts.iter().map(|host| (host.clone(), namespace)));
        let (mut overlaps, mut places) = (Vec::new(), 0);
        for rule in &entry.resource.rules {
            for methods in &rule.place.methods {
                let route = self.route(namespace, rule, methods);
                for (host, (kind, path)) in entry.hosts.iter().flat_map(|host| rule.place.spots.iter().map(move |spot| (host, spot))) {
                    places += 1;
                    overlaps.extend(self.place(index, host, *kind, path, &route));
                }
            }
        }
        tell(entry, overlaps, places);
    }

    fn route(&mut self, namespace: &str, rule: &Rule, methods: &[Method]) -> Arc<Route> {
        let managed = self.managed.get(namespace).cloned().unwrap_or_default();
        Arc::new(Route { id: rule.id.clone(), methods: methods.to_vec(), managed, plan: rule.plan.clone() })
    }

    fn place(
        &mut self,
        entry: usize,
        host: &HostPattern,
        kind: PathKind,
        path: &CanonicalPath<'static>,
        route: &Arc<Route>,
    ) -> Option<Overlap> {
        if let Plan::Serve(serve) = &route.plan {
            self.backends.insert(serve.upstream.backend.clone());
            if kind == PathKind::Exact && matches!(serve.access, Access::Token(_)) {
                self.protected.push(Protected { entry, host: host.clone(), path: path.clone(), route: Arc::clone(route) });
            }
        }
        let holder = self.builder.add(host, kind, path, route)?;
        // What is made out of a broken object may well name a place twice.
        let salvaged = holder.plan == route.plan && matches!(route.plan, Plan::Refuse(_));
        (!salvaged).then(|| Overlap::new(route, &holder, &format!("{kind:?} {path} of {host}", path = path.as_str())))
    }
}

/// The union over each namespace, whatever the class: a backend that two installations serve may believe what either sets.
fn managed(everything: &[EndpointObject]) -> HashMap<&str, Arc<ManagedHeaders>> {
    let mut names: HashMap<&str, HashSet<HeaderName>> = HashMap::new();
    for object in everything {
        names.entry(&object.namespace).or_default().extend(headers::named(&object.spec));
    }
    names.into_iter().map(|(namespace, names)| (namespace, Arc::new(names.into_iter().collect()))).collect()
}

/// An object that gets no place at all is not accepted; nor is one whose rules repeat each other.
fn tell(entry: &mut Entry<'_>, overlaps: Vec<Overlap>, places: usize) {
    let nothing_left = places > 0 && overlaps.iter().filter(|overlap| overlap.whole).count() == places;
    let report = &mut entry.resource.report;
    for Overlap { whole, own, message } in overlaps {
        match (own && whole, nothing_left) {
            (true, _) => report.invalid(Problem { reason: Reason::Invalid, message }),
            (false, true) => report.invalid(Problem { reason: Reason::Overlapped, message }),
            (false, false) => report.note(message),
        }
    }
}

// === impl Overlap ===

impl Overlap {
    fn new(route: &Route, holder: &Route, place: &str) -> Self {
        let own = (&route.id.namespace, &route.id.name) == (&holder.id.namespace, &holder.id.name);
        let held = |method| holder.methods.contains(method) || (*method == Method::HEAD && holder.methods.contains(&Method::GET));
        let whole = route.methods.iter().all(held);
        let part = if whole { "" } else { " for the methods they share" };
        let open = if is_public(holder) && !is_public(route) { ", which is Public" } else { "" };
        let message = match own {
            true => format!("{}: {place} is served by {}{part}{open}; each path, pathType and method once", route.id.rule, holder.id.rule),
            false => format!("{}: {place} is served by the older {}{part}{open}", route.id.rule, holder.id),
        };
        Self { whole, own, message }
    }
}

// === impl Protected ===

impl Protected {
    /// `/admin` is protected, but `/admin/` falls to a Public prefix around it.
    fn warning(&self, snapshot: &Snapshot) -> Option<String> {
        let beside = format!("{}/", self.path.as_str());
        let beside = CanonicalPath::parse(&beside).ok().filter(|path| path.as_str() == beside)?;
        let methods = if self.route.methods.is_empty() { &COMMON_METHODS } else { self.route.methods.as_slice() };
        let public = methods.iter().find_map(|method| match snapshot.find_under(&self.host, &beside, method) {
            Found::Route(route) if is_public(route) => Some(&route.id),
            _ => None,
        })?;
        let (rule, host, path) = (&self.route.id.rule, &self.host, self.path.as_str());
        Some(format!(
            "warning: {rule} protects {path} of {host} alone; {path}/ is public through {public}; use pathType Prefix to protect both"
        ))
    }
}

fn is_public(route: &Route) -> bool {
    matches!(&route.plan, Plan::Serve(serve) if matches!(serve.access, Access::Public(_)))
}
