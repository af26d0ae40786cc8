//! A ProtectedEndpoint as the cluster stores it: nothing in its spec or status can stop the watch.

use crate::{api::ProtectedEndpointStatus, compile::ObjectRef};
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, core::DeserializeGuard};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeSet};

pub(super) const GROUP: &str = "portcullis.dev";
pub(super) const VERSION: &str = "v1alpha1";
pub(super) const API_VERSION: &str = "portcullis.dev/v1alpha1";
pub(super) const KIND: &str = "ProtectedEndpoint";
/// The class of an object that names none.
const DEFAULT_CLASS: &str = "portcullis";

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RawEndpoint {
    pub(super) metadata: ObjectMeta,
    /// `spec`, unread, and of `status` the `hosts`: what the table is made of.
    #[serde(flatten)]
    pub(super) data: Value,
    /// What was last written about this object, as far as it can be read.
    #[serde(skip)]
    pub(super) status: ProtectedEndpointStatus,
}

// === impl RawEndpoint ===

impl RawEndpoint {
    /// What the guard let through; an object that even this type cannot hold has no spec, which compile refuses.
    pub(super) fn from_guard(guard: DeserializeGuard<Self>) -> Self {
        let mut raw = guard.0.unwrap_or_else(|invalid| Self { metadata: invalid.metadata, ..Self::default() });
        raw.metadata.managed_fields = None;
        raw.metadata.annotations = None;
        raw.metadata.labels = None;
        raw.read_status();
        raw
    }

    /// Keeps, of an object of another class, what it says to this one: the headers that its namespace's clients may not send.
    /// False when it names none.
    pub(super) fn keep_managed_headers(&mut self) -> bool {
        let spec = self.data.get("spec").unwrap_or(&Value::Null);
        let headers: Vec<_> = claim_headers(spec).iter().map(|header| json!({"header": header})).collect();
        let forward_as = spec.pointer("/token/forwardAs").filter(|header| header.is_string());
        let found = !headers.is_empty() || forward_as.is_some();
        let token = json!({"header": spec.pointer("/token/header"), "forwardAs": forward_as});
        self.data = json!({"spec": {"className": spec.get("className"), "token": token, "claimHeaders": headers}});
        self.status = ProtectedEndpointStatus::default();
        self.metadata.generation = None;
        found
    }

    /// Whether an installation of `class` looks at this object. A class that is no string is left to compile.
    pub(super) fn is_of(&self, class: &str) -> bool {
        match self.data.pointer("/spec/className") {
            None | Some(Value::Null) => class == DEFAULT_CLASS,
            Some(Value::String(named)) => named == class,
            Some(_) => true,
        }
    }

    /// Whether both make the same table: all but the status (of which the host claims count) and bookkeeping.
    pub(super) fn compiles_like(&self, other: &Self) -> bool {
        let meta = |raw: &Self| (raw.metadata.uid.clone(), raw.metadata.generation, raw.metadata.creation_timestamp.clone());
        let same = |part: &str| self.data.pointer(part) == other.data.pointer(part);
        meta(self) == meta(other) && same("/spec") && same("/status/hosts")
    }

    pub(super) fn reference(&self) -> ObjectRef {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        ObjectRef { namespace: text(&self.metadata.namespace), name: text(&self.metadata.name), uid: text(&self.metadata.uid) }
    }

    /// As a number, where the cluster's are numbers.
    pub(super) fn version(&self) -> Option<u64> {
        self.metadata.resource_version.as_ref()?.parse().ok()
    }

    /// creationTimestamp, seconds since the Unix epoch.
    pub(super) fn created(&self) -> i64 {
        self.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
    }

    /// Reads the status once for all who look at it, and drops what it was read from.
    fn read_status(&mut self) {
        let mut part = |name| self.data.get_mut(name).map(Value::take).unwrap_or_default();
        let (spec, mut status) = (part("spec"), part("status"));
        self.status = ProtectedEndpointStatus {
            conditions: list(&status, "conditions"),
            hosts: list(&status, "hosts"),
            addresses: list(&status, "addresses"),
        };
        let hosts = status.get_mut("hosts").map(Value::take);
        self.data = json!({"spec": spec, "status": {"hosts": hosts}});
    }
}

/// The readable elements of a list.
fn list<T: DeserializeOwned>(status: &Value, field: &str) -> Vec<T> {
    let elements = status.get(field).and_then(Value::as_array);
    elements.into_iter().flatten().filter_map(|element| T::deserialize(element).ok()).collect()
}

/// Every header that a spec names for claims, its rules' too.
fn claim_headers(spec: &Value) -> BTreeSet<&str> {
    let rules = spec.get("rules").and_then(Value::as_array).into_iter().flatten();
    let lists = std::iter::once(spec).chain(rules).filter_map(|level| level.get("claimHeaders")?.as_array());
    lists.flatten().filter_map(|entry| entry.get("header")?.as_str()).collect()
}

impl Resource for RawEndpoint {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "protectedendpoints".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
