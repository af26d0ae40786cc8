//! Who owns a host: one namespace, with every path and method (P69, P70).
//!
//! Every object that names a host claims it, and with a wildcard every name it covers. The strongest claim among those that
//! cover a host decides: a claim remembered in `status.hosts` by its age, then an object by its own age, then its name.
//! `*` is a wildcard that covers every host.

use super::{
    inputs::{EndpointObject, Ownership},
    verdict::Reason,
};
use crate::routing::HostPattern;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A host that an object names, or is taken to name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) pattern: HostPattern,
    pub(super) basis: Basis,
}

/// Why an object's rules stand under a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    Named,
    /// It held the host, and now names one that cannot be read: its rules refuse there.
    Remembered,
    /// It names a host that cannot be read, and this may be it: its rules refuse there, and it wins against no other namespace.
    Guessed,
}

/// Answers who owns a host.
#[derive(Debug)]
pub(super) struct Owners<'a> {
    claims: HashMap<HostPattern, Claims<'a>>,
    rules: Rules<'a>,
}

/// All claims to one pattern: the strongest of each namespace.
#[derive(Debug, Default)]
struct Claims<'a> {
    by_namespace: HashMap<&'a str, Claim<'a>>,
    /// Of all of them.
    strongest: Option<Claim<'a>>,
}

/// Why an object gets no rule under a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// Smaller is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<'a> {
    strength: Strength,
    created: i64,
    namespace: &'a str,
    name: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Held { since: i64 },
    Named,
    Guessed,
}

/// What the installation says about hosts.
#[derive(Debug)]
struct Rules<'a> {
    /// Empty: every namespace may serve `*`.
    catch_all: BTreeSet<&'a str>,
    any_binding: bool,
    bound: BTreeMap<HostPattern, BTreeSet<&'a str>>,
    nobody: BTreeSet<&'a str>,
}

// === impl Owners ===

impl<'a> Owners<'a> {
    pub(super) fn new<'w>(wishes: impl Iterator<Item = (&'a EndpointObject, &'w [Wish])>, ownership: &'a Ownership) -> Self {
        let rules = Rules::new(ownership);
        let mut claims: HashMap<HostPattern, Claims<'a>> = HashMap::new();
        for (object, wish) in wishes.flat_map(|(object, wishes)| wishes.iter().map(move |wish| (object, wish))) {
            if rules.check(&object.namespace, &wish.pattern).is_ok() {
                claims.entry(wish.pattern.clone()).or_default().add(Claim::new(object, wish));
            }
        }
        Self { claims, rules }
    }

    /// Whether rules of `namespace` are served under `host`.
    ///
    /// # Errors
    /// Why not, for the object that names the host.
    pub(super) fn check(&self, namespace: &str, host: &HostPattern) -> Result<(), Loss> {
        self.rules.check(namespace, host)?;
        match self.owner(host) {
            Some((through, owner)) if owner.namespace != namespace => Err(Loss::owned(host, &through, &owner)),
            Some(_) | None => Ok(()),
        }
    }

    /// Bound hosts without rules that a wider host's rules would serve although their namespace may not: they answer 404.
    pub(super) fn reserved<'b>(&'b self, served: &'b BTreeMap<HostPattern, &str>) -> impl Iterator<Item = &'b HostPattern> {
        self.rules.bound.keys().filter(|host| {
            let reached = wider(host).find_map(|wide| served.get(&wide));
            reached.is_some_and(|namespace| self.rules.check(namespace, host).is_err())
        })
    }

    fn owner(&self, host: &HostPattern) -> Option<(HostPattern, Claim<'a>)> {
        let allowed = self.rules.allowed(host);
        let strongest = |wide: HostPattern| {
            let claims = self.claims.get(&wide)?;
            // Whoever claims a pattern is bound to it, and so to all that falls under the same binding.
            let same = allowed.map(std::ptr::from_ref) == self.rules.allowed(&wide).map(std::ptr::from_ref);
            let claim = allowed.filter(|_| !same).map_or(claims.strongest, |namespaces| claims.strongest_of(namespaces));
            claim.map(|claim| (wide, claim))
        };
        wider(host).filter_map(strongest).min_by_key(|(_, claim)| *claim)
    }
}

// === impl Claims ===

impl<'a> Claims<'a> {
    fn add(&mut self, claim: Claim<'a>) {
        let known = self.by_namespace.entry(claim.namespace).or_insert(claim);
        *known = claim.min(*known);
        self.strongest = self.strongest.map_or(Some(claim), |strongest| Some(claim.min(strongest)));
    }

    fn strongest_of(&self, namespaces: &BTreeSet<&'a str>) -> Option<Claim<'a>> {
        match namespaces.len() < self.by_namespace.len() {
            true => namespaces.iter().filter_map(|namespace| self.by_namespace.get(namespace)).min().copied(),
            false => self.by_namespace.values().filter(|claim| namespaces.contains(claim.namespace)).min().copied(),
        }
    }
}

// === impl Claim ===

impl<'a> Claim<'a> {
    fn new(object: &'a EndpointObject, wish: &Wish) -> Self {
        let strength = match wish.basis {
            Basis::Guessed => Strength::Guessed,
            Basis::Named | Basis::Remembered => held_since(object, &wish.pattern).map_or(Strength::Named, |since| Strength::Held { since }),
        };
        Self { strength, created: object.created, namespace: &object.namespace, name: &object.name }
    }
}

/// A `since` before the object existed was not stamped by us.
fn held_since(object: &EndpointObject, host: &HostPattern) -> Option<i64> {
    let valid = object.claims.iter().filter(|claim| claim.since >= object.created);
    valid.filter(|claim| HostPattern::parse(&claim.host).as_ref() == Ok(host)).map(|claim| claim.since).min()
}

// === impl Rules ===

impl<'a> Rules<'a> {
    fn new(ownership: &'a Ownership) -> Self {
        let mut bound: BTreeMap<HostPattern, BTreeSet<&'a str>> = BTreeMap::new();
        for binding in &ownership.bindings {
            for host in &binding.hosts {
                bound.entry(host.clone()).or_default().extend(binding.namespaces.iter().map(String::as_str));
            }
        }
        let catch_all: BTreeSet<_> = ownership.catch_all_namespaces.iter().map(String::as_str).collect();
        Self { catch_all, any_binding: !ownership.bindings.is_empty(), bound, nobody: BTreeSet::new() }
    }

    /// Who may serve `host` of those who may claim a pattern that covers it; `None`: all. The narrowest binding decides.
    fn allowed(&self, host: &HostPattern) -> Option<&BTreeSet<&'a str>> {
        let bound = || wider(host).find_map(|wide| self.bound.get(&wide)).unwrap_or(&self.nobody);
        self.any_binding.then(bound)
    }

    fn check(&self, namespace: &str, host: &HostPattern) -> Result<(), Loss> {
        if *host == HostPattern::Any && !self.catch_all.is_empty() && !self.catch_all.contains(namespace) {
            return Err(Loss::not_allowed(format!(
                "spec.hosts: namespace {namespace} is not in catchAllNamespaces and may not serve *; name the hosts it serves"
            )));
        }
        match self.allowed(host).is_some_and(|namespaces| !namespaces.contains(namespace)) {
            true => Err(Loss::not_allowed(format!(
                "spec.hosts: no hostBinding lets namespace {namespace} serve {host}; ask for one or name a host bound to it"
            ))),
            false => Ok(()),
        }
    }
}

// === impl Loss ===

impl Loss {
    fn owned(host: &HostPattern, through: &HostPattern, owner: &Claim<'_>) -> Self {
        let through = if host == through { String::new() } else { format!(" through {through}") };
        let message = format!(
            "spec.hosts: {host} is owned by namespace {}{through}; a host belongs to the namespace that claimed it first",
            owner.namespace
        );
        Self { reason: Reason::HostOwned, message }
    }

    fn not_allowed(message: String) -> Self {
        Self { reason: Reason::HostNotAllowed, message }
    }
}

/// The patterns that cover `host`, narrowest first, itself included.
fn wider(host: &HostPattern) -> impl Iterator<Item = HostPattern> {
    let wildcard = match host {
        HostPattern::Exact(name) => name.split_once('.').map(|(_, parent)| HostPattern::Wildcard(parent.into())),
        HostPattern::Wildcard(_) | HostPattern::Any => None,
    };
    let any = (*host != HostPattern::Any).then_some(HostPattern::Any);
    [Some(host.clone()), wildcard, any].into_iter().flatten()
}
