//! `status`: what became of the resource. Written by the installation that serves it, never by users.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What became of this resource.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProtectedEndpointStatus {
    /// Accepted (the resource makes sense), ResolvedRefs (its Services and ports exist), KeysReady (the issuer's keys are here),
    /// Programmed (every replica serves this generation), and Ready: all of them, else the first that is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The hosts this resource's namespace owns through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["host".into()]))]
    pub hosts: Vec<HostSince>,

    /// Addresses (IP addresses or host names) where the installation that serves this resource is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub addresses: Vec<String>,
}

/// A host, and since when it is owned.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostSince {
    /// The host as spec.hosts names it; * when it names none.
    #[schemars(length(max = 253))]
    pub host: String,

    /// When the claim to this host was first seen. The oldest claim owns the host.
    pub since: Time,
}
