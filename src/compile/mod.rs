//! OBJECTS -> SNAPSHOT + VERDICTS. Pure and total: no error type, no clock, no I/O. What is wrong with an object becomes a
//! [`Verdict`] and, in the table, a rule that refuses in place.

//!
//! ```text
//! spec.rs     one stored spec, read strictly            salvage.rs  where the rules of one stand that cannot be read
//! secrets.rs  what is known of the Secrets that it names
//! resource.rs one object for itself, faults isolated    host.rs     who owns a host
//!   auth, keys, tls, token, require, headers, cors, backend, route conflict.rs rules under their hosts, the oldest first
//!                                                       guess.rs    what cannot be read goes before what can
//!                                                       quota.rs    how many issuers a namespace may have
//!                                                       overlap.rs  what a rule does not get, and what its author is told
//! ```

mod auth;
mod backend;
mod conflict;
mod cors;
mod endpoints;
mod field;
mod guess;
mod headers;
mod host;
mod inputs;
mod issuer;
mod keys;
mod objects;
mod overlap;
mod quota;
mod report;
mod require;
mod resource;
mod route;
mod salvage;
mod secrets;
mod spec;
mod tls;
mod token;
mod transport;
mod verdict;

pub use self::{
    endpoints::{Loopback, SERVICE_NAME, endpoints},
    inputs::{DEFAULT_CLASS, DEFAULT_ISSUERS, EndpointObject, HostBinding, HostClaim, Inputs, Ownership, ServiceObject, ServicePort},
    secrets::{SecretData, SecretRef, SecretState, Secrets},
    verdict::{Condition, ObjectRef, Reason, Verdict},
};

use self::{
    auth::AuthKeys,
    backend::Services,
    conflict::{Entry, Table},
    host::Owners,
    resource::References,
};
use crate::{
    jwt::{Provider, ProviderId},
    routing::{BackendId, Snapshot},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Everything that follows from one view of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    pub snapshot: Snapshot,
    /// Distinct key sources, each at the shortest interval asked for. Sorted by id.
    pub providers: Vec<Provider>,
    /// Distinct backends that routes name. Sorted.
    pub backends: Vec<BackendId>,
    /// Distinct Secrets that objects name, there or not: what to look for next. Sorted.
    pub secrets: Vec<SecretRef>,
    /// What is wrong with the installation itself, in a sentence.
    pub complaint: Option<String>,
    /// One line per object of this class, sorted by namespace and name.
    pub outcomes: BTreeMap<ObjectRef, Outcome>,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub generation: i64,
    /// `Accepted` and `ResolvedRefs`, always both, in this order.
    pub verdicts: [Verdict; 2],
    /// The hosts this object holds (owned by its namespace), in spec order; `*` when it names none. A host that it held and cannot
    /// be read any more stays among them; one where its rules refuse on a guess is not: there is nothing to claim.
    pub hosts: Vec<String>,
    pub keys: Keys,
    /// How long its last good keys serve, where they are published.
    pub max_staleness: Duration,
}

/// Where the keys of one object come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// No rule needs a token, or it serves no host, or its auth block is not sound.
    NotNeeded,
    /// Always one of `Compiled::providers`.
    Published(ProviderId),
    /// HS256, and whether the Secret holds its key; if not, `ResolvedRefs` says why.
    Secret { usable: bool },
}

/// Compiles the whole view. Equal inputs give equal results, in whatever order the lists come.
pub fn compile(inputs: &Inputs) -> Compiled {
    compile_with(inputs, &resource::compile)
}

fn compile_with(inputs: &Inputs, compiler: &resource::Compiler) -> Compiled {
    let references = References { services: Services::new(&inputs.services), secrets: &inputs.secrets };
    let compiled = ours(inputs).into_iter().map(|object| Entry::new(object, resource::isolated(object, &references, compiler)));
    let mut entries: Vec<_> = compiled.collect();
    let owners = own_hosts(inputs, &mut entries);
    quota::apply(&mut entries, inputs.ownership.issuers_per_namespace);
    let table = Table::new(&mut entries, &inputs.endpoints);
    let (default_certificate, complaint) = tls::default_certificate(inputs);
    let (snapshot, backends) = table.build(&owners, default_certificate, &mut entries);
    let (providers, secrets) = (providers(&entries), secrets(inputs, &entries));
    let outcomes = entries.iter().map(|entry| (object_ref(entry.object), outcome(entry))).collect();
    Compiled { snapshot, providers, backends, secrets, complaint, outcomes }
}

/// The objects of this class, oldest first.
fn ours(inputs: &Inputs) -> Vec<&EndpointObject> {
    let mut objects: Vec<_> = inputs.endpoints.iter().filter(|object| resource::class(object) == inputs.class).collect();
    objects.sort_by(|a, b| age(a).cmp(&age(b)).then_with(|| twins(a, b)));
    objects
}

fn age(object: &EndpointObject) -> (i64, &str, &str, &str) {
    (object.created, &object.namespace, &object.name, &object.uid)
}

/// A directory may hold one object twice: even then the order of files decides nothing.
fn twins(a: &EndpointObject, b: &EndpointObject) -> Ordering {
    let text = |object: &EndpointObject| format!("{object:?}");
    text(a).cmp(&text(b))
}

fn own_hosts<'a>(inputs: &'a Inputs, entries: &mut [Entry<'a>]) -> Owners<'a> {
    let owners = Owners::new(entries.iter().map(|entry| (entry.object, entry.resource.wishes.as_slice())), &inputs.ownership);
    entries.iter_mut().for_each(|entry| entry.take_hosts(&owners));
    if entries.iter().any(Entry::may_mean_any_host) {
        guess_hosts(entries);
    }
    owners
}

/// A host that cannot be read, and that nobody remembers, may be any that the namespace serves.
fn guess_hosts(entries: &mut [Entry<'_>]) {
    let own = guess::own_hosts(entries.iter().map(|entry| (entry.object.namespace.as_str(), entry.hosts.as_slice())));
    let own: BTreeMap<_, _> = own.into_iter().map(|(namespace, hosts)| (namespace.to_owned(), hosts)).collect();
    for entry in entries.iter_mut().filter(|entry| entry.may_mean_any_host()) {
        own.get(&entry.object.namespace).into_iter().for_each(|hosts| entry.guess_hosts(hosts));
    }
}

/// Those of objects that serve a host: each key source once, at the shortest interval.
fn providers(entries: &[Entry<'_>]) -> Vec<Provider> {
    let mut refresh: BTreeMap<&ProviderId, Duration> = BTreeMap::new();
    for provider in entries.iter().filter_map(provider) {
        let shortest = refresh.entry(&provider.id).or_insert(provider.refresh);
        *shortest = provider.refresh.min(*shortest);
    }
    refresh.into_iter().map(|(id, refresh)| Provider { id: id.clone(), refresh }).collect()
}

fn secrets(inputs: &Inputs, entries: &[Entry<'_>]) -> Vec<SecretRef> {
    let named = entries.iter().flat_map(|entry| entry.resource.report.secrets());
    let named: BTreeSet<_> = named.chain(&inputs.ownership.default_certificate).collect();
    named.into_iter().cloned().collect()
}

fn provider<'a>(entry: &'a Entry<'_>) -> Option<&'a Provider> {
    match auth_keys(entry)? {
        AuthKeys::Published { provider, .. } => Some(provider),
        AuthKeys::Secret(_) => None,
    }
}

fn auth_keys<'a>(entry: &'a Entry<'_>) -> Option<&'a AuthKeys> {
    entry.resource.keys.as_ref().filter(|_| entry.held().next().is_some())
}

fn outcome(entry: &Entry<'_>) -> Outcome {
    let report = &entry.resource.report;
    Outcome {
        generation: entry.object.generation,
        verdicts: [report.accepted(&entry.serves()), report.resolved_refs()],
        hosts: entry.held().map(ToString::to_string).collect(),
        keys: auth_keys(entry).map_or(Keys::NotNeeded, Keys::from),
        max_staleness: auth_keys(entry).map(AuthKeys::max_staleness).unwrap_or_default(),
    }
}

impl Keys {
    /// Who publishes them, if anybody does.
    pub fn provider(&self) -> Option<&ProviderId> {
        match self {
            Self::Published(id) => Some(id),
            Self::NotNeeded | Self::Secret { .. } => None,
        }
    }
}

impl From<&AuthKeys> for Keys {
    fn from(keys: &AuthKeys) -> Self {
        match keys {
            AuthKeys::Published { provider, .. } => Self::Published(provider.id.clone()),
            AuthKeys::Secret(key) => Self::Secret { usable: key.is_some() },
        }
    }
}

fn object_ref(object: &EndpointObject) -> ObjectRef {
    ObjectRef { namespace: object.namespace.clone(), name: object.name.clone(), uid: object.uid.clone() }
}

#[cfg(test)]
mod tests;
