//! What has changed since somebody last looked: watches write, the table task reads. Bounded by the number of Services,
//! however many events come.

use std::{
    collections::HashSet,
    mem,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Namespace and name of a Service.
pub(super) type ServiceKey = (String, String);

#[derive(Debug, Default)]
pub(super) struct Changes {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Pending {
    /// Something that the table is made of.
    pub(super) table: bool,
    /// Some ProtectedEndpoint changed, perhaps in nothing that the table is made of (its status, an object of another class):
    /// the highest resourceVersion so far. Every change up to it that the table is made of has been taken with it or before.
    pub(super) seen: Option<u64>,
    pub(super) endpoints: Touched,
}

/// Services whose EndpointSlices changed.
#[derive(Debug, PartialEq)]
pub(super) enum Touched {
    These(HashSet<ServiceKey>),
    All,
}

// === impl Changes ===

impl Changes {
    pub(super) fn table(&self) {
        self.note(|pending| pending.table = true);
    }

    /// A ProtectedEndpoint changed, and the highest resourceVersion is now `seen`.
    pub(super) fn object(&self, matters: bool, seen: u64) {
        self.note(|pending| {
            pending.table |= matters;
            pending.seen = Some(seen);
        });
    }

    pub(super) fn endpoints(&self, service: ServiceKey) {
        self.note(|pending| {
            if let Touched::These(services) = &mut pending.endpoints {
                services.insert(service);
            }
        });
    }

    pub(super) fn all_endpoints(&self) {
        self.note(|pending| pending.endpoints = Touched::All);
    }

    /// Waits until there is a change, and takes all of them. Cancel safe: what is not returned is not taken.
    pub(super) async fn next(&self) -> Pending {
        loop {
            let pending = mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
            if pending != Pending::default() {
                return pending;
            }
            self.wake.notified().await;
        }
    }

    fn note(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }
}

// === impl Touched ===

impl Touched {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::These(services) if services.is_empty())
    }
}

impl Default for Touched {
    fn default() -> Self {
        Self::These(HashSet::new())
    }
}
