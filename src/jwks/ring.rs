//! Every key source in use.

use super::ProviderKeys;
use crate::jwt::{KeySet, ProviderId};
use arc_swap::ArcSwap;
use std::{collections::HashMap, sync::Arc};
use tokio::time::Instant;

/// Looked up on every request with a token: an id may hold a certificate of 32 KiB, and the default hash is slow on it.
pub(super) type ProviderMap = HashMap<ProviderId, Arc<ProviderKeys>, foldhash::fast::RandomState>;

/// Plain data: a [`super::Refresher`] writes it, every worker reads it, and readers never block.
#[derive(Debug, Default)]
pub struct KeyRing {
    providers: ArcSwap<ProviderMap>,
}

// === impl KeyRing ===

impl KeyRing {
    /// A ring whose keys never change, fetched at `now`: for tests, benchmarks and tools that bring their own keys.
    pub fn fixed(keys: impl IntoIterator<Item = (ProviderId, KeySet)>, now: Instant) -> Self {
        let providers = keys.into_iter().map(|(id, keys)| (id, Arc::new(ProviderKeys::fixed(keys, now))));
        Self { providers: ArcSwap::from_pointee(providers.collect()) }
    }

    pub fn find(&self, id: &ProviderId) -> Option<Arc<ProviderKeys>> {
        self.providers.load().get(id).cloned()
    }

    /// Every key source, sorted: for metrics, statuses and the inspect view.
    pub fn all(&self) -> Vec<(ProviderId, Arc<ProviderKeys>)> {
        let mut all: Vec<_> = self.providers.load().iter().map(|(id, keys)| (id.clone(), Arc::clone(keys))).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    pub(super) fn store(&self, providers: ProviderMap) {
        self.providers.store(Arc::new(providers));
    }
}
