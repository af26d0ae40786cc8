//! One owned, consistent view of the cluster (or of a directory): all that `compile` may look at.

use super::secrets::{SecretRef, Secrets};
use crate::routing::HostPattern;
use serde_json::Value;

/// The class of an object that names none.
pub const DEFAULT_CLASS: &str = "portcullis";

/// The most key sources of a namespace, unless the installation says otherwise.
pub const DEFAULT_ISSUERS: usize = 32;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// Of objects of other classes only the claim headers count: their namespaces' clients may not send them.
    pub class: String,
    pub endpoints: Vec<EndpointObject>,
    pub services: Vec<ServiceObject>,
    pub secrets: Secrets,
    pub ownership: Ownership,
}

/// A ProtectedEndpoint as stored: its spec unread, so that one unreadable object harms only itself.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointObject {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub generation: i64,
    /// creationTimestamp, seconds since the Unix epoch.
    pub created: i64,
    pub spec: Value,
    /// `status.hosts`.
    pub claims: Vec<HostClaim>,
    /// What an API server would have refused it for, each with its field: its rules then refuse in place. Empty for an object
    /// of a cluster.
    pub problems: Vec<String>,
}

/// A host this object's namespace has held since then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostClaim {
    pub host: String,
    /// Seconds since the Unix epoch.
    pub since: i64,
}

/// The parts of a Service that matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceObject {
    pub namespace: String,
    pub name: String,
    /// `spec.type: ExternalName`: never a backend (P66).
    pub external_name: bool,
    pub ports: Vec<ServicePort>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    /// "" when the Service names none.
    pub name: String,
    pub number: u16,
    pub app_protocol: Option<String>,
}

/// The installation's rules about hosts: who may own which, how much, and what certificate they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Namespaces that may own the host `*`; empty: any.
    pub catch_all_namespaces: Vec<String>,
    /// Once one exists, a namespace may claim only its bound hosts, and a bound host only its namespaces.
    pub bindings: Vec<HostBinding>,
    /// Distinct key sources that one namespace may have.
    pub issuers_per_namespace: usize,
    /// The Secret whose certificate stands in for hosts without one of their own.
    pub default_certificate: Option<SecretRef>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBinding {
    pub namespaces: Vec<String>,
    pub hosts: Vec<HostPattern>,
}

// === impl Ownership ===

impl Default for Ownership {
    fn default() -> Self {
        Self { catch_all_namespaces: vec![], bindings: vec![], issuers_per_namespace: DEFAULT_ISSUERS, default_certificate: None }
    }
}
