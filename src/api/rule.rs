//! `spec.rules`: one path, and what holds under it.

use super::{Backend, ClaimHeader, Duration, Require, require, schema};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One path, who may use it, and what replaces or adds to the endpoint's own settings there.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.access != 'Public' || !has(self.require)")
    .message("require does not go with access Public: no token is read there; use access Token, or leave require out").field_path(".require"))]
pub struct Rule {
    /// A name for this rule in messages, logs and metrics, such as list-messages: a DNS label, unique in this resource. Default:
    /// its place, such as rules[0].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub name: Option<String>,

    /// The path, such as /api: absolute, at most 1024 characters, canonical (no //, /./, /../, %2f, ;, # or ?). A trailing slash
    /// means nothing on a Prefix. Upper and lower case differ: where a backend takes /Admin for /admin, do not leave the one Public
    /// and protect the other alone.
    #[schemars(schema_with = "schema::path")]
    pub path: String,

    /// Prefix: this path and everything below it, element by element (/api holds /api/x, not /apix). Exact: this path alone.
    /// Default: Prefix.
    #[serde(default)]
    pub path_type: PathType,

    /// The methods served, 1 to 16, such as [GET, POST]; GET serves HEAD too. Others get 405 unless another rule of the same path
    /// serves them. CONNECT and TRACE are never served. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "methods")]
    pub methods: Vec<String>,

    /// Token: only with a valid token. Public: everyone, and no token is read; the endpoint's require does not apply and claim
    /// headers are removed. Default: Token.
    #[serde(default)]
    pub access: Access,

    /// The path the backend sees, such as /: instead of the whole path on Exact, instead of the matched elements on Prefix (/api
    /// with rewrite / turns /api/x into /x). The query is kept. Default: the path as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub rewrite: Option<String>,

    /// What becomes of %2f and %5c in a request's path. Refuse: 400. Keep: the backend gets them as they came, unless they stand
    /// beside a dot segment, or another rule would serve the path with slashes in their place. For a Prefix: no such path equals
    /// an Exact one. Default: Refuse.
    #[serde(default)]
    pub escaped_slashes: EscapedSlashes,

    /// What the token must hold on this rule, in addition to the endpoint's require. Not with access Public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,

    /// The Service that requests of this rule go to, instead of the endpoint's backend. Default: the endpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,

    /// How long the backend may take on this rule (1ms to 1h, such as 3s). Default: the endpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::timeout")]
    pub timeout: Option<Duration>,

    /// Further claims that the backend gets as headers on this rule, at most 32. For the same header this one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "require::claim_headers")]
    pub claim_headers: Vec<ClaimHeader>,
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum PathType {
    #[default]
    Prefix,
    Exact,
}

/// What becomes of escaped slashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum EscapedSlashes {
    #[default]
    Refuse,
    Keep,
}

/// Who may use a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub enum Access {
    #[default]
    Token,
    Public,
}

/// 1 to 128 of them, names and (path, pathType, methods) unique. The API server has a budget for each rule on each object, and
/// comparing texts is what costs: only paths of equal length are compared.
pub(super) fn rules(generator: &mut SchemaGenerator) -> Schema {
    let same_methods = "has(s.methods) == has(r.methods) && (!has(s.methods) || s.methods == r.methods)";
    let same = format!("size(s.path) == size(r.path) && s.pathType == r.pathType && s.path == r.path && {same_methods}");
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 128, "items": generator.subschema_for::<Rule>(),
        "x-kubernetes-validations": [
            {"rule": format!("self.all(r, self.exists_one(s, {same}))"), "message": "two rules have the same path, pathType and methods: leave one out"},
            {"rule": "self.all(r, !has(r.name) || self.exists_one(s, has(s.name) && s.name == r.name))", "message": "two rules have the same name: each name once"},
        ],
    })
}

fn methods(_: &mut SchemaGenerator) -> Schema {
    let rule = "self.matches('^[A-Z][A-Z0-9_-]*$') && !(self in ['CONNECT', 'TRACE'])";
    schema::list(16, &schema::text(32, rule, "must be a method in capitals, such as GET or POST; CONNECT and TRACE are never served"))
}
