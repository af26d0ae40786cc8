//! `backend`: where requests go.

use super::schema;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A Service of the resource's own namespace. Requests go straight to its ready endpoints.
#[derive(Clone, Debug, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// Name of the Service, such as messages. In this resource's namespace, always; a Service of type ExternalName is refused.
    #[schemars(schema_with = "schema::label")]
    pub service: String,

    /// The Service's port: its number (1 to 65535), such as 8080, or its name, such as http.
    pub port: Port,

    /// The protocol spoken with the backend: http (HTTP/1.1 without TLS). Default: http, unless the Service port's appProtocol names
    /// another protocol: then the rule answers 503 until this field says that http is right all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scheme")]
    pub scheme: Option<Scheme>,
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
    schema::text(16, "self == 'http'", "must be http")
}
