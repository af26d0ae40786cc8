//! The resource: types that are the CRD, and nothing else. Their doc comments are what `kubectl explain` prints.
//!
//! The types describe what the API server lets through; they are read from stored objects by `compile`, which trusts none of it.
//! A field that a rule inherits from the spec has no default here: `compile` applies it.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

mod auth0;
mod backend;
mod cors;
mod crd;
mod duration;
mod quantity;
mod require;
mod rule;
mod schema;
mod secret;
mod status;
mod tls;
mod token;

pub use self::{
    auth0::{Alg, AudienceMatch, Auth0},
    backend::{Backend, BackendTls, Port, Scheme},
    cors::Cors,
    crd::custom_resource_definition,
    duration::{Duration, DurationError},
    quantity::{Quantity, QuantityError},
    require::{Arrays, ClaimHeader, ClaimValues, FORBIDDEN_CLAIM_HEADERS, Require, ScopesMatch},
    rule::{Access, EscapedSlashes, PathType, Rule},
    secret::SecretKeyRef,
    status::{HostSince, ProtectedEndpointStatus},
    tls::{Redirect, Tls, TlsSecretRef},
    token::{CrossOrigin, Forward, StreamsAtExpiry, Token},
};

use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// What is served, to whom, and by which Service.
#[derive(Clone, Debug, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "ProtectedEndpoint",
    namespaced,
    status = "ProtectedEndpointStatus",
    derive = "PartialEq",
    shortname = "pe",
    category = "portcullis",
    doc = "ProtectedEndpoint turns an Auth0 API (domain, audience, algorithm) into a live, token-checked route to a Service."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.backend) || self.rules.all(r, has(r.backend))")
    .message("backend is required here or in each of the rules").field_path(".backend"))]
#[x_kube(validation = Rule::new("!has(self.claimHeaders) || self.claimHeaders.all(c, c.header.lowerAscii() != self.token.header.lowerAscii())")
    .message("token.header is read from the client, so it cannot be a claim header too: give one of them another name").field_path(".claimHeaders"))]
#[x_kube(validation = Rule::new("!has(self.token.forwardAs) || !has(self.claimHeaders) || self.claimHeaders.all(c, c.header.lowerAscii() != self.token.forwardAs.lowerAscii())")
    .message("token.forwardAs carries the token, so it cannot be a claim header too: give one of them another name").field_path(".claimHeaders"))]
#[x_kube(validation = Rule::new("!has(self.token.forwardAs) || self.rules.all(r, !has(r.claimHeaders) || r.claimHeaders.all(c, c.header.lowerAscii() != self.token.forwardAs.lowerAscii()))")
    .message("token.forwardAs carries the token, so it cannot be a claim header of a rule too: give one of them another name").field_path(".rules"))]
#[x_kube(validation = Rule::new("self.rules.all(r, !has(r.claimHeaders) || r.claimHeaders.all(c, c.header.lowerAscii() != self.token.header.lowerAscii()))")
    .message("token.header is read from the client, so it cannot be a claim header of a rule too: give one of them another name").field_path(".rules"))]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.hosts)")
    .message("tls needs hosts: a certificate is one of names").field_path(".tls"))]
pub struct ProtectedEndpointSpec {
    /// Which installation serves this endpoint, by its `--class`; every other installation ignores it. A DNS label. It cannot
    /// change: the hosts of an endpoint are claimed in one class. Default: portcullis.
    #[serde(default = "default_class")]
    #[schemars(schema_with = "class")]
    pub class_name: String,

    /// The hosts served, 1 to 64: DNS names in lower case, such as api.example.com; *.example.com stands for exactly one label.
    /// Without this field: every host. A host belongs to the first namespace that names it, with every path and method; a
    /// request for a host that any rule names never falls to a wider one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "hosts")]
    pub hosts: Vec<String>,

    /// How the hosts are reached over TLS. Needs hosts. Default: as the installation reaches them, in clear text too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// The Auth0 tenant and API whose tokens pass.
    pub auth0: Auth0,

    /// Where the token is looked for, and whether the backend sees it. Default: Authorization: Bearer, passed on.
    #[serde(default)]
    pub token: Token,

    /// The Service that requests go to. Required here or in each of the rules; a rule's own replaces it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,

    /// How long the backend may take, from authorisation to the last response head (1ms to 1h, such as 3s); the client then gets
    /// 504. It pauses while the client still sends its body. A rule's own wins. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timeout")]
    pub timeout: Option<Duration>,

    /// Which other sites' scripts may use this API from a browser. With it, preflights (OPTIONS with Origin and
    /// Access-Control-Request-Method) are answered with 204 before a token is asked for and never reach the backend, and every
    /// answer says what is allowed here instead of what the backend says. Default: none; an OPTIONS request is one like any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,

    /// The most bytes that the body of a request may have, such as 10Mi, 500k or 1048576; the client otherwise gets 413: at once when
    /// it has said the length, else when more comes, and the backend then sees the request break off. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_body: Option<Quantity>,

    /// What every token must hold, beyond being valid, on every rule with access Token; a rule's own is required in addition.
    /// Otherwise the client gets 403. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,

    /// Claims of the verified token that the backend gets as headers, at most 32, each header once. These headers are removed
    /// from every client's request on every rule of the namespace, in every spelling, so a backend may trust them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "require::claim_headers")]
    pub claim_headers: Vec<ClaimHeader>,

    /// The paths served, 1 to 128. The path decides: an Exact one, else the longest Prefix, whatever their methods; then the
    /// method, and never back to a shorter path.
    #[schemars(schema_with = "rule::rules")]
    pub rules: Vec<Rule>,
}

fn default_class() -> String {
    "portcullis".to_owned()
}

/// Fixed for life: an endpoint that left its class and came back would bring the age of its claim to a host along.
fn class(generator: &mut SchemaGenerator) -> Schema {
    let message = "className cannot change: delete this endpoint and create it anew in the other class";
    schema::and(schema::label(generator), "self == oldSelf", message)
}

fn hosts(_: &mut SchemaGenerator) -> Schema {
    let label = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
    let rule = format!("self.matches('^([*][.]({label}[.])+|({label}[.])*){label}$') && !isIP(self)");
    let message = "must be a DNS name in lower case, such as api.example.com or *.example.com (one label), without port, path, IP \
                   address or trailing dot; leave hosts out to serve every host";
    schema::list(64, &schema::text(253, &rule, message))
}

fn timeout(_: &mut SchemaGenerator) -> Schema {
    schema::duration("1ms", "1h")
}
