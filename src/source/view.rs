//! All files as one: what a cluster would hold had they been applied.

use super::files::Files;
use crate::compile::{EndpointObject, HostClaim, ObjectRef, SERVICE_NAME, Secrets, ServiceObject};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) endpoints: Vec<EndpointObject>,
    pub(super) services: Vec<ServiceObject>,
    pub(super) secrets: Secrets,
    /// By namespace and Service.
    slices: HashMap<(String, String), Vec<EndpointSlice>>,
}

// === impl View ===

impl View {
    pub(super) fn new(files: &Files) -> Self {
        let mut view = Self { secrets: Secrets::complete(), ..Self::default() };
        for objects in files.objects() {
            view.endpoints.extend(objects.endpoints.iter().map(|endpoint| endpoint.object.clone()));
            view.services.extend_from_slice(&objects.services);
            objects.secrets.iter().for_each(|(reference, data)| view.secrets.insert(reference.clone(), data.clone()));
            objects.slices.iter().for_each(|slice| view.add_slice(slice));
        }
        view.report_duplicates();
        view
    }

    /// What an object `held` in the table before: where it can no longer be read, its rules refuse there.
    pub(super) fn remember(&mut self, held: &BTreeMap<ObjectRef, Vec<String>>) {
        for object in self.endpoints.iter_mut().filter(|object| !object.problems.is_empty()) {
            let key = ObjectRef { namespace: object.namespace.clone(), name: object.name.clone(), uid: object.uid.clone() };
            let claim = |host: &String| HostClaim { host: host.clone(), since: object.created };
            object.claims = held.get(&key).into_iter().flatten().map(claim).collect();
        }
    }

    pub(super) fn slices_of(&self, namespace: &str, service: &str) -> impl Iterator<Item = &EndpointSlice> {
        self.slices.get(&(namespace.to_owned(), service.to_owned())).into_iter().flatten()
    }

    fn add_slice(&mut self, slice: &EndpointSlice) {
        let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
        if let (Some(namespace), Some(service)) = (&slice.metadata.namespace, service) {
            self.slices.entry((namespace.clone(), service.clone())).or_default().push(slice.clone());
        }
    }

    /// A cluster holds one object of a name. Here both count, and nothing depends on the order of files.
    fn report_duplicates(&self) {
        let mut names = BTreeSet::new();
        for object in &self.endpoints {
            if !names.insert((&object.namespace, &object.name)) {
                tracing::error!(
                    namespace = object.namespace,
                    name = object.name,
                    "two ProtectedEndpoints have this name; give each its own"
                );
            }
        }
    }
}
