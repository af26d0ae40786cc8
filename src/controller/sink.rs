//! From the events of a watch to a store, and to what has changed by them.

use super::{
    changes::{Changes, ServiceKey},
    raw::RawEndpoint,
    slices::SliceIndex,
    trim,
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        reflector::{Lookup, ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) store: Writer<RawEndpoint>,
    pub(super) changes: Arc<Changes>,
    pub(super) class: String,
    /// The highest version that has come, listed or watched.
    pub(super) newest: u64,
    pub(super) seen: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(super) struct Services {
    pub(super) store: Writer<Service>,
    pub(super) changes: Arc<Changes>,
    pub(super) own: Option<ServiceKey>,
}

#[derive(Debug)]
pub(super) struct Slices {
    pub(super) store: Writer<EndpointSlice>,
    pub(super) by_service: Arc<SliceIndex>,
    pub(super) changes: Arc<Changes>,
}

// === impl Endpoints ===

impl Endpoints {
    pub(super) fn take(&mut self, event: Event<DeserializeGuard<RawEndpoint>>) {
        let Some(event) = self.of_class(event) else { return };
        let matters = matters(&self.store.as_reader(), &event, RawEndpoint::compiles_like);
        self.store.apply_watcher_event(&event);
        let Some(matters) = matters else { return };
        self.seen.store(self.newest, SeqCst);
        self.changes.object(matters, self.newest);
    }

    /// The event as this class sees it: of an object that is, or has become, another class's only the claim headers are there.
    fn of_class(&mut self, event: Event<DeserializeGuard<RawEndpoint>>) -> Option<Event<RawEndpoint>> {
        Some(match event {
            Event::Init => Event::Init,
            Event::InitDone => Event::InitDone,
            Event::InitApply(guard) => match self.visible(guard) {
                (raw, true) => Event::InitApply(raw),
                (_, false) => return None,
            },
            Event::Delete(guard) => Event::Delete(self.open(guard)),
            Event::Apply(guard) => match self.visible(guard) {
                (raw, true) => Event::Apply(raw),
                (raw, false) => Event::Delete(raw),
            },
        })
    }

    /// What this class sees of an object, and whether that is anything.
    fn visible(&mut self, guard: DeserializeGuard<RawEndpoint>) -> (RawEndpoint, bool) {
        let mut raw = self.open(guard);
        let seen = raw.is_of(&self.class) || raw.keep_managed_headers();
        (raw, seen)
    }

    fn open(&mut self, guard: DeserializeGuard<RawEndpoint>) -> RawEndpoint {
        if let Err(invalid) = &guard.0 {
            let (namespace, name) = (&invalid.metadata.namespace, &invalid.metadata.name);
            tracing::error!(?namespace, ?name, error = %invalid.error, "a stored ProtectedEndpoint cannot be read: it is refused");
        }
        let raw = RawEndpoint::from_guard(guard);
        self.newest = self.newest.max(raw.version().unwrap_or_default());
        raw
    }
}

// === impl Services ===

impl Services {
    pub(super) fn take(&mut self, event: Event<Service>) {
        let own = self.own.as_ref().map(|(namespace, name)| (Some(namespace), Some(name)));
        let is_own = |s: &Service| own == Some((s.metadata.namespace.as_ref(), s.metadata.name.as_ref()));
        let event = event.modify(|service| trim::service(service, is_own(service)));
        let matters = matters(&self.store.as_reader(), &event, PartialEq::eq);
        self.store.apply_watcher_event(&event);
        if matters == Some(true) {
            self.changes.table();
        }
    }
}

// === impl Slices ===

impl Slices {
    pub(super) fn take(&mut self, event: Event<EndpointSlice>) {
        let event = event.modify(trim::slice);
        match &event {
            // The label may have named another Service before.
            Event::Apply(slice) | Event::Delete(slice) => {
                let (reader, key) = (self.store.as_reader(), ObjectRef::from_obj(slice));
                let old = reader.get(&key);
                self.store.apply_watcher_event(&event);
                self.by_service.replace(old.as_deref(), reader.get(&key));
                old.iter().map(AsRef::as_ref).chain([slice]).filter_map(service_of).for_each(|key| self.changes.endpoints(key));
            }
            Event::Init | Event::InitApply(_) => self.store.apply_watcher_event(&event),
            Event::InitDone => {
                self.store.apply_watcher_event(&event);
                self.by_service.rebuild(self.store.as_reader().state());
                self.changes.all_endpoints();
            }
        }
    }
}

/// The Service that a slice belongs to.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<ServiceKey> {
    Some((slice.metadata.namespace.clone()?, slice.labels().get(trim::SERVICE_NAME)?.clone()))
}

/// Whether an event changes what the table is made of; `None` while a list is still coming in.
fn matters<K>(store: &Store<K>, event: &Event<K>, same: impl Fn(&K, &K) -> bool) -> Option<bool>
where
    K: Lookup<DynamicType = ()> + Resource<DynamicType = ()> + Clone + 'static,
{
    match event {
        Event::Init | Event::InitApply(_) => None,
        // What a relist left out was deleted meanwhile: only compiling tells.
        Event::InitDone => Some(true),
        Event::Apply(object) => Some(store.get(&ObjectRef::from_obj(object)).is_none_or(|old| !same(&old, object))),
        Event::Delete(object) => Some(store.get(&ObjectRef::from_obj(object)).is_some()),
    }
}

#[cfg(test)]
mod tests;
