//! Puts compiled rules under their hosts: first those whose places are guesses, then older objects before younger ones, so that
//! of equal places the older one keeps its own; and tells the losers.

use super::{
    guess::{self, Held},
    headers,
    host::{Basis, Loss, Owners, Wish},
    inputs::EndpointObject,
    overlap::{Losses, is_public},
    report::Problem,
    resource::Resource,
    route::Rule,
    salvage::Guess,
};
use crate::routing::{
    Access, BackendId, CanonicalPath, Found, HostCertificate, HostPattern, Lost, ManagedHeaders, PathKind, Plan, Refusal, Route, Snapshot,
    SnapshotBuilder, Spot,
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
    /// The hosts its rules stand under, in the object's order.
    pub(super) hosts: Vec<Wish>,
}

/// The table in the making.
#[derive(Debug, Default)]
pub(super) struct Table<'a> {
    builder: SnapshotBuilder,
    held: Held,
    served: BTreeMap<HostPattern, &'a str>,
    backends: BTreeSet<BackendId>,
    managed: HashMap<&'a str, Arc<ManagedHeaders>>,
    protected: Vec<Protected>,
}

/// What a rule without methods is asked for when one looks what is public beside it.
const COMMON_METHODS: [Method; 7] = [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT];

/// A Token rule at an Exact path: what stands around it is worth a look.
#[derive(Debug)]
struct Protected {
    entry: usize,
    host: HostPattern,
    spot: Spot,
    route: Arc<Route>,
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
                Ok(()) => self.hosts.push(wish.clone()),
                // Nobody asked for a guess.
                Err(_) if wish.basis == Basis::Guessed => {}
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

    /// Whether a host of the object cannot be read, and may be any that its namespace serves. In a cluster `status.hosts` tells
    /// which hosts it held, and no other object of the namespace suffers (K13, K28); in a directory nothing does.
    pub(super) fn may_mean_any_host(&self) -> bool {
        !self.object.problems.is_empty() && self.resource.wishes.iter().any(|wish| wish.basis == Basis::Guessed)
    }

    /// Its rules refuse under `hosts` too.
    pub(super) fn guess_hosts(&mut self, hosts: &BTreeSet<HostPattern>) {
        let known: HashSet<_> = self.hosts.iter().map(|wish| wish.pattern.clone()).collect();
        let others = hosts.iter().filter(|host| !known.contains(host));
        self.hosts.extend(others.map(|host| Wish { pattern: host.clone(), basis: Basis::Guessed }));
    }

    /// What a sound object gets, in a sentence.
    pub(super) fn serves(&self) -> String {
        let hosts: Vec<_> = self.held().map(ToString::to_string).collect();
        let rules = self.resource.rules.len();
        format!("{rules} {} on {}", if rules == 1 { "rule" } else { "rules" }, hosts.join(", "))
    }

    /// The hosts it holds: a guess is no claim.
    pub(super) fn held(&self) -> impl Iterator<Item = &HostPattern> {
        self.hosts.iter().filter(|wish| wish.basis != Basis::Guessed).map(|wish| &wish.pattern)
    }
}

// === impl Table ===

impl<'a> Table<'a> {
    /// All `entries`, oldest first; their hosts are known. `everything` is every object of whatever class.
    pub(super) fn new(entries: &mut [Entry<'a>], everything: &'a [EndpointObject]) -> Self {
        let mut table = Self { managed: managed(everything), ..Self::default() };
        entries.iter().for_each(|entry| table.add_guesses(entry));
        entries.iter_mut().enumerate().for_each(|(index, entry)| table.add(index, entry));
        entries.iter_mut().for_each(|entry| table.warn_of_lost_token(entry));
        table
    }

    /// What only the gateway may set is removed before a token is looked for.
    fn warn_of_lost_token(&self, entry: &mut Entry<'a>) {
        let Some(managed) = self.managed.get(entry.object.namespace.as_str()) else { return };
        let lost = entry.resource.rules.iter().find_map(|rule| Some(&rule.tokens()?.0.header).filter(|header| managed.contains(header)));
        if let Some(header) = lost {
            entry.resource.report.note(format!(
                "warning: spec.token.header: a resource of this namespace sets {header} itself (claimHeaders or forwardAs), so tokens that \
                 clients send in it are removed; choose another header here or there"
            ));
        }
    }

    /// Closes the table: bound hosts that nobody serves, and warnings about what it holds.
    pub(super) fn build(
        mut self,
        owners: &Owners<'_>,
        default_certificate: HostCertificate,
        entries: &mut [Entry<'a>],
    ) -> (Snapshot, Vec<BackendId>) {
        self.builder.default_certificate(default_certificate);
        owners.reserved(&self.served).for_each(|host| self.builder.reserve(host));
        let snapshot = self.builder.build();
        for protected in &self.protected {
            if let (Some(warning), Some(entry)) = (protected.warning(&snapshot), entries.get_mut(protected.entry)) {
                entry.resource.report.note(warning);
            }
        }
        (snapshot, self.backends.into_iter().collect())
    }

    fn add_guesses(&mut self, entry: &Entry<'a>) {
        for rule in &entry.resource.rules {
            let mut route = None;
            for (host, guess) in entry.hosts.iter().filter_map(|wish| Some((&wish.pattern, guess::guess(&rule.place, wish)?))) {
                let route = route.get_or_insert_with(|| self.route(entry, rule, vec![], refused(rule)));
                self.hold(host, &rule.place.spot, guess, route);
            }
        }
    }

    /// Whichever methods were meant, all of them are refused.
    fn hold(&mut self, host: &HostPattern, spot: &Spot, guess: Guess, route: &Arc<Route>) {
        // An older guess may stand there: it refuses as well.
        let _ = self.builder.add(host, spot, route);
        self.held.hold(host, spot, guess, route);
    }

    fn add(&mut self, index: usize, entry: &mut Entry<'a>) {
        self.served.extend(entry.hosts.iter().map(|wish| (wish.pattern.clone(), entry.object.namespace.as_str())));
        let rules = std::mem::take(&mut entry.resource.rules);
        for rule in &rules {
            self.add_rule(index, entry, rule).tell(&mut entry.resource.report);
        }
        entry.resource.rules = rules;
        self.encrypt(entry);
    }

    /// A host's oldest resource with tls decides for it.
    fn encrypt(&mut self, entry: &mut Entry<'a>) {
        let Some(encryption) = &entry.resource.encryption else { return };
        let named = entry.hosts.iter().filter(|wish| wish.basis != Basis::Guessed).map(|wish| &wish.pattern);
        let lost: Vec<_> = named.filter(|host| !self.builder.encrypt(host, encryption)).map(ToString::to_string).collect();
        if !lost.is_empty() {
            entry.resource.report.note(format!("spec.tls: an older resource decides for {}", lost.join(", ")));
        }
    }

    fn add_rule(&mut self, index: usize, entry: &Entry<'a>, rule: &Rule) -> Losses {
        let (spot, mut losses) = (&rule.place.spot, Losses::of(&rule.id));
        let route = self.route(entry, rule, rule.place.methods.clone(), rule.plan.clone());
        let mut refusing = None;
        for wish in entry.hosts.iter().filter(|wish| guess::guess(&rule.place, wish).is_none()) {
            let host = &wish.pattern;
            match (wish.basis, self.held.holder(host, spot)) {
                (Basis::Named, Some(holder)) => losses.guessed(host, spot, holder),
                (Basis::Named, None) => losses.place(host, spot, &route, self.place(index, host, spot, &route)),
                // Its author cannot tell that it stands there.
                (Basis::Remembered | Basis::Guessed, _) => {
                    let route = refusing.get_or_insert_with(|| self.route(entry, rule, rule.place.methods.clone(), refused(rule)));
                    let _ = self.builder.add(host, spot, route);
                }
            }
        }
        losses
    }

    fn route(&self, entry: &Entry<'a>, rule: &Rule, methods: Vec<Method>, plan: Plan) -> Arc<Route> {
        let managed = self.managed.get(entry.object.namespace.as_str()).cloned().unwrap_or_default();
        Arc::new(Route { id: rule.id.clone(), methods, managed, cors: rule.cors.clone(), plan })
    }

    fn place(&mut self, entry: usize, host: &HostPattern, spot: &Spot, route: &Arc<Route>) -> Option<Lost> {
        let lost = self.builder.add(host, spot, route);
        if let (Plan::Serve(serve), false) = (&route.plan, lost.as_ref().is_some_and(|lost| lost.whole)) {
            self.backends.insert(serve.upstream.backend.clone());
            if spot.kind() == PathKind::Exact && matches!(serve.access, Access::Token(_)) {
                self.protected.push(Protected { entry, host: host.clone(), spot: spot.clone(), route: Arc::clone(route) });
            }
        }
        lost
    }
}

/// The plan of `rule` where it is only guessed to stand.
fn refused(rule: &Rule) -> Plan {
    match rule.plan {
        Plan::Refuse(refusal) => Plan::Refuse(refusal),
        Plan::Serve(_) => Plan::Refuse(Refusal::InvalidSpec),
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

// === impl Protected ===

impl Protected {
    /// `/admin` is protected, but `/admin/` falls to a Public prefix around it.
    fn warning(&self, snapshot: &Snapshot) -> Option<String> {
        let beside = format!("{}/", self.spot.path());
        let beside = CanonicalPath::parse(&beside).ok().filter(|path| path.as_str() == beside)?;
        let methods = if self.route.methods.is_empty() { &COMMON_METHODS } else { self.route.methods.as_slice() };
        let public = methods.iter().find_map(|method| match snapshot.find_under(&self.host, &beside, method) {
            Found::Route(route) if is_public(route) => Some(&route.id),
            _ => None,
        })?;
        let (rule, host, path) = (&self.route.id.rule, &self.host, self.spot.path());
        Some(format!(
            "warning: {rule} protects {path} of {host} alone; {path}/ is public through {public}; use pathType Prefix to protect both"
        ))
    }
}
