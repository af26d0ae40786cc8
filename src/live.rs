//! What is in service now. Both planes meet here and nowhere else: the control plane stores, the data plane loads, and
//! nobody waits for anybody.

use crate::{
    jwks::KeyRing,
    routing::{BackendId, EndpointSet, Snapshot},
};
use arc_swap::ArcSwap;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

pub type EndpointMap = HashMap<BackendId, Arc<Endpoints>, foldhash::fast::RandomState>;

/// The addresses behind one backend: swapped in their place, so that a change costs nothing for other backends.
#[derive(Debug, Default)]
pub struct Endpoints(ArcSwap<EndpointSet>);

/// Written by the control plane (or `source`), read by every worker.
#[derive(Debug, Default)]
pub struct Live {
    /// `None` until the first table was compiled: the data port answers 503, never 404.
    pub table: ArcSwap<Option<Snapshot>>,
    /// A new map only when a table names other backends.
    pub endpoints: ArcSwap<EndpointMap>,
    pub keys: KeyRing,
}

impl Live {
    /// Puts `snapshot` in service unless an equal one is. Returns whether anything changed.
    pub fn publish(&self, mut snapshot: Snapshot) -> bool {
        let old = self.table.load();
        old.iter().for_each(|old| snapshot.keep_certificates(old));
        let changed = old.as_ref().as_ref() != Some(&snapshot);
        if changed {
            self.table.store(Arc::new(Some(snapshot)));
        }
        changed
    }

    /// The addresses behind a backend now; `None` when no table in service names it.
    pub fn endpoints_of(&self, backend: &BackendId) -> Option<Arc<EndpointSet>> {
        self.endpoints.load().get(backend).map(|endpoints| endpoints.now())
    }

    /// Every address of every backend now.
    pub fn addresses(&self) -> HashSet<SocketAddr> {
        self.endpoints.load().values().flat_map(|endpoints| endpoints.0.load().addresses().to_vec()).collect()
    }
}

// === impl Endpoints ===

impl Endpoints {
    pub fn now(&self) -> Arc<EndpointSet> {
        self.0.load_full()
    }

    /// Swaps the addresses, unless equal.
    pub fn put(&self, set: EndpointSet) {
        if **self.0.load() != set {
            self.0.store(Arc::new(set));
        }
    }
}
