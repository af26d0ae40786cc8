//! `spec.tls`: the certificate of the hosts, and what becomes of requests in clear text.

use super::{Duration, schema, secret};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// How the hosts are reached over TLS. A host's oldest resource with tls decides for it.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// The Secret with the certificate, as `kubectl create secret tls` or cert-manager writes it. A new value serves new connections
    /// within a second; one that cannot be used leaves the old one in service, and condition ResolvedRefs says why. Default: the
    /// installation's certificate, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<TlsSecretRef>,

    /// What becomes of a request in clear text. Always: 308 to the same address under https, before any token is looked at, unless a
    /// trusted proxy says that the client came over https. Never: it is served. Default: Always.
    #[serde(default)]
    pub redirect: Redirect,

    /// How long browsers must not use clear text for the host after an answer over TLS (Strict-Transport-Security: max-age): 1s to
    /// 26280h, such as 8760h. Default: the header is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "hsts")]
    pub hsts: Option<Duration>,
}

/// A Secret of the resource's namespace with the keys tls.crt and tls.key.
#[derive(Clone, Debug, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSecretRef {
    /// Name of the Secret, in this resource's namespace, always; it holds tls.crt (the host's certificate, then its issuers') and
    /// tls.key. Portcullis reads it only where a RoleBinding of the ClusterRole portcullis-secrets lets it; condition ResolvedRefs
    /// says so where that is missing.
    #[schemars(schema_with = "secret::name")]
    pub name: String,
}

/// What becomes of a request in clear text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum Redirect {
    #[default]
    Always,
    Never,
}

fn hsts(_: &mut SchemaGenerator) -> Schema {
    schema::duration("1s", "26280h")
}
