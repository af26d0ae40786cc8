//! EndpointSlices by Service: what stands behind one is found without a look at the others'.

use super::{changes::ServiceKey, sink::service_of};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Written by the watch, read by the table task.
#[derive(Debug, Default)]
pub(super) struct SliceIndex(Mutex<ByService>);

/// Slices by name, by Service.
type ByService = HashMap<ServiceKey, BTreeMap<String, Arc<EndpointSlice>>>;

// === impl SliceIndex ===

impl SliceIndex {
    pub(super) fn of(&self, service: &ServiceKey) -> Vec<Arc<EndpointSlice>> {
        self.lock().get(service).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// One slice has come, changed (perhaps its Service) or gone.
    pub(super) fn replace(&self, old: Option<&EndpointSlice>, new: Option<Arc<EndpointSlice>>) {
        let mut services = self.lock();
        old.into_iter().for_each(|old| remove(&mut services, old));
        new.into_iter().for_each(|new| insert(&mut services, new));
    }

    pub(super) fn rebuild(&self, slices: Vec<Arc<EndpointSlice>>) {
        let mut services = ByService::new();
        slices.into_iter().for_each(|slice| insert(&mut services, slice));
        *self.lock() = services;
    }

    fn lock(&self) -> MutexGuard<'_, ByService> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(services: &mut ByService, slice: Arc<EndpointSlice>) {
    if let Some(service) = service_of(&slice) {
        services.entry(service).or_default().insert(slice.name_any(), slice);
    }
}

fn remove(services: &mut ByService, slice: &EndpointSlice) {
    let Some(service) = service_of(slice) else { return };
    let Some(slices) = services.get_mut(&service) else { return };
    slices.remove(&slice.name_any());
    if slices.is_empty() {
        services.remove(&service);
    }
}
