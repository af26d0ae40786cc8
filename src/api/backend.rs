//! `backend`: where requests go.

use super::schema;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A Service of the resource's own namespace. Requests go straight to its ready endpoints.
#[derive(Clone, Debug, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || !has(self.scheme) || self.scheme == 'https'")
    .message("tls goes with scheme https; leave one of them out").field_path(".tls"))]
pub struct Backend {
    /// Name of the Service, such as messages. In this resource's namespace, always; a Service of type ExternalName is refused.
    #[schemars(schema_with = "schema::label")]
    pub service: String,

    /// The Service's port: its number (1 to 65535), such as 8080, or its name, such as http.
    pub port: Port,

    /// The protocol spoken with the backend: http (HTTP/1.1 without TLS), h2c (HTTP/2 without TLS, as most gRPC servers want it) or
    /// https (TLS, over which the backend chooses HTTP/2 or HTTP/1.1). Default: what the Service port's appProtocol says, https
    /// for https and h2c for kubernetes.io/h2c, else http. Where appProtocol is grpc or kubernetes.io/wss the rule answers 503 until
    /// this field says what is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scheme")]
    pub scheme: Option<Scheme>,

    /// How the backend's certificate is verified, with scheme https. It is verified always. Default: it must be for
    /// SERVICE.NAMESPACE.svc, signed by one of the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
}

/// What the backend must prove about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTls {
    /// PEM certificates of the authority that signs the backend's certificate, at most 32 KiB, in place of the system's roots.
    /// Default: the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ca_bundle")]
    pub ca_bundle: Option<String>,

    /// The DNS name that the backend's certificate must be for, such as messages.internal.example.com. Default:
    /// SERVICE.NAMESPACE.svc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "server_name")]
    pub server_name: Option<String>,
}

/// A port of a Service, by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a port number from 1 to 65535 or the name of a port of the Service")]
pub enum Port {
    Number(u16),
    Name(String),
}

/// The protocol spoken with a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Http,
    H2c,
    Https,
}

// === impl Port ===

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = "self >= 1 && self <= 65535";
        let name = "string(self).matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && string(self).matches('[a-z]')";
        // `type(self)` would say it shorter, but kube's CEL, which `check` uses, does not know it.
        let is_text = "self == string(self)";
        json_schema!({
            "x-kubernetes-int-or-string": true, "maxLength": 15,
            "x-kubernetes-validations": [{
                "rule": format!("{is_text} ? {name} : {number}"),
                "message": "must be a port number from 1 to 65535 or the name of a port of the Service, such as 8080 or http",
            }],
        })
    }
}

fn scheme(_: &mut SchemaGenerator) -> Schema {
    schema::text(16, "self in ['http', 'h2c', 'https']", "must be http, h2c or https")
}

fn server_name(_: &mut SchemaGenerator) -> Schema {
    let label = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
    let rule = format!("self.matches('^({label}[.])*{label}$') && !isIP(self)");
    schema::text(253, &rule, "must be a DNS name in lower case, such as messages.shop.svc, without port, IP address or trailing dot")
}
