//! What is in service now. Both planes meet here and nowhere else: the control plane stores, the data plane loads, and
//! nobody waits for anybody.

use crate::{
    jwks::KeyRing,
    routing::{BackendId, EndpointSet, Snapshot},
};
use arc_swap::ArcSwap;
use std::{collections::HashMap, sync::Arc};

pub type EndpointMap = HashMap<BackendId, Arc<EndpointSet>, foldhash::fast::RandomState>;

/// Written by the control plane (or `source`), read by every worker.
#[derive(Debug, Default)]
pub struct Live {
    /// `None` until the first table was compiled: the data port answers 503, never 404.
    pub table: ArcSwap<Option<Snapshot>>,
    pub endpoints: ArcSwap<EndpointMap>,
    pub keys: KeyRing,
}

impl Live {
    /// Puts `snapshot` in service unless an equal one is. Returns whether anything changed.
    pub fn publish(&self, snapshot: Snapshot) -> bool {
        let changed = self.table.load().as_ref().as_ref() != Some(&snapshot);
        if changed {
            self.table.store(Arc::new(Some(snapshot)));
        }
        changed
    }

    /// Swaps the addresses of one backend, unless equal.
    pub fn publish_endpoints(&self, backend: &BackendId, set: EndpointSet) {
        if self.endpoints.load().get(backend).is_some_and(|old| **old == set) {
            return;
        }
        let set = Arc::new(set);
        self.endpoints.rcu(|old| {
            let mut new = EndpointMap::clone(old);
            new.insert(backend.clone(), Arc::clone(&set));
            new
        });
    }
}
