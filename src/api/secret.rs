//! References to Secrets. There is no namespace in them: a Secret is always one of the resource's own (P68).

use super::schema;
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// One value of a Secret of the resource's namespace.
#[derive(Clone, Debug, PartialEq, Eq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret, in this resource's namespace, always. Portcullis reads it only where a RoleBinding of the ClusterRole
    /// portcullis-secrets lets it; condition ResolvedRefs says so where that is missing.
    #[schemars(schema_with = "name")]
    pub name: String,

    /// The key of the value in the Secret's data. Default: secret.
    #[serde(default = "default_key")]
    #[schemars(schema_with = "key")]
    pub key: String,
}

fn default_key() -> String {
    "secret".to_owned()
}

/// What the API server lets a Secret be called: a DNS subdomain.
pub(super) fn name(_: &mut SchemaGenerator) -> Schema {
    let label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
    let rule = format!("self.matches('^{label}([.]{label})*$')");
    schema::text(253, &rule, "must be the name of a Secret of this namespace: lower-case letters, digits, - and .")
}

fn key(_: &mut SchemaGenerator) -> Schema {
    schema::text(253, "self.matches('^[-._a-zA-Z0-9]+$')", "must be a key of the Secret's data: letters, digits, -, _ and .")
}
