//! Puts a compiled view in service, in the one order that leaves no gap.
//!
//! ```text
//! endpoints and keys of old and new  ->  the table  ->  endpoints and keys of the new alone
//! ```
//!
//! A route therefore never names a backend or a key source that is not there yet, and no request that still holds the old
//! table finds its own gone (as long as it looks before it waits).

use crate::{
    compile::Compiled,
    jwt::Provider,
    live::{EndpointMap, Live},
    routing::{BackendId, EndpointSet},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The one writer of [`Live`]: owned by `controller` or by `source`, never by both.
pub struct Publisher {
    live: Arc<Live>,
    assign: AssignKeys,
    backends: Vec<BackendId>,
    providers: Vec<Provider>,
}

/// Tells who fetches keys which providers are in use: exactly these.
pub type AssignKeys = Box<dyn FnMut(&[Provider]) + Send>;

// === impl Publisher ===

impl Publisher {
    pub fn new(live: Arc<Live>, assign: AssignKeys) -> Self {
        Self { live, assign, backends: Vec::new(), providers: Vec::new() }
    }

    /// The backends that the table in service names.
    pub fn backends(&self) -> &[BackendId] {
        &self.backends
    }

    /// Whether a table is in service.
    pub fn serving(&self) -> bool {
        self.live.table.load().is_some()
    }

    /// Puts `compiled` in service; `addresses` tells what stands behind a backend now. Returns whether the table changed.
    pub fn publish(&mut self, compiled: Compiled, addresses: impl Fn(&BackendId) -> EndpointSet) -> bool {
        self.fill(self.backends.iter().chain(&compiled.backends), &addresses);
        self.assign(union(&self.providers, &compiled.providers));
        let changed = self.live.publish(compiled.snapshot);
        self.fill(compiled.backends.iter(), &addresses);
        self.assign(compiled.providers);
        self.backends = compiled.backends;
        changed
    }

    /// Swaps the addresses of those backends in service that `concerned` picks.
    pub fn refresh(&self, concerned: impl Fn(&BackendId) -> bool, addresses: impl Fn(&BackendId) -> EndpointSet) {
        for backend in self.backends.iter().filter(|b| concerned(b)) {
            self.live.publish_endpoints(backend, addresses(backend));
        }
    }

    /// Makes the endpoint map hold exactly `backends`. A set that did not change stays the same `Arc`.
    fn fill<'a>(&self, backends: impl Iterator<Item = &'a BackendId>, addresses: impl Fn(&BackendId) -> EndpointSet) {
        let old = self.live.endpoints.load();
        let mut new = EndpointMap::default();
        for backend in backends {
            if !new.contains_key(backend) {
                let set = addresses(backend);
                let kept = old.get(backend).filter(|kept| ***kept == set);
                new.insert(backend.clone(), kept.map_or_else(|| Arc::new(set), Arc::clone));
            }
        }
        if **old != new {
            self.live.endpoints.store(Arc::new(new));
        }
    }

    fn assign(&mut self, providers: Vec<Provider>) {
        if self.providers != providers {
            (self.assign)(&providers);
            self.providers = providers;
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("backends", &self.backends).field("providers", &self.providers).finish_non_exhaustive()
    }
}

/// Every provider of both lists, sorted by id; where both have it, as the new list has it.
fn union(old: &[Provider], new: &[Provider]) -> Vec<Provider> {
    let by_id: BTreeMap<_, _> = old.iter().chain(new).map(|p| (&p.id, p)).collect();
    by_id.into_values().cloned().collect()
}
